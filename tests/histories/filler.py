"""Rows for every table of a database that nobody here designed, so that a downgrade has something to destroy.

Values are made from the catalog alone: types, keys, enums, and the literals that check constraints name. What a table
will not take is said, not hidden.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from random import Random
from typing import Any

import psycopg
from psycopg import sql

ROWS = 4
MOST_ROWS = 20
LONG = 6000
WORDS, JSON, NAMED = "words", "json", "named"
# How often a row that a constraint refuses is made anew with other values.
TRIES = 12

COLUMNS = """
SELECT a.attrelid::int8, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), t.typname, t.typtype::text,
       t.typcategory::text, coalesce(e.typname, ''), coalesce(nullif(a.atttypmod, -1), 0), a.attnotnull,
       a.attgenerated <> '' OR a.attidentity <> '' OR coalesce(pg_get_expr(d.adbin, d.adrelid) LIKE 'nextval(%', false),
       (SELECT array_agg(enumlabel::text ORDER BY enumsortorder) FROM pg_enum
        WHERE enumtypid = CASE WHEN t.typelem <> 0 THEN t.typelem ELSE t.oid END)
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_type declared ON declared.oid = a.atttypid
JOIN pg_type t ON t.oid = CASE declared.typtype WHEN 'd' THEN declared.typbasetype ELSE declared.oid END
LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped
  AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND c.relname <> 'alembic_version'
