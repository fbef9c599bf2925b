"""The round trip: a dump is loaded into an empty database of the live one's kind before anyone depends on it.

It finds what would stop a restore while there is time, and yields the definitions that a restore is compared with:
PostgreSQL words an expression differently once it has been dumped and parsed again, so only two databases that came out
of the same dump can be compared word for word.
"""

from __future__ import annotations

import secrets
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Mapping, Optional

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.postgres import (
    beside,
    census,
    definitions,
    left_out,
    names,
    samples,
    settings,
    violations,
)
from ansible.module_utils.rollback.postgres.client_tools import ClientTools
from ansible.module_utils.rollback.postgres.extensions import Extension
from ansible.module_utils.rollback.postgres.samples import Samples
from ansible.module_utils.rollback.postgres.server import Server
from ansible.module_utils.rollback.words import listed

with suppress(ImportError):  # the module that uses this says so
    import psycopg as pg

if TYPE_CHECKING:
    import psycopg

# A database of up to this many bytes is loaded whole, which decides everything. A larger one would take too long for
# each backup: its schema is loaded, and some of its rows.
WHOLE_BELOW = 32 * 1024 * 1024
# Seconds for reading the rows of a larger one.
BUDGET_S = 1.0
_SOME_RUN = "20261122T031500Z-restore"
_JOBS = 2  # with one, psql would load it instead of the loader that restores

AGAIN = "take the backup again"
FIX = (
    "Fix that in the live database and take the backup again. Until then -e kind=snapshot takes one that needs no load."
)
_ADVICE = {
    "23503": "Delete or repair the rows without a parent, then take the backup again.",
    "23505": "Remove the duplicates and REINDEX, then take the backup again.",
    "23514": "The check is not true for rows that exist, or reads a table that loads later: repair the rows or declare it"
    " NOT VALID, then take the backup again.",
    "42501": "Grant the operator's role what it lacks (membership in that role, or CREATE on that schema to the owner), then take the"
    " backup again.",
}


@dataclass(frozen=True)
class RoundTrip:
    """`objects` and `definitions` are what came out (census.Census, definitions.read), by the versions in `made_by`,
    and `extensions` says what they consist of.

    Without `made_by` nothing could be tried, and `notes` says why.
    """

    objects: Dict[str, str] = field(default_factory=dict)
    definitions: Dict[str, str] = field(default_factory=dict)
    extensions: Dict[str, left_out.Extension] = field(default_factory=dict)
    made_by: str = ""
    notes: List[str] = field(default_factory=list)


@dataclass(frozen=True)
class LiveRows:
    """What was read of the live database for a dump that is not loaded whole, in the snapshot that was dumped."""

    samples: Samples = field(default_factory=Samples)
    violations: violations.Violations = field(default_factory=violations.Violations)


def versions(tools: ClientTools, server_version: str) -> str:
    """Return by what definitions are worded: two sets of one wording can be compared."""
    return f"pg_dump {tools} on PostgreSQL {server_version}"


def look_at_rows(connection: "psycopg.Connection[Any]", budget_s: float) -> LiveRows:
    """Read what a load would evaluate, for `budget_s` seconds at most; call it inside `census.snapshot`."""
    return LiveRows(samples.take(connection), violations.find(connection, budget_s))


@dataclass(frozen=True)
class Request:
    """`dump` is loaded into a database like `database`, named after `live`: the same, where that has its own name.

    With `rows` the dump is a schema alone. `extensions` are those of the live database, and `settle` is called with the name
    of the loaded one. Whether that has a schema `public` no dump says.

    Where `certain`, what could not be decided and what could not be carried over are errors, and no notes: for a database
    that is dropped once this was tried.
    """

    database: str
    live: str
    dump: Path
    rows: Optional[LiveRows] = None
    extensions: Mapping[str, Extension] = field(default_factory=dict)
    settle: Optional[Callable[[str], object]] = None
    has_public: bool = True
    certain: bool = False
    schema_only: bool = False


