"""An application of wheels.py whose Alembic is asked in its own environment, as one process for many questions."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import wheels

MIGRATE = Path(__file__).with_name("migrate.py")


class MigrationFailed(Exception):
    """What a migration raised, in one sentence."""


class Application:
    """Alembic with the migrations of `name`; the process ends with `running`."""

    def __init__(self, name: str, process: subprocess.Popen[str]) -> None:
        self.name = name
        self._process = process

    def graph(self) -> dict[str, Any]:
        """Heads, bases and `path`, all revisions in the order in which Alembic takes them back."""
        return self._ask({"do": "graph"})

    def upgrade(self, url: str, revisions: Sequence[str]) -> None:
        self._migrate("upgrade", url, revisions)

    def downgrade(self, url: str, revisions: Sequence[str]) -> None:
        self._migrate("downgrade", url, revisions)

    def create_all(self, url: str, models: str) -> None:
        """Make the tables of `models`, a declarative base written as `module:name`."""
        self._must({"do": "create_all", "url": url, "models": models})

    def stamp(self, url: str, revisions: Sequence[str]) -> None:
        """Note `revisions` as the ones the database is at, whatever it is at."""
        self._must({"do": "stamp", "url": url, "revisions": list(revisions)})

    def _migrate(self, do: str, url: str, revisions: Sequence[str]) -> None:
        self._must({"do": do, "url": url, "revisions": list(revisions), "naming": wheels.WHEELS[self.name].naming})

    def _must(self, request: dict[str, Any]) -> None:
        answer = self._ask(request)
        if "failed" in answer:
            raise MigrationFailed(answer["failed"])

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin
        assert self._process.stdout
        print(json.dumps(request), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"The migrations of {self.name} ended their process; its log says why.")
        return json.loads(line)


@contextmanager
def running(name: str, **environment: str) -> Iterator[Application]:
    """The application `name`, with `environment` beside what wheels.py says. What it prints goes to a log file."""
    log = wheels.HOME / f"{name}.log"
    with log.open("w") as said:
        process = subprocess.Popen(
            [wheels.python(name), MIGRATE, wheels.history(name), wheels.source(name), *wheels.WHEELS[name].hollow],
            env={**wheels.environment(name), **environment},
            cwd=wheels.HOME,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
        )
        try:
            yield Application(name, process)
        finally:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                pipe.close()
