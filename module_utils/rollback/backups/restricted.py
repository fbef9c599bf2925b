"""A plain dump as psql may have it: restricted by a key that the dump cannot know, so that psql obeys nothing in it.

pg_dump's own `\\restrict` is taken out: a psql that is older stops at it, and one that is restricted already refuses it.
"""

from __future__ import annotations

import re
import secrets
from typing import Iterable, Iterator, List, Tuple

from ansible.module_utils.rollback.backups.dump_reader import Text
from ansible.module_utils.rollback.backups.scan import Scanner
from ansible.module_utils.rollback.backups.script import RESTRICT

# The first minor version of each major one that knows \restrict; from 18 on all do.
_KNOWS_SINCE = {13: 22, 14: 19, 15: 14, 16: 10, 17: 6}
# They would fire at what comes after them.
_EVENT_TRIGGER = re.compile(rb"(?:CREATE|ALTER|COMMENT ON) EVENT TRIGGER ", re.IGNORECASE)
_END_OF_ROWS = (b"\\.\n", b"\\.\r\n")


def known_to(psql: Tuple[int, ...]) -> bool:
    """Whether a psql of this version can be restricted."""
    major, minor = psql[0], psql[1] if len(psql) > 1 else 0
    return major >= 18 or minor >= _KNOWS_SINCE.get(major, minor + 1)


def lines(blocks: Iterable[bytes], psql: Tuple[int, ...]) -> Iterator[bytes]:
    """The dump for a psql of version `psql`, line by line. Event triggers come last."""
    key = secrets.token_hex(16).encode() if known_to(psql) else b""
    text, scanner = Text(blocks), Scanner()
    held: List[bytes] = []
    holds = False
    if key:
        yield b"\\restrict %s\n" % key
    for line in iter(text.line, b""):
        if scanner.script.between_statements and RESTRICT.match(line):
            continue
        if scanner.script.between_statements:
            holds = bool(_EVENT_TRIGGER.match(line))
        table = scanner.feed(line)
        if holds:
            held.append(line)
            continue
        yield line
        if table:
            for row in iter(text.line, b""):
                yield row
                if row in _END_OF_ROWS:
                    break
    yield from held
    if key:
        yield b"\\unrestrict %s\n" % key
