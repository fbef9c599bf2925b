"""What the methods of sessions, queries, tables, metadata and types do to the database."""

from __future__ import annotations

import ast
from abc import abstractmethod
from typing import Any, Dict, List, Optional

from ansible.module_utils.rollback.migrations import sqlalchemy_values
from ansible.module_utils.rollback.migrations.evaluator import Evaluator
from ansible.module_utils.rollback.migrations.modules import Modules
from ansible.module_utils.rollback.migrations.recorder import Recorder
from ansible.module_utils.rollback.migrations.sql_statement import MARK
from ansible.module_utils.rollback.migrations.values import (
    UNKNOWN_VALUE,
    Class,
    Connection,
    Instance,
    Metadata,
    Method,
    Query,
    Session,
    SqlType,
    TableValue,
    Unknown,
    literal,
    name_of,
    qualified,
    quoted,
)

_WRITES = {"bulk_update_mappings", "bulk_save_objects", "merge", "delete", "add_all", "add"}
_FETCHES = {"get", "scalars", "refresh", "get_one"}


class ObjectCaller(Evaluator):
    """Methods of SQLAlchemy's objects. Which object a call is of, the caller built on this decides."""

    def __init__(self, modules: Modules, recorder: Recorder) -> None:
        super().__init__(modules, recorder)
        # Whether a session is in use, and whether it has fetched objects, whose changes its commit would write.
        self._in_session = self._fetched = False

    @abstractmethod
    def execute(self, what: Any, kind: str, node: Optional[ast.Call]) -> Any:
        """Part of what is built on this."""

    def session(
        self, owner: Session, name: str, args: List[Any], options: Dict[str, Any], node: Optional[ast.Call]
    ) -> Any:
        """Objects that a session has fetched change out of sight; those it adds are only added."""
        self._in_session = True
        if name in ("execute", "scalar", "executemany", "exec_driver_sql", "exec", "copy_expert", "copy"):
            return self.execute(args[0] if args else options.get("statement", UNKNOWN_VALUE), "execute", node)
        if name == "scalars" and args:
            self.execute(args[0], "execute", node)
        if name in ("callproc", "copy_from", "run_sync"):
            self.recorder.unread(f"Calls {name} on the connection")
        if name == "query":
            table = sqlalchemy_values.table_of(args[0]) if args else TableValue(UNKNOWN_VALUE)
            return Query("orm", table)
        if name in _FETCHES:
            self._fetched = True
        elif name in ("bulk_insert_mappings", "add") and args:
            model = args[0].of if isinstance(args[0], Instance) else args[0]
            row = sqlalchemy_values.row_values(model) if isinstance(model, Class) else None
            if row is not None:
                self.recorder.sql(row[0], "execute")
            else:
                self.recorder.unread("Writes objects through a session")
        elif name in _WRITES:
            model = args[0] if args and isinstance(args[0], Class) else None
            of = f" of {name_of(sqlalchemy_values.table_of(model).name)}" if model else ""
            self.recorder.unread(f"Writes objects{of} through a session")
        elif name in ("commit", "flush") and self._fetched:
            self.recorder.unread("Writes the objects that it has fetched through a session")
        elif name in ("connection", "get_bind"):
            return Connection()
        return owner if name in ("begin", "__enter__", "begin_nested") else UNKNOWN_VALUE

    def iterated(self, value: Any) -> Optional[List[Any]]:
        self.fetches(value)
        return super().iterated(value)

    def fetches(self, value: Any) -> None:
        """An ORM query that is gone over, by a loop or by whoever it is handed to."""
        self._fetched = self._fetched or (isinstance(value, Query) and value.kind == "orm")

    def changes(self, owner: Any) -> None:
        """An attribute of `owner` is set: that of an object which a session has fetched is written sooner or later."""
        if self._in_session and isinstance(owner, (Unknown, Method)):
            self.recorder.unread("Writes the objects that it has fetched through a session")

    def query(self, query: Query, name: str, args: List[Any], options: Dict[str, Any]) -> Any:
        """Builds on; an ORM query also runs, where it deletes, updates or fetches."""
        if query.kind == "orm" and name in ("delete", "update"):
            done = sqlalchemy_values.query_method(query, name, args, options)
            self.recorder.sql(Query(name, done.table, done.sets, done.conditions).sql, "execute")
            return UNKNOWN_VALUE
        if query.kind == "orm" and name in ("all", "first", "one", "one_or_none", "yield_per", "get", "scalar"):
            self._fetched = self._fetched or name != "scalar"
            return UNKNOWN_VALUE
        if name == "cte" and query.kind in ("delete", "update", "insert"):
            self.execute(query, "execute", None)  # it runs with whatever it becomes a part of
        return sqlalchemy_values.query_method(query, name, args, options)

    def table(self, table: TableValue, name: str, args: List[Any], options: Dict[str, Any]) -> Any:
        if name in ("update", "delete", "insert", "select"):
            query = Query(name, table)
            return query.values(options["values"]) if isinstance(options.get("values"), dict) else query
        if name == "drop":
            self.recorder.sql(f"DROP {table.kind} {table.sql}", "drop_table" if table.kind == "TABLE" else "execute")
        elif name == "create" and table.kind == "INDEX":
            self.recorder.note("create_index", f"Creates the index {name_of(table.name)}.")
        elif name == "create":
            made = f"CREATE TABLE {table.sql} ()" if table.kind == "TABLE" else f"CREATE {table.kind} {table.sql}"
            self.recorder.sql(made, "create_table" if table.kind == "TABLE" else "execute")
        elif name == "alias":
            return table
        return UNKNOWN_VALUE

    def all_tables(self, owner: Any, name: str, options: Dict[str, Any]) -> Any:
        """`metadata.drop_all(bind)`: the tables it is told, or all that it has, as far as these are known."""
        told = options.get("tables")
        tables = (
            told
            if isinstance(told, (list, tuple))
            else owner.tables
            if isinstance(owner, Metadata) and owner.whole
            else None
        )
        if name == "create_all":
            self.recorder.note(name, "Creates tables that are missing.")
        elif tables:
            for table in tables:
                self.recorder.sql(f"DROP TABLE {sqlalchemy_values.table_of(table).sql}", name)
        else:
            self.recorder.unread("Drops every table that the application's models name")
        return UNKNOWN_VALUE

    def type(self, kind: SqlType, name: str, args: List[Any]) -> Any:
        """An enum is created and dropped by itself; any type may have another one for PostgreSQL."""
        if name == "with_variant":
            return sqlalchemy_values.type_of(args[0]) if "postgresql" in args[1:] else kind
        if name in ("drop", "create") and kind.enum:
            called = qualified(kind.enum, kind.schema or None)
            labels = ", ".join(map(literal, kind.labels))
            made = f"DROP TYPE {called}" if name == "drop" else f"CREATE TYPE {called} AS ENUM ({labels})"
            self.recorder.sql(made, f"{name}_type")
        elif name == "drop":
            self.recorder.note(
                "drop_type", f"Drops a type without a name, {quoted(MARK)}.".replace(quoted(MARK), "which does nothing")
            )
        return kind if name not in ("drop", "create") else UNKNOWN_VALUE
