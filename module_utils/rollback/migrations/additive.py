"""Whether the application from before a migration can go on working after it: only if the migration merely adds.

What an upgrade adds, loosens or makes on tables of its own does not concern older code. What it removes, renames,
narrows, demands or rewrites does, and so does whatever cannot be read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Iterator, List, Set, Tuple

from pglast import parse_sql
from pglast.parser import ParseError

from ansible.module_utils.rollback.migrations.modules import Modules
from ansible.module_utils.rollback.migrations.operations import SAFE, UNKNOWN, Operation
from ansible.module_utils.rollback.migrations.scripts import Script
from ansible.module_utils.rollback.migrations.sql_risk import SqlReader
from ansible.module_utils.rollback.migrations.tree import Tree
from ansible.module_utils.rollback.migrations.walk import walk

# Statements that older code does not notice: they add, describe, allow or look.
_ADDING = {
    "CreateStmt",
    "ViewStmt",
    "CreateSeqStmt",
    "CreateEnumStmt",
    "CreateDomainStmt",
    "CompositeTypeStmt",
    "CreateSchemaStmt",
    "CreateExtensionStmt",
    "AlterEnumStmt",
    "CommentStmt",
    "GrantStmt",
    "SelectStmt",
    "VariableSetStmt",
    "CreateTableAsStmt",
    "CreateStatsStmt",
}
# Parts of ALTER TABLE that loosen, describe, or change nothing that a statement can see.
_LOOSENING = {
    "AT_DropNotNull",
    "AT_DropConstraint",
    "AT_ValidateConstraint",
    "AT_SetStatistics",
    "AT_SetStorage",
    "AT_SetRelOptions",
    "AT_ResetRelOptions",
    "AT_ReplicaIdentity",
    "AT_ChangeOwner",
    "AT_ClusterOn",
}
# Constraints that come with a column of its own, and ask nothing of a statement that does not name it.
_FILLED = {"CONSTR_DEFAULT", "CONSTR_IDENTITY", "CONSTR_GENERATED"}
_SERIAL = {"serial", "bigserial", "smallserial", "serial4", "serial8"}


@dataclass
class _Fresh:
    """Tables and columns that came with the migrations so far: older code knows nothing of them."""

    tables: Set[str] = field(default_factory=set)
    columns: Set[Tuple[str, str]] = field(default_factory=set)


def obstacles(scripts: List[Script], tree: Tree) -> Dict[str, List[str]]:
    """By revision, why code from before cannot work after it; `scripts` in the order in which they were applied.

    A revision without sentences merely adds.
    """
    fresh = _Fresh()
    return {script.revision: list(_of_script(script, tree, fresh)) for script in scripts}


def _of_script(script: Script, tree: Tree, fresh: _Fresh) -> Iterator[str]:
    done = walk(script, script.upgrade, Modules(tree), SqlReader())
    seen: Set[Tuple[int, str]] = set()
    for operation in done.operations:
        where = f"({operation.path}:{operation.line})"
        if not operation.sql:
            if operation.risk == UNKNOWN:
                yield f"{operation.reason.rstrip('.')} {where}."
            continue
        if (operation.line, operation.sql) in seen:
            continue  # the parts of one statement are operations of their own
        seen.add((operation.line, operation.sql))
        try:
            statements = [raw.stmt for raw in parse_sql(operation.sql)]
        except ParseError:
            yield f"{operation.reason.rstrip('.')} {where}."
            continue
        for statement in statements:
            for reason in _of_statement(statement, operation, fresh):
                yield f"{reason} {where}."


def _of_statement(node: Any, operation: Operation, fresh: _Fresh) -> Iterator[str]:
    kind = type(node).__name__
    judge = _JUDGES.get(kind)
    if judge:
        yield from judge(node, operation, fresh)
    elif kind in ("CreateStmt", "CreateTableAsStmt"):
        relation = node.relation if kind == "CreateStmt" else node.into.rel
        fresh.tables.add(relation.relname)
    elif kind not in _ADDING:
        yield _plainly(operation)


def _alter_table(node: Any, operation: Operation, fresh: _Fresh) -> Iterator[str]:
    table = node.relation.relname
    if table in fresh.tables:
        return
    for command in node.cmds:
        kind = command.subtype.name
        if kind == "AT_AddColumn":
            column = command.def_
            fresh.columns.add((table, column.colname))
            if not _is_optional(column):
                yield f"Column {column.colname} of {table} is demanded of every new row, and older code does not give it"
        elif kind == "AT_ColumnDefault":
            if command.def_ is None and (table, command.name) not in fresh.columns:
                yield f"Column {command.name} of {table} loses its default, on which older code may rely"
        elif kind in ("AT_SetNotNull", "AT_AlterColumnType", "AT_DropColumn"):
            if (table, command.name) not in fresh.columns and not (
                kind == "AT_AlterColumnType" and operation.risk == SAFE
            ):
                yield _plainly(operation)
        elif kind == "AT_AddConstraint":
            if not _only_fresh(command.def_, table, fresh):
                yield f"A new constraint on {table} may refuse what older code writes"
        elif kind not in _LOOSENING:
            yield _plainly(operation)


def _is_optional(column: Any) -> bool:
    """Whether a row can be written without naming the column."""
    kinds = {constraint.contype.name for constraint in column.constraints or ()}
    type_name = column.typeName.names[-1].sval if column.typeName else ""
    demanded = bool(column.is_not_null) or "CONSTR_NOTNULL" in kinds or "CONSTR_PRIMARY" in kinds
    return not demanded or bool(kinds & _FILLED) or bool(column.raw_default) or type_name in _SERIAL


def _only_fresh(constraint: Any, table: str, fresh: _Fresh) -> bool:
    """Whether a constraint speaks of columns alone that older code does not know."""
    names = [name.sval for name in (*(constraint.keys or ()), *(constraint.fk_attrs or ()))]
    return bool(names) and all((table, name) in fresh.columns for name in names)


def _index(node: Any, operation: Operation, fresh: _Fresh) -> Iterator[str]:
    table = node.relation.relname
    names = [part.name for part in node.indexParams]
    if node.unique and table not in fresh.tables and not all((table, name) in fresh.columns for name in names):
        yield f"A new unique index on {table} may refuse what older code writes"


def _drop(node: Any, operation: Operation, fresh: _Fresh) -> Iterator[str]:
    if node.removeType.name == "OBJECT_INDEX":
        return
    named = [thing[-1].sval for thing in node.objects if isinstance(thing, tuple)]
    if node.removeType.name != "OBJECT_TABLE" or not named or not set(named) <= fresh.tables:
        yield _plainly(operation)


def _write(node: Any, operation: Operation, fresh: _Fresh) -> Iterator[str]:
    table = node.relation.relname
    if table in fresh.tables:
        return
    targets = [part.name for part in getattr(node, "targetList", None) or ()]
    if type(node).__name__ == "UpdateStmt" and all((table, name) in fresh.columns for name in targets):
        return
    yield f"Data of {table}, which older code knows, is changed"


def _plainly(operation: Operation) -> str:
    return operation.reason.rstrip(".")


_JUDGES: Dict[str, Callable[[Any, Operation, _Fresh], Iterator[str]]] = {
    "AlterTableStmt": _alter_table,
    "IndexStmt": _index,
    "DropStmt": _drop,
    "UpdateStmt": _write,
    "DeleteStmt": _write,
    "InsertStmt": _write,
}
