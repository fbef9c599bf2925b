"""An application under Docker Compose: which images its services run, whether others can be had, and switching between them.

Only the services of the application are touched. Nothing is ever taken `down`, no volume is touched, nothing is pulled
once something has stopped. What was switched is also written where the next deployment reads it (the pin).
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.runtimes.compose_pins import Pin
from ansible.module_utils.rollback.runtimes.docker import Container, Docker, Image, repository_of, tag_of
from ansible.module_utils.rollback.words import listed

VERSION_LABEL = "org.opencontainers.image.version"
# Images that are gone back to are kept from `docker image prune` by a tag of their own.
KEPT = "rollback-"
_LOOK_EVERY_S = 0.2


@dataclass(frozen=True)
class Project:
    """A Compose project. `services` are those of the application; `rolling` those of them that may run twice for a while.

    `files` and `env_files` are relative to `directory`; without files Compose finds its own. `name` is the project's.
    """

    docker: Docker
    directory: Path
    name: str
    services: List[str]
    files: List[str] = field(default_factory=list)
    pin: Optional[Pin] = None
    rolling: List[str] = field(default_factory=list)
    wait_s: float = 60
    proxy_reload: List[str] = field(default_factory=list)

    def compose(self, *arguments: str, environment: Optional[Mapping[str, str]] = None) -> str:
        files = list(
            dict.fromkeys([*(self.files or _usual_files(self.directory)), *(self.pin.files() if self.pin else [])])
        )
        options = [word for file in files for word in ("--file", file)]
        return self.docker.ask(
            "compose", "--project-name", self.name, *options, *arguments, cwd=self.directory, environment=environment
        )

    def config(self, environment: Optional[Mapping[str, str]] = None) -> Dict[str, Any]:
        """The services as Compose reads them. Raises RollbackError where it cannot, or knows a service not."""
        if not self.directory.is_dir():
            raise RollbackError(f"There is no directory {self.directory}.", "Check app_rollback_path.")
        try:
            found = json.loads(self.compose("config", "--format", "json", environment=environment))
        except RollbackError as error:
            raise RollbackError(
                f"Compose cannot read the project in {self.directory}: {error.message.rstrip('.')}.",
                "Mend its files, or check app_rollback_compose_files.",
            ) from error
        lacking = sorted(set(self.services) - set(found["services"]))
        if lacking:
            raise RollbackError(
                f"The project in {self.directory} has no service {listed(lacking)} (it has {listed(sorted(found['services']))}).",
                "Check app_rollback_compose_services.",
            )
        return dict(found["services"])


@dataclass(frozen=True)
class State:
    """`running` is the version, empty where nothing runs or services differ; `artifacts` are images by service."""

    running: str
    releases: List[str]
    artifacts: Dict[str, str]
    changed: bool = False
    actions: List[str] = field(default_factory=list)
    problems: List[str] = field(default_factory=list)
    target: Dict[str, str] = field(default_factory=dict)

    def as_dict(self) -> Dict[str, Any]:
        return asdict(self)


def _usual_files(directory: Path) -> List[str]:
    """What Compose reads where no file is named."""
    for stem, suffix in (
        ("compose", "yaml"),
        ("compose", "yml"),
        ("docker-compose", "yml"),
        ("docker-compose", "yaml"),
    ):
        name, override = f"{stem}.{suffix}", f"{stem}.override.{suffix}"
        if (directory / name).exists():
            return [name, *([override] if (directory / override).exists() else [])]
    return []


def look(project: Project) -> State:
    """What runs. Raises RollbackError where the project cannot be read, or its name is another project's."""
    config = project.config()
    containers = project.docker.containers(project.name)
    images = {id: project.docker.image(id) for id in {container.image_id for container in containers}}
    artifacts, versions, releases = {}, set(), set()
    for service in project.services:
        for container in _of(containers, service):
            image = images[container.image_id]
            repository = repository_of(_named(container, config[service]))
            artifacts[service] = image.reference(repository) if image else container.image_id
            if container.running:
                versions.add(_version(image, container.image_name, config[service].get("image", "")))
    for service in project.services:
        releases |= set(_local_tags(project.docker, repository_of(config[service].get("image", ""))))
    return State(versions.pop() if len(versions) == 1 else "", sorted(releases), artifacts)


def ready(project: Project, version: str, wanted: Mapping[str, str]) -> State:
    """Whether `version` can be started: `problems` say why not, `target` is each service's image by digest."""
    state = look(project)
    config = project.config()
    problems: List[str] = []
    target: Dict[str, str] = {}
    platform = project.docker.platform()
    for service in project.services:
        reference = wanted.get(service) or _tagged(config[service], version)
        found, why = _had(project.docker, reference, repository_of(reference), platform)
        if why:
            problems.append(why)
        else:
            target[service] = found
    if project.pin:
        problems += project.pin.problems(project.directory, version)
    postgres = [
        service for service in project.services if "postgres" in repository_of(config[service].get("image", ""))
    ]
    if postgres:
        problems.append(
            f"Service {listed(postgres)} is a database by its image, and a rollback must not recreate one."
            " Take it out of app_rollback_compose_services."
        )
    return replace(state, problems=list(dict.fromkeys(problems)), target=target)


