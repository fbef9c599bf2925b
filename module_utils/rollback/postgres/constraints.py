"""Constraints that hold for what is kept as a whole, and not at each moment while it is brought back piece by piece.

All of this is for the inside of one transaction, at whose end they are what they were, and have been checked.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Collection, Iterable, Iterator, Sequence

from ansible.module_utils.rollback.postgres.relation import Relation

with suppress(ImportError):  # the module that uses this says so
    from psycopg import errors as pg_errors
    from psycopg import sql

if TYPE_CHECKING:
    import psycopg

# No table can be altered of which constraints still have to look at rows.
_NOTHING_PENDING = "SET CONSTRAINTS ALL IMMEDIATE"

# Foreign keys between these tables; those of partitions follow their parent's. Names come quoted.
_BETWEEN = """
SELECT format('ALTER TABLE %%s ALTER CONSTRAINT %%I', conrelid::regclass, conname),
       CASE WHEN NOT condeferrable THEN 'NOT DEFERRABLE' WHEN condeferred THEN 'DEFERRABLE INITIALLY DEFERRED'
            ELSE 'DEFERRABLE INITIALLY IMMEDIATE' END
FROM pg_constraint WHERE contype = 'f' AND conparentid = 0 AND conrelid = ANY(%(tables)s::oid[]) AND confrelid = ANY(%(tables)s::oid[])
ORDER BY conrelid, conname"""

# Unique indexes and exclusion constraints that look at one of these columns: how to remove them, in which tablespace and how to make
# them again, and what was said of them besides.
_UNIQUE = """
SELECT CASE WHEN k.oid IS NULL THEN format('DROP INDEX %%s', i.indexrelid::regclass)
            ELSE format('ALTER TABLE %%s DROP CONSTRAINT %%I', i.indrelid::regclass, k.conname) END,
       CASE WHEN k.oid IS NULL THEN pg_get_indexdef(i.indexrelid)
            ELSE format('ALTER TABLE %%s ADD CONSTRAINT %%I %%s', i.indrelid::regclass, k.conname, pg_get_constraintdef(k.oid)) END,
       coalesce(p.spcname, ''),
       'ALTER INDEX ' || i.indexrelid::regclass || ' SET (' || array_to_string(x.reloptions, ', ') || ')',
       (SELECT string_agg(format('ALTER INDEX %%s ALTER COLUMN %%s SET STATISTICS %%s', i.indexrelid::regclass, attnum, attstattarget), '; ')
        FROM pg_attribute WHERE attrelid = i.indexrelid AND attstattarget >= 0),
       CASE WHEN i.indisclustered THEN format('ALTER TABLE %%s CLUSTER ON %%I', i.indrelid::regclass, x.relname) END,
       CASE WHEN i.indisreplident THEN format('ALTER TABLE %%s REPLICA IDENTITY USING INDEX %%I', i.indrelid::regclass, x.relname) END,
       'COMMENT ON INDEX ' || i.indexrelid::regclass || ' IS ' || quote_literal(obj_description(i.indexrelid, 'pg_class')),
       'COMMENT ON CONSTRAINT ' || quote_ident(k.conname) || ' ON ' || i.indrelid::regclass || ' IS '
         || quote_literal(obj_description(k.oid, 'pg_constraint'))
FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid LEFT JOIN pg_tablespace p ON p.oid = x.reltablespace
     LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.conrelid = i.indrelid AND k.contype IN ('u', 'x')
WHERE i.indrelid = %(table)s AND (i.indisunique OR i.indisexclusion) AND NOT i.indisprimary AND i.indisvalid
  AND EXISTS (SELECT FROM pg_depend d JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = d.refobjsubid
              WHERE d.classid IN ('pg_class'::regclass, 'pg_constraint'::regclass) AND d.objid IN (i.indexrelid, k.oid)
                AND d.refobjid = i.indrelid AND a.attname = ANY(%(columns)s))
ORDER BY i.indexrelid"""

# Checks that rows may break which were there before them. Those of partitions and children follow their parent's.
_NOT_VALID = """
SELECT format('ALTER TABLE %%s DROP CONSTRAINT %%I', conrelid::regclass, conname),
       format('ALTER TABLE %%s ADD CONSTRAINT %%I %%s', conrelid::regclass, conname, pg_get_constraintdef(oid)),
       'COMMENT ON CONSTRAINT ' || quote_ident(conname) || ' ON ' || conrelid::regclass || ' IS '
         || quote_literal(obj_description(oid, 'pg_constraint'))
FROM pg_constraint WHERE contype = 'c' AND NOT convalidated AND coninhcount = 0 AND conrelid = ANY(%s::oid[]) ORDER BY conrelid, conname"""

# Triggers and rules of a table and of its partitions that fire, and how to let them fire as they did. Names come quoted.
_TRIGGERS = """
WITH firing (of, what, name, enabled) AS (
  SELECT tgrelid, 'TRIGGER', tgname, tgenabled FROM pg_trigger WHERE NOT tgisinternal
  UNION ALL SELECT ev_class, 'RULE', rulename, ev_enabled FROM pg_rewrite WHERE ev_type <> '1')
