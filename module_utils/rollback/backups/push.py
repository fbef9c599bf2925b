"""Leaving copies of a backup in other places: its files first, and its manifest when all of them are there."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import List, Sequence

from ansible.module_utils.rollback.backups import files, signature
from ansible.module_utils.rollback.backups import manifest as manifests
from ansible.module_utils.rollback.backups.fetch import patiently, there
from ansible.module_utils.rollback.backups.manifest import Manifest
from ansible.module_utils.rollback.backups.names import DIRECTORY, MANIFEST_SUFFIX
from ansible.module_utils.rollback.backups.sources.source import Source
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.words import listed, size


def push(backup: Path, places: Sequence[Source], check_mode: bool = False) -> List[str]:
    """What was done, one sentence for each place that got a copy. Raises RollbackError with every place that did not."""
    manifest = manifests.read(backup)
    if manifest is None or files.checksums(backup) != manifest.files:
        raise RollbackError(
            f"The backup {backup.name} is not what its manifest says, so no copy of it is made.", "Take another backup."
        )
    done: List[str] = []
    failures: List[RollbackError] = []
    for place in places:
        try:
            if _is_there(place, backup, manifest):
                continue
            if not check_mode:
                _leave(place, backup, manifest)
            done.append(
                f"{'would leave' if check_mode else 'left'} {backup.name} in {place.where} ({size(manifest.bytes)})"
            )
        except RollbackError as error:
            failures.append(error)
        finally:
            place.close()
    if failures:
        raise RollbackError(
            f"The backup {backup.name} is here and proven, and was not left everywhere: {' '.join(map(str, failures))}",
            f"{listed(done)}. Run it again." if done else "",
        )
    return done


def _is_there(place: Source, backup: Path, manifest: Manifest) -> bool:
    try:
        text = patiently(place, partial(place.read, backup.name + MANIFEST_SUFFIX))
        if text != manifests.path_for(backup).read_bytes():
            raise RollbackError(
                f"{place.where} has another backup called {backup.name}.", "Look at it by hand; it is not overwritten."
            )
        return all(place.size(there(manifest, name)) == said["bytes"] for name, said in manifest.files.items())
    except FileNotFoundError:
        return False


def _leave(place: Source, backup: Path, manifest: Manifest) -> None:
    for name in sorted(manifest.files):
        path = backup / name if manifest.format == DIRECTORY else backup
        patiently(place, partial(place.put, path, there(manifest, name)))
    for signed in filter(Path.is_file, signature.of(manifests.path_for(backup))):
        patiently(place, partial(place.put, signed, signed.name))
    patiently(place, partial(place.put, manifests.path_for(backup), backup.name + MANIFEST_SUFFIX))
