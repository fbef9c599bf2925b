"""Runs: their names, and where on the `database` host they keep what must survive."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

from ansible.module_utils.rollback import clock
from ansible.module_utils.rollback.errors import RollbackError

_RUN = re.compile(r"(?P<stamp>\d{8}T\d{6}Z)-(?P<method>[a-z]+)")
_ENVIRONMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def new_run_id(method: str, moment: datetime) -> str:
    """`20261122T031500Z-restore`."""
    return f"{moment.strftime(clock.STAMP)}-{method}"


def stamp_of(run: str) -> str:
    """The time part of a run id, which names the databases it makes and sets aside."""
    found = _RUN.fullmatch(run)
    if not found:
        raise RollbackError(f"{run!r} is not the id of a run.", "An id looks like 20261122T031500Z-restore.")
    return found.group("stamp")


def environment_dir(state_dir: str, environment: str) -> Path:
    """Where one environment keeps ledger, lock and runs."""
    if not _ENVIRONMENT.fullmatch(environment):
        raise RollbackError(
            f"{environment!r} cannot be the name of an environment.", "Use letters, digits, dot, dash and underscore."
        )
    return Path(state_dir) / environment


def run_dir(environment_directory: Path, run: str) -> Path:
    stamp_of(run)
    return environment_directory / "runs" / run


def run_ids(environment_directory: Path) -> "list[str]":
    """All runs on record, oldest first."""
    runs = environment_directory / "runs"
    if not runs.is_dir():
        return []
    return sorted(entry.name for entry in runs.iterdir() if _RUN.fullmatch(entry.name))
