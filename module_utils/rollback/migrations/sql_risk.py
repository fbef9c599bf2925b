"""What SQL does to a database, read with PostgreSQL's own parser and never run."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from pglast import parse_plpgsql, parse_sql
from pglast.parser import ParseError

from ansible.module_utils.rollback.migrations import sql_alter, sql_data
from ansible.module_utils.rollback.migrations.column_types import Type, read_type
from ansible.module_utils.rollback.migrations.operations import IRREVERSIBLE, UNKNOWN, Operation
from ansible.module_utils.rollback.migrations.sql_objects import STATEMENTS, anything
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
        inside = _inside(node)
        if inside is not None:
            return found + self._statement(inside, sql, path, line, kind)
        statement = Statement(node, sql, path, line, self.schema, kind)
        if name == "AlterTableStmt" and node.objtype.name == "OBJECT_TABLE":
            found += sql_alter.alter_table(statement)
        elif name == "AlterTableStmt" and node.objtype.name == "OBJECT_TYPE":
            found += sql_alter.alter_type(statement)
        elif name == "DoStmt":
            found += self._block(statement)
        else:
            found += _STATEMENTS.get(name, anything)(statement)
        return found

    def _block(self, statement: Statement) -> Iterator[Operation]:
        """The statements of `DO $$ … $$`, whatever the conditions around them."""
        languages = [option.arg.sval for option in statement.node.args if option.defname == "language"]
        if languages[:1] not in ([], ["plpgsql"]):
            yield statement.does("execute", f"Runs a DO block in {languages[0]}, which cannot be read.", risk=UNKNOWN)
            return
        try:
            parsed = parse_plpgsql(statement.sql)
        except ParseError as error:
            yield statement.does("execute", f"Runs a DO block that cannot be read: {error.args[0]}.", risk=UNKNOWN)
            return
        before, self.schema.certain = self.schema.certain, False
        with self.schema.names.perhaps():
            yield from self._parts_of(statement, parsed, _always(parsed) if before else [])
        self.schema.certain = before

    def _parts_of(self, statement: Statement, parsed: Any, always: List[Any]) -> Iterator[Operation]:
        """`always` are the parts that run in any case."""
        for kind, body, number in _parts(parsed):
            here = replace(statement, line=statement.line + number - 1)
            if kind == "PLpgSQL_stmt_raise" and body.get("elog_level", 21) >= 21:
                said = body.get("message", "raises an exception")
                if any(body is part for part in always):
                    yield here.does("raise", f"Raises an exception, always: {said}.", risk=IRREVERSIBLE)
                else:
                    yield here.does("refuses", f"Refuses on a condition of its own: {said}.")
            elif kind in _DYNAMIC:
                yield from self._dynamic(here, _query(body.get("dynquery") or body.get("query")))
            elif kind == "PLpgSQL_stmt_call":
                yield here.does("execute", "Calls a procedure, whose effect cannot be read.", risk=UNKNOWN)
            elif kind == "PLpgSQL_expr" and body.get("parseMode") == _STATEMENT:
                yield from self.read(body.get("query", ""), statement.path, here.line, statement.kind)
            elif kind == "PLpgSQL_expr":
                yield from self._expression(here, body.get("query", ""))

    def _expression(self, statement: Statement, text: str) -> Iterator[Operation]:
        """What is computed in a DO block: a condition, a value that is assigned. It may call functions."""
        try:
            node = parse_sql(f"SELECT {_ASSIGNED.sub('', text)}")[0].stmt
        except ParseError:
            yield statement.does("execute", "Computes something in a DO block that cannot be read.", risk=UNKNOWN)
            return
        yield from sql_data.calls(statement, node)

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


# Parts of a DO block that run a text which is put together.
_DYNAMIC = {"PLpgSQL_stmt_dynexecute", "PLpgSQL_stmt_dynfors", "PLpgSQL_stmt_open"}
# What PostgreSQL takes the text of an expression for, beside a value or an assignment.
_STATEMENT = 0
# What an assignment assigns to stands in its text.
_ASSIGNED = re.compile(r"\A\s*[\w.\"\[\]]+\s*:?=(?!=)")


def _parts(node: Any, line: int = 1) -> Iterator[Tuple[str, Dict[str, Any], int]]:
    """Every statement and expression of a parsed block with its kind and line, in the order of the text."""
    if isinstance(node, list):
        for part in node:
            yield from _parts(part, line)
    elif isinstance(node, dict):
        for key, value in node.items():
            if not key.startswith(("PLpgSQL_stmt_", "PLpgSQL_expr")) or not isinstance(value, dict):
                yield from _parts(value, line)
                continue
            number = max(value.get("lineno", line), 1)
            static = key == "PLpgSQL_stmt_open" and "dynquery" not in value
            if not static:
                yield key, value, number
            # The text of what has been told as a whole is no expression besides.
            told = ["query", "dynquery"] if key in _DYNAMIC and not static else []
            told += ["expr"] if key == "PLpgSQL_stmt_call" else []
            yield from _parts({name: part for name, part in value.items() if name not in told}, number)


def _always(parsed: Any) -> List[Any]:
    """What a parsed block runs in any case, unless something before it raises."""
    block = parsed[0]["PLpgSQL_function"]["action"]["PLpgSQL_stmt_block"]
    if "exceptions" in block:
        return []
    found = [value for part in block.get("body", ()) for value in part.values()]
    leaving = [place for place, part in enumerate(block.get("body", ())) if "PLpgSQL_stmt_return" in part]
    return found[: leaving[0]] if leaving else found


def _inside(node: Any) -> Any:
    """The statement that another one runs, or only prepares for running; None if there is none."""
    name = type(node).__name__
    if name == "ExplainStmt":
        return node.query if any(option.defname == "analyze" for option in node.options or ()) else None
    return node.query if name in ("CopyStmt", "PrepareStmt", "DeclareCursorStmt") else None


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
