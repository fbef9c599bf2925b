"""Extensions of a database: who owns them, in which version, and how they come back as they were."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, Optional

with suppress(ImportError):  # the module that uses this says so
    import psycopg
    from psycopg import sql

if TYPE_CHECKING:
    import psycopg

_READ = """
SELECT extname, pg_get_userbyid(extowner), extversion, nspname
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace ORDER BY 1"""
_AVAILABLE = "SELECT 1 FROM pg_available_extension_versions WHERE name = %s AND version = %s"
# As pg_dump writes it; there it is created in the version that the server prefers.
_CREATE = re.compile(rb"(CREATE EXTENSION IF NOT EXISTS [^;]+);\s*")


@dataclass(frozen=True)
class Extension:
    """One installed extension. `schema` holds what can be moved of it."""

    name: str
    owner: str
    version: str
    schema: str


def read(connection: "psycopg.Connection[Any]") -> Dict[str, Extension]:
    """Return the extensions of the database by name."""
    return {row[0]: Extension(*row) for row in connection.execute(_READ).fetchall()}


def changes(before: Mapping[str, Extension], after: Mapping[str, Extension]) -> List[str]:
    """Return a sentence for each extension that came back in another version or to another owner."""
    said = []
    for name in sorted(before.keys() & after.keys()):
        was, now = before[name], after[name]
        if now.version != was.version:
            said.append(f"The extension {name} came back in version {now.version} instead of {was.version}.")
        if now.owner != was.owner:
            said.append(
                f"The extension {name} belongs to {now.owner} instead of {was.owner},"
                f" who can no longer run ALTER EXTENSION {name}."
            )
    return said


def create(connection: "psycopg.Connection[Any]", statement: bytes, known: Optional[Extension]) -> None:
    """Run pg_dump's CREATE EXTENSION as the role that owned it and in the version it had, as far as the server allows.

    Raises psycopg.Error where even the operator cannot create it.
    """
    found = _CREATE.fullmatch(statement)
    if not known or not found:
        connection.execute(statement)
        return
    attempts = list(_attempts(connection, found.group(1), known))
    for attempt in attempts:
        try:
            connection.execute(attempt)
            return
        except psycopg.Error:
            if connection.closed or attempt is attempts[-1]:
                raise


def _attempts(connection: "psycopg.Connection[Any]", statement: bytes, known: Extension) -> Iterator[bytes]:
    if connection.execute(_AVAILABLE, [known.name, known.version]).fetchone():
        statement += b" VERSION " + sql.Literal(known.version).as_bytes(connection)
    # Several statements sent at once are one transaction, so the role is given back even where the second one fails.
    yield b"SET LOCAL ROLE " + sql.Identifier(known.owner).as_bytes(connection) + b"; " + statement
    yield statement
