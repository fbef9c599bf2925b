"""A snapshot: a copy of a database that is kept in its cluster, closed to sessions, until a run gives it the live name.

PostgreSQL copies a database only while nobody is in it; whoever comes meanwhile waits until the copy is there. The backup
directory keeps a small file that names the copy, and a manifest beside it as every backup has one.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Iterator, List, Mapping, Optional, Sequence

from ansible.module_utils.rollback import clock, durable
from ansible.module_utils.rollback.backups import catalog, create, files
from ansible.module_utils.rollback.backups import manifest as manifests
from ansible.module_utils.rollback.backups import names as backup_names
from ansible.module_utils.rollback.backups.manifest import Manifest
from ansible.module_utils.rollback.census import DEFAULT_VERSION_TABLE, Census
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.postgres import beside, census, names, room
from ansible.module_utils.rollback.postgres.server import Server
from ansible.module_utils.rollback.postgres.sessions import allow_connections, end_sessions, sessions_of
from ansible.module_utils.rollback.words import listed

with suppress(ImportError):  # the module that uses this says so
    import psycopg
    from psycopg import sql

if TYPE_CHECKING:
    import psycopg

_STRATEGIES_SINCE, _CLONES_SINCE = 150000, 180000
_PAUSE_S = 0.05


@dataclass(frozen=True)
class Request:
    """What to copy. With `end_sessions`, those of the database are ended; without, they are a reason to refuse."""

    directory: Path
    database: str
    label: str
    environment: str
    application_version: str
    version_table: str = DEFAULT_VERSION_TABLE
    application_role: Optional[str] = None
    end_sessions: bool = False
    data_dir: str = ""


@dataclass(frozen=True)
class Snapshot:
    """The copy, as the file in the backup directory names it. The OID tells whether it is still that one."""

    snapshot: str
    oid: int
    system_identifier: str


def take(server: Server, request: Request) -> Manifest:
    """Copy, count the copy, close it, and only then give the file its name. Raises RollbackError, and leaves nothing then."""
    began = clock.monotonic()
    target, started = backup_names.unused(
        request.directory, request.label, backup_names.SNAPSHOT, compression=backup_names.NONE
    )
    name = names.snapshot_name(request.database, started.strftime(clock.STAMP))
    durable.make_private_dirs(request.directory)
    with server.connect(request.database) as connection:
        live, counters = census.identity(connection, request.version_table), census.counters(connection)
        _check_room(connection, live, request)
    with server.connect() as connection:
        _clear_away(connection, request)
        with _unfinished(target, name) as file:
            oid = _copy(server, connection, request, name)
            try:
                with server.connect(name) as copied, census.snapshot(copied):
                    found = census.take(copied, request.version_table, request.application_role)
                allow_connections(connection, name, False)
                _write(file, Snapshot(name, oid, live.system_identifier))
                partial = Path(file.name)
                manifest = Manifest(
                    backup=target.name,
                    format=backup_names.SNAPSHOT,
                    compression=backup_names.NONE,
                    environment=request.environment,
                    created_at=clock.iso(started),
                    seconds=round(clock.monotonic() - began, 3),
                    client_version="",
                    application_version=request.application_version,
                    files={target.name: files.checksums(partial)[partial.name]},
                    census=_as_of(live, counters, found),
                )
                manifests.write(target, manifest)
                partial.rename(target)
                durable.sync_dir(request.directory)
            except BaseException:
                if not connection.closed:
                    beside.drop(connection, name)
                raise
    return manifest


def read(path: Path) -> Snapshot:
    """Raises RollbackError where the file is not whole."""
    try:
        return Snapshot(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, TypeError, ValueError) as error:
        raise RollbackError(f"The file {path.name} does not name a snapshot.", "Choose another backup.") from error


def find(connection: "psycopg.Connection[Any]", path: Path) -> Snapshot:
    """The snapshot that the file at `path` names. Raises RollbackError where that is gone, or not the same any more."""
    wanted = read(path)
    if not is_there(connection, wanted):
        raise RollbackError(
            f"The snapshot {path.name} is gone: this server has no database {wanted.snapshot} with OID {wanted.oid}.",
            "It was restored or dropped since; choose another backup.",
        )
    return wanted


def is_there(connection: "psycopg.Connection[Any]", wanted: Snapshot) -> bool:
    (system,) = connection.execute("SELECT system_identifier::text FROM pg_control_system()").fetchone() or ("",)
    return (beside.oid_of(connection, wanted.snapshot), system) == (wanted.oid, wanted.system_identifier)


def prove(connection: "psycopg.Connection[Any]", path: Path) -> "tuple[Manifest, Snapshot]":
    """That it is the copy which the manifest is about. Its rows are counted by the restore, before anything is stopped."""
    manifest = manifests.read(path)
    if manifest is None:
        raise RollbackError(f"The snapshot {path.name} has no manifest beside it.", "Choose another backup.")
    if files.checksums(path) != manifest.files:
        raise RollbackError(
            f"The file {path.name} is not the one that its manifest is about.", "Choose another backup."
        )
    return manifest, find(connection, path)


@contextmanager
def opened(connection: "psycopg.Connection[Any]", name: str) -> Iterator[None]:
    """Let sessions in for as long as is needed."""
    try:
        allow_connections(connection, name, True)
        yield
    finally:
        if not connection.closed:
            allow_connections(connection, name, False)


def let_go(
    connection: "psycopg.Connection[Any]", directory: Path, database: str, environment: str, keep: int
) -> List[str]:
    """Drop all snapshots but the newest `keep`, and forget those that are gone; returns the names of their files."""
    found = [
        candidate
        for candidate in catalog.read(directory, database, environment)
        if candidate.format == backup_names.SNAPSHOT and not candidate.reason
    ]
    there = [candidate for candidate in found if is_there(connection, read(Path(candidate.path)))]
    spared = there[-keep:] if keep > 0 else []
    for candidate in found:
        if candidate not in spared:
            if candidate in there:
                beside.drop(connection, read(Path(candidate.path)).snapshot)
            create.remove(Path(candidate.path))
    return [candidate.name for candidate in found if candidate not in spared]


def _as_of(live: Census, counters: Mapping[int, Sequence[Optional[int]]], found: Census) -> Census:
    """What was `found` in the copy, under the name of the live database: its writes the server counts there, now as then."""
    tables = {}
    for name, table in found.tables.items():
        inserted, updated, deleted = counters.get(table.oid, (None, None, None))
        tables[name] = replace(table, inserted=inserted, updated=updated, deleted=deleted)
    return replace(
        found, database=live.database, database_oid=live.database_oid, stats_reset=live.stats_reset, tables=tables
    )


def _check_room(connection: "psycopg.Connection[Any]", live: Census, request: Request) -> None:
    refusals, _ = room.for_second_database(connection, live.bytes, request.data_dir)
    if refusals:
        raise RollbackError(
            f"There is no room for a snapshot of {live.database}: {refusals[0].split('. ')[0]}.",
            "Make room, or leave out -e kind=snapshot, which takes a dump.",
        )


def _copy(server: Server, connection: "psycopg.Connection[Any]", request: Request, name: str) -> int:
    """Make the copy, and return its OID. From its beginning to its end PostgreSQL lets nobody into the live database."""
    owner = beside.properties(connection, request.database)["owner"]
    connected = sessions_of(connection, request.database)
    if connected and not request.end_sessions:
        raise _in_use(request.database, connected)
    with server.connect() as at_work, ThreadPoolExecutor(1) as beside_us:
        copying = beside_us.submit(_create, at_work, request.database, name, owner)
        try:
            # It waits five seconds for sessions to leave, and admits no others while it waits.
            while request.end_sessions and not copying.done():
                end_sessions(connection, [request.database])
                time.sleep(_PAUSE_S)
            copying.result()
        except RollbackError:
            if copying.exception() is None:  # whoever could not be ended has left after all
                beside.drop(connection, name)
            raise
        except psycopg.errors.ObjectInUse as error:
            found = sessions_of(connection, request.database) or [str(error.diag.message_detail).strip(" .")]
            raise _in_use(request.database, found) from error
        except psycopg.errors.DuplicateDatabase as error:
            raise RollbackError(f"There is a snapshot {name} already.", "Wait a second and run it again.") from error
        except psycopg.Error as error:
            raise RollbackError(
                f"{request.database} could not be copied: {str(error.diag.message_primary or error).strip().rstrip('.')}.",
                "Clear the cause, or leave out -e kind=snapshot, which takes a dump.",
            ) from error
    return beside.oid_of(connection, name)


def _create(connection: "psycopg.Connection[Any]", live: str, name: str, owner: str) -> None:
    statement = sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {}").format(*map(sql.Identifier, (name, owner, live)))
    version = connection.info.server_version
    if version >= _STRATEGIES_SINCE:  # else the copy would go through the write-ahead log, page by page
        statement += sql.SQL(" STRATEGY file_copy")
    if version >= _CLONES_SINCE:
        try:
            connection.execute("SET file_copy_method = clone")
            connection.execute(statement)
            return
        except psycopg.Error as error:
            if "clone" not in str(error):
                raise
            connection.execute("RESET file_copy_method")  # this system, or its file system, cannot
    connection.execute(statement)


def _in_use(live: str, by: List[str]) -> RollbackError:
    return RollbackError(
        f"{live} cannot be copied while somebody is in it: {listed(by, 3)}.",
        "Stop the application first, or add -e end_sessions=true: then sessions are ended, and new ones wait until the copy is there.",
    )


@contextmanager
def _unfinished(target: Path, name: str) -> Iterator[IO[str]]:
    """The file before it has its name. It is there before the copy, so that one which was cut off is found by it."""
    partial = target.with_name(target.name + backup_names.PARTIAL_SUFFIX)
    with partial.open("x", encoding="utf-8") as file:
        partial.chmod(0o640)
        fcntl.flock(file, fcntl.LOCK_EX)
        _write(file, Snapshot(name, 0, ""))
        try:
            yield file
        except BaseException:
            partial.unlink(missing_ok=True)
            if not target.exists():
                manifests.path_for(target).unlink(missing_ok=True)
            raise


def _write(file: IO[str], snapshot: Snapshot) -> None:
    file.seek(0)
    file.truncate()
    json.dump(asdict(snapshot), file)
    file.flush()
    os.fsync(file.fileno())


def _clear_away(connection: "psycopg.Connection[Any]", request: Request) -> None:
    """What an attempt left that was cut off. One that still works holds the lock of its file."""
    for partial in request.directory.glob(f"*.snapshot{backup_names.PARTIAL_SUFFIX}"):
        with partial.open(encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            with suppress(RollbackError):  # it was cut off before it named anything
                name = read(partial).snapshot
                if names.is_snapshot(name, request.database):
                    beside.drop(connection, name)
            partial.unlink()
