"""Where a rollback goes: resolved once, from ledger, catalogue and earlier runs, and from then on an id."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence

from ansible.module_utils.rollback import clock, journal, ledger, outcome, runs
from ansible.module_utils.rollback.backups import catalog
from ansible.module_utils.rollback.backups.catalog import Candidate
from ansible.module_utils.rollback.backups.sources.source import Source
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.ledger import ReleasePoint
from ansible.module_utils.rollback.words import listed

# Begins the id of what is no release point, but a version that somebody named.
UNRECORDED = "version:"
LATEST = "latest"


@dataclass(frozen=True)
class Target:
    """The release point to return to, the backup to restore for it, and which sources could not be asked for one."""

    release_point: ReleasePoint
    backup: Candidate
    unreachable: Dict[str, str] = field(default_factory=dict)

    def as_dict(self) -> Dict[str, Any]:
        return {
            "release_point": self.release_point.as_dict(),
            "backup": self.backup.as_dict(),
            "unasked": dict(self.unreachable),
        }


def for_restore(
    environment_directory: Path,
    backup_dir: Path,
    environment: str,
    database: str,
    running_versions: List[str],
    release: str = "",
    backup: str = "",
    before: str = "",
    places: Sequence[Source] = (),
    version: str = "",
    heads_of: Callable[[Path], List[str]] = lambda path: [],
) -> Target:
    """The target of `method=restore`: the named backup, the newest (`latest`, or `before` a time), or that of the release point.

    A backup without a manifest must be named. What it fits is said by `release` or `version`, or told by its revisions, which
    `heads_of` reads. Raises RollbackError where it is missing, not fit, or not one.
    """
    elsewhere = catalog.read_elsewhere(places, backup_dir, database, environment)
    candidates = catalog.merged(catalog.read(backup_dir, database, environment), elsewhere.candidates)
    unreachable = elsewhere.unreachable
    points = ledger.read(environment_directory)
    if before and backup not in ("", LATEST):
        raise RollbackError(f"Both backup={backup} and before={before} are given.", "Say one of them.")
    if before or backup == LATEST:
        heads = ledger.find(points, release).alembic_heads if release else None
        chosen = catalog.newest(candidates, before, heads, unreachable)
        return Target(_point_of(chosen, points, release), chosen, unreachable)
    if backup:
        chosen = catalog.choose(candidates, backup, backup_dir, unreachable, judge=True)
        if chosen.reason and not release:
            chosen = replace(chosen, alembic_heads=heads_of(Path(chosen.path)), application_version=version)
            return Target(_point_of_judged(chosen, points), chosen, unreachable)
        return Target(_point_of(chosen, points, release), chosen, unreachable)
    if not points and not release:
        fit = [candidate.name for candidate in reversed(candidates) if not candidate.reason]
        raise RollbackError(
            "No backup found: no release point is recorded for this environment"
            + (
                f", though {backup_dir} holds backups of this database."
                if fit
                else f", and {backup_dir} holds no backup of this database."
            ),
            f"Name one: -e backup={fit[0]}." if fit else "Check rollback_backup_dir.",
        )
    point = (
        ledger.find(points, release)
        if release
        else ledger.previous(points, _the_running(running_versions), last_rollback(environment_directory, points))
    )
    if not point.backup:
        raise RollbackError(
            f"Release point {point.id} has no backup, so its data cannot be restored.",
            "Name a backup with -e backup=<name>.",
        )
    return Target(point, catalog.choose(candidates, point.backup, backup_dir, unreachable), unreachable)


def for_migration(
    environment_directory: Path,
    running_versions: List[str],
    release: str = "",
    heads: Optional[Sequence[str]] = None,
    version: str = "",
) -> ReleasePoint:
    """The release point that `method=migration` goes back to: the named one, else one of schema `heads`, else the previous one.

    No heads are those of a database without any revision, which Alembic calls base. Where no release point has these `heads`, `version`
    says which version of the application fits them. Raises RollbackError.
    """
    points = ledger.read(environment_directory)
    if release:
        return ledger.find(points, release)
    if heads is None:
        return ledger.previous(points, _the_running(running_versions), last_rollback(environment_directory, points))
    fit = [point for point in points if sorted(point.alembic_heads) == sorted(heads)]
    wanted = [point for point in fit if not version or point.version == version]
    if wanted:
        return max(wanted, key=lambda point: (point.verified, points.index(point)))
    if version:
        return ReleasePoint(
            id=f"revision:{','.join(heads) or 'base'}",
            version=version,
            recorded_at="",
            recorded_by="nobody: -e revision and -e version name it",
            environment="",
            database="",
            alembic_heads=list(heads),
        )
    raise RollbackError(
        f"No release point is at revision {listed(heads) or 'base'}, so nothing says which version of the application fits it.",
        "Say it with -e version=<version>.",
    )


def for_app(
    environment_directory: Path, running_versions: List[str], release: str = "", version: str = ""
) -> ReleasePoint:
    """The release point that `method=app` goes back to: the named one, else the previous one; asked again, it stays that.

    A `version` that was never recorded gets one whose id says so; its schema is still to be found.
    """
    points = ledger.read(environment_directory)
    if release:
        return ledger.find(points, release)
    if version and version not in [point.version for point in points]:
        return ReleasePoint(
            id=f"{UNRECORDED}{version}",
            version=version,
            recorded_at="",
            recorded_by="nobody: -e version names it",
            environment="",
            database="",
            alembic_heads=[],
        )
    if version:
        return ledger.find(points, version)
    running = _the_running(running_versions)
    there = last_rollback(environment_directory, points)
    for point in points:
        if point.id == there and point.version == running:
            return point
    return ledger.previous(points, running)


def last_rollback(environment_directory: Path, points: List[ReleasePoint]) -> Optional[str]:
    """The release point that the last successful run went back to, unless a release was recorded after it."""
    for run in reversed(runs.run_ids(environment_directory)):
        entries = journal.Journal(runs.run_dir(environment_directory, run)).entries()
        if journal.outcome_of(entries) != outcome.SUCCEEDED:
            continue
        recorded = points[-1].recorded_at if points else ""
        target = entries[0].data.get("plan", {}).get("release_point", {}).get("id")
        return (
            str(target)
            if target and clock.parse_iso(entries[-1].at) > clock.parse_iso(recorded or entries[0].at)
            else None
        )
    return None


def _the_running(versions: List[str]) -> str:
    if len(versions) != 1:
        found = f"different versions run: {listed(versions)}" if versions else "no version is running"
        raise RollbackError(
            f"The previous release cannot be told, since {found}.",
            "Name the release point with -e release=<id or version>.",
        )
    return versions[0]


def _point_of_judged(chosen: Candidate, points: List[ReleasePoint]) -> ReleasePoint:
    """The release point that fits a backup without a manifest: by the version that was said, or by its revisions."""
    if chosen.application_version:
        return replace(_point_of(chosen, [], ""), recorded_by="nobody: -e backup and -e version name it")
    fit = [point for point in points if sorted(point.alembic_heads) == sorted(chosen.alembic_heads or [])]
    if chosen.alembic_heads and fit:
        return max(fit, key=lambda point: (point.verified, points.index(point)))
    raise RollbackError(
        f"The backup {chosen.name} has no manifest, and no release point is at its revision ({listed(chosen.alembic_heads or ['none'])}):"
        " nothing says which version of the application fits it.",
        "Say it with -e version=<version>, or name the release point with -e release=<id or version>.",
    )


def _point_of(chosen: Candidate, points: List[ReleasePoint], release: str) -> ReleasePoint:
    """The release point that fits a backup named by hand: the one that names it, else one made of its manifest."""
    if release:
        return ledger.find(points, release)
    for point in reversed(points):
        if point.backup == chosen.name:
            return point
    if not chosen.application_version:
        raise RollbackError(
            f"The backup {chosen.name} does not say which version of the application it fits.",
            "Name the release point with -e release=<id or version>.",
        )
    return ReleasePoint(
        id=f"backup:{chosen.name}",
        version=chosen.application_version,
        recorded_at=chosen.created_at,
        recorded_by="the backup's manifest",
        environment="",
        database="",
        alembic_heads=list(chosen.alembic_heads or []),
        backup=chosen.name,
    )
