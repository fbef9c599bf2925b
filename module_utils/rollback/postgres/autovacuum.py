"""Keeps autovacuum away from tables that are being loaded.

There it works in vain, since indexes and rows still come, and whatever needs a lock of the table meanwhile waits for a second
(`deadlock_timeout`) until PostgreSQL ends it.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

with suppress(ImportError):  # the module that uses this says so
    import psycopg

if TYPE_CHECKING:
    import psycopg

# Only a table has this setting, and its own is not ours to change.
_MAY = b"""
SELECT FROM pg_catalog.pg_class WHERE oid = %s::pg_catalog.regclass AND relkind = 'r'
AND NOT EXISTS (SELECT FROM pg_catalog.pg_options_to_table(reloptions) WHERE option_name = 'autovacuum_enabled')"""


def keep_away(connection: "psycopg.Connection[Any]", table: bytes) -> bool:
    """Turn it off for `table`, named as in SQL; False where it stays as it is. `let_back` ends it."""
    if connection.execute(_MAY % _quoted(table)).fetchone() is None:
        return False
    try:
        connection.execute(b"ALTER TABLE ONLY %s SET (autovacuum_enabled = off)" % table)
    except psycopg.errors.InsufficientPrivilege:  # it is only slower
        return False
    return True


def let_back(connection: "psycopg.Connection[Any]", table: bytes) -> None:
    connection.execute(b"ALTER TABLE ONLY %s RESET (autovacuum_enabled)" % table)


def _quoted(text: bytes) -> bytes:
    """As a literal, also where the dump has changed what a backslash means. As bytes, since not every encoding is known here."""
    tag = b"$t$"
    while (text + tag).find(tag) < len(text):
        tag = b"$t" + tag[1:]
    return tag + text + tag
