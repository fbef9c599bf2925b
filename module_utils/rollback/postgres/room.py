"""Room for a second database: PostgreSQL has no function that tells it, so the file system is asked where it can be seen."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, List, Tuple

from ansible.module_utils.rollback.words import size

with suppress(ImportError):  # the module that uses this says so
    from psycopg import errors as pg_errors

if TYPE_CHECKING:
    import psycopg

# A loaded database is seldom larger than the one that was dumped, but sorting for indexes and the write-ahead log of
# the load need room besides, the latter at least some files of 16 MiB.
_MARGIN, _AT_LEAST = 1.15, 64 * 1024 * 1024


def for_second_database(
    connection: "psycopg.Connection[Any]", database_bytes: int, data_dir: str = ""
) -> Tuple[List[str], List[str]]:
    """Whether the server has room for a second database of `database_bytes`: (refusals, warnings).

    `data_dir` is a directory on this host on the file system of PostgreSQL's data; empty asks the server for it, which
    helps only where the server is on this host and shows it to this role.
    """
    needed = int(database_bytes * _MARGIN) + _AT_LEAST
    try:
        directory = data_dir or _data_dir(connection)
        free = shutil.disk_usage(directory).free if directory else None
    except OSError as error:
        return [], [_unseen(needed, f"{error.filename}: {error.strerror}")]
    if free is None:
        return [], [_unseen(needed, "")]
    if free >= needed:
        return [], []
    return [
        f"The server has {size(free)} free in {directory}, and a second database needs {size(needed)}."
        " Make room, or add -e rollback_restore_strategy=in_place."
    ], []


def _unseen(needed: int, reason: str) -> str:
    return (
        f"Room on the server cannot be seen from here{f' ({reason})' if reason else ''}: {size(needed)} are needed."
        " Set rollback_data_dir to have it checked."
    )


def _data_dir(connection: "psycopg.Connection[Any]") -> str:
    """Where the live database's files are, where the server is on this host and tells; else empty."""
    if not _is_here(connection):
        return ""
    (tablespace,) = connection.execute(
        "SELECT pg_tablespace_location(dattablespace) FROM pg_database WHERE datname = current_database()"
    ).fetchone() or ("",)
    if tablespace:
        return str(tablespace)
    try:
        (directory,) = connection.execute("SELECT current_setting('data_directory')").fetchone() or ("",)
    except pg_errors.InsufficientPrivilege:
        return ""
    return str(directory)


def _is_here(connection: "psycopg.Connection[Any]") -> bool:
    """Whether the process that serves this session runs on this host.

    Addresses do not tell: a loopback port may lead into a container or through a tunnel, where the same path is
    another disk. The title of the serving process names its user and database.
    """
    try:
        title = Path(f"/proc/{connection.info.backend_pid}/cmdline").read_bytes()
    except OSError:
        return False
    session = f" {connection.info.user} {connection.info.dbname} ".encode()
    return title.startswith(b"postgres") and session in title
