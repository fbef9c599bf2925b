"""How a PostgreSQL server is reached, by psycopg and by its client tools, without its password in sight."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Dict, List, Optional

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
# Else a server may forget a swap that was told to the application already.
_DURABLE = "SELECT set_config('synchronous_commit', 'local', false) WHERE current_setting('synchronous_commit') = 'off'"

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
    password: str = ""
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
        (found,) = connection.execute("SELECT current_database()").fetchone() or ("",)
        if found != database:
            connection.close()
            raise RollbackError(
                f"Asked for database {database}, the server answered as {found}.",
                "Is a pooler in between? Connect to PostgreSQL itself.",
            )
        connection.execute(_DURABLE)
        return connection

    def environment(self) -> Dict[str, str]:
        """Environment for client tools: nothing of the caller's PG* variables, and the password where no list of processes shows it."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        clean.update(LC_ALL="C.UTF-8", PGCLIENTENCODING="UTF8")
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


def reason(error: Exception) -> str:
    """The last line of libpq's message that names a cause; earlier lines repeat it per address."""
    said = [line.strip() for line in str(error).splitlines()]
    lines: List[str] = [line for line in said if line and not line.startswith("Is the server running")]  # its advice
    return lines[-1].rstrip(".") if lines else type(error).__name__


def _advice(error: Exception) -> str:
    text = str(error)
    if "password authentication failed" in text or "no password supplied" in text:
        return "Check user and rollback_database_password."
    if "does not exist" in text:
        return "Check its name; it may have been dropped or renamed."
    return "Check rollback_database_dsn, and that the server runs."
