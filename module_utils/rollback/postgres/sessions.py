"""Who is connected to a database, and ending their sessions."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Dict, List, Sequence

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.words import listed

with suppress(ImportError):  # the module that uses this says so
    from psycopg import errors as pg_errors
    from psycopg import sql

if TYPE_CHECKING:
    import psycopg

GRACE_S = 15.0
# For sessions that the operator's role may not end: once the door is closed they do not come back, and many are short.
LEAVE_S = 3.0
_PAUSE_S = 0.02

# PostgreSQL itself sends autovacuum away when a database is renamed or dropped, and parallel workers go with their leader.
# Of sessions that the operator's role may not look into, only the role is shown; what has none is PostgreSQL's own.
# A session that has just passed the door is not listed yet, but locks the database until it is: such ones come first, so
# that none can slip from one list into the other unseen. They are waited for.
_SESSIONS = """
SELECT pid, NULL, NULL, datname, false FROM pg_locks JOIN pg_database d ON objid = d.oid
WHERE locktype = 'object' AND classid = 'pg_database'::regclass AND mode = 'RowExclusiveLock' AND granted
  AND datname = ANY(%(databases)s) AND pid <> pg_backend_pid()
UNION ALL (SELECT pid, usename, application_name, datname, true FROM pg_stat_activity
WHERE datname = ANY(%(databases)s) AND pid <> pg_backend_pid() AND usesysid IS NOT NULL
  AND coalesce(backend_type, 'client backend') NOT IN ('autovacuum worker', 'parallel worker') ORDER BY pid)"""


def end_sessions(connection: "psycopg.Connection[Any]", databases: List[str], grace: float = GRACE_S) -> int:
    """End every session of `databases` and wait until they are gone; returns how many there were.

    One that may not be ended is given `LEAVE_S` seconds to leave by itself, any other `grace` seconds. Raises
    RollbackError where one stays, naming it.
    """
    asked: Dict[int, str] = {}  # what was asked to end, and why it may not be
    begun = time.monotonic()
    while True:
        rows = connection.execute(_SESSIONS, {"databases": databases}).fetchall()
        if not rows:
            return len(asked)
        waited = time.monotonic() - begun
        refused = [row for row in rows if asked.get(row[0])]
        if refused and waited > min(LEAVE_S, grace):
            raise RollbackError(
                f"The session of {_named(refused)} cannot be ended: {asked[refused[0][0]]}.",
                "Grant pg_signal_backend to the operator's role; a superuser's session needs a superuser, or must leave by itself.",
            )
        if waited > grace:
            raise RollbackError(
                f"These sessions did not end within {grace:.0f} s: {_named(rows)}.",
                "Stop them by hand, then run the same command again.",
            )
        for pid, _, _, _, visible in rows:
            if visible and pid not in asked:
                asked[pid] = _terminate(connection, pid)
        time.sleep(_PAUSE_S)


def sessions_of(connection: "psycopg.Connection[Any]", database: str) -> List[str]:
    """Who is connected to `database`, in words."""
    return [_named([row]) for row in connection.execute(_SESSIONS, {"databases": [database]}).fetchall()]


def allow_connections(connection: "psycopg.Connection[Any]", database: str, allowed: bool) -> bool:
    """Open or close the door to new sessions (superusers' too); False where it stood so already."""
    row = connection.execute("SELECT datallowconn FROM pg_database WHERE datname = %s", [database]).fetchone()
    if row is None or row[0] == allowed:
        return False
    connection.execute(
        sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}").format(sql.Identifier(database), sql.Literal(allowed))
    )
    return True


def _terminate(connection: "psycopg.Connection[Any]", pid: int) -> str:
    """Ask a session to end; returns why that may not be, or nothing."""
    try:
        connection.execute("SELECT pg_terminate_backend(%s)", [pid])
    except pg_errors.InsufficientPrivilege as error:
        return str(error.diag.message_primary)
    return ""


def _named(rows: Sequence[Sequence[Any]]) -> str:
    return listed(
        f"{user or 'the server'} ({application or 'process'} {pid}, on {database})"
        for pid, user, application, database, *_ in rows
    )
