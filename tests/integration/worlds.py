"""Other people's worlds: an application whose tables are found in some way, by some driver, through some pooler, and is rolled back."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psycopg
import yaml
from place import ROOT, Answer
from projects import PLAIN, TENANTS, Project, make

from ansible.module_utils.rollback.postgres import census

OPERATOR, PASSWORD = "worlds_operator", "worlds-secret-4711"
QUICK = {
    "verify_interval_s": 0.1,
    "verify_successes": 1,
    "assess_rounds": 1,
    "alembic_downgrade_lock_timeout_s": 0.5,
    "alembic_downgrade_attempts": 2,
    "alembic_downgrade_pause_s": 1,
}


class _Health(BaseHTTPRequestHandler):
    """Answers well while the application's own file says that it runs, with the version that is current."""

    home: Path

    def do_GET(self) -> None:
        running = (self.home / "running").exists()
        self.send_response(200 if running else 503)
        self.send_header("X-App-Version", (self.home / "current").resolve().name)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the standard library
        pass


@dataclass
class World:
    """One application in one database of a server that is reached at `port`; `schemas` are those that hold its tables."""

    name: str
    home: Path
    socket_dir: str
    port: int
    schemas: list[str] = field(default_factory=lambda: ["public"])
    project: Project | None = None

    @property
    def role(self) -> str:
        return f"app_{self.name}"

    @property
    def database(self) -> str:
        return f"db_{self.name}"

    def superuser(self, database: str = "") -> psycopg.Connection:
        return psycopg.connect(
            host=self.socket_dir, port=self.port, user="postgres", dbname=database or self.database, autocommit=True
        )

    def url(self, driver: str, port: int | None = None, options: str = "") -> str:
        return f"postgresql+{driver}://{self.role}:{PASSWORD}@127.0.0.1:{port or self.port}/{self.database}{options}"

    def stops(self) -> int:
        """How often the application was stopped."""
        log = self.home / "log"
        return log.read_text().count("stop") if log.exists() else 0

    def runs(self) -> str | None:
        """The version that runs, None where it is stopped."""
        return (self.home / "current").resolve().name if (self.home / "running").exists() else None

    def deploy(self, version: str) -> None:
        link = self.home / "current"
        link.unlink(missing_ok=True)
        link.symlink_to(f"releases/{version}")
        (self.home / "running").touch()

    def play(self, playbook: str, *options: str, **variables: object) -> Answer:
        said = [word for name, value in variables.items() for word in ("-e", json.dumps({name: value}))]
        done = subprocess.run(
            [
                Path(sys.executable).with_name("ansible-playbook"),
                "-i",
                self.home / "inventory.yml",
                playbook,
                *options,
                *said,
            ],
            cwd=ROOT,
            env={**os.environ, "ANSIBLE_FORCE_COLOR": "0", "NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return Answer(done.returncode, done.stdout)

    def roll_back(self, *options: str, revision: str = "a1", **variables: object) -> Answer:
        return self.play(
            "rollback.yml",
            *options,
            method="migration",
            revision=revision,
            version="1.0.0",
            reason="a bad day",
            **variables,
        )

    def last_run(self) -> str:
        return max(path.name for path in (self.home / "state" / "world" / "runs").iterdir())

    def report(self) -> dict[str, Any]:
        return json.loads((self.home / "state" / "world" / "runs" / self.last_run() / "report.json").read_text())

    def undo(self, *options: str, **variables: object) -> Answer:
        runs = sorted(path.name for path in (self.home / "state" / "world" / "runs").iterdir())
        return self.play(
            "undo.yml", *options, run=next(run for run in reversed(runs) if run.endswith("-migration")), **variables
        )

    def content(self) -> dict[str, Any]:
        """Every row, sequence and definition, and the revision in each schema."""
        with self.superuser() as connection, census.snapshot(connection):
            found = census.take(connection, f"{self.schemas[0]}.alembic_version", content=True)
        return {
            "tables": {name: (table.rows, table.content) for name, table in found.tables.items()},
            "sequences": found.sequences,
            "objects": found.objects,
        }


@contextmanager
def world(name: str, server: dict[str, Any], **variables: object) -> Iterator[World]:
    """A role, a database and an application that runs 1.1.0, on the server of a lab; `variables` go into its inventory."""
    home = Path(tempfile.mkdtemp(prefix="rollback-world-"))
    home.chmod(0o755)
    made = World(name, home, server["socket_dir"], server["port"])
    with made.superuser("postgres") as connection:
        for role, rights in ((made.role, ""), (OPERATOR, "CREATEDB")):
            if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [role]).fetchone() is None:
                connection.execute(f"CREATE ROLE {role} LOGIN {rights} PASSWORD '{PASSWORD}'")
        connection.execute(f"GRANT {made.role}, pg_signal_backend TO {OPERATOR}")
        connection.execute(f"CREATE DATABASE {made.database} OWNER {made.role}")
    for version in ("1.0.0", "1.1.0"):
        (home / "releases" / version).mkdir(parents=True)
    handler = type("Health", (_Health,), {"home": home})
    health = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=health.serve_forever, daemon=True).start()
    _inventory(made, health.server_address[1], variables)
    made.deploy("1.1.0")
    try:
        yield made
    finally:
        health.shutdown()
        health.server_close()
        with made.superuser("postgres") as connection:
            connection.execute(f"DROP DATABASE {made.database} WITH (FORCE)")
            connection.execute(f"DROP ROLE {made.role}")
        shutil.rmtree(home)


