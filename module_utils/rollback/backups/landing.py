"""A file that comes from elsewhere: written where its pieces belong, and hashed from its first byte on while they come.

Pieces come roughly in order, never more than a window ahead of the first one that is missing. So of a file that a killed
process left, all but the last window is whole, and nothing else has to be remembered.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
from pathlib import Path
from types import TracebackType
from typing import Dict, Optional, Type

from ansible.module_utils.rollback.errors import RollbackError

WINDOW = 64 * 1024 * 1024
_BLOCK = 1024 * 1024
_FLUSH_EVERY = 64 * 1024 * 1024


class Landing:
    """`path` while it grows to `size` bytes. A context manager; `take` and `room` are for any thread."""

    def __init__(self, path: Path, size: int, window: int = WINDOW) -> None:
        self._path, self._size, self._window = path, size, window
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._file)
            raise RollbackError(
                f"Another process brings {path.name} at this moment.", "Wait until it has ended, and run it again."
            ) from error
        self.resumed_at = max(0, min(os.fstat(self._file).st_size - window, size))
        self.frontier = self.resumed_at  # all before it is there
        self._ahead: Dict[int, int] = {}
        self._changed = threading.Condition()
        self._error: Optional[BaseException] = None
        self._ended = False
        self._digest = hashlib.sha256()
        self._hashed = self._flushed = 0
        self._followers = [threading.Thread(target=does, daemon=True) for does in (self._hash, self._flush)]

    def __enter__(self) -> "Landing":
        for follower in self._followers:
            follower.start()
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self._end()
        os.close(self._file)

    def again(self) -> int:
        """Where to go on after pieces have stopped coming; what came ahead of it is asked for again."""
        with self._changed:
            self._ahead.clear()
            return self.frontier

    def take(self, offset: int, block: memoryview) -> None:
        """One piece. Raises RollbackError where the disk does not take it."""
        try:
            written = 0
            while written < len(block):
                written += os.pwrite(self._file, block[written:], offset + written)
        except OSError as error:
            raise self._unwritable(error) from error
        with self._changed:
            self._ahead[offset] = offset + len(block)
            while self.frontier in self._ahead:
                self.frontier = self._ahead.pop(self.frontier)
            if self.frontier - self._hashed >= _BLOCK or self.frontier >= self._size:
                self._changed.notify_all()

    def room(self, end: int) -> bool:
        """Whether what goes up to `end` is within the window."""
        return end <= self.frontier + self._window

    def finish(self) -> str:
        """Wait until all is hashed, cut what is too long, flush it to disk, and return the SHA-256."""
        with self._changed:
            self._changed.wait_for(lambda: self._hashed >= self._size or self._error)
        self._end()
        if self._error:
            raise self._error
        try:
            os.ftruncate(self._file, self._size)
            os.fsync(self._file)
        except OSError as error:
            raise self._unwritable(error) from error
        return self._digest.hexdigest()

    def _hash(self) -> None:
        """Follows the frontier; what it reads was just written, so it comes from memory."""
        buffer = memoryview(bytearray(_BLOCK))
        try:
            while self._hashed < self._size:
                with self._changed:
                    self._changed.wait_for(
                        lambda: self.frontier - self._hashed >= _BLOCK or self.frontier >= self._size or self._ended
                    )
                    if self._ended:
                        return
                    until = min(self.frontier, self._size)
                while self._hashed < until and not self._ended:
                    came = os.preadv(self._file, [buffer[: until - self._hashed]], self._hashed)
                    if not came:
                        raise RollbackError(f"{self._path.name} became shorter while it was brought.")
                    self._digest.update(buffer[:came])
                    self._hashed += came
                with self._changed:
                    self._changed.notify_all()
        except (OSError, RollbackError) as error:
            self._fail(error)

    def _flush(self) -> None:
        """Follows too, so that the disk writes while pieces come and little is left for the end."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._hashed - self._flushed >= _FLUSH_EVERY or self._ended)
                if self._ended:
                    return
                self._flushed = self._hashed
            try:
                os.fdatasync(self._file)
            except OSError as error:  # the kernel says it once
                self._fail(self._unwritable(error))
                return

    def _end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        for follower in self._followers:
            follower.join()

    def _fail(self, error: BaseException) -> None:
        with self._changed:
            self._error = error
            self._changed.notify_all()

    def _unwritable(self, error: OSError) -> RollbackError:
        return RollbackError(
            f"{self._path} cannot be written: {error.strerror}.", "Make room or give write access, then run it again."
        )