ORDER BY a.attrelid, a.attnum
"""

CONSTRAINTS = """
SELECT conrelid::int8, contype::text, conkey, confrelid::int8, confkey, pg_get_constraintdef(oid)
FROM pg_constraint WHERE contype IN ('f', 'c') AND conrelid <> 0 AND conparentid = 0 ORDER BY oid
"""

TABLES = """
SELECT c.oid::int8, n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname <> 'alembic_version'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema') ORDER BY 2, 3
"""


@dataclass(frozen=True)
class Column:
    number: int
    name: str
    declared: str
    type: str
    kind: str
    category: str
    element: str
    modifier: int
    required: bool
    automatic: bool
    labels: tuple[str, ...]


@dataclass(frozen=True)
class ForeignKey:
    columns: tuple[int, ...]
    to: int
    to_columns: tuple[int, ...]


@dataclass
class Table:
    oid: int
    schema: str
    name: str
    columns: dict[int, Column] = field(default_factory=dict)
    foreign_keys: list[ForeignKey] = field(default_factory=list)
    checks: dict[int, list[str]] = field(default_factory=dict)
    """Per column the literals that check constraints on it name."""

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(self.schema, self.name)

    @property
    def rows(self) -> int:
        """As many that each label of an enum and each allowed value occurs."""
        choices = [len(column.labels) for column in self.columns.values()] + [
            len(some) for some in self.checks.values()
        ]
        return min(max([ROWS, *choices]), MOST_ROWS)


@dataclass(frozen=True)
class Texts:
    """How texts are written. What a migration names in its source is looked for only in the style NAMED."""

    style: str
    source: str = ""

    @cached_property
    def names(self) -> frozenset[str]:
        return frozenset(re.findall(r"\w+", self.source)) if self.style == NAMED else frozenset()

    @cached_property
    def literals(self) -> list[str]:
        """Single words between quotes, those of SQL in a string included; a pattern of LIKE is cut down to what matches it."""
        found = re.findall(r"""['"]([\w:%.-]{1,40})['"]""", self.source)
        return sorted({word.replace("%", "") for word in found if word.strip("%")})

    def value(self, column: Column, turn: int) -> str | None:
        """A literal of the source, empty for NULL; None where the column takes no literals."""
        if not column.required and turn == 0 and re.search(r"is\s+null", self.source, re.IGNORECASE):
            return ""
        if turn == 1 and column.type == "text":
            # Longer than any limit that a migration narrows a text to.
            return f"{column.name} " * (LONG // len(column.name))
        if column.category != "S" or not self.literals:
            return None
        return self.literals[turn % len(self.literals)][: column.modifier - 4 if column.modifier else None]

    @property
    def rows(self) -> int:
        return len(self.literals) if self.style == NAMED else 0


def fill(connection: psycopg.Connection, texts: str = WORDS, source: str = "") -> list[str]:
    """Give every table rows with a value in every column; what could not be filled comes back, a sentence each.

    `texts` is WORDS, JSON for text columns in which the application keeps JSON, or NAMED: columns that the migration's
    `source` names get the literals that it names, NULL once and a long text once, so that its conditions hold for some rows.
    """
    tables = _read(connection)
    refused = []
    for table in _parents_first(tables):
        sentence = _fill(connection, table, tables, Texts(texts, source))
        if sentence:
            refused.append(sentence)
    for table in tables.values():
        for key in table.foreign_keys:
            _refer(connection, table, tables[key.to], key)
    return refused


def _refer(connection: psycopg.Connection, table: Table, parent: Table, key: ForeignKey) -> None:
    """Let rows that came before those they refer to refer to them now: tables may refer to each other in a circle."""
    if len(key.columns) > 1 or key.to == table.oid or table.columns[key.columns[0]].required:
        return
    mine, theirs = table.columns[key.columns[0]].name, parent.columns[key.to_columns[0]].name
    statement = """
    WITH parent AS (SELECT {theirs} AS value, row_number() OVER (ORDER BY ctid) - 1 AS turn FROM {parent}),
         child AS (SELECT ctid AS place, row_number() OVER (ORDER BY ctid) - 1 AS turn FROM {table} WHERE {mine} IS NULL)
    UPDATE {table} SET {mine} = parent.value FROM child, parent
    WHERE {table}.ctid = child.place AND parent.turn = child.turn % (SELECT count(*) FROM parent)
    """
    names = {"mine": sql.Identifier(mine), "theirs": sql.Identifier(theirs)}
    # A constraint that says that one of two columns must be NULL, say.
    with suppress(psycopg.errors.IntegrityError), connection.transaction():
        connection.execute(sql.SQL(statement).format(table=table.identifier, parent=parent.identifier, **names))


def _read(connection: psycopg.Connection) -> dict[int, Table]:
    tables = {oid: Table(oid, schema, name) for oid, schema, name in connection.execute(TABLES)}
    for oid, *column, labels in connection.execute(COLUMNS):
        tables[oid].columns[column[0]] = Column(*column, labels=tuple(labels or ()))
    for oid, kind, columns, to, to_columns, definition in connection.execute(CONSTRAINTS):
        table = tables.get(oid)
        if table is None:
            continue
        if kind == "f":
            table.foreign_keys.append(ForeignKey(tuple(columns), to, tuple(to_columns)))
        elif columns:
            literals = re.findall(r"'((?:[^']|'')*)'", definition) or re.findall(
                r"(?<![\w.])-?\d+(?:\.\d+)?\b", definition
            )
            for number in columns:
                table.checks.setdefault(number, []).extend(literals)
    return tables


def _parents_first(tables: dict[int, Table]) -> Iterator[Table]:
    waiting = dict(tables)
    while waiting:
        ready = [
            table
            for table in waiting.values()
            if not any(key.to in waiting and key.to != table.oid and _must(table, key) for key in table.foreign_keys)
        ]
        # A circle of required keys cannot be entered by inserts alone; its tables will say so.
        ready = ready or list(waiting.values())
        # One with optional keys waits for those as well, while another can go first.
        free = [
            table for table in ready if not any(key.to in waiting and key.to != table.oid for key in table.foreign_keys)
        ]
        for table in free or ready[:1]:
            del waiting[table.oid]
            yield table


def _must(table: Table, key: ForeignKey) -> bool:
    return all(table.columns[number].required for number in key.columns)


def _fill(connection: psycopg.Connection, table: Table, tables: dict[int, Table], texts: Texts) -> str:
    """Insert rows; the sentence says why there are none, where there are none."""
    # Always the same rows: what was measured once can be measured again.
    random = Random(table.name)  # noqa: S311 - no secret
    error = ""
    made = 0
    named = texts.rows if table.name in texts.names else 0
    for row in range(min(max(table.rows, named), MOST_ROWS)):
        for attempt in range(TRIES):
            try:
                with connection.transaction():
                    values = _row(connection, table, tables, row, attempt, random, texts)
                    _insert(connection, table, values)
            except psycopg.Error as refusal:
                error = str(refusal).split("\n")[0]
                # A table that wants one row at most, such as a singleton, has it by now.
                if made and isinstance(refusal, psycopg.errors.UniqueViolation) and attempt > 3:
                    break
            else:
                made += 1
                break
    return "" if made else f"{table.name}: {error}"


def _insert(connection: psycopg.Connection, table: Table, values: dict[int, Any]) -> None:
    columns = [table.columns[number] for number in values]
    statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
        table.identifier,
        sql.SQL(", ").join(sql.Identifier(column.name) for column in columns),
        sql.SQL(", ").join(sql.SQL("{}::" + column.declared).format(sql.Placeholder()) for column in columns),
    )
    if not values:
        statement = sql.SQL("INSERT INTO {} DEFAULT VALUES").format(table.identifier)
    # Literals that PostgreSQL reads as the column's own type: as text, whatever the type.
    connection.execute(statement, [None if value is None else str(value) for value in values.values()])


