"""Clients that connect, read, write, and come back at once whatever happens: what did they see, and what became of their writes?"""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Self

import psycopg

PROCESSES = 4
PATIENCE_S = 30
QUESTION = "SELECT (SELECT version FROM public.release), (SELECT count(*) FROM public.plans)"
WRITE = "INSERT INTO public.writes (id) VALUES (%s)"

State = tuple[str, int]


@dataclass
class Seen:
    """What one client saw: (asked, answered, state) for each answer, in seconds, and the ids of acknowledged writes."""

    answers: list[tuple[float, float, State]] = field(default_factory=list)
    written: list[uuid.UUID] = field(default_factory=list)


@dataclass
class Crowd:
    """`with Crowd(dsn, clients):` around the swap; afterwards `seen` has what each client saw."""

    dsn: str
    clients: int
    seen: list[Seen] = field(default_factory=list)

    def __enter__(self) -> Self:
        context = multiprocessing.get_context("spawn")
        self._pipes, self._processes = [], []
        for number in range(PROCESSES):
            pipe, theirs = context.Pipe()
            share = self.clients // PROCESSES + (number < self.clients % PROCESSES)
            process = context.Process(target=_many, args=(theirs, self.dsn, share), daemon=True)
            process.start()
            self._pipes.append(pipe)
            self._processes.append(process)
        for pipe in self._pipes:
            pipe.recv()  # all its clients were served
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pipe in self._pipes:
            pipe.send("stop when all were served again")
        for pipe, process in zip(self._pipes, self._processes, strict=True):
            self.seen += pipe.recv()
            process.join()

    def served_again(self, swapped: float, new: State) -> float:
        """Seconds from `swapped` until the last client had its first answer from the restored database."""
        firsts = [
            min((answered for _, answered, state in seen.answers if state == new), default=float("inf"))
            for seen in self.seen
        ]
        return max(0.0, max(firsts) - swapped)

    def longest_wait(self, swapped: float) -> float:
        """Seconds of the longest time between two answers that any client had around `swapped`."""
        waits = [0.0]
        for seen in self.seen:
            moments = [answered for _, answered, _ in seen.answers]
            waits += [after - before for before, after in itertools.pairwise(moments) if before <= swapped <= after]
        return max(waits)

    def wrong_answers(self, old: State, new: State) -> int:
        """Answers that are neither wholly old nor wholly new, and old ones to a question asked after anybody had a new one."""
        answers = [answer for seen in self.seen for answer in seen.answers]
        first_new = min((answered for _, answered, state in answers if state == new), default=float("inf"))
        return sum(state not in (old, new) or (state == old and asked > first_new) for asked, _, state in answers)

    @property
    def written(self) -> set[uuid.UUID]:
        return {identifier for seen in self.seen for identifier in seen.written}


def _many(pipe: Connection, dsn: str, clients: int) -> None:
    pipe.send(asyncio.run(_together(pipe, dsn, clients)))


async def _together(pipe: Connection, dsn: str, clients: int) -> list[Seen]:
    everybody = [Seen() for _ in range(clients)]
    over = asyncio.Event()
    tasks = [asyncio.create_task(_client(dsn, seen, over)) for seen in everybody]
    while not all(seen.answers for seen in everybody):
        await asyncio.sleep(0.01)
    pipe.send("ready")
    while not pipe.poll():
        await asyncio.sleep(0.01)
    pipe.recv()
    asked_to_stop = time.monotonic()
    while (
        any(seen.answers[-1][0] < asked_to_stop for seen in everybody) and time.monotonic() < asked_to_stop + PATIENCE_S
    ):
        await asyncio.sleep(0.01)
    over.set()
    await asyncio.gather(*tasks)
    return everybody


async def _client(dsn: str, seen: Seen, over: asyncio.Event) -> None:
    while not over.is_set():
        with suppress(psycopg.Error):
            async with await psycopg.AsyncConnection.connect(dsn, connect_timeout=10, autocommit=True) as connection:
                asked = time.monotonic()
                state = await (await connection.execute(QUESTION)).fetchone()
                if state:
                    seen.answers.append((asked, time.monotonic(), state))
                identifier = uuid.uuid4()
                await connection.execute(WRITE, [identifier])
                seen.written.append(identifier)  # the commit was acknowledged
        await asyncio.sleep(0)
