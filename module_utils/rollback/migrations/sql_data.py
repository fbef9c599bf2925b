"""Statements that change rows: what of it overwrites or removes what was there, and what only fills or copies."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Iterator, List, Sequence

from pglast.visitors import Visitor

from ansible.module_utils.rollback.migrations.names import Table
from ansible.module_utils.rollback.migrations.operations import ROWS, UNKNOWN, VALUES, Loss, Operation
from ansible.module_utils.rollback.migrations.sql_functions import acts
from ansible.module_utils.rollback.migrations.sql_statement import (
    ACCESS_EXCLUSIVE,
    CASCADE,
    MARK,
    ROW_EXCLUSIVE,
    VERSION_TABLE,
    Statement,
    key_of,
    loss_of,
    said,
    shape,
)
from ansible.module_utils.rollback.words import listed

# Of Alembic's own table, whatever that is called.
_VERSION_COLUMN = "version_num"
# Functions of PostgreSQL's own that yield something else each time.
_VOLATILE = ("clock_timestamp", "gen_random", "nextval", "random", "timeofday", "uuid")


def update(statement: Statement) -> Iterator[Operation]:
    """Loses what it overwrites, and where nulls were that it fills. Filling a column of the migration's own overwrites nothing."""
    node = statement.node
    table, columns = key_of(node.relation), []
    nulls = []
    names = [target.name for target in node.targetList]
    if names == [_VERSION_COLUMN] and _is_bookkeeping(statement):
        yield _bookkeeping(statement)
        return
    yield from calls(statement)
    for target in node.targetList:
        if _keeps(node.relation, target.val, target.name, node.whereClause):
            nulls += [] if _is_of(node.relation, target.val, target.name) else [target.name]
            continue
        home = statement.schema.names.column_home(table, target.name)
        if home is None or home == (table, target.name):
            columns.append(target.name)
        statement.schema.names.spoil(table, target.name)
    for target in node.targetList:
        _note_copy(statement, table, target, node.whereClause)
        statement.schema.hollow.discard((table, target.name))
    where = "" if node.whereClause is None else " where a condition holds"
    if nulls:
        reason = f"Fills {listed(nulls)} of {said(node.relation)}, after which only a copy shows where nulls were."
        yield statement.loses("update", loss_of(VALUES, node.relation, nulls), reason, ROW_EXCLUSIVE)
    if nulls and not columns:
        return
    if not columns:
        reason = (
            f"Fills {listed(names)} of {said(node.relation)} and overwrites nothing that is not null or has a copy."
        )
        yield statement.does("update", reason, said(node.relation), ROW_EXCLUSIVE)
        return
    reason = f"Overwrites {listed(columns)} of {said(node.relation)}{where}."
    yield statement.loses("update", loss_of(VALUES, node.relation, columns), reason, ROW_EXCLUSIVE)


def delete(statement: Statement) -> Iterator[Operation]:
    node = statement.node
    where = shape(node.whereClause)
    if _is_bookkeeping(statement):
        yield _bookkeeping(statement)
        return
    yield from calls(statement)
    statement.schema.names.spoil(key_of(node.relation))
    if statement.schema.names.rows_copied(key_of(node.relation), where):
        reason = f"Deletes rows of {said(node.relation)}, which were copied to another table first."
        yield statement.does("delete", reason, said(node.relation), ROW_EXCLUSIVE)
        statement.schema.names.rows_gone(key_of(node.relation), where)
    else:
        which = "rows" if where else "all rows"
        reason = f"Deletes {which} of {said(node.relation)}{' where a condition holds' if where else ''}."
        yield statement.loses("delete", loss_of(ROWS, node.relation), reason, ROW_EXCLUSIVE)
    yield from _with_them(statement, key_of(node.relation))
    if not where and statement.schema.certain:
        statement.schema.names.empty(key_of(node.relation))


def _with_them(statement: Statement, table: Table) -> Iterator[Operation]:
    """What goes with deleted rows, by the foreign keys that refer to them."""
    apart = replace(statement, kind=CASCADE)
    for one in statement.schema.dependents(table):
        schema, name = one.child
        if one.action == "c":
            reason = f"Deletes the rows of {name} that refer to rows deleted from {one.parent[1]} (ON DELETE CASCADE)."
            yield apart.loses(CASCADE, Loss(ROWS, schema, name), reason, ROW_EXCLUSIVE)
        else:
            what = f"{listed(one.columns)} of {name}"
            reason = f"Empties {what} where they refer to rows deleted from {one.parent[1]} (ON DELETE SET NULL)."
            yield apart.loses(CASCADE, Loss(VALUES, schema, name, one.columns), reason, ROW_EXCLUSIVE)


