"""What every place of backups can do: list, read something small, bring a file, take one."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Callable, List, NamedTuple

from ansible.module_utils.rollback.errors import RollbackError

# Where a piece of a file begins, and the piece; it is only lent, and is another one after the call.
Sink = Callable[[int, memoryview], None]
# Whether what goes up to a place in the file may be asked for by now.
Room = Callable[[int], bool]

SMALL = 64 * 1024 * 1024  # no manifest is larger


class Unreachable(RollbackError):
    """The place cannot be reached, or does not let us in; other places are not concerned."""


class Interrupted(RollbackError):
    """It was reached and broke off: asking again goes on from there."""


class Entry(NamedTuple):
    """A file, or a directory with all that is in it. `modified_at` is when it was put there, which says little of a backup."""

    name: str
    bytes: int
    modified_at: float


class Source(ABC):
    """One place. Names are relative to it; those in a directory have a slash. Opened lazily, closed by `close`."""

    def __init__(self, name: str, pace: "Pace") -> None:
        self.name, self.pace = name, pace

    @property
    @abstractmethod
    def where(self) -> str:
        """The place in words for people, without a secret."""

    @abstractmethod
    def list(self) -> List[Entry]:
        """What is there, in no order. Raises Unreachable."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """All of a small file. Raises FileNotFoundError, Unreachable or Interrupted."""

    @abstractmethod
    def size(self, name: str) -> int:
        """Bytes of a file. Raises FileNotFoundError, Unreachable or Interrupted."""

    @abstractmethod
    def bring(self, name: str, start: int, size: int, sink: Sink, room: Room) -> None:
        """Hand bytes `start` to `size` of a file to `sink`, roughly in order.

        Nothing is asked for while there is no `room` for it. Raises as `read` does, and EOFError where it is shorter.
        """

    @abstractmethod
    def put(self, path: Path, name: str) -> None:
        """Leave the file `path` there as `name`, whole or not at all, and prove its size. Raises Unreachable or Interrupted."""

    def close(self) -> None:  # noqa: B027 - a place that holds nothing open has nothing to do
        """Let go of what is held open; the next call opens it anew."""


class Pace:
    """No more than `bytes_per_s`; 0 is as fast as it goes. Several threads may share one."""

    def __init__(self, bytes_per_s: int = 0) -> None:
        self.bytes_per_s = bytes_per_s
        self._free_at = 0.0
        self._lock = threading.Lock()

    def take(self, count: int) -> None:
        """Wait until `count` more bytes may be asked for."""
        if not self.bytes_per_s:
            return
        with self._lock:
            now = time.monotonic()
            self._free_at = max(now, self._free_at) + count / self.bytes_per_s
            pause = self._free_at - now
        time.sleep(max(0.0, pause))
