"""Releases as directories: `releases/<version>` for each, and the link `current` to the one that runs."""

from __future__ import annotations

import os
import subprocess
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Dict, List, Sequence

from ansible.module_utils.rollback.errors import RollbackError


@dataclass(frozen=True)
class Host:
    """The releases of one host. `stop` and `start` are argument lists that do nothing where that is the state already."""

    path: Path
    stop: Sequence[str]
    start: Sequence[str]
    timeout_s: float

    @property
    def link(self) -> Path:
        return self.path / "current"

    @property
    def releases(self) -> List[str]:
        directory = self.path / "releases"
        return sorted(entry.name for entry in directory.iterdir() if entry.is_dir()) if directory.is_dir() else []

    @property
    def running(self) -> str:
        """The current release. Raises RollbackError where there is no link."""
        if not self.link.is_symlink():
            raise RollbackError(f"{self.link} is no link to a release.", "Check app_rollback_path.")
        return os.path.basename(os.readlink(self.link).rstrip("/"))


@dataclass(frozen=True)
class Done:
    changed: bool
    running: str
    releases: List[str]
    actions: List[str]

    def as_dict(self) -> Dict[str, Any]:
        return asdict(self)


def look(host: Host) -> Done:
    return Done(False, host.running, host.releases, [])


def stop(host: Host) -> Done:
    """Stop every process. What the command found running is its own knowledge, so this counts as a change."""
    _run(host.stop, host.timeout_s, "stop")
    return Done(True, host.running, host.releases, [f"stopped {host.running}"])


def start(host: Host, version: str) -> Done:
    """Make `version` the current release and start it."""
    before = host.running
    _refuse_unknown(host, version)
    if before != version:
        _link(host, version)
    _run(host.start, host.timeout_s, "start")
    return Done(True, version, host.releases, [f"started {version}"])


def switch(host: Host, version: str) -> Done:
    """From the current release to `version`, and back where that does not start; then RollbackError says so.

    Where it is current, it is started all the same, which does nothing where it runs: what was cut off may have left it stopped.
    """
    before = host.running
    _refuse_unknown(host, version)
    if before == version:
        _run(host.start, host.timeout_s, "start")
        return look(host)
    try:
        _run(host.stop, host.timeout_s, "stop")
        _link(host, version)
        _run(host.start, host.timeout_s, "start")
    except RollbackError as error:
        _link(host, before)
        _run(host.start, host.timeout_s, "start")
        raise RollbackError(f"{error} {before} was started again.") from error
    return Done(True, version, host.releases, [f"stopped {before}", f"started {version}"])


def _refuse_unknown(host: Host, version: str) -> None:
    if version not in host.releases:
        raise RollbackError(
            f"{version} is not among the releases in {host.path / 'releases'}.",
            "Deploy it there without activating it.",
        )


def _link(host: Host, version: str) -> None:
    """In one rename, so that there is never a moment without a current release."""
    new = host.path / ".current.rollback"
    new.unlink(missing_ok=True)
    new.symlink_to(os.path.join("releases", version))
    new.replace(host.link)


def _run(argv: Sequence[str], timeout_s: float, what: str) -> None:
    if not argv:
        raise RollbackError(f"There is no {what} command.", f"Set app_rollback_{what}_command.")
    # Into a file: what a command leaves running in the background keeps its output, and a pipe would never end.
    with tempfile.TemporaryFile() as output:
        try:
            code = subprocess.run(
                argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, timeout=timeout_s, check=False
            ).returncode
        except subprocess.TimeoutExpired as error:
            raise RollbackError(f"The {what} command took more than {timeout_s:g} s.") from error
        if code == 0:
            return
        output.seek(0)
        said = output.read().decode(errors="replace").strip().splitlines()
    raise RollbackError(f"The {what} command ended with exit code {code}: {said[-1] if said else 'it said nothing'}.")
