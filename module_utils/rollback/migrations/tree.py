"""A history as text: the revision files, and the project's own modules that they import. Nothing of it is ever run.

Standard library only: it is read on the application's host, which may have nothing else, and understood elsewhere.
"""

from __future__ import annotations

import ast
import base64
import configparser
import hashlib
import importlib
import json
import os
import re
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple

from ansible.module_utils.rollback.errors import RollbackError

# Alembic's own rule for what is a revision file.
_REVISION_FILE = re.compile(r"(?!\.#|__init__)(.*\.py)$")
# Enough for the largest histories there are; whoever points at a whole file system is told so.
_MOST_FILES, _MOST_BYTES = 5_000, 50_000_000


@dataclass(frozen=True)
class Tree:
    """`files` is the text of each file by its path (posix, relative to the project), `versions` says which of them are revision
    files, `roots` below which directories imports are looked for (`""` is the project itself)."""

    files: Dict[str, str]
    versions: Tuple[str, ...]
    roots: Tuple[str, ...] = ("",)

    def as_dict(self) -> Dict[str, Any]:
        return {**asdict(self), "versions": list(self.versions), "roots": list(self.roots)}

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> "Tree":
        return cls(dict(found["files"]), tuple(found["versions"]), tuple(found["roots"]))

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


def read(directory: Path, ini: str = "alembic.ini", section: str = "alembic") -> Tree:
    """The history of the project in `directory`, found as Alembic finds it: through `ini`, or pyproject.toml.

    Raises RollbackError where there is none, or a file cannot be read.
    """
    project = Path(directory).resolve()
    options = _options(project, ini, section)
    if "script_location" not in options:
        raise RollbackError(
            f"[{section}] of {project / ini} has no script_location.",
            "Check alembic_downgrade_ini and alembic_downgrade_section.",
        )
    roots = [_located(project, root) for root in _split(options.get("prepend_sys_path", ""), options)]
    home = _located(project, options["script_location"], roots)
    named = options.get("version_locations", "").replace("%(script_location)s", options["script_location"])
    places = [_located(project, place, roots) for place in _split(named, options)] or [home / "versions"]
    recursive = options.get("recursive_version_locations", "").lower() in ("true", "1", "yes", "on")
    return _collect(project, places, [project, *roots, project / "src"], recursive)


def read_versions(directory: Path) -> Tree:
    """The history in a bare directory of revision files; imports are looked for in the package around it."""
    place = Path(directory).resolve()
    root = place
    while (root / "__init__.py").exists() or root in (place, place.parent):
        if root.parent == root:
            break
        root = root.parent
    return _collect(root, [place], [root], False)


def _options(project: Path, ini: str, section: str) -> Dict[str, str]:
    """Alembic's options, with those of pyproject.toml below them, as Alembic has it."""
    found: Dict[str, str] = {}
    configured = project / "pyproject.toml"
    if configured.is_file():
        found.update(_of_pyproject(configured, project))
    path = project / ini
    if path.is_file():
        # Interpolated by hand: an ini may hold a % that means something else to its application.
        parser = configparser.RawConfigParser()
        try:
            parser.read_string(_text(path))
        except configparser.Error as error:
            raise RollbackError(f"{path} is no configuration: {str(error).splitlines()[0]}.") from error
        if parser.has_section(section):
            found.update({name: value.replace("%(here)s", str(path.parent)) for name, value in parser.items(section)})
    if not found:
        raise RollbackError(
            f"There is no configuration of Alembic in {project} (looked for [{section}] in {ini}).",
            "Set alembic_downgrade_directory, alembic_downgrade_ini and alembic_downgrade_section.",
        )
    return {name: value.replace("%%", "%") for name, value in found.items()}


