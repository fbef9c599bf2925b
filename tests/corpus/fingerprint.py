"""What can be observed of a database, read from PostgreSQL's catalogue and not by the product's census.

Every catalogue is read whole. Numbers that only one database has (OIDs, positions of columns) are replaced by what they
stand for, expressions by PostgreSQL's own wording of them. What a server may change by itself at any time is left out.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any

import psycopg

FIRST_OWN_OID = 16384
NOT_READ = {
    # Planner statistics, and content that is read otherwise.
    "pg_statistic", "pg_statistic_ext_data", "pg_largeobject",
    # Read by queries of their own below.
    "pg_depend", "pg_description", "pg_seclabel", "pg_init_privs", "pg_enum",
}  # fmt: skip

# Of one database only, or kept lazily.
PHYSICAL = {
    "pg_class": "oid relfilenode relpages reltuples relallvisible relallfrozen reltoastrelid relfrozenxid relminmxid relrewrite"
    " relnatts relhasindex relhasrules relhastriggers relhassubclass relpartbound",
    "pg_attribute": "attnum attcacheoff attmissingval atthasmissing attoptions",
    "pg_attrdef": "oid adnum adbin",
    "pg_constraint": "oid conkey confkey conbin confdelsetcols",
    "pg_index": "indkey indexprs indpred indcheckxmin",
    "pg_proc": "oid prosqlbody proargdefaults",
    "pg_rewrite": "oid ev_qual ev_action",
    "pg_trigger": "oid tgqual tgattr tgoldtable_oid",
    "pg_policy": "oid polqual polwithcheck",
    "pg_statistic_ext": "oid stxkeys stxexprs",
    "pg_partitioned_table": "partattrs partexprs",
    "pg_type": "oid typdefaultbin typarray",
    "pg_publication_rel": "oid prqual prattrs",
}
# PostgreSQL's wording of what the columns above hold, and of what they leave out.
WORDED = {
    "pg_class": "'bound', pg_get_expr(relpartbound, oid)",
    "pg_attribute": "'place', (SELECT count(*) FROM pg_attribute o WHERE o.attrelid = c.attrelid AND o.attnum > 0"
    " AND NOT o.attisdropped AND o.attnum <= c.attnum),"
    # From 15.20 on a server numbers columns there.
    " 'options', (SELECT array_agg(o ORDER BY o) FROM unnest(attoptions) o WHERE o NOT LIKE 'pg_attver=%')",
    "pg_attrdef": "'is', pg_get_expr(adbin, adrelid)",
    "pg_constraint": "'is', pg_get_constraintdef(oid)",
    "pg_index": "'is', pg_get_indexdef(indexrelid)",
    "pg_proc": "'takes', pg_get_function_arguments(oid), 'returns', pg_get_function_result(oid), 'does', pg_get_function_sqlbody(oid)",
    "pg_rewrite": "'is', pg_get_ruledef(oid)",
    "pg_trigger": "'is', pg_get_triggerdef(oid)",
    "pg_policy": "'using', pg_get_expr(polqual, polrelid), 'check', pg_get_expr(polwithcheck, polrelid)",
    "pg_statistic_ext": "'is', pg_get_statisticsobjdef(oid)",
    "pg_partitioned_table": "'is', pg_get_partkeydef(partrelid)",
    "pg_publication_rel": "'where', pg_get_expr(prqual, prrelid), 'columns', (SELECT array_agg(attname ORDER BY attname)"
    " FROM pg_attribute WHERE attrelid = prrelid AND attnum = ANY (prattrs))",
}
ONLY_WHERE = {
    "pg_attribute": "attnum > 0 AND NOT attisdropped",
    "pg_trigger": "NOT tgisinternal",
    # The type of arrays of a type comes with it, and is named by chance where its usual name is taken.
    "pg_type": "NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = c.oid)",
}

QUERIES = {
    "belongs to": """
        SELECT a.type, a.identity, deptype, b.type, b.identity FROM pg_depend d,
          pg_identify_object(classid, objid, objsubid) a, pg_identify_object(refclassid, refobjid, refobjsubid) b
        WHERE deptype IN ('e', 'x') OR deptype IN ('a', 'i') AND classid = 'pg_class'::regclass AND refobjsubid > 0
          AND objid IN (SELECT oid FROM pg_class WHERE relkind = 'S')""",
    "comment": """
        SELECT o.type, o.identity, description FROM pg_description d, pg_identify_object(classoid, objoid, objsubid) o
        WHERE objoid >= 16384 OR classoid = 'pg_namespace'::regclass""",
    "label": """
        SELECT o.type, o.identity, provider, label FROM pg_seclabel, pg_identify_object(classoid, objoid, objsubid) o""",
    "initial privileges": """
        SELECT o.type, o.identity, initprivs::text FROM pg_init_privs, pg_identify_object(classoid, objoid, objsubid) o
        WHERE objoid >= 16384""",
    "enum": """
        SELECT format_type(enumtypid, NULL), array_agg(enumlabel ORDER BY enumsortorder) FROM pg_enum GROUP BY 1""",
    "large object": "SELECT oid::int8, md5(lo_get(oid)) FROM pg_largeobject_metadata",
}
# Which partition a row is in by its hash may depend on OIDs (of enums): then they are read through their parent.
RELATIONS = """
SELECT format('%I.%I', nspname, relname), relkind FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
  LEFT JOIN pg_partitioned_table own ON own.partrelid = c.oid LEFT JOIN pg_inherits ON inhrelid = c.oid AND relispartition
  LEFT JOIN pg_partitioned_table parent ON parent.partrelid = inhparent
