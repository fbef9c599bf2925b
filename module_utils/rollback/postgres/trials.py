"""What only trying can tell: whether the server lets the operator create a thing. Nothing that is tried stays."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Callable, Iterable, Iterator, List, Sequence, Tuple, TypeVar

from ansible.module_utils.rollback.backups import requirements
from ansible.module_utils.rollback.postgres.server import MAINTENANCE_DATABASE

with suppress(ImportError):  # the module that uses this says so
    import psycopg as pg
    from psycopg import conninfo, sql

if TYPE_CHECKING:
    import psycopg

T = TypeVar("T")
# A trial holds no lock for long, and waits for none: the live database is at work.
_LIMITS = "SET TRANSACTION READ WRITE; SET LOCAL lock_timeout = '2s'; SET LOCAL statement_timeout = '20s'"
_EVENT_TRIGGER = """
CREATE FUNCTION pg_temp.trial_of_rollback() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER trial_of_rollback ON sql_drop EXECUTE FUNCTION pg_temp.trial_of_rollback()"""
_SUPPORT = "CREATE FUNCTION pg_temp.trial_of_rollback(text, text) RETURNS bool LANGUAGE sql SUPPORT pg_catalog.textlike_support AS 'SELECT true'"
_BINARY_CAST = """
CREATE TYPE pg_temp.trial_of_rollback AS ENUM ();
CREATE CAST (pg_temp.trial_of_rollback AS pg_catalog.oid) WITHOUT FUNCTION"""
_LANGUAGE = "CREATE LANGUAGE trial_of_rollback HANDLER pg_catalog.plpgsql_call_handler"
_SUBSCRIPTION = """
CREATE SUBSCRIPTION trial_of_rollback CONNECTION 'host=localhost user=trial password=trial dbname=trial' PUBLICATION trial
WITH (connect = false, slot_name = NONE)"""
# The smallest of each kind.
_KINDS = {
    "event trigger": _EVENT_TRIGGER,
    "access method": "CREATE ACCESS METHOD trial_of_rollback TYPE INDEX HANDLER pg_catalog.bthandler",
    "operator class": "CREATE OPERATOR FAMILY pg_temp.trial_of_rollback USING btree",
    "operator family": "CREATE OPERATOR FAMILY pg_temp.trial_of_rollback USING btree",
    "foreign data wrapper": "CREATE FOREIGN DATA WRAPPER trial_of_rollback",
    "text search parser": """CREATE TEXT SEARCH PARSER pg_temp.trial_of_rollback (START = pg_catalog.prsd_start,
        GETTOKEN = pg_catalog.prsd_nexttoken, END = pg_catalog.prsd_end, LEXTYPES = pg_catalog.prsd_lextype)""",
    "text search template": "CREATE TEXT SEARCH TEMPLATE pg_temp.trial_of_rollback (LEXIZE = pg_catalog.dsimple_lexize)",
    requirements.BASE_TYPE: "CREATE TYPE pg_temp.trial_of_rollback",
    requirements.BINARY_CAST: _BINARY_CAST,
    requirements.BUILT_IN_CAST: "CREATE CAST (pg_catalog.xml AS pg_catalog.pg_lsn) WITH INOUT",
    requirements.EVERYTHING_PUBLISHED: "CREATE PUBLICATION trial_of_rollback FOR ALL TABLES",
    requirements.LEAKPROOF: "CREATE FUNCTION pg_temp.trial_of_rollback() RETURNS int LANGUAGE sql LEAKPROOF AS 'SELECT 1'",
    requirements.SUPPORT: _SUPPORT,
    requirements.SUBSCRIPTION: _SUBSCRIPTION,
    requirements.LANGUAGE: _LANGUAGE,
}


@contextmanager
def begun(connection: "psycopg.Connection[Any]") -> Iterator[None]:
    """A transaction that is always rolled back."""
    with connection.transaction(force_rollback=True):
        connection.execute(_LIMITS)
        yield


def tried(
    connection: "psycopg.Connection[Any]", wanted: Iterable[T], attempt: Callable[[T], None]
) -> List[Tuple[T, str]]:
    """Those of `wanted` at which `attempt` fails, with PostgreSQL's reason. Nothing of it stays."""
    failed = []
    for entry in wanted:
        try:
            with connection.transaction(force_rollback=True):
                attempt(entry)
        except pg.Error as error:
            if connection.closed:
                raise
            # The detail, where there is one, names the cause: "invalid value" alone helps nobody.
            reason = error.diag.message_detail or error.diag.message_primary or str(error)
            failed.append((entry, reason.strip().rstrip(".")))
    return failed


