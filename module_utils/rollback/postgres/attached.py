"""What hangs on a table and is lost when a downgrade drops the table or a column: indexes, constraints, triggers, policies, comments.

An upgrade makes again what its script has. What somebody added by hand, or another tool did, is recorded before the downgrade and
made again by the undo where it is missing then, in the words of the catalogue. What cannot be made is named with its statement.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Sequence, Tuple

from ansible.module_utils.rollback.migrations.operations import COLUMN, TABLE
from ansible.module_utils.rollback.postgres.copies import Copy

with suppress(ImportError):  # the module that uses this reports it
    from psycopg import errors as pg_errors
    from psycopg import sql

if TYPE_CHECKING:
    import psycopg

# In the order in which they can be made. Columns and their sequences come before the rows, everything else after them.
_BEFORE_ROWS = 1

# Each thing: its phase, kind and name, the columns that it concerns (none: the table), what makes two of them the same, how to make
# it, and whether the table's owner makes it, whose functions it may call. Parameters are the table and its name as the catalogue
# quotes it; search_path has to be pg_catalog, so that every definition names schemas.
_ATTACHED = """
WITH t AS (SELECT *, oid::regclass::text AS full_name FROM pg_class WHERE oid = %(table)s),
a AS (SELECT p.*, pg_get_expr(d.adbin, d.adrelid) AS expression, format('ALTER TABLE %%s ALTER COLUMN %%I ', full_name, attname) AS alter_column
      FROM t JOIN pg_attribute p ON p.attrelid = t.oid AND p.attnum > 0 AND NOT p.attisdropped
      LEFT JOIN pg_attrdef d ON d.adrelid = p.attrelid AND d.adnum = p.attnum),
i AS (SELECT x.*, c.relname::text AS index_name, c.relkind AS index_kind, ARRAY(SELECT attname::text FROM pg_depend d JOIN a ON a.attnum = d.refobjsubid
              WHERE d.classid = 'pg_class'::regclass AND d.objid = x.indexrelid AND d.refobjid = x.indrelid
              UNION SELECT attname::text FROM a WHERE a.attnum = ANY(x.indkey::int2[])) AS columns
      FROM t JOIN pg_index x ON x.indrelid = t.oid JOIN pg_class c ON c.oid = x.indexrelid WHERE x.indisvalid),
k AS (SELECT c.*, pg_get_constraintdef(c.oid) AS definition, ARRAY(SELECT attname::text FROM a WHERE attnum = ANY(c.conkey)) AS columns
      FROM t JOIN pg_constraint c ON c.conrelid = t.oid WHERE c.contype IN ('p', 'u', 'x', 'c', 'f') AND c.conparentid = 0 AND c.conislocal),
s AS (SELECT e.*, ARRAY(SELECT attname::text FROM pg_depend d JOIN a ON a.attnum = d.refobjsubid
              WHERE d.classid = 'pg_statistic_ext'::regclass AND d.objid = e.oid AND d.refobjid = e.stxrelid) AS columns
      FROM t JOIN pg_statistic_ext e ON e.stxrelid = t.oid),
g AS (SELECT r.*, ARRAY(SELECT attname::text FROM pg_depend d JOIN a ON a.attnum = d.refobjsubid
              WHERE d.classid = 'pg_trigger'::regclass AND d.objid = r.oid AND d.refobjid = r.tgrelid) AS columns
      FROM t JOIN pg_trigger r ON r.tgrelid = t.oid WHERE NOT r.tgisinternal AND coalesce(to_jsonb(r) ->> 'tgparentid', '0') = '0'),
w AS (SELECT r.*, ARRAY(SELECT attname::text FROM pg_depend d JOIN a ON a.attnum = d.refobjsubid
              WHERE d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refobjid = r.ev_class) AS columns
      FROM t JOIN pg_rewrite r ON r.ev_class = t.oid WHERE r.rulename <> '_RETURN'),
p AS (SELECT o.*, ARRAY(SELECT attname::text FROM pg_depend d JOIN a ON a.attnum = d.refobjsubid
              WHERE d.classid = 'pg_policy'::regclass AND d.objid = o.oid AND d.refobjid = o.polrelid) AS columns
      FROM t JOIN pg_policy o ON o.polrelid = t.oid),
