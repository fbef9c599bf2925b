"""Who is connected to a database, and ending their sessions."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, List

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.words import listed

with suppress(ImportError):  # the module that uses this says so
    from psycopg import errors as pg_errors
    from psycopg import sql

if TYPE_CHECKING:
    import psycopg

GRACE_S = 15.0
_PAUSE_S = 0.02

# PostgreSQL itself sends autovacuum away when a database is renamed or dropped, and parallel workers go with their leader.
# Of sessions that the operator's role may not look into, only the role is shown; what has none is PostgreSQL's own.
_SESSIONS = """
SELECT pid, usename, application_name, datname FROM pg_stat_activity
WHERE datname = ANY(%s) AND pid <> pg_backend_pid() AND usesysid IS NOT NULL
  AND coalesce(backend_type, 'client backend') NOT IN ('autovacuum worker', 'parallel worker') ORDER BY pid"""


def end_sessions(connection: "psycopg.Connection[Any]", databases: List[str], grace: float = GRACE_S) -> int:
    """End every session of `databases` and wait until they are gone; returns how many there were.

    Raises RollbackError where one cannot be ended, naming it.
    """
    ended: "set[int]" = set()
    deadline = time.monotonic() + grace
    while True:
        rows = connection.execute(_SESSIONS, [databases]).fetchall()
        if not rows:
            return len(ended)
        if time.monotonic() > deadline:
            who = listed(
                f"{user or 'the server'} ({application or 'process'} {pid}, on {database})"
                for pid, user, application, database in rows
            )
            raise RollbackError(
                f"These sessions did not end within {grace:.0f} s: {who}.",
                "Stop them by hand, then run the same command again.",
            )
        for pid, *_ in rows:
            if pid not in ended:
                _terminate(connection, pid)
                ended.add(pid)
        time.sleep(_PAUSE_S)


def allow_connections(connection: "psycopg.Connection[Any]", database: str, allowed: bool) -> bool:
    """Open or close the door to new sessions (superusers' too); False where it stood so already."""
    row = connection.execute("SELECT datallowconn FROM pg_database WHERE datname = %s", [database]).fetchone()
    if row is None or row[0] == allowed:
        return False
    connection.execute(
        sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}").format(sql.Identifier(database), sql.Literal(allowed))
    )
    return True


def _terminate(connection: "psycopg.Connection[Any]", pid: int) -> None:
    try:
        connection.execute("SELECT pg_terminate_backend(%s)", [pid])
    except pg_errors.InsufficientPrivilege as error:
        raise RollbackError(
            f"Session {pid} cannot be ended: {str(error).strip()}.",
            "Grant pg_signal_backend to the operator's role; a superuser's session needs a superuser.",
        ) from error
