"""Places that have backups, for real: an sshd of its own, and an S3 service; and what stands in between and does harm."""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import real_parts

SSHD = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {home}/host_key
AuthorizedKeysFile {home}/user_key.pub {home}/locked_key.pub
PidFile {home}/sshd.pid
StrictModes no
PermitRootLogin yes
PasswordAuthentication yes
KbdInteractiveAuthentication no
UsePAM no
MaxStartups 100
Subsystem sftp internal-sftp
ForceCommand internal-sftp
{chroot}
"""
PASSPHRASE = "a passphrase that nobody must see"
KEYS = {"access_key": "a-key-id-of-the-tests", "secret_key": "a-secret-key-that-nobody-must-see"}


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def wait_for(port: int) -> None:
    for _ in range(1800):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise AssertionError(f"nothing listens on port {port}")


class SftpServer:
    """Whoever has a key sees `root` as `path`, and nothing else of this machine where the tests run as root."""

    def __init__(self, home: Path) -> None:
        self.home, self.port = home, free_port()
        home.mkdir(mode=0o755)
        self._shown = home / "files"
        if os.geteuid() == 0:  # sshd shuts nobody in below a directory in which others may write, such as /tmp
            self._shown = Path(tempfile.mkdtemp(prefix="rollback-sftp-", dir=Path.home()))
            self._shown.chmod(0o755)
        self.directory = self._shown / "backups"
        self.directory.mkdir(parents=True)
        self.path = "/backups" if os.geteuid() == 0 else str(self.directory)
        self._key("host_key"), self._key("user_key"), self._key("locked_key", PASSPHRASE)
        (home / "known_hosts").write_text(self.line("host_key"))
        chroot = f"ChrootDirectory {self._shown}" if os.geteuid() == 0 else ""
        (home / "sshd_config").write_text(SSHD.format(port=self.port, home=home, chroot=chroot))
        self.start()

    def _key(self, name: str, passphrase: str = "") -> None:
        (self.home / name).unlink(missing_ok=True)
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", self.home / name],
            check=True,
            stdin=subprocess.DEVNULL,
        )

    def line(self, key: str, port: int = 0) -> str:
        return f"[127.0.0.1]:{port or self.port} {' '.join((self.home / f'{key}.pub').read_text().split()[:2])}\n"

    def start(self) -> None:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        with (self.home / "log").open("a") as log:
            self.process = subprocess.Popen(
                [real_parts.find("sshd").place, "-D", "-e", "-f", self.home / "sshd_config"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        wait_for(self.port)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)
        shutil.rmtree(self._shown)

    def through(self, port: int) -> None:
        """The server may also be reached on that port."""
        with (self.home / "known_hosts").open("a") as file:
            file.write(self.line("host_key", port))

    def source(self, **changes: object) -> dict[str, Any]:
        return {
            "name": "offsite",
            "kind": "sftp",
            "host": "127.0.0.1",
            "port": self.port,
            "path": self.path,
            "key_file": str(self.home / "user_key"),
            "known_hosts": str(self.home / "known_hosts"),
            **changes,
        }


class S3Service:
    """moto's server: S3 over HTTP, that keeps its objects in memory."""

    def __init__(self) -> None:
        self.port = free_port()
        self.process = subprocess.Popen(
            [Path(sys.executable).with_name("moto_server"), "-H", "127.0.0.1", "-p", str(self.port)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for(self.port)
        self.client = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        self.client.create_bucket(Bucket="backups")

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)

    def put(self, directory: Path, prefix: str = "hunter") -> None:
        for path in directory.rglob("*"):
            if path.is_file():
                self.client.upload_file(str(path), "backups", f"{prefix}/{path.relative_to(directory)}")

    def keys(self) -> list[str]:
        return [item["Key"] for item in self.client.list_objects_v2(Bucket="backups").get("Contents", ())]

    def empty(self) -> None:
        for key in self.keys():
            self.client.delete_object(Bucket="backups", Key=key)

    def source(self, **changes: object) -> dict[str, Any]:
        return {
            "name": "archive",
            "kind": "s3",
            "bucket": "backups",
            "prefix": "hunter",
            "endpoint": self.endpoint,
            "path_style": True,
            **KEYS,
            **changes,
        }


@dataclass
class Cutter:
    """Carries bytes between clients and a server, and cuts each connection after `after` bytes from the server; 0 never does.

    `times` is how many connections are cut so, and those after them after `then` bytes; `bytes_per_s` slows down what goes
    to the client.
    """

    target: int
    after: int = 0
    times: int = 1
    then: int = 0
    bytes_per_s: int = 0
    connections: int = 0
    carried: int = 0
    port: int = field(default_factory=free_port)

    def __enter__(self) -> "Cutter":
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._ends: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for end in (self._listener, *self._ends):
            end.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self.target))
                self._ends += [client, server]
                self.connections += 1
                cut = self.after if self.connections <= self.times else self.then
                threading.Thread(target=self._carry, args=(client, server, 0), daemon=True).start()
                threading.Thread(target=self._carry, args=(server, client, cut, True), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, cut: int, counted: bool = False) -> None:
        carried = 0
        with contextlib.suppress(OSError):
            while block := source.recv(64 * 1024):
                if cut and carried + len(block) > cut:
                    break
                target.sendall(block)
                carried += len(block)
                self.carried += len(block) if counted else 0
                if counted and self.bytes_per_s:
                    time.sleep(len(block) / self.bytes_per_s)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@dataclass
