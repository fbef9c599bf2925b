"""The swap: what was restored takes the live name, and what was live is set aside, in one transaction.

Told by OIDs, which renaming does not change: whichever way a run was cut off, they say whether the swap happened.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Dict, List, Sequence

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.postgres import obstacles
from ansible.module_utils.rollback.postgres.beside import oid_of
from ansible.module_utils.rollback.postgres.pools import Pool, paused, resume
from ansible.module_utils.rollback.postgres.sessions import allow_connections, end_sessions

with suppress(ImportError):  # the module that uses this says so
    import psycopg
    from psycopg import sql

if TYPE_CHECKING:
    import psycopg

LOCK_TIMEOUT = "10s"


@dataclass(frozen=True)
class Swap:
    """`incoming` takes the name `live`, and what had it becomes `aside`. The OIDs say which databases are meant."""

    live: str
    incoming: str
    aside: str
    live_oid: int
    incoming_oid: int


@dataclass(frozen=True)
class Swapped:
    """`closed_s` is how long, in seconds, no session could be opened. `pools` says what came of the pools, and
    `stuck_pools` which of them may still hold their clients back."""

    changed: bool
    sessions_ended: int
    closed_s: float
    pools: List[str] = field(default_factory=list)
    stuck_pools: List[str] = field(default_factory=list)

    def as_dict(self) -> Dict[str, Any]:
        return asdict(self)


def is_done(connection: "psycopg.Connection[Any]", swap: Swap) -> bool:
    """Whether the swap has happened. Raises RollbackError where the databases are neither as before nor as after."""
    found = {name: oid_of(connection, name) for name in (swap.live, swap.incoming, swap.aside)}
    if found[swap.live] == swap.incoming_oid and found[swap.aside] == swap.live_oid:
        return True
    if found[swap.live] == swap.live_oid and found[swap.incoming] == swap.incoming_oid and not found[swap.aside]:
        return False
    have = ", ".join(f"{name} ({oid or 'absent'})" for name, oid in found.items())
    raise RollbackError(
        f"The databases are not those of this run: found {have}, expected {swap.live} ({swap.live_oid}) and {swap.incoming} ({swap.incoming_oid}).",
        "Somebody renamed, dropped or made a database meanwhile; nothing was touched.",
    )


def perform(connection: "psycopg.Connection[Any]", swap: Swap, pools: Sequence[Pool] = ()) -> Swapped:
    """Pause the pools, close the live database, end its sessions, rename both, open again. Safe to call again at any point.

    Whatever fails, the doors of all databases concerned are open again afterwards, and the pools serve. Raises
    RollbackError. A pool that does not serve again raises nothing: the swap has happened, and `stuck_pools` tells.
    """
    if is_done(connection, swap):
        open_all(connection, swap)
        told = resume(pools)
        return Swapped(False, 0, 0.0, told.actions, told.stuck)
    _refuse_holders(connection, swap)  # what came after planning, before anybody's session is ended for it
    with paused(pools) as told:
        closed_at = time.monotonic()
        try:
            allow_connections(connection, swap.live, False)
            ended = end_sessions(connection, [swap.live, swap.incoming])
            _refuse_holders(connection, swap)  # and what those sessions left, when nobody can add to it any more
            _exchange(connection, swap)
            closed_s = time.monotonic() - closed_at
        finally:
            if not connection.closed:
                open_all(connection, swap)
    return Swapped(True, ended, round(closed_s, 3), told.actions, told.stuck)


def _refuse_holders(connection: "psycopg.Connection[Any]", swap: Swap) -> None:
    found = obstacles.holders(connection, swap.live)
    if found:
        raise RollbackError(
            f"The databases were not renamed, and are as they were. {' '.join(found)}",
            "Then run the same command again.",
        )


def _exchange(connection: "psycopg.Connection[Any]", swap: Swap) -> None:
    try:
        with connection.transaction():
            connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(LOCK_TIMEOUT)))
            connection.execute(_rename(swap.live, swap.aside))
            connection.execute(_rename(swap.incoming, swap.live))
    except psycopg.Error as error:
        raise RollbackError(
            f"The databases could not be renamed, and are as they were: {str(error).strip()}.",
            "Clear the cause, then run the same command again.",
        ) from error


def open_all(connection: "psycopg.Connection[Any]", swap: Swap) -> bool:
    """Let sessions in again, under whichever names the databases now have; False where all doors stood open."""
    opened = [allow_connections(connection, name, True) for name in (swap.live, swap.incoming, swap.aside)]
    return any(opened)


def _rename(name: str, to: str) -> "sql.Composed":
    return sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(name), sql.Identifier(to))
