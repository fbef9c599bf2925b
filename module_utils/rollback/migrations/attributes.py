"""Attributes of the values that a migration script handles."""

from __future__ import annotations

from typing import Any, Callable

from ansible.module_utils.rollback.migrations import sqlalchemy_values
from ansible.module_utils.rollback.migrations.sql_statement import MARK
from ansible.module_utils.rollback.migrations.values import (
    UNKNOWN_VALUE,
    Class,
    Column,
    Columns,
    Connection,
    Context,
    Dialect,
    External,
    Function,
    Instance,
    Member,
    Metadata,
    Method,
    Module,
    Sql,
    SqlType,
    TableValue,
    Unknown,
    quoted,
)

DIALECT = "postgresql"
# How a name of a module is found.
Lookup = Callable[[Module, str], Any]


def attribute(owner: Any, name: str, lookup: Lookup) -> Any:
    """An attribute of a value; a Method where only a call of it could mean something."""
    if isinstance(owner, External):
        return External(f"{owner.path}.{name}")
    if isinstance(owner, Module):
        return lookup(owner, name)
    if isinstance(owner, (Connection, Context)):
        return _of_connection(owner, name)
    if isinstance(owner, Dialect):
        return DIALECT if name == "name" else Method(owner, name)
    if isinstance(owner, TableValue):
        parts = {"c": Columns(owner), "columns": Columns(owner), "name": owner.name, "schema": owner.schema}
        return parts.get(name, Method(owner, name))
    if isinstance(owner, Columns):
        return column_of(owner.table, name) if name not in ("keys", "values", "items", "get") else UNKNOWN_VALUE
    if isinstance(owner, (Column, Member)) and name in ("name", "value", "type"):
        return getattr(owner, name, UNKNOWN_VALUE)
    if isinstance(owner, SqlType) and name == "name":
        return owner.enum or UNKNOWN_VALUE
    if isinstance(owner, Sql) and name in ("name", "key") and owner.column:
        return owner.column
    if isinstance(owner, Class):
        return _of_class(owner, name)
    if isinstance(owner, Instance):
        found = owner.names.get(name, owner.of.find(name))
        return UNKNOWN_VALUE if found is None else Method(owner, name) if isinstance(found, Function) else found
    return Method(owner, name)


def _of_class(owner: Class, name: str) -> Any:
    if name == "__table__" and owner.find(name) is None:
        return sqlalchemy_values.table_of(owner)
    if name == "metadata" and owner.find(name) is None:
        return Metadata(whole=False)
    if name == "__name__":
        return owner.name
    found = owner.find(name)
    if isinstance(found, (Column, Unknown)) and owner.find("__tablename__") is not None and not name.startswith("_"):
        called = found.name if isinstance(found, Column) and isinstance(found.name, str) else name
        return column_of(sqlalchemy_values.table_of(owner), called)
    if found is not None and owner.is_enum and not isinstance(found, Function):
        return Member(name, found, owner.is_text)
    return Method(owner, name) if found is None or isinstance(found, Function) else found


def column_of(table: TableValue, name: Any) -> Sql:
    """A column of a table, as an expression."""
    known = isinstance(name, str)
    return Sql(f"{quoted(table.name)}.{quoted(name if known else MARK)}", name if known else MARK)


def _of_connection(owner: Any, name: str) -> Any:
    """The parts of a connection, engine or context lead to each other and to the dialect."""
    if name == "dialect":
        return Dialect()
    if name in ("engine", "bind", "connection", "sync_connection"):
        return Connection()
    if name == "name":
        return DIALECT
    if name == "as_sql":
        return False
    if name == "impl":
        return External("alembic.context.impl")
    if name in ("opts", "config", "url", "info"):
        return UNKNOWN_VALUE
    return Method(owner, name)
