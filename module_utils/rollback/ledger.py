"""The ledger: release points of one environment, JSON lines, oldest first."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Optional

from ansible.module_utils.rollback import durable
from ansible.module_utils.rollback.errors import RollbackError

FILE_NAME = "ledger.jsonl"


@dataclass(frozen=True)
class ReleasePoint:
    """A deployment known to be good: application, schema and data, recorded together.

    `id` is unique in its environment; `backup` is the name of a backup in the catalogue, or empty;
    `verified` says whether the application passed verification when the point was recorded.
    """

    id: str
    version: str
    recorded_at: str
    recorded_by: str
    environment: str
    database: str
    alembic_heads: List[str] = field(default_factory=list)
    backup: str = ""
    git_commit: str = ""
    image_digests: Dict[str, str] = field(default_factory=dict)
    system_identifier: str = ""
    verified: bool = False

    def as_dict(self) -> Dict[str, Any]:
        return asdict(self)


def read(environment_directory: Path) -> List[ReleasePoint]:
    """All release points, oldest first. Raises RollbackError naming the line that is none."""
    path = environment_directory / FILE_NAME
    if not path.exists():
        return []
    points = []
    # Bytes, because text is split at characters that a name may hold, such as U+2028.
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            points.append(ReleasePoint(**json.loads(line)))
        except (TypeError, ValueError) as error:
            raise RollbackError(
                f"Line {number} of the ledger {path} is not a release point: {error}.", "Repair or delete that line."
            ) from error
    return points


def append(environment_directory: Path, point: ReleasePoint) -> None:
    """Add a release point. Raises RollbackError where its id is taken."""
    if any(known.id == point.id for known in read(environment_directory)):
        raise RollbackError(
            f"The ledger already has a release point {point.id}.", "Record the release under another id."
        )
    durable.make_private_dirs(environment_directory)
    path = environment_directory / FILE_NAME
    # Whoever repaired the last line by hand may have left it without its end.
    gap = b"\n" if path.exists() and path.read_bytes()[-1:] not in (b"", b"\n") else b""
    durable.append(path, gap + durable.canonical_json(point.as_dict()) + b"\n")


def find(points: List[ReleasePoint], wanted: str) -> ReleasePoint:
    """The release point with this id, or else the newest one of this version."""
    for point in points:
        if point.id == wanted:
            return point
    of_version = [point for point in points if point.version == wanted]
    if of_version:
        return of_version[-1]
    known = ", ".join(dict.fromkeys(point.version for point in points)) or "none is recorded"
    raise RollbackError(f"There is no release point {wanted}.", f"Known versions: {known}.")


def previous(points: List[ReleasePoint], running_version: str, rolled_back_to: Optional[str] = None) -> ReleasePoint:
    """The release point that "go back" means: the newest verified one from before the running version.

    `rolled_back_to` is the release point that the last run went back to, unless a release was recorded since:
    then "previous" has been answered already, and answering again would go back twice.
    """
    if rolled_back_to is not None and any(
        point.id == rolled_back_to and point.version == running_version for point in points
    ):
        raise RollbackError(
            f"The last run already went back to release point {rolled_back_to}, and version {running_version} is running.",
            f"To go back to it once more say -e release={rolled_back_to}; to go further back, name an older release point.",
        )
    verified = [point for point in points if point.verified]
    since = next((index for index, point in enumerate(verified) if point.version == running_version), len(verified))
    before = [point for point in verified[:since] if point.version != running_version]
    if before:
        return before[-1]
    if not verified:
        raise RollbackError(
            "The ledger holds no verified release point to go back to.",
            "Name a backup with -e backup=<name>, or record releases with playbooks/record_release.yml.",
        )
    newest = [point for point in verified if point.version == running_version][-1]
    raise RollbackError(
        f"No verified release point is from before version {running_version}, which is running.",
        f"To restore its data say -e release={newest.id}.",
    )
