"""PgBouncer around a swap: its clients wait while the databases change names, and are served again afterwards.

Three things that were measured, and that this file is built around:

- PAUSE breaks off a login that is under way and counts it as failed. After a failed login PgBouncer serves nobody for
  `server_login_retry` (15 s). RECONNECT and RESUME do not make it forget that; KILL does, at the price of its clients.
- A PAUSE that waits for a transaction goes on after its console has left: no new transaction begins, only RESUME ends it.
- The console knows neither parameters nor prepared statements, nor several statements at once, and cannot cancel.
"""

from __future__ import annotations

import re
import select
import shlex
import time
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, Sequence, Tuple

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.postgres.server import Server, reason
from ansible.module_utils.rollback.words import listed

with suppress(ImportError):  # the module that uses this says so
    import psycopg
    from psycopg import conninfo, pq

if TYPE_CHECKING:
    import psycopg

CONSOLE = "pgbouncer"
PAUSE_WITHIN_S = 5.0
_ANSWER_WITHIN_S = 5.0
# A pool whose clients wait this long while it does not even try to log in remembers a failed login.
_STUCK_S = 0.3
_LOOK_EVERY_S = 0.02

# Shared by all modules that are told of pools.
ARGUMENT: Dict[str, Any] = {
    "type": "list",
    "elements": "dict",
    "default": [],
    "options": {
        "dsn": {"type": "str", "required": True},
        "password": {"type": "str", "no_log": True, "default": ""},
        "database": {"type": "str", "default": ""},
    },
}


@dataclass(frozen=True)
class Pool:
    """One PgBouncer, reached at its admin console, and the name under which it knows the live database."""

    server: Server
    database: str

    def __str__(self) -> str:
        return f"the pool at {self.server.where()}"

    def command(self, verb: str) -> str:
        """`RESUME hunter`; quoted where the name needs it."""
        plain = re.fullmatch(r"[a-z_][a-z0-9_]*", self.database)
        return f"{verb} {self.database}" if plain else '{} "{}"'.format(verb, self.database.replace('"', '""'))

    def typed(self, verb: str) -> str:
        """The same as a person types it into a shell."""
        console = conninfo.make_conninfo(self.server.dsn, dbname=CONSOLE)
        return f"psql {shlex.quote(console)} -c {shlex.quote(self.command(verb) + ';')}"


@dataclass
class Told:
    """What came of the pools, in words. `stuck` names those that may still be paused, with the command that helps."""

    actions: List[str] = field(default_factory=list)
    stuck: List[str] = field(default_factory=list)


def of(entries: Sequence[Mapping[str, Any]], live: str) -> List[Pool]:
    """Pools as `rollback_pools` lists them. Raises RollbackError where a connection string is not usable."""
    try:
        return [Pool(Server.of(entry["dsn"], entry["password"]), entry["database"] or live) for entry in entries]
    except RollbackError as error:
        raise RollbackError(
            f"An entry of rollback_pools cannot be used: {error.message}",
            'Say for example {dsn: "host=127.0.0.1 port=6432 user=pgbouncer", password: "{{ vault_pool_password }}"}.',
        ) from error


def look(pools: Sequence[Pool]) -> Tuple[List[str], List[str]]:
    """Sentences about what would keep a pool from being paused, and about what is worth knowing. Changes nothing."""
    obstacles: List[str] = []
    notes: List[str] = []
    for pool in pools:
        try:
            with closing(_console(pool)) as console:
                config = {row["key"]: row["value"] for row in _ask(console, "SHOW CONFIG")}
                known = {
                    row["name"]: row["paused"] for row in _ask(console, "SHOW DATABASES") if row["name"] != CONSOLE
                }
        except RollbackError as error:
            obstacles.append(
                f"No connection to the console of {pool}: {error.message} Start it, or take it out of rollback_pools."
            )
            continue
        if not _is_admin(pool, config):
            obstacles.append(
                f"The user for the console of {pool} may look but not pause. Add it to PgBouncer's admin_users."
            )
        if pool.database not in known:  # no obstacle: what `*` stands for is not listed before it is used
            notes.append(
                f"{_capital(pool)} does not list database {pool.database} (it lists {listed(sorted(known)) or 'none'}), so it may not be paused for the swap."
            )
        elif known[pool.database] == "1":
            notes.append(f"{_capital(pool)} has database {pool.database} paused; it will be resumed after the swap.")
    return obstacles, notes


@contextmanager
def paused(pools: Sequence[Pool]) -> Iterator[Told]:
    """Pause `pools` for the body, and resume them whatever happens in it.

    A pool that cannot be paused in time is told and stops nobody: its sessions are ended like all others. Where the body
    fails and a pool stays stuck, the error says both.
    """
    told = Told()
    held = _pause(pools, told)
    try:
        yield told
    except BaseException as error:
        _resume(pools, held, told)
        if told.stuck and isinstance(error, RollbackError):
            raise RollbackError(error.message, " ".join([error.hint, *told.stuck])) from error
        raise
    _resume(pools, held, told)


def resume(pools: Sequence[Pool]) -> Told:
    """Resume what an earlier process may have left paused; a pool that is not paused is left as it is."""
    told = Told()
    _resume(pools, pools, told)
    return told


