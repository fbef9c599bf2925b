"""Restoring beside the live database: a new database of the same kind, loaded, set up and analysed.

Each step looks at what is there and may be called again: after a crash the database is dropped and made anew,
because half a load cannot be told from a whole one.
"""

from __future__ import annotations

import subprocess
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Iterable, Iterator, List, Mapping, Optional

from ansible.module_utils.rollback import worker
from ansible.module_utils.rollback.backups import archive_entries, files, plain_sections, restricted, wrappings
from ansible.module_utils.rollback.backups.archive_reader import UnknownArchive
from ansible.module_utils.rollback.backups.names import PLAIN
from ansible.module_utils.rollback.backups.plain_sections import Entry
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.postgres import client_tools, event_triggers, parallel_load, subscriptions
from ansible.module_utils.rollback.postgres.client_tools import ClientTools
from ansible.module_utils.rollback.postgres.extensions import Extension
from ansible.module_utils.rollback.postgres.load_settings import as_options
from ansible.module_utils.rollback.postgres.parallel_load import Shares
from ansible.module_utils.rollback.postgres.server import Server
from ansible.module_utils.rollback.postgres.sessions import end_sessions

with suppress(ImportError):  # the module that uses this says so
    import psycopg
    from psycopg import errors as pg_errors
    from psycopg import sql

if TYPE_CHECKING:
    import psycopg

# Columns of pg_database that say how text is compared; which of them exist depends on the server's version.
_LOCALE = ("datcollate", "datctype", "datlocprovider", "datlocale", "daticulocale", "daticurules")


def create(connection: "psycopg.Connection[Any]", live: str, name: str) -> int:
    """Make database `name` with owner, encoding, locale and tablespace of `live`; returns its OID.

    One of that name is left from an earlier attempt of the same run, and is dropped first.
    """
    return create_like(connection, properties(connection, live), name)


def properties(connection: "psycopg.Connection[Any]", live: str) -> Dict[str, Any]:
    """What CREATE DATABASE has to say to make another of the kind of `live`; plain data, fit for a journal."""
    # The template's own tablespace goes unsaid: naming it would ask for a right that using it does not need.
    row = connection.execute(
        "SELECT pg_get_userbyid(d.datdba), pg_encoding_to_char(d.encoding), t.spcname, to_jsonb(d)"
        " FROM pg_database d JOIN pg_database template ON template.datname = 'template0'"
        " LEFT JOIN pg_tablespace t ON t.oid = d.dattablespace AND d.dattablespace <> template.dattablespace WHERE d.datname = %s",
        [live],
    ).fetchone()
    if row is None:
        raise RollbackError(f"There is no database {live} on this server.", "Check rollback_database.")
    owner, encoding, tablespace, catalog = row
    return {
        "owner": owner,
        "encoding": encoding,
        "tablespace": tablespace,
        "catalog": {name: catalog.get(name) for name in _LOCALE},
    }


def create_like(connection: "psycopg.Connection[Any]", like: Dict[str, Any], name: str) -> int:
    """Make database `name` with the `properties` of another; returns its OID. One of that name is dropped first."""
    drop(connection, name)
    catalog, tablespace = like["catalog"], like["tablespace"]
    options: List[sql.Composable] = [
        sql.SQL("OWNER {}").format(sql.Identifier(like["owner"])),
        sql.SQL("TEMPLATE template0 ENCODING {}").format(sql.Literal(like["encoding"])),
        sql.SQL("LC_COLLATE {} LC_CTYPE {}").format(
            sql.Literal(catalog["datcollate"]), sql.Literal(catalog["datctype"])
        ),
        *_locale(catalog),
        *([sql.SQL("TABLESPACE {}").format(sql.Identifier(tablespace))] if tablespace else []),
    ]
    connection.execute(sql.SQL("CREATE DATABASE {} ").format(sql.Identifier(name)) + sql.SQL(" ").join(options))
    return oid_of(connection, name)


def load(
    server: Server,
    tools: ClientTools,
    backup: Path,
    database: str,
    jobs: int,
    extensions: Optional[Mapping[str, Extension]] = None,
) -> Optional[Shares]:
    """Load `backup` into the empty `database` over `jobs` connections; raises RollbackError with the first error.

    `extensions` are those of the database that was backed up, as far as they are known: each comes back to its owner and in
    its version where the server allows that. Returns where the time went, unless psql did it.

    Archives too are loaded as the SQL that pg_restore makes of them: that is quicker than pg_restore's own jobs, of which
    each has a whole table to itself, and which grant privileges in any order. What is not pg_dump's own output is left to psql.
    """
    with wrappings.unwrapped(backup) as readable:
        try:
            return _load(server, tools, readable, database, jobs, extensions)
        except EOFError as error:
            raise wrappings.unreadable(backup, error) from error