def _row(
    connection: psycopg.Connection,
    table: Table,
    tables: dict[int, Table],
    row: int,
    attempt: int,
    random: Random,
    texts: Texts,
) -> dict[int, Any]:
    values: dict[int, Any] = {}
    for turn, key in enumerate(sorted(table.foreign_keys, key=lambda key: -len(key.columns))):
        # Two keys to one table first choose the same row there, then different ones.
        parent = _parent(connection, table, tables[key.to], key, values, row + attempt * (turn + 1))
        if parent is None and key.to != table.oid and not _must(table, key):
            parent = tuple(None for _ in key.columns)
        if parent is not None:
            values.update(zip(key.columns, parent, strict=True))
        elif key.to == table.oid:
            # The first row of a table that refers to itself refers to nothing, or to itself.
            for number in key.columns:
                if not table.columns[number].required:
                    values.setdefault(number, None)
    for number, column in table.columns.items():
        if number in values or column.automatic:
            continue
        values[number] = _value(table, column, row, attempt, random, texts)
    for key in table.foreign_keys:
        if key.to == table.oid:
            for mine, theirs in zip(key.columns, key.to_columns, strict=True):
                if mine not in values and theirs in values:
                    values[mine] = values[theirs]
    return values


def _parent(
    connection: psycopg.Connection, table: Table, parent: Table, key: ForeignKey, values: dict[int, Any], row: int
) -> tuple[Any, ...] | None:
    """The key of one row of `parent` that agrees with what is chosen already; another one for another row."""
    fixed = [
        (parent.columns[theirs].name, values[mine])
        for mine, theirs in zip(key.columns, key.to_columns, strict=True)
        if values.get(mine) is not None
    ]
    names = [sql.Identifier(parent.columns[number].name) for number in key.to_columns]
    condition = sql.SQL(" AND ").join(sql.SQL("{}::text = %s").format(sql.Identifier(name)) for name, _ in fixed)
    found = connection.execute(
        sql.SQL("SELECT {} FROM {} WHERE {} ORDER BY ctid").format(
            sql.SQL(", ").join(sql.SQL("{}::text").format(name) for name in names),
            parent.identifier,
            condition if fixed else sql.SQL("true"),
        ),
        [value for _, value in fixed],
    ).fetchall()
    return found[row % len(found)] if found else None


def _value(table: Table, column: Column, row: int, attempt: int, random: Random, texts: Texts) -> Any:
    """A literal for `column`, different in each row where the type has room for it."""
    choices = table.checks.get(column.number, [])
    if choices and attempt < TRIES - 2:
        # The literals of a check are usually the allowed values, or bounds.
        return choices[row % len(choices)] if attempt == 0 else random.choice([*choices, *_bounds(choices)])
    if column.category == "A":
        element = Column(**{**column.__dict__, "type": column.element, "category": "", "kind": "b"})
        inner = (
            column.labels[row % len(column.labels)] if column.labels else _scalar(table, element, row, attempt, texts)
        )
        return "{" + json.dumps(str(inner)) + "}"
    if column.kind == "e" and not column.labels:
        return None
    if attempt < 3 and {table.name, column.name} <= texts.names:
        named = texts.value(column, row + attempt)
        if named is not None:
            return named or None
    if column.labels:
        return column.labels[(row + attempt) % len(column.labels)]
    return _scalar(table, column, row, attempt, texts)


