"""Watches a database grow while it is loaded, from a connection of its own: the same for every format and loader."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Optional, Type

from ansible.module_utils.rollback.census import Census
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.postgres.server import Server
from ansible.module_utils.rollback.progress import Measure, Progress

with suppress(ImportError):  # the module that uses this says so
    import psycopg

if TYPE_CHECKING:
    import psycopg

_EVERY_S = 2.0
_OBJECTS = """
SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'i')"""


class Observer:
    """`with Observer(…):` around a load writes a line of progress every other second. What it cannot see it leaves out."""

    def __init__(self, server: Server, database: str, step: str, expected: Census, progress: Progress) -> None:
        self._server, self._database, self._step, self._progress = server, database, step, progress
        self._expected_bytes = expected.bytes
        self._expected_objects = sum(1 for name in expected.objects if name.split(" ")[0] in ("relation", "index"))
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._began = time.monotonic()

    def __enter__(self) -> "Observer":
        self._thread.start()
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        with suppress(psycopg.Error, RollbackError), self._server.connect(self._database) as connection:
            empty = self._bytes(connection)
            while not self._over.wait(_EVERY_S):
                (objects,) = connection.execute(_OBJECTS).fetchone() or (0,)
                self._progress.say(
                    self._step,
                    Measure(
                        bytes=self._bytes(connection) - empty,
                        expected_bytes=self._expected_bytes - empty,
                        objects=objects,
                        expected_objects=self._expected_objects,
                        seconds=time.monotonic() - self._began,
                    ).line(),
                )

    def _bytes(self, connection: "psycopg.Connection[Any]") -> int:
        (size,) = connection.execute("SELECT pg_database_size(current_database())").fetchone() or (0,)
        return int(size)
