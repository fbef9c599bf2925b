"""The ways to restore that are compared. Each tells the seconds of its parts, and when it began and ended."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

from database import NAME, OWNER, Bench
from project import NoJournal, beside, client_tools, proof, restore, snapshot, swap

INTO, ASIDE, FRESH = f"{NAME}__restore_bench", f"{NAME}__before_bench", f"{NAME}_fresh"
VERSION_TABLE = "public.alembic_version"
JOBS = 2
Result = TypeVar("Result")


@dataclass
class Timed:
    """Seconds of each part, by name; `began` and `ended` on the machine's monotonic clock. `told` is what parts say of themselves."""

    began: float = field(default_factory=time.monotonic)
    ended: float = 0.0
    parts: dict[str, float] = field(default_factory=dict)
    told: dict[str, dict[str, Any]] = field(default_factory=dict)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.ended = time.monotonic()
        self.parts[name] = self.ended - began

    @property
    def total(self) -> float:
        return sum(self.parts.values())


class _StepsAsParts(NoJournal):
    def __init__(self, timed: Timed) -> None:
        self._timed = timed

    @contextmanager
    def step(self, name: str, **data: Any) -> Iterator[dict[str, Any]]:
        self._timed.told[name] = {}
        with self._timed.part(name):
            yield self._timed.told[name]


def in_child(work: Callable[..., Result], *arguments: Any) -> Result:
    """`work` in a fresh process, as a module runs: what it does never holds up who measures."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as child:
        return child.submit(work, *arguments).result()


def plan_page(bench: Bench, backup: Path) -> Timed:
    """The commands of a runbook that many have: drop, create, and psql reads the file.

    There the application was stopped before, and its user does it all. Here sessions are ended by FORCE, and the owner is
    named: starting and stopping the application counts for neither way.
    """
    server, psql, timed = bench.server, bench.tools.path("psql"), Timed()
    for name, command in (
        ("drop", f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE);"),
        ("create", f"CREATE DATABASE {NAME} OWNER {OWNER};"),
    ):
        with timed.part(name):
            client_tools.run([psql, f"--dbname={server.conninfo()}", "-c", command], server.environment())
    with timed.part("load"), backup.open("rb") as dump:
        client_tools.run([psql, f"--dbname={server.conninfo(NAME)}"], server.environment(), stdin=dump)
    return timed


def psql(bench: Bench, backup: Path) -> Timed:
    """psql into a fresh database, and nothing else."""
    server, timed = bench.server, Timed()
    with timed.part("create"), server.connect() as connection:
        beside.create(connection, NAME, FRESH)
    with timed.part("load"), backup.open("rb") as dump:
        argv = [bench.tools.path("psql"), f"--dbname={server.conninfo(FRESH)}"]
        client_tools.run(argv, server.environment(), stdin=dump)
    bench.drop(FRESH)
    return timed


def pg_restore(bench: Bench, backup: Path) -> Timed:
    """pg_restore over two connections into a fresh database, and nothing else."""
    server, timed = bench.server, Timed()
    with timed.part("create"), server.connect() as connection:
        beside.create(connection, NAME, FRESH)
    with timed.part("load"):
        argv = [bench.tools.path("pg_restore"), f"--dbname={server.conninfo(FRESH)}", f"--jobs={JOBS}", str(backup)]
        subprocess.run(argv, env=server.environment(), check=True)
    bench.drop(FRESH)
    return timed


def restore_beside(bench: Bench, backup: Path) -> tuple[Timed, int]:
    """The first half of ours, which nobody notices: prove, create, load, settings, analyse, compare. Also the new OID."""
    server, tools, timed = bench.server, bench.tools, Timed()
    with timed.part("prove"):
        proof.prove(backup, VERSION_TABLE, tools, proof.Terms(rows=False))  # as for every restore beside
    request = restore.Request(NAME, INTO, backup, JOBS, VERSION_TABLE, application_role=OWNER)
    with server.connect() as connection:
        restored = restore.beside(server, connection, tools, request, _StepsAsParts(timed))
    return timed, restored.oid


def from_snapshot(bench: Bench, path: Path) -> tuple[Timed, int]:
    """The same of a snapshot: prove, settings, compare."""
    server, timed = bench.server, Timed()
    with server.connect() as connection:
        with timed.part("prove"):
            _, found = snapshot.prove(connection, path)
        request = restore.Request(NAME, found.snapshot, path, JOBS, VERSION_TABLE, application_role=OWNER)
        restored = restore.from_snapshot(server, connection, request, _StepsAsParts(timed))
    return timed, restored.oid


def swap_in(bench: Bench, incoming_oid: int, incoming: str = INTO) -> Timed:
    """The second half: the restored database takes the live name."""
    timed = Timed()
    with timed.part("swap"), bench.server.connect() as connection:
        live_oid = beside.oid_of(connection, NAME)
        swap.perform(connection, swap.Swap(NAME, incoming, ASIDE, live_oid, incoming_oid))
    return timed


def ours(bench: Bench, backup: Path) -> Timed:
    """What the playbook does on the database host."""
    timed, oid = restore_beside(bench, backup)
    swapped = swap_in(bench, oid)
    timed.parts.update(swapped.parts)
    timed.ended = swapped.ended
    return timed
