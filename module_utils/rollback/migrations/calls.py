"""What calls in a migration script do: Alembic's operations, the connection, sessions, and the project's own helpers."""

from __future__ import annotations

import ast
import re
from abc import abstractmethod
from typing import Any, Dict, List, Optional, Sequence

from ansible.module_utils.rollback.migrations import alembic_operations, python_values, sqlalchemy_values
from ansible.module_utils.rollback.migrations.attributes import attribute
from ansible.module_utils.rollback.migrations.evaluator import derived, harmless
from ansible.module_utils.rollback.migrations.object_calls import ObjectCaller
from ansible.module_utils.rollback.migrations.reach import file_named
from ansible.module_utils.rollback.migrations.sql_statement import MARK
from ansible.module_utils.rollback.migrations.sqlalchemy_values import REST
from ansible.module_utils.rollback.migrations.values import (
    HARMLESS_VALUE,
    UNKNOWN_VALUE,
    Batch,
    Class,
    Column,
    Connection,
    Context,
    Dialect,
    External,
    Function,
    Instance,
    Items,
    Metadata,
    Method,
    Module,
    Parent,
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
_COPIES = {"list", "tuple", "set", "frozenset", "dict", "sorted", "reversed", "enumerate", "zip"}
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
    "concurrent.",
    "runpy.",
    "ctypes.",
    "pty.",
    "os.posix_spawn",
    "asyncio.create_subprocess",
)
# Functions of Python's own that change what they are given.
_SHUFFLING = ("random.shuffle", "heapq.", "bisect.insort", "operator.")
# Context managers of contextlib's that may keep an error from going on.
SUPPRESSING = ("suppress", "ExitStack", "AsyncExitStack")
# Decorators by which a function is called when something happens.
HOOKS = ("listens_for", "register", "listen")
# Methods of something unknown that do not reach a database: those of lists, loggers and files, and what Python calls itself.
_QUIET = re.compile(
    r"__\w+__|append|extend|sort|reverse|setdefault|pop|popitem|debug|info|warn(ing)?|error|exception|critical|log|print"
    r"|echo|close|fetch(all|one|many)|set_description"
)
# Methods of a connection or session that read, or steer a transaction.
_STEERING = {
    "close", "commit", "rollback", "flush", "begin", "begin_nested", "expire", "expire_all", "expunge", "expunge_all",
    "refresh", "detach", "invalidate", "dispose", "in_transaction", "in_nested_transaction", "get_isolation_level",
    "set_isolation_level", "get_execution_options", "prepare", "enable_relationship_loading", "fetchall", "fetchone",
    "fetchmany", "mogrify", "get_transaction", "get_nested_transaction", "has_table", "configure", "get_x_argument", "remove",
    "is_transactional_ddl", "add", "get", "set", "info", "all",
}  # fmt: skip


_LOGS = re.compile(r"(^|[._])log(ger|ging)?\.(debug|info|warn(ing)?|error|exception|critical|log)$", re.IGNORECASE)


class Raised(Exception):
    """The script raises, whatever the database holds.

    `kind` is the operation that fails, or `raise`; `error` the name of the exception, empty where it is not known.
    """

    def __init__(self, reason: str, path: str, line: int, kind: str = "raise", error: str = "") -> None:
        super().__init__(reason)
        self.reason, self.path, self.line, self.kind, self.error = reason, path, line, kind, error


