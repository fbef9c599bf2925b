"""pg_dump, pg_restore, psql and vacuumdb: which ones to use, and running them."""

from __future__ import annotations

import glob
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Dict, List, Optional, Sequence, Tuple

from ansible.module_utils.rollback import sealed, worker
from ansible.module_utils.rollback.errors import RollbackError

TOOLS = ("pg_dump", "pg_restore", "psql", "vacuumdb")
_USUAL_DIRS = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/local/pgsql/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
)


@dataclass(frozen=True)
class ClientTools:
    """One set of client tools: the directory they are in, and their version, such as (18, 4)."""

    directory: str
    version: Tuple[int, ...]

    def path(self, tool: str) -> str:
        return os.path.join(self.directory, tool)

    def __str__(self) -> str:
        return ".".join(map(str, self.version))


def find(server_major: int, directory: Optional[str] = None) -> ClientTools:
    """The tools in `directory`, or the oldest installed ones that are not older than the server.

    Oldest, because pg_dump writes archives that older pg_restore cannot read. Raises RollbackError where there are none.
    """
    found = [tools for tools in map(_tools_in, [directory] if directory else _usual_directories()) if tools]
    fitting = sorted((tools for tools in found if tools.version[0] >= server_major), key=lambda tools: tools.version)
    if fitting:
        return fitting[0]
    have = ", ".join(f"{tools} in {tools.directory}" for tools in found) or "none found"
    raise RollbackError(
        f"The server is PostgreSQL {server_major}, and no client tools of that version or newer are here ({have}).",
        f"Install postgresql-client-{server_major}, or set rollback_client_bin_dir.",
    )


def major_of(version: str) -> int:
    """18 of `18.4`. Raises RollbackError where that is no version."""
    found = re.match(r"\d+", version)
    if not found:
        raise RollbackError(f"{version!r} is no version of PostgreSQL.", "Say for example 18.4.")
    return int(found.group())


def run(
    argv: Sequence[str],
    environment: Dict[str, str],
    stdin: "Optional[IO[bytes]]" = None,
    stdout: "Optional[IO[bytes]]" = None,
) -> None:
    """Run a tool to its end. Raises RollbackError with its own words where it fails."""
    done = subprocess.run(
        argv,
        env=environment,
        stdin=stdin or subprocess.DEVNULL,
        stdout=stdout or subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        pass_fds=worker.descriptors(),
        check=False,
    )
    if done.returncode != 0:
        raise failure(argv[0], done.returncode, done.stderr)


def failure(tool: str, code: int, stderr: bytes) -> RollbackError:
    """The sentence for a tool that failed: its first error, since the later ones follow from it."""
    lines = [line for line in stderr.decode(errors="replace").splitlines() if line.strip()]
    telling = (
        [line for line in lines if re.search(r"error|fatal|invalid|unsupported|could not", line, re.IGNORECASE)]
        or lines
        or ["it said nothing"]
    )
    return RollbackError(
        f"{os.path.basename(tool)} failed with exit code {code}: {sealed.redacted(' '.join(telling[:2]).strip())}"
    )


def _usual_directories() -> List[str]:
    on_path = [entry for entry in os.environ.get("PATH", "").split(os.pathsep) if entry]
    usual = [path for pattern in _USUAL_DIRS for path in sorted(glob.glob(pattern))]
    return list(dict.fromkeys(usual + on_path))


def _tools_in(directory: str) -> Optional[ClientTools]:
    if not all(os.access(Path(directory) / tool, os.X_OK) for tool in TOOLS):
        return None
    try:
        said = subprocess.run(
            [os.path.join(directory, "pg_dump"), "--version"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    numbers = re.search(r"(\d+)\.?(\d+)?", said)
    return ClientTools(directory, tuple(int(part) for part in numbers.groups() if part)) if numbers else None
