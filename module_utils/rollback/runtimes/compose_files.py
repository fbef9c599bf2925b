"""Which files Compose reads where nobody names them, as Compose itself finds them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import List

_NAMES = tuple(
    f"{stem}.{suffix}"
    for stem, suffix in (
        ("compose", "yaml"),
        ("compose", "yml"),
        ("docker-compose", "yml"),
        ("docker-compose", "yaml"),
    )
)
OVERRIDES = tuple(f"{stem}.override.{suffix}" for stem in ("compose", "docker-compose") for suffix in ("yml", "yaml"))


def found_files(directory: Path) -> List[str]:
    named = named_files(directory)
    if named:
        return named
    first = [[name for name in names if (directory / name).exists()][:1] for names in (_NAMES, OVERRIDES)]
    return [name for names in first for name in names]


def named_files(directory: Path) -> List[str]:
    """By COMPOSE_FILE, in the environment or in `.env`; empty where it is in neither."""
    path = directory / ".env"
    text = path.read_text() if path.is_file() else ""

    def told(name: str) -> str:
        line = re.search(rf"^(?:export\s+)?{name}=(.*)$", text, re.MULTILINE)
        return os.environ.get(name) or (line.group(1).strip().strip("'\"") if line else "")

    return [name for name in told("COMPOSE_FILE").split(told("COMPOSE_PATH_SEPARATOR") or os.pathsep) if name]
