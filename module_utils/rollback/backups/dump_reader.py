"""Reads a dump from its first byte to its last, as SQL, and says what is in it.

Listing an archive or loading a plain file proves little: a truncated archive still lists, and a plain dump
cut at a line's end loads without an error. Only a full read sees the end.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Dict, Iterable, Iterator, List, Optional, Tuple

from ansible.module_utils.rollback.backups.contents import Contents
from ansible.module_utils.rollback.backups.requirements import Requirements, RequirementsReader
from ansible.module_utils.rollback.backups.scan import Inserted, Scanner

END_MARKER = b"-- PostgreSQL database dump complete"
_HEADER = re.compile(rb"-- PostgreSQL database dump\s*$")
_SERVER = re.compile(rb"-- Dumped from database version (\S+)")
_CLIENT = re.compile(rb"-- Dumped by pg_dump version (\S+)")
_COPY_END = re.compile(rb"\n\\\.\r?\n")
_COPY_END_BYTES = 5  # at most
_SETVAL = re.compile(rb"SELECT pg_catalog\.setval\('((?:[^']|'')+)', (-?\d+), (true|false)\);")


@dataclass
class DumpFacts:
    """`rows` counts the rows of each table, `bytes` all of the dump as SQL; neither is known where they were not read.

    With `inserts` they came as INSERT statements, and a table without rows does not occur among them.
    `found` is what it says beyond what restores one database, by kind (scan.KINDS); `needs` is what the server must have,
    `contents` what it creates.
    """

    server_version: str = ""
    client_version: str = ""
    recognised: bool = False
    complete: bool = False
    inserts: bool = False
    bytes: int = 0
    rows_counted: bool = True
    rows: Dict[str, int] = field(default_factory=dict)
    sequences: Dict[str, Optional[int]] = field(default_factory=dict)
    alembic_heads: Optional[List[str]] = None
    found: Dict[str, List[str]] = field(default_factory=dict)
    needs: Requirements = field(default_factory=Requirements)
    contents: Contents = field(default_factory=Contents)


class Text:
    """A dump as lines, and as the rows of a COPY, from blocks that may be cut anywhere."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = filter(None, blocks)
        self._block, self._at = b"", 0

    def line(self) -> bytes:
        """The next line with its end, which the last one may lack. Empty where the dump has ended."""
        parts = []
        while True:
            end = self._block.find(b"\n", self._at) + 1
            parts.append(self._block[self._at : end or None])
            self._at = end or len(self._block)
            if end or not self._next():
                return b"".join(parts)

    def skip_rows(self) -> Tuple[int, bool]:
        """Go behind the line that ends a COPY: how many rows came before it, and whether it came.

        Rows are most of a dump; whole blocks of them are counted at once, and only the line that ends them is looked for.
        """
        left, count = b"\n", -1  # the end of the line before, which is no row
        while True:
            text = left + self._block[self._at :]
            end = _COPY_END.search(text)
            if end:
                self._block, self._at = text, end.end()
                return count + text.count(b"\n", 0, end.start() + 1), True
            left = text[-_COPY_END_BYTES + 1 :]  # where the end may have begun
            count += text.count(b"\n", 0, len(text) - len(left))
            if not self._next():
                return count + left.count(b"\n") + (not left.endswith(b"\n")), False

    def _next(self) -> bool:
        self._block, self._at = next(self._blocks, b""), 0
        return bool(self._block)


def read(blocks: Iterable[bytes], version_table: str) -> DumpFacts:
    """Read a plain dump, or an archive as pg_restore writes it out. `blocks` may be of any size, and cut anywhere."""
    facts = DumpFacts()
    scanner, needs = Scanner(note=facts.contents.note), RequirementsReader(facts.needs)
    facts.found = scanner.found
    script = scanner.script
    text = Text(_counted(blocks, facts))
    for line in iter(text.line, b""):
        inside = script.inside
        if script.between_statements:
            _note(line, facts)
            facts.contents.note_line(line)
        if inside in (b"", b'"'):
            needs.feed(line, in_name=bool(inside))
        table = scanner.feed(line)
        for insert in scanner.inserted:
            _note_insert(insert, version_table, facts)
        if not table:
            continue
        if table == version_table:
            rows, ended = _rows(text)
            facts.alembic_heads, count = sorted(rows), len(rows)
        else:
            count, ended = text.skip_rows()
        facts.rows[table] = facts.rows.get(table, 0) + count
        if not ended:
            return facts
    scanner.finish()
    return facts


def _counted(blocks: Iterable[bytes], facts: DumpFacts) -> Iterator[bytes]:
    for block in blocks:
        facts.bytes += len(block)
        yield block


def _rows(text: Text) -> Tuple[List[str], bool]:
    """The rows up to COPY's end, and whether that came."""
    rows: List[str] = []
    for row in iter(text.line, b""):
        if row in (b"\\.\n", b"\\.\r\n"):
            return rows, True
        rows.append(row.decode(errors="replace").rstrip("\r\n"))
    return rows, False


def _note(line: bytes, facts: DumpFacts) -> None:
    if facts.complete and not line.startswith((b"--", b"\\")) and not line.isspace():
        facts.complete = False  # what comes after the end is not of this dump
    if line.startswith(b"-- "):
        if line.startswith(END_MARKER):
            facts.complete = True
        elif _HEADER.match(line):
            facts.recognised = True
        for pattern, name in ((_SERVER, "server_version"), (_CLIENT, "client_version")):
            found = pattern.match(line)
            if found and not getattr(facts, name):
                setattr(facts, name, found.group(1).decode(errors="replace"))
    elif line.startswith(b"SELECT pg_catalog.setval("):
        note_sequence(line, facts)


def _note_insert(insert: Inserted, version_table: str, facts: DumpFacts) -> None:
    facts.inserts = True
    facts.rows[insert.table] = facts.rows.get(insert.table, 0) + insert.rows
    if insert.table == version_table:
        facts.alembic_heads = sorted([*(facts.alembic_heads or []), insert.value])


def note_sequence(statement: bytes, facts: DumpFacts) -> None:
    """Where a sequence stands, if that is what `statement` says."""
    found = _SETVAL.match(statement)
    if found:
        name = found.group(1).decode(errors="replace").replace("''", "'")
        facts.sequences[name] = int(found.group(2)) if found.group(3) == b"true" else None
