"""One process at a time works on the databases of a run, whatever became of those that came before.

A killed controller leaves the module running on the host, and a killed module leaves its pg_restore. Two locks tell
them apart: the kernel gives the first back when the module dies, the second when its last client program has ended.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Iterator, List, Tuple

from ansible.module_utils.rollback import durable
from ansible.module_utils.rollback.errors import RollbackError

MODULE_LOCK, CLIENTS_LOCK = "worker.lock", "clients.lock"
CLIENTS_GRACE_S = 60.0
_PAUSE_S = 0.1

_inherited: List[int] = []


def descriptors() -> Tuple[int, ...]:
    """What client programs are to inherit (`pass_fds`), so that the second lock is held until they have ended."""
    return tuple(_inherited)


def is_busy(run_dir: str) -> bool:
    """Whether a module works on the run's databases now."""
    path = Path(run_dir) / MODULE_LOCK
    if not path.exists():
        return False
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@contextmanager
def alone(run_dir: str, evict: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Wait for a module of an earlier attempt that still works; of a dead one, end the clients by `evict` until they are gone.

    Outside a run (`run_dir` empty) nobody else is there. Raises RollbackError where clients stay for a minute.
    """
    if not run_dir:
        yield
        return
    durable.make_private_dirs(Path(run_dir))
    module, clients = _open(run_dir, MODULE_LOCK), _open(run_dir, CLIENTS_LOCK)
    try:
        fcntl.flock(module, fcntl.LOCK_EX)
        deadline = time.monotonic() + CLIENTS_GRACE_S
        while not _taken(clients):
            if time.monotonic() > deadline:
                raise RollbackError(
                    f"Programs of an earlier attempt of this run still run after {CLIENTS_GRACE_S:.0f} s.",
                    "See which psql or pg_restore is left on the database host, end it, and run the same command again.",
                )
            evict()
            time.sleep(_PAUSE_S)
        _inherited.append(clients)
        try:
            yield
        finally:
            _inherited.remove(clients)
    finally:
        os.close(clients)
        os.close(module)


def _open(run_dir: str, name: str) -> int:
    return os.open(Path(run_dir) / name, os.O_RDWR | os.O_CREAT, 0o600)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
