"""The manifest beside a backup: what the backup holds, as counted in the snapshot it was dumped from."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Dict, Optional

from ansible.module_utils.rollback import durable
from ansible.module_utils.rollback.backups.names import MANIFEST_SUFFIX
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.postgres.census import Census

VERSION = 1


@dataclass(frozen=True)
class Manifest:
    """`files` maps each file of the backup (one, or those of a directory) to its `sha256` and `bytes`."""

    backup: str
    format: str
    compression: str
    environment: str
    created_at: str
    seconds: float
    client_version: str
    application_version: str
    files: Dict[str, Dict[str, Any]]
    census: Census
    manifest_version: int = VERSION

    @property
    def bytes(self) -> int:
        return sum(int(file["bytes"]) for file in self.files.values())

    @property
    def database(self) -> str:
        return self.census.database

    def as_dict(self) -> Dict[str, Any]:
        return {**asdict(self), "census": self.census.as_dict()}

    @classmethod
    def from_dict(cls, content: Any) -> "Manifest":
        return cls(**{**content, "census": Census.from_dict(content["census"])})


def path_for(backup: Path) -> Path:
    return backup.with_name(backup.name + MANIFEST_SUFFIX)


def read(backup: Path) -> Optional[Manifest]:
    """The manifest of `backup`, or None where it has none. Raises RollbackError where there is one that cannot be trusted."""
    path = path_for(backup)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        manifest = Manifest.from_dict(content)
    except FileNotFoundError:
        return None
    except (TypeError, ValueError, KeyError, AttributeError, OSError) as error:
        raise RollbackError(
            f"The manifest {path.name} cannot be read ({type(error).__name__}: {error}).", "Choose another backup."
        ) from error
    if manifest.manifest_version != VERSION:
        raise RollbackError(
            f"The manifest {path.name} is of version {manifest.manifest_version!r}; this tool reads version {VERSION}.",
            "Choose another backup.",
        )
    if manifest.backup != backup.name:
        raise RollbackError(f"The manifest {path.name} describes {manifest.backup}.", "Choose another backup.")
    return manifest


def write(backup: Path, manifest: Manifest) -> None:
    durable.write(
        path_for(backup), json.dumps(manifest.as_dict(), indent=1, sort_keys=True).encode() + b"\n", mode=0o640
    )
