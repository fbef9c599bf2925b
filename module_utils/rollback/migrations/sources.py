"""Where a history may be: in a directory, a git revision, an image, a container or a pod. It is copied out; nothing is started.

An image that is not here is pulled: nothing but the engine's store of images changes by that.
"""

from __future__ import annotations

import io
import subprocess
import tarfile
import tempfile
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Iterator, List, Sequence

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.migrations import tree
from ansible.module_utils.rollback.migrations.tree import Tree

DIRECTORY, GIT, IMAGE, CONTAINER, POD = "directory", "git", "image", "container", "pod"
SOURCES = (DIRECTORY, GIT, IMAGE, CONTAINER, POD)

_TIMEOUT_S, _PULL_TIMEOUT_S = 120, 600
# What a history is made of; anything else in the archive stays there.
_SUFFIXES = (".py", ".ini", ".toml", ".cfg")
_MOST_BYTES = 200_000_000


def fetch(
    source: str, name: str, path: str, client: Sequence[str] = (), ini: str = "alembic.ini", section: str = "alembic"
) -> Tree:
    """The history of the project in directory `path` of `source`, which `name` names. Raises RollbackError.

    Empty, `path` is the working directory that an image or container says.
    """
    if source == DIRECTORY:
        if not Path(path).is_dir():
            raise RollbackError(f"There is no directory {path}.", "Check alembic_downgrade_directory.")
        return tree.read(Path(path), ini, section)
    if not name:
        raise RollbackError(f"source={source} needs a name.", "Say which image, container, pod or git revision.")
    if source == IMAGE:
        _have(name, list(client) or ["docker"])
    if source in (IMAGE, CONTAINER) and not path:
        path = _working_directory(name, list(client) or ["docker"])
    archive = _archive(source, name, path, list(client))
    with tempfile.TemporaryDirectory(prefix="rollback-tree-") as directory:
        _unpack(archive, Path(directory))
        # `docker cp` and `tar` put the last directory of the path around what it holds.
        inside = Path(directory) / PurePosixPath(path).name
        return tree.read(inside if source in (IMAGE, CONTAINER) and inside.is_dir() else Path(directory), ini, section)


def _archive(source: str, name: str, path: str, client: List[str]) -> bytes:
    if source == GIT:
        return _said(["git", "-C", path, "archive", "--format=tar", name])
    if source == POD:
        return _said([*(client or ["kubectl"]), "exec", name, "--", "tar", "-C", path, "-cf", "-", "."])
    docker = client or ["docker"]
    if source == CONTAINER:
        return _said([*docker, "cp", f"{name}:{path}", "-"])
    with _created(docker, name) as container:
        return _said([*docker, "cp", f"{container}:{path}", "-"])


def _have(image: str, docker: List[str]) -> None:
    """Where the application runs on Kubernetes, only the nodes ever had its image."""
    try:
        _said([*docker, "image", "inspect", image])
    except RollbackError:
        _said([*docker, "pull", "--quiet", image], _PULL_TIMEOUT_S)


def _working_directory(name: str, docker: List[str]) -> str:
    """That of an image or container, where nobody says another one."""
    return _said([*docker, "inspect", "--format", "{{.Config.WorkingDir}}", name]).decode().strip() or "/"


@contextmanager
def _created(docker: List[str], image: str) -> Iterator[str]:
    """A container that is made of the image, never started, and removed again."""
    # An image without a command needs one to be created from, though it never runs.
    container = _said([*docker, "create", image, "true"]).decode().strip()
    try:
        yield container
    finally:
        _said([*docker, "rm", container])


def _said(argv: List[str], timeout_s: float = _TIMEOUT_S) -> bytes:
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RollbackError(f"{argv[0]} cannot be asked for the migrations: {error}.") from error
    if done.returncode != 0:
        words = done.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        raise RollbackError(f"The migrations cannot be had: {' '.join(argv)}: {words[-1].rstrip('.')}.")
    return done.stdout


def _unpack(archive: bytes, into: Path) -> None:
    """Regular files that a history is made of. Links, devices and paths that lead outside stay in the archive."""
    total = 0
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
            for member in opened:
                path = PurePosixPath(member.name)
                if not member.isfile() or path.is_absolute() or ".." in path.parts or path.suffix not in _SUFFIXES:
                    continue
                total += member.size
                if total > _MOST_BYTES:
                    raise RollbackError(
                        f"The project holds more than {_MOST_BYTES:,} bytes of Python.", "Name its directory."
                    )
                content = opened.extractfile(member)
                if content is not None:
                    target = into.joinpath(*path.parts)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(content.read())
    except tarfile.TarError as error:
        raise RollbackError(f"What was copied out is no archive: {error}.") from error
