"""What a dump needs and the server lacks, found before anything is touched: a load would stop at the first of it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Callable, Iterable, List, Tuple

from ansible.module_utils.rollback.backups.requirements import Requirements
from ansible.module_utils.rollback.words import listed

with suppress(ImportError):  # the module that uses this says so
    import psycopg as pg
    from psycopg import sql

if TYPE_CHECKING:
    import psycopg

_UNTRUSTED_LANGUAGES = {"c", "internal"}  # always there; any other comes with an extension
_CHOOSE = "or choose another backup."


def find(connection: "psycopg.Connection[Any]", needs: Requirements) -> List[str]:
    """Sentences, one per kind of lack, each with the way out; empty where the dump's needs are met.

    `connection` is the operator's, to the live database: a database restored beside it has its owner and encoding.
    What only trying can tell is tried in a transaction that is always rolled back.
    """
    superuser, version, replica = connection.execute(
        "SELECT rolsuper, current_setting('server_version'), pg_is_in_recovery() FROM pg_roles WHERE rolname = current_user"
    ).fetchone() or (False, "", False)
    found = [
        *_roles(connection, needs),
        *_extensions(connection, needs),
        *([] if superuser else _for_superusers(needs)),
        *_tablespaces(connection, needs),
    ]
    if replica:  # which is refused anyway, and where nothing can be tried
        return found
    with connection.transaction(force_rollback=True):
        connection.execute("SET TRANSACTION READ WRITE")
        return [*found, *_settings(connection, needs, version.split()[0]), *_collations(connection, needs)]


def too_mighty(connection: "psycopg.Connection[Any]") -> List[str]:
    """A warning where the operator's role is a superuser: whatever a backup executes, it executes with that role's rights."""
    superuser, role = connection.execute(
        "SELECT rolsuper, rolname FROM pg_roles WHERE rolname = current_user"
    ).fetchone() or (False, "")
    if not superuser:
        return []
    return [
        f"The operator's role {role} is a superuser, so what a backup executes while it is loaded may do anything on the server."
        " A role with CREATEDB that owns the database is enough."
    ]


def _roles(connection: "psycopg.Connection[Any]", needs: Requirements) -> List[str]:
    missing = _names(
        connection,
        "SELECT name FROM unnest(%s::text[]) name WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) ORDER BY 1",
        needs.owners | needs.roles,
    )
    # From 16 on a membership may come without the right to act as that role.
    right = "SET" if connection.info.server_version >= 160000 else "MEMBER"
    foreign = _names(
        connection,
        f"SELECT rolname FROM pg_roles WHERE rolname = ANY(%s::text[]) AND NOT pg_has_role(current_user, oid, '{right}') ORDER BY 1",  # noqa: S608
        needs.owners,
    )
    return [
        *_said(
            missing, "The dump names roles that the server lacks: {}. Create them (CREATE ROLE … NOLOGIN), " + _CHOOSE
        ),
        *_said(
            foreign,
            "Things in the dump belong to roles that the operator's role may not act as: {}. Grant those to it.",
        ),
    ]


def _extensions(connection: "psycopg.Connection[Any]", needs: Requirements) -> List[str]:
    missing = _names(
        connection,
        "SELECT wanted FROM unnest(%s::text[]) wanted WHERE NOT EXISTS (SELECT FROM pg_available_extensions WHERE name = wanted) ORDER BY 1",
        needs.extensions,
    )
    # A trusted extension may be created by whoever may create schemas in the database: its owner.
    forbidden = _names(
        connection,
        "SELECT v.name FROM pg_available_extensions a JOIN pg_available_extension_versions v ON v.name = a.name AND v.version = a.default_version"
        " WHERE a.name = ANY(%s::text[]) AND a.name <> 'plpgsql' AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)"
        " AND ((v.superuser AND NOT v.trusted)"
        " OR NOT pg_has_role(current_user, (SELECT datdba FROM pg_database WHERE datname = current_database()), 'USAGE')) ORDER BY 1",
        needs.extensions,
    )
    return [
        *_said(
            missing, "The dump needs extensions that the server lacks: {}. Install their packages there, " + _CHOOSE
        ),
        *_said(
            forbidden,
            "The operator's role may not create extensions that the dump needs: {}. Let a superuser restore, or mark them as trusted.",
        ),
    ]


def _for_superusers(needs: Requirements) -> List[str]:
    languages = sorted(needs.languages & _UNTRUSTED_LANGUAGES)
    return [
        *_said(
            languages,
            "The dump holds functions in languages that only a superuser may use: {}. Let a superuser restore, "
            + _CHOOSE,
        ),
        *_said(
            ["SET SESSION AUTHORIZATION"] if needs.switches_user else [],
            "The dump grants in the name of others ({}), which only a superuser may. Let a superuser restore, "
            + _CHOOSE,
        ),
    ]


def _tablespaces(connection: "psycopg.Connection[Any]", needs: Requirements) -> List[str]:
    wanted = {value for name, value in needs.settings if name == "default_tablespace" and value}
    missing = _names(
        connection,
        "SELECT name FROM unnest(%s::text[]) name WHERE NOT EXISTS (SELECT FROM pg_tablespace WHERE spcname = name) ORDER BY 1",
        wanted,
    )
    forbidden = _names(
        connection,
        "SELECT spcname FROM pg_tablespace t WHERE spcname = ANY(%s::text[]) AND NOT has_tablespace_privilege(oid, 'CREATE')"
        " AND oid <> (SELECT dattablespace FROM pg_database WHERE datname = current_database()) ORDER BY 1",
        wanted,
    )
    return [
        *_said(missing, "The dump names tablespaces that the server lacks: {}. Create them, " + _CHOOSE),
        *_said(
            forbidden,
            "The operator's role may create nothing in tablespaces that the dump names: {}. GRANT CREATE ON TABLESPACE … to it.",
        ),
    ]


def _settings(connection: "psycopg.Connection[Any]", needs: Requirements, version: str) -> List[str]:
    def change(setting: Tuple[str, str]) -> None:
        connection.execute("SELECT set_config(%s, %s, true)", list(setting))

    wanted = sorted(setting for setting in needs.settings if setting[0] != "default_tablespace")
    refused = [f"{name} = {value} ({why})" for (name, value), why in _tried(connection, wanted, change)]
    return _said(
        refused,
        f"Loading the dump changes settings in a way that the server, PostgreSQL {version}, refuses: {{}}."
        f" Choose another backup, such as one made with client tools of version {version.split('.')[0]}.",
    )


def _collations(connection: "psycopg.Connection[Any]", needs: Requirements) -> List[str]:
    def create(collation: Tuple[str, "dict[str, str]"]) -> None:
        options = [
            sql.SQL("{} = {}").format(sql.Identifier(name), sql.Literal(value)) for name, value in collation[1].items()
        ]
        connection.execute(sql.SQL("CREATE COLLATION pg_temp.rollback_trial ({})").format(sql.SQL(", ").join(options)))

    refused = [f"{name} ({why})" for (name, _), why in _tried(connection, sorted(needs.collations.items()), create)]
    return _said(refused, "The server cannot make collations of the dump: {}. Install those locales there, " + _CHOOSE)


def _tried(
    connection: "psycopg.Connection[Any]", wanted: Iterable[Any], attempt: Callable[[Any], None]
) -> List[Tuple[Any, str]]:
    """Those of `wanted` at which `attempt` fails, with PostgreSQL's reason. Nothing of it stays."""
    failed = []
    for entry in wanted:
        try:
            with connection.transaction(force_rollback=True):
                attempt(entry)
        except pg.Error as error:
            if connection.closed:
                raise
            # The detail, where there is one, names the cause: "invalid value" alone helps nobody.
            reason = error.diag.message_detail or error.diag.message_primary or str(error)
            failed.append((entry, reason.strip().rstrip(".")))
    return failed


def _names(connection: "psycopg.Connection[Any]", query: str, wanted: Iterable[str]) -> List[str]:
    return [row[0] for row in connection.execute(query, [sorted(wanted)]).fetchall()]


def _said(names: List[str], sentence: str) -> List[str]:
    return [sentence.format(listed(names))] if names else []
