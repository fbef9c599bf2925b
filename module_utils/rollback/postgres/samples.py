"""Some rows of a live database, put into a database that was made from its dump: they run the code that a load would run.

Functions in checks, generated columns, expression indexes and materialized views may name tables without their schema. That
works for the application, and fails while a dump is loaded: pg_dump empties search_path. An empty table never calls them.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, List, NamedTuple

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.postgres.event_triggers import event_triggers_off
from ansible.module_utils.rollback.postgres.violations import QUALIFY, names_nothing, words

with suppress(ImportError):  # the module that uses this says so
    import psycopg as pg
    from psycopg import sql

if TYPE_CHECKING:
    import psycopg

_ROWS = 20
_MOST_BYTES = 1024 * 1024  # of one table
_MOST_TABLES = 500  # each is locked, and the server's table of locks is everybody's
# Errors that come of taking some rows only: orphans of foreign keys, and what row-level security refuses.
_ARTEFACTS = {"23503", "0A000", "55000"}

# Tables whose rows are evaluated while they load. Rows of a partition go through its root: hashes may differ.
_TABLES = """
SELECT n.nspname, c.relname, rn.nspname, r.relname, array_agg(a.attname ORDER BY a.attnum)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     JOIN pg_class r ON r.oid = coalesce(pg_partition_root(c.oid), c.oid) JOIN pg_namespace rn ON rn.oid = r.relnamespace
     JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
  AND (EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'c')
       OR EXISTS (SELECT FROM pg_attribute g WHERE g.attrelid = c.oid AND g.attgenerated <> '')
       OR EXISTS (SELECT FROM pg_index x WHERE x.indrelid = c.oid AND (x.indexprs IS NOT NULL OR x.indpred IS NOT NULL))
       OR EXISTS (SELECT FROM pg_partitioned_table q JOIN pg_partition_ancestors(c.oid) up ON up = q.partrelid WHERE q.partexprs IS NOT NULL)
       OR EXISTS (SELECT FROM pg_attribute u JOIN pg_type t ON t.oid = u.atttypid LEFT JOIN pg_type e ON e.oid = t.typelem
                  LEFT JOIN pg_range g ON g.rngtypid = t.oid LEFT JOIN pg_type s ON s.oid = g.rngsubtype
                  WHERE u.attrelid = c.oid AND (t.typtype IN ('d', 'c') OR e.typtype IN ('d', 'c') OR s.typtype IN ('d', 'c'))))
GROUP BY c.oid, n.nspname, c.relname, rn.nspname, r.relname ORDER BY 1, 2 LIMIT %s"""
_MATERIALIZED = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'm' AND c.relispopulated AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY c.oid LIMIT %s"""
_WITH_TRIGGERS = """
SELECT DISTINCT n.nspname, c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND c.relkind IN ('r', 'p')"""
# pg_dump adds them when the rows are there.
_NOT_VALID = """
SELECT CASE WHEN k.contypid <> 0 THEN format('ALTER DOMAIN %s DROP CONSTRAINT %I', k.contypid::regtype, k.conname)
            ELSE format('ALTER TABLE %s DROP CONSTRAINT %I', k.conrelid::regclass, k.conname) END
FROM pg_constraint k WHERE NOT k.convalidated AND k.contype IN ('c', 'n') AND k.coninhcount = 0"""
_OF_FUNCTION = """
SELECT FROM pg_constraint k JOIN pg_depend d ON d.classid = 'pg_constraint'::regclass AND d.objid = k.oid
WHERE d.refclassid = 'pg_proc'::regclass AND k.conname = %s LIMIT 1"""


class Sample(NamedTuple):
    """Rows of one table as COPY writes them, and the names of the table and of the one that they are loaded through."""

    table: str
    through: "sql.Identifier"
    columns: List[str]
    rows: bytes


@dataclass
class Samples:
    tables: List[Sample] = field(default_factory=list)
    views: "List[sql.Identifier]" = field(default_factory=list)


@dataclass
class Tried:
    """`problems` would stop a load; `undecided` failed here, perhaps only because other rows were missing."""

    problems: List[str] = field(default_factory=list)
    undecided: List[str] = field(default_factory=list)


def take(connection: "psycopg.Connection[Any]") -> Samples:
    """Read some rows of each table that a load evaluates; call it inside `census.snapshot`."""
    found = Samples()
    encoding = _encoding(connection)
    for schema, table, root_schema, root, columns in connection.execute(_TABLES, [_MOST_TABLES]).fetchall():
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        query = sql.SQL("COPY (SELECT {} FROM ONLY {} LIMIT {}) TO STDOUT (ENCODING {})").format(
            names, sql.Identifier(schema, table), sql.Literal(_ROWS), encoding
        )
        try:
            with connection.cursor() as cursor, cursor.copy(query) as copy:
                rows = b"".join(bytes(block) for block in copy)
        except pg.Error as error:
            if not names_nothing(error):
                raise
            raise RollbackError(f"A dump of {schema}.{table} would not load: {words(error)}.", QUALIFY) from error
        if rows and len(rows) <= _MOST_BYTES:
            found.tables.append(Sample(f"{schema}.{table}", sql.Identifier(root_schema, root), columns, rows))
    for schema, view in connection.execute(_MATERIALIZED, [_MOST_TABLES]).fetchall():
        found.views.append(sql.Identifier(schema, view))
    return found


def put_in(connection: "psycopg.Connection[Any]", samples: Samples) -> Tried:
    """Load the samples as a dump would, and refresh the materialized views, in a transaction that is rolled back."""
    tried = Tried()
    with event_triggers_off(connection), connection.transaction(force_rollback=True):
        connection.execute("SELECT set_config('search_path', '', true)")
        for schema, table in connection.execute(_WITH_TRIGGERS).fetchall():
            connection.execute(sql.SQL("ALTER TABLE {} DISABLE TRIGGER USER").format(sql.Identifier(schema, table)))
        for (statement,) in connection.execute(_NOT_VALID).fetchall():
            connection.execute(statement)
        for sample in samples.tables:
            columns = sql.SQL(", ").join(map(sql.Identifier, sample.columns))
            statement = sql.SQL("COPY {} ({}) FROM STDIN (ENCODING {})").format(
                sample.through, columns, _encoding(connection)
            )
            try:
                with connection.transaction(), connection.cursor() as cursor, cursor.copy(statement) as copy:
                    copy.write(sample.rows)
            except pg.Error as error:
                _judge(connection, f"rows of {sample.table}", error, tried)
        for view in samples.views:
            try:
                with connection.transaction():
                    connection.execute(sql.SQL("REFRESH MATERIALIZED VIEW {}").format(view))
            except pg.Error as error:
                if names_nothing(error):
                    tried.problems.append(f"materialized view {view.as_string(None)}: {words(error)}")
    return tried


def _encoding(connection: "psycopg.Connection[Any]") -> "sql.Literal":
    """The database's own: bytes go as they are, also those of SQL_ASCII that are no text."""
    return sql.Literal((connection.execute("SELECT getdatabaseencoding()").fetchone() or ("UTF8",))[0])


def _judge(connection: "psycopg.Connection[Any]", what: str, error: "psycopg.Error", tried: Tried) -> None:
    if connection.closed:
        raise error
    state, constraint = error.sqlstate or "", error.diag.constraint_name
    if state in _ARTEFACTS or (state == "23514" and not constraint):  # the latter: no partition for an enum's hash
        return
    said = f"{what}: {words(error)}"
    broken = state == "23514" and connection.execute(_OF_FUNCTION, [constraint]).fetchone() is None
    (tried.problems if broken or names_nothing(error) else tried.undecided).append(said)
