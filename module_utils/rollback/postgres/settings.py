"""What PostgreSQL keeps of a database outside of it: owner, limits, settings, grants, comment.

All of it follows the database's OID, so a restored database has none of it until it is carried over.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Tuple

from ansible.module_utils.rollback.errors import RollbackError

with suppress(ImportError):  # the module that uses this says so
    from psycopg import errors as pg_errors
    from psycopg import sql

if TYPE_CHECKING:
    import psycopg

# Lists of names: PostgreSQL stores them flattened, and reads them back only item by item.
_NAME_LISTS = (
    "local_preload_libraries",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
)


@dataclass(frozen=True)
class Settings:
    """`grants` are (grantee or '' for PUBLIC, privilege, grantable); `parameters` are (role or '', name, value)."""

    owner: str
    connection_limit: int
    comment: Optional[str]
    grants: Tuple[Tuple[str, str, bool], ...]
    parameters: Tuple[Tuple[str, str, str], ...]

    @classmethod
    def from_dict(cls, content: Dict[str, Any]) -> "Settings":
        """What `dataclasses.asdict` made of one, read back from JSON."""
        lists = {name: tuple(tuple(entry) for entry in content[name]) for name in ("grants", "parameters")}
        return cls(**{**content, **lists})

    def as_dict(self) -> Dict[str, Any]:
        """For people."""
        return {
            "owner": self.owner,
            "connection_limit": self.connection_limit,
            "comment": self.comment,
            "grants": [
                f"{grantee or 'PUBLIC'}: {privilege}{' with grant option' if grantable else ''}"
                for grantee, privilege, grantable in self.grants
            ],
            "parameters": [f"{role + ': ' if role else ''}{name} = {value}" for role, name, value in self.parameters],
        }


def read(connection: "psycopg.Connection[Any]", database: str) -> Settings:
    """Raises RollbackError where there is no such database."""
    row = connection.execute(
        "SELECT pg_get_userbyid(datdba), datconnlimit, shobj_description(oid, 'pg_database'), oid FROM pg_database WHERE datname = %s",
        [database],
    ).fetchone()
    if row is None:
        raise RollbackError(f"There is no database {database} on this server.", "Check rollback_database.")
    owner, limit, comment, oid = row
    grants = connection.execute(
        "SELECT CASE a.grantee WHEN 0 THEN '' ELSE pg_get_userbyid(a.grantee) END, a.privilege_type, a.is_grantable"
        " FROM pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a WHERE d.oid = %s ORDER BY 1, 2",
        [oid],
    ).fetchall()
    parameters = connection.execute(
        "SELECT CASE s.setrole WHEN 0 THEN '' ELSE pg_get_userbyid(s.setrole) END, split_part(p, '=', 1), substr(p, strpos(p, '=') + 1)"
        " FROM pg_db_role_setting s, unnest(s.setconfig) p WHERE s.setdatabase = %s ORDER BY 1, 2",
        [oid],
    ).fetchall()
    return Settings(owner, limit, comment, tuple(map(tuple, grants)), tuple(map(tuple, parameters)))


def apply(connection: "psycopg.Connection[Any]", wanted: Settings, target: str) -> List[str]:
    """Give `target` the settings `wanted`, in one transaction; returns what was done, in words.

    Raises RollbackError where the operator lacks a right, or where the result is not the same after all.
    """
    actions = []
    try:
        with connection.transaction():
            for statement, words in _statements(wanted, read(connection, target), target):
                connection.execute(statement)
                actions.append(words)
    except pg_errors.InsufficientPrivilege as error:
        raise RollbackError(
            f"The settings of the live database cannot be carried over: {str(error).strip()}.",
            "ALTER ROLE … IN DATABASE needs CREATEROLE and ADMIN on that role, or a superuser.",
        ) from error
    found = read(connection, target)
    if found != wanted:
        raise RollbackError(
            f"After carrying them over, the settings of {target} are not those of the live database: {found.as_dict()} instead of {wanted.as_dict()}."
        )
    return actions


def _statements(wanted: Settings, found: Settings, target: str) -> "List[Tuple[sql.Composed, str]]":
    database = sql.Identifier(target)
    statements: "List[Tuple[sql.Composed, str]]" = []
    if found.owner != wanted.owner:
        statements.append(
            (
                sql.SQL("ALTER DATABASE {} OWNER TO {}").format(database, sql.Identifier(wanted.owner)),
                f"owner {wanted.owner}",
            )
        )
    if found.connection_limit != wanted.connection_limit:
        statements.append(
            (
                sql.SQL("ALTER DATABASE {} CONNECTION LIMIT {}").format(database, sql.Literal(wanted.connection_limit)),
                f"connection limit {wanted.connection_limit}",
            )
        )
    if found.comment != wanted.comment:
        statements.append(
            (sql.SQL("COMMENT ON DATABASE {} IS {}").format(database, sql.Literal(wanted.comment)), "comment")
        )
    for grantee, privilege, _ in sorted(set(found.grants) - set(wanted.grants)):
        statements.append(
            (
                _grant("REVOKE {} ON DATABASE {} FROM {}", privilege, target, grantee),
                f"no {privilege} for {grantee or 'PUBLIC'}",
            )
        )
    for grantee, privilege, grantable in sorted(set(wanted.grants) - set(found.grants)):
        template = "GRANT {} ON DATABASE {} TO {}" + (" WITH GRANT OPTION" if grantable else "")
        statements.append((_grant(template, privilege, target, grantee), f"{privilege} for {grantee or 'PUBLIC'}"))
    for role, name, value in wanted.parameters:
        if (role, name, value) not in found.parameters:
            statements.append(
                (_parameter(role, name, value, target), f"{name} = {value}" + (f" for {role}" if role else ""))
            )
    return statements


def _grant(template: str, privilege: str, target: str, grantee: str) -> "sql.Composed":
    return sql.SQL(template).format(
        sql.SQL(privilege), sql.Identifier(target), sql.Identifier(grantee) if grantee else sql.SQL("PUBLIC")
    )


def _parameter(role: str, name: str, value: str, target: str) -> "sql.Composed":
    subject = (
        sql.SQL("ROLE {} IN DATABASE {}").format(sql.Identifier(role), sql.Identifier(target))
        if role
        else sql.SQL("DATABASE {}").format(sql.Identifier(target))
    )
    # A setting's name may have a dot (extensions define such), which stands outside the quotes.
    setting = sql.SQL(".").join(sql.Identifier(part) for part in name.split("."))
    if name not in _NAME_LISTS:
        return sql.SQL("ALTER {} SET {} TO {}").format(subject, setting, sql.Literal(value))
    # The flattened list is what set_config reads; FROM CURRENT then stores it without our parsing it.
    return sql.SQL("SELECT set_config({}, {}, true); ALTER {} SET {} FROM CURRENT").format(
        sql.Literal(name), sql.Literal(value), subject, setting
    )
