"""What is in a database: rows per table, sequences, schema objects and revision, from one snapshot.

The same census is taken of the live database for the forecast, into the manifest of a backup, and of the
restored database, so that the three can be compared.
"""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Optional

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.words import listed

try:
    from psycopg import errors as pg_errors
    from psycopg import sql
except ImportError:  # the module that uses this says so
    pass

if TYPE_CHECKING:
    import psycopg

DEFAULT_VERSION_TABLE = "public.alembic_version"

_OURS = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
_NOT_OF_EXTENSION = "NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = '{catalog}'::regclass AND d.objid = {oid} AND d.deptype = 'e')"
_RELATION = f"{_OURS} AND {_NOT_OF_EXTENSION.format(catalog='pg_class', oid='c.oid')}"

_TABLES = f"""
SELECT format('%%I.%%I', n.nspname, c.relname) AS name, n.nspname, c.relname, c.oid::int8,
       s.n_tup_ins, s.n_tup_upd, s.n_tup_del,
       CASE WHEN %(role)s::text IS NULL THEN NULL ELSE has_schema_privilege(%(role)s, n.oid, 'USAGE') AND has_table_privilege(%(role)s, c.oid, 'SELECT') END
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_stat_all_tables s ON s.relid = c.oid
WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND {_RELATION} ORDER BY 1"""

_SEQUENCES = f"""
SELECT format('%I.%I', n.nspname, c.relname), pg_sequence_last_value(c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'S' AND {_RELATION} ORDER BY 1"""

_PRIVILEGES = """coalesce((SELECT string_agg(coalesce(a.grantee::regrole::text, '?') || ':' || a.privilege_type || CASE WHEN a.is_grantable THEN '*' ELSE '' END, ' '
  ORDER BY a.grantee::regrole::text, a.privilege_type) FROM aclexplode(coalesce({acl}, acldefault({kind}, {owner}))) a), '')"""

# Each yields (kind, name, definition). NOT NULL constraints are left to their columns: only PostgreSQL 18 names them.
_OBJECTS = f"""
SELECT 'column', format('%I.%I.%I', n.nspname, c.relname, a.attname),
       concat_ws(' ', format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'not null' END, 'default ' || pg_get_expr(d.adbin, d.adrelid),
                 nullif(a.attidentity, ''), nullif(a.attgenerated, ''), CASE WHEN a.attcollation <> t.typcollation THEN 'collate ' || a.attcollation::regcollation::text END)
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_type t ON t.oid = a.atttypid
     LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND {_RELATION}
UNION ALL
SELECT 'relation', format('%I.%I', n.nspname, c.relname),
       concat_ws(' ', c.relkind, c.relpersistence, c.relowner::regrole, 'rls'::text || c.relrowsecurity || c.relforcerowsecurity, pg_get_partkeydef(c.oid), pg_get_expr(c.relpartbound, c.oid),
                 CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END, {_PRIVILEGES.format(acl="c.relacl", kind="CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::" + '"char"', owner="c.relowner")})
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND c.relpersistence <> 't' AND {_RELATION}
UNION ALL
SELECT 'constraint', format('%I.%I.%I', n.nspname, coalesce(c.relname, t.typname), k.conname), pg_get_constraintdef(k.oid) || ' ' || k.convalidated
FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace LEFT JOIN pg_class c ON c.oid = k.conrelid LEFT JOIN pg_type t ON t.oid = k.contypid
WHERE k.contype <> 'n' AND {_OURS}
UNION ALL
SELECT 'index', format('%I.%I', n.nspname, c.relname), pg_get_indexdef(c.oid) || ' ' || i.indisvalid
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class r ON r.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE r.relkind IN ('r', 'p', 'm') AND {_RELATION}
UNION ALL
SELECT 'trigger', format('%I.%I.%I', n.nspname, c.relname, g.tgname), pg_get_triggerdef(g.oid) || ' ' || g.tgenabled::text
FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE NOT g.tgisinternal AND {_RELATION}
UNION ALL
SELECT 'policy', format('%I.%I.%I', n.nspname, c.relname, p.polname),
       concat_ws(' ', p.polcmd, p.polpermissive, pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {_RELATION}
UNION ALL
SELECT 'function', format('%I.%I(%s)', n.nspname, f.proname, pg_get_function_identity_arguments(f.oid)),
       CASE WHEN f.prokind IN ('f', 'p') THEN pg_get_functiondef(f.oid) ELSE f.prokind::text END || ' ' || f.proowner::regrole
FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace WHERE {_OURS} AND {_NOT_OF_EXTENSION.format(catalog='pg_proc', oid='f.oid')}
UNION ALL
SELECT 'type', format('%I.%I', n.nspname, t.typname),
       t.typtype::text || coalesce((SELECT string_agg(e.enumlabel, ',' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid), '') || coalesce(format_type(nullif(t.typbasetype, 0), t.typtypmod), '')
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE t.typtype IN ('e', 'd', 'r') AND {_OURS} AND {_NOT_OF_EXTENSION.format(catalog='pg_type', oid='t.oid')}
UNION ALL
SELECT 'sequence', format('%I.%I', n.nspname, c.relname), concat_ws(' ', format_type(q.seqtypid, NULL), q.seqstart, q.seqincrement, q.seqmin, q.seqmax, q.seqcycle)
FROM pg_sequence q JOIN pg_class c ON c.oid = q.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {_RELATION}
UNION ALL
SELECT 'schema', quote_ident(n.nspname), n.nspowner::regrole || ' ' || {_PRIVILEGES.format(acl="n.nspacl", kind="'n'", owner="n.nspowner")} FROM pg_namespace n WHERE {_OURS}
UNION ALL
SELECT 'extension', quote_ident(e.extname), e.extnamespace::regnamespace::text FROM pg_extension e
UNION ALL
SELECT 'large', 'objects', count(*)::text FROM pg_largeobject_metadata
ORDER BY 1, 2"""


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


