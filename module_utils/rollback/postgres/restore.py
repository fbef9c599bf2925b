"""The restore into a new database, as journaled steps that a later attempt of the same run can take up."""

from __future__ import annotations

import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence, Union

from ansible.module_utils.rollback import worker
from ansible.module_utils.rollback.backups import manifest as manifests
from ansible.module_utils.rollback.backups import schema_only
from ansible.module_utils.rollback.backups.manifest import Manifest
from ansible.module_utils.rollback.census import DEFAULT_VERSION_TABLE, OF_CONTENT, PUBLIC, Census, differences
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.journal import Journal, NoJournal, steps_of
from ansible.module_utils.rollback.postgres import (
    access,
    census,
    definitions,
    extensions,
    names,
    ownership,
    round_trip,
    settings,
)
from ansible.module_utils.rollback.postgres import beside as database
from ansible.module_utils.rollback.postgres import snapshot as snapshots
from ansible.module_utils.rollback.postgres.client_tools import ClientTools
from ansible.module_utils.rollback.postgres.extensions import Extension
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


@dataclass(frozen=True)
class Live:
    """What a restored database takes from the live one. `owners` are for backups that may say nothing of them."""

    settings: settings.Settings
    access: access.Access = field(default_factory=dict)
    owners: ownership.Owners = field(default_factory=dict)
    extensions: Dict[str, Extension] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, content: Dict[str, Any]) -> "Live":
        """What `dataclasses.asdict` made of one, read back from JSON."""
        installed = {name: Extension(**each) for name, each in content["extensions"].items()}
        return cls(settings.Settings.from_dict(content["settings"]), content["access"], content["owners"], installed)


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
            live = read_live(server, connection, tools, request, request.live)
            manifest = worded_here(server, tools, request, manifest, live)
            progress = Progress(journal.directory, request.target_s)
            return fill(server, connection, tools, request, manifest, live, journal, progress)
        except BaseException:
            _leave_nothing(server, request.into)
            raise


def fill(
    server: Server,
    connection: "psycopg.Connection[Any]",
    tools: ClientTools,
    request: Request,
    manifest: Manifest,
    live: Live,
    journal: AnyJournal,
    progress: Progress,
) -> Restored:
    """Load, set up, analyse and compare the empty database `request.into`, telling how far it is. Raises RollbackError."""
    with journal.step("load", backup=request.backup.name, jobs=request.jobs) as result:
        progress.say("load", f"{request.backup.name} ({size(manifest.bytes)})")
        with Observer(server, request.into, "load", manifest.census, progress):
            known = known_extensions(manifest, live)
            shares = database.load(server, tools, request.backup, request.into, request.jobs, known)
        if shares:
            result.update({name: round(seconds, 3) for name, seconds in asdict(shares).items()})
    if lacks_public(manifest):
        with server.connect(request.into) as loaded:
            database.drop_public(loaded)
    if judged(request):
        with journal.step("owners") as result:
            result["changed"] = len(ownership.settle(server, tools, request.into, live.owners))
    with journal.step("settings") as result:
        result["carried_over"] = settings.apply(connection, live.settings, request.into)
    with journal.step("analyse"):
        progress.say("analyse", "collecting planner statistics")
        database.analyse(server, tools, request.into, request.jobs)
    return _compared(server, connection, tools, request, manifest, live, journal, progress)


def known_extensions(manifest: Manifest, live: Live) -> Dict[str, Extension]:
    """The extensions that the backup had; of one that does not say it, those of the live database."""
    recorded = {name: Extension(**each) for name, each in manifest.extensions.items()}
    return recorded or live.extensions


def lacks_public(manifest: Manifest) -> bool:
    """Whether the database that was backed up had no schema `public`, as every new one has."""
    return bool(manifest.census.objects) and PUBLIC not in manifest.census.objects


def judged(request: Request) -> bool:
    """Whether only its content says what the backup holds, since no manifest is beside it."""
    return request.manifest is not None and manifests.read(request.backup) is None


def read_live(
    server: Server, connection: "psycopg.Connection[Any]", tools: ClientTools, request: Request, name: str
) -> Live:
    """Read what is to be taken over from the live database, which has `name` at the moment."""
    with server.connect(name) as live:
        may = access.read(live, request.application_role) if request.application_role else {}
        installed = extensions.read(live)
    owners = ownership.read(server, tools, name) if judged(request) else {}
    return Live(settings.read(connection, name), may, owners, installed)


