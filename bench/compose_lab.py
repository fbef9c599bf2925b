"""Hunter in containers on this machine's engine: a database, a registry with two versions, and a Compose project."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from project import ROOT, Lab, images

GOOD, BAD = "1.0.0", "1.0.1"  # the second is the first with another number: both serve on the same schema
NAME = "rollback-bench"
SERVICES = ["api", "worker"]
HUNTER = ROOT / "examples" / "hunter"

# What most people have before their application: names are looked up when nginx reads its configuration.
NGINX = """\
events {}
http {
  access_log off;
  upstream hunter { server api:8000; }
  server {
    listen 8000;
    location / {
      proxy_pass http://hunter;
      proxy_connect_timeout 1s;
    }
  }
}
"""
# A machine that has other things to do too must not be taken for a version that is not well.
PATIENT = """\
services:
  api:
    healthcheck: {timeout: 10s, start_period: 120s}
"""
BEHIND_PROXY = """\
    ports: !reset []
  proxy:
    image: {base}
    command: [nginx, -g, daemon off;]
    volumes: ["./nginx.conf:/etc/nginx/nginx.conf:ro"]
    ports: ["127.0.0.1:{port}:8000"]
    depends_on: {{api: {{condition: service_healthy}}}}
"""


@dataclass(frozen=True)
class Containers:
    """`directory` is that of the Compose project, `port` where Hunter answers, `repository` where its images are."""

    directory: Path
    port: int
    repository: str
    database_url: str
    digests: dict[str, str]

    def pin(self, version: str) -> None:
        """What an operator writes into the project to say which version runs."""
        lines = {
            "HUNTER_IMAGE": self.repository,
            "HUNTER_VERSION": version,
            "HUNTER_PORT": self.port,
            "DATABASE_URL": self.database_url,
        }
        (self.directory / ".env").write_text("".join(f"{name}={value}\n" for name, value in lines.items()))

    def compose(self, *arguments: str) -> None:
        images.docker("compose", "--project-name", NAME, *arguments, cwd=self.directory)

    def release_badly(self, *, behind_proxy: bool = False, good_is_here: bool = True) -> None:
        """The bad version runs, anew. The image of the good one is on the engine, or as if it had been pruned."""
        self.compose("down", "--timeout", "1", "--remove-orphans")
        override = self.directory / "compose.override.yaml"
        proxy = BEHIND_PROXY.format(base=images.BASE, port=self.port) if behind_proxy else ""
        override.write_text(PATIENT + proxy)
        self.forget(GOOD)
        if good_is_here:
            images.docker("pull", "--quiet", f"{self.repository}:{GOOD}")
        self.pin(BAD)
        self.compose("up", "--detach", "--wait")

    def forget(self, version: str) -> None:
        """Every name of an image, and with them its layers."""
        name = self.digests[version]
        found = subprocess.run(
            ["docker", "image", "inspect", "--format", "{{.Id}}", name], check=False, capture_output=True, text=True
        )
        if found.returncode == 0:
            images.forget(found.stdout.strip())


@contextmanager
def running() -> Iterator[Containers]:
    """Removes whatever it made of containers and images; the base stays, since it takes half a minute to make."""
    home = Path(tempfile.mkdtemp(prefix="rollback-bench-"))
    lab = Lab(home / "lab", listen=[images.bridge()])
    try:
        lab.up()
        lab.deploy(GOOD)
        lab.stop_hunter()  # from here it runs in containers
        with images.registry() as registry:
            repository = f"{registry.address}/hunter"
            facts = lab.facts
            login = f"{facts['owner']}:{facts['owner_password']}"
            found = Containers(
                directory=home / "project",
                port=images.free_port(),
                repository=repository,
                database_url=f"postgresql+psycopg://{login}@host.docker.internal:{facts['port']}/{facts['database']}",
                digests={version: build(repository, version) for version in (GOOD, BAD)},
            )
            found.directory.mkdir()
            shutil.copy(HUNTER / "compose.yaml", found.directory)
            (found.directory / "nginx.conf").write_text(NGINX)
            found.pin(BAD)
            try:
                yield found
            finally:
                found.compose("down", "--timeout", "1", "--remove-orphans")
                for version in (GOOD, BAD):
                    found.forget(version)
    finally:
        lab.destroy()
        shutil.rmtree(home, ignore_errors=True)


def build(repository: str, version: str) -> str:
    """An image as a pipeline without a cache makes it, so that two of them share the base alone. Pushed; by digest."""
    name = f"{repository}:{version}"
    with tempfile.TemporaryDirectory(prefix="rollback-image-") as directory:
        context = Path(directory)
        release = images.release(GOOD, context / "release")
        init = release / "hunter" / "__init__.py"
        init.write_text(init.read_text().replace(GOOD, version))
        shutil.copytree(images.packages(), context / "packages", copy_function=shutil.copy)
        given = ["--build-arg", f"BASE={images.base_image()}", "--build-arg", f"VERSION={version}"]
        images.docker(
            *("build", "--quiet", "--no-cache", "--tag", name, *given, "--file", HUNTER / "Dockerfile", context),
            environment={"DOCKER_BUILDKIT": "0"},
        )
    images.docker("push", "--quiet", name)
    return images.digest(name)
