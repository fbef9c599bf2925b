"""The marker by which a database says to which environment it belongs: a fixed form at the end of its comment."""

from __future__ import annotations

import re
from typing import Optional, Tuple

_MARKER = re.compile(r"\[rollback environment: ([^\]\n]+)\]\s*\Z")


def marker(environment: str) -> str:
    return f"[rollback environment: {environment}]"


def environment_of(comment: Optional[str]) -> str:
    """The environment that a database's comment names; empty where it names none."""
    found = _MARKER.search(comment or "")
    return found.group(1) if found else ""


def foreign(database: str, carried: str, environment: str) -> Tuple[str, str]:
    """The sentence for a database of another environment, and the way out."""
    return (
        f"Database {database} carries the marker of environment {carried}, and this run is for {environment}.",
        f"Check the inventory and rollback_database_dsn; where the database has really moved, take {marker(carried)} out of its comment"
        " (COMMENT ON DATABASE).",
    )