def insert(statement: Statement) -> Iterator[Operation]:
    """Adds rows, and copies of others where they come from a table. `ON CONFLICT DO UPDATE` overwrites."""
    node = statement.node
    columns = [column.name for column in node.cols or ()]
    conflict = node.onConflictClause
    yield from calls(statement)
    if conflict is None:  # else rows may be left out
        _note_rows(statement, node.selectStmt, key_of(node.relation), columns, node.withClause)
    if conflict is not None and conflict.targetList:
        changed = [target.name for target in conflict.targetList]
        statement.schema.names.spoil(key_of(node.relation))
        reason = f"Overwrites {listed(changed)} of {said(node.relation)} where a row is there already."
        yield statement.loses("insert", loss_of(VALUES, node.relation, changed), reason, ROW_EXCLUSIVE)
        return
    yield statement.does("insert", f"Adds rows to {said(node.relation)}.", said(node.relation), ROW_EXCLUSIVE)


def merge(statement: Statement) -> Iterator[Operation]:
    relation = statement.node.relation
    statement.schema.names.spoil(key_of(relation))
    yield from calls(statement)
    for clause in statement.node.mergeWhenClauses:
        action = clause.commandType.name
        if action == "CMD_DELETE":
            reason = f"Deletes rows of {said(relation)} that a MERGE picks."
            yield statement.loses("merge", loss_of(ROWS, relation), reason, ROW_EXCLUSIVE)
        elif action == "CMD_UPDATE":
            changed = [target.name for target in clause.targetList]
            reason = f"Overwrites {listed(changed)} of {said(relation)} in rows that a MERGE picks."
            yield statement.loses("merge", loss_of(VALUES, relation, changed), reason, ROW_EXCLUSIVE)
        else:
            yield statement.does("merge", f"Adds rows to {said(relation)}.", said(relation), ROW_EXCLUSIVE)


def truncate(statement: Statement) -> Iterator[Operation]:
    cascades = statement.node.behavior.name == "DROP_CASCADE"
    more = " and every table that refers to it" if cascades else ""
    if cascades:
        reason = "Empties also the tables that refer to it, which only the database can name (CASCADE)."
        yield statement.does("truncate", reason, risk=UNKNOWN)
    for relation in statement.node.relations:
        statement.schema.names.spoil(key_of(relation))
        yield statement.loses("truncate", loss_of(ROWS, relation), f"Empties {said(relation)}{more}.", ACCESS_EXCLUSIVE)
        if statement.schema.certain:
            statement.schema.names.empty(key_of(relation))


def select(statement: Statement) -> Iterator[Operation]:
    """Reads, unless it makes a table (`INTO`) or calls a function for what that does."""
    node = statement.node
    if node.intoClause is not None:
        yield from _table_from(statement, node, node.intoClause.rel)
        return
    acting = list(calls(statement))
    yield from acting or [statement.does("select", "Reads from the database.")]


def calls(statement: Statement, node: Any = None) -> Iterator[Operation]:
    """The first function that `node`, or the whole statement, may call for what it does."""
    called = _Called()
    called(statement.node if node is None else node)
    for name in filter(acts, called.names):
        yield statement.does("select", f"Calls the function {name}, whose effect cannot be read.", risk=UNKNOWN)
        return


def table_as(statement: Statement) -> Iterator[Operation]:
    relation = statement.node.into.rel
    if statement.node.objtype.name == "OBJECT_MATVIEW":
        yield statement.does("create_view", f"Creates the materialized view {said(relation)}.", said(relation))
        return
    keeps = not statement.node.into.skipData and not statement.node.if_not_exists
    yield from _table_from(statement, statement.node.query, relation, keeps)


def _table_from(statement: Statement, query: Any, relation: Any, keeps: bool = True) -> Iterator[Operation]:
    """`keeps` says that the table is sure to be made, with the rows of the query."""
    yield from calls(statement)
    if keeps:
        statement.schema.create_table(key_of(relation))
        statement.schema.note_persistence(relation)
        _note_rows(statement, query, key_of(relation), [], None)
    yield statement.does("create_table", f"Creates {said(relation)} with rows of other tables.", said(relation))


def _is_bookkeeping(statement: Statement) -> bool:
    """Whether it is how Alembic writes down a revision.

    The column is compared with a text. In Alembic's own output, where no script has its own words for a statement, the table
    may have any name, which stands before the column.
    """
    where, relation = statement.node.whereClause, statement.node.relation
    if type(where).__name__ != "A_Expr" or type(where.rexpr).__name__ != "A_Const":
        return False
    column = _column(where.lexpr)
    named = [part for part in (relation.schemaname, relation.relname, _VERSION_COLUMN) if part]
    own = relation.relname == VERSION_TABLE or (not statement.kind and column == named)
    return own and column[-1:] == [_VERSION_COLUMN]


def _bookkeeping(statement: Statement) -> Operation:
    return statement.does("version", "Writes down the revision, as Alembic does after each step.", lock=ROW_EXCLUSIVE)


# Types as which every value can be read again.
_WHOLE = {"text", "varchar"}


