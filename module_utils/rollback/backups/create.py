"""Taking a backup: one snapshot for census and dump, a temporary name until it is proven, then its own."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Collection, Dict, Iterator, List, Optional, Tuple

from ansible.module_utils.rollback import clock, durable
from ansible.module_utils.rollback.backups import files, names, proof, signature, wrappings
from ansible.module_utils.rollback.backups import manifest as manifests
from ansible.module_utils.rollback.backups.manifest import Manifest
from ansible.module_utils.rollback.backups.names import CUSTOM, DIRECTORY, GZIP, NONE, PLAIN, ZSTD
from ansible.module_utils.rollback.census import DEFAULT_VERSION_TABLE, OF_CONTENT, PUBLIC, Census
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.postgres import access, census, client_tools, extensions, left_out, round_trip
from ansible.module_utils.rollback.postgres.client_tools import ClientTools
from ansible.module_utils.rollback.postgres.server import Server
from ansible.module_utils.rollback.words import listed, size

if TYPE_CHECKING:
    import psycopg

_BLOCK = 1024 * 1024
_ZSTD_ARCHIVES_SINCE = 16  # the first pg_dump that writes them


@dataclass(frozen=True)
class Request:
    """What to dump, and how. `jobs` counts for the directory format only; pg_dump writes the others alone.

    `known_as` is the name that the manifest gives the database, where it has another one for the moment. `room` is how
    many bytes must be free; a dump is seldom larger than its database, which is what counts where nothing is said. `allow`
    is what a restore would have to allow (scan.ALLOWABLE), and `signing_key` the key that the manifest is signed by. Of a
    database that is too large to be loaded on trial, rows are checked for at most `rows_s` seconds.

    With `certain` the backup is to be all that is left of the database: what could not be tried, could not be carried over
    or is not in the dump stops it.
    """

    directory: Path
    database: str
    label: str
    environment: str
    application_version: str
    format: str = CUSTOM
    compression: str = GZIP
    jobs: int = 2
    version_table: str = DEFAULT_VERSION_TABLE
    application_role: Optional[str] = None
    known_as: str = ""
    room: int = 0
    allow: Collection[str] = ()
    signing_key: str = ""
    rows_s: float = round_trip.BUDGET_S
    certain: bool = False


def create(server: Server, tools: ClientTools, request: Request) -> Manifest:
    """Dump, count, prove by a full read and by loading it, and only then give the backup its name.

    Raises RollbackError where any of it fails; nothing that looks like a backup is left then.
    """
    if request.compression == ZSTD and request.format != PLAIN and tools.version[0] < _ZSTD_ARCHIVES_SINCE:
        raise RollbackError(
            f"pg_dump {tools} cannot compress the {request.format} format with zstd; version {_ZSTD_ARCHIVES_SINCE} can.",
            "Set backup_compression to gzip, or backup_format to plain.",
        )
    began = clock.monotonic()
    durable.make_private_dirs(request.directory)
    target, partial, started = _reserve(request)
    try:
        with server.connect(request.database) as connection, census.snapshot(connection):
            (exported,) = connection.execute("SELECT pg_export_snapshot()").fetchone() or ("",)
            counted = census.take(connection, request.version_table, request.application_role)
            counted = replace(counted, database=request.known_as or counted.database)
            _check_room(request.directory, request.room or counted.bytes)
            may = access.read(connection, request.application_role) if request.application_role else {}
            _dump(server, tools, request, exported, partial, _encoding(connection))
            installed = extensions.read(connection)
            lost, consists_of = left_out.find(connection), left_out.extensions(connection)
            unseen = left_out.unseen(connection)
            trial = _trial(server, tools, request, exported, partial, counted.bytes)
            if trial.dump != partial:
                trial = replace(trial, rows=round_trip.look_at_rows(connection, request.rows_s), schema_only=True)
        # Sequences do not obey snapshots: the dump, read back, tells where they really stand in it.
        facts = proof.read_whole(partial, request.version_table, tools, request.allow)
        counted = replace(
            counted, sequences={name: facts.sequences.get(name, value) for name, value in counted.sequences.items()}
        )
        trip = round_trip.run(
            server,
            tools,
            replace(trial, extensions=installed, has_public=PUBLIC in counted.objects, certain=request.certain),
        )
        if request.certain:
            _refuse_loss([*unseen, *_lost_on_the_way(_without_invalid_indexes(counted, trip), consists_of, trip)])
        manifest = Manifest(
            backup=target.name,
            format=request.format,
            compression=request.compression,
            environment=request.environment,
            created_at=clock.iso(started),
            seconds=round(clock.monotonic() - began, 3),
            client_version=str(tools),
            application_version=request.application_version,
            files={name.replace(partial.name, target.name): file for name, file in files.checksums(partial).items()},
            census=_as_loaded(counted, trip),
            definitions=trip.definitions,
            made_by=trip.made_by,
            access=may,
            extensions={name: asdict(extension) for name, extension in installed.items()},
            notes=[*lost, *_lost_on_the_way(counted, consists_of, trip), *trip.notes],
        )
        problems = proof.contradictions(manifest, facts)
        if problems:
            raise RollbackError(
                f"The dump does not hold what the database holds: {listed(problems, 3)}.",
                "Row-level security or pg_dump's options may hide rows.",
            )
        _remove(_schema_of(partial))
        _flush(partial)
        manifests.write(target, manifest)
        if request.signing_key:
            signature.sign(manifests.path_for(target), request.signing_key)
        partial.rename(target)
        durable.sync_dir(request.directory)
    except BaseException:
        _remove(partial)
        _remove(_schema_of(partial))
        if not target.exists():
            _remove_beside(target)
        raise
    return manifest


def _reserve(request: Request) -> Tuple[Path, Path, datetime]:
    """The backup's path, the temporary one, which is there from now on so that nobody else takes it, and when it began."""
    while True:
        target, started = names.unused(request.directory, request.label, request.format, request.compression)
        partial = target.with_name(target.name + names.PARTIAL_SUFFIX)
        with suppress(FileExistsError):  # somebody else was quicker
            partial.mkdir(mode=0o700) if request.format == DIRECTORY else partial.touch(exist_ok=False)
            return target, partial, started


