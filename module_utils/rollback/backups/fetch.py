"""Bringing a backup to this host: under a temporary name, hashed while it comes, and under its own name once it is proven."""

from __future__ import annotations

import os
import shutil
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple, TypeVar

from ansible.module_utils.rollback import durable
from ansible.module_utils.rollback.backups import files, signature
from ansible.module_utils.rollback.backups import manifest as manifests
from ansible.module_utils.rollback.backups.landing import WINDOW, Landing
from ansible.module_utils.rollback.backups.manifest import Manifest
from ansible.module_utils.rollback.backups.names import DIRECTORY, MANIFEST_SUFFIX, PARTIAL_SUFFIX
from ansible.module_utils.rollback.backups.sources.source import Interrupted, Source, Unreachable
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.progress import Progress, Transfer
from ansible.module_utils.rollback.words import size

DAMAGED_SUFFIX = ".damaged"
_TRIES = 6  # in a row, without a byte
_PAUSE_S = 0.5  # before the second; twice as long before each one after it
_LINE_EVERY_S = 2.0
_SPARE = 64 * 1024 * 1024  # bytes of disk to leave free

T = TypeVar("T")


@dataclass
class Fetched:
    """`bytes` were brought; those of an earlier attempt, and of a backup that was there already, are not among them."""

    path: str
    manifest: Dict[str, Any]
    changed: bool = False
    bytes: int = 0
    seconds: float = 0.0
    actions: List[str] = field(default_factory=list)

    def as_dict(self) -> Dict[str, Any]:
        return asdict(self)


def fetch(
    source: Source,
    name: str,
    directory: Path,
    progress: Progress,
    check_mode: bool = False,
    planned: str = "",
    window: int = WINDOW,
) -> Fetched:
    """Bring the backup `name` and its manifest from `source` into `directory`; one that is there and proven is not brought again.

    `planned` is the SHA-256 that its manifest must have; empty takes any. Raises RollbackError with what is wrong.
    """
    began, target = time.monotonic(), directory / name
    try:
        known = _already(target, planned)
        if known:
            return Fetched(
                str(target), known.as_dict(), actions=[f"{name} is there already, and is what its manifest says"]
            )
        text = patiently(source, partial(_manifest_text, source, name))
        manifest = manifests.parse(text, name)
        if planned and manifests.checksum(text) != planned:
            raise RollbackError(
                f"The backup {name} in {source.where} is not the one that was planned: its manifest was replaced.",
                "Run it again, to plan with what is there now.",
            )
        _check_names(manifest)
        unfinished = target.with_name(name + PARTIAL_SUFFIX)
        _check_room(directory, manifest, unfinished)
        _check_sizes(source, manifest)
        if check_mode:
            return Fetched(str(target), manifest.as_dict(), True, actions=[f"would fetch {name} from {source.where}"])
        durable.make_private_dirs(directory)
        with _told(progress, manifest.bytes) as transfer:
            brought = _bring_all(source, manifest, unfinished, transfer, window)
        for signed in signature.of(manifests.path_for(target)):
            _bring_signature(source, signed)
    finally:
        source.close()
    _settle(target, unfinished, text)
    seconds = time.monotonic() - began
    said = f"fetched {name} from {source.where} ({size(brought)} in {seconds:.1f} s, {size(brought / max(seconds, 0.001))}/s)"
    return Fetched(str(target), manifest.as_dict(), True, brought, round(seconds, 3), [said])


def _already(target: Path, planned: str) -> Optional[Manifest]:
    """The manifest of a backup that is there, and has the size and checksum of every file in it; else None."""
    try:
        manifest = manifests.read(target)
        if manifest is None or (planned and manifests.checksum(manifests.path_for(target).read_bytes()) != planned):
            return None
        return manifest if target.exists() and files.checksums(target) == manifest.files else None
    except (RollbackError, OSError):  # whatever it is, it is not this backup
        return None


def _manifest_text(source: Source, name: str) -> bytes:
    try:
        return source.read(name + MANIFEST_SUFFIX)
    except FileNotFoundError as error:
        raise RollbackError(
            f"The backup {name} in {source.where} has no manifest beside it, so nothing says what it should hold.",
            "Choose another backup.",
        ) from error


def _bring_signature(source: Source, to: Path) -> None:
    """The signature of the manifest, where there is one; whether there must be is for the proof to say."""
    with suppress(FileNotFoundError):
        durable.write(to, patiently(source, partial(source.read, to.name)), mode=0o640)


def _check_names(manifest: Manifest) -> None:
    """A manifest is text from elsewhere: no file that it names may lead out of the backup's own place."""
    if manifest.format != DIRECTORY and set(manifest.files) == {manifest.backup}:
        return
    for name in manifest.files:
        parts = PurePosixPath(name).parts
        if manifest.format != DIRECTORY or name.startswith("/") or ".." in parts or not parts or "\0" in name:
            raise RollbackError(
                f"The manifest of {manifest.backup} names a file that is not its own: {name!r}.",
                "Choose another backup.",
            )


