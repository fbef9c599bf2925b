"""What calls in a migration script do: Alembic's operations, the connection, sessions, and the project's own helpers."""

from __future__ import annotations

import ast
import re
from abc import abstractmethod
from typing import Any, Dict, List, Optional, Sequence

from ansible.module_utils.rollback.migrations import alembic_operations, python_values, sqlalchemy_values
from ansible.module_utils.rollback.migrations.attributes import attribute
from ansible.module_utils.rollback.migrations.object_calls import ObjectCaller
from ansible.module_utils.rollback.migrations.sql_statement import MARK
from ansible.module_utils.rollback.migrations.values import (
    UNKNOWN_VALUE,
    Batch,
    Class,
    Connection,
    Context,
    External,
    Function,
    Instance,
    Metadata,
    Method,
    Query,
    Reflection,
    Session,
    Sql,
    SqlType,
    TableValue,
    Unknown,
    name_of,
)

# Of a connection: what runs a statement, and what only leads on to a connection again.
_RUNS = {"execute", "exec_driver_sql", "scalar", "scalars", "stream", "scalar_one", "scalar_one_or_none"}
_LEADS = {
    "connect",
    "begin",
    "begin_nested",
    "execution_options",
    "get_bind",
    "bind",
    "connection",
    "__enter__",
    "begin_transaction",
}
_COPIES = {"list", "tuple", "set", "dict", "sorted", "reversed", "enumerate", "zip", "iter"}
_ENDS = {"exit", "quit", "_exit"}
_SESSION = "sqlalchemy.orm.Session."
# Python's ways to run what it puts together, or to find a function by its name.
_HIDES = {"exec", "eval", "compile", "__import__", "globals", "locals", "vars"}
# What reaches the database without this connection, or calls what it is given at another time.
_REACHES_OUT = (
    "subprocess.",
    "os.system",
    "os.popen",
    "os.exec",
    "os.spawn",
    "alembic.command.",
    "threading.",
    "multiprocessing.",
)
# Libraries that are called for their own effect, which is not in the database.
_HARMLESS = {
    "abc", "argparse", "asyncio", "atexit", "builtins", "click", "collections", "contextlib", "copy", "csv", "datetime",
    "decimal", "enum", "functools", "gc", "hashlib", "inspect", "io", "itertools", "json", "locale", "logging", "loguru",
    "math", "operator", "os", "pathlib", "pprint", "random", "re", "rich", "secrets", "shutil", "signal", "statistics",
    "string", "structlog", "sys", "tempfile", "textwrap", "time", "traceback", "tqdm", "typer", "types", "typing", "uuid",
    "warnings", "zoneinfo",
}  # fmt: skip


_LOGS = re.compile(r"(^|[._])log(ger|ging)?\.(debug|info|warn(ing)?|error|exception|critical|log)$", re.IGNORECASE)


class Raised(Exception):
    """The script raises, whatever the database holds. `kind` is the operation that fails, or `raise`."""

    def __init__(self, reason: str, path: str, line: int, kind: str = "raise") -> None:
        super().__init__(reason)
        self.reason, self.path, self.line, self.kind = reason, path, line, kind


