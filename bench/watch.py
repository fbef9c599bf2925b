"""One client that asks every 10 ms: for how long did the database not answer?

It keeps its connection, as an application's pool does, and makes a new one when that breaks. A new one for each question
would take more of two processors than a restore does, and would forbid the DROP of the plan page.
"""

from __future__ import annotations

import multiprocessing
import time
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Self

import psycopg

EVERY_S = 0.010
PATIENCE_S = 60.0
# Whole is a database that has its rows and also its keys: they are what a load makes last.
QUESTION = """
SELECT (SELECT version FROM public.release), (SELECT count(*) FROM public.plans),
       (SELECT count(*) FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n')"""

Answer = tuple[str, int, int]


@dataclass
class Watch:
    """`with Watch(dsn, {answers}):` around what is measured; `right` holds the moments of right answers, in seconds."""

    dsn: str
    whole: frozenset[Answer]
    right: list[float] = field(default_factory=list)

    def __enter__(self) -> Self:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_ask, args=(theirs, self.dsn, self.whole), daemon=True)
        self._process.start()
        self._pipe.recv()  # the first right answer
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pipe.send("stop after one more right answer")
        with suppress(EOFError):
            self.right = self._pipe.recv()
        self._process.join()

    def outage(self, began: float, ended: float) -> float:
        """Seconds of the longest time between two right answers that overlaps what was measured. Raises RuntimeError
        where none came afterwards: then it was not restored."""
        if not self.right or self.right[-1] < ended:
            raise RuntimeError(f"There was no right answer within {PATIENCE_S:.0f} s after the restore.")
        pairs = zip(self.right, self.right[1:], strict=False)
        return max(after - before for before, after in pairs if after >= began and before <= ended)


def ask(connection: psycopg.Connection) -> Answer | None:
    return connection.execute(QUESTION).fetchone()


def _ask(pipe: Connection, dsn: str, whole: frozenset[Answer]) -> None:
    right: list[float] = []
    connection: psycopg.Connection | None = None
    asked_to_stop = 0.0
    while not asked_to_stop or (right[-1] < asked_to_stop and time.monotonic() < asked_to_stop + PATIENCE_S):
        began = time.monotonic()
        with suppress(psycopg.Error):
            if connection is None or connection.closed:
                # A question that waits for a lock gets no answer either.
                connection = psycopg.connect(
                    dsn, connect_timeout=2, options="-c statement_timeout=1000", autocommit=True
                )
            if ask(connection) in whole:
                right.append(time.monotonic())
                if len(right) == 1:
                    pipe.send("ready")
        if right and not asked_to_stop and pipe.poll():
            asked_to_stop = time.monotonic()
        time.sleep(max(0.0, began + EVERY_S - time.monotonic()))
    pipe.send(right)