def _check_room(directory: Path, manifest: Manifest, unfinished: Path) -> None:
    nearest = next(path for path in (directory, *directory.parents) if path.exists())
    free = shutil.disk_usage(nearest).free
    needed = manifest.bytes + _SPARE - (files.total_bytes(unfinished) if unfinished.exists() else 0)
    if free < needed:
        raise RollbackError(
            f"{directory} has {size(free)} free, and fetching {manifest.backup} needs {size(needed)}.",
            "Make room, or set rollback_backup_dir to another disk.",
        )


def _check_sizes(source: Source, manifest: Manifest) -> None:
    for name, said in manifest.files.items():
        try:
            found = patiently(source, partial(source.size, there(manifest, name)))
        except FileNotFoundError as error:
            raise RollbackError(
                f"The backup {manifest.backup} in {source.where} lacks the file {name}.", "Choose another backup."
            ) from error
        if found != said["bytes"]:
            raise RollbackError(
                f"The backup {manifest.backup} in {source.where} is damaged: {name} has {found:,} bytes,"
                f" its manifest says {said['bytes']:,}.",
                "Choose another backup.",
            )


def there(manifest: Manifest, name: str) -> str:
    """The name of a file in its source."""
    return f"{manifest.backup}/{name}" if manifest.format == DIRECTORY else name


def _bring_all(source: Source, manifest: Manifest, unfinished: Path, transfer: Transfer, window: int) -> int:
    brought = 0
    for name, said in sorted(manifest.files.items()):
        path = unfinished / name if manifest.format == DIRECTORY else unfinished
        durable.make_private_dirs(path.parent)
        for fresh in (False, True):
            came, digest = _bring(source, there(manifest, name), path, said["bytes"], transfer, window)
            brought += came
            if digest == said["sha256"]:
                break
            path.unlink()
            if fresh or came == said["bytes"]:  # nothing of an earlier attempt was in it
                raise RollbackError(
                    f"The backup {manifest.backup} in {source.where} is damaged: the checksum of {name} is not the one in its manifest.",
                    "Choose another backup.",
                )
        transfer.ended(said["bytes"])
    if manifest.format == DIRECTORY:
        for path in (unfinished, *(path for path in unfinished.rglob("*") if path.is_dir())):
            durable.sync_dir(path)
    return brought


def _bring(source: Source, name: str, path: Path, total: int, transfer: Transfer, window: int) -> Tuple[int, str]:
    """Bytes brought and the SHA-256 of all. A connection that breaks off is made anew, and goes on where it was."""
    with Landing(path, total, window) as landing:
        transfer.follow(landing)
        failures = 0
        while landing.frontier < total:
            start = landing.again()
            try:
                source.bring(name, start, total, landing.take, landing.room)
            except (EOFError, FileNotFoundError) as error:
                raise RollbackError(
                    f"{name} in {source.where} was replaced or removed while it was brought.", "Run it again."
                ) from error
            except (Interrupted, Unreachable) as error:
                failures = 1 if landing.frontier > start else failures + 1
                begun = landing.frontier > landing.resumed_at
                if failures >= _TRIES or (isinstance(error, Unreachable) and not begun):
                    raise
                source.close()
                time.sleep(_PAUSE_S * 2 ** (failures - 1))
        return total - landing.resumed_at, landing.finish()


def patiently(source: Source, ask: Callable[[], T]) -> T:
    """What `ask` says; a connection that breaks off meanwhile is made anew."""
    for failures in range(1, _TRIES):
        try:
            return ask()
        except Interrupted:
            source.close()
            time.sleep(_PAUSE_S * 2 ** (failures - 1))
    return ask()


@contextmanager
def _told(progress: Progress, total: int) -> Iterator[Transfer]:
    """Lines of progress while it comes."""
    transfer, ended = Transfer(total), threading.Event()

    def tell() -> None:
        while not ended.wait(_LINE_EVERY_S):
            progress.say("fetch", transfer.line())

    teller = threading.Thread(target=tell, daemon=True)
    progress.say("fetch", transfer.line())
    teller.start()
    try:
        yield transfer
    finally:
        ended.set()
        teller.join()


def _settle(target: Path, unfinished: Path, manifest: bytes) -> None:
    """Give it its name. What had that name and was not this backup is kept beside."""
    if target.exists():
        os.replace(target, _free(target.with_name(target.name + DAMAGED_SUFFIX)))
    durable.write(manifests.path_for(target), manifest, mode=0o640)
    os.replace(unfinished, target)
    durable.sync_dir(target.parent)


def _free(path: Path) -> Path:
    if path.is_dir():
        shutil.rmtree(path)
    return path
