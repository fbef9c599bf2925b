"""A PostgreSQL server for as long as it is needed, with nothing on it that has to survive."""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "hunter"))
sys.path.insert(0, str(Path(__file__).parents[1]))
import real_parts
import throwaway_postgres

# A migration that waits for a lock waits for itself; one that loops is a finding, not a reason to wait.
LIMITS = ("statement_timeout = '60s'", "lock_timeout = '10s'")


@dataclass(frozen=True)
class Databases:
    """The databases of one throwaway server, seen by its superuser."""

    server: throwaway_postgres.Server

    def url(self, database: str, driver: str = "psycopg2") -> str:
        """Where SQLAlchemy finds `database`."""
        where = f"host={quote(str(self.server.socket_dir))}&port={self.server.port}"
        return f"postgresql+{driver}://postgres@/{database}?{where}"

    def connect(self, database: str) -> psycopg.Connection:
        return self.server.connect(database)

    def make(self, database: str, template: str = "template0") -> None:
        """A new `database`, in the place of an old one of that name."""
        self.drop(database)
        with self.connect("postgres") as connection:
            names = map(sql.Identifier, (database, template))
            connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*names))

    def drop(self, database: str) -> None:
        with self.connect("postgres") as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database)))


@contextmanager
def server() -> Iterator[Databases]:
    """A server on a free port, and its files gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="rollback-histories-") as home, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        place = Path(home)
        # Debian's has the extensions that applications ask for (pg_trgm); the lab's own has none.
        debian = real_parts.find("postgres15")
        bin_dir = debian.place if debian else throwaway_postgres.packaged_bin_dir()
        made = throwaway_postgres.Server(bin_dir, place / "data", place / "socket", port)
        made.socket_dir.mkdir()
        throwaway_postgres.own(made.socket_dir)
        made.initialise(lambda _line: None)
        user = throwaway_postgres.system_user()
        with (place / "log").open("w") as log:
            process = subprocess.Popen(
                [made.bin_dir / "postgres", "-D", made.data_dir, "-c", "autovacuum=off"],
                cwd="/",
                stdout=log,
                stderr=log,
                **({"user": user, "group": user, "extra_groups": []} if user else {}),
            )
        try:
            _wait(made, process, place / "log")
            with made.connect() as connection:
                for limit in LIMITS:
                    connection.execute(f"ALTER ROLE postgres SET {limit}")
            yield Databases(made)
        finally:
            process.terminate()
            process.wait(30)


def _wait(server: throwaway_postgres.Server, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(300):
        try:
            server.connect().close()
        except psycopg.OperationalError:
            if process.poll() is not None:
                break
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"The throwaway PostgreSQL did not start:\n{log.read_text()}")
