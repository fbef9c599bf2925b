"""Somebody who asks the application every 10 ms: when were the answers right, and which requests failed?

A process of its own, so that what is measured never holds it up. Each request has a connection of its own, as of another
visitor.
"""

from __future__ import annotations

import http.client
import multiprocessing
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Self

EVERY_S = 0.010
PATIENCE_S = 60.0
PATH, VERSION_HEADER = "/healthz/ready", "X-App-Version"


@dataclass
class Visitor:
    """`with Visitor(port):` around what is measured. `right` holds moment, seconds that it took, and version of each right answer,
    `failed` moment and reason of each request without one; `patience_s` is how long a request waits."""

    port: int
    patience_s: float = 1.0
    right: list[tuple[float, float, str]] = field(default_factory=list)
    failed: list[tuple[float, str]] = field(default_factory=list)

    def __enter__(self) -> Self:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_visit, args=(theirs, self.port, self.patience_s), daemon=True)
        self._process.start()
        theirs.close()  # or else nobody would notice that it died
        self._pipe.recv()  # the first right answer
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pipe.send("stop after one more right answer")
        with suppress(EOFError):
            self.right, self.failed = self._pipe.recv()
        self._process.join()

    def outage(self, version: str) -> float:
        """Seconds of the longest time between two right answers. Raises RuntimeError where the last one is of another version."""
        if not self.right or self.right[-1][2] != version:
            raise RuntimeError(f"There was no right answer of {version} within {PATIENCE_S:.0f} s.")
        return max(after[0] - before[0] for before, after in pairwise(self.right))

    def longest_wait(self) -> float:
        """Seconds that the slowest right answer took."""
        return max(seconds for _, seconds, _ in self.right)


def _visit(pipe: Connection, port: int, patience_s: float) -> None:
    """Asks at every beat, whether or not the requests before have been answered: one that hangs must hide nothing."""
    right: list[tuple[float, float, str]] = []
    failed: list[tuple[float, str]] = []

    def request(began: float) -> None:
        try:
            version = _ask(port, patience_s)
            right.append((time.monotonic(), time.monotonic() - began, version))
        except (OSError, http.client.HTTPException) as error:
            failed.append((began, str(error) or type(error).__name__))

    requests: list[threading.Thread] = []
    ready, asked_to_stop = False, 0.0
    while not asked_to_stop or (max(right)[0] < asked_to_stop and time.monotonic() < asked_to_stop + PATIENCE_S):
        began = time.monotonic()
        requests = [one for one in requests if one.is_alive()]
        requests.append(threading.Thread(target=request, args=(began,)))
        requests[-1].start()
        if right and not ready:
            pipe.send("ready")
            ready = True
        if ready and not asked_to_stop and pipe.poll():
            asked_to_stop = time.monotonic()
        time.sleep(max(0.0, began + EVERY_S - time.monotonic()))
    for one in requests:
        one.join()
    pipe.send((sorted(right), sorted(failed)))


def _ask(port: int, patience_s: float) -> str:
    """The version that answered well."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=patience_s)
    try:
        connection.request("GET", PATH, headers={"Connection": "close"})
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise http.client.HTTPException(f"answered {answer.status}")
        return answer.headers[VERSION_HEADER]
    finally:
        connection.close()
