"""PostgreSQL in a container to which no address leads: reached by `docker compose exec`, from the first dump to the swap."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import engine
import pytest
import real_parts

from ansible.module_utils.rollback.backups import create
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.journal import NoJournal
from ansible.module_utils.rollback.postgres import beside, client_tools, restore, swap
from ansible.module_utils.rollback.postgres.server import Server

pytestmark = [pytest.mark.docker, pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(600)]

ROWS = 50_000
# Without a network the container has its own loopback and nothing else.
STARTS = (
    "{bin}/initdb --auth=trust --username=postgres --locale=C --no-sync --pgdata=/data/pg"
    " && exec {bin}/postgres -D /data/pg -c unix_socket_directories="
)


@pytest.fixture(scope="module")
def through() -> Iterator[str]:
    """How people would write it; the container is made and removed by Compose."""
    programs = real_parts.find("postgres").place.resolve()
    packages = programs.parents[2]  # with the libraries that come along
    service = {
        "image": engine.base_image(),
        "command": ["bash", "-c", STARTS.format(bin=programs)],
        "user": "nobody",
        "network_mode": "none",
        "init": True,
        "volumes": [f"{packages}:{packages}:ro"],
        "tmpfs": ["/data:uid=65534,mode=0700"],
        "healthcheck": {
            "test": ["CMD", f"{programs}/pg_isready", "-h", "127.0.0.1"],
            "interval": "300ms",
            "retries": 300,
        },
    }
    directory = Path(tempfile.mkdtemp(prefix="rollback-compose-"))
    file, name = directory / "compose.yaml", f"rollback-{directory.name[-8:].lower().strip('_')}"
    file.write_text(json.dumps({"services": {"db": service}}))
    project = ("compose", "--file", str(file), "--project-name", name)
    try:
        engine.docker(*project, "up", "--detach", "--wait", "--pull", "never")
        yield f"docker {' '.join(project)} exec --no-TTY"
    finally:
        engine.docker(*project, "down", "--timeout", "1")
        file.unlink()
        directory.rmdir()


def test_backup_restore_and_swap(through, tmp_path):
    server = Server.of(f"host=127.0.0.1 user=postgres through='{through} db'")
    tools = client_tools.find(18, str(real_parts.find("postgres").place))
    with server.connect() as connection:
        connection.execute("CREATE DATABASE hunter")
    with server.connect("hunter") as connection:
        connection.execute("CREATE TABLE leads (id int PRIMARY KEY, said text)")
        connection.execute(f"INSERT INTO leads SELECT n, repeat('x', 100) FROM generate_series(1, {ROWS}) AS n")
    backup = tmp_path / create.create(server, tools, create.Request(tmp_path, "hunter", "v1", "local", "1")).backup
    with server.connect("hunter") as connection:
        connection.execute("DELETE FROM leads")
    with server.connect() as connection:
        live = beside.oid_of(connection, "hunter")
        request = restore.Request("hunter", "hunter_new", backup)
        restored = restore.beside(server, connection, tools, request, NoJournal())
        swap.perform(connection, swap.Swap("hunter", "hunter_new", "hunter_old", live, restored.oid))
    assert {name: rows(server, name) for name in ("hunter", "hunter_old")} == {"hunter": ROWS, "hunter_old": 0}


def test_a_service_that_does_not_run_is_named(through):
    with pytest.raises(RollbackError, match=r'^No connection to database hunter: .*"?store"?.* is not running'):
        Server.of(f"host=127.0.0.1 user=postgres through='{through} store'").connect("hunter")


def rows(server: Server, database: str) -> int:
    with server.connect(database) as connection:
        return connection.execute("SELECT count(*) FROM leads").fetchone()[0]
