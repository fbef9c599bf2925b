"""What SQL does to a database, read with PostgreSQL's own parser and never run."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from pglast import parse_plpgsql, parse_sql
from pglast.parser import ParseError

from ansible.module_utils.rollback.migrations import sql_alter, sql_data
from ansible.module_utils.rollback.migrations.column_types import Type, read_type
from ansible.module_utils.rollback.migrations.operations import UNKNOWN, Operation
from ansible.module_utils.rollback.migrations.sql_objects import STATEMENTS, harmless
from ansible.module_utils.rollback.migrations.sql_statement import MARK, Schema, Statement

_STATEMENTS: Dict[str, Callable[[Statement], Iterator[Operation]]] = {
    **STATEMENTS,
    "UpdateStmt": sql_data.update,
    "DeleteStmt": sql_data.delete,
    "InsertStmt": sql_data.insert,
    "MergeStmt": sql_data.merge,
    "TruncateStmt": sql_data.truncate,
    "SelectStmt": sql_data.select,
    "CreateTableAsStmt": sql_data.table_as,
}
# `:name` as SQLAlchemy binds values, `%(name)s` as drivers do. Not `::type`, `12:30` or `a[1:2]`, and a backslash keeps it from being one.
_BOUND = re.compile(r"(?<![:\w\\]):(\w+)(?!:)|%\(\w+\)s")
# Values without a name, as drivers bind them. They are looked for only in what does not parse: in a string it may be a pattern.
_PLACEHOLDER = re.compile(r"%s")
# What stands before a statement and belongs to none.
_REMARKS = re.compile(r"\A(\s|--[^\n]*(\n|\Z)|/\*.*?\*/)+", re.DOTALL)


def judge_sql(text: str, path: str = "", line: int = 0) -> List[Operation]:
    """What each statement does, in order. `line` is where the text begins in `path`; lines count from 1 without it.

    What PostgreSQL's parser does not take is one operation of UNKNOWN risk.
    """
    return SqlReader().read(text, path, line)


class SqlReader:
    """Reads statements one after the other, and remembers what they have renamed, created and copied."""

    def __init__(self, schema: Optional[Schema] = None) -> None:
        self.schema = schema or Schema()

    def read(self, text: str, path: str = "", line: int = 0, kind: str = "") -> List[Operation]:
        """As `judge_sql`, on the schema that the statements before have left. `kind` is the script's word for it."""
        readable = _BOUND.sub(f"({MARK})", text).replace("\\:", ":")
        try:
            try:
                parsed = parse_sql(readable)
            except ParseError:
                parsed = parse_sql(readable := _PLACEHOLDER.sub(f"({MARK})", readable))
        except ParseError as error:
            reason = f"Runs SQL that PostgreSQL's parser does not take: {error.args[0]!s}."
            return [Operation(kind or "execute", UNKNOWN, reason, path, line, sql=text.strip())]
        found: List[Operation] = []
        for raw in parsed:
            start = raw.stmt_location or 0
            part = readable[start : start + raw.stmt_len if raw.stmt_len else None]
            own = _REMARKS.sub("", part)
            first = (line or 1) + readable.count("\n", 0, start + len(part) - len(own))
            found += self._statement(raw.stmt, own.strip(), path, first, kind)
        return found

    def _statement(self, node: Any, sql: str, path: str, line: int, kind: str) -> List[Operation]:
        found: List[Operation] = []
        clause = getattr(node, "withClause", None)
        if clause is not None:
            inner = [part.ctequery for part in clause.ctes if type(part.ctequery).__name__ != "SelectStmt"]
            if type(node).__name__ == "InsertStmt":
                # What it inserts may be what it has just deleted; so the copy is noted first.
                found += _STATEMENTS["InsertStmt"](Statement(node, sql, path, line, self.schema, kind))
                return found + [done for part in inner for done in self._statement(part, sql, path, line, kind)]
            found += [done for part in inner for done in self._statement(part, sql, path, line, kind)]
        name = type(node).__name__
        statement = Statement(node, sql, path, line, self.schema, kind)
        if name == "AlterTableStmt" and node.objtype.name == "OBJECT_TABLE":
            found += sql_alter.alter_table(statement)
        elif name == "AlterTableStmt" and node.objtype.name == "OBJECT_TYPE":
            found += sql_alter.alter_type(statement)
        elif name == "DoStmt":
            found += self._block(statement)
        else:
            found += _STATEMENTS.get(name, harmless)(statement)
        return found

    def _block(self, statement: Statement) -> Iterator[Operation]:
        """The statements of `DO $$ … $$`, whatever the conditions around them."""
        try:
            parsed = parse_plpgsql(statement.sql)
        except ParseError as error:
            yield statement.does("execute", f"Runs a DO block that cannot be read: {error.args[0]}.", risk=UNKNOWN)
            return
        before, self.schema.certain = self.schema.certain, False
        yield from self._parts_of(statement, parsed)
        self.schema.certain = before

    def _parts_of(self, statement: Statement, parsed: Any) -> Iterator[Operation]:
        for kind, body in _parts(parsed):
            line = statement.line + max(body.get("lineno", 1) - 1, 0)
            here = replace(statement, line=line)
            query = _query(body.get("sqlstmt") or body.get("expr") or body.get("query"))
            if kind == "PLpgSQL_stmt_raise" and body.get("elog_level", 21) >= 21:
                reason = f"Refuses on a condition of its own: {body.get('message', 'raises an exception')}."
                yield here.does("refuses", reason)
            elif kind in ("PLpgSQL_stmt_execsql", "PLpgSQL_stmt_perform"):
                yield from self.read(query, statement.path, line, statement.kind)
            elif kind == "PLpgSQL_stmt_dynexecute":
                yield from self._dynamic(here, query)
            elif kind == "PLpgSQL_stmt_call":
                yield here.does("execute", "Calls a procedure, whose effect cannot be read.", risk=UNKNOWN)

    def _dynamic(self, statement: Statement, query: str) -> Iterator[Operation]:
        """EXECUTE 'a string' within a DO block; what is put together from more than that cannot be read."""
        try:
            value = _first_target(f"SELECT {query}").val
        except (ParseError, IndexError):
            value = None
        text = getattr(getattr(value, "val", None), "sval", None)
        if text is None:
            reason = "Runs SQL that it puts together while it runs, which cannot be read."
            yield statement.does("execute", reason, risk=UNKNOWN)
            return
        yield from self.read(text, statement.path, statement.line, statement.kind)


def _parts(node: Any) -> Iterator[Tuple[str, Dict[str, Any]]]:
    """Every statement of a parsed block with its kind, in the order of the text."""
    if isinstance(node, list):
        for part in node:
            yield from _parts(part)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key.startswith("PLpgSQL_stmt_") and isinstance(value, dict):
                yield key, value
            yield from _parts(value)


def _query(expression: Any) -> str:
    return str(((expression or {}).get("PLpgSQL_expr") or {}).get("query", ""))


def parse_type(sql: str) -> Optional[Type]:
    """The type that such text stands for in PostgreSQL, None if it is none or holds what cannot be read."""
    try:
        node = _first_target(f"SELECT NULL::{sql}").val.typeName
    except (ParseError, AttributeError):
        return None
    found = read_type(node)
    return None if MARK in found.name else found


def _first_target(sql: str) -> Any:
    """What a SELECT without a table selects first."""
    statement: Any = parse_sql(sql)[0].stmt
    return statement.targetList[0]
