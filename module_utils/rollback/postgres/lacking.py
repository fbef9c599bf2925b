"""What a dump needs and the server lacks, found before anything is touched: a load would stop at the first of it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Iterable, List, Tuple

from ansible.module_utils.rollback.backups.requirements import Requirements
from ansible.module_utils.rollback.postgres import trials
from ansible.module_utils.rollback.words import listed

with suppress(ImportError):  # the module that uses this says so
    from psycopg import sql

if TYPE_CHECKING:
    import psycopg

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
        *_missing_extensions(connection, needs),
        *_tablespaces(connection, needs),
    ]
    if replica:  # which is refused anyway, and where nothing can be tried
        return found
    with trials.begun(connection):
        return [
            *found,
            *([] if superuser else _forbidden_extensions(connection, needs)),
            *([] if superuser else _rights(connection, needs)),
            *_settings(connection, needs, version.split()[0]),
            *_collations(connection, needs),
            *_label_providers(connection, needs),
        ]


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
    foreign = _names(
        connection,
        f"SELECT rolname FROM pg_roles WHERE rolname = ANY(%s::text[]) AND NOT pg_has_role(current_user, oid, '{_set_role(connection)}') ORDER BY 1",  # noqa: S608
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


def _missing_extensions(connection: "psycopg.Connection[Any]", needs: Requirements) -> List[str]:
    missing = _names(
        connection,
        "SELECT wanted FROM unnest(%s::text[]) wanted WHERE NOT EXISTS (SELECT FROM pg_available_extensions WHERE name = wanted) ORDER BY 1",
        needs.extensions,
    )
    return _said(
        missing, "The dump needs extensions that the server lacks: {}. Install their packages there, " + _CHOOSE
    )


def _forbidden_extensions(connection: "psycopg.Connection[Any]", needs: Requirements) -> List[str]:
    """Those that the operator's role may not create. Allow lists of managed services are known to their servers alone: it is tried."""
    # A trusted extension may be created by whoever may create schemas in the database: its owner. One that is there already
    # comes back as the role that owns it (extensions.py).
    doubtful = _names(
        connection,
        "SELECT v.name FROM pg_available_extensions a JOIN pg_available_extension_versions v ON v.name = a.name AND v.version = a.default_version"  # noqa: S608
        " LEFT JOIN pg_extension e ON e.extname = a.name"
        " WHERE a.name = ANY(%s::text[]) AND a.name <> 'plpgsql'"
        " AND ((v.superuser AND NOT v.trusted)"
        " OR NOT pg_has_role(current_user, (SELECT datdba FROM pg_database WHERE datname = current_database()), 'USAGE'))"
        f" AND (e.extowner IS NULL OR NOT pg_has_role(current_user, e.extowner, '{_set_role(connection)}')) ORDER BY 1",
        needs.extensions,
    )
    refused = [f"{name} ({why})" for name, why in trials.extensions(connection, doubtful)]
    return _said(
        refused,
        "The operator's role may not create extensions that the dump needs: {}."
        " Let a superuser restore, or mark them as trusted.",
    )


def _rights(connection: "psycopg.Connection[Any]", needs: Requirements) -> List[str]:
    """What only a superuser may create, unless the server lets the operator do it all the same."""
    languages = _names(
        connection,
        "SELECT name FROM unnest(%s::text[]) name WHERE name IN ('c', 'internal')"
        " OR EXISTS (SELECT FROM pg_language WHERE lanname = name AND NOT lanpltrusted) ORDER BY 1",
        needs.languages,
    )
    wrappers = _names(
        connection,
        "SELECT fdwname FROM pg_foreign_data_wrapper WHERE fdwname = ANY(%s::text[])"
        " AND NOT has_foreign_data_wrapper_privilege(oid, 'USAGE') ORDER BY 1",
        needs.wrappers,
    )
    refused = dict(trials.kinds(connection, sorted({kind for kind, _ in needs.restricted})))
    restricted = [f"{kind} {name} ({refused[kind]})" for kind, name in sorted(needs.restricted) if kind in refused]
    settings = [
        f"{name} ({why})" for name, why in trials.function_settings(connection, sorted(needs.function_settings))
    ]
    return [
        *_said(
            languages,
            "The dump holds functions in languages that only a superuser may use: {}. Let a superuser restore, "
            + _CHOOSE,
        ),
        *_said(
            restricted,
            "The dump holds what the operator's role may not create: {}. Let a superuser restore, " + _CHOOSE,
        ),
        *_said(
            settings,
            "The dump holds functions that set what the operator's role may not set: {}. GRANT SET ON PARAMETER … to it, "
            + _CHOOSE,
        ),
        *_said(
            wrappers,
            "The dump holds servers of foreign-data wrappers that the operator's role may not use: {}."
            " Let a superuser restore, " + _CHOOSE,
        ),
        *_said(
            ["SET SESSION AUTHORIZATION"] if needs.switches_user else [],
            "The dump creates things in the name of others ({}), which only a superuser may. Let a superuser restore, "
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
    refused = [f"{name} = {value} ({why})" for (name, value), why in trials.tried(connection, wanted, change)]
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
        connection.execute(
            sql.SQL("CREATE COLLATION pg_temp.trial_of_rollback ({})").format(sql.SQL(", ").join(options))
        )

    refused = [
        f"{name} ({why})" for (name, _), why in trials.tried(connection, sorted(needs.collations.items()), create)
    ]
    return _said(refused, "The server cannot make collations of the dump: {}. Install those locales there, " + _CHOOSE)


def _label_providers(connection: "psycopg.Connection[Any]", needs: Requirements) -> List[str]:
    refused = [f"{name} ({why})" for name, why in trials.label_providers(connection, sorted(needs.label_providers))]
    return _said(
        refused,
        "The dump holds security labels of providers that the server does not take: {}."
        " Load their modules there (shared_preload_libraries), " + _CHOOSE,
    )


def _set_role(connection: "psycopg.Connection[Any]") -> str:
    """The privilege to act as a role: from 16 on a membership may come without it."""
    return "SET" if connection.info.server_version >= 160000 else "MEMBER"


def _names(connection: "psycopg.Connection[Any]", query: str, wanted: Iterable[str]) -> List[str]:
    return [row[0] for row in connection.execute(query, [sorted(wanted)]).fetchall()]


def _said(names: List[str], sentence: str) -> List[str]:
    return [sentence.format(listed(names))] if names else []
