"""Whoever owns the objects of the live database owns the restored ones.

A dump may be silent about owners (`pg_dump --no-owner`) or name those of another server. Restored as it is, its objects belong to
the operator, and the application may read none of them.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Dict, List

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.postgres import definitions, violations
from ansible.module_utils.rollback.postgres.client_tools import ClientTools
from ansible.module_utils.rollback.postgres.event_triggers import event_triggers_off
from ansible.module_utils.rollback.postgres.server import Server

with suppress(ImportError):  # the module that uses this says so
    import psycopg as pg

if TYPE_CHECKING:
    import psycopg

# `ALTER … OWNER TO …;` statements as pg_dump writes them, by the object's name (definitions.owner_statements).
Owners = Dict[str, List[str]]

_TO = re.compile(r"(?s)(.* OWNER TO )(.+);")
# template0 has it, so a dump without owners says nothing of it.
_ALWAYS_THERE = "schema public"


def read(server: Server, tools: ClientTools, database: str) -> Owners:
    """Return who owns what in `database`, as the statements that make it so."""
    found = definitions.owner_statements(definitions.entries(server, tools, database))
    return {name: [statement.decode() for statement in statements] for name, statements in found.items()}


def settle(server: Server, tools: ClientTools, database: str, live: Owners) -> List[str]:
    """Give the objects of `database` the owners that they have in the live one; returns the names of those that changed.

    What the live database lacks goes to the database's owner where it belongs to the operator. Raises RollbackError where
    the operator's role may not do that.
    """
    restored = read(server, tools, database)
    with server.connect(database) as connection, event_triggers_off(connection):
        operator, owner = connection.execute(
            "SELECT quote_ident(session_user), quote_ident(pg_get_userbyid(datdba)) FROM pg_database WHERE datname = current_database()"
        ).fetchone() or ("", "")
        changed = []
        # An owner must have rights in the schema; and a sequence that belongs to a column follows its table, and refuses to go alone.
        names = restored.keys() | ({_ALWAYS_THERE} & live.keys())
        for name in sorted(
            names, key=lambda name: (not name.startswith("schema "), not name.startswith("table "), name)
        ):
            statements = _wanted(restored.get(name, []), live.get(name), operator, owner)
            if statements:
                _run(connection, name, statements)
                changed.append(name)
        # pg_dump --schema-only, which tells the others, knows none of them.
        if operator != owner:
            objects = connection.execute(
                "SELECT format('ALTER LARGE OBJECT %s OWNER TO ', oid) FROM pg_largeobject_metadata WHERE pg_get_userbyid(lomowner) = session_user"
            ).fetchall()
            for (statement,) in objects:
                _run(connection, "large objects", [f"{statement}{owner}"])
            changed += ["large objects"] if objects else []
    return changed


def _wanted(restored: List[str], live: "List[str] | None", operator: str, owner: str) -> List[str]:
    """The statements that have to be run for one name."""
    if live is not None:
        return [statement for statement in live if statement not in restored]
    if operator == owner:
        return []
    return [
        f"{found.group(1)}{owner};" for found in map(_TO.fullmatch, restored) if found and found.group(2) == operator
    ]


def _run(connection: "psycopg.Connection[Any]", name: str, statements: List[str]) -> None:
    for statement in statements:
        try:
            connection.execute(statement)
        except pg.Error as error:
            if violations.names_nothing(error):
                continue  # an operator's overload that only the live database has
            said = (error.diag.message_primary or str(error)).strip().rstrip(".")
            raise RollbackError(
                f"The restored {name} cannot be given to the role that owns it in the live database: {said}.",
                "Grant that role to the operator's role, or let a superuser restore.",
            ) from error
