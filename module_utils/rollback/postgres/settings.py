"""What PostgreSQL keeps of a database outside of it: owner, limits, settings, grants, comment.

All of it follows the database's OID, so a restored database has none of it until it is carried over.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence, Tuple

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.postgres.carrying import Failure, Step, listed_problems, run

with suppress(ImportError):  # the module that uses this says so
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
    """`grants` are (grantee or '' for PUBLIC, privilege, grantable); `parameters` are (role or '', name, value), `labels`
    (provider, label). Who granted is left out: on a restored database its owner has granted it all."""

    owner: str
    connection_limit: int
    comment: Optional[str]
    grants: Tuple[Tuple[str, str, bool], ...]
    parameters: Tuple[Tuple[str, str, str], ...]
    labels: Tuple[Tuple[str, str], ...] = ()

    @classmethod
    def from_dict(cls, content: Dict[str, Any]) -> "Settings":
        """What `dataclasses.asdict` made of one, read back from JSON."""
        lists = {name: tuple(map(tuple, content.get(name, ()))) for name in ("grants", "parameters", "labels")}
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
            **({"labels": [f"{provider}: {label}" for provider, label in self.labels]} if self.labels else {}),
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
        "SELECT CASE a.grantee WHEN 0 THEN '' ELSE pg_get_userbyid(a.grantee) END, a.privilege_type, bool_or(a.is_grantable)"
        " FROM pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a WHERE d.oid = %s GROUP BY 1, 2 ORDER BY 1, 2",
        [oid],
    ).fetchall()
    parameters = connection.execute(
        "SELECT CASE s.setrole WHEN 0 THEN '' ELSE pg_get_userbyid(s.setrole) END, split_part(p, '=', 1), substr(p, strpos(p, '=') + 1)"
        " FROM pg_db_role_setting s, unnest(s.setconfig) p WHERE s.setdatabase = %s ORDER BY 1, 2",
        [oid],
    ).fetchall()
    labels = connection.execute(
        "SELECT provider, label FROM pg_shseclabel WHERE classoid = 'pg_database'::regclass AND objoid = %s ORDER BY 1",
        [oid],
    ).fetchall()
    return Settings(owner, limit, comment, *(tuple(map(tuple, rows)) for rows in (grants, parameters, labels)))


def apply(connection: "psycopg.Connection[Any]", wanted: Settings, target: str) -> List[str]:
    """Give `target` the settings `wanted`, in one transaction; returns what was done, in words.

    Raises RollbackError where the operator lacks a right, or where the result is not the same after all.
    """
    actions = []
    with connection.transaction():
        for step in steps(wanted, read(connection, target), target):
            error = run(connection, step)
            if error:
                problem = listed_problems(connection, [(step, error)], target)[0]
                raise RollbackError(f"The settings of the live database cannot be carried over: {problem}") from error
            actions.append(step.words)
    found = read(connection, target)
    if found != wanted:
        raise RollbackError(
            f"After carrying them over, the settings of {target} are not those of the live database: {found.as_dict()} instead of {wanted.as_dict()}."
        )
    return actions


def carry(connection: "psycopg.Connection[Any]", wanted: Settings, target: str, live: str) -> List[str]:
    """Give `target` what can be given of the settings `wanted`; returns sentences, which name it `live`, about the rest."""
    failures: List[Failure] = []
    with connection.transaction():
        for step in steps(wanted, read(connection, target), target):
            error = run(connection, step)
            if error:
                failures.append((step, error))
    return listed_problems(connection, failures, live)


def unsettable(connection: "psycopg.Connection[Any]", live: str) -> List[str]:
    """Sentences about parameters of database `live` that the operator could not give to a restored one.

    `connection` is one to the maintenance database, as that of `apply` is. Only trying can tell: whether a parameter may be set
    depends on its kind, on grants, on loaded libraries, and its value on the server. So each is set for a role in the maintenance
    database, which asks for the same rights, in a transaction that is rolled back.
    """
    wanted = read(connection, live)
    (here, operator) = connection.execute("SELECT current_database(), current_user").fetchone() or ("", "")
    tries = [
        Step((_parameter(role, name, value, here),), "", role or wanted.owner, role, name, value)
        if role
        else Step(
            tuple(_parameter(setter, name, value, here) for setter in (operator, wanted.owner)),
            "",
            wanted.owner,
            "",
            name,
            value,
        )
        for role, name, value in wanted.parameters
    ]
    return listed_problems(connection, _failures(connection, tries), live)


def trial(connection: "psycopg.Connection[Any]", live: str, target: str, known_as: str = "") -> List[str]:
    """Sentences about settings of `live` that could not be carried over to the scratch database `target`, which stays as it is.

    They name the database `known_as`, where it has another name at the moment.
    """
    wanted = read(connection, live)
    tries = steps(wanted, read(connection, target), target)
    return listed_problems(connection, _failures(connection, tries), known_as or live)


def _failures(connection: "psycopg.Connection[Any]", tries: "Sequence[Step]") -> "List[Failure]":
    failures = []
    with connection.transaction(force_rollback=True):
        for step in tries:
            error = run(connection, step)
            if error:
                failures.append((step, error))
    return failures


def steps(wanted: Settings, found: Settings, target: str) -> List[Step]:
    """What makes the settings `found` of database `target` the `wanted` ones."""
    database, owner = sql.Identifier(target), wanted.owner
    made: List[Step] = []

    def say(statement: "sql.Composed", words: str) -> None:
        made.append(Step((statement,), words, owner))

    if found.owner != owner:
        say(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(database, sql.Identifier(owner)), f"owner {owner}")
    if found.connection_limit != wanted.connection_limit:
        limit = wanted.connection_limit
        say(
            sql.SQL("ALTER DATABASE {} CONNECTION LIMIT {}").format(database, sql.Literal(limit)),
            f"connection limit {limit}",
        )
    if found.comment != wanted.comment:
        say(sql.SQL("COMMENT ON DATABASE {} IS {}").format(database, sql.Literal(wanted.comment)), "comment")
    for provider, label in wanted.labels:
        if (provider, label) not in found.labels:
            say(
                sql.SQL("SECURITY LABEL FOR {} ON DATABASE {} IS {}").format(
                    sql.Identifier(provider), database, sql.Literal(label)
                ),
                f"security label of {provider}",
            )
    for grantee, privilege, _ in sorted(set(found.grants) - set(wanted.grants)):
        say(
            _grant("REVOKE {} ON DATABASE {} FROM {}", privilege, target, grantee),
            f"no {privilege} for {grantee or 'PUBLIC'}",
        )
    for grantee, privilege, grantable in sorted(set(wanted.grants) - set(found.grants)):
        template = "GRANT {} ON DATABASE {} TO {}" + (" WITH GRANT OPTION" if grantable else "")
        say(_grant(template, privilege, target, grantee), f"{privilege} for {grantee or 'PUBLIC'}")
    for role, name, value in wanted.parameters:
        if (role, name, value) not in found.parameters:
            words = f"{name} = {value}" + (f" for {role}" if role else "")
            made.append(Step((_parameter(role, name, value, target),), words, role or owner, role, name, value))
    return made


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