def worded_here(
    server: Server, tools: ClientTools, request: Request, manifest: Manifest, live: Live, certain: bool = False
) -> Manifest:
    """The manifest with definitions as this server and these tools word them, from a round trip of the backup's schema.

    Where others worded them, or nobody did, the schema is loaded into an empty database first; which also finds what would
    stop the load. Raises RollbackError with that. Where `certain` it is loaded in any case, and what a restored database could
    not be given, or what differs from the manifest, is an error too.
    """
    with server.connect() as connection:
        (version,) = connection.execute("SELECT current_setting('server_version')").fetchone() or ("",)
    worded_alike = manifest.made_by == round_trip.versions(tools, version.split()[0])
    if worded_alike and not certain:
        return manifest
    with tempfile.TemporaryDirectory() as directory:
        dump = Path(directory) / "schema.sql"
        if not schema_only.write(request.backup, tools, dump):
            return manifest
        trial = round_trip.Request(
            request.live,
            request.live,
            dump,
            extensions=known_extensions(manifest, live),
            has_public=not lacks_public(manifest),
            certain=certain,
            schema_only=True,
        )
        if judged(request):
            trial = replace(trial, settle=lambda name: ownership.settle(server, tools, name, live.owners))
        try:
            trip = round_trip.run(server, tools, trial)
        except RollbackError as error:
            hint = "Fix that on this server, or choose another backup; nothing was touched."
            raise RollbackError(error.message, hint if round_trip.AGAIN in error.hint else error.hint) from error
    if worded_alike:
        _refuse_differences(definitions.differences(manifest.definitions, trip.definitions))
    if worded_alike or not trip.made_by:
        return manifest
    counted = {name: value for name, value in manifest.census.objects.items() if name in OF_CONTENT}
    objects = {name: value for name, value in trip.objects.items() if name not in OF_CONTENT}
    return replace(
        manifest,
        census=replace(manifest.census, objects={**objects, **counted}),
        definitions=trip.definitions,
        made_by=trip.made_by,
    )


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
            live = Live(settings.read(connection, request.live))
            result["carried_over"] = settings.apply(connection, live.settings, request.into)
        with snapshots.opened(connection, request.into):
            return _compared(server, connection, None, request, manifest, live, journal, progress)


def _compared(
    server: Server,
    connection: "psycopg.Connection[Any]",
    tools: Optional[ClientTools],
    request: Request,
    manifest: Manifest,
    live: Live,
    journal: AnyJournal,
    progress: Progress,
) -> Restored:
    with journal.step("compare") as result:
        progress.say(
            "compare", f"{amount(manifest.census.rows, 'row')} in {amount(len(manifest.census.tables), 'table')}"
        )
        found = compare(server, tools, request, manifest, live.access)
        oid = database.oid_of(connection, request.into)
        result.update(oid=oid, rows=found.rows, tables=len(found.tables))
        with server.connect(request.into) as restored:
            notes = extensions.changes(known_extensions(manifest, live), extensions.read(restored))
        if tools and manifest.made_by != round_trip.versions(tools, found.server_version):
            notes.append("Definitions were compared by name alone: the backup was made with other versions.")
        result["notes"] = notes
    progress.say("compare", "equal to the manifest")
    return Restored(
        True,
        oid,
        found.rows,
        [
            f"{request.into} holds {amount(found.rows, 'row')} in {amount(len(found.tables), 'table')}, equal to the manifest",
            *notes,
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


def compare(
    server: Server,
    tools: Optional[ClientTools],
    request: Request,
    manifest: Manifest,
    may: Optional[access.Access] = None,
) -> Census:
    """The census of `request.into`. Raises RollbackError where it is not what the manifest says.

    `may` is what the application's role can do in the live database, for backups that do not say it. Without `tools` the
    database is a copy of the live one's files, whose definitions the census compares.
    """
    role = request.application_role
    with server.connect(request.into) as connection, census.snapshot(connection):
        found = census.take(connection, request.version_table, role)
        same_words = (
            manifest.made_by == round_trip.versions(tools, found.server_version)
            if tools
            else manifest.census.server_version == found.server_version
        )
        problems = differences(manifest.census, found, same_words)
        expected = manifest.access or may or {}
        if role and expected:
            problems += access.lost(expected, access.read(connection, role), role)
    if tools and same_words and not problems:
        problems = definitions.differences(manifest.definitions, definitions.read(server, tools, request.into))
    _refuse_differences(problems)
    return found


def _refuse_differences(problems: Sequence[str]) -> None:
    if problems:
        raise RollbackError(
            f"What was restored is not what was backed up: {listed(problems, 3)}.",
            "Choose another backup.",
        )


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