def fetch(project: Project, version: str, target: Mapping[str, str]) -> State:
    """Pull what is missing, and give each image a tag that keeps it. Raises RollbackError before anything has stopped."""
    actions = []
    for reference in dict.fromkeys(target.values()):
        if project.docker.image(reference) is None:
            project.docker.ask("pull", "--quiet", reference)
            actions.append(f"pulled {reference}")
        image = project.docker.image(reference)
        if image is None:
            raise RollbackError(f"{reference} was pulled, and is not here.", "Pull it by hand to see why.")
        if image.platform != project.docker.platform():
            raise RollbackError(
                f"{reference} is for {image.platform}, and the engine runs {project.docker.platform()}."
            )
        keep = f"{repository_of(reference)}:{KEPT}{version}"
        if "@" in reference and keep not in image.tags:
            project.docker.ask("tag", image.id, keep)
            actions.append(f"tagged it {keep}")
    return replace(look(project), changed=bool(actions), actions=actions)


def stop(project: Project) -> State:
    """Stop every service of the application, and what else of it is left over from other versions."""
    containers = [one for one in _ours(project) if one.running]
    for container in containers:
        project.docker.ask("stop", container.id)
    return replace(look(project), changed=bool(containers), actions=[f"stopped {one.name}" for one in containers])


def start(project: Project, version: str, target: Mapping[str, str]) -> State:
    """Pin `target` and bring every service up on it, waiting for its health."""
    return _bring(project, version, target)


def switch(project: Project, version: str, target: Mapping[str, str]) -> State:
    """From what runs to `target`. Where that does not become healthy, pin and containers of before are put back, and
    RollbackError says so."""
    before = look(project)
    if _runs(project, target):
        return before
    kept = project.pin.save(project.directory) if project.pin else None
    try:
        return _bring(project, version, target)
    except RollbackError as error:
        if project.pin and kept is not None:
            project.pin.restore(project.directory, kept)
        try:
            _up(project, before.artifacts)
        except RollbackError as second:
            raise RollbackError(
                f"{error.message} Putting back what ran failed too: {second.message}", second.hint
            ) from error
        raise RollbackError(f"{error.message} What ran before was put back.", error.hint) from error


def _bring(project: Project, version: str, target: Mapping[str, str]) -> State:
    actions = list(project.pin.write(project.directory, version, target, project.docker)) if project.pin else []
    actions += _up(project, target)
    for container in _left_over(project):
        project.docker.ask("stop", container.id)
        actions.append(f"stopped {container.name}, whose service this version does not have")
    return replace(look(project), changed=bool(actions), actions=actions)


def _up(project: Project, target: Mapping[str, str]) -> List[str]:
    """Bring the services up as Compose reads them now, and prove that they run `target`."""
    config = project.config()
    rolling = [
        service for service in project.services if service in project.rolling and _may_roll(project, service, config)
    ]
    actions = []
    for service in rolling:
        actions += _roll(project, service, target.get(service, ""))
    rest = [service for service in project.services if service not in rolling]
    if rest:
        before = {container.id for container in _of(project.docker.containers(project.name), *rest)}
        try:
            wait = ("--wait", "--wait-timeout", str(int(project.wait_s)))
            project.compose("up", "--detach", "--no-deps", "--no-build", "--pull", "never", *wait, *rest)
        except RollbackError as error:
            raise RollbackError(f"{_unwell(project, rest) or error.message}", "Look at its logs.") from error
        now = _of(project.docker.containers(project.name), *rest)
        actions += [f"recreated {container.name}" for container in now if container.id not in before]
    wrong = [
        container.name
        for container in _of(project.docker.containers(project.name), *project.services)
        if target.get(container.service) and not _is(project.docker, container, target[container.service])
    ]
    if wrong:
        raise RollbackError(
            f"{listed(wrong)} does not run the image that it was to run.",
            "Another Compose file or variable names the image; check app_rollback_compose_pin.",
        )
    return actions


def _roll(project: Project, service: str, image: str) -> List[str]:
    """Start a second container beside each one, let it take the traffic, and only then stop the first."""
    old = [container for container in _of(project.docker.containers(project.name), service) if container.running]
    if image and old and all(_is(project.docker, container, image) for container in old):
        return []
    scale = f"{service}={2 * max(len(old), 1)}"
    known = {container.id for container in old}
    try:
        project.compose(
            "up", "--detach", "--no-deps", "--no-build", "--no-recreate", "--pull", "never", "--scale", scale, service
        )
        new = _wait_well(project, service, known)
    except RollbackError:
        for container in _of(project.docker.containers(project.name), service):
            if container.id not in known:
                project.docker.ask("rm", "--force", container.id)
        raise
    _reload(project)
    for container in old:
        project.docker.ask("stop", container.id)
        project.docker.ask("rm", container.id)
    _reload(project)
    return [f"started {one.name} beside" for one in new] + [f"stopped {one.name}" for one in old]


