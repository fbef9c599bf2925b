"""Another directory of the same host, such as one that is mounted from elsewhere."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import List

from ansible.module_utils.rollback import durable
from ansible.module_utils.rollback.backups.names import PARTIAL_SUFFIX
from ansible.module_utils.rollback.backups.sources.source import (
    SMALL,
    Entry,
    Interrupted,
    Pace,
    Room,
    Sink,
    Source,
    Unreachable,
)

_BLOCK = 1024 * 1024


class LocalSource(Source):
    def __init__(self, name: str, pace: Pace, path: str) -> None:
        super().__init__(name, pace)
        self._directory = Path(path)

    @property
    def where(self) -> str:
        return str(self._directory)

    def list(self) -> List[Entry]:
        try:
            return [
                Entry(path.name, _bytes(path), path.stat().st_mtime)
                for path in self._directory.iterdir()
                if path.exists()
            ]
        except OSError as error:
            raise Unreachable(f"{error.filename or self._directory}: {error.strerror or error}.") from error

    def read(self, name: str) -> bytes:
        try:
            with (self._directory / name).open("rb") as file:
                return file.read(SMALL)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise Unreachable(f"{error.filename}: {error.strerror or error}.") from error

    def size(self, name: str) -> int:
        return (self._directory / name).stat().st_size

    def bring(self, name: str, start: int, size: int, sink: Sink, room: Room) -> None:
        buffer = memoryview(bytearray(_BLOCK))
        with (self._directory / name).open("rb", buffering=0) as file:
            file.seek(start)
            while start < size:
                wanted = min(_BLOCK, size - start)
                self.pace.take(wanted)
                try:
                    came = file.readinto(buffer[:wanted]) or 0
                except OSError as error:  # a mount that went away
                    raise Interrupted(f"{self._directory / name}: {error.strerror or error}.") from error
                if not came:
                    raise EOFError(name)
                sink(start, buffer[:came])
                start += came

    def put(self, path: Path, name: str) -> None:
        target = self._directory / name
        partial = target.with_name(target.name + PARTIAL_SUFFIX)
        try:
            durable.make_private_dirs(target.parent)
            with path.open("rb") as file, partial.open("wb") as copy:
                os.fchmod(copy.fileno(), 0o640)
                for block in iter(lambda: file.read(_BLOCK), b""):
                    self.pace.take(len(block))
                    copy.write(block)
                copy.flush()
                os.fsync(copy.fileno())
            shutil.copystat(path, partial)
            partial.rename(target)
            durable.sync_dir(target.parent)
        except OSError as error:
            raise Unreachable(f"{error.filename or target}: {error.strerror or error}.") from error


def _bytes(path: Path) -> int:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)
