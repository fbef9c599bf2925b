"""A real sshd on loopback, that can be cut off with every connection it has, and started again.

As a program it does that to the one that keeps its files in the directory named: what runs on a host can so be what cuts it off.
"""

from __future__ import annotations

import getpass
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil

CONFIGURATION = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {home}/host_key
AuthorizedKeysFile {home}/user_key.pub
PidFile {home}/sshd.pid
StrictModes no
PermitRootLogin prohibit-password
PasswordAuthentication no
UsePAM no
Subsystem sftp internal-sftp
"""


class SecureShell:
    """`home` keeps its keys and its configuration; whoever has the user key comes in as the user who runs the tests.

    `more` are further lines of that configuration.
    """

    def __init__(self, home: Path, more: str = "") -> None:
        self.home = home
        home.mkdir(mode=0o700, exist_ok=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        for name in ("host_key", "user_key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", home / name], check=True)
        host_key = (home / "host_key.pub").read_text().split()[:2]
        (home / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {' '.join(host_key)}\n")
        (home / "sshd_config").write_text(CONFIGURATION.format(port=self.port, home=home) + more)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        import real_parts  # the program below needs no pytest

        program = real_parts.find("sshd").place
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where it separates its privileges; Debian makes it at boot
        with (self.home / "log").open("a") as log:
            self._process = subprocess.Popen(
                [program, "-D", "-e", "-f", self.home / "sshd_config"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        for _ in range(100):
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            time.sleep(0.05)
        raise AssertionError((self.home / "log").read_text())

    def cut(self) -> None:
        """No connection is left, and none can be made. What was started through one goes on, as on a host out of reach."""
        if self._process is None:
            return
        cut(self._process.pid)
        self._process.wait(10)
        self._process = None

    def host_variables(self, host: str = "") -> dict[str, object]:
        """For Ansible: the host is reached through this; `host` by a connection of its own, where several share an address."""
        options = f"-o UserKnownHostsFile={self.home}/known_hosts -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes"
        return {
            "ansible_connection": "ssh",
            "ansible_host": "127.0.0.1",
            "ansible_port": self.port,
            "ansible_user": getpass.getuser(),
            "ansible_ssh_private_key_file": str(self.home / "user_key"),
            "ansible_ssh_common_args": options,
            **({"ansible_control_path": str(self.home / f"{host}.to")} if host else {}),
        }


def cut(pid: int) -> None:
    """End an sshd and its connections, and nothing that runs in them."""
    with suppress(psutil.NoSuchProcess):
        server = psutil.Process(pid)
        connections = [child for child in server.children(recursive=True) if child.name().startswith("sshd")]
        server.kill()
        for connection in connections:
            with suppress(psutil.NoSuchProcess):
                connection.kill()


if __name__ == "__main__":
    cut(int(Path(sys.argv[1], "sshd.pid").read_text()))
