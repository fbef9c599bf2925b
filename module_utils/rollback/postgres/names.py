"""Names of the databases and schemas that a run makes, sets aside and finds again."""

from __future__ import annotations

import re
from typing import Optional

from ansible.module_utils.rollback import runs
from ansible.module_utils.rollback.errors import RollbackError

MAX_BYTES = 63  # NAMEDATALEN - 1; PostgreSQL truncates longer names without failing
SALVAGE = "rollback_salvage_"  # how the names of such schemas begin
_STAMP = r"(?P<stamp>\d{8}T\d{6}Z)"


def restore_name(database: str, run: str) -> str:
    """The database beside the live one, into which `run` restores."""
    return _checked(f"{database}__restore_{runs.stamp_of(run)}", database)


def quarantine_name(database: str, run: str) -> str:
    """The name under which `run` sets the live database aside."""
    return _checked(f"{database}__before_{runs.stamp_of(run)}", database)


def trial_name(database: str, stamp: str) -> str:
    """The copy of `database` on which a downgrade is tried."""
    return _checked(f"{database}__trial_{stamp}", database)


def scratch_prefix(database: str) -> str:
    """What the names of databases begin with into which a backup of `database` is loaded to see whether it loads."""
    return f"{database}__load_"


def scratch_name(database: str, suffix: str) -> str:
    """Such a database."""
    return _checked(scratch_prefix(database) + suffix, database)


def is_scratch(name: str, database: str) -> bool:
    """Whether `name` is that of such a database: one named by people, such as shop__load_test, is not."""
    return re.fullmatch(re.escape(scratch_prefix(database)) + "[0-9a-f]{8}", name) is not None


def snapshot_name(database: str, stamp: str) -> str:
    """The copy of `database` that is kept in its cluster as a backup."""
    return _checked(f"{database}__snapshot_{stamp}", database)


def is_snapshot(name: str, database: str) -> bool:
    """Whether `name` is that of a snapshot of `database`."""
    return re.fullmatch(re.escape(database) + "__snapshot_" + _STAMP, name) is not None


def salvage_name(run: str) -> str:
    """The schema, in the live database, that keeps what the downgrade of `run` takes away."""
    return f"{SALVAGE}{runs.stamp_of(run).lower()}"


def quarantine_stamp(name: str, database: str) -> Optional[str]:
    """The stamp of the run that set `name` aside, or None where `name` is no quarantine of `database`."""
    found = re.fullmatch(re.escape(database) + "__before_" + _STAMP, name)
    return found.group("stamp") if found else None


def _checked(name: str, database: str) -> str:
    if len(name.encode()) > MAX_BYTES:
        raise RollbackError(
            f"Working beside database {database} needs the name {name}, of {len(name.encode())} bytes; PostgreSQL allows {MAX_BYTES}.",
            "Give the database a shorter name.",
        )
    return name
