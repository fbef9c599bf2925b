"""Restore in place, for servers without room for a second database: a proven safety dump, then drop and create.

First the live database is renamed aside, so that nobody writes to it while it is dumped: its name is all that clients
know. Until it is dropped a rename brings it back; afterwards the safety dump does. What is true is told by OIDs and by
the OIDs that the journal keeps, so a later attempt goes on wherever an earlier one was cut off.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence, Set

from ansible.module_utils.rollback import worker
from ansible.module_utils.rollback.backups import create as backups
from ansible.module_utils.rollback.backups.names import PARTIAL_SUFFIX
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.journal import Journal, NoJournal, steps_of
from ansible.module_utils.rollback.postgres import beside, obstacles, restore
from ansible.module_utils.rollback.postgres.client_tools import ClientTools
from ansible.module_utils.rollback.postgres.pools import Pool, paused
from ansible.module_utils.rollback.postgres.server import Server
from ansible.module_utils.rollback.postgres.sessions import allow_connections, end_sessions
from ansible.module_utils.rollback.progress import Progress

with suppress(ImportError):  # the module that uses this says so
    import psycopg
    from psycopg import sql

if TYPE_CHECKING:
    import psycopg

BEFORE, AFTER, UNKNOWN = "before", "after", "unknown"


@dataclass(frozen=True)
class Request:
    """`restore.live` is renamed to `aside`, dumped as `safety` says, dropped, and made anew from `restore.backup`."""

    restore: restore.Request
    safety: backups.Request
    aside: str
    live_oid: int
    pools: Sequence[Pool] = ()


@dataclass(frozen=True)
class Replaced:
    """`safety` is the path of the dump of what was there before. `stuck_pools` says which pools do not serve again."""

    changed: bool
    oid: int
    rows: int
    safety: str
    actions: List[str] = field(default_factory=list)
    stuck_pools: List[str] = field(default_factory=list)

    def as_dict(self) -> Dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class _Safety:
    """What the journal keeps of the database that is dropped: its dump, and what a dump does not hold."""

    backup: Path
    properties: Dict[str, Any]
    live: restore.Live


def look(connection: "psycopg.Connection[Any]", request: Request, journal: "Journal | NoJournal") -> str:
    """`before` or `after`, as the data under the live name is; `unknown` where there is no database of that name.

    Raises RollbackError where a database has that name which this run did not make.
    """
    oid = beside.oid_of(connection, request.restore.live)
    if not oid:
        return UNKNOWN
    if oid in _originals(request, journal):
        return BEFORE
    if oid == _noted(journal, "compare", "oid"):
        return AFTER
    if _step(journal, "drop"):  # only the safety dump was left, and the operator has made a database of it by hand
        return BEFORE
    raise RollbackError(
        f"Database {request.restore.live} (OID {oid}) is neither the one that was planned for nor one that this run made.",
        "Somebody dropped, renamed or made a database meanwhile; nothing was touched.",
    )


def perform(
    server: Server,
    connection: "psycopg.Connection[Any]",
    tools: ClientTools,
    request: Request,
    journal: "Journal | NoJournal",
) -> Replaced:
    """Replace the live database. Raises RollbackError, and then the data is as before, or the sentence says where it is."""
    wanted = request.restore
    manifest = restore.manifest_of(wanted.backup, wanted.manifest)
    progress = Progress(journal.directory, wanted.target_s)
    evict = worker.alone(journal.directory, evict=lambda: end_sessions(connection, [wanted.into, request.aside]))
    with evict, paused(request.pools) as told:
        found = look(connection, request, journal)
        if found == AFTER:
            allow_connections(connection, wanted.live, True)
            oid = beside.oid_of(connection, wanted.live)
            rows = int(_noted(journal, "compare", "rows") or 0)
            return Replaced(
                False, oid, rows, str(_noted(journal, "safety", "backup") or ""), ["it was replaced already"]
            )
        if found == BEFORE:
            oid = beside.oid_of(connection, wanted.live)
            if oid not in _originals(request, journal):
                _note(journal, put_back_oid=oid)
            # While the live database still serves: would the backup load here, and be what it says?
            live = restore.read_live(server, connection, tools, wanted, wanted.live)
            manifest = restore.worded_here(server, tools, wanted, manifest, live)
        if found == BEFORE or beside.oid_of(connection, request.aside) in _originals(request, journal):
            safety = _set_aside(server, connection, tools, request, journal, progress)
        else:
            safety = _safety_of(journal)
        try:
            with journal.step("create", database=wanted.into) as result:
                result["oid"] = beside.create_like(connection, safety.properties, wanted.into)
            restored = restore.fill(server, connection, tools, wanted, manifest, safety.live, journal, progress)
            with journal.step("swap", incoming_oid=restored.oid) as result:
                began = time.monotonic()
                _rename(connection, wanted.into, wanted.live)
                result.update(sessions_ended=0, closed_s=round(time.monotonic() - began, 3))
        except Exception as error:
            lacking = _from_safety(server, tools, request, safety, journal, progress, error)
            raise RollbackError(
                f"{_sentence(error)} The data is as before: it was put back from the safety dump {safety.backup.name}."
                + "".join(f" {sentence}" for sentence in lacking)
            ) from error
    actions = [f"kept what was there in {safety.backup.name}", *restored.actions, *told.actions]
    return Replaced(True, restored.oid, restored.rows, str(safety.backup), actions, told.stuck)


def _set_aside(
    server: Server,
    connection: "psycopg.Connection[Any]",
    tools: ClientTools,
    request: Request,
    journal: "Journal | NoJournal",
    progress: Progress,
) -> _Safety:
    """Rename aside, dump, prove, drop. Where any of it fails, the live database has its name again."""
    live, aside = request.restore.live, request.aside
    try:
        with journal.step("close", live_oid=request.live_oid):
            if beside.oid_of(connection, live):
                _close(connection, live, aside)
        with journal.step("safety") as result:
            progress.say("safety", f"dumping {live} and reading the dump back")
            _remove_partial(request.safety)
            manifest = backups.create(server, tools, replace(request.safety, database=aside, known_as=live))
            _refuse_holders(connection, aside)
            kept = _Safety(
                request.safety.directory / manifest.backup,
                beside.properties(connection, aside),
                restore.read_live(server, connection, tools, request.restore, aside),
            )
            result.update(backup=str(kept.backup), properties=kept.properties, live=asdict(kept.live))
    except Exception:
        with restore.reconnected(server) as again:
            if beside.oid_of(again, aside):
                _rename(again, aside, live)
            allow_connections(again, live, True)
        _note(journal, swapped=False)
        raise
    with journal.step("drop", safety=kept.backup.name):  # from here only the safety dump leads back
        beside.drop(connection, aside)
    return kept


def _close(connection: "psycopg.Connection[Any]", live: str, aside: str) -> None:
    try:
        allow_connections(connection, live, False)
        end_sessions(connection, [live])
        _refuse_holders(connection, live)
        _rename(connection, live, aside)
    finally:
        if not connection.closed:
            for name in (live, aside):
                allow_connections(connection, name, True)


def _refuse_holders(connection: "psycopg.Connection[Any]", name: str) -> None:
    """What came after planning: dropping a database drops its logical slots with it, without a word."""
    found = obstacles.holders(connection, name)
    if found:
        raise RollbackError(f"The database was not replaced. {' '.join(found)}", "Then run the same command again.")


def _from_safety(
    server: Server,
    tools: ClientTools,
    request: Request,
    safety: _Safety,
    journal: "Journal | NoJournal",
    progress: Progress,
    cause: Exception,
) -> List[str]:
    """Make the live database anew from the safety dump; returns what could not be carried over.

    It is compared with nothing: what has loaded is all there is. Raises RollbackError that says where the data is.
    """
    wanted = replace(request.restore, backup=safety.backup, manifest=None)
    try:
        with restore.reconnected(server) as connection:
            beside.create_like(connection, safety.properties, wanted.into)
            manifest = restore.manifest_of(safety.backup)
            live = restore.Live(safety.live.settings)
            back = restore.fill(
                server, connection, tools, wanted, manifest, live, NoJournal(), progress, compared=False
            )
            _note(journal, put_back_oid=back.oid)
            _rename(connection, wanted.into, wanted.live)
            _note(journal, swapped=False)
            return back.actions
    except Exception as error:
        raise RollbackError(
            f"{_sentence(cause)} Putting the data back failed too: {_sentence(error)}"
            f" All of it is in the safety dump {safety.backup}.",
            "Clear the cause, then run the same command again.",
        ) from error


def _rename(connection: "psycopg.Connection[Any]", name: str, to: str) -> None:
    end_sessions(connection, [name])
    connection.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(name), sql.Identifier(to)))


def _note(journal: "Journal | NoJournal", **data: Any) -> None:
    """A journal that cannot be written must not keep the data from being put back."""
    with suppress(RollbackError):
        journal.append("noted", "put_data_back", **data)


def _remove_partial(safety: backups.Request) -> None:
    """What a killed attempt left would take the room of this one."""
    for path in safety.directory.glob(f"backup_{safety.label}_*{PARTIAL_SUFFIX}"):
        path.unlink()


def _safety_of(journal: "Journal | NoJournal") -> _Safety:
    data = _step(journal, "safety")
    if not data:
        raise RollbackError(
            "The live database is not there, and the journal knows of no safety dump.", "Look at the databases by hand."
        )
    return _Safety(Path(data["backup"]), data["properties"], restore.Live.from_dict(data["live"]))


def _originals(request: Request, journal: "Journal | NoJournal") -> Set[int]:
    """OIDs of databases that hold the data as it was before: the planned one, and those put back from a safety dump."""
    entries = journal.entries() if isinstance(journal, Journal) else []
    put_back = {int(entry.data["put_back_oid"]) for entry in entries if "put_back_oid" in entry.data}
    return {request.live_oid, *put_back}


def _step(journal: "Journal | NoJournal", name: str) -> Dict[str, Any]:
    entries = journal.entries() if isinstance(journal, Journal) else []
    done = [step for step in steps_of(entries) if step.name == name and step.status == "done"]
    return done[0].data if done else {}


def _noted(journal: "Journal | NoJournal", step: str, key: str) -> Optional[Any]:
    return _step(journal, step).get(key)


def _sentence(error: Exception) -> str:
    said = (str(error).strip() or type(error).__name__).splitlines()[0]
    return said if said.endswith(".") else f"{said}."
