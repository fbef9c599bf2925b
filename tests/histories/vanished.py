"""What of the rows of a database is gone after a migration, found by looking at every value before and after.

A measuring instrument: it knows nothing of migrations, nor of the code under test. A table is followed by its identity
through renames, a column by its number, a row by its key, or else by its likeness. What is gone from its place and found
again in a place that did not hold it before was moved, and is not lost.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal

import psycopg
from psycopg import sql

TABLE, COLUMN, VALUES, ROWS = "table", "column", "values", "rows"

TABLES = """
SELECT c.oid::int8, n.nspname, c.relname, coalesce((SELECT conkey FROM pg_constraint
       WHERE conrelid = c.oid AND contype IN ('p', 'u') ORDER BY contype, oid LIMIT 1), '{}')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't' AND c.relname <> 'alembic_version'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema')
"""
COLUMNS = "SELECT attnum, attname FROM pg_attribute WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped ORDER BY 1"

Row = dict[int, str]
# How texts of filler.py begin.
TAG = re.compile(r"[0-9a-f]{8}-\w")
UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")


@dataclass(frozen=True)
class Vanished:
    """`column` is empty for TABLE and ROWS. `rows` held something before that none of them holds now."""

    kind: str
    table: str
    column: str
    rows: int


@dataclass(frozen=True)
class Table:
    oid: int
    schema: str
    name: str
    key: tuple[int, ...]
    columns: dict[int, str]
    rows: list[Row]

    def number(self, column: str) -> int | None:
        return next((number for number, name in self.columns.items() if name == column), None)

    def values(self, number: int) -> list[str]:
        return [row[number] for row in self.rows if number in row]


Snapshot = dict[int, Table]


def snapshot(connection: psycopg.Connection) -> Snapshot:
    """Every value of every table, NULLs left out, written in one way whatever type it has."""
    connection.execute("SET TIME ZONE 'UTC'")
    tables = {}
    for oid, schema, name, key in connection.execute(TABLES).fetchall():
        columns = dict(connection.execute(COLUMNS, [oid]).fetchall())
        texts = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(column)) for column in columns.values())
        found = connection.execute(
            sql.SQL("SELECT {} FROM {} ORDER BY ctid").format(texts, sql.Identifier(schema, name))
        )
        rows = [
            {number: _plain(value) for number, value in zip(columns, row, strict=True) if value is not None}
            for row in found
        ]
        tables[oid] = Table(oid, schema, name, tuple(key), columns, rows)
    return tables


def since(before: Snapshot, after: Snapshot) -> list[Vanished]:
    """What `before` held and `after` does not, in the names of `before`."""
    heirs = _Heirs(before, after)
    found = []
    for table in before.values():
        if table.rows:
            found += _of_table(table, _same_table(table, before, after), heirs)
    return sorted(found, key=lambda one: (one.table, one.kind, one.column))


def _of_table(table: Table, now: Table | None, heirs: _Heirs) -> Iterator[Vanished]:
    if now is None:
        if not heirs.hold_table(table):
            yield Vanished(TABLE, table.name, "", len(table.rows))
        return
    # Followed by number where it is the same table, by name where it is another one that took its place.
    place = {
        number: (number if number in now.columns else None) if now.oid == table.oid else now.number(name)
        for number, name in table.columns.items()
    }
    pairs = _pairs(table, now, place)
    gone = [row for row, match in pairs if match is None]
    if gone and not heirs.hold_rows(table, gone):
        yield Vanished(ROWS, table.name, "", len(gone))
    kept = [(row, match) for row, match in pairs if match is not None]
    for number, name in table.columns.items():
        to = place[number]
        lost = [(row, match) for row, match in kept if number in row and match.get(to) != row[number]]
        if not lost or heirs.hold_values(table, number, now, lost):
            continue
        yield Vanished(VALUES if to is not None else COLUMN, table.name, name, len(lost))


def _same_table(table: Table, before: Snapshot, after: Snapshot) -> Table | None:
    if table.oid in after:
        return after[table.oid]
    named = (one for one in after.values() if (one.schema, one.name) == (table.schema, table.name))
    return next((one for one in named if one.oid not in before), None)


def _pairs(table: Table, now: Table, place: dict[int, int | None]) -> list[tuple[Row, Row | None]]:
    """Each row of before with what became of it."""
    free = list(now.rows)
    pairs: list[tuple[Row, Row | None]] = []
    key = [(number, place[number]) for number in table.key]
    by_key = table.key and all(to is not None for _, to in key)
    index = {tuple(row.get(to) for _, to in key): row for row in now.rows} if by_key else {}
    for row in table.rows:
        match = index.get(tuple(row.get(number) for number, _ in key))
        if match is None:
            match = max(free, key=lambda other: _likeness(row, other, place), default=None)
            if match is None or _likeness(row, match, place) < 0.5:
                match = None
        if match is not None and any(match is other for other in free):
            free = [other for other in free if other is not match]
        pairs.append((row, match))
    return pairs


def _likeness(row: Row, other: Row, place: dict[int, int | None]) -> float:
    """The part of the values that both can have which both have."""
    common = [number for number in row if place[number] is not None]
    equal = sum(row[number] == other.get(place[number]) for number in common)
    return equal / len(common) if common else 0.0


class _Heirs:
    """Places that hold after the migration what they did not hold before it."""

    def __init__(self, before: Snapshot, after: Snapshot) -> None:
        self._gains: list[tuple[Table, int, Counter[str]]] = []
        for table in after.values():
            old = before.get(table.oid)
            for number in table.columns:
                held = Counter(old.values(number)) if old and number in old.columns else Counter()
                gain = Counter(table.values(number)) - held
                if gain:
                    self._gains.append((table, number, gain))

    def hold_table(self, table: Table) -> bool:
        return self.hold_rows(table, table.rows)

    def hold_rows(self, table: Table, rows: list[Row]) -> bool:
        """Whether one table has taken all that tells these rows apart from others."""
        telling = [number for number in table.columns if self._tells([row[number] for row in rows if number in row])]
        homes: Counter[int] = Counter()
        for number in telling:
            values = {row[number] for row in rows if number in row}
            homes.update({heir.oid for heir, _, gain in self._gains if values <= gain.keys()})
        return bool(telling) and any(count == len(telling) for count in homes.values())

    def hold_values(self, table: Table, number: int, now: Table, lost: list[tuple[Row, Row]]) -> bool:
        """Whether another column of the same rows has the values, or a column elsewhere that gained all of them."""
        for heir, to, gain in self._gains:
            if heir is now and to != number and all(match.get(to) == row[number] for row, match in lost):
                return True
            values = [row[number] for row, _ in lost]
            if self._tells(values) and set(values) <= gain.keys():
                return True
        return False

    @staticmethod
    def _tells(values: list[str]) -> bool:
        """Whether to find these values elsewhere can be no accident: several long ones, or one that occurs only once."""
        return all(len(value) >= 6 for value in values) and (
            len(set(values)) > 1 or any(TAG.match(value) for value in values)
        )


def _plain(value: str) -> str:
    """The value without what differs between the types that can hold it: 1.0, 1 and true; JSON by its content."""
    if value.startswith("\\x"):
        # Text that is kept as bytes is the same text.
        with suppress(ValueError):
            value = bytes.fromhex(value[2:]).decode()
    if value in {"true", "false"}:
        return str(int(value == "true"))
    if re.fullmatch(r"-?\d+\.\d+", value):
        return str(Decimal(value).normalize())
    if UUID.fullmatch(value):
        return value.replace("-", "")
    if value[:1] in '{["':
        try:
            return json.dumps(json.loads(value), sort_keys=True)
        except ValueError:
            return value
    # A time with its zone: the session's is UTC.
    return re.sub(r"(\d\d:\d\d:\d\d(?:\.\d+)?)\+00$", r"\1", value)