def _load(
    server: Server,
    tools: ClientTools,
    backup: Path,
    database: str,
    jobs: int,
    extensions: Optional[Mapping[str, Extension]],
) -> Optional[Shares]:
    backup_format, compression = files.sniff(backup)
    # An archive is asked for what comes before its rows: to read on would unpack all of it.
    options = () if backup_format == PLAIN else ("--section=pre-data",)
    with files.open_as_sql(backup, backup_format, compression, tools, *options) as dump:
        as_dumped = plain_sections.can_be_cut(files.blocks(dump))
    with files.open_as_sql(backup, backup_format, compression, tools, *options) as dump:
        makes_public = plain_sections.makes_public(files.blocks(dump))

    def text(blocks: Iterable[bytes]) -> Iterable[bytes]:
        return plain_sections.without_public(blocks) if makes_public else blocks

    @contextmanager
    def entries() -> Iterator[Iterable[Entry]]:
        with ExitStack() as stack:
            try:
                found = stack.enter_context(archive_entries.opened(backup, tools, text))
            except UnknownArchive:
                dump = stack.enter_context(files.open_as_sql(backup, backup_format, compression, tools))
                found = plain_sections.entries(text(files.blocks(dump)))
            yield found

    for connections in sorted({max(jobs, 1), 1}, reverse=True) if as_dumped else []:
        try:
            with entries() as found:
                return parallel_load.load(server, database, found, connections, extensions)
        except RollbackError as error:
            # What is not pg_dump's own shows only behind the first rows. Then it is psql's, from the beginning again.
            by_psql = isinstance(error, plain_sections.NotAsDumped)
            if not by_psql and (connections == 1 or not _may_be_of_several(error.__cause__)):
                raise
            with server.connect() as connection:
                create_like(connection, properties(connection, database), database)
            if by_psql:
                break
    argv = [
        tools.path("psql"),
        f"--dbname={server.conninfo(database)}",
        "--no-password",
        "--no-psqlrc",
        "--quiet",
        "--set=ON_ERROR_STOP=1",
        "--output=/dev/null",
        "--file=-",
    ]
    with files.open_as_sql(backup, backup_format, compression, tools) as dump:
        _feed(argv, server, restricted.lines(text(files.blocks(dump)), tools.version))
    return None


def _may_be_of_several(error: Optional[BaseException]) -> bool:
    """Whether a load over one connection may not meet it: locks, or checks that read what another connection brings."""
    several = (
        pg_errors.DeadlockDetected,
        pg_errors.LockNotAvailable,
        pg_errors.CheckViolation,
        pg_errors.RaiseException,
    )
    return isinstance(error, several)


def drop_public(connection: "psycopg.Connection[Any]") -> bool:
    """Drop the schema `public` of a new database whose original had none; False where it is not there.

    pg_dump does not say that it is missing. Raises RollbackError where something is in it.
    """
    if connection.execute("SELECT FROM pg_namespace WHERE nspname = 'public'").fetchone() is None:
        return False
    try:
        connection.execute("DROP SCHEMA public")
    except psycopg.Error as error:
        raise RollbackError(
            "The database that was backed up has no schema public, and that of the restored one cannot be dropped:"
            f" {(error.diag.message_primary or str(error)).strip()}.",
            "Choose another backup.",
        ) from error
    return True


def analyse(server: Server, tools: ClientTools, database: str, jobs: int) -> None:
    """Planner statistics: a restored database has none, and its slow plans look like a failed rollback."""
    argv = [
        tools.path("vacuumdb"),
        f"--dbname={server.conninfo(database)}",
        "--no-password",
        "--analyze-only",
        "--quiet",
        f"--jobs={jobs}",
    ]
    with server.connect() as connection:  # not to `database`: logging in there may fire one
        quiet = as_options(event_triggers.settings(connection))
    client_tools.run(argv, server.environment(quiet))


def drop(connection: "psycopg.Connection[Any]", name: str) -> bool:
    """Drop a database that a run made; False where there is none."""
    if connection.execute("SELECT FROM pg_database WHERE datname = %s", [name]).fetchone() is None:
        return False
    end_sessions(connection, [name])
    subscriptions.drop_all(connection, name)
    connection.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))
    return True


def oid_of(connection: "psycopg.Connection[Any]", name: str) -> int:
    """The database's OID: what stays the same when it is renamed. 0 where there is no such database."""
    row = connection.execute("SELECT oid::int8 FROM pg_database WHERE datname = %s", [name]).fetchone()
    return int(row[0]) if row else 0


def _locale(catalog: "dict[str, Any]") -> "List[sql.Composable]":
    """Locale provider, where the server knows one: columns of pg_database came with 15 and changed name in 17."""
    provider = {"i": "icu", "c": "libc", "b": "builtin"}.get(catalog.get("datlocprovider") or "")
    if provider is None:
        return []
    options: List[sql.Composable] = [sql.SQL("LOCALE_PROVIDER {}").format(sql.SQL(provider))]
    locale = catalog.get("datlocale") or catalog.get("daticulocale")
    if locale:
        keyword = {"icu": "ICU_LOCALE", "builtin": "BUILTIN_LOCALE"}[provider]
        options.append(sql.SQL(keyword + " {}").format(sql.Literal(locale)))
    if catalog.get("daticurules"):
        options.append(sql.SQL("ICU_RULES {}").format(sql.Literal(catalog["daticurules"])))
    return options


def _feed(argv: List[str], server: Server, dump: Iterable[bytes]) -> None:
    with subprocess.Popen(
        argv,
        env=server.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        pass_fds=worker.descriptors(),
    ) as process:
        assert process.stdin and process.stderr  # noqa: S101 - for mypy: both are pipes
        try:
            process.stdin.writelines(dump)
        except BrokenPipeError:
            pass  # psql stopped at an error, which it has told on stderr
        except BaseException:
            process.kill()  # the dump broke off: what was loaded so far must not look whole
            raise
        finally:
            with suppress(BrokenPipeError):
                process.stdin.close()
        stderr = process.stderr.read()
    if process.returncode != 0:
        raise client_tools.failure("psql", process.returncode, stderr)
