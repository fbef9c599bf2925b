"""Partitions of a table that a downgrade drops: named in the forecast, and made again where the upgrade does not make them.

Their rows are kept and brought back through the parent. An upgrade makes the partitions that its script has; those that were
added later, by hand or by a scheduled job, are missing afterwards, and rows would find no partition.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, List, Tuple

with suppress(ImportError):  # the module that uses this reports it
    from psycopg import errors as pg_errors
    from psycopg import sql

if TYPE_CHECKING:
    import psycopg

# The whole tree below a table, parents first. Detached partitions are tables of their own and not in it.
_TREE = """
SELECT t.relid::oid::bigint, n.nspname, c.relname, pn.nspname, pc.relname, pg_get_expr(c.relpartbound, c.oid),
       coalesce(pg_get_partkeydef(c.oid), ''), c.relkind IN ('r', 'p')
FROM pg_partition_tree(%s::oid::regclass) t JOIN pg_class c ON c.oid = t.relid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class pc ON pc.oid = t.parentrelid JOIN pg_namespace pn ON pn.oid = pc.relnamespace
WHERE t.level > 0 ORDER BY t.level, n.nspname, c.relname"""


def of(connection: "psycopg.Connection[Any]", oid: int) -> List[Tuple[int, str]]:
    """Return OID and full name of each partition below the table `oid`, at any depth; empty where it has none."""
    return [(row[0], f"{row[1]}.{row[2]}") for row in connection.execute(_TREE, [oid]).fetchall()]


def note(connection: "psycopg.Connection[Any]", schema: str, copy: str, oid: int) -> None:
    """Record in the salvage schema how the partitions below the table `oid` are made."""
    table = sql.Identifier(schema, "partitions")
    connection.execute(
        sql.SQL(
            "CREATE TABLE IF NOT EXISTS {} (copy text, number int, schema text, name text, parent_schema text, parent text,"
            " bound text, key text)"
        ).format(table)
    )
    for number, (_, of_schema, name, parent_schema, parent, bound, key, local) in enumerate(
        connection.execute(_TREE, [oid]).fetchall()
    ):
        if local:  # a partition on another server is that server's
            connection.execute(
                sql.SQL("INSERT INTO {} VALUES (%s, %s, %s, %s, %s, %s, %s, %s)").format(table),
                [copy, number, of_schema, name, parent_schema, parent, bound, key],
            )


def make_again(connection: "psycopg.Connection[Any]", schema: str, copy: str, owner: str) -> List[str]:
    """Make those partitions that the upgrade has not made, for `owner`; return their names.

    What cannot be made, because its name or its range is taken, is left out: then its rows have another place, or bringing
    them back fails and names the row.
    """
    table = sql.Identifier(schema, "partitions")
    if connection.execute("SELECT to_regclass(%s)", [table.as_string(connection)]).fetchone() == (None,):
        return []
    query = sql.SQL("SELECT schema, name, parent_schema, parent, bound, key FROM {} WHERE copy = %s ORDER BY number")
    made = []
    for of_schema, name, parent_schema, parent, bound, key in connection.execute(
        query.format(table), [copy]
    ).fetchall():
        partition = sql.Identifier(of_schema, name)
        if connection.execute("SELECT to_regclass(%s)", [partition.as_string(connection)]).fetchone() != (None,):
            continue
        statement = sql.SQL("CREATE TABLE {} PARTITION OF {} {}{}").format(
            partition,
            sql.Identifier(parent_schema, parent),
            sql.SQL(bound),
            sql.SQL(f" PARTITION BY {key}" if key else ""),
        )
        with suppress(pg_errors.Error), connection.transaction():
            connection.execute(statement)
            connection.execute(sql.SQL("ALTER TABLE {} OWNER TO {}").format(partition, sql.Identifier(owner)))
            made.append(f"{of_schema}.{name}")
    return made
