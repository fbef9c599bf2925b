"""Reading and leaving the environment's marker in the comment of a database.

People see it there, and no dump takes it elsewhere. The comment follows the database's OID: what is set aside keeps
its marker, and a restored database gets it with the settings that are carried over.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ansible.module_utils.rollback import identity
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.postgres import settings

with suppress(ImportError):  # the module that uses this says so
    from psycopg import errors as pg_errors
    from psycopg import sql

if TYPE_CHECKING:
    import psycopg


def read(connection: "psycopg.Connection[Any]", database: str) -> str:
    """The environment that `database` names; empty where it names none. Raises RollbackError without such a database."""
    return identity.environment_of(settings.read(connection, database).comment)


def write(connection: "psycopg.Connection[Any]", database: str, environment: str, check: bool = False) -> bool:
    """Leave the marker behind the comment that is there; True where it was not there. With `check` nothing is written.

    Raises RollbackError where the database carries the marker of another environment, or the operator may not comment on it.
    """
    comment = settings.read(connection, database).comment or ""
    carried = identity.environment_of(comment)
    if carried == environment:
        return False
    if carried:
        raise RollbackError(*identity.foreign(database, carried, environment))
    if not check:
        marked = f"{comment} {identity.marker(environment)}".strip()
        try:
            connection.execute(
                sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(database), sql.Literal(marked))
            )
        except pg_errors.InsufficientPrivilege as error:
            raise RollbackError(
                f"The marker of environment {environment} cannot be left: {str(error).strip()}.",
                "Make the operator's role a member of the owner's.",
            ) from error
    return True
