"""Hunter under Docker Compose, beside the laboratory's PostgreSQL: images in a registry of its own, and compose.yaml. See README.md.

What a deployment does here is what one does anywhere: pull, migrate with the new image, bring the services up.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # so that the file can also be loaded by its path

import images  # noqa: E402
from lab import Lab, LabError, default_home, summary  # noqa: E402

VERSIONS = ("1.0.0", "1.0.1", "1.2.0")


class Containers:
    """One project in one directory. Every method can be repeated, also after an interruption."""

    def __init__(self, home: Path | str, say: Callable[[str], None] = lambda line: None) -> None:
        self.lab = Lab(home, say=say)
        self.home = self.lab.home
        self.directory = self.home / "compose"
        self._facts_file = self.home / "containers.json"

    @property
    def facts(self) -> dict[str, Any]:
        """What containers.json says."""
        try:
            facts: dict[str, Any] = json.loads(self._facts_file.read_text())
        except FileNotFoundError:
            raise LabError(f"There are no containers in {self.home}: run `up` first.") from None
        return facts

    @property
    def database_url(self) -> str:
        """As containers reach the database."""
        lab = self.lab.facts
        login = f"{lab['owner']}:{lab['owner_password']}"
        return f"postgresql+psycopg://{login}@host.docker.internal:{lab['port']}/{lab['database']}"

    def up(self, versions: Sequence[str] = VERSIONS) -> None:
        """PostgreSQL, a registry, and the images of `versions` in it."""
        self.lab.listen = [images.bridge()]
        self.lab.up()
        if self._facts_file.exists():
            return
        self._registry = registry = images.start_registry(self.home / "registry")
        facts = {
            "project": f"hunter-{self.home.name.lower().replace('_', '-')[-12:].strip('-')}",
            "directory": str(self.directory),
            "registry": registry.address,
            "registry_pid": registry.process.pid,
            "repository": f"{registry.address}/hunter",
            "images": {},
        }
        self._facts_file.write_text(json.dumps(facts, indent=2) + "\n")
        self.directory.mkdir(exist_ok=True)
        shutil.copyfile(HERE / "compose.yaml", self.directory / "compose.yaml")
        for version in versions:
            facts["images"][version] = images.build(facts["repository"], version)
            self._facts_file.write_text(json.dumps(facts, indent=2) + "\n")

    def deploy(self, version: str) -> None:
        """Pull, migrate with the new image, bring the services up and wait until they are healthy."""
        self.pin(version)
        self.compose("pull", "--quiet")
        self.run("alembic", "upgrade", "head")
        self.compose("up", "--detach", "--wait")

    def pin(self, version: str) -> None:
        """Let `.env` say which version the project runs."""
        said = {
            "HUNTER_IMAGE": self.facts["repository"],
            "HUNTER_VERSION": version,
            "HUNTER_PORT": urlsplit(self.lab.facts["api_url"]).port,
            "DATABASE_URL": self.database_url,
        }
        env = self.directory / ".env"
        env.touch(mode=0o600)
        env.write_text("".join(f"{name}={value}\n" for name, value in said.items()))

    def run(self, module: str, *arguments: str) -> str:
        """A module of the release, in a container of its own that is gone afterwards."""
        return self.compose("run", "--rm", "--no-deps", "api", "python3", "-m", module, *arguments)

    def lose(self, version: str) -> None:
        """Take the image of a version from the engine, as a prune does; the registry has it still."""
        images.forget(f"{self.facts['repository']}:{version}", self.facts["images"][version])

    def fill(self, rows: int) -> str:
        return self.run("hunter.seed", "--rows", str(rows))

    def compose(self, *arguments: str) -> str:
        return images.docker("compose", "--project-name", self.facts["project"], *arguments, cwd=self.directory)

    def containers(self) -> dict[str, str]:
        """Running containers by name, with what tells one from a container that was made anew."""
        label = f"label=com.docker.compose.project={self.facts['project']}"
        ids = images.docker("ps", "--quiet", "--filter", label).split()
        found = json.loads(images.docker("inspect", *ids)) if ids else []
        return {one["Name"].lstrip("/"): f"{one['Id']} {one['State']['StartedAt']}" for one in found}

    def destroy(self) -> None:
        """Everything that was started here, and nothing else."""
        if self._facts_file.exists():
            facts = self.facts
            if (self.directory / ".env").exists():
                with contextlib.suppress(images.ImageError):
                    self.compose("down", "--volumes", "--remove-orphans", "--timeout", "3")
            with contextlib.suppress(ProcessLookupError):
                os.kill(facts["registry_pid"], signal.SIGTERM)
            images.forget_all(facts["repository"], *facts["images"].values())
        self.lab.destroy()


@contextlib.contextmanager
def hunter(home: Path | str, versions: Sequence[str] = VERSIONS) -> Iterator[Containers]:
    """Hunter in containers for as long as the caller needs it."""
    found = Containers(home)
    try:
        found.up(versions)
        yield found
    finally:
        found.destroy()


def main() -> None:
    parser = argparse.ArgumentParser(description="Hunter in containers, in a throwaway place.")
    parser.add_argument("--home", type=Path, default=default_home(), help="everything lives there (%(default)s)")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="start PostgreSQL and a registry, and build the images")
    commands.add_parser("deploy", help="deploy a version of Hunter").add_argument("version")
    commands.add_parser("fill", help="write sample data").add_argument("--rows", type=int, default=20_000)
    commands.add_parser("use", help="be the users")
    commands.add_parser("lose", help="take an image from the engine, as a prune does").add_argument("version")
    commands.add_parser("destroy", help="stop everything and remove the files")
    arguments = parser.parse_args()
    place = Containers(arguments.home, say=print)
    try:
        match arguments.command:
            case "up":
                place.up()
            case "deploy":
                place.deploy(arguments.version)
            case "fill":
                print(place.fill(arguments.rows))
            case "use":
                print(summary(place.lab.use()))
            case "lose":
                place.lose(arguments.version)
            case "destroy":
                place.destroy()
    except (LabError, images.ImageError, subprocess.SubprocessError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