def _bounds(choices: list[str]) -> list[Any]:
    return [int(choice) + step for choice in choices if re.fullmatch(r"-?\d+", choice) for step in (-1, 1)]


def _scalar(table: Table, column: Column, row: int, attempt: int, texts: Texts) -> Any:
    turn = row + attempt * 31
    # Stands for the place, so that a value that turns up elsewhere is known again.
    place = int(hashlib.sha256(f"{table.name}.{column.name}".encode()).hexdigest(), 16)
    maker = SCALARS.get(column.type)
    if maker:
        return maker(turn, place)
    length = column.modifier - 4 if column.type in {"varchar", "bpchar"} and column.modifier else 200
    if attempt % 3 == 1 or (texts.style == JSON and length > 20):
        return json.dumps({column.name: turn})[:length]
    tag = f"{hashlib.sha256(f'{place} {turn}'.encode()).hexdigest()[:8]}"
    return f"{tag}-{table.name}-{column.name}"[: min(length, 60)]


def _bits(length: int) -> Callable[[int, int], str]:
    return lambda turn, place: format((turn * 7 + place) % 2**length, f"0{length}b")


SCALARS: dict[str, Callable[[int, int], Any]] = {
    "bool": lambda turn, place: "true" if (turn + place) % 2 else "false",
    "int2": lambda turn, place: turn + 1 + place % 1000,
    "int4": lambda turn, place: turn + 1 + place % 100_000,
    "int8": lambda turn, place: turn + 1 + place % 100_000,
    "float4": lambda turn, place: turn + place % 1000 + 0.5,
    "float8": lambda turn, place: turn + place % 10_000 + 0.5,
    "numeric": lambda turn, place: turn + place % 9,
    "money": lambda turn, place: turn + place % 1000,
    "date": lambda turn, place: f"2024-{1 + place % 12:02}-{1 + turn % 28:02}",
    "time": lambda turn, place: f"{place % 24:02}:{turn % 60:02}:11",
    "timetz": lambda turn, place: f"{place % 24:02}:{turn % 60:02}:11+00",
    "timestamp": lambda turn, place: f"2024-{1 + place % 12:02}-{1 + turn % 28:02} {place % 24:02}:11:12.345678",
    "timestamptz": lambda turn, place: f"2024-{1 + place % 12:02}-{1 + turn % 28:02} {place % 24:02}:11:12.345678+00",
    "interval": lambda turn, place: f"{turn + 1} days {place % 24} hours",
    "uuid": lambda turn, place: format((place + turn) % 2**128, "032x"),
    "bytea": lambda turn, place: "\\x" + format((place + turn) % 2**128, "032x"),
    "json": lambda turn, place: json.dumps({"turn": turn, "place": place % 1000}),
    "jsonb": lambda turn, place: json.dumps({"turn": turn, "place": place % 1000}),
    "inet": lambda turn, place: f"10.0.{place % 256}.{turn % 256}",
    "cidr": lambda turn, place: f"10.{place % 256}.{turn % 256}.0/24",
    "macaddr": lambda turn, place: f"08:00:2b:01:{place % 256:02x}:{turn % 256:02x}",
    "bit": _bits(1),
    "varbit": _bits(8),
    "tsvector": lambda turn, place: f"word{turn} place{place % 1000}",
    "xml": lambda turn, place: f"<turn>{turn}</turn>",
    "point": lambda turn, place: f"({turn},{place % 1000})",
    "oid": lambda turn, place: turn + place % 1000,
    "int4range": lambda turn, place: f"[{turn},{turn + 5})",
    "int8range": lambda turn, place: f"[{turn},{turn + 5})",
    "numrange": lambda turn, place: f"[{turn},{turn + 5})",
    "daterange": lambda turn, place: f"[2024-01-{1 + turn % 20:02},2024-02-01)",
    "tstzrange": lambda turn, place: f"[2024-01-{1 + turn % 20:02},2024-02-01)",
    "hstore": lambda turn, place: f"turn=>{turn}",
}