def _wait_well(project: Project, service: str, known: "set[str]") -> List[Container]:
    deadline = time.monotonic() + project.wait_s
    while True:
        new = [one for one in _of(project.docker.containers(project.name), service) if one.id not in known]
        if new and all(container.well for container in new):
            return new
        if time.monotonic() > deadline or any(not one.running and one.said for one in new):
            raise RollbackError(_unwell(project, [service], known) or f"{service} did not start.", "Look at its logs.")
        time.sleep(_LOOK_EVERY_S)


def _reload(project: Project) -> None:
    if project.proxy_reload:
        container, *command = project.proxy_reload
        project.compose("exec", "-T", container, *command)


def _unwell(project: Project, services: Sequence[str], but: "set[str]" = frozenset()) -> str:  # type: ignore[assignment]
    """Which containers do not do well, with the last line that each has said."""
    said = []
    for container in _of(project.docker.containers(project.name), *services):
        if container.well or container.id in but:
            continue
        logs = project.docker.ask("logs", "--tail", "1", container.id).strip()
        state = container.health or container.said or "not running"
        said.append(f"{container.name} is not well ({state}{f'; it says: {logs}' if logs else ''})")
    return f"{'; '.join(said)}." if said else ""


def _may_roll(project: Project, service: str, config: Mapping[str, Any]) -> bool:
    """A fixed port on the host, or a fixed name, can be had by one container alone."""
    found = config[service]
    if any(port.get("published") for port in found.get("ports") or ()) or found.get("container_name"):
        raise RollbackError(
            f"Service {service} has a fixed port or name on the host, so it cannot run twice for a while.",
            "Put it behind the proxy alone, or take it out of app_rollback_compose_rolling.",
        )
    return True


def _runs(project: Project, target: Mapping[str, str]) -> bool:
    containers = _of(project.docker.containers(project.name), *project.services)
    return bool(target) and all(
        any(one.service == service and one.well and _is(project.docker, one, image) for one in containers)
        and not any(one.service == service and not _is(project.docker, one, image) for one in containers)
        for service, image in target.items()
    )


def _is(docker: Docker, container: Container, reference: str) -> bool:
    image = docker.image(reference)
    return image is not None and image.id == container.image_id


def _of(containers: Sequence[Container], *services: str) -> List[Container]:
    return [container for container in containers if container.service in services]


def _ours(project: Project) -> List[Container]:
    return _of(project.docker.containers(project.name), *project.services) + _left_over(project)


def _left_over(project: Project) -> List[Container]:
    """Running containers of the application's own images whose service Compose no longer knows: another version had it."""
    config = project.config()
    own = {repository_of(config[service].get("image", "")) for service in project.services}
    return [
        container
        for container in project.docker.containers(project.name)
        if container.running and container.service not in config and repository_of(container.image_name) in own
    ]


def _had(docker: Docker, reference: str, repository: str, platform: str) -> Tuple[str, str]:
    """The image by digest, or else why it cannot be had."""
    image = docker.image(reference)
    if image:
        if image.platform != platform:
            return "", f"{reference} is for {image.platform}, and the engine runs {platform}."
        return (reference if "@" in reference else image.reference(repository)), ""
    try:
        digests = docker.remote(reference)
    except RollbackError as error:
        return (
            "",
            f"{reference} is not on this host, and cannot be had: {error.message.rstrip('.')}. Push it again, or log in.",
        )
    if platform not in digests and digests.keys() != {"/"}:
        return "", f"{reference} is for {listed(sorted(digests))}, and the engine runs {platform}."
    return (
        reference
        if "@" in reference
        else f"{repository}@{next(iter(digests.values())) if len(digests) == 1 else digests[platform]}"
    ), ""


def _tagged(service: Mapping[str, Any], version: str) -> str:
    return f"{repository_of(service.get('image', ''))}:{version}"


def _named(container: Container, service: Mapping[str, Any]) -> str:
    """A container that was made of an id does not name its repository, but its service does."""
    named = container.image_name
    return str(service.get("image") or named) if named.startswith("sha256:") else named


def _version(image: Optional[Image], name: str, configured: str) -> str:
    """By the image's label, else by the tag of its name, else by a tag that the image has, ours last."""
    if image and image.labels.get(VERSION_LABEL):
        return image.labels[VERSION_LABEL]
    repository = repository_of(configured if name.startswith("sha256:") else name)
    tags = sorted(tag_of(tag) for tag in (image.tags if image else ()) if repository_of(tag) == repository)
    tags.sort(key=lambda tag: tag.startswith(KEPT))
    return tag_of(name) or (tags[0][len(KEPT) :] if tags and tags[0].startswith(KEPT) else tags[0] if tags else "")


def _local_tags(docker: Docker, repository: str) -> List[str]:
    if not repository:
        return []
    found = docker.ask("image", "ls", "--format", "{{.Tag}}", repository).split()
    return [tag for tag in found if tag != "<none>" and not tag.startswith(KEPT)]