def _inventory(made: World, port: int, variables: dict[str, object]) -> None:
    home = made.home
    control = home / "control"
    control.write_text(
        f'#!/bin/sh\ncd {home}\necho $1 >>log\nif [ "$1" = stop ]; then rm -f running; else touch running; fi\n'
    )
    control.chmod(0o755)
    known = {
        "ansible_connection": "local",
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
        "rollback_python": "{{ ansible_playbook_python }}",
        "rollback_environment": "world",
        "rollback_protected": False,
        "rollback_application": "World",
        "rollback_database": made.database,
        "rollback_database_dsn": f"host=127.0.0.1 port={made.port} user={OPERATOR}",
        "rollback_database_password": PASSWORD,
        "rollback_application_role": made.role,
        "rollback_state_dir": str(home / "state"),
        "rollback_backup_dir": str(home / "backups"),
        "rollback_report_dir": str(home / "reports"),
        "rollback_data_dir": str(home),
        "rollback_base_url": f"http://127.0.0.1:{port}",
        "rollback_health_endpoints": [{"path": "/healthz"}],
        "app_rollback_path": str(home),
        "app_rollback_stop_command": [str(control), "stop"],
        "app_rollback_start_command": [str(control), "start"],
        "alembic_downgrade_command": [str(Path(sys.executable).with_name("alembic"))],
        **QUICK,
        **variables,
    }
    groups = {"app": {"hosts": {"a1": {}}}, "database": {"hosts": {"d1": {}}}}
    (home / "inventory.yml").write_text(yaml.safe_dump({"all": {"children": groups, "vars": known}}))


def with_project(
    made: World,
    url: str,
    tenants: list[str] | None = None,
    body: str = "",
    connect_args: dict[str, Any] | None = None,
) -> Project:
    """The application's Alembic in both releases, which are the same; its URL is known to the inventory, too."""
    directory = made.home / "releases" / "1.1.0"
    directory.rmdir()
    project = make(directory, url, body or (TENANTS.format(tenants=tenants) if tenants else PLAIN), connect_args)
    found = yaml.safe_load((made.home / "inventory.yml").read_text())
    found["all"]["vars"].setdefault("rollback_version_table", f"{made.schemas[0]}.alembic_version")
    found["all"]["vars"]["alembic_downgrade_environment"] = {
        "DATABASE_URL": url.replace(f"/{made.database}", "/{{ alembic_downgrade_database }}")
    }
    (made.home / "inventory.yml").write_text(yaml.safe_dump(found))
    made.project = project
    return project
