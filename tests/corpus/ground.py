"""A bare PostgreSQL server of one version for the corpus, with the roles that its databases name."""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
import real_parts

from ansible.module_utils.rollback.postgres import client_tools
from ansible.module_utils.rollback.postgres.client_tools import ClientTools
from ansible.module_utils.rollback.postgres.server import Server

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "hunter"))
import throwaway_postgres

OWNER, OPERATOR, SUPERUSER, PASSWORD = "app_owner", "rollback", "mighty", "corpus"
MARKERS = {15: "postgres15", 16: "postgres16", 18: "postgres"}

# The operator's role is what docs/adopting.md says: CREATEDB, member of the owners, pg_signal_backend.
ROLES = f"""
CREATE ROLE {OWNER} LOGIN; CREATE ROLE app_two; CREATE ROLE app_three; CREATE ROLE "Odd ""Own""er";
CREATE ROLE reader; CREATE ROLE writer; CREATE ROLE auditor;
CREATE ROLE {OPERATOR} LOGIN CREATEDB PASSWORD '{PASSWORD}';
CREATE ROLE {SUPERUSER} LOGIN SUPERUSER PASSWORD '{PASSWORD}';
GRANT {OWNER}, app_two, app_three, "Odd ""Own""er", pg_signal_backend TO {OPERATOR};
-- They pass on what they were granted: only who may act as them can grant it again.
GRANT reader, writer TO {OPERATOR};
GRANT app_two, app_three, "Odd ""Own""er" TO {OWNER};
"""
# What pg_stat_statements and pgaudit ask for, where they are installed.
PRELOADED = {15: "pgaudit,pg_stat_statements"}


@dataclass(frozen=True)
class Ground:
    """A running server, the operator's view of it (`server`, `tools`), and the superuser's."""

    major: int
    postgres: throwaway_postgres.Server

    @property
    def tools(self) -> ClientTools:
        return client_tools.find(self.major, str(self.postgres.bin_dir))

    def server(self, superuser: bool = False) -> Server:
        user = SUPERUSER if superuser else OPERATOR
        return Server.of(f"host=127.0.0.1 port={self.postgres.port} user={user}", PASSWORD)

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        return self.postgres.connect(database)

    def create(self, name: str, template: str = "template0") -> None:
        with self.connect() as connection:
            connection.execute(f'CREATE DATABASE "{name}" OWNER {OWNER} TEMPLATE "{template}"')

    def drop(self, *names: str) -> None:
        with self.connect() as connection:
            for name in names:
                connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def round_trip(self, database: str, into: str) -> None:
        """What PostgreSQL's own tools make of `database`: pg_dump, and psql, both as the superuser."""
        self.create(into)
        where = [f"--host={self.postgres.socket_dir}", f"--port={self.postgres.port}", "--username=postgres"]
        dump = [self.tools.path("pg_dump"), *where, database]
        load = [self.tools.path("psql"), *where, "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", into]
        dumped = subprocess.run(dump, capture_output=True, check=True).stdout
        loaded = subprocess.run(load, input=dumped, capture_output=True, check=False)
        assert loaded.returncode == 0, loaded.stderr.decode()
        self._complete(database, into)

    def _complete(self, database: str, trip: str) -> None:
        """What a dump does not say, and a restore has to keep: owners of extensions, and that there is no schema public."""
        with self.connect(database) as live, self.connect(trip) as copy:
            for name, owner in live.execute("SELECT extname, extowner::int8 FROM pg_extension"):
                copy.execute("UPDATE pg_extension SET extowner = %s WHERE extname = %s", [owner, name])
            if not live.execute("SELECT 1 FROM pg_namespace WHERE nspname = 'public'").fetchone():
                copy.execute("DROP SCHEMA public")


@contextmanager
def running(major: int) -> Iterator[Ground]:
    """A fresh server of PostgreSQL `major`, stopped and removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="corpus-") as home:
        root = Path(home)
        throwaway_postgres.own(root)
        bin_dir = real_parts.find(MARKERS[major]).place
        postgres = throwaway_postgres.Server(bin_dir, root / "data", root, _free_port())
        postgres.initialise(lambda line: None)
        start = [bin_dir / "pg_ctl", "start", "-w", "-D", postgres.data_dir, "-l", root / "log"]
        options = f"-c autovacuum=off -c shared_preload_libraries='{PRELOADED.get(major, '')}'"
        try:
            throwaway_postgres.run_unprivileged([*start, "-o", options])
            with postgres.connect() as connection:
                connection.execute(ROLES)
            yield Ground(major, postgres)
        finally:
            with suppress(throwaway_postgres.PostgresError):
                postgres.stop_orphan()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
