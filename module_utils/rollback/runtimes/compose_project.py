"""A Compose project as it is: its files, its services, its containers, and what Compose makes of them."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.runtimes.compose_files import found_files
from ansible.module_utils.rollback.runtimes.compose_pins import Pin
from ansible.module_utils.rollback.runtimes.docker import Container, Docker, repository_of
from ansible.module_utils.rollback.words import listed


@dataclass(frozen=True)
class Project:
    """`services` are those of the application; `rolling` those of them that may run twice for a while, and
    `prestarted` those that may start before they can reach anything.

    `files` are relative to `directory`; without files Compose finds its own. `root` and `variables` are those of another
    version, where its files or variables are looked at before they are there.
    """

    docker: Docker
    directory: Path
    name: str
    services: List[str]
    pin: Pin
    files: List[str] = field(default_factory=list)
    rolling: List[str] = field(default_factory=list)
    prestarted: List[str] = field(default_factory=list)
    wait_s: float = 60
    proxy_reload: List[str] = field(default_factory=list)
    proxy_learns_s: float = 3
    root: Optional[Path] = None
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def prestart_network(self) -> str:
        """Where containers start before their turn (compose_prestart.py)."""
        return f"rollback-prestart-{self.name}"

    def compose(self, *arguments: str) -> str:
        options = ["--project-name", self.name]
        if self.root:
            options += ["--project-directory", str(self.directory)]
        for file in self._files():
            options += ["--file", str(self.root / file if self.root else file)]
        try:
            return self.docker.ask("compose", *options, *arguments, cwd=self.directory, environment=self.variables)
        except RollbackError as error:
            if "is not a docker command" in error.message or "unknown flag: --project-name" in error.message:
                raise RollbackError(
                    "Docker has no Compose here.", "Install its plugin, docker-compose-plugin or docker-compose-v2."
                ) from error
            raise

    def _files(self) -> List[str]:
        """Empty where Compose finds them all by itself."""
        own = self.pin.files()
        if not self.files and not own and not self.root:
            return []
        return list(dict.fromkeys([*(self.files or found_files(self.root or self.directory)), *own]))

    def config(self) -> Dict[str, Any]:
        """The services as Compose reads them. Raises RollbackError where it cannot, or does not know those of the application."""
        if not self.directory.is_dir():
            raise RollbackError(f"There is no directory {self.directory}.", "Check app_rollback_path.")
        try:
            found = json.loads(self.compose("config", "--format", "json"))["services"]
        except RollbackError as error:
            if error.hint:
                raise
            raise RollbackError(
                f"Compose cannot read the project in {self.directory}: {error.message.rstrip('.')}.",
                "Mend its files, or check app_rollback_compose_files.",
            ) from error
        lacking = sorted(set(self.services) - set(found))
        # Another version in another checkout may have more services, or fewer.
        if lacking and not (self.pin.moves_services and len(lacking) < len(set(self.services))):
            raise RollbackError(
                f"The project in {self.directory} has no service {listed(lacking)} (it has {listed(sorted(found))}).",
                "Check app_rollback_compose_services.",
            )
        return dict(found)

    @contextmanager
    def as_of(self, version: str) -> "Iterator[Project]":
        """The project as it will be when `version` is pinned; nothing is written for that."""
        with self.pin.preview(self.directory, version) as (root, variables):
            yield replace(self, root=root, variables=variables)

    def containers(self, *services: str) -> List[Container]:
        """Of these services, or of the whole project; also those that do not run, but none that has only been prestarted."""
        found = [
            one for one in self.docker.containers("project", self.name) if one.networks != (self.prestart_network,)
        ]
        return [one for one in found if one.service in services] if services else found

    def left_over(self, config: Mapping[str, Any]) -> List[Container]:
        """Running containers of the application's own images whose service Compose no longer knows: another version had it."""
        own = self.repositories(config)
        return [
            one
            for one in self.containers()
            if one.running and one.service not in config and repository_of(one.image_name) in own
        ]

    def repositories(self, config: Mapping[str, Any]) -> "set[str]":
        return {repository_of(image_of(config[service])) for service in self.known(config)} - {""}

    def known(self, config: Mapping[str, Any]) -> List[str]:
        """Services of the application that this version has."""
        return [service for service in self.services if service in config]

    def refuse_other(self) -> None:
        """Raise RollbackError where name and directory belong to different projects: bringing one up would make a second one,
        with empty volumes."""
        here = os.path.realpath(self.directory)
        places = {one.directory for one in self.containers(*self.services) if one.directory}
        elsewhere = sorted(place for place in places if os.path.isdir(place) and os.path.realpath(place) != here)
        if elsewhere and len(elsewhere) == len(places):
            raise RollbackError(
                f"Project {self.name} was started from {elsewhere[0]}, not from {self.directory}.",
                "Check app_rollback_path and app_rollback_compose_project.",
            )
        if places:
            return
        other = {
            one.project
            for one in self.docker.containers("project.working_dir", str(self.directory))
            if one.service in self.services
        }
        if other:
            raise RollbackError(
                f"What was started from {self.directory} is project {listed(sorted(other))}, not {self.name}.",
                f"Set app_rollback_compose_project to {sorted(other)[0]}.",
            )


@dataclass(frozen=True)
class State:
    """`running` is the version, empty where services differ; `artifacts` are images by service; `down` says that one of them does
    not run. `heads` are the Alembic heads that the images of the target say they were made for; None where they do not say; `migrates` are its services
    that migrate when they start."""

    running: str
    releases: List[str]
    artifacts: Dict[str, str]
    down: bool = False
    changed: bool = False
    actions: List[str] = field(default_factory=list)
    problems: List[str] = field(default_factory=list)
    target: Dict[str, str] = field(default_factory=dict)
    heads: Optional[List[str]] = None
    migrates: List[str] = field(default_factory=list)

    def as_dict(self) -> Dict[str, Any]:
        return asdict(self)


def image_of(service: Mapping[str, Any]) -> str:
    """As the Compose files name it; empty where it is only built."""
    return str(service.get("image") or "")


def fixed(service: Mapping[str, Any]) -> bool:
    """A fixed port on the host, or a fixed name, can be had by one container alone."""
    return any(port.get("published") for port in service.get("ports") or ()) or bool(service.get("container_name"))


def keeps_postgres(service: Mapping[str, Any]) -> bool:
    """Whether it is a database, by its image or by what it mounts."""
    mounted = [str(volume.get("target", "")) for volume in service.get("volumes") or ()]
    return "postgres" in repository_of(image_of(service)) or any("/postgresql" in target for target in mounted)


def unwell(containers: Sequence[Container], docker: Docker) -> List[str]:
    """A sentence for each that does not do well, with the last line that it has said."""
    said = []
    for container in containers:
        if container.well and not container.restarts:
            continue
        logs = docker.ask("logs", "--tail", "1", container.id, errors_too=True).strip()
        state = container.health or container.said or ("restarting" if container.restarts else "not running")
        said.append(f"{container.name} is not well ({state}{f'; it says: {logs}' if logs else ''})")
    return said
