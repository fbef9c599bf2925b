"""A plain dump as psql may have it: restricted by a key that the dump cannot know, so that psql obeys nothing in it.

pg_dump's own `\\restrict` is taken out: a psql that is older stops at it, and one that is restricted already refuses it.
"""

from __future__ import annotations

import re
import secrets
from typing import Iterable, Iterator, List, Tuple

from ansible.module_utils.rollback.backups import column_versions
from ansible.module_utils.rollback.backups.dump_text import END_OF_ROWS, Text
from ansible.module_utils.rollback.backups.preamble import LEFT_OUT, NO_TIMEOUTS
from ansible.module_utils.rollback.backups.scan import Scanner
from ansible.module_utils.rollback.backups.script import RESTRICT

# How pg_dump --clean begins: with drops, and with views that make room for others to be dropped. A new database has none of
# it but the schema public.
_DROPS = re.compile(
    rb"(?:DROP (?!SCHEMA (?:IF EXISTS )?(?:public|\"public\");)|ALTER [^;]* DROP |CREATE OR REPLACE VIEW |"
    rb"SELECT pg_catalog\.lo_unlink\()[^;]*;\s*"
)
_MAKES = re.compile(rb"-- (?:Data for )?Name: |CREATE (?!OR REPLACE VIEW )|COPY |INSERT ")
# The first minor version of each major one that knows \restrict; from 18 on all do.
_KNOWS_SINCE = {13: 22, 14: 19, 15: 14, 16: 10, 17: 6}
# They would fire at what comes after them.
_EVENT_TRIGGER = re.compile(rb"(?:CREATE|ALTER|COMMENT ON) EVENT TRIGGER ", re.IGNORECASE)


def known_to(psql: Tuple[int, ...]) -> bool:
    """Whether a psql of this version can be restricted."""
    major, minor = psql[0], psql[1] if len(psql) > 1 else 0
    return major >= 18 or minor >= _KNOWS_SINCE.get(major, minor + 1)


def lines(blocks: Iterable[bytes], psql: Tuple[int, ...]) -> Iterator[bytes]:
    """The dump for a psql of version `psql`; event triggers come last. Raises EOFError where it breaks off among rows."""
    key = secrets.token_hex(16).encode() if known_to(psql) else b""
    text, scanner = Text(blocks), Scanner()
    last: List[bytes] = []
    opening, comes_last, begun = True, False, b""
    if key:
        yield b"\\restrict %s\n" % key
    yield NO_TIMEOUTS
    for said in iter(text.line, b""):
        between = scanner.script.between_statements
        line = column_versions.removed(said) if between else said
        if between:
            if not line or RESTRICT.match(line) or LEFT_OUT.fullmatch(line):
                continue
            comes_last = bool(_EVENT_TRIGGER.match(line))
        opening = opening and not (between and _MAKES.match(line))
        table = scanner.feed(line)
        begun += line
        if opening and not scanner.script.between_statements:
            continue
        if comes_last:
            last.append(begun)
        elif not (opening and _DROPS.fullmatch(begun)):
            yield begun
        begun = b""
        if table:
            yield from text.rows()
            yield END_OF_ROWS
    yield begun
    yield from last
    if key:
        yield b"\\unrestrict %s\n" % key
