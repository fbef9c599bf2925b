"""Clients that use a database without a pause, and remember whom they met."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import psycopg

# Which database one is connected to: renaming does not change its OID.
WHO = "SELECT oid::int8 FROM pg_database WHERE datname = current_database()"


class Clients:
    """`count` threads that connect with `connect`, ask, and connect again; with `stay` they ask as long as it lasts."""

    def __init__(self, connect: Callable[[], psycopg.Connection], count: int, stay: bool = False) -> None:
        self.connect, self.stay = connect, stay
        self.met = [0] * count
        self.failures: list[str] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._use, args=(number,)) for number in range(count)]

    def _use(self, number: int) -> None:
        while not self._stop.is_set():
            try:
                with self.connect() as connection:
                    while True:
                        (self.met[number],) = connection.execute(WHO).fetchone()
                        if not self.stay or self._stop.is_set():
                            break
                        time.sleep(0.005)
            except psycopg.Error as error:
                self.failures.append(str(error).strip())

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        if not self.wait(lambda: all(self.met), 20):
            raise AssertionError(f"not every client was served: {self.failures[-3:]}")
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait(self, until: Callable[[], bool], seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not until() and time.monotonic() < deadline:
            time.sleep(0.01)
        return until()

    def all_meet(self, oid: int, within: float) -> bool:
        """Whether every client has been served by the database `oid` within so many seconds from now."""
        return self.wait(lambda: set(self.met) == {oid}, within)