@contextmanager
def snapshot(connection: "psycopg.Connection[Any]") -> Iterator[None]:
    """One read-only view for all that is read inside, whatever goes on around it."""
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    try:
        connection.execute("SET LOCAL statement_timeout = 0; SET LOCAL search_path = pg_catalog; SET LOCAL idle_in_transaction_session_timeout = 0")
        connection.execute("SET LOCAL DateStyle = ISO; SET LOCAL TimeZone = 'UTC'; SET LOCAL IntervalStyle = postgres; SET LOCAL extra_float_digits = 1; SET LOCAL bytea_output = hex")
        yield
    finally:
        connection.execute("ROLLBACK")


def take(
    connection: "psycopg.Connection[Any]", version_table: str = DEFAULT_VERSION_TABLE, application_role: Optional[str] = None, content: bool = False
) -> Census:
    """Count and list everything; call it inside `snapshot`. With `content`, every row is hashed too.

    Raises RollbackError where `application_role` does not exist or a table cannot be read.
    """
    database, oid, version, system, size, reset = connection.execute(
        "SELECT d.datname, d.oid::int8, current_setting('server_version'), (SELECT system_identifier::text FROM pg_control_system()),"
        " pg_database_size(d.oid), s.stats_reset::text FROM pg_database d LEFT JOIN pg_stat_database s ON s.datid = d.oid WHERE d.datname = current_database()"
    ).fetchone() or ()
    try:
        found = connection.execute(_TABLES, {"role": application_role}).fetchall()
    except pg_errors.UndefinedObject as error:
        raise RollbackError(f"The application's role {application_role} does not exist on this server.", "Check rollback_application_role.") from error
    tables = {}
    for name, schema, relation, table_oid, inserted, updated, deleted, readable in found:
        rows, digest = _read(connection, schema, relation, content)
        tables[name] = Table(rows, table_oid, inserted, updated, deleted, readable, digest)
    objects = {f"{kind} {name}": _digest(definition) for kind, name, definition in connection.execute(_OBJECTS)}
    return Census(
        database=database,
        database_oid=oid,
        server_version=version.split()[0],
        system_identifier=system,
        bytes=size,
        stats_reset=reset,
        alembic_heads=heads(connection, version_table),
        tables=tables,
        sequences=dict(connection.execute(_SEQUENCES).fetchall()),
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
        problems.append(f"the revision is {listed(found.alembic_heads or ['none'])}, not {listed(expected.alembic_heads or ['none'])}")
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
    changed = sorted(name for name in expected.objects.keys() & found.objects.keys() if expected.objects[name] != found.objects[name])
    if missing:
        problems.append(f"missing: {listed(missing)}")
    if surplus:
        problems.append(f"not in the original: {listed(surplus)}")
    if changed and same_major:
        problems.append(f"defined otherwise: {listed(changed)}")
    return problems


def _read(connection: "psycopg.Connection[Any]", schema: str, relation: str, content: bool) -> "tuple[int, Optional[str]]":
    table = sql.Identifier(schema, relation)
    # Two seeds give 128 bits; sums do not care about order, and count(*) sees rows that would cancel out.
    hashed = ", sum(hashtextextended(t::text, 0)::numeric)::text || ':' || sum(hashtextextended(t::text, 1)::numeric)::text" if content else ""
    query = sql.SQL("SELECT count(*)" + hashed + " FROM ONLY {} t").format(table)
    try:
        row = connection.execute(query).fetchone() or (0,)
    except pg_errors.InsufficientPrivilege as error:
        raise RollbackError(f"{str(error).strip().capitalize()}.", "The operator's role must be able to read every table: make it a member of the owner's role.") from error
    return row[0], (row[1] or "empty") if content else None


def _digest(definition: str) -> str:
    return hashlib.sha256((definition or "").encode()).hexdigest()[:12]
