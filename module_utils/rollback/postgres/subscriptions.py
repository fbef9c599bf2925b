"""Subscriptions that a backup brought into a database that a run made: PostgreSQL drops no database that has one."""

from __future__ import annotations

from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any, List

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.words import listed

with suppress(ImportError):  # the module that uses this says so
    import psycopg
    from psycopg import sql

if TYPE_CHECKING:
    import psycopg

_OF_DATABASE = "SELECT subname FROM pg_catalog.pg_subscription WHERE subdbid = %s::oid ORDER BY 1"
# A table that is still being copied has a slot of its own at the publisher, and to drop the subscription would drop that.
_COPYING = """
SELECT DISTINCT subname FROM pg_catalog.pg_subscription s JOIN pg_catalog.pg_subscription_rel r ON r.srsubid OPERATOR(pg_catalog.=) s.oid
WHERE s.subdbid OPERATOR(pg_catalog.=) %s::oid AND r.srsubstate OPERATOR(pg_catalog.<>) 'r'"""


def drop_all(connection: "psycopg.Connection[Any]", database: str) -> List[str]:
    """Drop the subscriptions of `database`, whose publishers notice nothing of it; returns their names.

    pg_dump has them restored disabled and without a connection; a slot of theirs belongs to the live database. Raises
    RollbackError where the operator may not, or where one has begun to copy.
    """
    row = connection.execute(
        "SELECT oid::int8, datallowconn FROM pg_database WHERE datname = %s", [database]
    ).fetchone()
    names = [str(name) for (name,) in connection.execute(_OF_DATABASE, [row[0]]).fetchall()] if row else []
    if row is None or not names:
        return []
    if not row[1]:
        connection.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(sql.Identifier(database)))
    statements = [
        sql.SQL(statement).format(sql.Identifier(name))
        for name in names
        for statement in (
            "ALTER SUBSCRIPTION {} DISABLE",
            "ALTER SUBSCRIPTION {} SET (slot_name = NONE)",
            "DROP SUBSCRIPTION {}",
        )
    ]
    try:
        inside = psycopg.connect(
            connection.info.dsn, dbname=database, password=connection.info.password or None, autocommit=True
        )
        with closing(inside):
            inside.execute("SET statement_timeout = 0; SET default_transaction_read_only = off")
            copying = [str(name) for (name,) in inside.execute(_COPYING, [row[0]]).fetchall()]
            if copying:
                raise RollbackError(
                    f"Database {database} cannot be dropped: its subscription {listed(copying)} was enabled and copies from its publisher.",
                    "Drop the subscription in that database first, and its slots at the publisher.",
                )
            with inside.transaction():
                for statement in statements:
                    inside.execute(statement)
    except psycopg.Error as error:
        typed = " ".join(f"{statement.as_string(connection)};" for statement in statements)
        raise RollbackError(
            f"Database {database} cannot be dropped, since it has the subscription {listed(names)}: {str(error).strip().splitlines()[0]}.",
            f"Run in that database as a superuser: {typed}",
        ) from error
    return names
