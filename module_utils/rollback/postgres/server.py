"""How a PostgreSQL server is reached, by psycopg and by its client tools, without its password in sight."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Dict, List, Optional

from ansible.module_utils.rollback import sealed
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.postgres import relay

try:
    import psycopg
    from psycopg import conninfo
except ImportError:
    if not TYPE_CHECKING:
        psycopg = None

MAINTENANCE_DATABASE = "postgres"
DEFAULT_PORT = "5432"
# Ours, not libpq's: quoted as libpq quotes.
_THROUGH = re.compile(r"(?:^|\s)through\s*=\s*('(?:[^'\\]|\\.)*'|\S+)")
CONNECT_TIMEOUT_S = 10
# What a database or a role may have as its default, and our sessions must not: it would end them, keep them from writing, change
# what they read or the text of it. Those that every server knows come first: only they go to client programs.
_OF_EVERY_VERSION = {
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "default_transaction_read_only": "off",
    "default_transaction_deferrable": "off",
    "exit_on_error": "off",
    "standard_conforming_strings": "on",
}
_WANTED = {
    **_OF_EVERY_VERSION,
    "idle_session_timeout": "0",
    "transaction_timeout": "0",
    "default_transaction_isolation": "read committed",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "xmlbinary": "base64",
    "quote_all_identifiers": "off",
    "transform_null_equals": "off",
    "array_nulls": "on",
    "gin_fuzzy_search_limit": "0",
    "jit": "off",
    "restrict_nonsystem_relation_kind": "",
}
# The last one, since else a server may forget a swap that was told to the application already.
_OURS = """
SELECT pg_catalog.set_config(s.name, w.value, false) FROM pg_catalog.pg_settings s
JOIN pg_catalog.json_each_text(%s) w(name, value) ON s.name OPERATOR(pg_catalog.=) w.name
WHERE s.setting OPERATOR(pg_catalog.<>) w.value
UNION ALL
SELECT pg_catalog.set_config('synchronous_commit', 'local', false) WHERE pg_catalog.current_setting('synchronous_commit') OPERATOR(pg_catalog.=) 'off'"""
# A role that the database sets makes every session another user's. One that our own role or the connection string sets is meant.
_ROLE = """
WITH said AS (
    SELECT setdatabase, pg_catalog.substr(c, 6) AS role FROM pg_catalog.pg_db_role_setting, pg_catalog.unnest(setconfig) c
    WHERE pg_catalog.starts_with(c, 'role=') AND (setrole OPERATOR(pg_catalog.=) 0::oid OR setrole OPERATOR(pg_catalog.=)
        (SELECT oid FROM pg_catalog.pg_roles WHERE rolname OPERATOR(pg_catalog.=) session_user))
)
SELECT CASE
    WHEN EXISTS (SELECT FROM said WHERE setdatabase OPERATOR(pg_catalog.=)
        (SELECT oid FROM pg_catalog.pg_database WHERE datname OPERATOR(pg_catalog.=) pg_catalog.current_database()))
    THEN coalesce((SELECT role FROM said WHERE setdatabase OPERATOR(pg_catalog.=) 0::oid LIMIT 1), 'none')
    ELSE pg_catalog.current_setting('role')