q AS (SELECT a.attname, a.alter_column, c.oid::regclass::text AS sequence, format('%%s.%%I', t.full_name, a.attname) AS of_column, format(
               'CREATE SEQUENCE %%s AS %%s INCREMENT BY %%s MINVALUE %%s MAXVALUE %%s START WITH %%s CACHE %%s%%s', c.oid::regclass,
               format_type(o.seqtypid, NULL), o.seqincrement, o.seqmin, o.seqmax, o.seqstart, o.seqcache, CASE WHEN o.seqcycle THEN ' CYCLE' END) AS made
      FROM t, a JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
      AND d.classid = 'pg_class'::regclass AND d.deptype = 'a'
      JOIN pg_class c ON c.oid = d.objid AND c.relkind = 'S' JOIN pg_sequence o ON o.seqrelid = c.oid),
found (phase, kind, name, columns, definition, statement, as_owner) AS (
SELECT 0, 'sequence', sequence, ARRAY[attname::text], made, made, true FROM q
UNION ALL SELECT 1, 'sequence of column', attname, ARRAY[attname], attname || ' ' || sequence,
       format('ALTER SEQUENCE %%s OWNED BY %%s', sequence, of_column), true FROM q
UNION ALL SELECT 1, 'type of column', attname, ARRAY[attname], attname || ' ' || type,
       alter_column || 'TYPE ' || type || ' USING ' || quote_ident(attname) || '::'
         || format_type(atttypid, atttypmod), true FROM (
       SELECT a.*, format_type(atttypid, atttypmod) || coalesce((SELECT format(' COLLATE %%I.%%I', n.nspname, o.collname) FROM pg_collation o
                JOIN pg_namespace n ON n.oid = o.collnamespace WHERE o.oid = attcollation), '') AS type FROM a WHERE attgenerated = '') typed
UNION ALL
SELECT 1, 'column', attname::text, ARRAY[attname::text], attname::text,
       format('ALTER TABLE %%s ADD COLUMN %%I %%s%%s%%s', full_name, attname, format_type(atttypid, atttypmod),
              (SELECT format(' COLLATE %%I.%%I', n.nspname, o.collname) FROM pg_collation o JOIN pg_namespace n ON n.oid = o.collnamespace
               JOIN pg_type y ON y.oid = atttypid WHERE o.oid = attcollation AND attcollation <> y.typcollation),
              CASE WHEN attgenerated = 's' THEN ' GENERATED ALWAYS AS (' || expression || ') STORED'
                   WHEN attgenerated = 'v' THEN ' GENERATED ALWAYS AS (' || expression || ')'
                   WHEN attidentity = 'a' THEN ' GENERATED ALWAYS AS IDENTITY' WHEN attidentity = 'd' THEN ' GENERATED BY DEFAULT AS IDENTITY'
                   ELSE ' DEFAULT ' || expression END), true FROM t, a
UNION ALL SELECT 2, 'default of column', attname, ARRAY[attname], attname || ' ' || expression, alter_column || 'SET DEFAULT ' || expression, true
  FROM a WHERE expression IS NOT NULL AND attgenerated = ''
UNION ALL SELECT 2, 'NOT NULL of column', attname, ARRAY[attname], attname, alter_column || 'SET NOT NULL', true FROM a WHERE attnotnull
UNION ALL SELECT 2, 'statistics target of column', attname, ARRAY[attname], attname || ' ' || attstattarget,
       alter_column || 'SET STATISTICS ' || attstattarget, true FROM a WHERE attstattarget >= 0
UNION ALL SELECT 2, 'options of column', attname, ARRAY[attname], attname || ' ' || options, alter_column || 'SET (' || options || ')', true
  FROM a, LATERAL (SELECT string_agg(one, ', ') FROM unnest(attoptions) u (one) WHERE one NOT LIKE 'pg\\_attver=%%') o (options) WHERE options <> ''
UNION ALL SELECT 2, 'storage of column', attname, ARRAY[attname], attname || ' ' || attstorage::text,
       alter_column || 'SET STORAGE ' || CASE attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END, true
  FROM a JOIN pg_type y ON y.oid = atttypid WHERE attstorage <> typstorage
UNION ALL SELECT 2, 'compression of column', attname, ARRAY[attname], attname || ' ' || (to_jsonb(a) ->> 'attcompression'),
       alter_column || 'SET COMPRESSION ' || CASE to_jsonb(a) ->> 'attcompression' WHEN 'l' THEN 'lz4' ELSE 'pglz' END, true
  FROM a WHERE coalesce(to_jsonb(a) ->> 'attcompression', '') <> ''
UNION ALL SELECT 2, 'persistence', 'UNLOGGED', '{}', '', format('ALTER TABLE %%s SET UNLOGGED', full_name), true FROM t WHERE relpersistence = 'u'
UNION ALL SELECT 2, 'tablespace', spcname, '{}', spcname, format('ALTER TABLE %%s SET TABLESPACE %%I', full_name, spcname), false
  FROM t JOIN pg_tablespace z ON z.oid = t.reltablespace
UNION ALL SELECT 2, 'storage parameters', '', '{}', reloptions::text,
       format('ALTER TABLE %%s SET (%%s)', full_name, array_to_string(reloptions, ', ')), true FROM t WHERE reloptions IS NOT NULL
UNION ALL SELECT 2, 'storage parameters', 'of TOAST', '{}', o.reloptions::text,
       format('ALTER TABLE %%s SET (toast.%%s)', full_name, array_to_string(o.reloptions, ', toast.')), true
  FROM t JOIN pg_class o ON o.oid = t.reltoastrelid WHERE o.reloptions IS NOT NULL
UNION ALL SELECT CASE contype WHEN 'f' THEN 4 ELSE 3 END, 'constraint', conname, columns, definition,
       format('ALTER TABLE %%s ADD CONSTRAINT %%I %%s', full_name, conname, definition), true FROM t, k
UNION ALL SELECT 3, 'index', index_name, columns, replace(pg_get_indexdef(indexrelid), 'INDEX ' || quote_ident(index_name) || ' ON ', 'INDEX ON '),
       CASE index_kind WHEN 'I' THEN replace(pg_get_indexdef(indexrelid), ' ON ONLY ', ' ON ') ELSE pg_get_indexdef(indexrelid) END, true
  FROM i WHERE NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = indexrelid AND c.contype IN ('p', 'u', 'x'))
   AND NOT EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = indexrelid)
