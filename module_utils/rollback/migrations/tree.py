"""A history as text: the revision files, and the project's own modules that they import. Nothing of it is ever run.

Standard library only: it is read on the application's host, which may have nothing else, and understood elsewhere.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import tokenize
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.migrations import options
from ansible.module_utils.rollback.migrations.reach import Reach, Root

# Alembic's own rule for what is a revision file.
_REVISION_FILE = re.compile(r"(?!\.#|__init__)(.*\.py)$")
_IMPORTED = re.compile(r"^\s*(?:from|import)\s+(\w[\w.]*)", re.MULTILINE)
# Enough for the largest histories there are; whoever points at a whole file system is told so.
_MOST_FILES, _MOST_CHARACTERS = 5_000, 50_000_000


@dataclass(frozen=True)
class Tree:
    """`files` is the text of each file by its path (posix, relative to the project), `versions` says which of them are revision
    files, `roots` below which directories imports are looked for (`""` is the project itself).

    `version_table_schema` is where Alembic keeps its table in the database that the history is read for, if that is known."""

    files: Dict[str, str]
    versions: Tuple[str, ...]
    roots: Tuple[str, ...] = ("",)
    version_table_schema: str = ""

    def as_dict(self) -> Dict[str, Any]:
        return {**asdict(self), "versions": list(self.versions), "roots": list(self.roots)}

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> "Tree":
        schema = str(found.get("version_table_schema", ""))
        return cls(dict(found["files"]), tuple(found["versions"]), tuple(found["roots"]), schema)

    def pack(self) -> str:
        """As one short string, for the result of a module."""
        return base64.b64encode(zlib.compress(json.dumps(self.as_dict()).encode())).decode()

    def digest(self) -> str:
        """SHA-256 of names and contents: the same history has the same, wherever it lies."""
        return hashlib.sha256(json.dumps([self.files, self.versions], sort_keys=True).encode()).hexdigest()

    @classmethod
    def unpack(cls, packed: str) -> "Tree":
        try:
            return cls.from_dict(json.loads(zlib.decompress(base64.b64decode(packed))))
        except (ValueError, KeyError, TypeError, zlib.error) as error:
            raise RollbackError("The tree of migrations is not what alembic_tree returns.") from error


@dataclass(frozen=True)
class _Project:
    """A project's directory. If it is a copy of the directory `copied_from` elsewhere, nothing outside of it is the project's."""

    directory: Path
    copied_from: Optional[PurePosixPath] = None

    def at(self, said: str) -> Path:
        """The place that the project calls `said`. Raises RollbackError where that was not copied."""
        if self.copied_from is None:
            return (self.directory / said).resolve()
        path = PurePosixPath(os.path.normpath(self.copied_from / said))
        within = _within(PurePosixPath(os.path.normpath(said)), PurePosixPath(self.directory))
        within = within or _within(path, self.copied_from)
        if within is None:
            raise RollbackError(
                f"{said} is outside of {self.copied_from}, and only that was copied.",
                "Set alembic_downgrade_directory to a directory that holds all of the migrations.",
            )
        return self.directory / within

    def roots(self, said: Sequence[str]) -> List[Root]:
        """Where imports are looked for. A directory that was not copied, or is not there, holds nothing of the project's."""
        found = [self.directory]
        for each in said:
            try:
                found.append(self.at(each))
            except RollbackError:
                continue
        found.append(self.directory / "src")
        return [Root(path) for path in dict.fromkeys(found) if path.is_dir()]

    def located(self, said: str, roots: List[Root]) -> Path:
        """A directory as Alembic names it: a path, or `package:directory`, whose root is added to `roots` if need be."""
        package, *inside = said.split(":")
        if not inside or os.path.isabs(said):
            return self.at(said)
        parts = package.split(".")
        # An application that was installed lies in the environment of its release.
        installed = sorted(self.directory.glob("*/lib/python*/site-packages"))
        for root in [*roots, *(Root(path, frozenset(parts[:1])) for path in installed)]:
            if root.path.joinpath(*parts).is_dir():
                roots += [root] if root not in roots else []
                return root.path.joinpath(*parts, *inside)
        raise RollbackError(
            f"The package {package} of script_location={said} is not below {self.copied_from or self.directory}.",
            "Set alembic_downgrade_directory to the directory that holds it.",
        )


