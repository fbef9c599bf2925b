"""Loads the entries of a dump over one or more connections: rows of each table by all of them, then indexes side by side.

All else runs in the file's order on the first connection, as psql would do it.
"""

from __future__ import annotations

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Set, Tuple

from ansible.module_utils.rollback.backups import plain_sections
from ansible.module_utils.rollback.backups.plain_sections import (
    ACL,
    COMMENT,
    EVENT_TRIGGER,
    EXTENSION,
    SECURITY_LABEL,
    STATISTICS_DATA,
    Entry,
)
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.postgres import autovacuum, builds, extensions, grants
from ansible.module_utils.rollback.postgres.builds import Build
from ansible.module_utils.rollback.postgres.extensions import Extension
from ansible.module_utils.rollback.postgres.load_settings import load_settings, memory_of_sort
from ansible.module_utils.rollback.postgres.server import Server

with suppress(ImportError):  # the module that uses this says so
    import psycopg

if TYPE_CHECKING:
    import psycopg

# How often a build is begun that loses to others in a deadlock.
_ATTEMPTS = 5
# A session may have nothing to do for long, while others work. Not every server has each of these settings.
_NO_TIMEOUTS = """
SELECT set_config(name, '0', false) FROM pg_settings
WHERE name IN ('idle_session_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')"""
# Columns whose values vary in length, by table. As bytes, since the dump may have set an encoding in which text is not read.
_WIDE_COLUMNS = """
SELECT convert_to(n.nspname || '.' || c.relname, getdatabaseencoding()), array_agg(convert_to(a.attname, getdatabaseencoding()))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
WHERE a.attlen < 0 AND a.attnum > 0 AND c.relkind IN ('r', 'p', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
GROUP BY n.nspname, c.relname"""


@dataclass
class Shares:
    """Seconds of a load: what went on over all connections (`rows_s`, `builds_s`), and what more of them make no faster.

    The latter are `reading_s`, a part of `rows_s` in which the file is read, unpacked and cut; `alone_s`, in which the first
    connection works by itself; and `longest_build_s`.
    """

    rows_s: float = 0.0
    reading_s: float = 0.0
    builds_s: float = 0.0
    longest_build_s: float = 0.0
    alone_s: float = 0.0


def load(
    server: Server,
    database: str,
    entries: Iterable[Entry],
    jobs: int,
    known: Optional[Mapping[str, Extension]] = None,
) -> Shares:
    """Load a dump, given as its entries, into the empty `database` over `jobs` connections.

    `known` are the extensions as they were, by name: they come back to the same owners, in the same versions.
    Rows of a table that takes several connections may come to lie in another order. Raises RollbackError at the first
    error with PostgreSQL's words and what was being loaded; EOFError where the dump breaks off.
    """
    began = time.monotonic()
    with ExitStack() as stack:
        sessions = [_Session(stack.enter_context(server.connect(database)), jobs) for _ in range(jobs)]
        loader = _Loader(sessions, known or {})
        try:
            for entry in entries:
                loader.load(entry)
            loader.finish()
        except psycopg.Error as error:  # of what is asked between the entries
            raise _failure("the dump", error) from error
    shares = loader.shares
    shares.alone_s = time.monotonic() - began - shares.rows_s - shares.builds_s
    return shares


