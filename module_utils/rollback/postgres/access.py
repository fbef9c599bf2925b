"""What a role may do with each object of a database: the check of access that a restore has to pass.

Counts and definitions can be perfect while the application is refused everything, because restored objects belong to
another role. The server itself is asked, for every object; nothing is read as the role.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Dict, List

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.words import listed

with suppress(ImportError):  # the module that uses this says so
    from psycopg import errors as pg_errors

if TYPE_CHECKING:
    import psycopg

# What the role may do, by the object's name: {"table public.orders": ["ALTER", "SELECT", "UPDATE(state)"]}. A privilege on one
# column names it; ALTER stands for ownership.
Access = Dict[str, List[str]]

_OURS = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
_NOT_OF_EXTENSION = "NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = '{catalog}'::regclass AND d.objid = {oid} AND d.deptype = 'e')"
_OWNED = "ARRAY(SELECT 'ALTER' WHERE pg_has_role(%(role)s, {owner}, 'USAGE'))"

_ACCESS = f"""
SELECT 'schema ' || quote_ident(n.nspname),
       ARRAY(SELECT p FROM unnest(ARRAY['CREATE', 'USAGE']) p WHERE has_schema_privilege(%(role)s, n.oid, p))
FROM pg_namespace n WHERE {_OURS}
UNION ALL
SELECT 'table ' || format('%%I.%%I', n.nspname, c.relname),
       {_OWNED.format(owner="c.relowner")}
       || ARRAY(SELECT p FROM unnest(ARRAY['DELETE', 'INSERT', 'REFERENCES', 'SELECT', 'TRIGGER', 'TRUNCATE', 'UPDATE']) p
                WHERE has_table_privilege(%(role)s, c.oid, p))
       || ARRAY(SELECT p || '(' || a.attname || ')'
                FROM pg_attribute a, unnest(ARRAY['INSERT', 'REFERENCES', 'SELECT', 'UPDATE']) p
                WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attacl IS NOT NULL
                  AND has_column_privilege(%(role)s, c.oid, a.attnum, p) ORDER BY a.attname, p)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't' AND {_OURS}
UNION ALL
SELECT 'sequence ' || format('%%I.%%I', n.nspname, c.relname),
       {_OWNED.format(owner="c.relowner")}
       || ARRAY(SELECT p FROM unnest(ARRAY['SELECT', 'UPDATE', 'USAGE']) p WHERE has_sequence_privilege(%(role)s, c.oid, p))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'S' AND c.relpersistence <> 't' AND {_OURS}
UNION ALL
SELECT 'function ' || format('%%I.%%I(%%s)', n.nspname, f.proname, pg_get_function_identity_arguments(f.oid)),
       {_OWNED.format(owner="f.proowner")} || ARRAY(SELECT 'EXECUTE' WHERE has_function_privilege(%(role)s, f.oid, 'EXECUTE'))
FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace
WHERE {_OURS} AND {_NOT_OF_EXTENSION.format(catalog="pg_proc", oid="f.oid")}
UNION ALL
SELECT 'type ' || format('%%I.%%I', n.nspname, t.typname),
       {_OWNED.format(owner="t.typowner")} || ARRAY(SELECT 'USAGE' WHERE has_type_privilege(%(role)s, t.oid, 'USAGE'))
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE t.typtype IN ('e', 'd', 'r') AND {_OURS} AND {_NOT_OF_EXTENSION.format(catalog="pg_type", oid="t.oid")}"""  # noqa: S608


def read(connection: "psycopg.Connection[Any]", role: str) -> Access:
    """Return what `role` may do with each object. Raises RollbackError where there is no such role."""
    try:
        return {name: list(privileges) for name, privileges in connection.execute(_ACCESS, {"role": role}).fetchall()}
    except pg_errors.UndefinedObject as error:
        raise RollbackError(
            f"The application's role {role} does not exist on this server.", "Check rollback_application_role."
        ) from error


def lost(expected: Access, found: Access, role: str) -> List[str]:
    """Return a sentence that names what `role` may no longer do, or nothing.

    Objects that are missing are left to the comparison of definitions.
    """
    gone = {}
    for name in sorted(expected.keys() & found.keys()):
        privileges = [
            privilege
            for privilege in expected[name]
            if privilege not in found[name] and privilege.split("(")[0] not in found[name]
        ]
        if privileges:
            gone[name] = privileges
    if not gone:
        return []
    return [f"{role} has lost access to {listed([f'{name} ({listed(all_of)})' for name, all_of in gone.items()], 3)}"]