def kinds(connection: "psycopg.Connection[Any]", wanted: Iterable[str]) -> List[Tuple[str, str]]:
    """The kinds of things (requirements.py) that may not be created, with the reason."""
    return tried(connection, wanted, lambda kind: _run(connection, _KINDS[kind]))


def function_settings(connection: "psycopg.Connection[Any]", names: Iterable[str]) -> List[Tuple[str, str]]:
    """Settings that a function of the operator's may not set."""

    def create(name: str) -> None:
        setting = sql.SQL(".").join(map(sql.Identifier, name.split(".")))
        (current,) = connection.execute("SELECT current_setting(%s, true)", [name]).fetchone() or (None,)
        value = "TO ''" if current is None else "FROM CURRENT"  # of one that no module knows, any value is as good
        statement = (
            f"CREATE FUNCTION pg_temp.trial_of_rollback() RETURNS int LANGUAGE sql SET {{}} {value} AS 'SELECT 1'"
        )
        connection.execute(sql.SQL(statement).format(setting))

    return tried(connection, names, create)


def label_providers(connection: "psycopg.Connection[Any]", names: Iterable[str]) -> List[Tuple[str, str]]:
    def label(name: str) -> None:
        _run(connection, "CREATE TEMPORARY TABLE trial_of_rollback ()")
        statement = "SECURITY LABEL FOR {} ON TABLE pg_temp.trial_of_rollback IS NULL"
        connection.execute(sql.SQL(statement).format(sql.Identifier(name)))

    return tried(connection, names, label)


def extensions(live: "psycopg.Connection[Any]", names: Sequence[str]) -> List[Tuple[str, str]]:
    """Extensions that cannot be created, or commented as dumps do, with the reason; tried in a database that lacks them.

    `live` is in a transaction that is rolled back.
    """
    there = _installed(live, names)
    failed = _extensions(live, [name for name in names if name not in there])
    if not there:
        return sorted(failed)
    # An extension cannot be tried where it is installed.
    info = live.info
    place = conninfo.make_conninfo(info.dsn, dbname=MAINTENANCE_DATABASE)
    try:
        elsewhere = pg.connect(place, password=info.password or None, autocommit=True)
    except pg.Error as error:
        why = f"it cannot be tried in database {MAINTENANCE_DATABASE}: {str(error).strip()}"
        return sorted([*failed, *((name, why) for name in there)])
    with elsewhere, begun(elsewhere):
        twice = _installed(elsewhere, there)
        failed += [(name, "a superuser owns it, and no database lacks it to try it there") for name in twice]
        failed += _extensions(elsewhere, [name for name in there if name not in twice])
    return sorted(failed)


def _extensions(connection: "psycopg.Connection[Any]", names: Sequence[str]) -> List[Tuple[str, str]]:
    def create(name: str) -> None:
        connection.execute(sql.SQL("CREATE EXTENSION {} CASCADE").format(sql.Identifier(name)))
        connection.execute(sql.SQL("COMMENT ON EXTENSION {} IS NULL").format(sql.Identifier(name)))

    return tried(connection, names, create)


def _installed(connection: "psycopg.Connection[Any]", names: Sequence[str]) -> List[str]:
    found = connection.execute("SELECT extname FROM pg_extension WHERE extname = ANY(%s)", [list(names)])
    return [row[0] for row in found.fetchall()]


def _run(connection: "psycopg.Connection[Any]", statements: str) -> None:
    connection.execute(statements.encode())
