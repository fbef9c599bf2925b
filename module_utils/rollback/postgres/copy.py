"""A copy of a database under another name, for trying on it what must not be tried on the live one."""

from __future__ import annotations

import subprocess
from typing import Optional

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.postgres import beside, client_tools, event_triggers, room, settings
from ansible.module_utils.rollback.postgres.client_tools import ClientTools
from ansible.module_utils.rollback.postgres.load_settings import as_options
from ansible.module_utils.rollback.postgres.server import Server


def make(server: Server, tools: ClientTools, live: str, name: str, data_dir: str = "") -> int:
    """Make database `name` with everything that `live` holds, and return its bytes; one of that name is replaced.

    Dumped and loaded, since PostgreSQL copies no database by itself that has sessions. Raises RollbackError where there is
    no room, or where it cannot be loaded; nothing is left then.
    """
    with server.connect(live) as connection:
        (needed,) = connection.execute("SELECT pg_database_size(current_database())").fetchone() or (0,)
        refusals, _ = room.for_second_database(connection, int(needed), data_dir)
    if refusals:
        raise RollbackError(
            f"There is no room to try the downgrade on a copy: {refusals[0].split('. ')[0]}.",
            "Leave out -e forecast=clone.",
        )
    with server.connect("postgres") as connection:
        beside.create(connection, live, name)
        try:
            _fill(server, tools, live, name)
            # Roles look there for tables as they do in the live one; what cannot be given, such as an owner, is not needed.
            settings.carry(connection, settings.read(connection, live), name, live)
        except BaseException as error:
            beside.drop(connection, name)
            if isinstance(error, RollbackError):
                raise RollbackError(
                    f"{live} could not be copied, to try the downgrade on it: {error}", "Leave out -e forecast=clone."
                ) from error
            raise
    return int(needed)


def remove(server: Server, name: str) -> bool:
    """Drop the copy; False where there is none."""
    with server.connect("postgres") as connection:
        there = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
        beside.drop(connection, name)
    return there is not None


def _fill(server: Server, tools: ClientTools, live: str, name: str) -> None:
    dump = [
        tools.path("pg_dump"),
        f"--dbname={server.conninfo(live)}",
        "--no-password",
        "--format=custom",
        "--compress=0",
    ]
    load = [tools.path("pg_restore"), f"--dbname={server.conninfo(name)}", "--no-password", "--exit-on-error"]
    with server.connect() as connection:
        quiet = as_options(event_triggers.settings(connection))
    with subprocess.Popen(
        dump, env=server.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as dumping:
        assert dumping.stdout and dumping.stderr  # noqa: S101 - for mypy: both are pipes
        failed: Optional[RollbackError] = None
        try:
            client_tools.run(load, server.environment(quiet), stdin=dumping.stdout)
        except RollbackError as error:
            failed = error
        dumping.stdout.close()  # whoever still dumps is told that nobody reads
        said = dumping.stderr.read()
    # A dump that ends too soon makes the load fail, and the other way round: the words of the first one tell why.
    if dumping.returncode > 0 and b"Broken pipe" not in said:
        raise client_tools.failure("pg_dump", dumping.returncode, said)
    if failed:
        raise failed