END, pg_catalog.current_setting('role'), pg_catalog.current_setting('session_replication_role')"""

# Shared by all modules that talk to a database.
ARGUMENTS: Dict[str, Any] = {
    "dsn": {"type": "str", "required": True},
    "password": {"type": "str", "no_log": True, "default": ""},
}


@dataclass(frozen=True)
class Server:
    """`dsn` is a libpq connection string that names host and user, and holds no password.

    `through` is the command that leads there, for a server that no address leads to; host and port are then as seen from there.
    """

    dsn: str
    password: str = field(default="", repr=False)
    through: str = ""

    @classmethod
    def of(cls, dsn: str, password: str = "") -> "Server":
        """Check `dsn`: libpq fills every gap from the environment, and a gap here would mean another server."""
        said = _THROUGH.search(dsn)
        try:
            through = str(conninfo.conninfo_to_dict(f"options={said.group(1)}")["options"]) if said else ""
            dsn = _THROUGH.sub("", dsn).strip()
            parts = conninfo.conninfo_to_dict(dsn)
        except psycopg.ProgrammingError as error:
            raise RollbackError(
                f"The connection string is not one that libpq understands: {str(error).strip()}."
            ) from error
        if parts.get("password") or parts.get("sslpassword"):
            raise RollbackError(
                "The connection string holds a password, which would be shown.",
                "Move it to rollback_database_password (from a vault), or use passfile=.",
            )
        missing = [name for name in ("host", "user") if not parts.get(name)]
        if missing:
            raise RollbackError(
                f"The connection string does not name its {' and '.join(missing)}.",
                'Say for example "host=127.0.0.1 port=5432 user=rollback".',
            )
        if through and str(parts["host"]).startswith("/"):
            raise RollbackError(
                f"Through a command the database is reached by TCP, and {parts['host']} is the directory of a socket.",
                "Say host=127.0.0.1, as it is seen from there.",
            )
        return cls(dsn, password, through)

    def conninfo(self, database: str = MAINTENANCE_DATABASE) -> str:
        """Connection string for `database`, fit to be shown and to stand in an argument list."""
        parts = {"connect_timeout": CONNECT_TIMEOUT_S, **conninfo.conninfo_to_dict(self.dsn)}
        parts["client_encoding"] = "UTF8"  # a database in SQL_ASCII would answer in bytes
        if way := self._relay():
            parts["host"] = str(way.directory)
        return conninfo.make_conninfo("", **{**parts, "dbname": database, "application_name": "rollback"})

    def connect(self, database: str = MAINTENANCE_DATABASE) -> "psycopg.Connection[Any]":
        """An autocommit connection, proven to be to `database`, whose commits outlive a crash of the server, whatever is usual there.

        Raises RollbackError where there is none to be had.
        """
        try:
            connection = psycopg.connect(self.conninfo(database), autocommit=True, password=self.password or None)
        except psycopg.OperationalError as error:
            way = None if "FATAL" in str(error) else self._relay()  # what the server itself says is the reason
            why = (way.said() if way else "") or reason(error)
            raise RollbackError(f"No connection to database {database}: {why}.", _advice(error)) from error
        # Those of the database may be too short for any query.
        idle = "; SET idle_session_timeout = 0" if connection.info.server_version >= 140000 else ""
        connection.execute(f"SET statement_timeout = 0{idle}")
        (found,) = connection.execute("SELECT pg_catalog.current_database()").fetchone() or ("",)
        if found != database:
            connection.close()
            raise RollbackError(
                f"Asked for database {database}, the server answered as {found}.",
                "Is a pooler in between? Connect to PostgreSQL itself.",
            )
        try:
            _make_ours(connection, database)
        except BaseException:
            connection.close()
            raise
        return connection

    def environment(self, options: str = "") -> Dict[str, str]:
        """Environment for client tools: nothing of the caller's PG* variables, and the password where no list of processes shows it.

        Their sessions get the settings of ours that pg_dump and pg_restore do not set themselves, and `options`, such as `-c jit=off`.
        """
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        ours = " ".join(f"-c {name}={value}" for name, value in _OF_EVERY_VERSION.items())
        clean.update(LC_ALL="C.UTF-8", PGCLIENTENCODING="UTF8", PGOPTIONS=f"{ours} {options}".strip())
        if self.password:
            clean["PGPASSWORD"] = self.password
        return clean

    def where(self) -> str:
        """`host:port`, for people."""
        parts = conninfo.conninfo_to_dict(self.dsn)
        address = f"{parts['host']}:{parts.get('port', DEFAULT_PORT)}"
        return f"{address} through {self.through}" if self.through else address

    def _relay(self) -> Optional[relay.Relay]:
        if not self.through:
            return None
        parts = conninfo.conninfo_to_dict(self.dsn)
        return relay.to(self.through, str(parts["host"]), str(parts.get("port", DEFAULT_PORT)))


def _make_ours(connection: "psycopg.Connection[Any]", database: str) -> None:
    """Free a session of what the database or the role has as defaults."""
    wanted, role, replication = connection.execute(_ROLE).fetchone() or ("none", "none", "origin")
    if role != wanted:
        connection.execute("SELECT pg_catalog.set_config('role', %s, false)", [wanted])
    connection.execute(_OURS, [json.dumps(_WANTED)])
    if replication != "origin":  # no trigger and no foreign key would hold
        try:
            connection.execute("SET session_replication_role = origin")
        except psycopg.errors.InsufficientPrivilege as error:
            raise RollbackError(
                f"Sessions in database {database} begin with session_replication_role = {replication}, so that neither triggers nor"
                " foreign keys hold, and this role may not change it.",
                "Let a superuser RESET it for that database or role (ALTER DATABASE … RESET session_replication_role;).",
            ) from error


def reason(error: Exception) -> str:
    """The last line of libpq's message that names a cause; earlier lines repeat it per address."""
    said = [line.strip() for line in str(error).splitlines()]
    lines: List[str] = [line for line in said if line and not line.startswith("Is the server running")]  # its advice
    return sealed.redacted(lines[-1].rstrip(".")) if lines else type(error).__name__


def _advice(error: Exception) -> str:
    text = str(error)
    if "password authentication failed" in text or "no password supplied" in text:
        return "Check user and rollback_database_password."
    if "does not exist" in text:
        return "Check its name; it may have been dropped or renamed."
    return "Check rollback_database_dsn, and that the server runs."