UNION ALL SELECT 4, 'tablespace of index', index_name, columns, index_name || ' ' || spcname,
       format('ALTER INDEX %%s SET TABLESPACE %%I', indexrelid::regclass, spcname), false
  FROM i JOIN pg_class c ON c.oid = indexrelid JOIN pg_tablespace z ON z.oid = c.reltablespace
UNION ALL SELECT 4, 'order of index', index_name, columns, index_name, format('ALTER TABLE %%s CLUSTER ON %%I', full_name, index_name), true
  FROM t, i WHERE indisclustered
UNION ALL SELECT 4, 'replica identity', CASE relreplident WHEN 'f' THEN 'FULL' ELSE 'NOTHING' END, '{}', relreplident::text,
       format('ALTER TABLE %%s REPLICA IDENTITY %%s', full_name, CASE relreplident WHEN 'f' THEN 'FULL' ELSE 'NOTHING' END), true
  FROM t WHERE relreplident IN ('f', 'n')
UNION ALL SELECT 4, 'replica identity', index_name, columns, index_name, format('ALTER TABLE %%s REPLICA IDENTITY USING INDEX %%I', full_name, index_name), true
  FROM t, i WHERE indisreplident
UNION ALL SELECT 4, 'statistics', stxname, columns, pg_get_statisticsobjdef(oid), pg_get_statisticsobjdef(oid), true FROM s
UNION ALL SELECT 4, 'trigger', tgname, columns, pg_get_triggerdef(oid), pg_get_triggerdef(oid), true FROM g
UNION ALL SELECT 5, 'state of trigger', tgname, columns, tgname || ' ' || tgenabled::text, format('ALTER TABLE %%s %%s TRIGGER %%I', full_name,
       CASE tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END, tgname), true
  FROM t, g WHERE tgenabled <> 'O'
UNION ALL SELECT 4, 'rule', rulename, columns, pg_get_ruledef(oid), pg_get_ruledef(oid), true FROM w
UNION ALL SELECT 5, 'state of rule', rulename, columns, rulename || ' ' || ev_enabled::text, format('ALTER TABLE %%s %%s RULE %%I', full_name,
       CASE ev_enabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END, rulename), true
  FROM t, w WHERE ev_enabled <> 'O'