class _Session:
    """A connection, and the dump's settings that are in force on it."""

    def __init__(self, connection: "psycopg.Connection[Any]", jobs: int) -> None:
        self.connection, self._jobs = connection, jobs
        connection.prepare_threshold = None  # an entry may be several statements, which cannot be prepared
        connection.execute(_NO_TIMEOUTS)
        settings = dict(load_settings(jobs))
        for name, value in settings.items():
            connection.execute("SELECT set_config(%s, %s, false)", [name, value])
        self._settings: Tuple[bytes, ...] = ()
        self._waits = False
        self._memory = self._most_memory = settings["maintenance_work_mem"]

    def wait(self, for_disk: bool) -> None:
        """Whether commits from here on wait for the disk.

        As long as they have not, nobody can mark rows as committed, and whoever reads them looks that up for each row again, and
        marks it later: for a large table that costs more than waiting once.
        """
        if for_disk != self._waits:
            self.connection.execute(
                "SELECT set_config('synchronous_commit', %s, false)", ["local" if for_disk else "off"]
            )
            self._waits = for_disk

    def run(self, entry: Entry, sql: bytes) -> None:
        """Send `sql` of `entry`, as it is. Several statements are one transaction."""
        try:
            self._set(entry.settings)
            self.connection.execute(sql)
        except psycopg.Error as error:
            raise _failure(entry, error) from error

    def create_extension(self, entry: Entry, known: Optional[Extension]) -> None:
        try:
            self._set(entry.settings)
            for statement in entry.statements:
                extensions.create(self.connection, statement, known)
        except psycopg.Error as error:
            raise _failure(entry, error) from error

    def copy(self, entry: Entry, rows: Iterable[bytes]) -> None:
        try:
            self._set(entry.settings)
            with self.connection.cursor() as cursor, cursor.copy(entry.sql) as copy:
                for block in rows:
                    copy.write(block)
        except psycopg.Error as error:
            raise _failure(entry, error) from error

    def build(self, build: Build) -> None:
        """Locks that a build takes unseen, such as those of partitions, may meet another's: who loses begins again."""
        self._use(memory_of_sort(build.sorts, self._jobs) if build.sorts else self._most_memory)
        for attempts_left in reversed(range(_ATTEMPTS)):
            try:
                self.run(build.entry, build.statement)
                return
            except RollbackError as error:
                if not attempts_left or not isinstance(error.__cause__, psycopg.errors.DeadlockDetected):
                    raise

    def _use(self, memory: str) -> None:
        if memory != self._memory:
            self.connection.execute("SELECT set_config('maintenance_work_mem', %s, false)", [memory])
            self._memory = memory

    def wide_columns(self) -> Dict[bytes, Set[bytes]]:
        found = self.connection.execute(_WIDE_COLUMNS).fetchall()
        return {table: set(columns) for table, columns in found}

    def _set(self, settings: Tuple[bytes, ...]) -> None:
        if settings != self._settings:
            self.connection.execute(b"".join(settings))
            self._settings = settings


class _Loader:
    """Takes the entries as they come. Builds wait until something comes that may need them."""

    def __init__(self, sessions: List[_Session], known: Mapping[str, Extension]) -> None:
        self._sessions, self._first, self._known = sessions, sessions[0], known
        self._grants = grants.Grants(self._first.connection)
        self._event_triggers: List[Entry] = []
        self.shares = Shares()
        self._sizes: Dict[bytes, int] = {}  # bytes of its rows in the dump, by a table's plain name
        self._quiet: Set[bytes] = set()  # tables without autovacuum
        self._partitioned: Set[bytes] = set()
        self._heirs: Set[bytes] = set()
        self._builds: List[Build] = []
        self._after_builds: List[Tuple[Entry, bytes]] = []

    def load(self, entry: Entry) -> None:
        if entry.kind == EVENT_TRIGGER or (
            entry.kind in (COMMENT, SECURITY_LABEL) and entry.name.startswith(EVENT_TRIGGER + " ")
        ):
            # They would fire at what comes after them, such as REFRESH MATERIALIZED VIEW.
            self._event_triggers.append(entry)
        elif entry.kind == ACL:
            self.build()
            self._let_autovacuum_back()  # as long as owners are who they were: they may change once grants allow it
            self._grants.add(entry)
        else:
            self._grants.retry()
            self._load(entry)

    def finish(self) -> None:
        """What had to wait until everything else was there."""
        self.build()
        self._let_autovacuum_back()
        for grant, why in self._grants.lost():
            raise _failed(grant.entry, why)
        for entry in self._event_triggers:
            self._first.run(entry, entry.sql)

    def _load(self, entry: Entry) -> None:
        found = builds.builds_of(entry, self._partitioned, self._heirs)
        partitioned = builds.partitioned_table(entry)
        if partitioned:
            self._partitioned.add(partitioned)
        heir = builds.heir(entry)
        if heir:
            self._heirs.add(heir)
        if entry.rows is not None:
            self.build()
            self._copy(entry, entry.rows)
        elif found and all(statement.startswith(b"ALTER ") for statement in entry.statements[1:]):
            # What is said of an index besides, such as CLUSTER ON, needs that index alone.
            self._builds += found
            self._after_builds += [(entry, statement) for statement in entry.statements[1:]]
        elif entry.kind in (COMMENT, STATISTICS_DATA) and self._builds:
            self._after_builds.append((entry, entry.sql))
        elif entry.kind == "":
            for statement in entry.statements:
                for session in self._sessions if plain_sections.is_setting(statement) else [self._first]:
                    session.run(entry, statement)
        elif entry.kind == EXTENSION:
            self.build()
            self._first.create_extension(entry, self._known.get(entry.name))
        else:
            self.build()
            self._run(entry)

    def _let_autovacuum_back(self) -> None:
        for table in sorted(self._quiet):
            autovacuum.let_back(self._first.connection, table)
        self._quiet.clear()

    def _run(self, entry: Entry) -> None:
        """All of it at once, unless an owner may not have it yet."""
        try:
            self._first.run(entry, entry.sql)
        except RollbackError as error:
            owned = any(map(grants.gives_away, entry.statements))
            if not owned or not isinstance(error.__cause__, psycopg.errors.InsufficientPrivilege):
                raise
            for statement in entry.statements:
                if grants.gives_away(statement):
                    self._grants.give_away(entry, statement)
                else:
                    self._first.run(entry, statement)

    def build(self) -> None:
        """Bring the builds that wait to their end."""
        if self._builds:
            wide = self._first.wide_columns() if len(self._builds) > 1 and self._sizes else {}
            queue = _Queue(builds.in_order(self._builds, self._sizes, wide))
            with _timed(self.shares, "builds_s"):
                for session in self._sessions:
                    session.wait(for_disk=bool(self._sizes))
                _together(self._sessions, queue.work, queue.stop)
            self.shares.longest_build_s = max(self.shares.longest_build_s, queue.longest_s)
        for entry, statement in self._after_builds:
            self._first.run(entry, statement)
        self._builds, self._after_builds = [], []

    def _copy(self, entry: Entry, rows: Iterator[bytes]) -> None:
        """One table after the other, as psql does it: a check may look into tables that came before.

        What fits into one block keeps the order of its rows, and is too small to count among the sizes.
        """
        head = list(itertools.islice(rows, 2))
        large = len(head) > 1
        for session in self._sessions:
            session.wait(for_disk=large)
        if not large:
            self._first.copy(entry, head)
        else:
            if entry.table not in self._quiet and autovacuum.keep_away(self._first.connection, entry.table):
                self._quiet.add(entry.table)
            shared = _Shared(itertools.chain(head, rows), self.shares)
            with _timed(self.shares, "rows_s"):
                _together(self._sessions, lambda session: session.copy(entry, shared), shared.stop)
            table = builds.plain_name(entry.table)
            self._sizes[table] = self._sizes.get(table, 0) + shared.bytes


