"""What a dump comes in: compressions, and tar archives that somebody's own script made. Content tells, never a name.

pg_restore reads no archive that is wrapped once more, so such a one is unpacked beside itself for as long as it is read.
"""

from __future__ import annotations

import bz2
import fcntl
import gzip
import io
import lzma
import os
import shutil
import tarfile
import tempfile
import zlib
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Iterator, List, NamedTuple, Optional

from ansible.module_utils.rollback.backups import mistaken, plain_text
from ansible.module_utils.rollback.backups.mistaken import CHOOSE_ANOTHER, Source
from ansible.module_utils.rollback.backups.names import (
    BZIP2,
    CUSTOM,
    DIRECTORY,
    GZIP,
    NONE,
    PLAIN,
    SNAPSHOT,
    TAR,
    XZ,
    ZSTD,
)
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.words import size

try:
    import zstandard
except ImportError:
    zstandard = None  # type: ignore[assignment]

# What damage shows as, while a stream is read.
DAMAGE = (OSError, EOFError, zlib.error, lzma.LZMAError, tarfile.TarError)

_BLOCK = 1024 * 1024
_COMPRESSIONS = ((GZIP, b"\x1f\x8b"), (ZSTD, b"\x28\xb5\x2f\xfd"), (XZ, b"\xfd7zXZ\x00"), (BZIP2, b"BZh"))
_ARCHIVE, _ARCHIVE_KIND = b"PGDMP", 10  # the byte that says how pg_dump laid an archive out
_CUSTOM_KIND, _CONTENTS = b"\x01", "toc.dat"
_TAR_MAGIC, _TAR_MAGIC_AT = b"ustar", 257
SNAPSHOT_MAGIC = b'{"snapshot": '
_TAR_END = bytes(2 * 512)
_HEAD = plain_text.HEAD
_SERVER_FILES = ("backup_label", "PG_VERSION")
_UNPACKED = ".unpacked-"
_SPARE = 64 * 1024 * 1024  # what unpacking leaves free: others write to the same disk


class Contents(NamedTuple):
    """`compression` is that of the whole file; with `bundled`, the dump is inside of a tar archive that pg_dump did not make."""

    format: str
    compression: str
    bundled: bool = False

    @property
    def wrapped(self) -> bool:
        return self.bundled or (self.format != PLAIN and self.compression != NONE)


def look(backup: Path) -> Contents:
    """What `backup` is, by its content. Raises RollbackError where it is missing, empty or not a dump."""
    if not backup.exists():
        raise RollbackError(f"There is no backup {backup}.")
    if backup.is_dir():
        if not (backup / _CONTENTS).is_file():
            raise RollbackError(f"The directory {backup.name} is not a dump: it has no {_CONTENTS}.", CHOOSE_ANOTHER)
        return Contents(DIRECTORY, NONE)
    with backup.open("rb") as raw:
        head = raw.read(_HEAD)
    if not head:
        raise RollbackError(f"The backup {backup.name} is empty (0 bytes).", CHOOSE_ANOTHER)
    if head.startswith(SNAPSHOT_MAGIC):
        return Contents(SNAPSHOT, NONE)
    compression = _compression(head)
    source = Source(backup.name, compression)
    if compression != NONE and mistaken.came_through_a_terminal(head):
        raise mistaken.through_terminal(source)
    try:
        with open_stream(backup, compression) as file:
            head = file.read(_HEAD)
        if head[_TAR_MAGIC_AT:].startswith(_TAR_MAGIC):
            return _look_into_tar(backup, compression)
    except DAMAGE as error:
        raise unreadable(backup, error) from error
    if _is_archive(head, source):
        return Contents(CUSTOM, compression)
    if plain_text.is_dump(head):
        return Contents(PLAIN, compression)
    if compression != NONE and _compression(head) != NONE:
        raise RollbackError(
            f"The backup {backup.name} is compressed twice.",
            f"Unpack it once: {mistaken.unpacking(source)} > unpacked.{_compression(head)}.",
        )
    raise mistaken.refusal(source, head)


def _compression(head: bytes) -> str:
    return next((name for name, magic in _COMPRESSIONS if head.startswith(magic)), NONE)


def _is_archive(head: bytes, source: Source) -> bool:
    if head.startswith(_ARCHIVE) and mistaken.came_through_a_terminal(head):
        raise mistaken.through_terminal(source)
    return head.startswith(_ARCHIVE)


@contextmanager
def open_stream(path: Path, compression: str) -> Iterator[IO[bytes]]:
    """The decompressed content of a file. Damage shows as one of DAMAGE while reading."""
    if compression == ZSTD:
        # A cut file ends here without an error, as an uncut one does: the dump's own end marker tells them apart.
        with (
            path.open("rb") as packed,
            require_zstandard().ZstdDecompressor().stream_reader(packed, read_across_frames=True) as unpacked,
        ):
            try:
                yield io.BufferedReader(unpacked, _BLOCK)
            except zstandard.ZstdError as error:
                raise OSError(str(error)) from error
        return
    openers: Any = {GZIP: gzip.open, XZ: lzma.open, BZIP2: bz2.open, NONE: open}
    with openers[compression](path, "rb") as file:
        yield file