UNION ALL SELECT 4, 'policy', polname, columns, made, made, true FROM (
       SELECT polname, columns, format('CREATE POLICY %%I ON %%s AS %%s FOR %%s TO %%s%%s%%s', polname, full_name,
              CASE WHEN polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
              CASE polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
              (SELECT string_agg(CASE role WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(role)) END, ', ') FROM unnest(polroles) u (role)),
              ' USING (' || pg_get_expr(polqual, polrelid) || ')', ' WITH CHECK (' || pg_get_expr(polwithcheck, polrelid) || ')') AS made
       FROM t, p) made
UNION ALL SELECT 5, 'row-level security', '', '{}', '', format('ALTER TABLE %%s ENABLE ROW LEVEL SECURITY', full_name), true FROM t WHERE relrowsecurity
UNION ALL SELECT 5, 'row-level security', 'of the owner', '{}', 'force', format('ALTER TABLE %%s FORCE ROW LEVEL SECURITY', full_name), true
  FROM t WHERE relforcerowsecurity
UNION ALL SELECT 6, 'comment on ' || lower(what), name, columns, name || ' ' || said,
       format('COMMENT ON %%s %%s IS %%L', what, target, said), true FROM (
       SELECT 'TABLE', relname::text, '{}'::text[], full_name, obj_description(oid, 'pg_class') FROM t
       UNION ALL SELECT 'COLUMN', attname::text, ARRAY[attname::text], format('%%s.%%I', full_name, attname), col_description(t.oid, attnum) FROM t, a
       UNION ALL SELECT 'CONSTRAINT', conname::text, columns, format('%%I ON %%s', conname, full_name), obj_description(k.oid, 'pg_constraint') FROM t, k
       UNION ALL SELECT 'INDEX', index_name, columns, indexrelid::regclass::text, obj_description(indexrelid, 'pg_class') FROM i
       UNION ALL SELECT 'TRIGGER', tgname::text, columns, format('%%I ON %%s', tgname, full_name), obj_description(g.oid, 'pg_trigger') FROM t, g
       UNION ALL SELECT 'RULE', rulename::text, columns, format('%%I ON %%s', rulename, full_name), obj_description(w.oid, 'pg_rewrite') FROM t, w
       UNION ALL SELECT 'POLICY', polname::text, columns, format('%%I ON %%s', polname, full_name), obj_description(p.oid, 'pg_policy') FROM t, p
       UNION ALL SELECT 'STATISTICS', stxname::text, columns, format('%%I.%%I', n.nspname, stxname), obj_description(s.oid, 'pg_statistic_ext')
         FROM s JOIN pg_namespace n ON n.oid = s.stxnamespace) noted (what, name, columns, target, said) WHERE said IS NOT NULL
UNION ALL SELECT 7, 'publication', b.pubname, '{}', b.pubname, format('ALTER PUBLICATION %%I ADD TABLE ONLY %%s%%s%%s', b.pubname, full_name,
       CASE WHEN to_jsonb(r) ->> 'prattrs' IS NOT NULL THEN
         (SELECT ' (' || string_agg(quote_ident(one), ', ') || ')' FROM jsonb_array_elements_text(v.said -> 'attnames') u (one)) END,
       ' WHERE (' || (v.said ->> 'rowfilter') || ')'), false
  FROM t JOIN pg_publication_rel r ON r.prrelid = t.oid JOIN pg_publication b ON b.oid = r.prpubid
  LEFT JOIN LATERAL (SELECT to_jsonb(p) AS said FROM pg_publication_tables p
    WHERE p.pubname = b.pubname AND format('%%I.%%I', p.schemaname, p.tablename) = full_name LIMIT 1) v ON true
UNION ALL SELECT 7, 'owner', pg_get_userbyid(relowner), '{}', pg_get_userbyid(relowner),
       format('ALTER TABLE %%s OWNER TO %%I', full_name, pg_get_userbyid(relowner)), false FROM t
UNION ALL SELECT DISTINCT 8, CASE c.relkind WHEN 'm' THEN 'materialized view' ELSE 'view' END, c.oid::regclass::text,
       ARRAY(SELECT attname::text FROM pg_depend o JOIN a ON a.attnum = o.refobjsubid
             WHERE o.classid = 'pg_rewrite'::regclass AND o.objid = r.oid AND o.refobjid = t.oid),
       c.oid::regclass::text, format('CREATE %%s %%s AS %%s', CASE c.relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'VIEW' END, c.oid::regclass,
       pg_get_viewdef(c.oid)), true
  FROM t JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid
  JOIN pg_rewrite r ON r.oid = d.objid JOIN pg_class c ON c.oid = r.ev_class WHERE c.relkind IN ('v', 'm'))
