"""Names of backups, as the rollback plan writes them: `backup_pre_v1.1.0_20261122_031500.sql`."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Optional, Tuple

from ansible.module_utils.rollback import clock
from ansible.module_utils.rollback.errors import RollbackError

MANIFEST_SUFFIX = ".manifest.json"
PARTIAL_SUFFIX = ".part"

# Those that backups are made in; of the others, TAR, XZ and BZIP2, only those by other hands are.
PLAIN, CUSTOM, DIRECTORY, TAR = "plain", "custom", "directory", "tar"
SNAPSHOT = "snapshot"  # no dump: a copy in the cluster, of which the file holds the name
FORMATS = (PLAIN, CUSTOM, DIRECTORY)
NONE, GZIP, ZSTD, XZ, BZIP2 = "none", "gzip", "zstd", "xz", "bzip2"
COMPRESSIONS = (NONE, GZIP, ZSTD)

_SUFFIXES = {
    (PLAIN, NONE): ".sql",
    (PLAIN, GZIP): ".sql.gz",
    (PLAIN, ZSTD): ".sql.zst",
    (CUSTOM, NONE): ".dump",
    (CUSTOM, GZIP): ".dump",
    (CUSTOM, ZSTD): ".dump",
    (DIRECTORY, NONE): ".dir",
    (DIRECTORY, GZIP): ".dir",
    (DIRECTORY, ZSTD): ".dir",
    (SNAPSHOT, NONE): ".snapshot",
}
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,80}")
_NAME = re.compile(
    r"backup_(?P<label>[A-Za-z0-9][A-Za-z0-9._-]*)_(?P<stamp>\d{8}_\d{6})(?P<suffix>\.sql(\.gz|\.zst)?|\.dump|\.dir|\.snapshot)"
)


@dataclass(frozen=True)
class BackupName:
    label: str
    taken_at: datetime


def make(label: str, moment: datetime, backup_format: str, compression: str) -> str:
    """The name of a new backup. Raises RollbackError where `label` would not survive as part of a file name."""
    if not _LABEL.fullmatch(label):
        raise RollbackError(
            f"{label!r} cannot be part of a backup's name.",
            "Use letters, digits, dot, dash and underscore, such as pre_v1.1.0.",
        )
    stamp = moment.astimezone(timezone.utc).strftime("%Y%m%d_%H%M%S")
    return f"backup_{label}_{stamp}{_SUFFIXES[backup_format, compression]}"


def unused(directory: Path, label: str, backup_format: str, compression: str) -> Tuple[Path, datetime]:
    """The path of a backup that begins now, and its time. Names tell seconds: where this one's is taken, the next is waited for."""
    while True:
        now = clock.utc_now()
        path = directory / make(label, now, backup_format, compression)
        # In this order, since another one's takes its name from the one to the other.
        if not path.with_name(path.name + PARTIAL_SUFFIX).exists() and not path.exists():
            return path, now
        time.sleep(1 - now.microsecond / 1e6)


def parse(name: str) -> Optional[BackupName]:
    """What a name says, or None where it is not one of ours (or its time does not exist)."""
    found = _NAME.fullmatch(name)
    if not found:
        return None
    try:
        taken_at = datetime.strptime(found.group("stamp"), "%Y%m%d_%H%M%S").replace(tzinfo=timezone.utc)
    except ValueError:
        return None
    return BackupName(found.group("label"), taken_at)
