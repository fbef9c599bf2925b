"""What pg_dump leaves out without an error message, by name: what a restore will not bring back.

docs/objects.md has the whole list. Invalid indexes are found by comparing a database with what its dump yields; what is
here shows in no comparison of two dumps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, NamedTuple, Optional, Tuple

from ansible.module_utils.rollback.words import listed

if TYPE_CHECKING:
    import psycopg

# Each query names what is left out; the sentence says what follows, and what to do.
_UNSEEN = (
    # The view shows options by this rule, and pg_dump reads the view: it writes a mapping without them, and no error.
    "SELECT format('%s on %s', m.usename, m.srvname) FROM pg_user_mappings m JOIN pg_foreign_server s ON s.oid = m.srvid"
    " WHERE umoptions IS NULL AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)"
    " AND NOT CASE umuser WHEN 0 THEN pg_has_role(srvowner, 'USAGE') ELSE usename = current_user"
    " AND (pg_has_role(srvowner, 'USAGE') OR has_server_privilege(srvid, 'USAGE')) END ORDER BY 1",
    "The operator's role may not see the options of user mappings ({}), such as passwords, so they are not in the backup."
    " Run ALTER USER MAPPING after a restore, or let a superuser take the backup.",
)
_CHECKS: List[Tuple[str, str]] = [
    _UNSEEN,
    (
        "SELECT DISTINCT format('%I of %s', k.conname, t.tgrelid::regclass) FROM pg_trigger t JOIN pg_constraint k ON k.oid = t.tgconstraint"
        " WHERE t.tgisinternal AND t.tgenabled <> 'O' AND k.contype IN ('f', 'u', 'x') ORDER BY 1",
        "Triggers that enforce constraints are disabled, or set to REPLICA or ALWAYS, which no dump keeps: {}. A restore enables them,"
        " and fails on rows that break a constraint. Run ALTER TABLE … ENABLE TRIGGER ALL.",
    ),
    (
        "SELECT format('%s of %s', inhrelid::regclass, inhparent::regclass) FROM pg_inherits WHERE inhdetachpending ORDER BY 1",
        "Partitions are half detached, and a restore attaches them again: {}. Run ALTER TABLE … DETACH PARTITION … FINALIZE.",
    ),
    (
        "SELECT datname FROM pg_database WHERE datname = current_database() AND datistemplate",
        "{} is a template; a restored one is not. Run ALTER DATABASE … IS_TEMPLATE true after a restore.",
    ),
]

# Objects that are members of an extension, and those that belong to its tables.
_OF_EXTENSIONS = """
WITH member AS (SELECT refobjid AS extension, classid, objid FROM pg_depend WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'),
     relation AS (SELECT extension, objid FROM member WHERE classid = 'pg_class'::regclass),
     object AS (
  SELECT extension, classid, objid, 0 AS objsubid, NULL::oid AS of FROM member
  -- The types of rows and arrays come with what they are of; from some version on they are members, too.
  WHERE classid <> 'pg_type'::regclass OR NOT EXISTS (
    SELECT FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid WHERE t.oid = objid AND (c.relkind <> 'c' OR t.typcategory = 'A'))
  UNION ALL SELECT extension, 'pg_class'::regclass, indexrelid, 0, objid FROM pg_index JOIN relation ON objid = indrelid
  UNION ALL SELECT extension, 'pg_class'::regclass, attrelid, attnum, objid FROM pg_attribute JOIN relation ON objid = attrelid
            WHERE attnum > 0 AND NOT attisdropped
  UNION ALL SELECT extension, 'pg_constraint'::regclass, oid, 0, objid FROM pg_constraint JOIN relation ON objid = conrelid
  UNION ALL SELECT extension, 'pg_trigger'::regclass, oid, 0, objid FROM pg_trigger JOIN relation ON objid = tgrelid WHERE NOT tgisinternal
  UNION ALL SELECT extension, 'pg_policy'::regclass, oid, 0, objid FROM pg_policy JOIN relation ON objid = polrelid
  UNION ALL SELECT extension, 'pg_rewrite'::regclass, oid, 0, objid FROM pg_rewrite JOIN relation ON objid = ev_class
  UNION ALL SELECT extension, 'pg_statistic_ext'::regclass, oid, 0, objid FROM pg_statistic_ext JOIN relation ON objid = stxrelid)
SELECT e.extname, e.extversion, i.type || ' ' || i.identity, t.type || ' ' || t.identity
FROM pg_extension e LEFT JOIN object o ON o.extension = e.oid
     LEFT JOIN LATERAL pg_identify_object(o.classid, o.objid, o.objsubid) i ON true
     LEFT JOIN LATERAL pg_identify_object('pg_class'::regclass, o.of, 0) t ON o.of IS NOT NULL"""


class Extension(NamedTuple):
    """`objects` are its members, and what belongs to its tables with the table: {"index public.by_name": "table public.names"}."""

    version: str
    objects: Dict[str, Optional[str]]


def find(connection: "psycopg.Connection[Any]") -> List[str]:
    """Return a sentence for each kind of thing that a dump of the connected database, by this role, leaves out.

    Call it inside `census.snapshot`, as the next one: names are then qualified.
    """
    return _sentences(connection, _CHECKS)


def unseen(connection: "psycopg.Connection[Any]") -> List[str]:
    """Return the same for what this role may not see, so that it is gone with the database."""
    return _sentences(connection, [_UNSEEN])


def _sentences(connection: "psycopg.Connection[Any]", checks: List[Tuple[str, str]]) -> List[str]:
    sentences = []
    for query, sentence in checks:
        names = [str(row[0]) for row in connection.execute(query).fetchall()]
        if names:
            sentences.append(sentence.format(listed(names)))
    return sentences


def extensions(connection: "psycopg.Connection[Any]") -> Dict[str, Extension]:
    """Return what each extension of the connected database consists of."""
    found: Dict[str, Extension] = {}
    for name, version, identity, of in connection.execute(_OF_EXTENSIONS).fetchall():
        objects = found.setdefault(name, Extension(version, {})).objects
        if identity:
            objects[identity] = of
    return found


def added_by_hand(live: Dict[str, Extension], loaded: Dict[str, Extension]) -> List[str]:
    """Return a sentence per extension that has more in `live` than in `loaded`, which came out of the dump of `live`.

    Two versions of an extension consist of different things, so only the same version is compared.
    """
    sentences = []
    for name in sorted(live.keys() & loaded.keys()):
        if live[name].version != loaded[name].version:
            continue
        added = {each: of for each, of in live[name].objects.items() if each not in loaded[name].objects}
        # A table that is named stands for what belongs to it.
        named = sorted(each for each, of in added.items() if of not in added)
        if named:
            sentences.append(
                f"Not in the backup, because pg_dump leaves out what was added to the extension {name} by hand:"
                f" {listed(named)}."
                f" Where it is yours, run ALTER EXTENSION {name} DROP … for it, and take the backup again; save a definition that"
                " belongs to the extension's own table."
            )
    return sentences