class Fault:
    """What is done to the first `times` answers to requests that `matches` (method and path) says yes to."""

    matches: Callable[[str, str], bool]
    status: int = 0
    code: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    reset_at: int = -1
    spoil: bool = False
    times: int = 1
    done: int = 0


class FaultyS3:
    """Stands before the service, passes everything on, and commits `faults`. `gets` counts requests for pieces of objects."""

    def __init__(self, service: S3Service, *faults: Fault) -> None:
        self.service, self.faults, self.gets, self.lock = service, list(faults), 0, threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _forwarding(self))
        self._server.daemon_threads = True

    def __enter__(self) -> "FaultyS3":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def fault_for(self, method: str, path: str) -> Fault | None:
        with self.lock:
            for fault in self.faults:
                if fault.done < fault.times and fault.matches(method, path):
                    fault.done += 1
                    return fault
        return None


def _forwarding(faulty: FaultyS3) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass_on(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length) if length else None
            with faulty.lock:
                faulty.gets += self.command == "GET" and "Range" in self.headers
            connection = http.client.HTTPConnection("127.0.0.1", faulty.service.port)
            connection.request(self.command, self.path, body, dict(self.headers))
            answer = connection.getresponse()
            content = answer.read()
            fault = faulty.fault_for(self.command, self.path) or Fault(lambda *_: False)
            if fault.status:
                content = f"<Error><Code>{fault.code}</Code><Message>no</Message></Error>".encode()
                self.send_response(fault.status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content if self.command != "HEAD" else b"")
                return
            self.send_response(answer.status)
            for name, value in {**dict(answer.getheaders()), **fault.headers}.items():
                if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                    self.send_header(name, value)
            self.send_header("Content-Length", answer.getheader("Content-Length") or str(len(content)))
            self.end_headers()
            if fault.spoil and content:
                content = bytes([content[0] ^ 1]) + content[1:]
            if fault.reset_at >= 0:
                self.wfile.write(content[: fault.reset_at])
                self.wfile.flush()
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                self.connection.close()
                self.close_connection = True
                return
            self.wfile.write(content if self.command != "HEAD" else b"")

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _pass_on

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextlib.contextmanager
def running(server: Any) -> Iterator[Any]:
    try:
        yield server
    finally:
        server.stop()
