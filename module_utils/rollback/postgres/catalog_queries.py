"""The queries of the census: what PostgreSQL's catalogue says of tables, sequences and objects."""

# ruff: noqa: S608 - the queries are put together from the constants of this file alone

from __future__ import annotations

_OURS = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
_NOT_OF_EXTENSION = "NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = '{catalog}'::regclass AND d.objid = {oid} AND d.deptype = 'e')"
_RELATION = f"{_OURS} AND {_NOT_OF_EXTENSION.format(catalog='pg_class', oid='c.oid')}"

IDENTITY = """
SELECT d.datname, d.oid::int8, current_setting('server_version'), (SELECT system_identifier::text FROM pg_control_system()),
       pg_database_size(d.oid), s.stats_reset::text
FROM pg_database d LEFT JOIN pg_stat_database s ON s.datid = d.oid WHERE d.datname = current_database()"""

# Of an extension's tables pg_dump dumps those that the extension marks as configuration, and of them the rows that a condition names.
TABLES = f"""
SELECT format('%%I.%%I', n.nspname, c.relname) AS name, n.nspname, c.relname, c.oid::int8,
       s.n_tup_ins, s.n_tup_upd, s.n_tup_del,
       CASE WHEN %(role)s::text IS NULL THEN NULL ELSE has_schema_privilege(%(role)s, n.oid, 'USAGE') AND has_table_privilege(%(role)s, c.oid, 'SELECT') END,
       row_security_active(c.oid), coalesce(e.condition, '')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_stat_all_tables s ON s.relid = c.oid
     LEFT JOIN (SELECT unnest(extconfig) AS oid, unnest(extcondition) AS condition FROM pg_extension) e ON e.oid = c.oid
WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND {_OURS} AND (e.oid IS NOT NULL OR {_NOT_OF_EXTENSION.format(catalog="pg_class", oid="c.oid")})
ORDER BY 1"""

PARTITIONS = f"""
SELECT format('%I.%I', n.nspname, c.relname), format('%I.%I', rn.nspname, r.relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     JOIN pg_class r ON r.oid = pg_partition_root(c.oid) JOIN pg_namespace rn ON rn.oid = r.relnamespace
WHERE c.relispartition AND c.relkind = 'r' AND {_RELATION} ORDER BY 1"""

SEQUENCES = f"""
SELECT format('%I.%I', n.nspname, c.relname), pg_sequence_last_value(c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'S' AND {_RELATION} ORDER BY 1"""

_PRIVILEGES = """coalesce((SELECT string_agg(
  coalesce(a.grantee::regrole::text, '?') || ':' || a.privilege_type || CASE WHEN a.is_grantable THEN '*' ELSE '' END, ' '
  ORDER BY a.grantee::regrole::text, a.privilege_type) FROM aclexplode(coalesce({acl}, acldefault({kind}, {owner}))) a), '')"""

_ACL_KIND = "CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::\"char\""

# Each yields (kind, name, definition). NOT NULL constraints are left to their columns: only PostgreSQL 18 names them.
OBJECTS = f"""
SELECT 'column', format('%I.%I.%I', n.nspname, c.relname, a.attname),
       concat_ws(' ', format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'not null' END,
                 'default ' || pg_get_expr(d.adbin, d.adrelid), nullif(a.attidentity, ''), nullif(a.attgenerated, ''),
                 CASE WHEN a.attcollation <> t.typcollation THEN 'collate ' || a.attcollation::regcollation::text END)
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_type t ON t.oid = a.atttypid
     LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND {_RELATION}
UNION ALL
SELECT 'relation', format('%I.%I', n.nspname, c.relname),
       concat_ws(' ', c.relkind, c.relpersistence, c.relowner::regrole, 'rls'::text || c.relrowsecurity || c.relforcerowsecurity,
                 pg_get_partkeydef(c.oid), pg_get_expr(c.relpartbound, c.oid),
                 CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END,
                 {_PRIVILEGES.format(acl="c.relacl", kind=_ACL_KIND, owner="c.relowner")})
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
FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace WHERE {_OURS} AND {_NOT_OF_EXTENSION.format(catalog="pg_proc", oid="f.oid")}
UNION ALL
SELECT 'type', format('%I.%I', n.nspname, t.typname),
       t.typtype::text || coalesce((SELECT string_agg(e.enumlabel, ',' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid), '')
       || coalesce(format_type(nullif(t.typbasetype, 0), t.typtypmod), '')
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE t.typtype IN ('e', 'd', 'r') AND {_OURS} AND {_NOT_OF_EXTENSION.format(catalog="pg_type", oid="t.oid")}
UNION ALL
SELECT 'sequence', format('%I.%I', n.nspname, c.relname),
       concat_ws(' ', format_type(q.seqtypid, NULL), q.seqstart, q.seqincrement, q.seqmin, q.seqmax, q.seqcycle)
FROM pg_sequence q JOIN pg_class c ON c.oid = q.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {_RELATION}
UNION ALL
SELECT 'schema', quote_ident(n.nspname),
       n.nspowner::regrole || ' ' || {_PRIVILEGES.format(acl="n.nspacl", kind="'n'", owner="n.nspowner")}
FROM pg_namespace n WHERE {_OURS}
UNION ALL
SELECT 'extension', quote_ident(e.extname), e.extnamespace::regnamespace::text FROM pg_extension e
UNION ALL
SELECT 'large', 'objects', rtrim(count(*) || ' ' || coalesce(sum(hashtextextended(
         l.oid || ' ' || l.lomowner::regrole || ' ' || {_PRIVILEGES.format(acl="l.lomacl", kind="'L'", owner="l.lomowner")}, 0)::numeric)::text, ''))
FROM pg_largeobject_metadata l
UNION ALL
SELECT 'populated', 'materialized views', coalesce(string_agg(format('%I.%I', n.nspname, c.relname), ' ' ORDER BY n.nspname, c.relname), '')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'm' AND c.relispopulated AND {_RELATION}
ORDER BY 1, 2"""
