"""Collects what a migration does while it is read, each operation with its place in the source."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Iterator, List, Optional

from ansible.module_utils.rollback.migrations.names import table_key
from ansible.module_utils.rollback.migrations.operations import SAFE, UNKNOWN, Operation
from ansible.module_utils.rollback.migrations.sql_risk import SqlReader, parse_type
from ansible.module_utils.rollback.migrations.sql_statement import MARK
from ansible.module_utils.rollback.migrations.values import SqlType


class Recorder:
    """The operations so far. `path` and `line` are where the reader stands; nothing is taken down while `muted`."""

    def __init__(self, reader: SqlReader) -> None:
        self.reader = reader
        self.operations: List[Operation] = []
        self.path, self.line = "", 0
        self.muted = 0
        # Within an autocommit block, where what refuses to run in a transaction has its place.
        self.outside = 0
        # Whether what comes now surely happens, and once.
        self.certain = True
        self._refusing = True

    def sql(self, text: str, kind: str, line: Optional[int] = None) -> None:
        """A statement or several. `line` is where the text itself begins, if it stands in the source as such."""
        if self.muted:
            return
        self.reader.schema.certain = self.certain
        done = self.reader.read(text, self.path, line or self.line, kind)
        for operation in done if self.outside else map(_misplaced, done):
            self.operations.append(operation if line else replace(operation, line=self.line))

    def note(self, kind: str, reason: str, risk: str = SAFE, **facts: Any) -> None:
        if not self.muted and (self._refusing or kind != "refuses"):
            self.operations.append(Operation(kind, risk, reason, self.path, self.line, **facts))

    @contextmanager
    def without_refusals(self) -> Iterator[None]:
        """While an object is made: what its constructor checks says nothing about the database."""
        before, self._refusing = self._refusing, False
        try:
            yield
        finally:
            self._refusing = before

    @contextmanager
    def without_repeats(self) -> Iterator[None]:
        """What comes again, in a loop that is walked through once more, is taken down once."""
        begun = len(self.operations)
        yield
        known = self.operations[:begun]
        self.operations[begun:] = [done for done in self.operations[begun:] if done not in known]

    def unread(self, what: str) -> None:
        """Something that may do anything to the data. Said once for each line."""
        place = (self.path, self.line)
        if not any((done.path, done.line) == place and done.risk == UNKNOWN for done in self.operations):
            self.note("unread", f"{what}, which cannot be read without running it.", UNKNOWN)

    def enum_before(self, kind: SqlType) -> None:
        """The labels of an enum that a column has or gets, unless they are known better already."""
        if kind.enum and MARK not in kind.enum:
            self.reader.schema.enums.setdefault(table_key(kind.schema, kind.enum), kind.labels)

    def type_before(self, schema: Optional[str], table: str, column: str, sql: str) -> None:
        """The type that a script says a column has, unless it is known better already."""
        found = parse_type(sql)
        if found is not None:
            self.reader.schema.types.setdefault((table_key(schema, table), column), found)


def _misplaced(operation: Operation) -> Operation:
    """Says of what refuses to run in a transaction that it stands in one, which PostgreSQL tells only when it runs."""
    if operation.transactional or "CONCURRENTLY" not in operation.sql.upper():
        return operation
    more = "It stands in no autocommit block, and PostgreSQL refuses it in a transaction."
    return replace(operation, reason=f"{operation.reason} {more}")
