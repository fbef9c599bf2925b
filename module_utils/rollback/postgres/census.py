"""Taking a census: rows per table, sequences, schema objects and revision of a database, from one snapshot.

The same census is taken of the live database for the forecast, into the manifest of a backup, and of the
restored database, so that the three can be compared.
"""

from __future__ import annotations

import hashlib
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Optional, Sequence

from ansible.module_utils.rollback.census import DEFAULT_VERSION_TABLE, Census, Table, hidden_rows
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.postgres import violations
from ansible.module_utils.rollback.postgres.catalog_queries import IDENTITY, OBJECTS, PARTITIONS, SEQUENCES, TABLES

with suppress(ImportError):  # the module that uses this says so
    from psycopg import errors as pg_errors
    from psycopg import sql

if TYPE_CHECKING:
    import psycopg

# No limit of the database's own may end a long count, and rows must read the same wherever they are hashed.
_SNAPSHOT_SETTINGS = (
    "statement_timeout = 0",
    "idle_in_transaction_session_timeout = 0",
    "search_path = pg_catalog",
    "DateStyle = ISO",
    "IntervalStyle = postgres",
    "TimeZone = 'UTC'",
    "extra_float_digits = 1",
    "bytea_output = hex",
)


@contextmanager
def snapshot(connection: "psycopg.Connection[Any]") -> Iterator[None]:
    """One read-only view for all that is read inside, whatever goes on around it."""
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    try:
        for setting in _SNAPSHOT_SETTINGS:
            connection.execute(f"SET LOCAL {setting}")
        yield
    finally:
        connection.execute("ROLLBACK")


def take(
    connection: "psycopg.Connection[Any]",
    version_table: str = DEFAULT_VERSION_TABLE,
    application_role: Optional[str] = None,
    content: bool = False,
    partial: bool = False,
) -> Census:
    """Count and list everything; call it inside `snapshot`. With `content`, every row is hashed too.

    Raises RollbackError where `application_role` does not exist or a table cannot be read. So it does where row-level
    security hides rows, unless `partial`: then such a table is `hidden`, and not counted.
    """
    known = identity(connection, version_table)
    try:
        found = connection.execute(TABLES, {"role": application_role}).fetchall()
    except pg_errors.UndefinedObject as error:
        raise RollbackError(
            f"The application's role {application_role} does not exist on this server.",
            "Check rollback_application_role.",
        ) from error
    hidden = [row[0] for row in found if row[-2]]
    if hidden and not partial:
        raise RollbackError(*hidden_rows(hidden))
    tables = {}
    for name, schema, relation, table_oid, inserted, updated, deleted, readable, is_hidden, condition in found:
        rows, digest = (0, None) if is_hidden else _read(connection, schema, relation, condition, content)
        tables[name] = Table(rows, table_oid, inserted, updated, deleted, readable, digest, hidden=is_hidden)
    return replace(
        known,
        tables=tables,
        sequences=dict(connection.execute(SEQUENCES).fetchall()),
        objects=objects(connection),
        partitions=dict(connection.execute(PARTITIONS).fetchall()),
    )


def objects(connection: "psycopg.Connection[Any]") -> Dict[str, str]:
    """Return a short hash of each definition, by `kind name`; call it inside `snapshot`."""
    return {f"{kind} {name}": _digest(definition) for kind, name, definition in connection.execute(OBJECTS)}


def counters(connection: "psycopg.Connection[Any]") -> Dict[int, Sequence[Optional[int]]]:
    """The server's counts of rows inserted, updated and deleted, by the table's OID; nothing is read of the tables."""
    return {row[3]: row[4:7] for row in connection.execute(TABLES, {"role": None})}


def identity(connection: "psycopg.Connection[Any]", version_table: str = DEFAULT_VERSION_TABLE) -> Census:
    """Which database it is and at which revision, with nothing counted: tables, sequences and objects are empty."""
    found = connection.execute(IDENTITY).fetchone()
    assert found is not None  # noqa: S101 - a session is always in a database
    database, oid, version, system, size, reset = found
    return Census(
        database=database,
        database_oid=oid,
        server_version=version.split()[0],
        system_identifier=system,
        bytes=size,
        stats_reset=reset,
        alembic_heads=heads(connection, version_table),
        tables={},
        sequences={},
        objects={},
    )


def heads(connection: "psycopg.Connection[Any]", version_table: str = DEFAULT_VERSION_TABLE) -> Optional[List[str]]:
    """The revisions in Alembic's version table, sorted; None where there is no such table.

    Raises RollbackError where row-level security hides them: that is not the same as none.
    """
    asked = "SELECT oid::int8, row_security_active(oid) FROM pg_class WHERE oid = to_regclass(%s)"
    name = sql.Identifier(*version_table.split("."))
    oid, hidden = connection.execute(asked, [name.as_string(connection)]).fetchone() or (None, False)
    if oid is None:
        return None
    if hidden:
        raise RollbackError(*hidden_rows([version_table]))
    return [row[0] for row in connection.execute(sql.SQL("SELECT version_num FROM {} ORDER BY 1").format(name))]


def read_as(connection: "psycopg.Connection[Any]", role: str, tables: List[str]) -> List[str]:
    """Read one row of each table as the application would; returns what it was refused, in PostgreSQL's words."""
    refused = []
    connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
    try:
        for table in tables:
            try:
                connection.execute(f"SELECT FROM {table} LIMIT 1")  # names come quoted from format('%I.%I')
            except pg_errors.InsufficientPrivilege as error:
                refused.append(str(error).strip())
    finally:
        connection.execute("RESET ROLE")
    return refused


def _read(
    connection: "psycopg.Connection[Any]", schema: str, relation: str, condition: str, content: bool
) -> "tuple[int, Optional[str]]":
    table = sql.Identifier(schema, relation)
    # Two seeds give 128 bits; sums do not care about order, and count(*) sees rows that would cancel out.
    hashed = sql.SQL(
        ", sum(hashtextextended(t::text, 0)::numeric)::text || ':' || sum(hashtextextended(t::text, 1)::numeric)::text"
    )
    # The condition is an extension's own, with which pg_dump chooses the rows that it dumps.
    query = sql.SQL("SELECT count(*){} FROM ONLY {} t {}").format(
        hashed if content else sql.SQL(""),
        table,
        sql.SQL(condition),
    )
    try:
        row = connection.execute(query).fetchone() or (0,)
    except pg_errors.InsufficientPrivilege as error:
        raise RollbackError(
            f"{str(error).strip().capitalize()}.",
            "The operator's role must be able to read every table: make it a member of the owner's role.",
        ) from error
    except pg_errors.ProgrammingError as error:
        if not violations.names_nothing(error):
            raise
        # To plan any query of a table PostgreSQL evaluates the immutable functions in its indexes.
        raise RollbackError(
            f"A dump of {schema}.{relation} would not load: {violations.words(error)}.", violations.QUALIFY
        ) from error
    return int(row[0]), str(row[-1] or "empty") if content else None


def _digest(definition: str) -> str:
    return hashlib.sha256((definition or "").encode()).hexdigest()[:12]
