"""A real PgBouncer in front of a server of the lab."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import real_parts
from place import Place

from ansible.module_utils.rollback.postgres.pools import Pool
from ansible.module_utils.rollback.postgres.server import Server

ADMIN, LOOKER = ("pgbouncer", "hush-admin"), ("looker", "hush-looker")

SETTINGS = """\
[databases]
{alias} = host=127.0.0.1 port={server_port} dbname={database}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
admin_users = {admin}
stats_users = {looker}
pool_mode = {mode}
query_wait_timeout = 10
"""


@dataclass
class Pooler:
    """Reached by the application under the name `alias`."""

    place: Place
    port: int
    alias: str
    process: subprocess.Popen[bytes]

    def pool(self, user: tuple[str, str] = ADMIN, database: str | None = None) -> Pool:
        server = Server.of(f"host=127.0.0.1 port={self.port} user={user[0]}", user[1])
        return Pool(server, self.alias if database is None else database)

    def connect(self, **options: object) -> psycopg.Connection:
        facts = self.place.facts
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=facts["owner"],
            password=facts["owner_password"],
            dbname=self.alias,
            autocommit=True,
            prepare_threshold=None,  # older PgBouncers know no prepared statements
            **{"connect_timeout": 5, **options},
        )

    def say(self, command: str) -> list[tuple]:
        """What the console answers to `command`."""
        with psycopg.connect(
            f"host=127.0.0.1 port={self.port} user={ADMIN[0]} password={ADMIN[1]} dbname=pgbouncer",
            autocommit=True,
            prepare_threshold=None,
        ) as console:
            answer = console.execute(command)
            return answer.fetchall() if answer.description else []

    def hang(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def die(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def in_front_of(place: Place, database: str, mode: str = "transaction", alias: str = "") -> Iterator[Pooler]:
    """A PgBouncer that serves `database` in pool mode `mode`, ready to be asked."""
    facts, alias = place.facts, alias or database
    settings = SETTINGS.format(
        alias=alias,
        server_port=facts["port"],
        database=database,
        port="{port}",
        users="{users}",
        admin=ADMIN[0],
        looker=LOOKER[0],
        mode=mode,
    )
    with running(settings, (ADMIN, LOOKER, (facts["owner"], facts["owner_password"]))) as (port, process):
        yield Pooler(place, port, alias, process)


@contextmanager
def running(settings: str, users: Iterable[tuple[str, str]]) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """A PgBouncer that accepts connections, with its port; `settings` have places for {port} and {users}."""
    home = Path(tempfile.mkdtemp(prefix="rollback-pooler-"))
    home.chmod(0o755)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    known = home / "users.txt"
    known.write_text("".join(f'"{name}" "{password}"\n' for name, password in users))
    (home / "pgbouncer.ini").write_text(settings.format(port=port, users=known))
    # It refuses to run as root.
    nobody = pwd.getpwnam("nobody")
    identity = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [real_parts.find("pgbouncer").place, home / "pgbouncer.ini"],
            stdout=log,
            stderr=subprocess.STDOUT,
            **identity,
        )
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)
        else:
            raise AssertionError((home / "log").read_text())
        yield port, process
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(home)
