"""Runs the application's own Alembic where the application is, under limits that PostgreSQL keeps.

The limits travel in PGOPTIONS, which every driver on libpq obeys (psycopg, psycopg2). They need no change to the
application, and end with its connection.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from ansible.module_utils.rollback import sealed
from ansible.module_utils.rollback.errors import RollbackError

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

    def options(self, read_only: bool) -> str:
        said = [f"lock_timeout={int(self.lock_s * 1000)}", f"statement_timeout={int(self.statement_s * 1000)}"]
        return " ".join(f"-c {setting}" for setting in said + ["default_transaction_read_only=on"] * read_only)


@dataclass(frozen=True)
class Ended:
    """`outcome` is one of DONE, LOCK_TIMEOUT and FAILED; `sentence` says why where it is not DONE."""

    outcome: str
    sentence: str = ""
    output: str = ""
    exit_code: int = 0
    argv: List[str] = field(default_factory=list)

    def as_dict(self) -> Dict[str, Any]:
        return {
            "outcome": self.outcome,
            "sentence": self.sentence,
            "output": self.output,
            "exit_code": self.exit_code,  # `rc` would make Ansible call it a failure
            "argv": self.argv,
        }


def run(
    place: Place,
    alembic: Sequence[str],
    arguments: Sequence[str],
    environment: Mapping[str, str],
    limits: Limits,
    read_only: bool = False,
) -> Ended:
    """Run `alembic` with `arguments`. `read_only` makes PostgreSQL refuse whatever the application tries to write.

    Raises RollbackError where the command is not there.
    """
    command = [*alembic, *arguments]
    given = {
        **environment,
        "PGOPTIONS": " ".join(filter(None, [environment.get("PGOPTIONS"), limits.options(read_only)])),
    }
    argv = place.argv(command, given)
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
        return Ended(FAILED, said, exit_code=-signal.SIGKILL, argv=argv)
    except BaseException:
        # Whoever ends this module must not leave a migration behind that nobody watches.
        os.killpg(process.pid, signal.SIGTERM)
        raise
    return judged(process.returncode, output, errors, argv)


def judged(rc: int, output: str, errors: str, argv: List[str]) -> Ended:
    """How a command ended, from its exit code and what it said."""
    output, said = sealed.redacted(output, keep_names=True), sealed.redacted(cause(errors or output))
    if rc == 0:
        return Ended(DONE, "", output, rc, argv)
    if "due to lock timeout" in errors:
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