class _Shared:
    """Blocks for several threads: whoever is free takes the next, and reads it from the file."""

    def __init__(self, blocks: Iterator[bytes], shares: Shares) -> None:
        self._blocks, self._lock, self._stopped = blocks, threading.Lock(), False
        self._shares = shares
        self.bytes = 0

    def __iter__(self) -> "_Shared":
        return self

    def __next__(self) -> bytes:
        with self._lock:
            if self._stopped:
                raise StopIteration
            with _timed(self._shares, "reading_s"):
                block = next(self._blocks)
            self.bytes += len(block)
            return block

    def stop(self) -> None:
        self._stopped = True


class _Queue:
    """Builds for several threads: whoever is free takes the first that can run beside those that are running."""

    def __init__(self, waiting: List[Build]) -> None:
        self._waiting, self._changed = waiting, threading.Condition()
        self._running: List[Build] = []
        self.longest_s = 0.0

    def work(self, session: _Session) -> None:
        for build in iter(self._take, None):
            began = time.monotonic()
            try:
                session.build(build)
            finally:
                with self._changed:
                    self.longest_s = max(self.longest_s, time.monotonic() - began)
                    self._running.remove(build)
                    self._changed.notify_all()

    def stop(self) -> None:
        with self._changed:
            self._waiting.clear()
            self._changed.notify_all()

    def _take(self) -> Optional[Build]:
        with self._changed:
            while self._waiting:
                build = builds.startable(self._waiting, self._running)
                if build:
                    self._waiting.remove(build)
                    self._running.append(build)
                    return build
                self._changed.wait()
            return None


def _together(sessions: List[_Session], work: "Callable[[_Session], None]", stop: Callable[[], None]) -> None:
    """`work` on every session at the same time. At the first error the others are stopped, and it is raised."""
    with ThreadPoolExecutor(len(sessions)) as pool:
        futures = [pool.submit(work, session) for session in sessions]
        try:
            for future in as_completed(futures):
                future.result()
        except BaseException:
            stop()
            for session in sessions:
                with suppress(psycopg.Error):  # where the server is gone, what is told is the first error
                    session.connection.cancel()
            raise


@contextmanager
def _timed(shares: Shares, name: str) -> Iterator[None]:
    """Add the seconds of what is inside. Nobody else adds to the same ones meanwhile."""
    began = time.monotonic()
    try:
        yield
    finally:
        setattr(shares, name, getattr(shares, name) + time.monotonic() - began)


def _failure(what: object, error: "psycopg.Error") -> RollbackError:
    # Without DETAIL, which quotes rows.
    return _failed(what, error.diag.message_primary or str(error))


def _failed(what: object, words: str) -> RollbackError:
    return RollbackError(
        f"Loading {what} failed: {words.strip().rstrip('.')}.",
        "Check what the server lacks for it, or choose another backup.",
    )
