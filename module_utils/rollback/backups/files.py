"""The files of a backup: what format they are (by content, never by name), their checksums, and reading them as SQL."""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import io
import subprocess
import zlib
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Dict, Iterator, List, Tuple

from ansible.module_utils.rollback.backups.names import CUSTOM, DIRECTORY, GZIP, NONE, PLAIN, SNAPSHOT, ZSTD
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.postgres import client_tools
from ansible.module_utils.rollback.postgres.client_tools import ClientTools

try:
    import zstandard
except ImportError:
    zstandard = None  # type: ignore[assignment]

_BLOCK = 1024 * 1024
_SET_PIPE_SIZE = 1031  # of Linux; Python 3.10 calls it fcntl.F_SETPIPE_SZ
_CUSTOM_MAGIC, _GZIP_MAGIC, _ZSTD_MAGIC = b"PGDMP", b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
SNAPSHOT_MAGIC = b'{"snapshot": '
_PLAIN_STARTS = (b"--\n-- PostgreSQL database dump", b"--\r\n-- PostgreSQL database dump")


def sniff(backup: Path) -> Tuple[str, str]:
    """Format and compression. Raises RollbackError where `backup` is missing, empty or not a dump."""
    if not backup.exists():
        raise RollbackError(f"There is no backup {backup}.")
    if backup.is_dir():
        if not (backup / "toc.dat").is_file():
            raise RollbackError(
                f"The directory {backup.name} is not a dump: it has no toc.dat.", "Choose another backup."
            )
        return DIRECTORY, NONE
    with backup.open("rb") as file:
        head = file.read(64)
    if not head:
        raise RollbackError(f"The backup {backup.name} is empty (0 bytes).", "Choose another backup.")
    if head.startswith(_CUSTOM_MAGIC):
        return CUSTOM, NONE
    if head.startswith(SNAPSHOT_MAGIC):
        return SNAPSHOT, NONE
    compression = GZIP if head.startswith(_GZIP_MAGIC) else ZSTD if head.startswith(_ZSTD_MAGIC) else NONE
    try:
        with open_plain(backup, compression) as file:
            head = file.read(64)
    except (OSError, EOFError, zlib.error) as error:
        raise unreadable(backup, error) from error
    if head.startswith(_PLAIN_STARTS):
        return PLAIN, compression
    raise RollbackError(
        f"The file {backup.name} is not recognisable as a dump made by pg_dump.", "Choose another backup."
    )


@contextmanager
def open_plain(path: Path, compression: str) -> Iterator[IO[bytes]]:
    """The decompressed content of a plain dump. Damage shows as OSError, EOFError or zlib.error while reading."""
    if compression == GZIP:
        with gzip.open(path, "rb") as unzipped:
            yield unzipped  # type: ignore[misc]
    elif compression == ZSTD:
        # A cut file ends here without an error, as an uncut one does: the dump's own end marker tells them apart.
        with path.open("rb") as packed, require_zstandard().ZstdDecompressor().stream_reader(packed) as unpacked:
            try:
                yield io.BufferedReader(unpacked, _BLOCK)
            except zstandard.ZstdError as error:
                raise OSError(str(error)) from error
    else:
        with path.open("rb") as file:
            yield file


@contextmanager
def open_as_sql(
    backup: Path, backup_format: str, compression: str, tools: ClientTools, *options: str
) -> Iterator[IO[bytes]]:
    """The whole dump as SQL, whatever its format; of an archive, what pg_restore's `options` leave of it.

    Raises RollbackError where it cannot be read to its end.
    """
    if backup_format == PLAIN:
        try:
            with open_plain(backup, compression) as file:
                yield file
        except (OSError, EOFError, zlib.error) as error:
            raise unreadable(backup, error) from error
        return
    argv = [tools.path("pg_restore"), "--file=-", *options, str(backup)]
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout and process.stderr  # noqa: S101 - for mypy: both are pipes
        _widen(process.stdout)
        yield process.stdout
        process.stdout.read()  # whatever the caller left, so that pg_restore comes to its own end
        stderr = process.stderr.read()
    if process.returncode != 0:
        raise unreadable(backup, client_tools.failure("pg_restore", process.returncode, stderr))


def blocks(file: IO[bytes]) -> Iterator[bytes]:
    """What is left of `file`, a MiB at a time."""
    return iter(lambda: file.read(_BLOCK), b"")


def checksums(backup: Path) -> Dict[str, Dict[str, Any]]:
    """`sha256` and `bytes` of the file, or of every file of a directory, by its name inside."""
    return {name: {"sha256": _sha256(path), "bytes": path.stat().st_size} for name, path in _parts(backup)}


def total_bytes(backup: Path) -> int:
    return sum(path.stat().st_size for _, path in _parts(backup))


def require_zstandard() -> Any:
    if zstandard is None:
        raise RollbackError(
            "This backup is compressed with zstd, and the Python package zstandard is not installed here.",
            "Run playbooks/prepare.yml, or install zstandard.",
        )
    return zstandard


def unreadable(backup: Path, error: Exception) -> RollbackError:
    """What to say of a backup that `error` kept from being read to its end."""
    if "unsupported version" in str(error):
        return RollbackError(
            f"The backup {backup.name} was written by a newer pg_dump than the pg_restore here can read: {error}.",
            "Choose another backup, or set rollback_client_bin_dir to newer client tools.",
        )
    return RollbackError(
        f"The backup {backup.name} cannot be read to its end: {error}.".replace("..", "."),
        "It is truncated or damaged; choose another backup.",
    )


def _parts(backup: Path) -> List[Tuple[str, Path]]:
    if not backup.is_dir():
        return [(backup.name, backup)]
    return sorted((str(path.relative_to(backup)), path) for path in backup.rglob("*") if path.is_file())


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in blocks(file):
            digest.update(block)
    return digest.hexdigest()


def _widen(pipe: IO[bytes]) -> None:
    """pg_restore writes 4 KiB at a time into a pipe that holds 64: in a larger one it works on while we count."""
    with suppress(OSError):  # another kernel, or its limit for one user is reached: it is only slower
        fcntl.fcntl(pipe.fileno(), _SET_PIPE_SIZE, _BLOCK)