WHERE (relkind IN ('r', 'S') AND parent.partstrat IS DISTINCT FROM 'h' OR relkind = 'm' AND relispopulated OR own.partstrat = 'h')
  AND nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')"""
OUTSIDE = """
SELECT datdba::regrole::text, datacl::text, datconnlimit, encoding, datcollate, datctype, to_jsonb(d) ->> 'datlocprovider',
  shobj_description(oid, 'pg_database'), (SELECT array_agg((setrole, setting)::text ORDER BY setrole, setting)
  FROM pg_db_role_setting, unnest(setconfig) setting WHERE setdatabase = d.oid) FROM pg_database d WHERE datname = current_database()"""
SETTINGS = "SET search_path = pg_catalog; SET TimeZone = 'UTC'; SET IntervalStyle = 'postgres'; SET DateStyle = 'ISO'; SET xmloption = content"


def of(connection: psycopg.Connection) -> Counter[str]:
    """Everything in the database, one line a fact; equal for equal databases of one server."""
    connection.execute(SETTINGS)
    references = _references(connection)
    catalogues = _catalogues(connection)
    names = _names(connection, [name for name, has_oid, _ in catalogues if has_oid])
    facts: Counter[str] = Counter()
    for name, has_oid, first in catalogues:
        facts.update(_rows(connection, name, has_oid, first, references.get(name, {}), names))
    for kind, query in QUERIES.items():
        facts.update(f"{kind} {_text(row)}" for row in connection.execute(query))
    for relation, relkind in connection.execute(RELATIONS).fetchall():
        facts.update([_content(connection, relation, relkind)])
    return facts


def outside(connection: psycopg.Connection) -> tuple[Any, ...]:
    """What PostgreSQL keeps of a database outside of it, and no dump holds."""
    return connection.execute(OUTSIDE).fetchone()


def differences(expected: Counter[str], found: Counter[str], limit: int = 30) -> list[str]:
    """Facts of only one side, in words; empty where both are the same."""
    lines = [f"missing: {fact}" for fact in expected - found] + [f"too much: {fact}" for fact in found - expected]
    return [line[:600] for line in sorted(lines, key=lambda line: line.partition(": ")[2])[:limit]]


@cache
def _by_version(version: int) -> dict[str, Any]:
    """Facts about the catalogue itself, which all databases of a version share."""
    return {}


def _references(connection: psycopg.Connection) -> dict[str, dict[str, str]]:
    """For each catalogue its columns that hold OIDs, and the catalogue whose OIDs they are."""
    known = _by_version(connection.info.server_version)
    if "references" not in known:
        found: dict[str, dict[str, str]] = {}
        query = "SELECT fktable::text, fkcols[1], pktable::text FROM pg_get_catalog_foreign_keys() WHERE cardinality(fkcols) = 1"
        for table, column, target in connection.execute(query):
            found.setdefault(table, {})[column] = target
        known["references"] = found
    return known["references"]


