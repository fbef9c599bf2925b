"""What the application's Alembic sees of a database, compared with what the operator sees: the same one, and all of its tenants.

A session is what alembic_hook.py reports of it, see alembic_command's documentation.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Sequence, Tuple

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.words import listed

with suppress(ImportError):  # the module that uses this says so
    from psycopg import sql

if TYPE_CHECKING:
    import psycopg

# In the form in which the hook reports it.
_SERVER = """
SELECT (SELECT oid::int8 FROM pg_database WHERE datname = current_database()),
       to_char(pg_postmaster_start_time() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')"""
_VERSION_TABLES = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'version_num' AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND c.relname = ANY(%s) AND n.nspname NOT LIKE 'rollback_salvage_%%' ORDER BY 1, 2"""

# What must be the same in each session that migrates, as when it was asked.
_KEPT = ("role", "search_path", "version_table")

Table = Tuple[str, str]


@dataclass(frozen=True)
class Sessions:
    """`heads` are the revisions in every version table of `sessions`; `elsewhere` has those of others in the database, by name."""

    sessions: List[Dict[str, Any]]
    heads: List[str]
    elsewhere: Dict[str, List[str]] = field(default_factory=dict)
    warnings: List[str] = field(default_factory=list)

    def as_dict(self) -> Dict[str, Any]:
        return asdict(self)


def identity(connection: "psycopg.Connection[Any]") -> Dict[str, Any]:
    """The connected database and server, by the keys of a session."""
    oid, started = connection.execute(_SERVER).fetchone() or (0, "")
    return {"database_oid": oid, "server_started": started}


def expected(connection: "psycopg.Connection[Any]", sessions: Sequence[Mapping[str, Any]]) -> List[Dict[str, Any]]:
    """What a session must be so that a migration may run in it: one of `sessions`, in the connected database."""
    return [{**{name: session[name] for name in _KEPT}, **identity(connection)} for session in sessions]


def check(connection: "psycopg.Connection[Any]", found: Sequence[Mapping[str, Any]], version_table: str) -> Sessions:
    """Raises RollbackError where Alembic would not migrate the connected database, or where what it does there cannot be followed."""
    database = connection.info.dbname
    if not found:
        raise RollbackError(
            "Alembic made no connection when it was asked for one, so nothing says which database it migrates.",
            "env.py must call context.run_migrations(); check alembic_downgrade_command and alembic_downgrade_options.",
        )
    for session in found:
        _check_session(session, database, identity(connection))
    seen = [(str(session["version_schema"]), str(session["version_table"])) for session in found]
    _check_version_tables(seen, found, database, version_table)
    heads = {table: _heads(connection, table) for table in seen}
    if len({tuple(revisions) for revisions in heads.values()}) > 1:
        said = listed(f"{_name(table)} is at {listed(revisions or ['none'])}" for table, revisions in heads.items())
        raise RollbackError(
            f"The schemas of {database} are at different revisions: {said}.",
            "Bring them to the same one with the application's own Alembic first.",
        )
    tables = connection.execute(_VERSION_TABLES, [sorted({name for _, name in seen})]).fetchall()
    others = [(schema, name) for schema, name in tables if (schema, name) not in seen]
    return Sessions(
        [_planned(session) for session in _distinct(found)],
        next(iter(heads.values())),
        {_name(table): _heads(connection, table) for table in others},
        _warnings(found),
    )


def heads(connection: "psycopg.Connection[Any]", sessions: Sequence[Mapping[str, Any]]) -> Dict[str, List[str]]:
    """The revisions in the version table of each session, by its name."""
    tables = [(str(session["version_schema"]), str(session["version_table"])) for session in sessions]
    return {_name(table): _heads(connection, table) for table in tables}


def _check_session(session: Mapping[str, Any], database: str, here: Mapping[str, Any]) -> None:
    if "database" not in session:
        raise RollbackError(
            f"Alembic migrates {session.get('dialect', 'nothing: it writes SQL only')}, not PostgreSQL.",
            "Check alembic_downgrade_options and alembic_downgrade_environment.",
        )
    if session["replica"]:
        raise RollbackError(
            "Alembic's URL leads to a read replica.", "Name the primary in alembic_downgrade_environment."
        )
    if any(session[name] != value for name, value in here.items()):
        raise RollbackError(
            f"Alembic migrates database {session['database']} (OID {session['database_oid']}, server started {session['server_started']} UTC), and"
            f" rollback_database_dsn leads to {database} (OID {here['database_oid']}, server started {here['server_started']} UTC).",
            "Let alembic_downgrade_environment and rollback_database_dsn name the same database on the same server.",
        )
    if session["autocommit"]:
        raise RollbackError(
            "Alembic's connection is in AUTOCOMMIT: a revision that fails half-way could not be rolled back.",
            "Let env.py migrate without that isolation level, or go back with -e method=restore.",
        )
    if session["counts"] == "off":
        raise RollbackError(
            "track_counts is off for Alembic's session, so that nobody could tell which rows a step changes.",
            "Turn it on (autovacuum needs it, too), or go back with -e method=restore.",
        )
    if session["pooling"] == "transaction":
        raise RollbackError(
            "Alembic's URL goes through a pooler in transaction mode, where its settings and limits do not hold for a whole migration.",
            "Name the server itself, past the pool, in alembic_downgrade_environment.",
        )


def _check_version_tables(
    seen: Sequence[Table], found: Sequence[Mapping[str, Any]], database: str, version_table: str
) -> None:
    for session in found:
        if not session["version_schema"]:
            raise RollbackError(
                f"Alembic sees no table {session['version_table']} in {database} (search_path {session['search_path']}),"
                " so nothing says which migrations it has.",
                "Check the role and the search_path of alembic_downgrade_environment, or go back with -e method=restore.",
            )
    if version_table not in map(_name, seen):
        raise RollbackError(
            f"Alembic keeps its revision in {listed(map(_name, seen))}, and rollback_version_table is {version_table}.",
            f"Set rollback_version_table: {_name(seen[0])}.",
        )


def _distinct(found: Sequence[Mapping[str, Any]]) -> List[Mapping[str, Any]]:
    """One session for each way in which names are resolved."""
    known: Dict[str, Mapping[str, Any]] = {}
    for session in found:
        known.setdefault(str([session[name] for name in (*_KEPT, "schemas", "translate", "version_schema")]), session)
    return list(known.values())


def _planned(session: Mapping[str, Any]) -> Dict[str, Any]:
    """What a plan keeps of a session."""
    return {name: session[name] for name in (*_KEPT, "schemas", "translate", "version_schema", "driver", "pooling")}


def _warnings(found: Sequence[Mapping[str, Any]]) -> List[str]:
    pooling = {session["pooling"] for session in found}
    warnings = []
    if "session" in pooling:
        warnings.append(
            "Alembic's URL goes through a pooler in session mode: a migration waits there for a free server connection."
        )
    if "unknown" in pooling:
        warnings.append("Whether Alembic's URL goes through a pooler could not be told.")
    return warnings


def _heads(connection: "psycopg.Connection[Any]", table: Table) -> List[str]:
    query = sql.SQL("SELECT version_num FROM {} ORDER BY 1").format(sql.Identifier(*table))
    return [str(revision) for (revision,) in connection.execute(query).fetchall()]


def _name(table: Table) -> str:
    return f"{table[0]}.{table[1]}"