@contextmanager
def unwrapped(backup: Path) -> Iterator[Path]:
    """`backup` as pg_restore can read it: itself, or unpacked beside it, under its own name, until the caller is done.

    Raises RollbackError where it is damaged, would write outside of its directory, or is larger than the room there is.
    """
    contents = look(backup)
    if not contents.wrapped:
        if contents.format == TAR:
            _walk_tar(backup)
        yield backup
        return
    _sweep(backup.parent)
    with tempfile.TemporaryDirectory(prefix=_UNPACKED, dir=backup.parent) as place, _held(Path(place)):
        to = Path(place) / backup.name
        room = _Room(backup)
        try:
            if contents.bundled:
                _unpack(backup, contents, to, room)
            else:
                with open_stream(backup, contents.compression) as file:
                    room.write(file, to)
        except DAMAGE as error:
            raise unreadable(backup, error) from error
        if contents.format == TAR:
            _walk_tar(to)
        yield to


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


def require_zstandard() -> Any:
    if zstandard is None:
        raise RollbackError(
            "This backup is compressed with zstd, and the Python package zstandard is not installed here.",
            "Run playbooks/prepare.yml, or install zstandard.",
        )
    return zstandard


def _look_into_tar(backup: Path, compression: str) -> Contents:
    """The first member that says what it is: pg_dump's own table of contents, or a dump."""
    source = Source(backup.name, compression, bundled=True)
    first: Optional[bytes] = None
    with _members(backup, compression) as archive:
        for member in archive:
            if Path(member.name).name in _SERVER_FILES:
                raise RollbackError(
                    f"The tar archive {backup.name} holds a server's files ({member.name}), as pg_basebackup copies them.",
                    "Choose a backup made by pg_dump: this one can only become a whole server again.",
                )
            file = archive.extractfile(member) if member.isreg() else None
            head = file.read(_HEAD) if file else b""
            if plain_text.is_dump(head):
                return Contents(PLAIN, compression, bundled=True)
            if _is_archive(head, source) and head[_ARCHIVE_KIND:][:1] == _CUSTOM_KIND:
                return Contents(CUSTOM, compression, bundled=True)
            if head.startswith(_ARCHIVE):  # the contents of a directory look like those of pg_dump's own tar archive
                own = first is None and member.name == _CONTENTS
                return Contents(TAR if own else DIRECTORY, compression, bundled=not own)
            first = first or head
    raise mistaken.refusal(source, first or b"")


@contextmanager
def _members(backup: Path, compression: str) -> Iterator[tarfile.TarFile]:
    mode: Any = "r:" if compression == NONE else "r|"  # where nothing is packed, what is in between is skipped unread
    with open_stream(backup, compression) as file, tarfile.open(fileobj=file, mode=mode) as archive:
        yield archive


def _unpack(backup: Path, contents: Contents, to: Path, room: "_Room") -> None:
    """The plain files of a tar archive, each by its own name below `to`; of an archive with one dump, to `to` itself."""
    places: List[Path] = []
    if contents.format == DIRECTORY:
        to.mkdir()
    with _members(backup, contents.compression) as archive:
        for member in archive:
            if member.isdir():
                continue
            path = Path(member.name)
            if not member.isreg() or path.is_absolute() or ".." in path.parts:
                raise RollbackError(
                    f"The tar archive {backup.name} holds {member.name!r}, which is no plain file inside of it.",
                    CHOOSE_ANOTHER,
                )
            if path in places or (places and (contents.format != DIRECTORY or path.parent != places[0].parent)):
                raise RollbackError(
                    f"The tar archive {backup.name} holds more than one dump: {places[0]} and {path}.",
                    "Take out the one that is meant, or choose another backup.",
                )
            places.append(path)
            file = archive.extractfile(member)
            if file:
                room.write(file, to / path.name if contents.format == DIRECTORY else to)


def _walk_tar(backup: Path) -> None:
    """From one file of pg_dump's own tar archive to the next, up to its end: where it breaks off, pg_restore may go round for ever."""
    try:
        with backup.open("rb") as file, tarfile.open(fileobj=file, mode="r:") as archive:
            for _ in archive:
                pass
            file.seek(archive.offset)
            if file.read(len(_TAR_END)) != _TAR_END:
                raise EOFError("the tar archive breaks off")
    except DAMAGE as error:
        raise unreadable(backup, error) from error


class _Room:
    """Writes no more than there is room for: a few bytes may unpack to more than any disk holds."""

    def __init__(self, backup: Path) -> None:
        self._backup = backup
        self._free = shutil.disk_usage(backup.parent).free
        self._left = self._free - _SPARE

    def write(self, file: IO[bytes], to: Path) -> None:
        with to.open("xb") as out:
            for block in iter(lambda: file.read(_BLOCK), b""):
                self._left -= len(block)
                if self._left < 0:
                    raise RollbackError(
                        f"{self._backup.parent} has {size(self._free)} free, and {self._backup.name} unpacks to more than that.",
                        "Make room, or choose another backup.",
                    )
                out.write(block)


@contextmanager
def _held(place: Path) -> Iterator[None]:
    """A lock that the kernel gives back, however this process ends: it tells what is in use from what was left behind."""
    descriptor = os.open(place, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _sweep(directory: Path) -> None:
    """Remove what processes that died have left unpacked."""
    for left in directory.glob(f"{_UNPACKED}*"):
        with suppress(OSError):
            descriptor = os.open(left, os.O_RDONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left)
            finally:
                os.close(descriptor)
