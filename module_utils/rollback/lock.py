"""One run per environment: a lock file on the `database` host."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Dict, Optional

from ansible.module_utils.rollback import durable
from ansible.module_utils.rollback.errors import RollbackError

FILE_NAME = "lock"


@dataclass(frozen=True)
class Owner:
    """Who holds the lock: the run, and the controller process that drives it."""

    run: str
    who: str
    since: str
    host: str
    pid: int
    boot: str

    def as_dict(self) -> Dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        return f"run {self.run}, started by {self.who} at {self.since} (process {self.pid} on {self.host})"


def holder(environment_directory: Path) -> Optional[Owner]:
    """Who holds the lock, or None."""
    path = environment_directory / FILE_NAME
    try:
        return Owner(**json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (TypeError, ValueError) as error:
        raise RollbackError(
            f"The lock {path} cannot be read.", "See whether a run is under way; if none is, delete it."
        ) from error


def acquire(environment_directory: Path, owner: Owner, take_over: Optional[Owner] = None) -> None:
    """Take the lock for `owner`. A lock that is still `take_over` is replaced: its controller is known to be dead."""
    durable.make_private_dirs(environment_directory)
    path = environment_directory / FILE_NAME
    if take_over:
        with durable.exclusive(environment_directory):  # of two runs that take over together, the second sees the first
            if holder(environment_directory) == take_over:
                durable.write(path, durable.canonical_json(owner.as_dict()))
                return
    draft = path.with_name(f".{FILE_NAME}.{os.getpid()}")
    durable.write(draft, durable.canonical_json(owner.as_dict()))
    try:
        os.link(draft, path)  # fails where the name exists: of two runs that start together, one wins
    except FileExistsError:
        raise RollbackError(
            f"The lock is held by {holder(environment_directory)}.", "Wait until that run has ended."
        ) from None
    finally:
        draft.unlink()
    durable.sync_dir(environment_directory)


def release(environment_directory: Path, run: str) -> bool:
    """Give the lock back; False where `run` does not hold it."""
    held = holder(environment_directory)
    if held is None or held.run != run:
        return False
    (environment_directory / FILE_NAME).unlink()
    durable.sync_dir(environment_directory)
    return True
