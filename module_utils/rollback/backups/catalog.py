"""The catalogue: what in the backup directory and in other places is a backup of this database, and why the rest is not."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import MappingProxyType
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence

from ansible.module_utils.rollback import clock
from ansible.module_utils.rollback.backups import files, names, signature, sources
from ansible.module_utils.rollback.backups import manifest as manifests
from ansible.module_utils.rollback.backups.manifest import Manifest
from ansible.module_utils.rollback.backups.sources.source import Interrupted, Source, Unreachable
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.words import listed

NO_MANIFEST = "it has no manifest"


@dataclass(frozen=True)
class Candidate:
    """One file or directory. `reason` says why it is no candidate; empty where it is one. Times are UTC, sizes bytes.

    `path` is where it is on this host, or would be; `source` where it has to come from, and `where` that in words.
    `manifest_sha256` tells whether a manifest elsewhere is still the one that was read here.
    """

    name: str
    path: str
    source: str = sources.HERE
    where: str = ""
    created_at: str = ""
    bytes: int = 0
    format: str = ""
    compression: str = ""
    application_version: str = ""
    alembic_heads: Optional[List[str]] = None
    rows: int = 0
    manifest_sha256: str = ""
    reason: str = ""

    @property
    def here(self) -> bool:
        return self.source == sources.HERE

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


class Elsewhere(NamedTuple):
    """What other places have, and a sentence about each that could not be asked, by its name."""

    candidates: List[Candidate]
    unreachable: Dict[str, str]


def read_elsewhere(places: Sequence[Source], directory: Path, database: str, environment: str) -> Elsewhere:
    """Everything in `places`, which would come into `directory`. A place that cannot be asked hides none of the others."""
    found: List[Candidate] = []
    unreachable: Dict[str, str] = {}
    for place in places:
        try:
            found += _read_place(place, directory, database, environment)
        except (Unreachable, Interrupted) as error:
            unreachable[place.name] = str(error)
        finally:
            place.close()
    return Elsewhere(found, unreachable)


def merged(here: List[Candidate], elsewhere: List[Candidate]) -> List[Candidate]:
    """One view, oldest first. Of several that are the same, the one on this host comes last, and is preferred."""
    places = list(dict.fromkeys(candidate.source for candidate in elsewhere))[::-1]
    everything = [*elsewhere, *here]
    return sorted(
        everything,
        key=lambda candidate: (candidate.created_at, candidate.name, ([*places, sources.HERE]).index(candidate.source)),
    )


def choose(
    candidates: List[Candidate],
    name: str,
    directory: Path,
    unreachable: Mapping[str, str] = MappingProxyType({}),
    judge: bool = False,
) -> Candidate:
    """The candidate called `name`, by its path, or as `<source>:<name>`. Raises RollbackError where there is none, or none is fit.

    With `judge`, one on this host that only lacks a manifest is fit where no other is: its content is judged.
    """
    called = [candidate for candidate in candidates if name in _names_of(candidate)]
    fit = [candidate for candidate in called if not candidate.reason]
    if judge and not fit:
        fit = [candidate for candidate in called if candidate.here and candidate.reason == NO_MANIFEST]
    if fit:
        if len({(candidate.created_at, candidate.bytes, candidate.rows) for candidate in fit}) > 1:
            raise RollbackError(
                f"There are different backups called {name}: in {listed(candidate.source for candidate in fit)}.",
                f"Say which with -e backup={fit[-1].source}:{fit[-1].name}.",
            )
        return fit[-1]
    if called:
        raise RollbackError(
            f"{called[-1].name} cannot be restored here: {called[-1].reason}.",
            "Choose another backup." if not unreachable else _unasked(unreachable),
        )
    known = list(dict.fromkeys(candidate.name for candidate in reversed(candidates) if not candidate.reason))
    places = list(dict.fromkeys(candidate.where for candidate in candidates if not candidate.here))
    raise RollbackError(
        f"There is no backup {name} in {listed([str(directory), *places])}.",
        _unasked(unreachable)
        if unreachable
        else f"There are: {listed(known, 3)}."
        if known
        else "There is no backup of this database at all.",
    )


def newest(
    candidates: List[Candidate],
    before: str,
    heads: Optional[List[str]],
    unreachable: Mapping[str, str] = MappingProxyType({}),
) -> Candidate:
    """The newest one that is fit, was taken before the time `before` (empty takes any), and has the revisions `heads` (None likewise).

    When it was taken is in its manifest; what a file's own time says is nothing. Raises RollbackError.
    """
    limit = moment(before) if before else None
    fit = [
        candidate
        for candidate in candidates
        if not candidate.reason
        and (limit is None or clock.parse_iso(candidate.created_at) < limit)
        and (heads is None or sorted(candidate.alembic_heads or []) == sorted(heads))
    ]
    if fit:
        return max(fit, key=lambda candidate: (clock.parse_iso(candidate.created_at), candidates.index(candidate)))
    wanted = "".join(
        [
            f" from before {before}" if before else "",
            f" at revision {listed(heads or ['none'])}" if heads is not None else "",
        ]
    )
    oldest = next((candidate.created_at for candidate in candidates if not candidate.reason), "")
    raise RollbackError(
        f"There is no backup of this database{wanted}.",
        _unasked(unreachable)
        if unreachable
        else f"The oldest is of {oldest}."
        if oldest
        else "Check rollback_backup_dir and rollback_backup_sources.",
    )


def moment(said: str) -> datetime:
    """A time as people write it; without a zone it is UTC. Raises RollbackError where it is none."""
    try:
        found = clock.parse_iso(said)
    except ValueError as error:
        raise RollbackError(
            f"{said!r} is no time.", "Write it like 2026-11-22T03:15:00Z; without a zone it is UTC."
        ) from error
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)


def _names_of(candidate: Candidate) -> List[str]:
    return [
        candidate.name,
        f"{candidate.source}:{candidate.name}",
        candidate.path if candidate.here else candidate.name,
    ]


def _unasked(unreachable: Mapping[str, str]) -> str:
    return " ".join(f"Source {name} could not be asked: {said}" for name, said in unreachable.items())


def expired(
    candidates: List[Candidate], keep: int, keep_days: int, needed: "set[str]", now: datetime
) -> List[Candidate]:
    """Dumps that retention lets go: older than `keep_days`, not among the newest `keep`, and of no release point."""
    fit = [candidate for candidate in candidates if not candidate.reason and candidate.format != names.SNAPSHOT]
    spared = {candidate.name for candidate in fit[-keep:]} if keep > 0 else set()
    before = clock.iso(now - timedelta(days=keep_days))
    return [candidate for candidate in fit if candidate.created_at < before and candidate.name not in spared | needed]


def _belongs_to_another(path: Path) -> bool:
    """Manifests and signatures are listed with their backup, and alone where that is gone."""
    if path.suffix in signature.SUFFIXES:
        return path.with_suffix("").exists()
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
        backup_format, compression = files.sniff(path)
        return Candidate(
            path.name, str(path), bytes=size, format=backup_format, compression=compression, reason=NO_MANIFEST
        )
    return _described(manifest, path, size, database, environment)


def _read_place(place: Source, directory: Path, database: str, environment: str) -> List[Candidate]:
    entries = {entry.name: entry for entry in place.list()}
    found = []
    for name, entry in sorted(entries.items()):
        if name.endswith(names.MANIFEST_SUFFIX) and name[: -len(names.MANIFEST_SUFFIX)] in entries:
            continue
        if name.endswith(signature.SUFFIXES) and name.rpartition(".")[0] in entries:
            continue
        unread = Candidate(name, str(directory / name), place.name, place.where, bytes=entry.bytes)
        if name.endswith(names.MANIFEST_SUFFIX):
            found.append(replace(unread, reason="its backup is gone"))
        elif name.endswith(names.PARTIAL_SUFFIX) or name.startswith("."):
            found.append(replace(unread, reason="it was never finished"))
        elif name + names.MANIFEST_SUFFIX not in entries:
            found.append(replace(unread, reason=NO_MANIFEST))
        else:
            found.append(_judge_there(place, unread, directory, database, environment))
    return found


def _judge_there(place: Source, unread: Candidate, directory: Path, database: str, environment: str) -> Candidate:
    try:
        text = place.read(unread.name + names.MANIFEST_SUFFIX)
        manifest = manifests.parse(text, unread.name)
    except FileNotFoundError:
        return replace(unread, reason=NO_MANIFEST)
    except (Unreachable, Interrupted):
        raise
    except RollbackError as error:
        return replace(unread, reason=error.message.rstrip("."))
    if manifest.format == names.SNAPSHOT:
        return replace(unread, reason="a snapshot is of use only on the server that has it")
    described = _described(manifest, directory / unread.name, unread.bytes, database, environment)
    return replace(described, source=place.name, where=place.where, manifest_sha256=manifests.checksum(text))


def _described(manifest: Manifest, path: Path, size: int, database: str, environment: str) -> Candidate:
    """A backup of `size` bytes by its manifest, and why it is not one of this database in this environment."""
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
