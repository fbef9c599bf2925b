"""Asking Docker: images here and in registries, containers, and what Compose makes of a project. Argument lists, never a shell."""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ansible.module_utils.rollback.errors import RollbackError

# Before the names of the labels by which Compose knows its containers.
COMPOSE = "com.docker.compose"
_ANONYMOUS = re.compile("[0-9a-f]{64}")  # what a volume is called that nobody gave a name


@dataclass(frozen=True)
class Docker:
    """The client, as an argument list, seconds that one command of it may take, and variables for all of them."""

    client: Sequence[str] = ("docker",)
    timeout_s: float = 600
    environment: Mapping[str, str] = field(default_factory=dict)

    def ask(
        self,
        *arguments: str,
        cwd: Optional[Path] = None,
        environment: Optional[Mapping[str, str]] = None,
        errors_too: bool = False,
    ) -> str:
        """What it prints. Raises RollbackError with its own last word."""
        argv = [*self.client, *arguments]
        try:
            done = subprocess.run(
                argv,
                cwd=cwd,
                env={**os.environ, **self.environment, **(environment or {})},
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
        return done.stdout + (done.stderr if errors_too else "")

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
        # Without --log-level it says "no such manifest" of whatever a registry refuses.
        asked = ("--log-level", "debug", "manifest", "inspect", "--verbose")
        found = json.loads(self.ask(*asked, *insecure, reference))
        entries = found if isinstance(found, list) else [found]
        digests = {}
        for entry in entries:
            platform = entry["Descriptor"].get("platform") or {}
            digests[f"{platform.get('os', '')}/{platform.get('architecture', '')}"] = str(entry["Descriptor"]["digest"])
        return digests

    def containers(self, label: str, value: str) -> "List[Container]":
        """Every container that Compose gave this label, also those that do not run."""
        ids = self.ask("ps", "--all", "--quiet", "--no-trunc", "--filter", f"label={COMPOSE}.{label}={value}").split()
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
    """`digests` are `repository@sha256:…`, by which registries know it; one that was only built here has none. `starts` is what a
    container of it runs."""

    id: str
    tags: List[str]
    digests: List[str]
    platform: str
    labels: Dict[str, str] = field(default_factory=dict)
    starts: List[str] = field(default_factory=list)

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> "Image":
        config = found.get("Config") or {}
        return cls(
            id=str(found["Id"]),
            tags=[str(tag) for tag in found.get("RepoTags") or ()],
            digests=[str(digest) for digest in found.get("RepoDigests") or ()],
            platform=f"{found.get('Os', '')}/{found.get('Architecture', '')}",
            labels=dict(config.get("Labels") or {}),
            starts=[str(word) for name in ("Entrypoint", "Cmd") for word in config.get(name) or ()],
        )

    def reference(self, repository: str) -> str:
        """By digest where a registry knows it, else by id."""
        return next((digest for digest in self.digests if digest.split("@")[0] == repository), self.id)


@dataclass(frozen=True)
class Container:
    """`health` is that of its health check (`healthy`, `starting`, `unhealthy`), empty where it has none. `directory` is the one
    that its project was started from."""

    id: str
    name: str
    project: str
    service: str
    directory: str
    image_id: str
    image_name: str
    running: bool
    health: str
    restarts: int = 0
    said: str = ""
    anonymous_volumes: bool = False
    networks: Tuple[str, ...] = ()

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> "Container":
        state, config = found["State"], found["Config"]
        labels = config.get("Labels") or {}
        return cls(
            id=str(found["Id"]),
            name=str(found["Name"]).lstrip("/"),
            project=str(labels.get(f"{COMPOSE}.project", "")),
            service=str(labels.get(f"{COMPOSE}.service", "")),
            directory=str(labels.get(f"{COMPOSE}.project.working_dir", "")),
            image_id=str(found["Image"]),
            image_name=str(config["Image"]),
            running=bool(state["Running"]) and not state.get("Restarting"),
            health=str((state.get("Health") or {}).get("Status", "")),
            restarts=int(found.get("RestartCount") or 0),
            anonymous_volumes=any(
                _ANONYMOUS.fullmatch(str(mount.get("Name", ""))) for mount in found.get("Mounts") or ()
            ),
            networks=tuple((found.get("NetworkSettings") or {}).get("Networks") or ()),
            said=str(state.get("Error") or (f"exit code {state['ExitCode']}" if not state["Running"] else "")),
        )

    @property
    def well(self) -> bool:
        return self.running and self.health in ("", "healthy")


def repository_of(reference: str) -> str:
    """`registry:5000/hunter` of `registry:5000/hunter:1.0.0@sha256:…`; Docker's own registry is left out, as the engine does."""
    name = reference.split("@")[0]
    head, _, last = name.rpartition("/")
    repository = f"{head}/{last.split(':')[0]}" if head else last.split(":")[0]
    for default in ("docker.io/", "index.docker.io/", "library/"):
        repository = repository[len(default) :] if repository.startswith(default) else repository
    return repository


def tag_of(reference: str) -> str:
    """`1.0.0` of `registry:5000/hunter:1.0.0`; empty where it has none."""
    _, _, tag = reference.split("@")[0].rpartition("/")[2].partition(":")
    return tag


def _said(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    refused = re.findall(r'continuing on error \(errcode\.\w+\) (.+?)"?$', text, re.MULTILINE)
    spoken = [line for line in lines if not line.startswith("time=")] or ["Docker said nothing."]
    telling = refused or [line for line in spoken if "error" in line.lower()] or spoken
    return telling[-1].replace("Error response from daemon: ", "").replace("Error: ", "")