def _of_pyproject(path: Path, project: Path) -> Dict[str, str]:
    try:
        tomllib: Any = importlib.import_module("tomllib")
    except ImportError:  # before Python 3.11, Alembic needs a package for it too
        return {}
    try:
        table = tomllib.loads(_text(path)).get("tool", {}).get("alembic", {})
    except tomllib.TOMLDecodeError as error:
        raise RollbackError(f"{path} is no TOML: {error}.") from error
    joined = {
        name: "\n".join(map(str, value)) if isinstance(value, list) else str(value) for name, value in table.items()
    }
    said = {name: value.replace("%(here)s", str(project)) for name, value in joined.items()}
    return {**said, **({"path_separator": "newline"} if said else {})}


def _split(value: str, options: Mapping[str, str]) -> List[str]:
    """A list of paths, cut as `path_separator` (once `version_path_separator`) says."""
    said = options.get("path_separator") or options.get("version_path_separator") or ""
    cut = {
        "os": re.escape(os.pathsep),
        "space": r"\s",
        "newline": r"\n",
        "": r"[\s,:]" if os.pathsep == ":" else r"[\s,;]",
    }
    return [part.strip() for part in re.split(cut.get(said, re.escape(said)), value) if part.strip()]


def _located(project: Path, said: str, roots: Iterable[Path] = ()) -> Path:
    """A directory as Alembic names it: a path, or `package:directory`."""
    package, colon, inside = said.partition(":")
    if colon and not os.path.isabs(said) and "/" not in package:
        for root in (project, *roots, project / "src"):
            if (root / Path(*package.split("."))).is_dir():
                return root / Path(*package.split(".")) / inside
    return (project / said).resolve()


def _collect(project: Path, places: Iterable[Path], roots: Iterable[Path], recursive: bool) -> Tree:
    known = [place for place in dict.fromkeys(places) if place.is_dir()]
    if not known:
        looked = ", ".join(map(str, places)) or "nowhere"
        raise RollbackError(
            f"There is no directory of revisions (looked in {looked}).", "Check script_location of alembic.ini."
        )
    files: Dict[str, str] = {}
    versions = []
    for path in (path for place in known for path in _revision_files(place, recursive)):
        name = _name(project, path)
        if name not in files:
            _keep(files, name, path)
            versions.append(name)
    below = [root for root in dict.fromkeys(Path(root).resolve() for root in roots) if root.is_dir()]
    waiting = list(files)
    while waiting:
        for module in sorted(_imported(files[waiting.pop()])):
            found = _module_file(below, module)
            if found is not None and _name(project, found) not in files:
                _keep(files, _name(project, found), found)
                waiting.append(_name(project, found))
    return Tree(files, tuple(sorted(versions)), tuple(_name(project, root) for root in below))


def _revision_files(place: Path, recursive: bool) -> Iterator[Path]:
    for root, directories, names in os.walk(place):
        directories.sort()
        if not recursive:
            directories.clear()
        if not root.endswith("__pycache__"):
            yield from (Path(root) / name for name in sorted(names) if _REVISION_FILE.match(name))


def _keep(files: Dict[str, str], name: str, path: Path) -> None:
    files[name] = _text(path)
    if len(files) > _MOST_FILES or sum(map(len, files.values())) > _MOST_BYTES:
        raise RollbackError(
            f"The migrations and what they import are more than {_MOST_FILES:,} files or {_MOST_BYTES:,} characters.",
            "Is script_location of alembic.ini the directory that it should be?",
        )


def _imported(text: str) -> Iterator[str]:
    """Full names of what a file imports; what cannot be parsed imports nothing."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _module_file(roots: Iterable[Path], module: str) -> Optional[Path]:
    for root in roots:
        base = root.joinpath(*module.split("."))
        for path in (base.with_name(f"{base.name}.py"), base / "__init__.py"):
            if path.is_file() and "site-packages" not in path.relative_to(root).parts:
                return path
    return None


def _name(project: Path, path: Path) -> str:
    name = PurePosixPath(os.path.relpath(path, project)).as_posix()
    return "" if name == "." else name


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise RollbackError(f"{path} is not UTF-8 (byte {error.start}).", "Save it as UTF-8.") from error
    except OSError as error:
        raise RollbackError(f"{path} cannot be read: {error.strerror}.") from error
