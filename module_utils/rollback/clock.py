"""Time as a run needs it: UTC for people, a monotonic clock for durations."""

from __future__ import annotations

import time
from datetime import datetime, timezone

STAMP = "%Y%m%dT%H%M%SZ"


def utc_now() -> datetime:
    return datetime.now(timezone.utc)


def iso(moment: datetime) -> str:
    """`2026-11-22T03:15:00.123Z`: sorts as text and is read by every log tool."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def parse_iso(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def monotonic() -> float:
    """Seconds since this host booted; the same for all its processes, and deaf to clock changes."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)


def boot_id() -> str:
    """Identity of the current boot: monotonic times compare only within one."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return "unknown"
