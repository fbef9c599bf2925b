"""One statement while it is read: where it stands, what it is about, and how what it does is written down."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, Optional, Sequence, Tuple

from ansible.module_utils.rollback.migrations.column_types import Type
from ansible.module_utils.rollback.migrations.names import Names, Table, table_key
from ansible.module_utils.rollback.migrations.operations import LOSSY, SAFE, UNKNOWN, Loss, Operation

# Stands in SQL for what only the running migration knows. PostgreSQL takes it for the name of a thing.
MARK = "‽"

# Table locks in PostgreSQL's words.
ACCESS_EXCLUSIVE = "ACCESS EXCLUSIVE"
EXCLUSIVE = "EXCLUSIVE"
SHARE_ROW_EXCLUSIVE = "SHARE ROW EXCLUSIVE"
SHARE = "SHARE"
SHARE_UPDATE_EXCLUSIVE = "SHARE UPDATE EXCLUSIVE"
ROW_EXCLUSIVE = "ROW EXCLUSIVE"
ROW_SHARE = "ROW SHARE"

# Alembic's own table, and SQLite's way of altering one: nothing that anybody would miss.
VERSION_TABLE = "alembic_version"
_OF_ALEMBIC = ("_alembic_tmp_", "_alembic_batch_temp")


@dataclass
class Schema:
    """What is known of the schema while statements change it: names of before, and types of columns."""

    names: Names = field(default_factory=Names)
    types: Dict[Tuple[Table, str], Type] = field(default_factory=dict)

    def rename_table(self, table: Table, to: Table) -> None:
        self.names.rename_table(table, to)
        for (of, column), kind in list(self.types.items()):
            if of == table:
                self.types[(to, column)] = kind

    def rename_column(self, table: Table, column: str, to: str) -> None:
        self.names.rename_column(table, column, to)
        if (table, column) in self.types:
            self.types[(table, to)] = self.types.pop((table, column))


@dataclass(frozen=True)
class Statement:
    """A parsed statement, its text and place. `kind`, where given, is what the script's own words for it are."""

    node: Any
    sql: str
    path: str
    line: int
    schema: Schema
    kind: str = ""

    def does(
        self, kind: str, reason: str, table: str = "", lock: str = "", risk: str = SAFE, **facts: Any
    ) -> Operation:
        """An operation without a loss. `kind` is Alembic's word, for SQL that is nobody's `op.execute`."""
        words = reason.replace(MARK, "…")
        return Operation(self.kind or kind, risk, words, self.path, self.line, table, lock, sql=self.sql, **facts)

    def loses(self, kind: str, loss: Loss, reason: str, lock: str = ACCESS_EXCLUSIVE, **facts: Any) -> Operation:
        """An operation that takes data away, unless only the migration itself has put it there."""
        risk = LOSSY
        losses: Tuple[Loss, ...] = ()
        if any(MARK in name for name in (loss.schema, loss.table, *loss.columns)):
            reason = f"{reason.replace(MARK, '…')} Which one it is, only the running migration knows."
            risk = UNKNOWN
        elif table_key(loss.schema, loss.table)[1].startswith(_OF_ALEMBIC) or loss.schema.startswith("pg_temp"):
            risk, reason = SAFE, f"{reason} It is a temporary table."
        else:
            before = self.schema.names.translated(loss)
            if before is None:
                risk, reason = SAFE, f"{reason} What is there then comes from the migration itself."
            else:
                losses = (before,)
        return Operation(
            self.kind or kind, risk, reason, self.path, self.line, loss.name, lock, sql=self.sql, losses=losses, **facts
        )


def said(relation: Any) -> str:
    """`schema.table` of a RangeVar, or the table alone where no schema is written."""
    return f"{relation.schemaname}.{relation.relname}" if relation.schemaname else str(relation.relname)


def key_of(relation: Any) -> Table:
    return table_key(relation.schemaname, relation.relname)


def loss_of(kind: str, relation: Any, columns: Sequence[str] = ()) -> Loss:
    return Loss(kind, relation.schemaname or "", relation.relname, tuple(columns))


def dotted(parts: Optional[Sequence[Any]]) -> Tuple[str, str]:
    """Schema (or an empty string) and name, of a list of String nodes."""
    names = [part.sval for part in parts or ()]
    return (names[-2] if len(names) > 1 else "", names[-1] if names else "")


def shape(node: Any) -> str:
    """A node without its places in the text, so that two ways of writing the same are equal; empty for no node."""
    return str(_without_places(node(skip_none=True))) if node is not None else ""


def _without_places(found: Any) -> Any:
    if isinstance(found, dict):
        return [(key, _without_places(value)) for key, value in found.items() if key != "location"]
    if isinstance(found, tuple):
        return [_without_places(value) for value in found]
    return found
