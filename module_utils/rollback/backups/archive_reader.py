"""Reads the rows of an archive in pg_dump's custom format: each table from its first byte to its last, several at a time.

pg_restore unpacks one table after the other, and writes all of it through a pipe: half of the time that a restore needs
besides loading. What this file does not know (other versions and compressions, large objects, rows as INSERT) it leaves
to pg_restore. The format is that of PostgreSQL's pg_backup_archiver.c and pg_backup_custom.c.
"""

from __future__ import annotations

import os
import re
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Dict, Iterator, List, NamedTuple, Optional, Tuple

from ansible.module_utils.rollback.backups import dump_reader
from ansible.module_utils.rollback.backups.dump_reader import DumpFacts
from ansible.module_utils.rollback.backups.dump_text import END_MARKER

_MAGIC, _CUSTOM = b"PGDMP", 1
_VERSIONS = range(14, 17)  # 1.14 to 1.16: PostgreSQL 12 to 18
_ALGORITHM_SINCE, _KIND_SINCE = 15, 16
_INTEGER_BYTES = (4, 8)
_NONE, _GZIP = 0, 1
_ROWS_BLOCK = 1
_ROWS, _GRANTS = b"TABLE DATA", b"ACL"
_NO_SECTION, _PRE_DATA = 1, 2  # an entry without a section says something about one that came before
_OF_DATABASE, _SAID_OF = (b"DATABASE", b"DATABASE PROPERTIES"), (b"ACL", b"COMMENT", b"SECURITY LABEL")
_THREADS = 4  # at most; more tables than that are seldom large at the same time
_BATCH = 256 * 1024  # packed bytes that are read at once
_UNPACKED = 1024 * 1024  # at most, of rows that may be a thousand times as long as they lie there


class UnknownArchive(Exception):
    """This archive is for pg_restore to read."""


@dataclass
class Contents:
    """`copies` maps the number of each block of rows to the COPY statement that they belong to, `comments` to what pg_restore
    says above it, in the order in which it loads them. `before` and `after` are the numbers of all other entries: what it
    executes before any rows, and after them.

    `statements` are all that pg_restore would say of itself, as long as it is not asked to create the database.
    """

    integer_bytes: int = 4
    packed: bool = True
    copies: Dict[int, bytes] = field(default_factory=dict)
    comments: Dict[int, bytes] = field(default_factory=dict)
    before: List[int] = field(default_factory=list)
    after: List[int] = field(default_factory=list)
    statements: List[bytes] = field(default_factory=list)


def read_rows(backup: Path, version_table: str) -> List[DumpFacts]:
    """Rows and revisions of each table. Raises UnknownArchive, or EOFError or zlib.error where rows are damaged."""
    contents, blocks = read_contents(backup)
    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as threads:
        # The largest first, so that it is not alone at the end.
        return list(threads.map(partial(_read_block, backup, contents, version_table), sorted(blocks, reverse=True)))


def statements(backup: Path) -> List[bytes]:
    """The definition of every entry, where every block of rows is there, too. Raises UnknownArchive or EOFError."""
    return read_contents(backup)[0].statements


def read_contents(backup: Path) -> Tuple[Contents, List[Block]]:
    """What an archive holds, and where its rows are. Raises UnknownArchive, or EOFError where it breaks off."""
    if backup.is_dir():
        raise UnknownArchive
    with backup.open("rb") as file:
        contents = _contents(_Reader(file))
        return contents, _blocks(file, contents)


def as_dump(backup: Path, contents: Contents, block: Block) -> Iterator[bytes]:
    """A plain dump of one table's rows and nothing else: only where they have come to their end it has one."""
    with backup.open("rb", buffering=_BATCH) as file:
        file.seek(block.position)
        yield contents.comments[block.number]
        yield contents.copies[block.number]
        yield from _unpacked(file, contents)
        yield END_MARKER


def _read_block(backup: Path, contents: Contents, version_table: str, block: Block) -> DumpFacts:
    copy = contents.copies[block.number]
    facts = dump_reader.read(as_dump(backup, contents, block), version_table)
    if not facts.complete or len(facts.rows) != 1 or facts.found:
        raise EOFError(f"the rows of {copy.decode(errors='replace').split(' (')[0]} do not come to an end")
    return facts


class Block(NamedTuple):
    """The rows of one table: where they lie in the file."""

    bytes: int
    position: int
    number: int


