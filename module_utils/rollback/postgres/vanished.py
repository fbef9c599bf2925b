"""What a database no longer holds, seen by looking at every value before and after.

It knows nothing of migrations. A table is followed by its OID through renames, a column by its number. What is gone from
its place, and found again whole in a place that did not hold it before, was moved and is not lost. Columns are told apart
by the sum of the hashes of their values as text, so a type that writes the same values otherwise counts as rewritten.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from ansible.module_utils.rollback.migrations.operations import COLUMN, ROWS, TABLE, VALUES

with suppress(ImportError):  # the module that uses this says so
    from psycopg import sql

if TYPE_CHECKING:
    import psycopg

_TABLES = """
SELECT c.oid::int8, n.nspname, c.relname,
       ARRAY(SELECT attnum::int4 FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped ORDER BY attnum),
       ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped ORDER BY attnum),
       row_security_active(c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'rollback_salvage_%%'
  AND n.nspname || '.' || c.relname <> ALL(%s)
ORDER BY 1"""

_SETTINGS = """
SET LOCAL DateStyle = ISO; SET LOCAL IntervalStyle = postgres; SET LOCAL TimeZone = 'UTC';
SET LOCAL extra_float_digits = 1; SET LOCAL bytea_output = hex; SET LOCAL row_security = off"""

# A column's number → its name, how many values it holds, and the sum of their hashes.
Columns = Dict[int, Tuple[str, int, str]]


@dataclass(frozen=True)
class Seen:
    """A table and what it holds. Of one whose rows row-level security has `hidden` only its columns are known."""

    oid: int
    schema: str
    name: str
    rows: int
    columns: Columns
    hidden: bool = False

    def as_dict(self) -> Dict[str, Any]:
        return {**asdict(self), "columns": [[number, *column] for number, column in self.columns.items()]}

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> "Seen":
        columns = {int(number): (name, int(count), total) for number, name, count, total in found["columns"]}
        return cls(**{**found, "columns": columns})

    def number(self, name: str) -> Optional[int]:
        return next((number for number, column in self.columns.items() if column[0] == name), None)

    @property
    def contents(self) -> "set[Tuple[int, str]]":
        """What its columns hold, without their names; empty ones look all alike and are left out."""
        return {column[1:] for column in self.columns.values() if column[1]}


@dataclass(frozen=True)
class Vanished:
    """`count` is rows (of tables and rows) or values (of columns and values); of values it says how many there were.

    It is 0 for what row-level security hides.
    """

    kind: str
    schema: str
    table: str
    columns: Tuple[str, ...]
    count: int

    def as_dict(self) -> Dict[str, Any]:
        return {**asdict(self), "columns": list(self.columns)}


def look(connection: "psycopg.Connection[Any]", version_tables: Sequence[str]) -> List[Seen]:
    """Every table but Alembic's own. Reads the whole database once."""
    seen = []
    with connection.transaction():
        connection.execute(_SETTINGS)
        for oid, schema, name, numbers, names, hidden in connection.execute(_TABLES, [list(version_tables)]).fetchall():
            if hidden:
                unknown: Columns = {number: (column, 0, "") for number, column in zip(numbers, names)}
                seen.append(Seen(oid, schema, name, 0, unknown, hidden))
                continue
            per_column = [
                sql.SQL("count({0}), coalesce(sum(hashtextextended({0}::text, 0)::numeric), 0)::text").format(
                    sql.Identifier(column)
                )
                for column in names
            ]
            query = sql.SQL("SELECT {} FROM {}").format(
                sql.SQL(", ").join([sql.SQL("count(*)"), *per_column]), sql.Identifier(schema, name)
            )
            rows, *found = connection.execute(query).fetchone() or (0,)
            columns = {
                number: (column, found[2 * index], found[2 * index + 1])
                for index, (number, column) in enumerate(zip(numbers, names))
            }
            seen.append(Seen(oid, schema, name, rows, columns))
    return seen


def since(before: List[Seen], after: List[Seen]) -> List[Vanished]:
    """What `before` held and `after` does not, in the names of `before`."""
    known = {table.oid: table for table in before}
    gained = _gained(known, after)
    found: List[Vanished] = []
    for table in before:
        if table.hidden:
            found += _of_hidden_table(table, _same(table, known, after))
        elif table.rows:
            found += _of_table(table, _same(table, known, after), gained)
    return found


def _of_table(table: Seen, now: Optional[Seen], gained: Mapping[int, "set[Tuple[int, str]]"]) -> Iterator[Vanished]:
    if now is None:
        if not any(table.contents <= contents for contents in gained.values()):
            yield Vanished(TABLE, table.schema, table.name, (), table.rows)
        return
    anywhere = {content for contents in gained.values() for content in contents}
    if now.rows < table.rows:
        yield Vanished(ROWS, table.schema, table.name, (), table.rows - now.rows)
    for number, (name, count, total) in table.columns.items():
        # Followed by number where it is the same table, by name where another one took its place.
        place = (number if number in now.columns else None) if now.oid == table.oid else now.number(name)
        if not count or (count, total) in anywhere:
            continue
        if place is None:
            yield Vanished(COLUMN, table.schema, table.name, (name,), count)
        elif now.rows >= table.rows and now.columns[place][1:] != (count, total):
            yield Vanished(VALUES, table.schema, table.name, (name,), count)


def _of_hidden_table(table: Seen, now: Optional[Seen]) -> Iterator[Vanished]:
    """What is gone of a table into which nobody could look: how much that was is not known."""
    if now is None:
        yield Vanished(TABLE, table.schema, table.name, (), 0)
        return
    for number, (name, _, _) in table.columns.items():
        if (number not in now.columns) if now.oid == table.oid else now.number(name) is None:
            yield Vanished(COLUMN, table.schema, table.name, (name,), 0)


def _same(table: Seen, known: Mapping[int, Seen], after: List[Seen]) -> Optional[Seen]:
    """The table that is this one, or else a new one that took its name."""
    named = [one for one in after if (one.schema, one.name) == (table.schema, table.name) and one.oid not in known]
    return next((one for one in after if one.oid == table.oid), next(iter(named), None))


def _gained(known: Mapping[int, Seen], after: List[Seen]) -> "Dict[int, set[Tuple[int, str]]]":
    """By table, what columns of it hold now and did not hold before."""
    gained = {}
    for table in after:
        old = known[table.oid].columns if table.oid in known else {}
        gained[table.oid] = {
            column[1:]
            for number, column in table.columns.items()
            if column[1] and old.get(number, ("",))[1:] != column[1:]
        }
    return gained
