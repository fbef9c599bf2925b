"""Where a Compose project says which version it runs: a variable in `.env`, an override file, or a git tag.

What is switched is written there too, or else the next `docker compose up` would go forward again.
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import tarfile
import tempfile
from abc import ABC, abstractmethod
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, Mapping, Optional, Tuple

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.runtimes.compose_files import OVERRIDES, found_files, named_files

HEADER = "# Written by a rollback. Deployments that name this file go on from here; delete it to go back to the files besides.\n"
ENV, OVERRIDE, GIT = "env", "override", "git"
KINDS = (OVERRIDE, ENV, GIT)


class Pin(ABC):
    """One way to pin. `save` and `restore` bracket a switch that may fail."""

    # Whether the Compose files themselves say which image a version is, and whether they may have other services for it.
    names_images = False
    moves_services = False

    def files(self) -> List[str]:
        """Compose files that are read besides."""
        return []

    def problems(self, directory: Path, version: str) -> List[str]:
        """Why it cannot be written; sentences with a way out."""
        return []

    @contextmanager
    def preview(self, directory: Path, version: str) -> Iterator[Tuple[Optional[Path], Dict[str, str]]]:
        """Where the Compose files of `version` are, and variables for them, for as long as it lasts."""
        yield None, {}

    @abstractmethod
    def write(self, directory: Path, version: str, target: Mapping[str, str]) -> Iterator[str]:
        """Pin `target`; yields what was done, in words. Nothing where it says that already."""

    def save(self, directory: Path) -> Dict[str, Optional[str]]:
        return {}

    def restore(self, directory: Path, kept: Mapping[str, Optional[str]]) -> None:
        for name, text in kept.items():
            _write(directory / name, text)


@dataclass(frozen=True)
class Override(Pin):
    """A Compose file of ours with the image of each service, by digest, read after all others. `files` are the ones that
    deployments name; without any, Compose has to find ours by itself."""

    name: str
    directory: Path
    named: bool = False

    def files(self) -> List[str]:
        return [self.name] if (self.directory / self.name).exists() else []

    def problems(self, directory: Path, version: str) -> List[str]:
        path = directory / self.name
        if path.exists() and not path.read_text().startswith(HEADER):
            return [
                f"{path} is there and was not written by a rollback. Name another file with app_rollback_compose_override."
            ]
        if self.named:
            return []
        told = named_files(directory)
        others = [name for name in OVERRIDES if name != self.name and (directory / name).exists()]
        if self.name in told if told else self.name in OVERRIDES and not others:
            return []
        return [
            f"The next deployment would not read {path}, since Compose reads {', '.join(found_files(directory)) or 'nothing'} there."
            " Name the files of deployments, and ours, with app_rollback_compose_files and _override, or set app_rollback_compose_pin to env."
        ]

    def write(self, directory: Path, version: str, target: Mapping[str, str]) -> Iterator[str]:
        services = {service: {"image": image} for service, image in sorted(target.items())}
        # JSON is YAML.
        text = HEADER + json.dumps({"services": services}, indent=2) + "\n"
        if _write(directory / self.name, text):
            yield f"wrote {self.name}"

    def save(self, directory: Path) -> Dict[str, Optional[str]]:
        return {self.name: _read(directory / self.name)}


@dataclass(frozen=True)
class Variable(Pin):
    """A line `NAME=version` of an env file, out of which the Compose file makes the image's tag."""

    name: str
    file: str = ".env"
    names_images = True

    def problems(self, directory: Path, version: str) -> List[str]:
        if not self._line.search(_read(directory / self.file) or ""):
            return [f"{directory / self.file} has no line {self.name}=…. Check app_rollback_compose_variable."]
        if self.name in os.environ:
            return [
                f"{self.name} is also in the environment, where Compose looks first. Take it out of there, and leave it to {self.file}."
            ]
        return []

    @property
    def _line(self) -> "re.Pattern[str]":
        return re.compile(rf"^{re.escape(self.name)}=.*$", re.MULTILINE)

    @contextmanager
    def preview(self, directory: Path, version: str) -> Iterator[Tuple[Optional[Path], Dict[str, str]]]:
        yield None, {self.name: version}

    def write(self, directory: Path, version: str, target: Mapping[str, str]) -> Iterator[str]:
        text = _read(directory / self.file) or ""
        if _write(directory / self.file, self._line.sub(lambda _: f"{self.name}={version}", text)):
            yield f"set {self.name}={version} in {self.file}"

    def save(self, directory: Path) -> Dict[str, Optional[str]]:
        return {self.file: _read(directory / self.file)}


@dataclass(frozen=True)
class Checkout(Pin):
    """A git tag that is checked out; `template` makes it of the version, such as `v{version}`."""

    template: str = "v{version}"
    names_images = True
    moves_services = True

    def problems(self, directory: Path, version: str) -> List[str]:
        tag = self.template.format(version=version)
        try:
            if _git(directory, "status", "--porcelain", "--untracked-files=no"):
                return [f"{directory} has changes that are not committed. Commit or stash them."]
            _git(directory, "rev-parse", "--verify", "--quiet", f"{tag}^{{commit}}")
        except RollbackError as error:
            return [f"Git tag {tag} cannot be checked out in {directory}: {error.message}"]
        return []

    @contextmanager
    def preview(self, directory: Path, version: str) -> Iterator[Tuple[Optional[Path], Dict[str, str]]]:
        archive = _git_said(directory, "archive", "--format=tar", self.template.format(version=version))
        with tempfile.TemporaryDirectory(prefix="rollback-checkout-") as elsewhere:
            with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
                for member in opened:
                    content = opened.extractfile(member) if member.isfile() else None
                    if content is not None:
                        path = Path(elsewhere) / member.name
                        path.parent.mkdir(parents=True, exist_ok=True)
                        path.write_bytes(content.read())
            yield Path(elsewhere), {}

    def write(self, directory: Path, version: str, target: Mapping[str, str]) -> Iterator[str]:
        tag = self.template.format(version=version)
        if _git(directory, "rev-parse", "HEAD") != _git(directory, "rev-parse", f"{tag}^{{commit}}"):
            _git(directory, "checkout", "--quiet", tag)
            yield f"checked out {tag}"

    def save(self, directory: Path) -> Dict[str, Optional[str]]:
        try:
            return {"HEAD": _git(directory, "symbolic-ref", "--quiet", "--short", "HEAD")}
        except RollbackError:
            return {"HEAD": _git(directory, "rev-parse", "HEAD")}

    def restore(self, directory: Path, kept: Mapping[str, Optional[str]]) -> None:
        _git(directory, "checkout", "--quiet", str(kept["HEAD"]))


def _git(directory: Path, *arguments: str) -> str:
    return _git_said(directory, *arguments).decode(errors="replace").strip()


def _git_said(directory: Path, *arguments: str) -> bytes:
    argv = ["git", "-C", str(directory), "-c", f"safe.directory={directory}", *arguments]
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RollbackError(f"git cannot be asked: {error}.") from error
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["there is no such tag."]
        raise RollbackError(said[-1])
    return done.stdout


def _read(path: Path) -> Optional[str]:
    return path.read_text() if path.exists() else None


def _write(path: Path, text: Optional[str]) -> bool:
    """In one rename, with the permissions of before; None removes it. False where it says that already."""
    before = _read(path)
    if before == text:
        return False
    if text is None:
        path.unlink()
        return True
    partial = path.with_name(f".{path.name}.rollback")
    partial.write_text(text)
    if before is not None:
        os.chmod(partial, path.stat().st_mode & 0o7777)
    partial.replace(path)
    return True
