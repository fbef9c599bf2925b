"""Bare PostgreSQL servers with a database that is hard to dump, restore and swap right."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from place import Place

from ansible.module_utils.rollback.postgres import census, client_tools, settings
from ansible.module_utils.rollback.postgres.client_tools import ClientTools
from ansible.module_utils.rollback.postgres.server import Server

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "hunter"))

OWNER, OPERATOR, READER = "hunter", "rollback", "hunter_readonly"

AWKWARD = Path(__file__).with_name("awkward.sql").read_text()

# What PostgreSQL keeps outside of the database, and a dump does not hold.
OUTSIDE = """
ALTER DATABASE awkward SET search_path TO "Sales Data", public;
ALTER DATABASE awkward SET statement_timeout TO '60s';
ALTER DATABASE awkward SET work_mem TO '7MB';
ALTER DATABASE awkward CONNECTION LIMIT 40;
REVOKE CONNECT, TEMPORARY ON DATABASE awkward FROM PUBLIC;
GRANT CONNECT ON DATABASE awkward TO hunter_readonly;
COMMENT ON DATABASE awkward IS 'it''s the awkward one';
"""


@dataclass
class Awkward:
    """A server of the lab, reached as the operator, and its database `awkward`."""

    place: Place

    @property
    def server(self) -> Server:
        facts = self.place.facts
        return Server.of(f"host={facts['host']} port={facts['port']} user={OPERATOR}", facts["operator_password"])

    @property
    def superuser(self) -> Server:
        """The same server as its superuser reaches it, for what no operator may restore."""
        with self.as_superuser() as connection:
            return Server.of(f"host={connection.info.host} port={connection.info.port} user=postgres")

    @property
    def tools(self) -> ClientTools:
        facts = self.place.facts
        return client_tools.find(int(facts["postgres_version"].split(".")[0]), facts["postgres_bin"])

    def as_superuser(self, database: str = "postgres") -> psycopg.Connection:
        return self.place.lab.connect(database)

    @contextmanager
    def database(self) -> Iterator[str]:
        """A fresh `awkward`; every database that a test made of it is dropped afterwards."""
        with self.as_superuser() as connection:
            connection.execute(f"CREATE DATABASE awkward OWNER {OWNER} TEMPLATE template0")
            connection.execute(OUTSIDE)
        with self.as_superuser("awkward") as connection:
            connection.execute(f"SET search_path = public; SET ROLE {OWNER}")
            connection.execute(AWKWARD)
        try:
            yield "awkward"
        finally:
            with self.as_superuser() as connection:
                for name in [name for name in self.place.databases() if name.startswith("awkward")]:
                    connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
                    connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    def content(self, database: str) -> dict[str, Any]:
        return self.place.content(database)

    def census(self, database: str) -> census.Census:
        return self.place.census(database)

    def settings(self, database: str) -> dict[str, Any]:
        with self.as_superuser() as connection:
            return settings.read(connection, database).as_dict()
