"""What is in a database: rows per table, sequences, schema objects and revision, from one snapshot.

The same census is taken of the live database for the forecast, into the manifest of a backup, and of the
restored database, so that the three can be compared.
"""

from __future__ import annotations

import hashlib
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Optional

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.postgres.catalog_queries import IDENTITY, OBJECTS, SEQUENCES, TABLES
from ansible.module_utils.rollback.words import listed

with suppress(ImportError):  # the module that uses this says so
    from psycopg import errors as pg_errors
    from psycopg import sql

if TYPE_CHECKING:
    import psycopg

DEFAULT_VERSION_TABLE = "public.alembic_version"


@dataclass(frozen=True)
class Table:
    """`rows` is exact. `inserted`, `updated`, `deleted` are the server's counters since it last reset them, or None.

    `oid` tells whether two censuses saw the same table or one made anew. `readable` says whether the
    application's role may read it (None where no role was asked about). `content` is a hash over all rows,
    independent of their order, where it was asked for.
    """

    rows: int
    oid: int
    inserted: Optional[int] = None
    updated: Optional[int] = None
    deleted: Optional[int] = None
    readable: Optional[bool] = None
    content: Optional[str] = None


@dataclass(frozen=True)
class Census:
    """`objects` maps `kind name` to a short hash of the definition; `alembic_heads` is None without a version table."""

    database: str
    database_oid: int
    server_version: str
    system_identifier: str
    bytes: int
    stats_reset: Optional[str]
    alembic_heads: Optional[List[str]]
    tables: Dict[str, Table] = field(default_factory=dict)
    sequences: Dict[str, Optional[int]] = field(default_factory=dict)
    objects: Dict[str, str] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables.values())

    def as_dict(self) -> Dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Dict[str, Any]) -> "Census":
        tables = {name: Table(**table) for name, table in content["tables"].items()}
        return cls(**{**content, "tables": tables})


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
) -> Census:
    """Count and list everything; call it inside `snapshot`. With `content`, every row is hashed too.

    Raises RollbackError where `application_role` does not exist or a table cannot be read.
    """
    identity = connection.execute(IDENTITY).fetchone()
    assert identity is not None  # noqa: S101 - a session is always in a database
    database, oid, version, system, size, reset = identity
    try:
        found = connection.execute(TABLES, {"role": application_role}).fetchall()
    except pg_errors.UndefinedObject as error:
        raise RollbackError(
            f"The application's role {application_role} does not exist on this server.",
            "Check rollback_application_role.",
        ) from error
    tables = {}
    for name, schema, relation, table_oid, inserted, updated, deleted, readable in found:
        rows, digest = _read(connection, schema, relation, content)
        tables[name] = Table(rows, table_oid, inserted, updated, deleted, readable, digest)
    objects = {f"{kind} {name}": _digest(definition) for kind, name, definition in connection.execute(OBJECTS)}
    return Census(
        database=database,
        database_oid=oid,
        server_version=version.split()[0],
        system_identifier=system,
        bytes=size,
        stats_reset=reset,
        alembic_heads=heads(connection, version_table),
        tables=tables,
        sequences=dict(connection.execute(SEQUENCES).fetchall()),
        objects=objects,
    )


def heads(connection: "psycopg.Connection[Any]", version_table: str = DEFAULT_VERSION_TABLE) -> Optional[List[str]]:
    """The revisions in Alembic's version table, sorted; None where there is no such table."""
    (exists,) = connection.execute("SELECT to_regclass(%s) IS NOT NULL", [version_table]).fetchone() or (False,)
    if not exists:
        return None
    name = sql.SQL(".").join(sql.Identifier(part) for part in version_table.split("."))
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


def differences(expected: Census, found: Census) -> List[str]:
    """What a restored database lacks, has too much or has otherwise, in sentences; empty where it is the same.

    Definitions are compared only between servers of one major version: each words them its own way.
    """
    problems = []
    if sorted(expected.alembic_heads or []) != sorted(found.alembic_heads or []):
        problems.append(
            f"the revision is {listed(found.alembic_heads or ['none'])}, not {listed(expected.alembic_heads or ['none'])}"
        )
    for name in sorted(expected.tables.keys() | found.tables.keys()):
        before, after = expected.tables.get(name), found.tables.get(name)
        if before and after and before.rows != after.rows:
            problems.append(f"{name} has {after.rows:,} rows, not {before.rows:,}")
        elif before and after and before.content and after.content and before.content != after.content:
            problems.append(f"{name} has other content in as many rows")
        elif before and after and before.readable and after.readable is False:
            problems.append(f"the application may no longer read {name}")
    for name in sorted(expected.sequences.keys() & found.sequences.keys()):
        if expected.sequences[name] != found.sequences[name]:
            problems.append(f"sequence {name} stands at {found.sequences[name]}, not {expected.sequences[name]}")
    same_major = expected.server_version.split(".")[0] == found.server_version.split(".")[0]
    missing = sorted(expected.objects.keys() - found.objects.keys())
    surplus = sorted(found.objects.keys() - expected.objects.keys())
    changed = sorted(
        name for name in expected.objects.keys() & found.objects.keys() if expected.objects[name] != found.objects[name]
    )
    if missing:
        problems.append(f"missing: {listed(missing)}")
    if surplus:
        problems.append(f"not in the original: {listed(surplus)}")
    if changed and same_major:
        problems.append(f"defined otherwise: {listed(changed)}")
    return problems


def _read(
    connection: "psycopg.Connection[Any]", schema: str, relation: str, content: bool
) -> "tuple[int, Optional[str]]":
    table = sql.Identifier(schema, relation)
    # Two seeds give 128 bits; sums do not care about order, and count(*) sees rows that would cancel out.
    hashed = sql.SQL(
        ", sum(hashtextextended(t::text, 0)::numeric)::text || ':' || sum(hashtextextended(t::text, 1)::numeric)::text"
    )
    query = sql.SQL("SELECT count(*){} FROM ONLY {} t").format(hashed if content else sql.SQL(""), table)
    try:
        row = connection.execute(query).fetchone() or (0,)
    except pg_errors.InsufficientPrivilege as error:
        raise RollbackError(
            f"{str(error).strip().capitalize()}.",
            "The operator's role must be able to read every table: make it a member of the owner's role.",
        ) from error
    return int(row[0]), str(row[-1] or "empty") if content else None


def _digest(definition: str) -> str:
    return hashlib.sha256((definition or "").encode()).hexdigest()[:12]
