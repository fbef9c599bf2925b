"""One setting of a database on its way to a restored one: who may set it, and what helps where the operator may not."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence, Tuple

from ansible.module_utils.rollback.words import listed

with suppress(ImportError):  # the module that uses this says so
    import psycopg
    from psycopg import errors as pg_errors
    from psycopg import sql

if TYPE_CHECKING:
    import psycopg

# Classes of SQLSTATE that say nothing about the statement: connection, transaction, resources, an operator who cancels, the system,
# and another session that changed the same row.
_OF_CIRCUMSTANCES = ("08", "25", "40", "53", "57", "58", "XX")
_GRANTS_PARAMETERS = 150000  # the first version with GRANT SET ON PARAMETER
_SPLITS_MEMBERSHIP = 160000  # the first one in which memberships have INHERIT and SET, and CREATEROLE needs ADMIN


@dataclass(frozen=True)
class Step:
    """`statements` are done as the operator, or else as the role `become`: the last one, where there are two, is meant for that.

    `role`, `parameter` and `value` are those of a parameter; `role` is empty where it is the database's.
    """

    statements: "Tuple[sql.Composed, ...]"
    words: str
    become: str
    role: str = ""
    parameter: str = ""
    value: str = ""


Failure = Tuple[Step, "psycopg.Error"]


def run(connection: "psycopg.Connection[Any]", step: Step) -> "Optional[psycopg.Error]":
    """Do a step within the transaction that is open; the error where the operator cannot, and nothing has changed then.

    A role may set its own parameters in a database, and a member can act as that role, without CREATEROLE.
    """
    error = _done(connection, step.statements[0])
    if (
        error is None
        or not isinstance(error, pg_errors.InsufficientPrivilege)
        or not _may_become(connection, step.become)
    ):
        return error
    (before,) = connection.execute("SELECT current_setting('role')").fetchone() or ("none",)
    as_role = sql.SQL("SET LOCAL ROLE {}; {}; SET LOCAL ROLE {}").format(
        sql.Identifier(step.become),
        step.statements[-1],
        sql.SQL("NONE") if before == "none" else sql.Identifier(before),
    )
    return error if _done(connection, as_role) else None


def listed_problems(connection: "psycopg.Connection[Any]", failures: Sequence[Failure], database: str) -> List[str]:
    """A sentence for each kind of failure, with the statement that helps."""
    if not failures:
        return []
    (operator,) = connection.execute("SELECT current_user").fetchone() or ("",)
    version = connection.info.server_version
    sentences: List[str] = []
    denied: Dict[str, List[Step]] = {}
    roles: Dict[str, None] = {}
    for step, error in failures:
        if not step.parameter:
            sentences.append(_of_ownership(connection, step, error, database, operator))
        elif not isinstance(error, pg_errors.InsufficientPrivilege):
            sentences.append(_of_value(step, error, database))
        elif step.role and not _may_alter(connection, step.role) and not _may_become(connection, step.role):
            roles[step.role] = None
        elif not step.role and not _has_role(connection, step.become, "USAGE"):
            sentences.append(_of_ownership(connection, step, error, database, operator))
        else:
            acts = operator if not step.role or _may_alter(connection, step.role) else step.role
            denied.setdefault(acts, []).append(step)
    sentences += [_of_right(steps, database, acts, version) for acts, steps in denied.items()]
    if roles:
        names = listed(list(roles))
        statement = f"GRANT {', '.join(map(_quoted, roles))} TO {_quoted(operator)};"
        sentences.append(
            f"The settings of roles in database {database} ({names}) cannot be carried over: {operator} may neither become nor alter"
            f" {'that role' if len(roles) == 1 else 'those roles'}. Run as a superuser: {statement}"
        )
    return list(dict.fromkeys(sentences))


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[a-z_][a-z0-9_]*", name) else '"{}"'.format(name.replace('"', '""'))


def _named(parameter: str) -> str:
    """As SQL has it: the dots stay outside of quotes."""
    return ".".join(map(_quoted, parameter.split(".")))


def _done(connection: "psycopg.Connection[Any]", statement: "sql.Composed") -> "Optional[psycopg.Error]":
    try:
        with connection.transaction():
            connection.execute(statement)
    except psycopg.Error as error:
        if not error.sqlstate or error.sqlstate[:2] in _OF_CIRCUMSTANCES:
            raise
        return error
    return None


def _setter(step: Step, database: str) -> str:
    role = f"ROLE {_quoted(step.role)} IN " if step.role else ""
    return f"ALTER {role}DATABASE {_quoted(database)}"


def _of_right(steps: List[Step], database: str, acts: str, version: int) -> str:
    parameters = sorted({step.parameter for step in steps})
    told = (
        f"{acts} may not set {listed(parameters)}, which a superuser set for database {database},"
        f" so a restored one could not be given {'it' if len(parameters) == 1 else 'them'}."
    )
    if version >= _GRANTS_PARAMETERS:
        return f"{told} Run as a superuser: GRANT SET ON PARAMETER {', '.join(map(_named, parameters))} TO {_quoted(acts)};"
    resets = " ".join(f"{_setter(step, database)} RESET {_named(step.parameter)};" for step in steps)
    return f"{told} Before PostgreSQL 15 no one else can be allowed to. Run as a superuser: {resets} and set it again after the restore."


def _of_value(step: Step, error: "psycopg.Error", database: str) -> str:
    said = (error.diag.message_primary or str(error)).strip().rstrip(".")
    setter = _setter(step, database)
    # RESET asks for the parameter too, RESET ALL does not.
    unknown = isinstance(error, pg_errors.UndefinedObject) and "." not in step.parameter
    way = (
        f"{setter} RESET ALL; as a superuser, and set the others again"
        if unknown
        else f"{setter} RESET {_named(step.parameter)};"
    )
    return (
        f"{setter} has set {step.parameter} to {step.value!r}, which this server no longer takes ({said}),"
        f" so a restored database could not be given it. Run {way}"
    )


def _of_ownership(
    connection: "psycopg.Connection[Any]", step: Step, error: "psycopg.Error", database: str, operator: str
) -> str:
    said = (error.diag.message_primary or str(error)).strip().rstrip(".")
    what = f"{step.words} of database {database} cannot be carried over: {said}."
    if not isinstance(error, pg_errors.InsufficientPrivilege) or _has_role(connection, step.become, "USAGE"):
        return what
    return f"{what} Run as a superuser: {membership(connection, step.become, operator)}"


def membership(connection: "psycopg.Connection[Any]", role: str, operator: str) -> str:
    """The statements that let `operator` own what `role` owns, and give it away to that role."""
    if connection.info.server_version >= _SPLITS_MEMBERSHIP:
        return f"GRANT {_quoted(role)} TO {_quoted(operator)} WITH INHERIT TRUE, SET TRUE;"
    return f"GRANT {_quoted(role)} TO {_quoted(operator)}; ALTER ROLE {_quoted(operator)} INHERIT;"


def _has_role(connection: "psycopg.Connection[Any]", role: str, how: str) -> bool:
    row = connection.execute(
        "SELECT pg_has_role(current_user, oid, %s) FROM pg_roles WHERE rolname = %s", [how, role]
    ).fetchone()
    return bool(row and row[0])


def _may_become(connection: "psycopg.Connection[Any]", role: str) -> bool:
    # SET ROLE asks what the session's user may, not what the role may that it has become.
    how = "SET" if connection.info.server_version >= _SPLITS_MEMBERSHIP else "MEMBER"
    row = connection.execute(
        "SELECT pg_has_role(session_user, oid, %s) FROM pg_roles WHERE rolname = %s", [how, role]
    ).fetchone()
    return bool(row and row[0])


def _may_alter(connection: "psycopg.Connection[Any]", role: str) -> bool:
    """Whether ALTER ROLE of another role is the operator's to say: CREATEROLE, since PostgreSQL 16 with ADMIN on that role."""
    row = connection.execute(
        "SELECT me.rolsuper OR me.oid = r.oid, me.rolcreaterole AND NOT r.rolsuper, pg_has_role(current_user, r.oid, 'MEMBER WITH ADMIN OPTION')"
        " FROM pg_roles me, pg_roles r WHERE me.rolname = current_user AND r.rolname = %s",
        [role],
    ).fetchone()
    always, creates, administers = row or (False, False, False)
    needs_admin = connection.info.server_version >= _SPLITS_MEMBERSHIP
    return bool(always or (creates and (administers or not needs_admin)))
