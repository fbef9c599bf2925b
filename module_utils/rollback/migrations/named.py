"""What the statements of a step name, whether they take data away or not: for the watch over the running step."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Set, Tuple

from pglast import parse_sql
from pglast.parser import ParseError

from ansible.module_utils.rollback.migrations.operations import COLUMN, TABLE, Operation
from ansible.module_utils.rollback.migrations.sql_statement import dotted

TABLES, COLUMNS, ROWS = "tables", "columns", "rows"


def harmless(operations: List[Operation]) -> Dict[str, List[str]]:
    """What is dropped and is no loss (`tables`, and names of `columns`), and the tables to whose `rows` a step may write.

    Tables are named as in the script, with a schema or without one. What is dropped and is a loss is not among them: that has to
    be in its schema, where the forecast found it.
    """
    found: Dict[str, Set[str]] = {TABLES: set(), COLUMNS: set(), ROWS: set()}
    for operation in operations:
        if operation.table:
            found[ROWS].add(operation.table)
        lost = {loss.table for loss in operation.losses if loss.kind == TABLE}
        lost_columns = {column for loss in operation.losses if loss.kind == COLUMN for column in loss.columns}
        for kind, name in _dropped(operation.sql):
            if name.rpartition(".")[2] not in (lost if kind == TABLES else lost_columns):
                found[kind].add(name)
    return {kind: sorted(names) for kind, names in found.items()}


def demanding(operations: List[Operation]) -> List[Tuple[str, str]]:
    """Tables, with their columns, to which a column is added that no row of before has a value for: NOT NULL without a default."""
    found = []
    for node in _statements(operation.sql for operation in operations):
        if type(node).__name__ != "AlterTableStmt":
            continue
        for command in node.cmds:
            if command.subtype.name == "AT_AddColumn" and _demands(command.def_):
                found.append((str(node.relation.relname), str(command.def_.colname)))
    return list(dict.fromkeys(found))


def _demands(column: Any) -> bool:
    kinds = {constraint.contype.name for constraint in column.constraints or ()}
    filled = kinds & {"CONSTR_DEFAULT", "CONSTR_IDENTITY", "CONSTR_GENERATED"} or column.raw_default
    serial = column.typeName is not None and "serial" in column.typeName.names[-1].sval
    return bool(kinds & {"CONSTR_NOTNULL", "CONSTR_PRIMARY"} or column.is_not_null) and not filled and not serial


def _dropped(sql: str) -> Iterator[Tuple[str, str]]:
    for node in _statements([sql]):
        kind = type(node).__name__
        if kind == "DropStmt" and node.removeType.name == "OBJECT_TABLE":
            for parts in node.objects:
                yield TABLES, ".".join(filter(None, dotted(parts)))
        elif kind == "AlterTableStmt":
            for command in node.cmds:
                if command.subtype.name == "AT_DropColumn":
                    yield COLUMNS, str(command.name)


def _statements(texts: Any) -> Iterator[Any]:
    for text in texts:
        if not text:
            continue
        try:
            yield from (raw.stmt for raw in parse_sql(text))
        except ParseError:
            continue  # its risk is unknown, and then nothing is watched