def _trial(
    server: Server, tools: ClientTools, request: Request, snapshot: str, partial: Path, database_bytes: int
) -> round_trip.Request:
    """What is loaded to see whether the backup loads: all of it, or of a large one the schema, dumped in the same snapshot."""
    dump = partial
    if database_bytes > round_trip.WHOLE_BELOW:
        dump = _schema_of(partial)
        dump_schema(server, tools, request.database, snapshot, dump)
    return round_trip.Request(request.database, request.known_as or request.database, dump)


def dump_schema(server: Server, tools: ClientTools, database: str, snapshot: str, target: Path) -> None:
    """Dump the schema of `database`, as of the exported `snapshot`, in the custom format."""
    argv = _pg_dump(server, tools, database, snapshot, CUSTOM)
    client_tools.run([*argv, "--schema-only", f"--file={target}"], server.environment())


def _schema_of(partial: Path) -> Path:
    return partial.with_name(f"{partial.name}.schema{names.PARTIAL_SUFFIX}")


def _lost_on_the_way(
    counted: Census, consists_of: Dict[str, left_out.Extension], trip: round_trip.RoundTrip
) -> List[str]:
    """What the live database has and the loaded one has not."""
    if not trip.made_by:
        return []
    return [
        *round_trip.not_loaded(counted.objects, trip.objects),
        *left_out.added_by_hand(consists_of, trip.extensions),
    ]


def _without_invalid_indexes(counted: Census, trip: round_trip.RoundTrip) -> Census:
    """Those hold nothing that a dump could miss."""
    lacking = {name for name in counted.objects if name.startswith("index ") and name not in trip.objects}
    return replace(counted, objects={name: each for name, each in counted.objects.items() if name not in lacking})


