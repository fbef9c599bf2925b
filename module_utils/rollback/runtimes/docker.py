"""Asking Docker: images here and in registries, containers, and what Compose makes of a project. Argument lists, never a shell."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ansible.module_utils.rollback.errors import RollbackError

PROJECT, SERVICE, NUMBER = (f"com.docker.compose.{name}" for name in ("project", "service", "container-number"))


@dataclass(frozen=True)
class Docker:
    """The client, as an argument list, and seconds that one command of it may take."""

    client: Sequence[str] = ("docker",)
    timeout_s: float = 600

    def ask(self, *arguments: str, cwd: Optional[Path] = None, environment: Optional[Mapping[str, str]] = None) -> str:
        """What it prints. Raises RollbackError with its own last word."""
        argv = [*self.client, *arguments]
        try:
            done = subprocess.run(
                argv,
                cwd=cwd,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=self.timeout_s,
                check=False,
                text=True,
                errors="replace",
            )
        except FileNotFoundError as error:
            raise RollbackError(
                f"There is no {argv[0]} here.", "Install Docker, or set app_rollback_compose_client."
            ) from error
        except subprocess.TimeoutExpired as error:
            raise RollbackError(f"{' '.join(arguments[:2])} took more than {self.timeout_s:g} s.") from error
        if done.returncode != 0:
            raise RollbackError(_said(done.stderr or done.stdout))
        return done.stdout

    def image(self, reference: str) -> "Optional[Image]":
        """The image of that name, id or digest, where it is on this host."""
        try:
            (found,) = json.loads(self.ask("image", "inspect", reference))
        except RollbackError as error:
            if "no such image" in error.message.lower():
                return None
            raise
        return Image.of(found)

    def platform(self) -> str:
        """Of the engine, such as `linux/amd64`. Raises RollbackError where there is no engine."""
        return self.ask("version", "--format", "{{.Server.Os}}/{{.Server.Arch}}").strip()

    def remote(self, reference: str) -> "Dict[str, str]":
        """Platform → digest of what a registry has under that name. Raises RollbackError where it has nothing, or refuses."""
        insecure = ["--insecure"] if self._is_insecure(reference) else []
        found = json.loads(self.ask("manifest", "inspect", "--verbose", *insecure, reference))
        entries = found if isinstance(found, list) else [found]
        digests = {}
        for entry in entries:
            platform = entry["Descriptor"].get("platform") or {}
            digests[f"{platform.get('os', '')}/{platform.get('architecture', '')}"] = str(entry["Descriptor"]["digest"])
        return digests

    def containers(self, project: str) -> "List[Container]":
        """Every container of a Compose project, also those that do not run."""
        ids = self.ask("ps", "--all", "--quiet", "--no-trunc", "--filter", f"label={PROJECT}={project}").split()
        return [Container.of(found) for found in json.loads(self.ask("inspect", *ids))] if ids else []

    def _is_insecure(self, reference: str) -> bool:
        """Whether the engine itself would speak plain HTTP, or accept any certificate, there."""
        registry = reference.split("/")[0]
        if registry.split(":")[0] in ("localhost", "127.0.0.1", "[::1]"):
            return True
        known = json.loads(self.ask("info", "--format", "{{json .RegistryConfig.IndexConfigs}}") or "{}") or {}
        return known.get(registry, {}).get("Secure") is False


@dataclass(frozen=True)
class Image:
    """`digests` are `repository@sha256:…`, by which registries know it; one that was only built here has none."""

    id: str
    tags: List[str]
    digests: List[str]
    platform: str
    labels: Dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> "Image":
        return cls(
            id=str(found["Id"]),
            tags=[str(tag) for tag in found.get("RepoTags") or ()],
            digests=[str(digest) for digest in found.get("RepoDigests") or ()],
            platform=f"{found.get('Os', '')}/{found.get('Architecture', '')}",
            labels=dict((found.get("Config") or {}).get("Labels") or {}),
        )

    def reference(self, repository: str) -> str:
        """By digest where a registry knows it, else by id."""
        return next((digest for digest in self.digests if digest.split("@")[0] == repository), self.id)


@dataclass(frozen=True)
class Container:
    """`health` is that of its health check (`healthy`, `starting`, `unhealthy`), empty where it has none."""

    id: str
    name: str
    service: str
    image_id: str
    image_name: str
    running: bool
    health: str
    ports: Tuple[str, ...] = ()
    said: str = ""

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> "Container":
        state, config = found["State"], found["Config"]
        return cls(
            id=str(found["Id"]),
            name=str(found["Name"]).lstrip("/"),
            service=str((config.get("Labels") or {}).get(SERVICE, "")),
            image_id=str(found["Image"]),
            image_name=str(config["Image"]),
            running=bool(state["Running"]) and not state.get("Restarting"),
            health=str((state.get("Health") or {}).get("Status", "")),
            ports=tuple(
                port for port, bound in ((found.get("HostConfig") or {}).get("PortBindings") or {}).items() if bound
            ),
            said=str(state.get("Error") or (f"exit code {state['ExitCode']}" if not state["Running"] else "")),
        )

    @property
    def well(self) -> bool:
        return self.running and self.health in ("", "healthy")


def repository_of(reference: str) -> str:
    """`registry:5000/hunter` of `registry:5000/hunter:1.0.0@sha256:…`."""
    name = reference.split("@")[0]
    head, _, last = name.rpartition("/")
    return f"{head}/{last.split(':')[0]}" if head else last.split(":")[0]


def tag_of(reference: str) -> str:
    """`1.0.0` of `registry:5000/hunter:1.0.0`; empty where it has none."""
    _, _, tag = reference.split("@")[0].rpartition("/")[2].partition(":")
    return tag


def _said(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if "error" in line.lower()] or lines or ["Docker said nothing."]
    return telling[-1].replace("Error response from daemon: ", "").replace("Error: ", "")
