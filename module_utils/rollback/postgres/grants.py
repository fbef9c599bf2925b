"""Privileges and owners of a dump: each privilege is granted by the role that granted it.

What fails for want of a privilege is tried again when more were granted: a grant may stand before the one that it depends on,
and pg_dump gives things to their owners first, and the owners the right to have them (CREATE on the schema) last.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Iterator, List, Optional, Tuple

from ansible.module_utils.rollback.backups.plain_sections import NAME, Entry, NotAsDumped

with suppress(ImportError):  # the module that uses this says so
    import psycopg
    from psycopg import errors as pg_errors

if TYPE_CHECKING:
    import psycopg

_BECOMES = re.compile(rb"SET SESSION AUTHORIZATION (%s);\s*" % NAME)
_RESET = re.compile(rb"RESET SESSION AUTHORIZATION;\s*")
_GRANTS = re.compile(rb"(?:GRANT|REVOKE)\b")
_OWNER = re.compile(rb"ALTER (?!DEFAULT PRIVILEGES\b).* OWNER TO %s;\s*" % NAME, re.DOTALL)
# PostgreSQL only warns where the grantor holds none, or not all, of the privileges with grant option.
_NOT_GRANTED = "01007"


@dataclass(frozen=True)
class Grant:
    """One GRANT, REVOKE or ALTER … OWNER TO; `role` is the quoted name of the grantor, empty where the dump leaves it to PostgreSQL."""

    entry: Entry
    role: bytes
    statement: bytes

    @property
    def sql(self) -> bytes:
        # SET ROLE records the same grantor as SET SESSION AUTHORIZATION, and needs a membership instead of a superuser. Sent
        # together, both statements are one transaction.
        return b"SET LOCAL ROLE %s; %s" % (self.role, self.statement) if self.role else self.statement


def grants_of(entry: Entry) -> Iterator[Grant]:
    """Split an ACL entry. Raises NotAsDumped where it would leave the session as another user."""
    role, anything = b"", False
    for statement in entry.statements:
        becomes = _BECOMES.fullmatch(statement)
        if becomes and not role:
            role = becomes.group(1)
        elif _RESET.fullmatch(statement) and role:
            role = b""
        elif _GRANTS.match(statement):
            yield Grant(entry, role, statement)
        else:
            anything = True
    if role or anything:
        raise NotAsDumped(f"{str(entry).capitalize()} is not as pg_dump writes it.", "Choose another backup.")


def gives_away(statement: bytes) -> bool:
    """Whether this is ALTER … OWNER TO."""
    return bool(_OWNER.fullmatch(statement))


class Grants:
    """Runs grants in order; what fails for want of another grant waits for it."""

    def __init__(self, connection: "psycopg.Connection[Any]") -> None:
        self._connection = connection
        self._waiting: List[Tuple[Grant, str]] = []
        self._warning: Optional[str] = None
        self._more = False  # was granted since the last retry
        connection.add_notice_handler(self._notice)

    def add(self, entry: Entry) -> None:
        """Run the statements of an ACL entry."""
        for grant in list(grants_of(entry)):
            self._attempt(grant)
        self._more = True
        if entry.name.startswith("SCHEMA "):
            # What waits for its owner needs it before its own privileges: those of the owner may have been cut down.
            self.retry()

    def give_away(self, entry: Entry, statement: bytes) -> None:
        """Run the ALTER … OWNER TO of `entry`."""
        self._attempt(Grant(entry, b"", statement))

    def retry(self) -> None:
        """Try what waits again, in order, for as long as that helps."""
        before = None
        while self._more and self._waiting and before != len(self._waiting):
            waiting, self._waiting = self._waiting, []
            before = len(waiting)
            for grant, _ in waiting:
                self._attempt(grant)
        self._more = False

    def lost(self) -> List[Tuple[Grant, str]]:
        """Those that cannot be granted, with PostgreSQL's reason."""
        self.retry()
        return self._waiting

    def _attempt(self, grant: Grant) -> None:
        self._warning = None
        try:
            self._connection.execute(grant.sql)
        except (
            pg_errors.InsufficientPrivilege,
            pg_errors.InvalidGrantOperation,
            pg_errors.FeatureNotSupported,  # a sequence whose table waits for its owner
        ) as error:
            self._waiting.append((grant, error.diag.message_primary or str(error)))
            return
        if self._warning:
            self._waiting.append((grant, self._warning))

    def _notice(self, diagnostic: "psycopg.errors.Diagnostic") -> None:
        if diagnostic.sqlstate == _NOT_GRANTED:
            self._warning = diagnostic.message_primary or "no privileges were granted"
