"""One statement while it is read: where it stands, what it is about, and how what it does is written down."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Dict, List, Optional, Sequence, Set, Tuple

from ansible.module_utils.rollback.migrations.column_types import WORDS, Type, change
from ansible.module_utils.rollback.migrations.names import Names, Table, table_key
from ansible.module_utils.rollback.migrations.operations import LOSSY, SAFE, UNKNOWN, Loss, Operation
from ansible.module_utils.rollback.words import listed

# Stands in SQL for what only the running migration knows. PostgreSQL takes it for the name of a thing.
MARK = "‽"

# The kind of what no statement says: foreign keys and partitions bring it with them.
CASCADE = "cascade"

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


@dataclass(frozen=True)
class Reference:
    """A foreign key. `action` is what deleting a row of `parent` does: PostgreSQL's letter, `c` for CASCADE and so on."""

    child: Table
    columns: Tuple[str, ...]
    parent: Table
    action: str
    name: str


@dataclass
class Schema:
    """What is known of the schema while statements change it.

    Names of before, types of columns, foreign keys, and which tables are known with all their columns.
    """

    names: Names = field(default_factory=Names)
    types: Dict[Tuple[Table, str], Type] = field(default_factory=dict)
    references: List[Reference] = field(default_factory=list)
    whole: Set[Table] = field(default_factory=set)
    # Labels of the enums, none where they are not known.
    enums: Dict[Table, Tuple[str, ...]] = field(default_factory=dict)
    # Partitions by the table that they are part of.
    partitions: Dict[Table, List[Table]] = field(default_factory=dict)
    # Columns that were added with nothing in them, and not filled since.
    hollow: Set[Tuple[Table, str]] = field(default_factory=set)
    # Tables that end with the session, with whatever was copied into them.
    temporary: Set[Table] = field(default_factory=set)
    # Whether what is read now surely happens. A table that is perhaps emptied is not taken for empty afterwards.
    certain: bool = True

    def at_start(self) -> "Schema":
        """The same knowledge for somebody who begins here: the names of now are those of before."""
        parts = {parent: list(children) for parent, children in self.partitions.items()}
        return Schema(Names(), dict(self.types), list(self.references), set(self.whole), dict(self.enums), parts)

    def columns(self, table: Table) -> Set[str]:
        """The columns of a table that is known with all of them, else those of which we know."""
        return {column for (of, column) in self.types if of == table}

    def fits(self, source: Tuple[Table, str], home: Tuple[Table, str]) -> bool:
        """Whether every value of one column is in another as it was, once it is copied there. So it is if no type is known."""
        old, new = self.types.get(source), self.types.get(home)
        # What is too long for words makes the copy fail, and nothing is lost by that.
        return new is None or new.name in WORDS or not change(old, new).narrows

    def note_persistence(self, relation: Any) -> None:
        if relation.relpersistence == "t":
            self.temporary.add(key_of(relation))

    def refer(self, relation: Any, constraint: Any, columns: Sequence[str]) -> None:
        """Takes down a foreign key, under the name that PostgreSQL gives it if the script gives none."""
        child = key_of(relation)
        name = constraint.conname or "_".join([child[1], *columns, "fkey"])
        action = getattr(constraint.fk_del_action, "value", constraint.fk_del_action) or "a"
        parent = key_of(constraint.pktable)
        self.references.append(Reference(child, tuple(columns), parent, str(action), name))

    def create_table(self, table: Table) -> None:
        self.drop_table(table)
        self.names.create_table(table)

    def drop_table(self, table: Table) -> None:
        self.names.drop_table(table)
        self.references = [one for one in self.references if table not in (one.child, one.parent)]
        self.types = {of: kind for of, kind in self.types.items() if of[0] != table}
        self.hollow = {of for of in self.hollow if of[0] != table}
        self.whole.discard(table)
        self.temporary.discard(table)
        for child in self.partitions.pop(table, []):
            self.drop_table(child)
        self.detach(table)

    def detach(self, table: Table) -> None:
        if not self.certain:
            return
        for children in self.partitions.values():
            if table in children:
                children.remove(table)

    def parts_of(self, table: Table) -> List[Table]:
        """The partitions of a table, and theirs."""
        children = self.partitions.get(table, [])
        return [part for child in children for part in (child, *self.parts_of(child))]

    def rename_type(self, name: Table, to: Table) -> None:
        if name in self.enums:
            self.enums[to] = self.enums.pop(name)
        for of, kind in self.types.items():
            if kind.name == name[1] and not kind.builtin:
                self.types[of] = replace(kind, name=to[1])

    def drop_column(self, table: Table, column: str) -> None:
        self.names.drop_column(table, column)
        self.references = [one for one in self.references if one.child != table or column not in one.columns]
        self.types.pop((table, column), None)
        self.hollow.discard((table, column))

    def drop_constraint(self, table: Table, name: str) -> None:
        if not self.certain:
            return
        self.references = [one for one in self.references if (one.child, one.name) != (table, name)]

    def dependents(self, table: Table) -> List[Reference]:
        """The foreign keys that deleting rows of a table reaches, through as many tables as it takes."""
        found: List[Reference] = []
        reached, following = {table}, [table]
        while following:
            parent = following.pop()
            for one in self.references:
                if one.parent == parent and one.action in ("c", "n", "d") and one not in found:
                    found.append(one)
                    if one.action == "c" and one.child not in reached:
                        reached.add(one.child)
                        following.append(one.child)
        return found

    def rename_table(self, table: Table, to: Table) -> None:
        self.names.rename_table(table, to)
        moved = {table: to}
        self.references = [
            replace(one, child=moved.get(one.child, one.child), parent=moved.get(one.parent, one.parent))
            for one in self.references
        ]
        if table in self.whole:
            self.whole = (self.whole - {table}) | {to}
        self.hollow = {(moved.get(of, of), column) for of, column in self.hollow}
        self.partitions = {
            moved.get(parent, parent): [moved.get(child, child) for child in children]
            for parent, children in self.partitions.items()
        }
        for of, column in list(self.types):
            if of == table:
                self.types[(to, column)] = self.types.pop((of, column))

    def rename_column(self, table: Table, column: str, to: str) -> None:
        self.names.rename_column(table, column, to)
        if (table, column) in self.hollow:
            self.hollow = (self.hollow - {(table, column)}) | {(table, to)}
        if (table, column) in self.types:
            self.types[(table, to)] = self.types.pop((table, column))
        self.references = [
            replace(one, columns=tuple(to if name == column else name for name in one.columns))
            if one.child == table
            else one
            for one in self.references
        ]


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
        elif loss.schema == "pg_catalog" or (not loss.schema and loss.table.startswith("pg_")):
            reason, risk = f"{reason} That is PostgreSQL's own catalogue, where a copy is of no use.", UNKNOWN
        elif table_key(loss.schema, loss.table)[1].startswith(_OF_ALEMBIC) or loss.schema.startswith("pg_temp"):
            risk, reason = SAFE, f"{reason} It is a temporary table."
        else:
            before = self.schema.names.translated(loss)
            held = self.schema.names.held(loss)
            if held:
                reason = f"{reason} The only copy of what was in {listed(one.name for one in held)} is there."
            elif before is None:
                risk, reason = SAFE, f"{reason} What is there then comes from the migration itself."
            losses = tuple(filter(None, [before, *held]))
            if self.schema.names.unsure(table_key(loss.schema, loss.table), loss.columns):
                risk = UNKNOWN
                reason = f"{reason} What it was before, only the running migration knows."
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
