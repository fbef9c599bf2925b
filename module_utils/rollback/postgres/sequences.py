"""Positions of sequences: recorded before a downgrade, which may drop or restart them, and reached again by its undo.

A position only ever moves on in a sequence's own direction: numbers that were given out since are not given out again.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, List

with suppress(ImportError):  # the module that uses this reports it
    from psycopg import errors as pg_errors
    from psycopg import sql

if TYPE_CHECKING:
    import psycopg

# CASE, since conditions are asked in any order and the function refuses whatever is no sequence.
_ALL = """
SELECT c.oid::bigint, n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE CASE WHEN c.relkind = 'S' THEN has_sequence_privilege(c.oid, 'SELECT') AND has_schema_privilege(n.oid, 'USAGE') END
  AND c.relpersistence <> 't'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'rollback\\_salvage\\_%'
ORDER BY 2, 3"""

# By how much a sequence goes on, and how far the one and the other position are. One that cycles and was not made anew is where
# it should be.
_POSITIONS = """
SELECT seqincrement, %(kept)s::numeric - CASE WHEN %(kept_called)s THEN 0 ELSE seqincrement END,
       %(now)s::numeric - CASE WHEN %(now_called)s THEN 0 ELSE seqincrement END, seqcycle AND seqrelid = %(oid)s
FROM pg_sequence WHERE seqrelid = %(sequence)s::regclass"""

# The tables of the salvage schema with the positions before a downgrade, and when it was done.
BEFORE, LEFT = "positions", "positions_left"


def note(connection: "psycopg.Connection[Any]", schema: str, name: str = BEFORE) -> None:
    """Record the position of every sequence in a table `name` of the salvage schema."""
    table = sql.Identifier(schema, name)
    connection.execute(
        sql.SQL("CREATE TABLE {} (oid bigint, schema text, name text, last bigint, called boolean)").format(table)
    )
    for oid, of_schema, of in connection.execute(_ALL).fetchall():
        # Without parameters, since names may have percent signs.
        connection.execute(
            sql.SQL("INSERT INTO {} SELECT {}, {}, {}, last_value, is_called FROM {}").format(
                table, *map(sql.Literal, (oid, of_schema, of)), sql.Identifier(of_schema, of)
            )
        )


def bring_forward(connection: "psycopg.Connection[Any]", schema: str) -> List[str]:
    """Take to its recorded position every sequence that the downgrade has moved; return sentences about those that could not be.

    One that was still where it had been when the downgrade was done is left to whoever has moved it since.
    """
    tables = [sql.Identifier(schema, name) for name in (BEFORE, LEFT)]
    before, left = (connection.execute("SELECT to_regclass(%s)", [t.as_string(connection)]).fetchone() for t in tables)
    if before == (None,):
        return []  # an older version of this tool recorded none
    there = sql.SQL(
        "SELECT b.* FROM {} b JOIN pg_class c ON c.oid = to_regclass(format('%I.%I', b.schema, b.name)) AND c.relkind = 'S'"
    ).format(tables[0])
    if left != (None,):
        there += sql.SQL(" EXCEPT SELECT * FROM {}").format(tables[1])
    notes = []
    for oid, of_schema, name, last, called in connection.execute(there).fetchall():
        sequence = sql.Identifier(of_schema, name).as_string(connection)
        try:
            with connection.transaction():
                forward(connection, sequence, last, called, oid)
        except (pg_errors.InsufficientPrivilege, pg_errors.DataError) as error:
            why = (str(error).splitlines() or [""])[0]
            notes.append(f"Sequence {of_schema}.{name} could not be set to {last} ({why}).")
    return notes


def forward(connection: "psycopg.Connection[Any]", sequence: str, last: int, called: bool, oid: int = 0) -> None:
    """Set a sequence, given by its quoted name, to a position that it is behind; `oid` is what it was when that was recorded."""
    now = connection.execute(f"SELECT last_value, is_called FROM {sequence}").fetchone()  # noqa: S608 - comes quoted
    assert now is not None  # noqa: S101 - a sequence has one row
    positions = {
        "kept": last,
        "kept_called": called,
        "now": now[0],
        "now_called": now[1],
        "sequence": sequence,
        "oid": oid,
    }
    step, kept, here, in_a_circle = connection.execute(_POSITIONS, positions).fetchone() or (1, 0, 0, False)
    if (kept - here) * step > 0 and not in_a_circle:
        connection.execute("SELECT setval(%s, %s, %s)", [sequence, last, called])
