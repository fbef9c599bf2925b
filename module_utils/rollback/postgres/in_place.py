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
from ansible.module_utils.rollback.postgres import beside, obstacles, restore, settings
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
_INVALID = -2  # datconnlimit of a database that a DROP DATABASE has begun to remove
_EMPTY = """
SELECT NOT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                   WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema')"""


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
    live = request.restore.live
    oid = beside.oid_of(connection, live)
    if not oid:
        return UNKNOWN
    if oid in _originals(request, journal):
        return BEFORE
    if oid == _noted(journal, "compare", "oid"):
        return AFTER
    if _holds_data(connection, request, journal):
        raise RollbackError(
            f"Database {live} (OID {oid}) was made while the one that is to be replaced was set aside as {request.aside}.",
            f"Rename it (ALTER DATABASE {live} RENAME TO …), then run {_again(journal)}",
        )
    if _began(journal, "drop"):  # only the safety dump was left, and the operator has made a database of it by hand
        return BEFORE
    raise RollbackError(
        f"Database {live} (OID {oid}) is neither the one that was planned for nor one that this run made.",
        "Another session dropped, renamed or made a database meanwhile; nothing was touched.",
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
        if found != UNKNOWN:
            allow_connections(connection, wanted.live, True)  # a process that died may have closed it
        if found == AFTER:
            oid = beside.oid_of(connection, wanted.live)
            rows = int(_noted(journal, "compare", "rows") or 0)
            return Replaced(
                False, oid, rows, str(_noted(journal, "safety", "backup") or ""), ["it was replaced already"]
            )
        if found == BEFORE:
            oid = beside.oid_of(connection, wanted.live)
            if oid not in _originals(request, journal):
                _refuse_empty(server, request, journal)
                _note(journal, put_back_oid=oid)
            # While the live database still serves: would the backup load here, and be what it says?
            live = restore.read_live(server, connection, tools, wanted, wanted.live)
            manifest = restore.worded_here(server, tools, wanted, manifest, live, certain=True)
        if found == BEFORE or _holds_data(connection, request, journal):
            safety = _set_aside(server, connection, tools, request, journal, progress)
        else:
            safety = _safety_of(journal)
        try:
            _drop(connection, request, safety, journal)
            with journal.step("create", database=wanted.into) as result:
                result["oid"] = beside.create_like(connection, safety.properties, wanted.into)
            restored = restore.fill(server, connection, tools, wanted, manifest, safety.live, journal, progress)
            with journal.step("swap", incoming_oid=restored.oid) as result:
                began = time.monotonic()
                _rename(connection, wanted.into, wanted.live)
                result.update(sessions_ended=0, closed_s=round(time.monotonic() - began, 3))
        except Exception as error:
            if _named_back(server, request, journal, error):
                raise _before_the_drop(error, wanted.live) from error
            lacking = _from_safety(server, tools, request, safety, journal, progress, error)
            raise RollbackError(
                f"{_sentence(error)} The data is as before: it was put back from the safety dump {safety.backup.name}."
                + "".join(f" {sentence}" for sentence in lacking),
                f"Clear the cause, then run {_again(journal)}",
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
    """Rename aside, dump, and prove that the dump brings it back. Where any of it fails, the live database has its name again."""
    live, aside = request.restore.live, request.aside
    try:
        with journal.step("close", live_oid=request.live_oid):
            if beside.oid_of(connection, live):
                _close(connection, live, aside)
        with journal.step("safety") as result:
            progress.say("safety", f"dumping {live} and reading the dump back")
            _remove_partial(request.safety)
            wanted = replace(request.safety, database=aside, known_as=live, certain=True)
            manifest = backups.create(server, tools, wanted)
            _refuse_holders(connection, aside)
            kept = _Safety(
                request.safety.directory / manifest.backup,
                beside.properties(connection, aside),
                restore.read_live(server, connection, tools, request.restore, aside),
            )
            result.update(backup=str(kept.backup), properties=kept.properties, live=asdict(kept.live))
    except Exception as error:
        _named_back(server, request, journal, error)
        raise _before_the_drop(error, live) from error
    return kept


def _before_the_drop(error: Exception, live: str) -> RollbackError:
    """What is said of a backup is here said of the safety dump, on which the whole data would depend."""
    said = getattr(error, "message", str(error)).replace(
        "This backup would not load", f"The safety dump of {live} would not load"
    )
    hint = getattr(error, "hint", "") or "Clear the cause, then run the same command again."
    hint = hint.replace(
        "take the backup again", "run the same command again, or add -e rollback_restore_strategy=beside"
    )
    return RollbackError(f"{_sentence(said)} Nothing was dropped.", hint.partition(" Until then ")[0])


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


def _drop(
    connection: "psycopg.Connection[Any]", request: Request, safety: _Safety, journal: "Journal | NoJournal"
) -> None:
    """From here only the safety dump leads back. What a server that died in the middle has left of it goes, too."""
    if beside.oid_of(connection, request.aside) in _originals(request, journal):
        with journal.step("drop", safety=safety.backup.name):
            beside.drop(connection, request.aside)


def _named_back(server: Server, request: Request, journal: "Journal | NoJournal", cause: Exception) -> bool:
    """Give the live database its name again, and open it; False where it was dropped. Raises RollbackError where it stays aside."""
    live, aside = request.restore.live, request.aside
    try:
        with restore.reconnected(server) as connection:
            if _holds_data(connection, request, journal):
                _rename(connection, aside, live)
            if beside.oid_of(connection, live) not in _originals(request, journal):
                return False
            allow_connections(connection, live, True)
    except (RollbackError, psycopg.Error) as error:
        raise RollbackError(
            f"{_sentence(cause)} Going back failed too: {_sentence(error)}"
            f" The data is in database {aside} or {live}, or else in the safety dump.",
            f"Clear the cause, then run {_again(journal)}",
        ) from error
    _note(journal, swapped=False)
    return True


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
    live, into = request.restore.live, request.restore.into
    manifest = restore.manifest_of(safety.backup)
    known = restore.known_extensions(manifest, safety.live)
    try:
        with restore.reconnected(server) as connection:
            oid = beside.create_like(connection, safety.properties, into)
            progress.say("load", f"{safety.backup.name}, to put the data back")
            beside.load(server, tools, safety.backup, into, request.restore.jobs, known)
            lacking = _set_up(server, connection, tools, request, safety, restore.lacks_public(manifest))
            _note(journal, put_back_oid=oid)
            _rename(connection, into, live)
            _note(journal, swapped=False)
            with suppress(RollbackError, psycopg.Error):  # what a server left that died while it dropped it
                beside.drop(connection, request.aside)
            return lacking
    except Exception as error:
        raise RollbackError(
            f"{_sentence(cause)} Putting the data back failed too: {_sentence(error)}"
            f" All of it is in the safety dump {safety.backup}.",
            f"Clear the cause, then run {_again(journal)}",
        ) from error


def _set_up(
    server: Server,
    connection: "psycopg.Connection[Any]",
    tools: ClientTools,
    request: Request,
    safety: _Safety,
    lacks_public: bool,
) -> List[str]:
    """Do for the data that was put back what can be done, and say the rest."""
    into, said = request.restore.into, []
    try:
        said += settings.carry(connection, safety.live.settings, into, request.restore.live)
        if lacks_public:
            with server.connect(into) as loaded:
                beside.drop_public(loaded)
        beside.analyse(server, tools, into, request.restore.jobs)
    except (RollbackError, psycopg.Error) as error:
        said.append(_sentence(error))
    return said


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


def _refuse_empty(server: Server, request: Request, journal: "Journal | NoJournal") -> None:
    """A database that was made by hand and holds nothing is not what was there: the safety dump still is."""
    live = request.restore.live
    with server.connect(live) as connection:
        (empty,) = connection.execute(_EMPTY).fetchone() or (False,)
    if empty and restore.manifest_of(_safety_of(journal).backup).census.tables:
        raise RollbackError(
            f"Database {live} is empty, and not the one that was dropped; what that held is in {_safety_of(journal).backup}.",
            f"DROP DATABASE {live}, then run {_again(journal)}",
        )


def _holds_data(connection: "psycopg.Connection[Any]", request: Request, journal: "Journal | NoJournal") -> bool:
    """Whether the live database is there under the name aside. What a server leaves that dies while it drops one is not."""
    row = connection.execute(
        "SELECT oid::int8 FROM pg_database WHERE datname = %s AND datconnlimit <> %s", [request.aside, _INVALID]
    ).fetchone()
    return row is not None and int(row[0]) in _originals(request, journal)


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


def _began(journal: "Journal | NoJournal", name: str) -> bool:
    entries = journal.entries() if isinstance(journal, Journal) else []
    return any(entry.event == "began" and entry.step == name for entry in entries)


def _again(journal: "Journal | NoJournal") -> str:
    """The command that goes on with this run, as its plan has it."""
    entries = journal.entries() if isinstance(journal, Journal) else []
    command = entries[0].data.get("plan", {}).get("command") if entries else None
    return f"the same command again: {command}" if command else "the same command again."


def _sentence(error: "Exception | str") -> str:
    said = (str(error).strip() or type(error).__name__).splitlines()[0]
    return said if said.endswith(".") else f"{said}."
