"""Runs the application's own Alembic where the application is, with our hook around it (see alembic_hook.py).

The hook sets the limits on the connection that env.py has made, whatever driver and URL that has. It needs no change to the
application, and ends with its process.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from ansible.module_utils.rollback import sealed
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.migrations import hooked
from ansible.module_utils.rollback.migrations.alembic_hook import MARK

# How a command ended. Only a lock that was not to be had in time is worth another try.
DONE, LOCK_TIMEOUT, FAILED = "done", "lock_timeout", "failed"

HOST, CONTAINER, IMAGE, POD = "host", "container", "image", "pod"
PLACES = (HOST, CONTAINER, IMAGE, POD)


@dataclass(frozen=True)
class Place:
    """Where Alembic runs: on the `host` itself, in a running `container`, in a new one of an `image`, or in a `pod`.

    `name` names container, image or pod. `prefix` is how the engine's client is called, with options of the inventory's
    (`[docker]`, `[kubectl, --namespace, hunter]`), `options` go to its `run` or `exec`. `directory` holds alembic.ini.
    """

    kind: str = HOST
    name: str = ""
    prefix: Tuple[str, ...] = ()
    options: Tuple[str, ...] = ()
    directory: str = ""

    def argv(self, command: Sequence[str], environment: Mapping[str, str]) -> List[str]:
        """The command line. Variables go by name where the client can take their values from its own environment."""
        names = sorted(environment)
        if self.kind == HOST:
            return list(command)
        prefix = list(self.prefix or ("kubectl" if self.kind == POD else "docker",))
        if self.kind == POD:
            # kubectl has no such option; a shell in the pod reads the values from its standard input.
            read = "".join(f"IFS= read -r {name}; export {name}; " for name in names)
            inside = f'{read}cd "$0" && exec "$@"'
            return [
                *prefix,
                "exec",
                "--stdin",
                *self.options,
                self.name,
                "--",
                "sh",
                "-c",
                inside,
                self.directory or ".",
                *command,
            ]
        carried = [word for name in names for word in ("--env", name)]
        work_dir = ["--workdir", self.directory] if self.directory else []
        if self.kind == CONTAINER:
            return [*prefix, "exec", *carried, *work_dir, *self.options, self.name, *command]
        # The entrypoint is replaced: many of them migrate upwards before anything else.
        entry = ["--entrypoint", command[0]]
        return [*prefix, "run", "--rm", *carried, *work_dir, *entry, *self.options, self.name, *command[1:]]


@dataclass(frozen=True)
class Limits:
    """Seconds that a statement waits for a lock, that it may take, and that the whole command may take."""

    lock_s: float = 5.0
    statement_s: float = 600.0
    command_s: float = 1800.0

    def settings(self, name: str) -> Dict[str, str]:
        """The same as settings of a session that is called `name`."""
        return {
            "lock_timeout": f"{int(self.lock_s * 1000)}ms",
            "statement_timeout": f"{int(self.statement_s * 1000)}ms",
            "application_name": re.sub(r"[^\w .:-]", "", name),
        }


@dataclass(frozen=True)
class Ended:
    """`outcome` is one of DONE, LOCK_TIMEOUT and FAILED; `sentence` says why where it is not DONE.

    `output` is what the command wrote, byte for byte: names and SQL are read from it. Only what is shown is redacted.
    """

    outcome: str
    sentence: str = ""
    output: str = ""
    exit_code: int = 0
    argv: List[str] = field(default_factory=list)

    def as_dict(self) -> Dict[str, Any]:
        return {
            "outcome": self.outcome,
            "sentence": self.sentence,
            "output": sealed.redacted(self.output),
            "exit_code": self.exit_code,  # `rc` would make Ansible call it a failure
            "argv": self.argv,
        }


def run(
    place: Place,
    alembic: Sequence[str],
    arguments: Sequence[str],
    environment: Mapping[str, str],
    limits: Limits,
    task: Mapping[str, Any],
) -> Ended:
    """Run `alembic` with `arguments`; `task` is what alembic_hook.py is to do there.

    Raises RollbackError where the command is not there, or is no program of Python.
    """
    command = [*alembic, *arguments]
    short = place.kind == POD
    given = {**environment, **(hooked.environment(task) if short else {})}
    argv = place.argv(hooked.short_command(command) if short else hooked.command(command, task), given)
    try:
        process = subprocess.Popen(
            argv,
            cwd=place.directory or None if place.kind == HOST else None,
            env={**os.environ, **given},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        raise RollbackError(
            f"Alembic cannot be run: {error.filename or argv[0]}: {error.strerror}.",
            "Check alembic_downgrade_command and alembic_downgrade_directory.",
        ) from error
    values = "".join(f"{given[name]}\n" for name in sorted(given)) if place.kind == POD else ""
    try:
        output, errors = process.communicate(values, timeout=limits.command_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        said = f"{' '.join(command)} did not end within {limits.command_s:g} s and was killed; what it began may still run in the database."
        return Ended(FAILED, said, exit_code=-signal.SIGKILL, argv=place.argv(command, {}))
    except BaseException:
        # Whoever ends this module must not leave a migration behind that nobody watches.
        os.killpg(process.pid, signal.SIGTERM)
        raise
    unhooked = hooked.NO_PYTHON.search(errors) if process.returncode else None
    if unhooked:
        raise RollbackError(
            f"Alembic cannot be run: {unhooked.group(1)}.",
            "Let alembic_downgrade_command call its Python, such as [/srv/app/venv/bin/python, -m, alembic].",
        )
    return judged(process.returncode, output, errors, place.argv(command, {}))


def sessions(output: str) -> List[Dict[str, Any]]:
    """What the hook reported of each session that env.py would migrate with, in its order."""
    return [json.loads(line[len(MARK) :]) for line in output.splitlines() if line.startswith(MARK)]


# By the drivers' names for SQLSTATE 55P03: PostgreSQL's own words are in the language of lc_messages.
_LOCK_TIMEOUT = re.compile(r"\bLockNotAvailable(Error)?\b|\b55P03\b|due to lock timeout")


def judged(rc: int, output: str, errors: str, argv: List[str]) -> Ended:
    """How a command ended, from its exit code and what it said."""
    said = sealed.redacted(cause(errors or output))
    if rc == 0:
        return Ended(DONE, "", output, rc, argv)
    if _LOCK_TIMEOUT.search(errors):
        return Ended(LOCK_TIMEOUT, said, output, rc, argv)
    return Ended(FAILED, said, output, rc, argv)


def cause(text: str) -> str:
    """The line that says what went wrong, of a traceback, of Alembic's own words or of a container engine's."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    of_postgres = [
        line for line in lines if re.match(r"[\w.]*(psycopg2?|asyncpg|pg8000|sqlalchemy)[\w.]*\.\w+: ", line)
    ]
    exceptions = [line for line in lines if re.match(r"(FAILED: |[\w.]+(Error|Exception|Exit): ?)", line)]
    # The driver's own error comes before the one that SQLAlchemy wraps around it.
    chosen = (of_postgres or exceptions[-1:] or lines[-1:] or ["it said nothing"])[0]
    return re.sub(r"^(ERROR\s+\[[^\]]*\]\s*|(\(?[\w.]+\)? ?)+: )", "", chosen).strip().rstrip(".") or chosen