def read(directory: Path, ini: str = "alembic.ini", section: str = "alembic", copied_from: str = "") -> Tree:
    """The history of the project in `directory`, found as Alembic finds it: through `ini`, or pyproject.toml.

    `copied_from` is where it was if it is a copy. Raises RollbackError where there is none, or a file cannot be read.
    """
    project = _Project(Path(directory).resolve(), PurePosixPath(copied_from) if copied_from else None)
    said = options.read(project.directory, project.at(ini), section)
    roots = project.roots(said.prepend_sys_path)
    home = project.located(said.script_location, roots)
    places = [project.located(place, roots) for place in said.version_locations] or [home / "versions"]
    return _collect(project.directory, places, roots, said.recursive)


def read_versions(directory: Path, helpers: bool = True) -> Tree:
    """The history in a bare directory of revision files; imports are looked for in the package around it, and in no other.

    The graph needs the revision files alone; what they import (`helpers`) is for judging what they do.
    """
    place = Path(directory).resolve()
    packages = [place, *place.parents]
    # The directory of Alembic is rarely a package itself, and its versions even less.
    around = next((at for at in packages[:3] if (at / "__init__.py").exists()), None)
    while around is not None and (around.parent / "__init__.py").exists():
        around = around.parent
    around = _namespace(around or place, place) or around
    if around is None:
        return _collect(place.parent, [place], [Root(place.parent)] if helpers else [], False)
    roots = [Root(around.parent, frozenset({around.name}))] if helpers else []
    return _collect(around.parent, [place], roots, False)


def _namespace(inner: Path, place: Path) -> Optional[Path]:
    """The package above `inner` by whose name the revisions in `place` import its modules; None where there is none.

    It may have no `__init__.py`, or directories without one below it.
    """
    imported = {
        tuple(name.split(".")[:2])
        for path in _revision_files(place, False)
        for name in _IMPORTED.findall(_text(path))
        if "." in name
    }
    for above in inner.parents:
        inside = {second for first, second in imported if first == above.name}
        if any((above / name).is_dir() or (above / f"{name}.py").is_file() for name in inside):
            return above
    return None


def _collect(project: Path, places: Sequence[Path], roots: Sequence[Root], recursive: bool) -> Tree:
    known = [place for place in dict.fromkeys(places) if place.is_dir()]
    if not known:
        looked = ", ".join(map(str, places)) or "nowhere"
        raise RollbackError(
            f"There is no directory of revisions (looked in {looked}).", "Check script_location of alembic.ini."
        )
    texts: Dict[Path, str] = {}

    def text(path: Path) -> str:
        if path not in texts:
            texts[path] = _text(path)
        return texts[path]

    found = [path.resolve() for place in known for path in _revision_files(place, recursive)]
    versions = _bounded(dict.fromkeys(found), text)
    helpers = _bounded(Reach(roots, text).files(versions), text) if roots else []
    files = {_name(project, path): texts[path] for path in (*versions, *helpers)}
    return Tree(
        files,
        tuple(sorted(_name(project, path) for path in versions)),
        tuple(_name(project, root.path) for root in roots),
    )


def _revision_files(place: Path, recursive: bool) -> Iterator[Path]:
    for root, directories, names in os.walk(place):
        directories.sort()
        if not recursive:
            directories.clear()
        if not root.endswith("__pycache__"):
            yield from (Path(root) / name for name in sorted(names) if _REVISION_FILE.match(name))


def _bounded(paths: Iterable[Path], text: Any) -> List[Path]:
    """All of them; RollbackError where no history is so large."""
    found: List[Path] = []
    characters = 0
    for path in paths:
        found.append(path)
        characters += len(text(path))
        if len(found) > _MOST_FILES or characters > _MOST_CHARACTERS:
            raise RollbackError(
                f"The migrations, or what they import, are more than {_MOST_FILES:,} files or {_MOST_CHARACTERS:,} characters.",
                "Is script_location of alembic.ini the directory that it should be?",
            )
    return found


def _within(path: PurePosixPath, directory: PurePosixPath) -> Optional[PurePosixPath]:
    """`path` relative to `directory`, None where it is not below it."""
    try:
        return path.relative_to(directory)
    except ValueError:
        return None


def _name(project: Path, path: Path) -> str:
    name = PurePosixPath(os.path.relpath(path, project)).as_posix()
    return "" if name == "." else name


def _text(path: Path) -> str:
    """The text of a Python file, in the encoding that it declares."""
    try:
        with tokenize.open(str(path)) as file:
            return file.read()
    except UnicodeDecodeError as error:
        raise RollbackError(f"{path} is not {error.encoding} (byte {error.start}).", "Save it as UTF-8.") from error
    except SyntaxError as error:  # an encoding that Python does not know, or one that contradicts its byte order mark
        raise RollbackError(f"{path} cannot be read: {error.msg or error}.", "Save it as UTF-8.") from error
    except OSError as error:
        raise RollbackError(f"{path} cannot be read: {error.strerror}.") from error
