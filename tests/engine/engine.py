"""On a real Docker engine, with a real registry: an application of three services in a Compose project.

The application is a small one, so that a test takes seconds: it answers with its version, and each version does what its name
says. Base image and registry are those of Hunter's images.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "hunter"))
from images import BASE, Registry, base_image, digest, docker, forget, forget_all, free_port, registry

__all__ = [
    "BASE",
    "OLD_BUILDER",
    "PARTS",
    "Images",
    "Project",
    "Registry",
    "asked",
    "build",
    "digest",
    "docker",
    "forget",
    "forget_all",
    "registry",
    "until",
]

# What every test here needs.
PARTS = [pytest.mark.docker, pytest.mark.compose, pytest.mark.registry, pytest.mark.debootstrap]
OLD_BUILDER = {"DOCKER_BUILDKIT": "0"}

APP = """
import http.server, os, sys, time
VERSION = os.environ["VERSION"]
time.sleep(float(os.environ.get("STARTS_IN", "0")))
if os.environ.get("NEEDS"):
    import socket
    socket.gethostbyname(os.environ["NEEDS"])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(500 if "sick" in VERSION else 200)
        self.send_header("X-App-Version", VERSION)
        self.end_headers()
        self.wfile.write(VERSION.encode())
    def log_message(self, *_):
        pass
if "dead" in VERSION:
    sys.exit("this version does not start")
if sys.argv[1:] == ["worker"]:
    import signal
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    while True:
        if "late" in VERSION:
            time.sleep(1)
            sys.exit("this worker dies after a second")
        time.sleep(1)
import signal
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
http.server.ThreadingHTTPServer(("0.0.0.0", 8000), Handler).serve_forever()
"""
ASK = "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/', timeout=1)"
VERSIONS = ("1.0.0", "1.0.1", "1.0.2-sick", "1.0.3-dead", "1.0.4-late")


def build(repository: str, version: str) -> str:
    """An image of the application, pushed; returns it by digest."""
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "app.py").write_text(APP)
        (Path(directory) / "Dockerfile").write_text(
            f'FROM {base_image()}\nENV VERSION={version}\nCOPY app.py /app.py\nENTRYPOINT ["python3", "-u", "/app.py"]\n'
        )
        image = f"{repository}:{version}"
        docker("build", "--quiet", "--tag", image, directory, environment=OLD_BUILDER)
    docker("push", "--quiet", image)
    return digest(image)


@contextmanager
def asked(project: Project) -> Iterator[list[float]]:
    """Somebody asks all the time: yields the moments of the answers, complete when the block has ended."""
    moments: list[float] = []
    enough = threading.Event()

    def ask() -> None:
        while not enough.wait(0.02):
            with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{project.port}/", timeout=0.2) as answer:
                answer.read()
                moments.append(time.monotonic())

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield moments
    finally:
        enough.set()
        thread.join()


def until(condition: Callable[[], bool], what: str, patience_s: float = 60) -> None:
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        with suppress(OSError):
            if condition():
                return
        time.sleep(0.05)
    raise AssertionError(f"{what} never came")


@dataclass(frozen=True)
class Images:
    """The repository in the registry, and its images by version, each by digest."""

    repository: str
    digests: dict[str, str]


class Project:
    """The Compose project `name` in `directory`; `digests` are its images by version."""

    def __init__(self, directory: Path, repository: str, digests: dict[str, str], way: str = "override") -> None:
        self.directory, self.repository, self.digests, self.way = directory, repository, digests, way
        self.name = f"rollback-{directory.name[-8:].lower().strip('_')}"
        self.port = free_port()

    def write(
        self,
        version: str,
        more: dict[str, object] | None = None,
        api: dict[str, object] | None = None,
        networks: dict[str, object] | None = None,
    ) -> None:
        image = f"{self.repository}:{version if self.way != 'env' else '${APP_VERSION}'}"
        check = {
            "test": ["CMD", "python3", "-c", ASK],
            "interval": "300ms",
            "timeout": "10s",
            "retries": 20,
            "start_period": "30s",
        }
        services = {
            "api": {
                "image": image,
                "healthcheck": check,
                "ports": [f"127.0.0.1:{self.port}:8000"],
                "stop_grace_period": "3s",
            },
            "worker": {"image": image, "command": ["worker"], "stop_grace_period": "3s"},
            "store": {"image": BASE, "command": ["sleep", "infinity"], "init": True, "volumes": ["data:/data"]},
            **(more or {}),
        }
        services["api"].update(api or {})
        (self.directory / "compose.yaml").write_text(
            json.dumps({"services": services, "volumes": {"data": {}}, "networks": networks or {}})
        )
        if self.way == "env":
            (self.directory / ".env").write_text(f"# versions\nAPP_VERSION={version}\nOTHER=1\n")
        if self.way == "git":
            self.git("init", "--quiet", "--initial-branch=main")
            self.git("add", "compose.yaml")
            self.git("commit", "--quiet", "--allow-empty", "--message", version)
            self.git("tag", "--force", f"v{version}")

    def git(self, *arguments: str) -> str:
        who = ["-c", "user.name=engine", "-c", "user.email=engine@example.org"]
        argv = ["git", "-C", str(self.directory), *who, *arguments]
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()

    def up(self, version: str, **more: object) -> None:
        self.write(version, **more)
        self.compose("up", "--detach", "--wait", "--remove-orphans", "--pull", "never")

    def compose(self, *arguments: str) -> str:
        return docker("compose", "--project-name", self.name, *arguments, cwd=self.directory)

    def answers(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=3) as answer:
            return str(answer.read().decode())

    def reaches(self, service: str, name: str, port: int) -> str:
        """What a container of `service` is answered on that port of `name`."""
        ask = f"import urllib.request as r; print(r.urlopen('http://{name}:{port}/', timeout=3).read().decode())"
        return docker("exec", f"{self.name}-{service}-1", "python3", "-c", ask).strip()

    def containers(self) -> dict[str, str]:
        """Running containers by name, with what tells one from a container that was made anew."""
        ids = docker("ps", "--quiet", "--filter", f"label=com.docker.compose.project={self.name}").split()
        found = json.loads(docker("inspect", *ids)) if ids else []
        return {one["Name"].lstrip("/"): f"{one['Id']} {one['State']['StartedAt']}" for one in found}

    def close(self) -> None:
        down = [
            "docker",
            "compose",
            "--project-name",
            self.name,
            "down",
            "--volumes",
            "--remove-orphans",
            "--timeout=1",
        ]
        subprocess.run(down, cwd=self.directory, check=False, capture_output=True)
        shutil.rmtree(self.directory)
