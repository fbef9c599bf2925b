"""Who has a transaction under way in a database, and what it locks: who blocks a migration, or was left behind by one."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, List

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.words import duration, listed

if TYPE_CHECKING:
    import psycopg

# Of sessions that the operator may not look into, only the locks are shown, which is enough to name them.
_AT_WORK = """
SELECT a.pid, coalesce(a.usename, 'the server') AS role, coalesce(nullif(a.application_name, ''), 'unnamed'), coalesce(a.state, 'unknown'),
       coalesce(extract(epoch FROM clock_timestamp() - a.xact_start), 0)::float8 AS age, l.tables, l.writes
FROM pg_stat_activity a
JOIN (
  SELECT pid, array_agg(DISTINCT relation::regclass::text) AS tables,
         bool_or(mode NOT IN ('AccessShareLock', 'RowShareLock')) AS writes
  FROM pg_locks
  WHERE locktype = 'relation' AND granted AND relation >= 16384
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  GROUP BY pid
) l USING (pid)
WHERE a.pid <> pg_backend_pid() AND coalesce(a.backend_type, 'client backend') = 'client backend'
ORDER BY age DESC, a.pid"""

# What CREATE or DROP INDEX CONCURRENTLY leaves behind when it is cut off.
_INVALID = """
SELECT i.indexrelid::regclass::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE NOT i.indisvalid AND c.relkind = 'i' AND c.oid >= 16384 ORDER BY 1"""

_PAUSE_S = 0.25


@dataclass(frozen=True)
class Session:
    """`age_s` is that of its transaction, `tables` what it locks; `writes` says whether any of that is more than reading."""

    pid: int
    role: str
    application: str
    state: str
    age_s: float
    tables: List[str]
    writes: bool

    def __str__(self) -> str:
        since = f", {duration(self.age_s)} old" if self.age_s else ""
        return f"process {self.pid} ({self.role}, {self.application}, {self.state}{since}) locks {listed(self.tables)}"


def sessions(connection: "psycopg.Connection[Any]") -> List[Session]:
    """Those of others that lock tables of the connected database, the oldest transaction first."""
    return [Session(*row) for row in connection.execute(_AT_WORK).fetchall()]


def invalid_indexes(connection: "psycopg.Connection[Any]") -> List[str]:
    """Indexes that PostgreSQL keeps up and does not use, by name."""
    return [str(name) for (name,) in connection.execute(_INVALID).fetchall()]


def wait_for_writers(connection: "psycopg.Connection[Any]", within_s: float, called: str = "") -> None:
    """Wait until no other session writes, or none that is `called` so: what a killed migration left running may still commit.

    Raises RollbackError after `within_s`.
    """
    until = time.monotonic() + within_s
    while True:
        writers = [session for session in sessions(connection) if _may_commit(session, called)]
        if not writers:
            return
        if time.monotonic() > until:
            who = "; ".join(map(str, writers[:3]))
            said = "A migration of this run is still running" if called else "Another session writes to the database"
            raise RollbackError(
                f"{said} after {within_s:g} s: {who}.",
                f"End it: SELECT pg_terminate_backend({writers[0].pid}); then run the same command again.",
            )
        time.sleep(_PAUSE_S)


def _may_commit(session: Session, called: str) -> bool:
    """A migration that has only read so far may write in its next statement."""
    return session.application == called if called else session.writes
