"""Reads a dump from its first byte to its last, as SQL, and says what is in it.

Listing an archive or loading a plain file proves little: a truncated archive still lists, and a plain dump
cut at a line's end loads without an error. Only a full read sees the end.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple

from ansible.module_utils.rollback.backups import identifiers
from ansible.module_utils.rollback.backups.contents import Contents
from ansible.module_utils.rollback.backups.dump_text import END_MARKER, HEADER, Text
from ansible.module_utils.rollback.backups.messages import MESSAGE
from ansible.module_utils.rollback.backups.requirements import Requirements, RequirementsReader
from ansible.module_utils.rollback.backups.scan import Scanner
from ansible.module_utils.rollback.backups.statements import Inserted

_OPENING = re.compile(rb"-- PostgreSQL database dump\s*$")
_SERVER = re.compile(rb"-- Dumped from database version (\S+)")
_CLIENT = re.compile(rb"-- Dumped by pg_dump version (\S+)")
_SETVAL = re.compile(rb"SELECT pg_catalog\.setval\('((?:[^']|'')+)', (-?\d+), (true|false)\);")


class Line(NamedTuple):
    number: int
    text: bytes


@dataclass
class DumpFacts:
    """`rows` counts the rows of each table, `bytes` all of the dump as SQL; neither is known where they were not read.

    With `inserts` they came as INSERT statements, and a table without rows does not occur among them.
    `found` is what it says beyond what restores one database, by kind (scan.KINDS); `needs` is what the server must have,
    `contents` what it creates. `message` is the first line that a program said into the dump, `behind` the first one behind its end.

    A partition whose rows load through the root of its table (`through_root`: (schema and name, the table that COPY names)) counts
    as itself once `settle` knows from `partitions` that it is one.
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
    message: Optional[Line] = None
    behind: Optional[Line] = None
    makes_tables: bool = False
    partitions: Dict[str, str] = field(default_factory=dict)
    through_root: Dict[Tuple[Tuple[str, str], str], int] = field(default_factory=dict)


def read(blocks: Iterable[bytes], version_table: str) -> DumpFacts:
    """Read a plain dump, or an archive as pg_restore writes it out. `blocks` may be of any size, and cut anywhere."""
    facts = DumpFacts()
    scanner, needs = Scanner(note=facts.contents.note), RequirementsReader(facts.needs)
    facts.found, facts.partitions = scanner.found, scanner.partitions
    script = scanner.script
    text = Text(_counted(blocks, facts))
    versions = ".".join(map(identifiers.quoted, identifiers.parts(version_table)))
    source = ("", "")  # whose rows come, by the comment above them
    for line in iter(text.line, b""):
        inside = script.inside
        if script.between_statements:
            header = HEADER.match(line)
            if header:
                source = (_said(header, "schema"), _said(header, "name")) if header["data"] else ("", "")
            _note(Line(text.lines, line), facts)
            facts.contents.note_line(line)
        if not inside and not facts.message and MESSAGE.match(line):
            facts.message = Line(text.lines, line)
        if inside in (b"", b'"'):
            needs.feed(line, in_name=bool(inside))
        table = scanner.feed(line)
        for insert in scanner.inserted:
            _note_insert(insert, versions, facts)
            _note_rows(insert.table, insert.rows, source, facts)
        if not table:
            continue
        if table == versions:
            rows, ended = _rows(text)
            facts.alembic_heads, count = sorted(rows), len(rows)
        else:
            count, ended = text.skip_rows()
        _note_rows(table, count, source, facts)
        if not ended:
            return facts
    scanner.finish()
    facts.makes_tables = scanner.makes_tables
    settle(facts)
    return facts


def settle(facts: DumpFacts) -> None:
    """Count rows that load through the root of a partitioned table as those of the partition that they were dumped from.

    What the comment above them says counts where the dump attaches that partition to that table.
    """
    known = {_sourced(partition): partition for partition in facts.partitions}
    for (source, table), count in list(facts.through_root.items()):
        partition = above = known.get(source, "")
        for _ in facts.partitions:
            if above != table:
                above = facts.partitions.get(above, above)
        if not partition or above != table:
            continue
        del facts.through_root[source, table]
        facts.rows[partition] = facts.rows.get(partition, 0) + count
        left = facts.rows.pop(table, 0) - count
        if left:
            facts.rows[table] = left


def _said(header: "re.Match[bytes]", what: str) -> str:
    return header[what].decode(errors="replace")


def _sourced(table: str) -> Tuple[str, str]:
    """Schema and name as pg_dump says them in comments, where a name is on one line."""
    schema, name = ["", *(part.replace("\n", " ").replace("\r", " ") for part in identifiers.parts(table))][-2:]
    return schema, name


def _counted(blocks: Iterable[bytes], facts: DumpFacts) -> Iterator[bytes]:
    for block in blocks:
        facts.bytes += len(block)
        yield block


def _rows(text: Text) -> Tuple[List[str], bool]:
    """The rows up to COPY's end, and whether that came."""
    rows: List[bytes] = []
    try:
        for block in text.rows():
            rows += block[:-1].split(b"\n")
    except EOFError:
        return [row.decode(errors="replace") for row in rows], False
    text.lines += len(rows) + 1
    return [row.decode(errors="replace") for row in rows], True


def _note_rows(table: str, count: int, source: Tuple[str, str], facts: DumpFacts) -> None:
    facts.rows[table] = facts.rows.get(table, 0) + count
    if source[1] and source != _sourced(table):
        facts.through_root[source, table] = facts.through_root.get((source, table), 0) + count


def _note(said: Line, facts: DumpFacts) -> None:
    line = said.text
    if facts.complete and not line.startswith((b"--", b"\\")) and not line.isspace():
        facts.complete, facts.behind = False, said  # what comes after the end is not of this dump
    if line.startswith(b"-- "):
        if line.startswith(END_MARKER):
            facts.complete, facts.behind = True, None
        elif _OPENING.match(line):
            facts.recognised = True
        for pattern, name in ((_SERVER, "server_version"), (_CLIENT, "client_version")):
            found = pattern.match(line)
            if found and not getattr(facts, name):
                setattr(facts, name, found.group(1).decode(errors="replace"))
    elif line.startswith(b"SELECT pg_catalog.setval("):
        note_sequence(line, facts)


def _note_insert(insert: Inserted, version_table: str, facts: DumpFacts) -> None:
    facts.inserts = True
    if insert.table == version_table:
        facts.alembic_heads = sorted([*(facts.alembic_heads or []), insert.value])


def note_sequence(statement: bytes, facts: DumpFacts) -> None:
    """Where a sequence stands, if that is what `statement` says."""
    found = _SETVAL.match(statement)
    if found:
        name = identifiers.canonical(found.group(1).decode(errors="replace").replace("''", "'"))
        facts.sequences[name] = int(found.group(2)) if found.group(3) == b"true" else None
