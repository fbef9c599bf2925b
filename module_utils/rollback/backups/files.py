"""The files of a backup: what format they are, their checksums, and reading them as SQL."""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Dict, Iterator, List, Tuple, cast

from ansible.module_utils.rollback.backups import wrappings
from ansible.module_utils.rollback.backups.mistaken import Source
from ansible.module_utils.rollback.backups.names import PLAIN
from ansible.module_utils.rollback.backups.plain_text import PlainText
from ansible.module_utils.rollback.postgres import client_tools
from ansible.module_utils.rollback.postgres.client_tools import ClientTools

_BLOCK = 1024 * 1024
_SET_PIPE_SIZE = 1031  # of Linux; Python 3.10 calls it fcntl.F_SETPIPE_SZ


def sniff(backup: Path) -> Tuple[str, str]:
    """Format and compression. Raises RollbackError where `backup` is missing, empty or not a dump."""
    contents = wrappings.look(backup)
    return contents.format, contents.compression


@contextmanager
def open_as_sql(
    backup: Path, backup_format: str, compression: str, tools: ClientTools, *options: str
) -> Iterator[IO[bytes]]:
    """The whole dump as SQL, whatever its format; of an archive, what pg_restore's `options` leave of it.

    It is one that `wrappings.unwrapped` gave. Raises RollbackError where it cannot be read to its end.
    """
    if backup_format == PLAIN:
        try:
            with wrappings.open_stream(backup, compression) as file:
                yield cast("IO[bytes]", PlainText(file, Source(backup.name, compression)))
        except wrappings.DAMAGE as error:
            raise wrappings.unreadable(backup, error) from error
        return
    argv = [tools.path("pg_restore"), "--file=-", *options, str(backup)]
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout and process.stderr  # noqa: S101 - for mypy: both are pipes
        _widen(process.stdout)
        yield process.stdout
        process.stdout.read()  # whatever the caller left, so that pg_restore comes to its own end
        stderr = process.stderr.read()
    if process.returncode != 0:
        raise wrappings.unreadable(backup, client_tools.failure("pg_restore", process.returncode, stderr))


def blocks(file: IO[bytes]) -> Iterator[bytes]:
    """What is left of `file`, a MiB at a time."""
    return iter(lambda: file.read(_BLOCK), b"")


def checksums(backup: Path) -> Dict[str, Dict[str, Any]]:
    """`sha256` and `bytes` of the file, or of every file of a directory, by its name inside."""
    return {name: {"sha256": _sha256(path), "bytes": path.stat().st_size} for name, path in _parts(backup)}


def total_bytes(backup: Path) -> int:
    return sum(path.stat().st_size for _, path in _parts(backup))


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