class Caller(ObjectCaller):
    """Calls. Statements are the interpreter's part."""

    # The calls of a statement that is nothing but calls: made for their effect, since their results go nowhere.
    effects: Sequence[ast.AST] = ()
    # The file of the migration itself.
    home = ""

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
        self._may_change(function, args, options)
        if self._is_effect(node) and not harmless(function):
            self.recorder.unread("Calls a function that cannot be found")
        return derived(function)

    def _may_change(self, function: Any, args: Sequence[Any], options: Dict[str, Any]) -> None:
        """Whatever is called without being read may change the lists and such that it gets."""
        path = function.path if isinstance(function, External) else ""
        if path.startswith(_SHUFFLING) or not (harmless(function) or _LOGS.search(path)):
            for given in (*args, *options.values()):
                self.opened(given)

    def _is_effect(self, node: Optional[ast.Call]) -> bool:
        return node is not None and any(node is effect for effect in self.effects)

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
            elif isinstance(given, Method) and isinstance(given.owner, (Connection, Session, Context, Batch)):
                self.recorder.unread(f"Hands {given.name} of the connection to {to}")
            elif isinstance(given, Method) and isinstance(given.owner, (Instance, Class)):
                kind = given.owner.of if isinstance(given.owner, Instance) else given.owner
                function = kind.find(given.name)
                if isinstance(function, Function) and function.scope.module.path == self.home:
                    self.perhaps(function)
            elif isinstance(given, (list, tuple)):
                self._handed(to, given, {})

    @abstractmethod
    def perhaps(self, function: Function) -> None:
        """A call that somebody else may make, with arguments that nobody here knows."""

    @abstractmethod
    def parent(self, args: Sequence[Any]) -> Any:
        """What `super(*args)` is in the function that is running."""

    def _external(self, function: External, args: List[Any], options: Dict[str, Any], node: Optional[ast.Call]) -> Any:
        path = function.path
        if path == "alembic.util.err":
            raise Raised("Raises CommandError", self.recorder.path, self.recorder.line)
        if path.startswith("contextlib.") and function.name in SUPPRESSING:
            return function
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
        if path == "typing.cast" and len(args) == 2:
            return args[1]
        if path == "builtins.super":
            return self.parent(args)
        if path == "importlib.import_module" and args and self.settled(args[0]):
            return self.loaded(str(args[0]))
        if path == "importlib.util.spec_from_file_location" and node is not None:
            return self.loaded_from(file_named(node))
        if path == "importlib.util.module_from_spec" and args and isinstance(args[0], Module):
            return args[0]
        if function.name == "exec_module" and len(args) == 1 and isinstance(args[0], Module):
            return None
        if path.startswith("builtins.") and function.name not in _ENDS:
            found = self._builtin(function.name, args, options)
            return derived(function) if found is UNKNOWN_VALUE else found
        if function.name in _ENDS and path.split(".")[0] in ("builtins", "sys", "os"):
            raise Raised("Ends the program on purpose", self.recorder.path, self.recorder.line, error="SystemExit")
        try:
            found = sqlalchemy_values.call(path, args, options)
        except sqlalchemy_values.NeverMade as error:
            raise Raised(f"Can never run: {error}", self.recorder.path, self.recorder.line) from error
        if found is UNKNOWN_VALUE and path.startswith(_REACHES_OUT):
            self.recorder.unread(f"Calls {path}")
        elif found is UNKNOWN_VALUE and _is_run(function.name, args):
            return self.execute(args[0], "execute", node)  # db.session.execute, whatever db is
        elif found is UNKNOWN_VALUE and not path.startswith(("sqlalchemy", "alembic")):
            self._handed(path, args, options)
            self._may_change(function, args, options)
            quiet = harmless(function) or _LOGS.search(path)
            if self._is_effect(node) and not quiet:
                self.recorder.unread(f"Calls {path} of another package")
            return HARMLESS_VALUE if quiet else found
        return found

    @abstractmethod
    def loaded(self, name: str) -> Any:
        """The module that `import_module` yields."""

    @abstractmethod
    def loaded_from(self, file: str) -> Any:
        """The module in a file that is named relative to that of the running code."""

    def _builtin(self, name: str, args: List[Any], options: Dict[str, Any]) -> Any:
        """A function of Python's own. What it calls by itself is called as often as it would."""
        if name in _HIDES:
            self.recorder.unread(f"Calls {name}()")
            return UNKNOWN_VALUE
        if name == "setattr" and len(args) > 2 and isinstance(args[0], Instance):
            certain = isinstance(args[1], str) and self.settled(args[1]) and not self.uncertain
            for attribute_name in [args[1]] if isinstance(args[1], str) else list(args[0].names):
                args[0].names[attribute_name] = args[2] if certain else UNKNOWN_VALUE
        elif name == "setattr" and args:
            self.changes(args[0])
        items = self.iterated(args[1]) if name in ("map", "filter") and len(args) == 2 else None
        if items is not None and id(args[1]) not in self.open:
            results = [self.call(args[0], [item], {}, None) for item in items]
            if name == "filter":
                return UNKNOWN_VALUE
            return results or self.opened(results)
        if items is not None:
            with self.perhaps_done():
                results = [self.call(args[0], [item], {}, None) for item in items]
            return self.opened(results) if name == "map" else UNKNOWN_VALUE
        self._handed(name, args, options)
        if name == "bool" and len(args) == 1:
            known = self.held(args[0])
            return UNKNOWN_VALUE if known is None else known
        if REST in options:
            return UNKNOWN_VALUE
        if name not in _COPIES:
            return python_values.call_builtin(name, list(map(self.closed, args)), options, self.settled)
        found = python_values.call_builtin(name, args, options, self.settled)
        unordered = any(isinstance(arg, Items) and len(arg) > 1 for arg in args) and name not in (
            "sorted",
            "set",
            "frozenset",
        )
        partly = any(id(arg) in self.open for arg in args) or (
            name in ("set", "frozenset", "dict")
            and not isinstance(found, Unknown)
            and not all(map(self.settled, found))
        )
        # What only yields is true in Python even where it yields nothing.
        hollow = name in ("enumerate", "zip", "reversed") and found == []
        return self.opened(found) if partly or unordered or hollow else found

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
            kind = sqlalchemy_values.type_of(options["existing_type"])
            recorder.enum_before(kind)
            known = kind.sql
            schema = batch.schema if batch else options.get("schema")
            where = column[0] if column else options.get("column_name")
            if isinstance(table, str) and isinstance(where, str):
                recorder.type_before(schema if isinstance(schema, str) else None, table, where, known)
        if name == "alter_column" and options.get("type_") is not None:
            options = {**options, "type_": sqlalchemy_values.type_of(options["type_"])}
            recorder.enum_before(options["type_"])
        for part in args:
            if isinstance(part, Column) and part.type is not None:
                recorder.enum_before(sqlalchemy_values.type_of(part.type))
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
        if name == "begin_transaction":
            return Connection()
        if name == "execute":
            return self.execute(args[0] if args else UNKNOWN_VALUE, "execute", node)
        if self._is_effect(node) and name not in _STEERING:
            self.recorder.unread(f"Calls context.{name}")
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
        elif not (isinstance(what, External) and what.path.startswith(("sqlalchemy.", "alembic."))):
            self.recorder.unread("Runs SQL that it puts together while it runs")
        return HARMLESS_VALUE

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
        if isinstance(owner, (Query, Sql)) and name == "execute":
            return self.execute(owner, "execute", node)  # on the engine that its metadata is bound to
        if isinstance(owner, Query):
            return self.query(owner, name, args, options)
        if isinstance(owner, TableValue):
            return self.table(owner, name, args, options)
        if isinstance(owner, SqlType):
            return self.type(owner, name, args)
        if isinstance(owner, Sql):
            return sqlalchemy_values.sql_method(owner, name, args)
        if isinstance(owner, Reflection):
            return HARMLESS_VALUE
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
            if self._is_effect(node) and not _QUIET.fullmatch(name):
                self.recorder.unread(f"Calls {kind.name}.{name}, which cannot be found")
            return UNKNOWN_VALUE
        if isinstance(owner, Parent):
            function, below = owner.find(name), owner.owner
            if isinstance(function, Function):
                kind = below.of if isinstance(below, Instance) else below
                return self.run(function, [*_bound_to(function, below, kind), *args], options)
            self._handed(f"super().{name}", args, options)
            return UNKNOWN_VALUE
        if isinstance(owner, Dialect) and name.startswith(("has_", "get_")):
            return HARMLESS_VALUE  # it reads the catalogue
        if isinstance(owner, (Unknown, Method, Dialect)):
            if _is_run(name, args):
                return self.execute(args[0], "execute", node)  # a connection of its own
            self._handed(f"a method named {name}", args, options)
            self._may_change(owner, args, options)
            asked = self._is_effect(node) or name in ("delete", "update", "purge", "truncate")
            if asked and not harmless(owner) and not _QUIET.fullmatch(name):
                self.recorder.unread(f"Calls a method named {name} of something that only the running migration knows")
            return derived(owner)
        return self._of_python(owner, name, args, options)

    def _of_python(self, owner: Any, name: str, args: List[Any], options: Dict[str, Any]) -> Any:
        """A method of a plain value. A list, set or dict that changes in a way that is not known is open from then on."""
        if isinstance(owner, str):
            return python_values.call_method(owner, name, list(map(self.closed, args)), options, self.settled)
        if isinstance(owner, Items) and name in ("intersection", "difference") and not all(map(self.settled, args)):
            return self.opened(Items(owner))
        partly = id(owner) in self.open or REST in options
        if name in python_values.CHANGING and isinstance(owner, (list, dict)):
            given = [*args, *options.values()]
            unclear = any(id(arg) in self.open or not python_values.readable(arg) for arg in given)
            if self.uncertain or unclear or partly:
                self.opened(owner)
        if partly and name not in python_values.CHANGING and name not in ("items", "keys", "values", "copy"):
            return UNKNOWN_VALUE
        found = python_values.call_method(owner, name, args, options, self.settled)
        if isinstance(found, Unknown) and name in python_values.CHANGING:
            self.opened(owner)
        if isinstance(owner, dict) and not all(map(self.settled, owner)):
            self.opened(owner)
        return self.opened(found) if partly and found is not owner else found

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
        if name == "execution_options" and "schema_translate_map" in options:
            self.recorder.unread("Gives tables other schemas (schema_translate_map)")
        if name in _LEADS:
            return Connection()
        if name == "commit":
            reason = "Commits by itself: what was done so far stays done even if a later step fails."
            self.recorder.note("commit", reason, transactional=False)
        if name in ("run_callable", "run_sync") and args:
            return self.call(args[0], [Connection(), *args[1:]], options, None)
        if name in ("cursor", "raw_connection"):
            return Session()
        if self._is_effect(node) and name not in _STEERING and not name.startswith("__"):
            self.recorder.unread(f"Calls {name} on the connection")
        return HARMLESS_VALUE

    def _of_context(self, name: str, args: List[Any], node: Optional[ast.Call]) -> Any:
        if name == "begin_transaction":
            return Connection()
        if name == "autocommit_block":
            return External(f"alembic.context.{name}")
        if name == "execute":
            return self.execute(args[0] if args else UNKNOWN_VALUE, "execute", node)
        if self._is_effect(node) and name not in _STEERING and not name.startswith("__"):
            self.recorder.unread(f"Calls {name} on Alembic's context")
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
            told = {**dict(zip(kind.fields, args)), **options}
            for name, value in {**kind.names, **told}.items():
                if name in told or (len(args) > len(kind.fields) and not isinstance(value, Function)):
                    made.names[name] = told.get(name, UNKNOWN_VALUE)
            after = kind.find("__post_init__")
            if isinstance(after, Function):
                self.run(after, [made], {})
        return made


def _bound_to(function: Function, owner: Any, kind: Class) -> List[Any]:
    """What a method gets before its arguments: the object, its class, or nothing."""
    if function.decorated("classmethod"):
        return [kind]
    return [] if owner is kind or function.decorated("staticmethod") else [owner]


def _is_run(name: str, args: Sequence[Any]) -> bool:
    """Whether a call of something unknown runs a statement: there is one among its arguments."""
    return name in (*_RUNS, "executemany") and bool(args) and isinstance(args[0], (str, Sql, Query))


def _given_a_connection(args: Sequence[Any], options: Dict[str, Any]) -> bool:
    return any(isinstance(given, Connection) for given in (*args, *options.values()))


def _where(node: Optional[ast.Call], text: str) -> Optional[int]:
    """The line on which SQL begins that stands in the call as it is, None for what is put together elsewhere."""
    for part in ast.walk(node) if node is not None else ():
        if isinstance(part, ast.Constant) and part.value == text:
            return int(part.lineno)
    return None