class _Reader:
    """Numbers and texts, as the archive writes them."""

    def __init__(self, file: IO[bytes], integer_bytes: int = 4) -> None:
        self._file, self.integer_bytes = file, integer_bytes

    def take(self, count: int) -> bytes:
        found = self._file.read(max(count, 0))
        if len(found) != count:
            raise EOFError("end of file")
        return found

    def byte(self) -> int:
        return self.take(1)[0]

    def integer(self) -> int:
        sign, digits = self.byte(), self.take(self.integer_bytes)
        return int.from_bytes(digits, "little") * (-1 if sign else 1)

    def length(self) -> int:
        """How many bytes of rows come next; 0 where none do."""
        found = self.integer()
        if found < 0:
            raise EOFError("a block of rows of less than no bytes")
        return found

    def text(self) -> Optional[bytes]:
        length = self.integer()
        return None if length < 0 else self.take(length)


def _contents(reader: _Reader) -> Contents:
    """The table of contents; `reader` stands at the first block afterwards."""
    magic = reader.take(len(_MAGIC))
    if magic != _MAGIC:
        raise UnknownArchive
    major, minor, _ = reader.byte(), reader.byte(), reader.byte()
    reader.integer_bytes, offset_bytes, archive_format = reader.byte(), reader.byte(), reader.byte()
    if (major, archive_format) != (1, _CUSTOM) or minor not in _VERSIONS or reader.integer_bytes not in _INTEGER_BYTES:
        raise UnknownArchive
    algorithm = reader.byte() if minor >= _ALGORITHM_SINCE else min(abs(reader.integer()), _GZIP)  # it was gzip's level
    if algorithm not in (_NONE, _GZIP):
        raise UnknownArchive
    contents = Contents(reader.integer_bytes, packed=algorithm == _GZIP)
    for _ in range(7):  # when it was made
        reader.integer()
    for _ in ("database", "server's version", "pg_dump's version"):
        reader.text()
    late = False
    for _ in range(reader.integer()):
        number, has_rows = reader.integer(), reader.integer()
        _, _, name, kind = (reader.text() for _ in ("catalogue", "oid", "name", "kind"))
        section = reader.integer()
        definition, _, copy, schema, *_ = [
            reader.text() for _ in ("definition", "drop", "copy", "schema", "tablespace", "access method")
        ]
        if minor >= _KIND_SINCE:
            reader.integer()
        for _ in ("owner", "with oids"):
            reader.text()
        while reader.text() is not None:  # what it depends on
            pass
        reader.take(1 + offset_bytes)  # where its rows are, which a dump through a pipe could not fill in
        if not (kind in _OF_DATABASE or (kind in _SAID_OF and (name or b"").startswith(b"DATABASE "))):
            contents.statements += filter(None, [definition, copy])
        late = late or section not in (_NO_SECTION, _PRE_DATA)
        if late and section == _PRE_DATA:  # pg_dump sorts them
            raise UnknownArchive
        if kind != _ROWS:
            (contents.after if late or kind == _GRANTS else contents.before).append(number)
        if has_rows:
            if kind != _ROWS or not copy:
                raise UnknownArchive
            contents.copies[number] = copy
            said = b"-- Data for Name: %s; Type: TABLE DATA; Schema: %s; Owner: -" % (name or b"", schema or b"-")
            contents.comments[number] = re.sub(rb"[\r\n]", b" ", said) + b"\n"
    return contents


def _blocks(file: IO[bytes], contents: Contents) -> List[Block]:
    """Every block of rows, found by going from one chunk to the next.

    What comes after the last one is not read, as pg_restore does not: pg_dump leaves more there when it cannot go back.
    """
    found: List[Block] = []
    awaited, reader = set(contents.copies), _Reader(file, contents.integer_bytes)
    while awaited:
        kind, number = reader.byte(), reader.integer()
        if kind != _ROWS_BLOCK or number not in awaited:
            raise UnknownArchive
        position = file.tell()
        length = reader.length()
        while length:
            file.seek(length, os.SEEK_CUR)
            length = reader.length()
        found.append(Block(file.tell() - position, position, number))
        awaited.remove(number)
    return found


def _unpacked(file: IO[bytes], contents: Contents) -> Iterator[bytes]:
    """The rows of the block whose first chunk comes next."""
    if not contents.packed:
        yield from _batches(file, contents)
        return
    stream = zlib.decompressobj()
    for batch in _batches(file, contents):
        yield stream.decompress(batch, _UNPACKED)
        while stream.unconsumed_tail:
            yield stream.decompress(stream.unconsumed_tail, _UNPACKED)
    yield stream.flush()
    if not stream.eof:
        raise EOFError("compressed rows break off")


def _batches(file: IO[bytes], contents: Contents) -> Iterator[bytes]:
    reader = _Reader(file, contents.integer_bytes)
    chunks: List[bytes] = []
    held = 0
    length = reader.length()
    while length:
        chunks.append(reader.take(length))
        held += length
        if held >= _BATCH:
            yield b"".join(chunks)
            chunks, held = [], 0
        length = reader.length()
    yield b"".join(chunks)