def _catalogues(connection: psycopg.Connection) -> list[tuple[str, bool, str]]:
    """Catalogues of one database: name, whether its rows have an OID, and their first column."""
    known = _by_version(connection.info.server_version)
    if "catalogues" not in known:
        query = """
            SELECT relname, bool_or(attname = 'oid'), min(attname::text) FILTER (WHERE attnum = 1)
            FROM pg_class c JOIN pg_attribute a ON attrelid = c.oid AND attnum > 0
            WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind = 'r' AND NOT relisshared GROUP BY 1 ORDER BY 1"""
        known["catalogues"] = [row for row in connection.execute(query).fetchall() if row[0] not in NOT_READ]
    return known["catalogues"]


def _names(connection: psycopg.Connection, catalogues: list[str]) -> dict[tuple[str, int], str]:
    """What each OID of this database stands for."""
    queries = [
        f"SELECT '{name}', oid::int8, (pg_identify_object('{name}'::regclass, oid, 0)).identity FROM {name} WHERE oid >= {FIRST_OWN_OID}"
        for name in catalogues
        if name != "pg_largeobject_metadata"
    ]
    return {(name, oid): identity for name, oid, identity in connection.execute(" UNION ALL ".join(queries))}


def _rows(
    connection: psycopg.Connection,
    name: str,
    has_oid: bool,
    first: str,
    references: dict[str, str],
    names: dict[tuple[str, int], str],
) -> list[str]:
    acl = next((column for column in _columns(connection, name) if column.endswith("acl")), None)
    own = f"{'oid' if has_oid else first}::oid >= {FIRST_OWN_OID}" + (f" OR {acl} IS NOT NULL" if acl else "")
    without = "{" + ",".join(PHYSICAL.get(name, "").split()) + "}"
    key = "oid::int8" if has_oid else "NULL::int8"
    query = (
        f"SELECT {key}, to_jsonb(c) - '{without}'::text[] || jsonb_build_object({WORDED.get(name, '')})"
        f" FROM {name} c WHERE ({own}) AND {ONLY_WHERE.get(name, 'true')}"
    )
    rows = []
    for oid, row in connection.execute(query):
        for column, target in references.items():
            if column in row:
                row[column] = _named(row[column], lambda value, target=target: names.get((target, value), value))
        if acl and row.get(acl):
            row[acl] = sorted(row[acl])
        if row.get("typtype") == "m":
            row.pop("typowner")  # of whoever makes the range: before 17 no statement changes it, and no dump has one
        if "polroles" in row:
            row["polroles"] = sorted(row["polroles"])
        row.pop("oid", None)
        identity = names.get((name, oid), oid)
        line = f"{name} {_text([identity, row])}"
        # TOAST tables are made by the server when it sees fit.
        if not str(row.get(first, identity) if oid is None else identity).startswith("pg_toast."):
            rows.append(line)
    return rows


def _columns(connection: psycopg.Connection, catalogue: str) -> list[str]:
    known = _by_version(connection.info.server_version)
    if ("columns", catalogue) not in known:
        query = "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0"
        known["columns", catalogue] = [column for (column,) in connection.execute(query, [catalogue])]
    return known["columns", catalogue]


def _named(value: Any, name: Callable[[int], Any]) -> Any:
    """`value` with the name of each OID in it: JSON has them as numbers, as strings, or as a string of several."""
    if isinstance(value, list):
        return [_named(item, name) for item in value]
    if isinstance(value, str) and value.replace(" ", "").isdigit():
        named = [name(int(item)) for item in value.split()]
        return named if len(named) != 1 else named[0]
    return name(value) if isinstance(value, int) else value


def _content(connection: psycopg.Connection, relation: str, relkind: str) -> str:
    if relkind == "S":
        return f"sequence {relation} {_text(connection.execute(f'SELECT last_value, is_called FROM {relation}').fetchone())}"
    only = "" if relkind == "p" else "ONLY"
    rows = sorted(row for (row,) in connection.execute(f"SELECT t::text FROM {only} {relation} t"))
    digest = hashlib.sha256("\0".join(rows).encode()).hexdigest()[:16]
    return f"rows of {relation}: {len(rows)}, {digest}"


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