def _pause(pools: Sequence[Pool], told: Told) -> List[Pool]:
    """Ask all pools at once, then wait for each; returns those that hold their clients back now."""
    held = []
    with ExitStack() as consoles:
        asked = []
        for pool in pools:
            try:
                console = consoles.enter_context(closing(_console(pool)))
                _send(console, pool.command("PAUSE"))
            except RollbackError as error:
                told.actions.append(
                    f"{pool} could not be paused ({error.message.rstrip('.')}); its sessions were ended"
                )
                continue
            asked.append((pool, console))
        deadline = time.monotonic() + PAUSE_WITHIN_S
        for pool, console in asked:
            try:
                _answer(console, deadline)
            except TimeoutError:
                held.append(pool)
                told.actions.append(
                    f"{pool} did not come to rest within {PAUSE_WITHIN_S:g} s, because a client holds on to its session; that was ended"
                )
            except RollbackError as error:
                told.actions.append(
                    f"{pool} could not be paused ({error.message.rstrip('.')}); its sessions were ended"
                )
            else:
                held.append(pool)
                told.actions.append(f"{pool} was paused")
    return held


def _resume(pools: Sequence[Pool], held: Sequence[Pool], told: Told) -> None:
    for pool in pools:
        try:
            with closing(_console(pool)) as console:
                told.actions += _serve_again(console, pool)
        except RollbackError as error:
            why = error.message.rstrip(".")
            if pool in held:
                told.stuck.append(
                    f"{_capital(pool)} may still hold back the clients of {pool.database} ({why})."
                    f" Type: {pool.typed('RESUME')}"
                )
            else:
                told.actions.append(f"{pool} could not be asked whether it serves again ({why})")


def _serve_again(console: "psycopg.Connection[Any]", pool: Pool) -> List[str]:
    """RECONNECT and RESUME, and KILL where a failed login would keep the pool from serving."""
    database = [row for row in _ask(console, "SHOW DATABASES") if row["name"] == pool.database]
    if not database:
        return []
    _ask(console, pool.command("RECONNECT"))
    if not _clients(console, pool):  # costs nobody anything, and a failed login is forgotten
        _ask(console, pool.command("KILL"))
        _ask(console, pool.command("RESUME"))
        return [f"{pool} serves again"]
    if database[0]["paused"] == "1":
        _ask(console, pool.command("RESUME"))
    deadline = time.monotonic() + _STUCK_S
    while _waits_idly(console, pool):
        if time.monotonic() > deadline:
            _ask(console, pool.command("KILL"))
            _ask(console, pool.command("RESUME"))
            return [f"{pool} serves again; its clients were disconnected, because a failed login kept them waiting"]
        time.sleep(_LOOK_EVERY_S)
    return [f"{pool} serves again"]


def _clients(console: "psycopg.Connection[Any]", pool: Pool) -> int:
    return sum(int(row["cl_active"]) + int(row["cl_waiting"]) for row in _pools(console, pool))


def _waits_idly(console: "psycopg.Connection[Any]", pool: Pool) -> bool:
    """Whether clients wait and no session with the server is open or being opened for them."""
    sessions = ("sv_active", "sv_idle", "sv_used", "sv_tested", "sv_login")
    return any(int(row["cl_waiting"]) and not any(int(row[name]) for name in sessions) for row in _pools(console, pool))


def _pools(console: "psycopg.Connection[Any]", pool: Pool) -> List[Dict[str, str]]:
    return [row for row in _ask(console, "SHOW POOLS") if row["database"] == pool.database]


def _is_admin(pool: Pool, config: Mapping[str, str]) -> bool:
    parts = conninfo.conninfo_to_dict(pool.server.dsn)
    admins = {name.strip() for name in (config.get("admin_users") or "").split(",")}
    # Over a socket PgBouncer takes its own operating system's user for its administrator, under this name.
    return parts["user"] in admins or (parts["user"] == CONSOLE and str(parts["host"]).startswith("/"))


def _capital(pool: Pool) -> str:
    return f"T{str(pool)[1:]}"


def _console(pool: Pool) -> "psycopg.Connection[Any]":
    try:
        return psycopg.connect(
            pool.server.conninfo(CONSOLE),
            autocommit=True,
            password=pool.server.password or None,
            connect_timeout=int(_ANSWER_WITHIN_S),
        )
    except psycopg.OperationalError as error:
        raise RollbackError(f"{reason(error)}.") from error


def _ask(console: "psycopg.Connection[Any]", command: str) -> List[Dict[str, str]]:
    """Rows of the answer, by column. Raises RollbackError where PgBouncer refuses or is silent."""
    _send(console, command)
    try:
        return _answer(console, time.monotonic() + _ANSWER_WITHIN_S)
    except TimeoutError as error:
        raise RollbackError(f"It does not answer {command}.") from error


def _send(console: "psycopg.Connection[Any]", command: str) -> None:
    try:
        console.pgconn.send_query(command.encode())
        console.pgconn.flush()
    except psycopg.Error as error:
        raise RollbackError(str(error).strip()) from error


def _answer(console: "psycopg.Connection[Any]", deadline: float) -> List[Dict[str, str]]:
    # libpq by hand: psycopg would wait for ever, and the console does not know how to cancel.
    link = console.pgconn
    answer = None
    try:
        while True:
            while link.is_busy():
                if not select.select([link.socket], [], [], max(0.0, deadline - time.monotonic()))[0]:
                    raise TimeoutError
                link.consume_input()
            result = link.get_result()
            if result is None:  # the end of the answer
                break
            answer = result
    except psycopg.Error as error:
        raise RollbackError(str(error).strip()) from error
    if answer is None or answer.status not in (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK):
        said = answer.error_message.decode(errors="replace") if answer else "it said nothing"
        raise RollbackError(said.replace("ERROR:", "").strip())
    names = [(answer.fname(column) or b"").decode() for column in range(answer.nfields)]
    return [
        {name: (answer.get_value(row, column) or b"").decode() for column, name in enumerate(names)}
        for row in range(answer.ntuples)
    ]