class _Called(Visitor):
    """The functions that a statement calls, wherever they stand in it."""

    def __init__(self) -> None:
        super().__init__()
        self.names: List[str] = []

    def visit_FuncCall(self, ancestors: Any, node: Any) -> None:
        self.names.append(".".join(part.sval for part in node.funcname))


def _column(node: Any) -> List[str]:
    """The parts of a plain reference to a column; empty for anything else. A cast may have cut its values, unless it is to text."""
    while type(node).__name__ == "TypeCast" and not node.typeName.typmods and node.typeName.names[-1].sval in _WHOLE:
        node = node.arg
    if type(node).__name__ != "ColumnRef":
        return []
    return [getattr(part, "sval", "*") for part in node.fields]


def _conditions(where: Any) -> Sequence[Any]:
    """The parts of a condition that must all hold."""
    if where is None:
        return ()
    if type(where).__name__ == "BoolExpr" and where.boolop.name == "AND_EXPR":
        return tuple(part for arg in where.args for part in _conditions(arg))
    return (where,)


def _is_of(relation: Any, node: Any, column: str) -> bool:
    """Whether it is this column of the table, and not one of the same name in another."""
    found = _column(node)
    own = relation.alias.aliasname if relation.alias else relation.relname
    return found[-1:] == [column] and found[-2:-1] in ([], [own]) and MARK not in column


def _null_test(relation: Any, node: Any, kind: str, column: str) -> bool:
    """Whether this condition wants the column null (`IS_NULL`) or not (`IS_NOT_NULL`)."""
    return type(node).__name__ == "NullTest" and node.nulltesttype.name == kind and _is_of(relation, node.arg, column)


def _keeps(relation: Any, value: Any, column: str, where: Any) -> bool:
    """Whether an assignment leaves every value that is not null as it is."""
    if any(_null_test(relation, part, "IS_NULL", column) for part in _conditions(where)):
        return True
    if type(value).__name__ == "CoalesceExpr":
        value = value.args[0]
    return type(value).__name__ == "ColumnRef" and _is_of(relation, value, column)


def _note_copy(statement: Statement, table: Table, target: Any, where: Any) -> None:
    """`SET new = old` gives the old column a second home, if each of its values is copied."""
    source = _column(target.val)
    relation = statement.node.relation
    if not source or source[-1] == target.name or not _is_of(relation, target.val, source[-1]) or MARK in target.name:
        return
    if len(source) == 1 and statement.node.fromClause:
        return
    if not statement.schema.fits((table, source[-1]), (table, target.name)):
        return
    empty = (table, target.name) in statement.schema.hollow
    for part in _conditions(where):
        filled = empty and _null_test(relation, part, "IS_NULL", target.name)
        if not (filled or _null_test(relation, part, "IS_NOT_NULL", source[-1])):
            return
    statement.schema.names.copy_column(table, source[-1], table, target.name)


def _note_rows(statement: Statement, query: Any, to: Table, columns: Sequence[str], clause: Any) -> None:
    """`INSERT … SELECT` and `CREATE TABLE … AS` give rows, or the columns they read, a second home."""
    if type(query).__name__ != "SelectStmt" or query.op.name != "SETOP_NONE" or not query.fromClause:
        return
    if len(query.fromClause) != 1 or type(query.fromClause[0]).__name__ != "RangeVar":
        return
    if query.groupClause or query.distinctClause or query.limitCount or query.limitOffset or query.havingClause:
        return
    source, where = key_of(query.fromClause[0]), shape(query.whereClause)
    for part in clause.ctes if clause is not None else ():
        # WITH gone AS (DELETE … RETURNING *) INSERT … SELECT * FROM gone
        if part.ctename == source[1]:
            if where or type(part.ctequery).__name__ != "DeleteStmt":
                return
            source, where = key_of(part.ctequery.relation), shape(part.ctequery.whereClause)
    if to in statement.schema.temporary or MARK in f"{source}{where}{to}" or any(word in where for word in _VOLATILE):
        return
    read = [_column(target.val) for target in query.targetList]
    names = statement.schema.names
    some = {column[-1] for column in read if column}
    # Of a table whose columns are not all known, a list of columns is taken for all of them.
    plain = all(column or type(target.val).__name__ == "A_Const" for column, target in zip(read, query.targetList))
    every = statement.schema.columns(source) <= some if source in statement.schema.whole else bool(some) and plain
    homes = {column: column for column in statement.schema.columns(source)}
    for position, column in enumerate(read):
        if column and column[-1] != "*" and position < len(columns):
            homes[column[-1]] = columns[position]
    if not all(statement.schema.fits((source, column), (to, home)) for column, home in homes.items()):
        return
    if ["*"] in [column[-1:] for column in read] or every:
        names.copy_rows(source, where, to)
    if where:
        return
    for position, column in enumerate(read):
        if column and column[-1] != "*":
            names.copy_column(source, column[-1], to, columns[position] if position < len(columns) else column[-1])
