"""Lines that programs print about a dump, and that `2>&1` or a terminal puts into it."""

from __future__ import annotations

import re

# No statement begins like these.
MESSAGE = re.compile(
    rb"(?:pg_dump|pg_dumpall|pg_restore|psql|mysqldump|docker|kubectl|oc|ssh|sudo|sh|bash|/[\w/.-]+): |Password: ?\r?\n"
    rb"|Defaulted container |Unable to use a TTY|Error from server|command terminated with |error: |[Ww]arning: |WARNING: |NOTICE: "
)
_VERBOSE = re.compile(rb"pg_dump: (?!(?:warning|error|hint|detail): )")


def of_verbose(text: bytes) -> bool:
    """Whether `pg_dump --verbose` says so: such lines come anywhere in the dump, in the middle of others too."""
    return bool(_VERBOSE.match(text))


def shown(text: bytes) -> str:
    """A line for people: cut, and without what a terminal would obey."""
    words = text.decode(errors="replace").strip()
    return "".join(letter if letter.isprintable() else "?" for letter in words)[:80].rstrip(".:")
