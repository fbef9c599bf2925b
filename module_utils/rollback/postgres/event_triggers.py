"""Keeps the event triggers of a restored database quiet while it is set up: what they write is not in the backup."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Iterator, List, Tuple

with suppress(ImportError):  # the module that uses this says so
    import psycopg
    from psycopg import sql

if TYPE_CHECKING:
    import psycopg

_SINCE = 170000  # event_triggers = off
# Before 17 those that are ENABLE REPLICA or ENABLE ALWAYS fire all the same, and have to be disabled for a while.
_FIRE_ANYWAY = """
SELECT evtname, CASE evtenabled WHEN 'R' THEN 'REPLICA' ELSE 'ALWAYS' END FROM pg_event_trigger
WHERE evtenabled IN ('R', 'A') ORDER BY 1"""


def settings(connection: "psycopg.Connection[Any]") -> List[Tuple[str, str]]:
    """Return the settings with which a session fires none, also when it logs in; empty where this role may not set them.

    They are for PGOPTIONS too (`load_settings.as_options`). Only a superuser may create event triggers, and where the
    operator may not set these, it restored none either.
    """
    setting = (
        ("event_triggers", "off")
        if connection.info.server_version >= _SINCE
        else ("session_replication_role", "replica")
    )
    try:
        with connection.transaction(force_rollback=True):
            connection.execute("SELECT set_config(%s, %s, true)", list(setting))
    except psycopg.errors.InsufficientPrivilege:
        return []
    return [setting]


@contextmanager
def event_triggers_off(connection: "psycopg.Connection[Any]") -> Iterator[bool]:
    """Fire no event triggers on this connection for as long as the block lasts; False where this role may not say so."""
    chosen = settings(connection)
    disabled: List[Tuple[str, str]] = []
    if chosen and connection.info.server_version < _SINCE:
        disabled = connection.execute(_FIRE_ANYWAY).fetchall()
    for name, value in chosen:
        connection.execute("SELECT set_config(%s, %s, false)", [name, value])
    for name, _ in disabled:
        connection.execute(sql.SQL("ALTER EVENT TRIGGER {} DISABLE").format(sql.Identifier(name)))
    try:
        yield bool(chosen)
    finally:
        for name, when in disabled:
            connection.execute(sql.SQL("ALTER EVENT TRIGGER {} ENABLE {}").format(sql.Identifier(name), sql.SQL(when)))
        for name, _ in chosen:
            connection.execute(sql.SQL("RESET {}").format(sql.Identifier(name)))
