"""The catalogue: which files of the backup directory are backups of this database, and why the others are not."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Dict, List, Optional

from ansible.module_utils.rollback import clock
from ansible.module_utils.rollback.backups import files, names
from ansible.module_utils.rollback.backups import manifest as manifests
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.words import listed


@dataclass(frozen=True)
class Candidate:
    """One file or directory. `reason` says why it is no candidate; empty where it is one. Times are UTC, sizes bytes."""

    name: str
    path: str
    created_at: str = ""
    bytes: int = 0
    format: str = ""
    compression: str = ""
    application_version: str = ""
    alembic_heads: Optional[List[str]] = None
    rows: int = 0
    reason: str = ""

    def as_dict(self) -> Dict[str, Any]:
        return asdict(self)


def read(directory: Path, database: str, environment: str) -> List[Candidate]:
    """Everything in `directory`, oldest first by the manifest's own time, never by the file's."""
    if not directory.is_dir():
        return []
    found = [
        _judge(path, database, environment) for path in sorted(directory.iterdir()) if not _belongs_to_another(path)
    ]
    return sorted(found, key=lambda candidate: (candidate.created_at, candidate.name))


def choose(candidates: List[Candidate], name: str, directory: Path) -> Candidate:
    """The candidate called `name`. Raises RollbackError where there is none, or it is not fit."""
    for candidate in candidates:
        if name in (candidate.name, candidate.path):
            if candidate.reason:
                raise RollbackError(
                    f"{candidate.name} cannot be restored here: {candidate.reason}.", "Choose another backup."
                )
            return candidate
    fit = [candidate.name for candidate in reversed(candidates) if not candidate.reason]
    raise RollbackError(
        f"There is no backup {name} in {directory}.",
        f"There are: {listed(fit, 3)}." if fit else "There is no backup of this database at all.",
    )


def expired(
    candidates: List[Candidate], keep: int, keep_days: int, needed: "set[str]", now: datetime
) -> List[Candidate]:
    """Dumps that retention lets go: older than `keep_days`, not among the newest `keep`, and of no release point."""
    fit = [candidate for candidate in candidates if not candidate.reason and candidate.format != names.SNAPSHOT]
    spared = {candidate.name for candidate in fit[-keep:]} if keep > 0 else set()
    before = clock.iso(now - timedelta(days=keep_days))
    return [candidate for candidate in fit if candidate.created_at < before and candidate.name not in spared | needed]


def _belongs_to_another(path: Path) -> bool:
    """A manifest is listed with its backup, and alone where that is gone."""
    if not path.name.endswith(names.MANIFEST_SUFFIX):
        return False
    return path.with_name(path.name[: -len(names.MANIFEST_SUFFIX)]).exists()


def _judge(path: Path, database: str, environment: str) -> Candidate:
    if path.name.endswith(names.MANIFEST_SUFFIX):
        return Candidate(path.name, str(path), reason="its backup is gone")
    if path.name.endswith(names.PARTIAL_SUFFIX) or path.name.startswith("."):
        return Candidate(path.name, str(path), reason="it was never finished")
    try:
        files.sniff(path)
        manifest, size = manifests.read(path), files.total_bytes(path)
    except RollbackError as error:
        return Candidate(path.name, str(path), reason=error.message.rstrip("."))
    except OSError as error:  # such as lost+found, which only root may enter
        return Candidate(path.name, str(path), reason=f"it cannot be read ({error.strerror or error})")
    if manifest is None:
        return Candidate(path.name, str(path), reason="it has no manifest")
    reason = ""
    if size != manifest.bytes:
        reason = f"it is damaged: it has {size:,} bytes, its manifest says {manifest.bytes:,}"
    elif manifest.database != database:
        reason = f"it is of database {manifest.database}, not {database}"
    elif manifest.environment != environment:
        reason = f"it is of environment {manifest.environment}, not {environment}"
    return Candidate(
        name=path.name,
        path=str(path),
        created_at=manifest.created_at,
        bytes=manifest.bytes,
        format=manifest.format,
        compression=manifest.compression,
        application_version=manifest.application_version,
        alembic_heads=manifest.census.alembic_heads,
        rows=manifest.census.rows,
        reason=reason,
    )
