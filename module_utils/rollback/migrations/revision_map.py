"""Alembic's own graph of revisions, alone.

`import alembic` brings all that talks to databases too, which takes longer than reading the largest history. Its module is
therefore loaded below a package of our own name, which has Alembic's directories and runs none of its other beginnings.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any, List

_NAME = "rollback_alembic"


def _package(name: str, paths: List[str]) -> None:
    package = ModuleType(name)
    package.__path__ = paths
    sys.modules[name] = package


def _load() -> Any:
    found = importlib.util.find_spec("alembic")
    if found is None or not found.submodule_search_locations:
        raise ImportError("No module named 'alembic'", name="alembic")
    directories = list(found.submodule_search_locations)
    _package(_NAME, directories)
    _package(f"{_NAME}.script", [f"{directory}/script" for directory in directories])
    return importlib.import_module(f"{_NAME}.script.revision")


revision: Any = _load()
