"""What would stop a swap of databases or a downgrade, found before anything is touched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, List, Tuple

from ansible.module_utils.rollback.postgres import at_work, carrying, settings
from ansible.module_utils.rollback.words import listed

if TYPE_CHECKING:
    import psycopg

# Each query names what stands in the way; the sentence says why, and the way out.
_HOLDERS: List[Tuple[str, str]] = [
    (
        "SELECT gid FROM pg_prepared_xacts WHERE database = %(database)s",
        "Prepared transactions hold the database: {}. COMMIT PREPARED or ROLLBACK PREPARED them first.",
    ),
    (
        "SELECT slot_name FROM pg_replication_slots WHERE database = %(database)s",
        "Logical replication slots belong to the database and would follow it aside: {}. Drop them, and let their readers start anew afterwards.",
    ),
    (
        "SELECT subname FROM pg_subscription WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = %(database)s)",
        "Subscriptions belong to the database and would follow it aside: {}. Drop them first.",
    ),
]

_CHECKS: List[Tuple[str, str]] = [
    (
        "SELECT 'the server' WHERE pg_is_in_recovery()",
        "This is a read replica ({}). Point rollback_database_dsn at the primary.",
    ),
    (
        "SELECT current_user WHERE NOT (SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user)",
        "The operator's role {} may not create databases. Run ALTER ROLE … CREATEDB as a superuser.",
    ),
    (
        "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = %(database)s AND NOT pg_has_role(current_user, datdba, 'MEMBER')",
        "The operator's role is not a member of {}, which owns the database, so it may not rename it. Grant that role to it.",
    ),
    (
        "SELECT DISTINCT usename FROM pg_stat_activity a LEFT JOIN pg_roles r ON r.oid = a.usesysid"
        " WHERE datname = %(database)s AND usename IS NOT NULL AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)"
        " AND (r.rolsuper OR NOT (pg_has_role(current_user, 'pg_signal_backend', 'USAGE') OR pg_has_role(current_user, a.usesysid, 'USAGE')))",
        "The operator's role may not end the sessions of {}. Grant it pg_signal_backend; superusers must leave by themselves.",
    ),
    *_HOLDERS,
]


# What stops a downgrade that keeps what it takes away.
_OF_MIGRATION: List[Tuple[str, str]] = [
    _CHECKS[0],
    (
        "SELECT current_user WHERE NOT has_database_privilege(current_database(), 'CREATE')",
        "The operator's role {} may not create the schema that keeps what is dropped."
        " Run GRANT CREATE ON DATABASE … TO it, or make it a member of the owner's role.",
    ),
    (
        "SELECT gid FROM pg_prepared_xacts WHERE database = current_database()",
        "Prepared transactions hold locks that no timeout ends: {}. COMMIT PREPARED or ROLLBACK PREPARED them first.",
    ),
]


# A role that is a member without INHERIT owns nothing by that, and one without SET can give nothing to the owner.
_HALF_MEMBERS = """
SELECT pg_get_userbyid(datdba) FROM pg_database
WHERE datname = %s AND pg_has_role(current_user, datdba, 'MEMBER')
  AND NOT (pg_has_role(current_user, datdba, 'USAGE') AND pg_has_role(current_user, datdba, %s))"""
_GRANTORS = """
SELECT DISTINCT pg_get_userbyid(a.grantor) FROM pg_database d, aclexplode(d.datacl) a
WHERE d.datname = current_database() AND a.grantor <> d.datdba ORDER BY 1"""
_SUBSCRIPTIONS = """
SELECT subname FROM pg_subscription JOIN pg_database d ON d.oid = subdbid
WHERE d.datname = current_database() AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) ORDER BY 1"""
# Those that send whole servers' changes have no database; a base backup is no reader.
_STANDBYS = """
SELECT coalesce(nullif(r.application_name, ''), 'unnamed') FROM pg_stat_replication r JOIN pg_stat_activity a USING (pid)
WHERE a.datname IS NULL AND r.state IS DISTINCT FROM 'backup' ORDER BY 1"""


def find(connection: "psycopg.Connection[Any]", database: str) -> List[str]:
    """Sentences, one per obstacle, each with the way out; empty where nothing stands in the way."""
    return _sentences(connection, database, _CHECKS) + _half_member(connection, database)


def of_settings(connection: "psycopg.Connection[Any]", database: str) -> List[str]:
    """The same for settings that a restored database could not be given; `connection` is to the maintenance database."""
    if connection.execute("SELECT pg_is_in_recovery()").fetchone() == (True,):
        return []  # an obstacle already, and nothing can be tried there
    return settings.unsettable(connection, database)


def of_migration(connection: "psycopg.Connection[Any]", application_role: str = "", patience_s: float = 0) -> List[str]:
    """The same for a downgrade of the connected database, which waits `patience_s` for a lock.

    Sessions of the application's own role are left out: they end when it stops.
    """
    idle = [
        f"P{str(session)[1:]} and leaves its transaction open, so the downgrade would wait for it in vain."
        f" End it: SELECT pg_terminate_backend({session.pid});"
        for session in at_work.sessions(connection)
        if session.state.startswith("idle in transaction")
        and session.age_s >= patience_s
        and session.role != application_role
    ]
    return [*_sentences(connection, "", _OF_MIGRATION), *idle]


def holders(connection: "psycopg.Connection[Any]", database: str) -> List[str]:
    """The same for what may come at any time, and ending sessions does not end."""
    return _sentences(connection, database, _HOLDERS)


def notes(connection: "psycopg.Connection[Any]") -> List[str]:
    """Sentences about what stops nothing and is good to know before a restore."""
    sentences = []
    for query, sentence in (
        (
            _STANDBYS,
            "Standbys replay the restore ({}): reads there lag until they have,"
            " and sessions that are open there go on reading the old data until they reconnect.",
        ),
        (_GRANTORS, "What {} granted on the database will have been granted by its owner on a restored one."),
        (
            _SUBSCRIPTIONS,
            "Subscriptions ({}) are in no backup that the operator's role makes: pg_dump writes them for a superuser only.",
        ),
    ):
        names = [str(name) for (name,) in connection.execute(query).fetchall()]
        if names:
            sentences.append(sentence.format(listed(names)))
    return sentences


def _half_member(connection: "psycopg.Connection[Any]", database: str) -> List[str]:
    how = "SET" if connection.info.server_version >= 160000 else "MEMBER"
    row = connection.execute(_HALF_MEMBERS, [database, how]).fetchone()
    if row is None:
        return []
    (operator,) = connection.execute("SELECT current_user").fetchone() or ("",)
    return [
        f"{operator} is a member of {row[0]}, which owns the database, but has not all of its rights, so it may not rename it,"
        f" or not make another for it. Run as a superuser: {carrying.membership(connection, str(row[0]), str(operator))}"
    ]


def _sentences(connection: "psycopg.Connection[Any]", database: str, checks: List[Tuple[str, str]]) -> List[str]:
    sentences = []
    for query, sentence in checks:
        names = [str(row[0]) for row in connection.execute(query, {"database": database}).fetchall()]
        if names:
            sentences.append(sentence.format(listed(names)))
    return sentences
