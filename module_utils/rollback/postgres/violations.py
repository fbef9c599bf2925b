"""Rows of a live database that would not load again: they break a rule that PostgreSQL checked once, and no longer looks at.

Foreign keys may have orphans (triggers were off), unique indexes duplicates (their collation changed), and checks may depend on
the time or on other tables. Reading all of a large database takes too long for each backup, so there is a budget; what it
did not suffice for is reported as unchecked.
"""

# ruff: noqa: S608 - the queries are put together from the constants of this file alone

from __future__ import annotations

import re
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, List, Tuple

from ansible.module_utils.rollback.words import listed

with suppress(ImportError):  # the module that uses this says so
    import psycopg as pg
    from psycopg import errors as pg_errors
    from psycopg import sql

if TYPE_CHECKING:
    import psycopg

_OURS = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"

# Each yields (what it is, the query that finds one row that breaks it, the table's estimated rows).
_FOREIGN_KEYS = f"""
SELECT format('foreign key %I of %I.%I has orphans', k.conname, n.nspname, c.relname),
       format('SELECT FROM %s%I.%I c WHERE %s AND NOT EXISTS (SELECT FROM %s%I.%I p WHERE %s) LIMIT 1',
              CASE c.relkind WHEN 'p' THEN '' ELSE 'ONLY ' END, n.nspname, c.relname,
              string_agg(format('c.%I IS NOT NULL', ca.attname), ' AND '),
              CASE p.relkind WHEN 'p' THEN '' ELSE 'ONLY ' END, pn.nspname, p.relname,
              string_agg(format('p.%I OPERATOR(%I.%s) c.%I%s', pa.attname, opn.nspname, o.oprname, ca.attname,
                                CASE r.typtype WHEN 'p' THEN '' ELSE format('::%I.%I', rn.nspname, r.typname) END), ' AND ')),
       c.reltuples
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     JOIN pg_class p ON p.oid = k.confrelid JOIN pg_namespace pn ON pn.oid = p.relnamespace
     CROSS JOIN LATERAL unnest(k.conkey, k.confkey, k.conpfeqop) AS key (child, parent, operator)
     JOIN pg_attribute ca ON ca.attrelid = c.oid AND ca.attnum = key.child
     JOIN pg_attribute pa ON pa.attrelid = p.oid AND pa.attnum = key.parent
     JOIN pg_operator o ON o.oid = key.operator JOIN pg_namespace opn ON opn.oid = o.oprnamespace JOIN pg_type r ON r.oid = o.oprright
     JOIN pg_namespace rn ON rn.oid = r.typnamespace
WHERE k.contype = 'f' AND k.convalidated AND k.conparentid = 0 AND {_OURS}
GROUP BY k.oid, k.conname, n.nspname, c.relname, c.relkind, c.reltuples, pn.nspname, p.relname, p.relkind
HAVING bool_and(o.oprname = '=')"""
_UNIQUE = f"""
SELECT format('unique index %I.%I has duplicates', n.nspname, i.relname),
       format('SELECT FROM ONLY %I.%I WHERE %s%s GROUP BY %s HAVING count(*) > 1 LIMIT 1', n.nspname, c.relname,
              string_agg(format('%I IS NOT NULL', a.attname), ' AND '), coalesce(' AND (' || pg_get_expr(x.indpred, x.indrelid) || ')', ''),
              string_agg(format('%I', a.attname), ', ')),
       c.reltuples
FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class c ON c.oid = x.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     CROSS JOIN LATERAL unnest(x.indkey[0:x.indnkeyatts - 1]) AS key (number)
     JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = key.number
WHERE x.indisunique AND x.indisvalid AND c.relkind = 'r' AND x.indexprs IS NULL AND {_OURS}
GROUP BY x.indexrelid, i.relname, n.nspname, c.relname, x.indpred, x.indrelid, c.reltuples"""
# A check over its own columns with PostgreSQL's immutable functions stays true; pg_depend knows the functions of others.
_CHECKS = f"""
SELECT format('check %I of %I.%I is not true for every row', k.conname, n.nspname, c.relname),
       format('SELECT FROM ONLY %I.%I WHERE NOT (%s) LIMIT 1', n.nspname, c.relname, pg_get_expr(k.conbin, k.conrelid)), c.reltuples
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE k.contype = 'c' AND k.convalidated AND c.relkind = 'r' AND {_OURS}
  AND (pg_get_expr(k.conbin, k.conrelid) ~* '\\m(now|age|random|current_|local|clock_|statement_|transaction_)'
       OR EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_constraint'::regclass AND d.objid = k.oid AND d.refclassid = 'pg_proc'::regclass))"""

