"""The restore into a new database, as journaled steps that a later attempt of the same run can take up."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Union

from ansible.module_utils.rollback import worker
from ansible.module_utils.rollback.backups import manifest as manifests
from ansible.module_utils.rollback.backups.manifest import Manifest
from ansible.module_utils.rollback.census import DEFAULT_VERSION_TABLE, Census, differences
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.journal import Journal, NoJournal, steps_of
from ansible.module_utils.rollback.postgres import beside as database
from ansible.module_utils.rollback.postgres import census, names, settings
from ansible.module_utils.rollback.postgres import snapshot as snapshots
from ansible.module_utils.rollback.postgres.client_tools import ClientTools
from ansible.module_utils.rollback.postgres.observer import Observer
from ansible.module_utils.rollback.postgres.server import Server
from ansible.module_utils.rollback.postgres.sessions import allow_connections, end_sessions
from ansible.module_utils.rollback.progress import Progress
from ansible.module_utils.rollback.words import amount, listed, size

with suppress(ImportError):  # the module that uses this says so
    import psycopg

if TYPE_CHECKING:
    import psycopg

AnyJournal = Union[Journal, NoJournal]
# For how long, in seconds, a server that went down in the middle is asked again, so that nothing is left on it.
_COMES_BACK_WITHIN_S = 30.0


@dataclass(frozen=True)
class Request:
    """`into` is made from `backup`, like `live`. `target_s` is the run's time target, for lines of progress.

    `manifest` is what the backup's content says, where no manifest is beside it.
    """

    live: str
    into: str
    backup: Path
    jobs: int = 2
    version_table: str = DEFAULT_VERSION_TABLE
    application_role: Optional[str] = None
    target_s: float = 0
    manifest: Optional[Manifest] = None


@dataclass(frozen=True)
class Restored:
    changed: bool
    oid: int
    rows: int
    actions: List[str] = field(default_factory=list)

    def as_dict(self) -> Dict[str, Any]:
        return {"changed": self.changed, "oid": self.oid, "rows": self.rows, "actions": self.actions}


def beside(
    server: Server, connection: "psycopg.Connection[Any]", tools: ClientTools, request: Request, journal: AnyJournal
) -> Restored:
    """Create, load, set up, analyse and compare `request.into`. Raises RollbackError, and leaves no such database then.

    An earlier attempt that still works, because only its controller died, is waited for, and its result taken.
    """
    manifest = manifest_of(request.backup, request.manifest)
    with worker.alone(journal.directory, evict=lambda: end_sessions(connection, [request.into])):
        kept = already_compared(connection, request, journal)
        if kept:
            return kept
        try:
            with journal.step("create", database=request.into) as result:
                result["oid"] = database.create(connection, request.live, request.into)
            outside = settings.read(connection, request.live)
            progress = Progress(journal.directory, request.target_s)
            return fill(server, connection, tools, request, manifest, outside, journal, progress)
        except BaseException:
            _leave_nothing(server, request.into)
            raise


def fill(
    server: Server,
    connection: "psycopg.Connection[Any]",
    tools: ClientTools,
    request: Request,
    manifest: Manifest,
    outside: settings.Settings,
    journal: AnyJournal,
    progress: Progress,
) -> Restored:
    """Load, set up, analyse and compare the empty database `request.into`, telling how far it is. Raises RollbackError."""
    with journal.step("load", backup=request.backup.name, jobs=request.jobs) as result:
        progress.say("load", f"{request.backup.name} ({size(manifest.bytes)})")
        with Observer(server, request.into, "load", manifest.census, progress):
            shares = database.load(server, tools, request.backup, request.into, request.jobs)
        if shares:
            result.update({name: round(seconds, 3) for name, seconds in asdict(shares).items()})
    with journal.step("settings") as result:
        result["carried_over"] = settings.apply(connection, outside, request.into)
    with journal.step("analyse"):
        progress.say("analyse", "collecting planner statistics")
        database.analyse(server, tools, request.into, request.jobs)
    return _compared(server, connection, request, manifest, journal, progress)


def from_snapshot(
    server: Server, connection: "psycopg.Connection[Any]", request: Request, journal: AnyJournal
) -> Restored:
    """Set up and compare the snapshot `request.into`, which is to take the live name. Raises RollbackError.

    Whatever comes of it, the snapshot is still there, and closed: it was only read.
    """
    manifest = manifest_of(request.backup)
    with worker.alone(journal.directory, evict=lambda: end_sessions(connection, [request.into])):
        kept = already_compared(connection, request, journal)
        if kept:
            return kept
        snapshots.find(connection, request.backup)
        progress = Progress(journal.directory, request.target_s)
        with journal.step("settings") as result:
            outside = settings.read(connection, request.live)
            result["carried_over"] = settings.apply(connection, outside, request.into)
        with snapshots.opened(connection, request.into):
            return _compared(server, connection, request, manifest, journal, progress)


def _compared(
    server: Server,
    connection: "psycopg.Connection[Any]",
    request: Request,
    manifest: Manifest,
    journal: AnyJournal,
    progress: Progress,
) -> Restored:
    with journal.step("compare") as result:
        progress.say(
            "compare", f"{amount(manifest.census.rows, 'row')} in {amount(len(manifest.census.tables), 'table')}"
        )
        found = compare(server, request, manifest)
        oid = database.oid_of(connection, request.into)
        result.update(oid=oid, rows=found.rows, tables=len(found.tables))
    progress.say("compare", "equal to the manifest")
    return Restored(
        True,
        oid,
        found.rows,
        [
            f"{request.into} holds {amount(found.rows, 'row')} in {amount(len(found.tables), 'table')}, equal to the manifest"
        ],
    )


def manifest_of(backup: Path, judged: Optional[Manifest] = None) -> Manifest:
    """The manifest beside `backup`, or the one that was made of its content. Raises RollbackError where there is neither."""
    manifest = manifests.read(backup) or judged
    if manifest is None:
        raise RollbackError(f"The backup {backup.name} has no manifest beside it.", "Choose another backup.")
    return manifest


def already_compared(
    connection: "psycopg.Connection[Any]", request: Request, journal: AnyJournal
) -> Optional[Restored]:
    """The result of an earlier attempt of this run, where its database is still there, under either name."""
    if not isinstance(journal, Journal):
        return None
    compared = [step for step in steps_of(journal.entries()) if step.name == "compare" and step.status == "done"]
    if not compared:
        return None
    oid, rows = int(compared[0].data["oid"]), int(compared[0].data["rows"])
    if oid not in (database.oid_of(connection, request.into), database.oid_of(connection, request.live)):
        return None
    return Restored(False, oid, rows, ["an earlier attempt of this run restored and compared it"])


def compare(server: Server, request: Request, manifest: Manifest) -> Census:
    """The census of `request.into`. Raises RollbackError where it is not what the manifest says."""
    with server.connect(request.into) as connection:
        with census.snapshot(connection):
            found = census.take(connection, request.version_table, request.application_role)
        problems = differences(manifest.census, found)
        if request.application_role:
            readable = [
                name for name, table in manifest.census.tables.items() if table.readable and name in found.tables
            ]
            problems += census.read_as(connection, request.application_role, readable)
    if problems:
        raise RollbackError(
            f"What was restored is not what was backed up: {listed(problems, 3)}.",
            "Choose another backup.",
        )
    return found


def drop(connection: "psycopg.Connection[Any]", live: str, name: str, journal: AnyJournal) -> bool:
    """Drop a database that a run made and no longer needs; False where there is none. A snapshot is closed, and stays."""
    evict = worker.alone(journal.directory, evict=lambda: end_sessions(connection, [name]))
    with evict, journal.step("discard", database=name):
        if names.is_snapshot(name, live):
            allow_connections(connection, name, False)
            return False
        return database.drop(connection, name)


def reconnected(server: Server) -> "psycopg.Connection[Any]":
    """A new connection, also to a server that is only just starting again. Raises RollbackError after half a minute."""
    deadline = time.monotonic() + _COMES_BACK_WITHIN_S
    while True:
        try:
            return server.connect()
        except RollbackError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def _leave_nothing(server: Server, name: str) -> None:
    """Drop a database that did not become whole. What is told is why it failed; a later attempt drops it otherwise."""
    with suppress(RollbackError, psycopg.Error), reconnected(server) as connection:
        database.drop(connection, name)
