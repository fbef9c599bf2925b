"""The manifest beside a backup: what the backup holds, as counted in the snapshot it was dumped from."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Optional

from ansible.module_utils.rollback import clock, durable
from ansible.module_utils.rollback.backups.names import MANIFEST_SUFFIX
from ansible.module_utils.rollback.census import Census
from ansible.module_utils.rollback.errors import RollbackError

VERSION = 1


@dataclass(frozen=True)
class Manifest:
    """`files` maps each file of the backup (one, or those of a directory) to its `sha256` and `bytes`.

    `definitions` are what came out when the dump was loaded into an empty database (postgres/round_trip.py), as worded by the
    versions in `made_by`; without these, definitions can be compared by name alone. `access` is what the application's role
    could do (postgres/access.py), and `extensions` says of each extension its owner, version and schema. `notes` are sentences
    about what this backup leaves out, or what could not be tried.
    """

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
    definitions: Dict[str, str] = field(default_factory=dict)
    made_by: str = ""
    access: Dict[str, List[str]] = field(default_factory=dict)
    extensions: Dict[str, Dict[str, str]] = field(default_factory=dict)
    notes: List[str] = field(default_factory=list)

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


def given(content: Optional[Dict[str, Any]]) -> Optional[Manifest]:
    """The manifest that a plan holds of a backup without one; None where it holds none."""
    return Manifest.from_dict(content) if content else None


def path_for(backup: Path) -> Path:
    return backup.with_name(backup.name + MANIFEST_SUFFIX)


def read(backup: Path) -> Optional[Manifest]:
    """The manifest of `backup`, or None where it has none. Raises RollbackError where there is one that cannot be trusted."""
    path = path_for(backup)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(path.name, error) from error
    return parse(content, backup.name)


def parse(content: bytes, backup: str) -> Manifest:
    """The manifest of the backup of that name, from wherever its text was. Raises RollbackError where it cannot be trusted."""
    name = backup + MANIFEST_SUFFIX
    try:
        manifest = Manifest.from_dict(json.loads(content.decode("utf-8")))
        _check_types(manifest)
    except (TypeError, ValueError, KeyError, AttributeError, RecursionError, OverflowError) as error:
        raise _unreadable(name, error) from error
    if manifest.manifest_version != VERSION:
        raise RollbackError(
            f"The manifest {name} is of version {manifest.manifest_version!r}; this tool reads version {VERSION}.",
            "Choose another backup.",
        )
    if manifest.backup != backup:
        raise RollbackError(f"The manifest {name} describes {manifest.backup}.", "Choose another backup.")
    return manifest


def checksum(content: bytes) -> str:
    """What a plan remembers a manifest by."""
    return hashlib.sha256(content).hexdigest()


def _unreadable(name: str, error: Exception) -> RollbackError:
    return RollbackError(
        f"The manifest {name} cannot be read ({type(error).__name__}: {error}).", "Choose another backup."
    )


def _check_types(manifest: Manifest) -> None:
    """What listing and choosing rely on; one odd manifest must not hide the other backups. Raises TypeError or ValueError."""
    texts = [manifest.backup, manifest.format, manifest.compression, manifest.environment, manifest.application_version]
    texts += [manifest.database, manifest.census.server_version, *(manifest.census.alembic_heads or [])]
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("a text is none")
    numbers = [table.rows for table in manifest.census.tables.values()] + [
        file["bytes"] for file in manifest.files.values()
    ]
    if not all(isinstance(number, int) and number >= 0 for number in numbers):
        raise TypeError("a count is none")
    clock.parse_iso(manifest.created_at)


def write(backup: Path, manifest: Manifest) -> None:
    durable.write(
        path_for(backup), json.dumps(manifest.as_dict(), indent=1, sort_keys=True).encode() + b"\n", mode=0o640
    )