# PL/pgSQL and SQL functions as an error's context names them.
_FUNCTION = re.compile(r"function (\"[^\"]+\"|\S+?\([^)]*\)|\S+)")
# Undefined or ambiguous: table, function, column, object, schema, parameter.
_MISSING = {"42P01", "42883", "42725", "42703", "42702", "42704", "3F000", "42P02"}


_DUPLICATES = "has duplicates"
_WITHOUT_INDEXES = (
    "SET LOCAL enable_indexscan = off; SET LOCAL enable_indexonlyscan = off; SET LOCAL enable_bitmapscan = off"
)

QUALIFY = (
    "A dump is loaded with an empty search_path, and the function names something without its schema: qualify the name,"
    " or run ALTER FUNCTION … SET search_path = …; then take the backup again."
)


@dataclass
class Violations:
    """`problems` are sentences about what would not load; `unchecked` names what there was no time to check."""

    problems: List[str] = field(default_factory=list)
    unchecked: List[str] = field(default_factory=list)

    def notes(self) -> List[str]:
        if not self.unchecked:
            return []
        return [
            f"Not checked, because their tables are large: {listed(self.unchecked, 3)}."
            " Restore this backup once beside the live database to be certain."
        ]


def find(connection: "psycopg.Connection[Any]", budget_s: float) -> Violations:
    """Check the smallest tables first, for at most `budget_s` seconds; call it inside `census.snapshot`."""
    found = Violations()
    deadline = time.monotonic() + budget_s
    rules: List[Tuple[str, str, float]] = []
    for query in (_CHECKS, _FOREIGN_KEYS, _UNIQUE):
        rules += connection.execute(query).fetchall()
    for rule, query, _ in sorted(rules, key=lambda each: each[2]):
        left_ms = int((deadline - time.monotonic()) * 1000)
        if left_ms <= 0:
            found.unchecked.append(_subject(rule))
            continue
        try:
            with connection.transaction():
                connection.execute(sql.SQL("SET LOCAL statement_timeout = {}").format(sql.Literal(left_ms)))
                if rule.endswith(_DUPLICATES):  # the index is what cannot be believed
                    connection.execute(_WITHOUT_INDEXES)
                if connection.execute(query).fetchone() is not None:
                    found.problems.append(rule)
        except pg_errors.QueryCanceled:
            found.unchecked.append(_subject(rule))
        except pg.Error as error:
            if names_nothing(error):
                found.problems.append(f"{_subject(rule)} cannot be checked with an empty search_path: {words(error)}")
            else:
                found.unchecked.append(_subject(rule))
    return found


def names_nothing(error: "psycopg.Error") -> bool:
    """Whether a name in the statement, or in a function that it called, was not found."""
    return error.sqlstate in _MISSING


def words(error: "psycopg.Error") -> str:
    """PostgreSQL's own words, and the function in which it happened."""
    said = (error.diag.message_primary or str(error)).strip().rstrip(".")
    function = function_of(error)
    return f"{said}, in function {function}" if function else said


def function_of(error: "psycopg.Error") -> str:
    """Return the function in which the error was raised; empty where it was in none."""
    found = _FUNCTION.search(error.diag.context or "")
    return found.group(1) if found else ""


def _subject(rule: str) -> str:
    return re.sub(r" (has orphans|has duplicates|is not true for every row)$", "", rule)
