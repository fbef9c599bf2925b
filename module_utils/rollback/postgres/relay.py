"""A server that no address leads to, only a command, such as `docker compose exec`: a socket here, and one call of it per connection."""

from __future__ import annotations

import atexit
import functools
import shlex
import shutil
import socket
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import List, Sequence

from ansible.module_utils.rollback.errors import RollbackError

# Run by the command, over there: its standard input and output become a connection. Bash and cat are in every image of
# PostgreSQL, and nothing else is. Each direction has a process of its own; when one of them ends, so does the connection.
_HANDOVER = 'exec 3<>"/dev/tcp/$0/$1" 4<&0 || exit; cat <&3 & cat <&4 >&3 & wait -n; kill $(jobs -p) 2>/dev/null'
_WAITING = 128


class Relay:
    """Calls `command` for each connection to its socket, as long as this process lives. A call ends with its connection."""

    def __init__(self, command: Sequence[str], host: str, port: str) -> None:
        if not shutil.which(command[0]):
            raise RollbackError(
                f"There is no program {command[0]} here, through which the database is reached.",
                "Check what rollback_database_dsn says after through=.",
            )
        self._argv = [*command, "bash", "-c", _HANDOVER, host, port]
        self.directory = Path(tempfile.mkdtemp(prefix="rollback-relay-"))  # nobody else may enter it
        atexit.register(shutil.rmtree, self.directory, ignore_errors=True)
        self._said = self.directory / "said"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.directory / f".s.PGSQL.{port}"))
        self._listener.listen(_WAITING)
        threading.Thread(target=self._serve, daemon=True).start()

    def said(self) -> str:
        """The last line that a call wrote to standard error, which tells why there is no connection."""
        lines = self._said.read_text(errors="replace").strip().splitlines() if self._said.exists() else []
        return lines[-1].strip().rstrip(".") if lines else ""

    def _serve(self) -> None:
        calls: List["subprocess.Popen[bytes]"] = []
        with self._said.open("ab") as said:
            while True:
                connection, _ = self._listener.accept()
                with connection:
                    fd = connection.fileno()
                    calls = [call for call in calls if call.poll() is None]
                    calls.append(subprocess.Popen(self._argv, stdin=fd, stdout=fd, stderr=said))


@functools.cache
def to(through: str, host: str, port: str) -> Relay:
    """The one relay of this process through that command, to `host` and `port` as they are called over there."""
    return Relay(shlex.split(through), host, port)
