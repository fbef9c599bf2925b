"""Collects what a migration does while it is read, each operation with its place in the source."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, List, Optional

from ansible.module_utils.rollback.migrations.operations import SAFE, UNKNOWN, Operation
from ansible.module_utils.rollback.migrations.sql_risk import SqlReader, parse_type
from ansible.module_utils.rollback.migrations.names import table_key


class Recorder:
    """The operations so far. `path` and `line` are where the reader stands; nothing is taken down while `muted`."""

    def __init__(self, reader: SqlReader) -> None:
        self.reader, self.operations = reader, []  # type: SqlReader, List[Operation]
        self.path, self.line = "", 0
        self.muted = 0
        # Within an autocommit block, where what refuses to run in a transaction has its place.
        self.outside = 0

    def sql(self, text: str, kind: str, line: Optional[int] = None) -> None:
        """A statement or several. `line` is where the text itself begins, if it stands in the source as such."""
        if self.muted:
            return
        done = self.reader.read(text, self.path, line or self.line, kind)
        for operation in done:
            if not operation.transactional and not self.outside and "CONCURRENTLY" in operation.sql.upper():
                reason = f"{operation.reason} It stands in no autocommit block, and PostgreSQL refuses it in a transaction."
                operation = replace(operation, reason=reason)
            self.operations.append(operation if line else replace(operation, line=self.line))

    def note(self, kind: str, reason: str, risk: str = SAFE, **facts: Any) -> None:
        if not self.muted:
            self.operations.append(Operation(kind, risk, reason, self.path, self.line, **facts))

    def unread(self, what: str) -> None:
        """Something that may do anything to the data. Said once for each line."""
        place = (self.path, self.line)
        if not any((done.path, done.line) == place and done.risk == UNKNOWN for done in self.operations):
            self.note("unread", f"{what}, which cannot be read without running it.", UNKNOWN)

    def type_before(self, schema: Optional[str], table: str, column: str, sql: str) -> None:
        """The type that a script says a column has, unless it is known better already."""
        found = parse_type(sql)
        if found is not None:
            self.reader.schema.types.setdefault((table_key(schema, table), column), found)