def _refuse_loss(lost: List[str]) -> None:
    if lost:
        raise RollbackError(
            f"The dump would be all that is left, and it does not hold everything. {' '.join(lost)}",
            "Restore beside it: -e rollback_restore_strategy=beside keeps the database itself.",
        )


def _as_loaded(counted: Census, trip: round_trip.RoundTrip) -> Census:
    """The census with definitions as they are once the dump was loaded. Large objects are no part of a schema."""
    if not trip.made_by:
        return counted
    return replace(counted, objects={**trip.objects, **{name: counted.objects[name] for name in OF_CONTENT}})


def remove(backup: Path) -> None:
    """Delete a backup, its manifest and signatures; the backup first, so that a manifest is never missing from one that is there."""
    _remove(backup)
    _remove_beside(backup)


def _remove_beside(backup: Path) -> None:
    manifest = manifests.path_for(backup)
    for path in (manifest, *signature.of(manifest), *signature.of(backup)):
        path.unlink(missing_ok=True)


def _encoding(connection: "psycopg.Connection[Any]") -> List[str]:
    """Bytes that PostgreSQL has never taken for text stay as they are; as UTF-8 they could not be dumped."""
    return ["--encoding=SQL_ASCII"] if connection.info.parameter_status("server_encoding") == "SQL_ASCII" else []


def _dump(
    server: Server, tools: ClientTools, request: Request, snapshot: str, partial: Path, encoding: List[str]
) -> None:
    argv = [*_pg_dump(server, tools, request.database, snapshot, request.format), *encoding]
    if request.format == DIRECTORY:
        argv += [f"--jobs={request.jobs}", f"--file={partial}"]
    if request.format != PLAIN:
        argv += [_compress_option(request.compression, tools)]
    if request.format == DIRECTORY:
        client_tools.run(argv, server.environment())
        return
    with (
        _writer(partial, request.compression if request.format == PLAIN else NONE) as out,
        subprocess.Popen(
            argv, env=server.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process,
    ):
        assert process.stdout and process.stderr  # noqa: S101 - for mypy: both are pipes
        shutil.copyfileobj(process.stdout, out, _BLOCK)
        stderr = process.stderr.read()
    if process.returncode != 0:
        raise client_tools.failure("pg_dump", process.returncode, stderr)


def _pg_dump(server: Server, tools: ClientTools, database: str, snapshot: str, backup_format: str) -> List[str]:
    return [
        tools.path("pg_dump"),
        f"--dbname={server.conninfo(database)}",
        f"--snapshot={snapshot}",
        "--no-password",
        f"--format={backup_format}",
    ]


def _compress_option(compression: str, tools: ClientTools) -> str:
    if tools.version[0] >= _ZSTD_ARCHIVES_SINCE:
        return f"--compress={compression}"
    return "--compress=0" if compression == NONE else "--compress=6"


@contextmanager
def _writer(path: Path, compression: str) -> Iterator[IO[bytes]]:
    with path.open("wb") as raw:
        path.chmod(0o640)
        if compression == GZIP:
            with gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=6, filename="", mtime=0) as zipped:
                yield zipped  # type: ignore[misc]
        elif compression == ZSTD:
            with (
                wrappings.require_zstandard()
                .ZstdCompressor(level=3, threads=-1, write_checksum=True)
                .stream_writer(raw, closefd=False) as packed
            ):
                yield packed
        else:
            yield raw


def _check_room(directory: Path, needed: int) -> None:
    """A disk that fills up may be the server's own."""
    free = shutil.disk_usage(directory).free
    if free < needed:
        raise RollbackError(
            f"{directory} has {size(free)} free, and the dump may need {size(needed)}.",
            "Make room, or set rollback_backup_dir to another disk.",
        )


def _flush(backup: Path) -> None:
    paths: List[Path] = [backup, *backup.rglob("*")] if backup.is_dir() else [backup]
    for path in paths:
        if path.is_dir():
            durable.sync_dir(path)
        else:
            with path.open("rb+") as file:
                os.fsync(file.fileno())


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
