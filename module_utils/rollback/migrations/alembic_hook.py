"""Runs inside the application's Python, around its own Alembic: asks its session what it sees, or guards its migrations.

`command.py` passes this file's text to `python -c`, because the tool is not installed where the application is. It needs
only the standard library, and speaks SQL through the connection that the application's env.py made, so that it works with
every driver and every URL. Its first argument is its task as JSON, or `-` where that is in ROLLBACK_HOOK:

    {"do": "ask"}   report each session that env.py would migrate with; run no migration and commit nothing
    {"do": "run"}   set the limits in that session, refuse a session that was not planned for, and stop a step that takes
                    away more than was foreseen while its transaction can still be rolled back

Reports are lines on standard output that begin with MARK.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
from typing import Any, Callable, Dict, Iterable, Iterator, List, Set, Tuple

MARK = "rollback-session: "
# What is said where nothing can be rolled back any more.
COMMITTED = "The revision commits by itself, so that this is not rolled back, and only a backup has it."

# No percent sign in any statement: pg8000 takes one for a parameter.
_SESSION = """
SELECT json_build_object(
  'database', current_database(),
  'database_oid', (SELECT oid::int8 FROM pg_catalog.pg_database WHERE datname = current_database()),
  'server_started', to_char(pg_postmaster_start_time() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'),
  'replica', pg_is_in_recovery(),
  'role', current_user::text,
  'search_path', current_setting('search_path'),
  'schemas', to_json(current_schemas(false)::text[]),
  'counts', current_setting('track_counts'),
  'lock_timeout', current_setting('lock_timeout'),
  'statement_timeout', current_setting('statement_timeout')
)::text"""
_SEEN = """
SELECT n.nspname::text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relname = '{}' AND c.relkind IN ('r', 'p', 'v') AND pg_table_is_visible(c.oid)"""
# Partitions and children of a table go along with it.
_TABLES = """
SELECT json_build_array(c.oid::int8, n.nspname::text, c.relname::text,
  (SELECT json_object_agg(a.attnum::text, a.attname::text) FROM pg_catalog.pg_attribute a
   WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
  (SELECT json_agg(i.inhparent::int8) FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid),
  coalesce(pg_relation_filenode(c.oid), 0)::int8)::text
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
  AND pg_catalog.left(n.nspname, 17) <> 'rollback_salvage_'"""
# What this transaction has written; and that with what any has since the server's statistics began, to which a commit adds it.
_WRITES = """
SELECT json_build_array(relid::int8, n_tup_upd, n_tup_del, n_tup_upd + pg_catalog.pg_stat_get_tuples_updated(relid),
  n_tup_del + pg_catalog.pg_stat_get_tuples_deleted(relid))::text FROM pg_catalog.pg_stat_xact_user_tables"""
# Older servers pass the numbers of a commit on half a second later.
_COUNTS_AT_ONCE = 150000
# A commit begins another transaction.
_TRANSACTION = "SELECT transaction_timestamp()::text"
# Nobody can tell whose writes those are that the server counts for all together, unless nobody else is there.
_OTHERS = """
SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"""


class Refused(Exception):
    """Why a migration does not run, or is rolled back. Alembic ends with it as its last line."""


class Table:
    """`columns` by number, `parents` by OID. TRUNCATE, or whatever rewrites it, gives it another `file`."""

    def __init__(
        self, oid: int, schema: str, name: str, columns: Dict[str, str], parents: List[int], file: int
    ) -> None:
        self.oid, self.schema, self.name = oid, schema, name
        self.columns = columns or {}
        self.parents = parents or []
        self.file = file


class Foreseen:
    """What a step may take away.

    `tables`, `columns` and `rows` are those of the forecast, with their schemas. What the script drops, empties or changes by
    name and the forecast holds for no loss is in `named`: names of `columns`, `tables`, and in `rows` whatever table it names.
    A name without schema means the first table that the session finds in its `schemas`.
    """

    def __init__(self, found: Dict[str, Any], schemas: List[str]) -> None:
        self.schemas = schemas
        self.first: Dict[str, str] = {}
        self.tables: Set[Tuple[str, str]] = {(one[0], one[1]) for one in found["tables"]}
        self.columns: Set[Tuple[str, str, str]] = {(one[0], one[1], one[2]) for one in found["columns"]}
        self.rows: Set[Tuple[str, str]] = {(one[0], one[1]) for one in found["rows"]}
        self.named: Dict[str, Set[str]] = {kind: set(names) for kind, names in found["named"].items()}

    def look(self, tables: Dict[int, "Table"]) -> None:
        """Find out which tables names without a schema mean now."""
        there: Dict[str, Set[str]] = {}
        for table in tables.values():
            there.setdefault(table.name, set()).add(table.schema)
        self.first = {
            name: next((schema for schema in self.schemas if schema in found), "") for name, found in there.items()
        }

    def table(self, table: Table) -> bool:
        return (table.schema, table.name) in self.tables or bool(self._names(table) & self.named["tables"])

    def column(self, table: Table, name: str) -> bool:
        known = (table.schema, table.name, name) in self.columns
        return known or name in self.named["columns"] or self.table(table)

    def written(self, table: Table) -> bool:
        named = bool(self._names(table) & self.named["rows"])
        return (table.schema, table.name) in self.rows or named or self.table(table)

    def _names(self, table: Table) -> Set[str]:
        """By which a script may have meant it."""
        full = f"{table.schema}.{table.name}"
        return {full, table.name} if self.first.get(table.name) == table.schema else {full}


class Writes:
    """Rows updated and deleted, by the OID of their table: `here` in this `transaction`, and in `all` transactions together.

    `all` is empty where the server is late with it, and where other sessions may have written.
    """

    def __init__(
        self, transaction: str, here: Dict[int, Tuple[int, int]], together: Dict[int, Tuple[int, int]]
    ) -> None:
        self.transaction, self.here, self.all = transaction, here, together

    def since(self, before: "Writes") -> Iterator[Tuple[int, int]]:
        """OID and number of rows. Where something was committed in between, this transaction does not know of all of them."""
        committed = self.transaction != before.transaction
        now, then = (self.all, before.all) if committed and self.all and before.all else (self.here, before.here)
        for oid, (updated, deleted) in now.items():
            known = then.get(oid, (0, 0))
            yield oid, max(updated - known[0], 0) + max(deleted - known[1], 0)


class Session:
    """The connection on which env.py would migrate, below SQLAlchemy's own account of its transactions."""

    def __init__(self, context: Any) -> None:
        self.context = context
        self.connection = context.connection

    def read(self, statement: str) -> List[str]:
        """The first column of each row."""
        cursor = self._raw().cursor()
        try:
            cursor.execute(statement)
            return [str(_first(row)) for row in cursor.fetchall()]
        finally:
            cursor.close()

    def do(self, *statements: str) -> None:
        cursor = self._raw().cursor()
        try:
            for statement in statements:
                cursor.execute(statement)
        finally:
            cursor.close()

    def end(self, how: str) -> None:
        """`commit` or `rollback` what was begun here, unless env.py has a transaction of its own under way."""
        if not self.connection.in_transaction():
            getattr(self._raw(), how)()

    def facts(self) -> Dict[str, Any]:
        found: Dict[str, Any] = json.loads(self.read(_SESSION)[0])
        translate = _translated(self.connection)
        table = str(self.context.version_table)
        schema = self.context.version_table_schema
        schema = translate.get(schema or "", schema)
        if not schema:
            schema = next(iter(self.read(_SEEN.format(table.replace("'", "''")))), "")
        return {
            **found,
            "version_table": table,
            "version_schema": schema or "",
            "translate": translate,
            "driver": str(self.connection.dialect.driver),
            "autocommit": self._autocommit(),
        }

    def tables(self) -> Dict[int, Table]:
        return {table.oid: table for table in (Table(*json.loads(row)) for row in self.read(_TABLES))}

    def writes(self) -> "Writes":
        rows = [json.loads(row) for row in self.read(_WRITES)]
        at_once = int(self.read("SHOW server_version_num")[0]) >= _COUNTS_AT_ONCE and self.read(_OTHERS) == ["0"]
        return Writes(
            self.read(_TRANSACTION)[0],
            {oid: (updated, deleted) for oid, updated, deleted, *_ in rows},
            {oid: (updated, deleted) for oid, _, _, updated, deleted in rows} if at_once else {},
        )

    def _autocommit(self) -> bool:
        """As the drivers say it; the isolation level that the server reports is another one."""
        raw = self._raw()
        return (
            getattr(raw, "autocommit", False) is True
            or str(getattr(raw, "isolation_level", "")).lower() == "autocommit"
        )

    def _raw(self) -> Any:
        return self.connection.connection


def _first(row: Any) -> Any:
    """Of a row that env.py may have made a mapping."""
    return next(iter(row.values())) if hasattr(row, "values") else row[0]


def _translated(connection: Any) -> Dict[str, str]:
    """SQLAlchemy's schema_translate_map; an empty name stands for none."""
    options = connection.get_execution_options() if hasattr(connection, "get_execution_options") else {}
    found = options.get("schema_translate_map") or {}
    return {str(name or ""): str(to or "") for name, to in found.items()}


def pooling(connection: Any) -> str:
    """`none`, `session` or `transaction`, from which server processes new connections get; `unknown` where none can be made."""
    try:
        from sqlalchemy.pool import NullPool

        engine = connection.engine
        pool = NullPool(engine.pool._creator, dialect=engine.dialect)
        first, second = pool.connect(), pool.connect()
        held = [_process(first), _process(second)]
        first.close()
        second.close()
        if held[0] == held[1]:
            return "transaction"
        for _ in range(2):
            third = pool.connect()
            process = _process(third)
            third.close()
            if process in held:
                return "session"
    except Exception:  # noqa: BLE001 - whatever a driver or a URL of any kind raises here, the answer is the same
        return "unknown"
    return "none"


def _process(raw: Any) -> int:
    cursor = raw.cursor()
    try:
        cursor.execute("SELECT pg_backend_pid()")
        return int(_first(cursor.fetchall()[0]))
    finally:
        cursor.close()
        raw.rollback()


def report(found: Dict[str, Any]) -> None:
    # Whatever the application has made of sys.stdout.
    if not getattr(sys.stdout, "closed", True):
        sys.stdout.flush()
    os.write(1, ("\n" + MARK + json.dumps(found) + "\n").encode())


def ask(environment: Any) -> None:
    """In place of run_migrations(): report, and let env.py go on."""
    context = environment.get_context()
    if context.as_sql or context.connection is None:
        report({"offline": True})
        return
    if context.connection.dialect.name != "postgresql":
        report({"dialect": str(context.connection.dialect.name)})
        return
    session = Session(context)
    found = session.facts()
    session.end("rollback")
    report({**found, "pooling": pooling(context.connection)})


def commit_nothing() -> None:
    """env.py may create schemas before it migrates; who only asks leaves nothing behind."""
    from sqlalchemy.engine.default import DefaultDialect

    DefaultDialect.do_commit = lambda *_: None  # type: ignore[method-assign] # for this process alone


def guard(environment: Any, task: Dict[str, Any]) -> None:
    """Before run_migrations(): the limits, the right session, and a watch over each step."""
    context = environment.get_context()
    if context.as_sql or context.connection is None:
        return
    session = Session(context)
    session.do(*(f"SET {name} = '{value}'" for name, value in task["settings"].items()))
    found = session.facts()
    session.end("commit")
    if found["autocommit"] and (task.get("expected") or task.get("foreseen")):
        raise Refused(
            "The connection commits each statement by itself, so that nothing of a step could be rolled back."
        )
    if found["counts"] == "off" and task.get("foreseen"):
        raise Refused("The server's track_counts is off, so that nobody could tell which rows a step changes.")
    if task.get("expected") and not any(_same(found, planned) for planned in task["expected"]):
        raise Refused(
            "Alembic is in database {database} (OID {database_oid}) with schemas {schemas} and version table"
            " {version_schema}.{version_table}, for which this run was not planned.".format(**found)
        )
    if task.get("foreseen"):
        context._migrations_fn = watched(context._migrations_fn, session, Foreseen(task["foreseen"], found["schemas"]))


def _same(found: Dict[str, Any], planned: Dict[str, Any]) -> bool:
    return all(found[name] == value for name, value in planned.items())


def watched(steps: Callable[..., Iterable[Any]], session: Session, foreseen: Foreseen) -> Callable[..., Iterator[Any]]:
    def iterate(*args: Any, **options: Any) -> Iterator[Any]:
        for step in steps(*args, **options):
            step.migration_fn = _watched(step.migration_fn, session, foreseen)
            yield step

    return iterate


def _watched(migrate: Callable[..., Any], session: Session, foreseen: Foreseen) -> Callable[..., Any]:
    def run(*args: Any, **options: Any) -> Any:
        tables, writes = session.tables(), session.writes()
        foreseen.look(tables)
        done = migrate(*args, **options)
        now = session.writes()
        gone = list(unforeseen(tables, session.tables(), foreseen))
        gone += list(unforeseen_writes(tables, now.since(writes), foreseen))
        if gone:
            more = " and more" if len(gone) > 5 else ""
            kept = f" {COMMITTED}" if now.transaction != writes.transaction else ""
            raise Refused("It took away what was not foreseen: {}{}.{}".format(", ".join(gone[:5]), more, kept))
        return done

    return run


def unforeseen(before: Dict[int, Table], after: Dict[int, Table], foreseen: Foreseen) -> Iterator[str]:
    """Tables and columns that are gone, and that nobody had said would go. Renaming takes nothing away."""
    for table in before.values():
        if table.oid not in after:
            if not any(map(foreseen.table, _with_parents(table, before))):
                yield f"table {table.schema}.{table.name}"
            continue
        if table.file != after[table.oid].file and not any(map(foreseen.written, _with_parents(table, before))):
            yield f"the rows of {table.schema}.{table.name}, which was emptied or rewritten"
        for number, name in table.columns.items():
            lost = number not in after[table.oid].columns
            if lost and not any(foreseen.column(one, name) for one in _with_parents(table, before)):
                yield f"column {table.schema}.{table.name}.{name}"


def unforeseen_writes(
    tables: Dict[int, Table], changes: Iterable[Tuple[int, int]], foreseen: Foreseen
) -> Iterator[str]:
    """Rows updated or deleted, by the OID of their table, in tables of before that the script does not write to."""
    for oid, changed in changes:
        table = tables.get(oid)
        if changed and table and not any(map(foreseen.written, _with_parents(table, tables))):
            yield f"{changed} rows of {table.schema}.{table.name}"


def _with_parents(table: Table, tables: Dict[int, Table]) -> List[Table]:
    found, waiting = [table], list(table.parents)
    while waiting:
        parent = tables.get(waiting.pop())
        if parent is not None and parent not in found:
            found.append(parent)
            waiting += parent.parents
    return found


def install(task: Dict[str, Any]) -> None:
    try:
        from alembic.runtime.environment import EnvironmentContext
    except ImportError:
        return  # what was called is not Alembic, or says itself what it lacks
    migrate = EnvironmentContext.run_migrations

    def run_migrations(self: Any, **options: Any) -> None:
        if task["do"] == "ask":
            ask(self)
            return
        guard(self, task)
        migrate(self, **options)

    EnvironmentContext.run_migrations = run_migrations  # type: ignore[method-assign] # for this process alone
    if task["do"] == "ask":
        commit_nothing()


def call(task: Dict[str, Any], target: str, arguments: List[str]) -> None:
    """What the interpreter would have done with `-m module …` or `script …`."""
    module = target == "-m"
    if sys.path[:1] == [""]:  # not so where Python was told to be safe
        sys.path[0] = os.getcwd() if module else os.path.dirname(os.path.realpath(target))
    sys.argv = list(arguments) if module else [target, *arguments]
    install(task)
    if module:
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(target, run_name="__main__")


if __name__ == "__main__":
    given = sys.argv[1]
    call(json.loads(os.environ["ROLLBACK_HOOK"] if given == "-" else given), sys.argv[2], sys.argv[3:])
