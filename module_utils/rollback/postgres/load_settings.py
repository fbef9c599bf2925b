"""Settings of the sessions that load a backup: they make the load faster, and take nothing from what is there afterwards."""

from __future__ import annotations

import math
import os
from typing import List, Tuple

# For building an index: all sessions together, and each at least. PostgreSQL takes 64 MB where nobody says otherwise. GIN
# indexes and checks of foreign keys gain from more, others little; and a server that serves meanwhile must not run out of it.
_MEMORY_MB, _AT_LEAST_MB = 512, 64
# A B-tree is sorted, and the faster the more of that stays in the processor's caches (bench/load_defaults.py). But its runs are
# merged at once only where there is room for a buffer of 256 KB for each: the square root of what is sorted, in MB, is ample.
_OF_SORT_MB = 32


def load_settings(jobs: int) -> List[Tuple[str, str]]:
    """(name, value) of each setting, for `jobs` sessions that load and build indexes at the same time.

    Every role may set them, and they end with the session: nothing of the server or the database is changed.
    """
    # Where the sessions take every processor, workers of one index would only take it from another (bench/README.md).
    crowded = jobs >= (os.cpu_count() or 1)
    return [
        *([("max_parallel_maintenance_workers", "0")] if crowded and jobs > 1 else []),
        ("maintenance_work_mem", f"{_memory_mb(jobs)}MB"),
        # Loading need not wait for the disk at each of its commits; large tables do all the same (parallel_load.py). The next
        # commit of a session without this setting, such as that of ANALYZE, flushes all that was written before it: before
        # the load counts as done, it is on the disk.
        ("synchronous_commit", "off"),
    ]


def memory_of_sort(size: int, jobs: int) -> str:
    """`maintenance_work_mem` for a B-tree of a table that has `size` bytes in the dump, in one of `jobs` sessions."""
    needed = math.ceil(math.sqrt(size / 2**20))
    return f"{min(max(_OF_SORT_MB, needed), _memory_mb(jobs))}MB"


def _memory_mb(jobs: int) -> int:
    return max(_AT_LEAST_MB, _MEMORY_MB // max(jobs, 1))


def as_options(settings: List[Tuple[str, str]]) -> str:
    """The same as PGOPTIONS has it, for client programs. Values must be free of spaces and backslashes."""
    return " ".join(f"-c {name}={value}" for name, value in settings)