def run(server: Server, tools: ClientTools, request: Request) -> RoundTrip:
    """Load the dump, read what came out, and drop it. Raises RollbackError with what stops the load, by name."""
    try:
        names.restore_name(request.live, _SOME_RUN)
    except RollbackError as error:
        return RoundTrip(notes=[f"Would stop a restore: {error}"])
    with server.connect() as connection:
        reason = _impossible(connection)
        if reason and request.certain:
            raise RollbackError(f"Whether the dump loads cannot be tried: {reason}.", FIX)
        if reason:
            return RoundTrip(notes=[f"Whether this backup loads was not tried: {reason}."])
        with _scratch(connection, request) as scratch:
            try:
                beside.load(server, tools, request.dump, scratch, _JOBS, request.extensions)
                if request.settle:
                    request.settle(scratch)
                with server.connect(scratch) as loaded:
                    if not request.has_public:
                        beside.drop_public(loaded)
                    notes = _rows_of(request.rows, loaded, request.certain) if request.rows else []
                    with census.snapshot(loaded):
                        objects, consist_of = census.objects(loaded), left_out.extensions(loaded)
                        (version,) = loaded.execute("SELECT current_setting('server_version')").fetchone() or ("",)
            except RollbackError as error:
                if request.schema_only and _may_miss_rows(error.__cause__):
                    return RoundTrip(
                        notes=[f"Whether this backup loads could not be decided without its rows: {error.message}"]
                    )
                raise _would_not_load(error) from error
            words = definitions.read(server, tools, scratch)
            lacking = settings.trial(connection, request.database, scratch, request.live)
    if lacking and request.certain:
        raise RollbackError(" ".join(lacking), "Then run the same command again.")
    notes += [f"Would stop a restore: {sentence}" for sentence in lacking]
    return RoundTrip(objects, words, consist_of, versions(tools, version.split()[0]), notes)


def not_loaded(live: Dict[str, str], loaded: Dict[str, str]) -> List[str]:
    """Return sentences about objects of the live database that its dump does not bring back, by the names of a census."""
    missing = sorted(live.keys() - loaded.keys())
    invalid = [name for name in missing if name.startswith("index ")]
    others = [name for name in missing if name not in invalid]
    found = []
    if invalid:
        found.append(
            f"Not in the backup, because pg_dump leaves out an index that is INVALID (a CREATE INDEX CONCURRENTLY failed): {listed(invalid)}."
            " Drop it, or REINDEX it."
        )
    if others:
        found.append(f"Not in the backup, because pg_dump leaves it out: {listed(others)}.")
    return found


def _impossible(connection: "psycopg.Connection[Any]") -> str:
    replica, may = connection.execute(
        "SELECT pg_is_in_recovery(), rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"
    ).fetchone() or (False, False)
    if replica:
        return "this server is a read replica"
    return "" if may else "the operator's role may not create databases (ALTER ROLE … CREATEDB)"


@contextmanager
def _scratch(connection: "psycopg.Connection[Any]", request: Request) -> Iterator[str]:
    """An empty database of that kind, dropped afterwards. Those that a killed process left go first."""
    for (left,) in connection.execute(
        "SELECT datname FROM pg_database d WHERE starts_with(datname, %s) AND pg_has_role(datdba, 'MEMBER')"
        " AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.datid = d.oid)",
        [names.scratch_prefix(request.live)],
    ).fetchall():
        if names.is_scratch(left, request.live) and _locked(connection, left):
            beside.drop(connection, left)
    name = names.scratch_name(request.live, secrets.token_hex(4))
    _locked(connection, name)
    beside.create(connection, request.database, name)
    try:
        yield name
    finally:
        if not connection.closed:
            beside.drop(connection, name)


def _locked(connection: "psycopg.Connection[Any]", name: str) -> bool:
    """Take the lock that says for as long as this connection lasts that this process works with that database."""
    taken = connection.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [name]).fetchone()
    return taken == (True,)


def _rows_of(rows: LiveRows, loaded: "psycopg.Connection[Any]", certain: bool) -> List[str]:
    """Raises RollbackError with what the rows show; returns what they leave open."""
    tried = samples.put_in(loaded, rows.samples)
    problems = [*tried.problems, *rows.violations.problems]
    if problems:
        raise RollbackError(f"{listed(problems, 3)}.", _advice_for(" ".join(problems)))
    notes = list(rows.violations.notes())
    if tried.undecided and certain:
        raise RollbackError(
            f"it cannot be decided with {listed(tried.undecided, 2)}: the check reads other rows.",
            "Declare the check NOT VALID, then take the backup again.",
        )
    if tried.undecided:
        notes.append(
            f"Could not be decided with {listed(tried.undecided, 2)}: it may read other rows."
            " Restore this backup once beside the live database to be certain."
        )
    return notes


def _may_miss_rows(error: Optional[BaseException]) -> bool:
    """Whether a function said so that may have looked for rows: data, constraints, what PL/pgSQL raises."""
    return isinstance(error, pg.Error) and (error.sqlstate or "")[:2] in ("21", "22", "23", "P0")


def _would_not_load(error: RollbackError) -> RollbackError:
    cause = error.__cause__
    said, advice = error.message, error.hint
    if isinstance(cause, pg.Error):
        function = violations.function_of(cause)
        advice = _ADVICE.get(cause.sqlstate or "", FIX)
        if violations.names_nothing(cause) and function:
            said = f"{said.rstrip('.')}, in function {function}."
            advice = _advice_for(said)
    return RollbackError(f"This backup would not load: {said}", advice or FIX)


def _advice_for(said: str) -> str:
    if "in function" in said or "empty search_path" in said:
        return violations.QUALIFY
    return FIX