SELECT phase, kind, name::text, columns::text[], definition::text, statement, as_owner FROM found ORDER BY phase, kind, name"""

# A view that reads a dropped table goes with it only by CASCADE. Who may read it is not recorded, so it is left to its owner.
_ONLY_NAMED = ("view", "materialized view")

# How to drop what has the name of something that was there before and is defined otherwise.
_DROP = {
    "constraint": "ALTER TABLE {table} DROP CONSTRAINT {name}",
    "index": "DROP INDEX {schema}.{name}",
    "policy": "DROP POLICY {name} ON {table}",
    "rule": "DROP RULE {name} ON {table}",
    "trigger": "DROP TRIGGER {name} ON {table}",
}

_TREE = """
SELECT n.nspname, c.relname, c.oid::bigint FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = %(table)s OR c.oid IN (SELECT relid FROM pg_partition_tree(%(table)s::oid)) AND c.relkind IN ('r', 'p')
ORDER BY c.oid = %(table)s DESC, n.nspname, c.relname"""

# Made anew for each statement, since its owner can change it.
_AS_OWNER = """
CREATE FUNCTION pg_temp.rollback_as_owner(statement text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS 'BEGIN EXECUTE statement; END'"""

Attached = Tuple[int, str, str, List[str], str, str, bool]


@dataclass(frozen=True)
class Noted:
    """One thing as it was recorded: `oid` is that of the table which has its full name `table` now."""

    oid: int
    table: str
    kind: str
    name: str
    definition: str
    statement: str
    as_owner: bool


def note(connection: "psycopg.Connection[Any]", schema: str, copies: Sequence[Copy]) -> None:
    """Record in the salvage schema what hangs on the tables and columns that `copies` were taken from."""
    table = sql.Identifier(schema, "attached")
    connection.execute(
        sql.SQL(
            "CREATE TABLE {} (copy text, number int, of_schema text, of_table text, phase int, kind text, name text, definition text,"
            " statement text, as_owner boolean, whole boolean)"
        ).format(table)
    )
    insert = sql.SQL("INSERT INTO {} VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)").format(table)
    for copy in copies:
        if copy.kind not in (TABLE, COLUMN):
            continue
        number = 0
        for of_schema, of_table, oid in connection.execute(_TREE, {"table": copy.oid}).fetchall():
            for phase, kind, name, columns, definition, statement, as_owner in _of(connection, oid):
                if copy.kind == TABLE or set(columns) & set(copy.columns):
                    number += 1
                    place = [copy.name, number, of_schema, of_table]
                    thing = [phase, kind, name, definition, statement, as_owner, copy.kind == TABLE]
                    connection.execute(insert, place + thing)


def make_columns(connection: "psycopg.Connection[Any]", schema: str) -> List[str]:
    """Add those columns that the upgrade has not made, without values yet, and drop what only the upgrade demands of rows.

    Returns sentences about what was dropped and what could not be made.
    """
    return [*_make(connection, schema, "phase <= %s"), *_loosen(connection, schema)]


def make_rest(connection: "psycopg.Connection[Any]", schema: str) -> List[str]:
    """Make whatever else is missing, once the rows are back; return sentences about what could not be made, and what is new."""
    return [*_make(connection, schema, "phase > %s"), *_new(connection, schema)]


def _make(connection: "psycopg.Connection[Any]", schema: str, which: str) -> Iterator[str]:
    there: Dict[int, List[Attached]] = {}
    for one in _noted(connection, schema, which, _BEFORE_ROWS):
        if one.oid not in there:
            there[one.oid] = _of(connection, one.oid)
        now = there[one.oid]
        if any((found[1], found[4]) == (one.kind, one.definition) for found in now):
            continue
        what = f"{one.table} had the {one.kind} {one.name}".rstrip()
        if one.kind in _ONLY_NAMED:
            yield f"{what}, which is not made again by itself: {one.statement}"
            continue
        # PostgreSQL words an expression differently once it was dumped and restored; what was there before is right either way.
        in_its_place = any((found[1], found[2]) == (one.kind, one.name) for found in now) and one.kind in _DROP
        drop = f"{_dropping(connection, one.oid, one.kind, one.name)}; " if in_its_place else ""
        why = _execute(connection, one.oid, drop + one.statement, one.as_owner)
        del there[one.oid]
        if why:
            yield f"{what}, which could not be made again ({why}): {one.statement};"


def _loosen(connection: "psycopg.Connection[Any]", schema: str) -> Iterator[str]:
    """Rows that come back may break what is new, or was defined otherwise. Of that, only what is new is named."""
    # A primary key goes before the NOT NULL that it implies.
    for oid, of_table, kind, name, known in sorted(
        _surplus(connection, schema), key=lambda one: one[2] != "constraint"
    ):
        if kind not in ("constraint", "NOT NULL of column"):
            continue
        why = _execute(connection, oid, _dropping(connection, oid, kind, name), as_owner=True)
        did = f"which could not be dropped ({why})" if why else "which was dropped again"
        if why or not known:
            yield f"{of_table} did not have the {kind} {name} that the upgrade makes, {did}."


def _new(connection: "psycopg.Connection[Any]", schema: str) -> Iterator[str]:
    for _, of_table, kind, name, known in _surplus(connection, schema):
        if not known:
            yield f"{of_table} has the {kind} {name}".rstrip() + ", which it did not have before the downgrade."


def _surplus(connection: "psycopg.Connection[Any]", schema: str) -> Iterator[Tuple[int, str, str, str, bool]]:
    """What hangs on whole tables now and did not before: OID and name of the table, its kind and name, and whether one of that name did."""
    before: Dict[Tuple[int, str], List[Noted]] = {}
    for one in _noted(connection, schema, "whole AND phase >= %s", 0):
        before.setdefault((one.oid, one.table), []).append(one)
    for (oid, of_table), known in before.items():
        definitions = {(one.kind, one.definition) for one in known}
        names = {(one.kind, one.name) for one in known}
        for _, kind, name, _, definition, *_ in _of(connection, oid):
            if (kind, definition) not in definitions and kind not in _ONLY_NAMED:
                yield oid, of_table, kind, name, (kind, name) in names


def _dropping(connection: "psycopg.Connection[Any]", oid: int, kind: str, name: str) -> str:
    query = "SELECT c.oid::regclass::text, quote_ident(nspname) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE c.oid = %s"
    table, schema = connection.execute(query, [oid]).fetchone() or ("", "")
    drop = _DROP.get(kind, "ALTER TABLE {table} ALTER COLUMN {name} DROP NOT NULL")
    return drop.format(table=table, schema=schema, name=sql.Identifier(name).as_string(connection))


def _noted(connection: "psycopg.Connection[Any]", schema: str, which: str, phase: int) -> List[Noted]:
    """What was recorded of those tables that are there."""
    table = sql.Identifier(schema, "attached")
    if connection.execute("SELECT to_regclass(%s)", [table.as_string(connection)]).fetchone() == (None,):
        return []  # an older version of this tool recorded nothing
    query = sql.SQL(
        "SELECT c.oid::bigint, of_schema || '.' || of_table, kind, name, definition, statement, as_owner"
        " FROM {} JOIN pg_class c ON c.oid = to_regclass(format('%%I.%%I', of_schema, of_table)) AND c.relkind IN ('r', 'p')"
        " WHERE {} ORDER BY phase, copy, number"
    ).format(table, sql.SQL(which))
    return [Noted(*row) for row in connection.execute(query, [phase]).fetchall()]


def _execute(connection: "psycopg.Connection[Any]", oid: int, statement: str, as_owner: bool) -> str:
    """Why a statement failed, empty where it did not.

    It may call functions of the table's owner, who must not get more rights by it. SET ROLE alone could be taken back by such a
    function; inside of one that is SECURITY DEFINER nobody can.
    """
    try:
        with connection.transaction():
            if not as_owner:
                connection.execute(statement)
                return ""
            (owner,) = connection.execute(
                "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = %s", [oid]
            ).fetchone() or ("",)
            connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(owner)))
            connection.execute(_AS_OWNER)
            connection.execute("RESET ROLE")
            connection.execute("SELECT pg_temp.rollback_as_owner(%s)", [statement])
            connection.execute("DROP FUNCTION pg_temp.rollback_as_owner(text)")
    except pg_errors.LockNotAvailable:
        raise
    except pg_errors.Error as error:
        if connection.closed:
            raise
        return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
    return ""


def _of(connection: "psycopg.Connection[Any]", oid: int) -> List[Attached]:
    return connection.execute(_ATTACHED, {"table": oid}).fetchall()