class Caller(ObjectCaller):
    """Calls. Statements are the interpreter's part."""

    # The call that is a statement by itself: made for its effect, since nobody takes its result.
    statement_call: Optional[ast.expr] = None

    @abstractmethod
    def run(self, function: Function, args: Sequence[Any], options: Dict[str, Any]) -> Any:
        """Part of what is built on this."""

    def call(self, function: Any, args: List[Any], options: Dict[str, Any], node: Optional[ast.Call]) -> Any:
        """The value of a call; what it does to the database goes to the recorder."""
        if (
            isinstance(function, (External, Method))
            and function.name == "Session"
            and _given_a_connection(args, options)
        ):
            return Session()  # Flask-SQLAlchemy's db.Session(bind=…), and whatever else makes one
        if isinstance(function, External):
            return self._external(function, args, options, node)
        if isinstance(function, Method):
            return self._method(function, args, options, node)
        if isinstance(function, Function):
            return self.run(function, args, options)
        if isinstance(function, Class):
            return self._object(function, args, options)
        if isinstance(function, Instance):
            return self._method(Method(function, "__call__"), args, options, node)
        if isinstance(function, (TableValue, SqlType, Sql)):
            return function
        self._handed("a function that cannot be found", args, options)
        return UNKNOWN_VALUE

    def _handed(self, to: str, args: Sequence[Any], options: Dict[str, Any]) -> None:
        """Whoever gets the connection may do anything with it, and whoever gets a function may call it, with anything."""
        for given in (*args, *options.values()):
            self.fetches(given)
            powerful = isinstance(given, (Connection, Session, Context, Batch))
            if powerful or (isinstance(given, External) and given.path == "alembic.op"):
                self.recorder.unread(f"Hands the connection to {to}")
                return
            if isinstance(given, External) and given.path.startswith("alembic.op."):
                self.recorder.unread(f"Hands op.{given.name} to {to}")
                return
            if isinstance(given, Function):
                self.perhaps(given)

    @abstractmethod
    def perhaps(self, function: Function) -> None:
        """A call that somebody else may make, with arguments that nobody here knows."""

    def _external(self, function: External, args: List[Any], options: Dict[str, Any], node: Optional[ast.Call]) -> Any:
        path = function.path
        if path.startswith("alembic.op."):
            return self._operation(function.name, args, options, node)
        if path.startswith("alembic.context.impl."):
            self.recorder.unread(f"Calls impl.{function.name}, below Alembic's operations")
            return UNKNOWN_VALUE
        if path.startswith("alembic.context."):
            return self._context(function.name, args, options, node)
        if path.startswith(_SESSION):  # of a sessionmaker, or of a scoped_session that stands for its session
            return self.session(Session(), function.name, args, options, node)
        if path.startswith("alembic.") and path.endswith((".Operations", ".Operations.context")):
            return External("alembic.op")
        if path.startswith("alembic.") and path.endswith(".MigrationContext.configure"):
            return Context()
        if path == "builtins.getattr" and len(args) > 1 and isinstance(args[1], str):
            return attribute(args[0], args[1], self.lookup)
        if path.startswith("builtins.") and any(id(arg) in self.open for arg in args) and function.name not in _COPIES:
            return UNKNOWN_VALUE
        if path.startswith("builtins.") and function.name not in _ENDS:
            return self._builtin(function.name, args, options)
        if function.name in _ENDS and path.split(".")[0] in ("builtins", "sys", "os"):
            raise Raised("Ends the program on purpose", self.recorder.path, self.recorder.line)
        found = sqlalchemy_values.call(path, args, options)
        if found is UNKNOWN_VALUE and path.startswith(_REACHES_OUT):
            self.recorder.unread(f"Calls {path}")
        elif found is UNKNOWN_VALUE and not path.startswith(("sqlalchemy", "alembic")):
            self._handed(path, args, options)
            harmless = path.split(".")[0] in _HARMLESS or _LOGS.search(path)
            if node is not None and node is self.statement_call and not harmless:
                self.recorder.unread(f"Calls {path} of another package")
        return found

    def _builtin(self, name: str, args: List[Any], options: Dict[str, Any]) -> Any:
        """A function of Python's own. What it calls by itself is called as often as it would."""
        if name in _HIDES:
            self.recorder.unread(f"Calls {name}()")
            return UNKNOWN_VALUE
        if name == "setattr" and args:
            self.changes(args[0])
        items = self.iterated(args[1]) if name in ("map", "filter") and len(args) == 2 else None
        if items is not None:
            results = [self.call(args[0], [item], {}, None) for item in items]
            return results if name == "map" else UNKNOWN_VALUE
        self._handed(name, args, options)
        return python_values.call_builtin(name, args, options)

    def _operation(self, name: str, args: List[Any], options: Dict[str, Any], node: Optional[ast.Call]) -> Any:
        """`op.<name>(…)`."""
        recorder = self.recorder
        if name in ("get_bind", "get_context"):
            return Connection() if name == "get_bind" else Context()
        if name in ("f", "inline_literal"):
            return args[0] if args else UNKNOWN_VALUE
        if name == "execute":
            return self.execute(args[0] if args else options.get("sqltext", UNKNOWN_VALUE), "execute", node)
        if name == "batch_alter_table":
            table = args[0] if args else options.get("table_name", UNKNOWN_VALUE)
            schema = args[1] if len(args) > 1 else options.get("schema")
            return Batch(table, schema, options.get("recreate") == "always")
        if name in alembic_operations.ENTITIES:
            recorder.note(name, "Creates, replaces or drops a view, a function or a trigger, which holds no data.")
            return UNKNOWN_VALUE
        if name == "sync_enum_values":
            reason = "Gives an enum other values, which fails if a row has one that is gone."
            recorder.note(name, reason)
            return UNKNOWN_VALUE
        if not alembic_operations.known(name):
            recorder.unread(f"Runs op.{name}, an operation that is not Alembic's own")
            return UNKNOWN_VALUE
        self._alembic(name, args, options)
        return TableValue(args[0], options.get("schema")) if name == "create_table" and args else UNKNOWN_VALUE

    def _alembic(self, name: str, args: List[Any], options: Dict[str, Any], batch: Optional[Batch] = None) -> None:
        """An operation of Alembic's own, on a table of its own or on that of a batch."""
        recorder = self.recorder
        if name == "alter_column" and options.get("existing_type") is not None:
            table, column = (
                (batch.table, args[:1]) if batch else (args[0] if args else options.get("table_name"), args[1:2])
            )
            known = sqlalchemy_values.type_of(options["existing_type"]).sql
            schema = batch.schema if batch else options.get("schema")
            where = column[0] if column else options.get("column_name")
            if isinstance(table, str) and isinstance(where, str):
                recorder.type_before(schema if isinstance(schema, str) else None, table, where, known)
        if name == "alter_column" and options.get("type_") is not None:
            options = {**options, "type_": sqlalchemy_values.type_of(options["type_"])}
        try:
            statements = alembic_operations.sql_of(name, args, options, batch)
        except alembic_operations.NeverRuns as error:
            raise Raised(f"Can never run: {error}", recorder.path, recorder.line, name) from error
        for statement in statements:
            recorder.sql(statement, name)

    def _context(self, name: str, args: List[Any], options: Dict[str, Any], node: Optional[ast.Call]) -> Any:
        """`alembic.context`, as it is within a run that is connected to PostgreSQL."""
        if name == "is_offline_mode":
            return False
        if name in ("get_bind", "get_context"):
            return Connection() if name == "get_bind" else Context()
        if name == "execute":
            return self.execute(args[0] if args else UNKNOWN_VALUE, "execute", node)
        return UNKNOWN_VALUE

    def execute(self, what: Any, kind: str, node: Optional[ast.Call]) -> Any:
        """A statement, as text or built by SQLAlchemy."""
        if isinstance(what, (list, tuple)) and what:
            for part in what:
                self.execute(part, kind, None)
        elif isinstance(what, Query):
            for called in what.calls:
                self.recorder.sql(f"SELECT {called}", kind)
            if what.kind not in ("select", "orm"):
                self.recorder.sql(what.sql, kind)
        elif isinstance(what, (str, Sql)):
            text = what if isinstance(what, str) else what.text
            if text == MARK:
                self.recorder.unread("Runs SQL that it puts together while it runs")
            elif text.strip():
                self.recorder.sql(text, kind, _where(node, text))
        elif not isinstance(what, (External, Unknown)) or what is UNKNOWN_VALUE:
            self.recorder.unread("Runs SQL that it puts together while it runs")
        return UNKNOWN_VALUE

    def _method(self, method: Method, args: List[Any], options: Dict[str, Any], node: Optional[ast.Call]) -> Any:
        owner, name = method.owner, method.name
        if isinstance(owner, Batch):
            return self._in_batch(owner, name, args, options, node)
        if isinstance(owner, Connection):
            return self._connection(name, args, options, node)
        if isinstance(owner, Context):
            return self._of_context(name, args, node)
        if isinstance(owner, Session):
            return self.session(owner, name, args, options, node)
        if isinstance(owner, Query):
            return self.query(owner, name, args, options)
        if isinstance(owner, TableValue):
            return self.table(owner, name, args, options)
        if isinstance(owner, SqlType):
            return self.type(owner, name, args)
        if isinstance(owner, Sql):
            return sqlalchemy_values.sql_method(owner, name, args)
        if isinstance(owner, Reflection):
            return UNKNOWN_VALUE
        if name in ("drop_all", "create_all"):
            return self.all_tables(owner, name, options)
        if isinstance(owner, Metadata):
            # It reflects the database, or looks into itself.
            return UNKNOWN_VALUE
        if isinstance(owner, (Instance, Class)):
            kind = owner.of if isinstance(owner, Instance) else owner
            function = kind.find(name)
            if isinstance(function, Function):
                return self.run(function, [*_bound_to(function, owner, kind), *args], options)
            self._handed(f"{kind.name}.{name}", args, options)
            return UNKNOWN_VALUE
        if isinstance(owner, (Unknown, Method)):
            if (
                name in ("execute", "executemany", "exec_driver_sql")
                and args
                and isinstance(args[0], (str, Sql, Query))
            ):
                return self.execute(args[0], "execute", node)  # a connection of its own
            self._handed(f"a method named {name}", args, options)
            return UNKNOWN_VALUE
        changes = name in python_values.CHANGING and isinstance(owner, (list, dict, set))
        if changes and (self.uncertain or not all(map(python_values.readable, args))):
            self.open[id(owner)] = owner
        return python_values.call_method(owner, name, args, options)

    def _in_batch(
        self, batch: Batch, name: str, args: List[Any], options: Dict[str, Any], node: Optional[ast.Call]
    ) -> Any:
        if name in ("f", "get_bind", "get_context", "execute", "inline_literal"):
            return self._operation(name, args, options, node)
        if name in ("create_table_comment", "drop_table_comment") or alembic_operations.known(name):
            self._alembic(name, args, options, batch)
        else:
            self.recorder.unread(f"Runs {name} on {name_of(batch.table)}, an operation that is not Alembic's own")
        return UNKNOWN_VALUE

    def _connection(self, name: str, args: List[Any], options: Dict[str, Any], node: Optional[ast.Call]) -> Any:
        if name in _RUNS:
            return self.execute(args[0] if args else options.get("statement", UNKNOWN_VALUE), "execute", node)
        if name in _LEADS:
            return Connection()
        if name == "commit":
            reason = "Commits by itself: what was done so far stays done even if a later step fails."
            self.recorder.note("commit", reason, transactional=False)
        if name in ("run_callable", "run_sync") and args:
            return self.call(args[0], [Connection(), *args[1:]], options, None)
        if name in ("cursor", "raw_connection"):
            return Session()
        return UNKNOWN_VALUE

    def _of_context(self, name: str, args: List[Any], node: Optional[ast.Call]) -> Any:
        if name in ("begin_transaction", "autocommit_block"):
            return External(f"alembic.context.{name}")
        if name == "execute":
            return self.execute(args[0] if args else UNKNOWN_VALUE, "execute", node)
        return UNKNOWN_VALUE

    def _object(self, kind: Class, args: List[Any], options: Dict[str, Any]) -> Any:
        """A column type of the project, or an object whose constructor is followed."""
        if kind.is_type:
            return sqlalchemy_values.decorated(kind, args, options)
        made = Instance(kind)
        start = kind.find("__init__")
        if isinstance(start, Function):
            with self.recorder.without_refusals():
                self.run(start, [made, *args], options)
        elif not kind.find("__tablename__"):
            self._handed(kind.name, args, options)
        return made


def _bound_to(function: Function, owner: Any, kind: Class) -> List[Any]:
    """What a method gets before its arguments: the object, its class, or nothing."""
    if function.decorated("classmethod"):
        return [kind]
    return [] if owner is kind or function.decorated("staticmethod") else [owner]


def _given_a_connection(args: Sequence[Any], options: Dict[str, Any]) -> bool:
    return any(isinstance(given, Connection) for given in (*args, *options.values()))


def _where(node: Optional[ast.Call], text: str) -> Optional[int]:
    """The line on which SQL begins that stands in the call as it is, None for what is put together elsewhere."""
    for part in ast.walk(node) if node is not None else ():
        if isinstance(part, ast.Constant) and part.value == text:
            return int(part.lineno)
    return None
