"""How far the work has come: one plain line at a time, in a file beside the journal that anyone can follow."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Protocol

from ansible.module_utils.rollback import clock, durable
from ansible.module_utils.rollback.journal import Journal
from ansible.module_utils.rollback.record import elapsed_s
from ansible.module_utils.rollback.words import duration, size

FILE_NAME = "progress.log"
_MOST = 0.99  # a database grows past what the manifest says; whole is only what has ended


class Landing(Protocol):
    """What comes: all before `frontier` is there, of which `resumed_at` was there before."""

    frontier: int
    resumed_at: int


@dataclass(frozen=True)
class Measure:
    """Bytes and objects of the database so far, what they should become, and the seconds since the step began."""

    bytes: int
    expected_bytes: int
    objects: int
    expected_objects: int
    seconds: float

    def line(self) -> str:
        """`512.0 MiB of about 1.0 GiB (50 %), 31 of 64 objects, 43.1 MiB/s, about 12 s left`."""
        share = min(self.bytes / self.expected_bytes, _MOST) if self.expected_bytes > 0 else _MOST
        rate = self.bytes / self.seconds if self.seconds > 0 else 0.0
        left = f", about {duration(max(1, self.seconds / share - self.seconds))} left" if share >= 0.01 else ""
        return (
            f"{size(self.bytes)} of about {size(self.expected_bytes)} ({share * 100:.0f} %),"
            f" {min(self.objects, self.expected_objects):,} of {self.expected_objects:,} objects, {size(rate)}/s{left}"
        )


class Transfer:
    """A backup on its way: each of its files is followed while it comes."""

    def __init__(self, expected_bytes: int) -> None:
        self._expected, self._whole = expected_bytes, 0
        self._now: Optional[Landing] = None
        self._before = 0  # bytes that an earlier attempt has brought
        self._since = time.monotonic()

    def follow(self, now: Landing) -> None:
        self._now = now
        self._before += now.resumed_at

    def ended(self, count: int) -> None:
        """A file of so many bytes is whole."""
        self._whole, self._now = self._whole + count, None

    def line(self) -> str:
        """`512.0 MiB of 1.0 GiB (50 %), 43.1 MiB/s, about 12 s left`."""
        there = min(self._expected, self._whole + (self._now.frontier if self._now else 0))
        seconds = time.monotonic() - self._since
        rate = (there - self._before) / seconds if seconds > 0 else 0.0
        share = 100 * there // self._expected if self._expected else 100
        left = f", about {duration(max(1, (self._expected - there) / rate))} left" if rate > 0 else ""
        return f"{size(there)} of {size(self._expected)} ({share} %), {size(max(0, rate))}/s{left}"


class Progress:
    """Lines of one run. Outside a run (`run_dir` empty) nothing is written."""

    def __init__(self, run_dir: str, target_s: float = 0) -> None:
        self._path = Path(run_dir) / FILE_NAME if run_dir else None
        self._target = target_s
        self._before = elapsed_s(Journal(Path(run_dir)).entries()) if run_dir else 0.0
        self._since = time.monotonic()

    def say(self, step: str, words: str) -> None:
        """Add a line; a full disk costs the line and never the work."""
        if not self._path:
            return
        used = self._before + time.monotonic() - self._since
        against = f"; {duration(used)} of {duration(self._target)} used" if self._target else ""
        try:
            durable.append(self._path, f"{clock.iso(clock.utc_now())} {step}: {words}{against}\n".encode())
        except OSError:
            pass


def last_line(run_dir: str) -> Optional[str]:
    """The newest line, without its time, or None before there is one."""
    try:
        lines = (Path(run_dir) / FILE_NAME).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return None
    return lines[-1].partition(" ")[2] if lines else None
