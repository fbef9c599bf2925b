"""Where Alembic looks for revisions, as its configuration says: alembic.ini first, then pyproject.toml. Standard library only."""

from __future__ import annotations

import configparser
import importlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

from ansible.module_utils.rollback.errors import RollbackError

_SEPARATORS = {"os": os.pathsep, "space": " ", "newline": "\n", ":": ":", ";": ";"}
_HINT = "Set alembic_downgrade_directory, alembic_downgrade_ini and alembic_downgrade_section."


@dataclass(frozen=True)
class Options:
    """As they are written, a relative path being one of the project's. `version_locations` is empty where Alembic's default holds."""

    script_location: str
    version_locations: Tuple[str, ...] = ()
    prepend_sys_path: Tuple[str, ...] = ()
    recursive: bool = False


def read(project: Path, ini: Path, section: str) -> Options:
    """The options in `[section]` of `ini`, and those of `[tool.alembic]` in pyproject.toml that it does not have.

    Raises RollbackError where there are none, or they cannot be read.
    """
    written = _Ini({}, ini) if ini.suffix == ".toml" else _of_ini(ini, section)
    table = _of_toml(ini if ini.suffix == ".toml" else project / "pyproject.toml")
    if not written.values and not table:
        raise RollbackError(
            f"There is no configuration of Alembic in {project} (looked for [{section}] in {ini.name}).", _HINT
        )
    location = written.get("script_location") or table.get("script_location")
    if not location and (ini.parent / "env.py").is_file() and (ini.parent / "versions").is_dir():
        location = str(ini.parent)  # Flask-Migrate says it to Alembic itself
    if not isinstance(location, str) or not location:
        raise RollbackError(f"[{section}] of {ini} has no script_location.", _HINT)
    separator = _bare(written.get("path_separator"))
    # Without a separator, Alembic cuts as it always has; only here may a colon be part of `package:directory`.
    places = _split(
        written.get("version_locations"), separator or _bare(written.get("version_path_separator")), r", *|\s+", ini
    )
    roots = _split(written.get("prepend_sys_path"), separator, r", *|\s+|:", ini)
    recursive = written.get("recursive_version_locations")
    return Options(
        location,
        places or _listed(table.get("version_locations")),
        roots or _listed(table.get("prepend_sys_path")),
        table.get("recursive_version_locations") is True if recursive is None else recursive == "true",
    )


@dataclass(frozen=True)
class _Ini:
    """One section of an ini. Other options of it may hold a % that means something else, so each is resolved when asked for."""

    values: Dict[str, str]
    path: Path
    parser: Optional[configparser.ConfigParser] = None
    section: str = ""

    def get(self, name: str) -> Optional[str]:
        if self.parser is None or name not in self.values:
            return None
        try:
            return self.parser.get(self.section, name)
        except configparser.InterpolationError as error:
            said = str(error).splitlines()[0].rstrip(".")
            raise RollbackError(
                f"{name} in {self.path} cannot be resolved: {said}.", "Write it without %(…)s other than %(here)s."
            ) from error


def _of_ini(path: Path, section: str) -> _Ini:
    if not path.is_file():
        return _Ini({}, path)
    parser = configparser.ConfigParser({"here": str(path.parent).replace("%", "%%")})
    try:
        # Names of files may be in any encoding; whatever they are, they come out as they were.
        parser.read_string(path.read_bytes().decode("utf-8-sig", errors="surrogateescape"))
    except configparser.Error as error:
        raise RollbackError(f"{path} is no configuration: {str(error).splitlines()[0].rstrip('.')}.") from error
    if not parser.has_section(section):
        return _Ini({}, path)
    return _Ini({name: parser.get(section, name, raw=True) for name in parser.options(section)}, path, parser, section)


def _of_toml(path: Path) -> Dict[str, Any]:
    """`[tool.alembic]`, with %(here)s resolved; empty where there is none."""
    if not path.is_file():
        return {}
    text = path.read_bytes()
    if b"tool.alembic" not in text:
        return {}
    reader = _toml_reader()
    if reader is None:
        raise RollbackError(
            f"{path} has [tool.alembic], which Python before 3.11 cannot read.",
            "Install tomli beside it, or write an alembic.ini with script_location.",
        )
    try:
        table = reader.loads(text.decode()).get("tool", {}).get("alembic", {})
    except ValueError as error:
        raise RollbackError(f"{path} is no TOML: {error}.") from error
    return {name: _resolved(value, path.parent) for name, value in table.items()}


def _toml_reader() -> Any:
    for name in ("tomllib", "tomli"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None


def _resolved(value: Any, here: Path) -> Any:
    if isinstance(value, str):
        return value.replace("%(here)s", here.as_posix()).replace("%%", "%")
    return [_resolved(each, here) for each in value] if isinstance(value, list) else value


def _listed(value: Union[str, Sequence[str], None]) -> Tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(map(str, value or ()))


def _bare(value: Optional[str]) -> Optional[str]:
    """Without the remark behind it: `os  # Use os.pathsep. …` stands in every alembic.ini that Alembic 1.6 to 1.15 made."""
    return re.sub(r"\s+#.*", "", value) if value else value


def _split(value: Optional[str], separator: Optional[str], otherwise: str, ini: Path) -> Tuple[str, ...]:
    """A list of paths, cut at `separator` (a name or character of Alembic's), or where `otherwise` matches."""
    if value and separator and separator not in _SEPARATORS:
        raise RollbackError(
            f"path_separator in {ini} is {separator}, which Alembic does not know.", "Write os, space, newline, : or ;."
        )
    parts: List[str] = value.split(_SEPARATORS[separator]) if value and separator else re.split(otherwise, value or "")
    return tuple(part.strip() for part in parts if part.strip())