SELECT format('ALTER TABLE %%s%%s DISABLE %%s %%I', CASE what WHEN 'TRIGGER' THEN 'ONLY ' END, of::regclass, what, name),
       format('ALTER TABLE %%s%%s ENABLE %%s %%s %%I', CASE what WHEN 'TRIGGER' THEN 'ONLY ' END, of::regclass,
              CASE enabled WHEN 'R' THEN 'REPLICA' WHEN 'A' THEN 'ALWAYS' ELSE '' END, what, name)
FROM firing
WHERE enabled <> 'D' AND (of = %(table)s OR of IN (SELECT relid FROM pg_partition_tree(%(table)s::oid)))
ORDER BY of, what, name"""


def check_pending(connection: "psycopg.Connection[Any]") -> None:
    """Look now at what deferred constraints still have to look at. Raises psycopg.IntegrityError."""
    connection.execute(_NOTHING_PENDING)


@contextmanager
def without_triggers(connection: "psycopg.Connection[Any]", tables: Iterable[int]) -> Iterator[None]:
    """Keep the application's triggers and rules quiet: what they would do was done when the rows were first written."""
    found = [row for table in tables for row in connection.execute(_TRIGGERS, {"table": table}).fetchall()]
    for disable, _ in found:
        connection.execute(disable)
    yield
    if found:
        connection.execute(_NOTHING_PENDING)
    for _, enable in found:
        connection.execute(enable)


@contextmanager
def without_unvalidated(connection: "psycopg.Connection[Any]", tables: Iterable[int]) -> Iterator[None]:
    """Let rows come back that were there before a check which was added as NOT VALID; it is NOT VALID again at the end."""
    found = connection.execute(_NOT_VALID, [list(tables)]).fetchall()
    for drop, *_ in found:
        connection.execute(drop)
    yield
    if found:
        connection.execute(_NOTHING_PENDING)
    for _, *statements in found:
        for statement in filter(None, statements):
            connection.execute(statement)


@contextmanager
def writable(connection: "psycopg.Connection[Any]", table: Relation, columns: Sequence[str]) -> Iterator[None]:
    """Let these columns, to which only the server gives values (GENERATED ALWAYS AS IDENTITY), be written."""
    alter = sql.SQL("ALTER TABLE {} ALTER COLUMN {} SET GENERATED {}")
    name = sql.Identifier(table.schema, table.name)
    for column in columns:
        connection.execute(alter.format(name, sql.Identifier(column), sql.SQL("BY DEFAULT")))
    yield
    if columns:
        connection.execute(_NOTHING_PENDING)
    for column in columns:
        connection.execute(alter.format(name, sql.Identifier(column), sql.SQL("ALWAYS")))


@contextmanager
def deferred(connection: "psycopg.Connection[Any]", tables: Collection[int]) -> Iterator[None]:
    """Look at the foreign keys between these tables, given by OID, only at the end. Raises psycopg.IntegrityError then."""
    found = connection.execute(_BETWEEN, {"tables": list(tables)}).fetchall() if tables else []
    for alter, _ in found:
        connection.execute(f"{alter} DEFERRABLE INITIALLY DEFERRED")
    yield
    if found:
        connection.execute(_NOTHING_PENDING)
    for alter, was in found:
        connection.execute(f"{alter} {was}")


def write(
    connection: "psycopg.Connection[Any]", statement: "sql.Composed", table: Relation, columns: Sequence[str]
) -> int:
    """Write `columns` of a table, of which rows may change their unique values with each other; returns how many rows.

    Raises psycopg.IntegrityError, with nothing written, where more than the order of rows stands in the way.
    """
    try:
        with connection.transaction():
            return max(connection.execute(statement).rowcount, 0)
    except (pg_errors.UniqueViolation, pg_errors.ExclusionViolation) as error:
        if table.partitioned:
            raise
        try:
            with connection.transaction(), _not_unique(connection, table.oid, columns):
                return max(connection.execute(statement).rowcount, 0)
        except (pg_errors.IntegrityError, pg_errors.DependentObjectsStillExist):
            raise error from None


@contextmanager
def _not_unique(connection: "psycopg.Connection[Any]", table: int, columns: Sequence[str]) -> Iterator[None]:
    """Look only at the end at what has to be unique in these columns, since rows may change their values with each other.

    Raises psycopg.Error where they are not, or where a foreign key refers to them.
    """
    found = connection.execute(_UNIQUE, {"table": table, "columns": list(columns)}).fetchall()
    if found:
        connection.execute(_NOTHING_PENDING)
    for drop, *_ in found:
        connection.execute(drop)
    yield
    if found:
        connection.execute(_NOTHING_PENDING)
    (usual,) = connection.execute("SHOW default_tablespace").fetchone() or ("",)
    for _, make, tablespace, *said in found:
        connection.execute("SELECT set_config('default_tablespace', %s, true)", [tablespace])
        for statement in filter(None, (make, *said)):
            connection.execute(statement)
    if found:
        connection.execute("SELECT set_config('default_tablespace', %s, true)", [usual])
