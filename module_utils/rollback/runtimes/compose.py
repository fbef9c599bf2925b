"""An application under Docker Compose: which images its services run, and whether others can be had. Nothing stops here."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.runtimes.compose_project import Project, State, fixed, image_of, keeps_postgres
from ansible.module_utils.rollback.runtimes.docker import Container, Docker, Image, repository_of, tag_of
from ansible.module_utils.rollback.words import listed

VERSION_LABEL = "org.opencontainers.image.version"
HEADS_LABEL = "org.rollback.alembic-heads"
# Images that are gone back to get a tag of their own, so that a prune of nameless ones leaves them.
KEPT = "rollback-"

# What a registry or an engine says → the way out.
_WAYS_OUT = (
    ("unauthorized|denied|no basic auth|forbidden", "Check app_rollback_compose_logins, or log in on this host"),
    ("no space left", "Make room where Docker keeps its images, without removing those that run"),
    ("toomanyrequests|rate limit", "Log in, or take it from a registry that does not count"),
    ("no such manifest|manifest unknown|not found", "Push it again"),
    ("", "See to the registry, or push it to one that answers"),
)


def look(project: Project) -> State:
    """What runs. Raises RollbackError where the project cannot be read, or its name is another project's."""
    config = project.config()
    project.refuse_other()
    containers = project.containers(*project.services)
    images = {id: project.docker.image(id) for id in {container.image_id for container in containers}}
    artifacts, versions, releases = {}, set(), set()
    up = {container.service for container in containers if container.running}
    for container in containers:
        image, named = images[container.image_id], image_of(config.get(container.service, {}))
        artifacts[container.service] = (
            image.reference(repository_of(_named(container, named))) if image else container.image_id
        )
        # Where nothing runs, what was deployed last is in the containers all the same.
        if container.running or not up:
            versions.add(_version(image, container.image_name, named))
    for repository in project.repositories(config):
        releases |= set(_local_tags(project.docker, repository))
    down = not up.issuperset(project.known(config))
    return State(versions.pop() if len(versions) == 1 else "", sorted(releases), artifacts, down)


def ready(project: Project, version: str, wanted: Mapping[str, str]) -> State:
    """Whether `version` can be started: `problems` say why not, `target` is each service's image by digest."""
    state = look(project)
    problems = project.pin.problems(project.directory, version)
    if problems:
        return replace(state, problems=problems)
    config = project.config()
    target: Dict[str, str] = {}
    platform = project.docker.platform()
    try:
        with project.as_of(version) as then:
            later = then.config()
    except RollbackError as error:
        return replace(state, problems=[f"With version {version}: {error}"])
    for service in project.known(later):
        named = image_of(later[service]) if project.pin.names_images else _tagged(later[service], version)
        if not image_of(later[service]):
            problems.append(
                f"Service {service} is only built where it runs. Give it an `image:`, and push what is built to a registry."
            )
            continue
        reference = wanted.get(service) or named
        if project.pin.names_images:
            problems += _not_pinned(service, version, state.running, config.get(service, {}), named, reference)
        found, why = _had(project.docker, reference, named, platform)
        if why:
            problems.append(why)
        else:
            target[service] = found
    problems += _unfit(project, config, later)
    return replace(
        state,
        problems=list(dict.fromkeys(problems)),
        target=target,
        heads=_heads(project.docker, list(target.values())),
    )


def fetch(project: Project, version: str, target: Mapping[str, str]) -> State:
    """Pull what is missing, and give each image a tag that keeps it. Raises RollbackError before anything has stopped."""
    actions = []
    for reference in dict.fromkeys(target.values()):
        if project.docker.image(reference) is None:
            try:
                project.docker.ask("pull", "--quiet", reference)
            except RollbackError as error:
                raise RollbackError(
                    f"{reference} cannot be pulled: {error.message.rstrip('.')}.", f"{_way_out(error)}."
                ) from error
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


def _not_pinned(
    service: str, version: str, running: str, now: Mapping[str, Any], named: str, reference: str
) -> List[str]:
    """Why pinning `version` would not make the service run it."""
    if running and running != version and image_of(now) == named:
        return [
            f"Service {service} is {named} in the Compose files for {version} too, so the pin does not change it."
            " Check app_rollback_compose_pin."
        ]
    if "@" in named and "@" in reference and named.split("@")[1] != reference.split("@")[1]:
        return [
            f"Service {service} is {named} in the Compose files for {version}, and {reference} in the release point."
        ]
    return []


def _unfit(project: Project, config: Mapping[str, Any], later: Mapping[str, Any]) -> List[str]:
    """What must not be switched, or not like this."""
    problems = []
    databases = [service for service in project.known(later) if keeps_postgres(later[service])]
    if databases:
        problems.append(
            f"Service {listed(databases)} is a database by its image or its volumes, and a rollback must not recreate one."
            " Take it out of app_rollback_compose_services."
        )
    stuck = [service for service in project.rolling if service in later and fixed(later[service])]
    if stuck:
        problems.append(
            f"Service {listed(stuck)} has a fixed port or name on the host, so it cannot run twice for a while."
            " Put it behind the proxy alone, or take it out of app_rollback_compose_rolling."
        )
    own = project.repositories(config)
    forgotten = sorted(
        {
            one.service
            for one in project.containers()
            if one.running
            and one.service in config
            and one.service not in project.services
            and repository_of(image_of(config[one.service])) in own
        }
    )
    if forgotten:
        problems.append(
            f"Service {listed(forgotten)} runs the application's image too, and would stay on the version that is left."
            " Add it to app_rollback_compose_services."
        )
    return problems


def _had(docker: Docker, reference: str, named: str, platform: str) -> Tuple[str, str]:
    """The image by digest, or else why it cannot be had. `named` is what the Compose files, or the version, would take."""
    repository = repository_of(reference)
    image = docker.image(reference)
    if image:
        if image.platform != platform:
            return "", f"{reference} is for {image.platform}, and the engine runs {platform}."
        return (reference if "@" in reference else image.reference(repository)), ""
    if reference.startswith("sha256:"):
        return (
            "",
            f"Image {reference[:19]}… was never in a registry, and is not on this host any more. Push images to one.",
        )
    try:
        digests = docker.remote(reference)
    except RollbackError as error:
        moved = _moved(docker, reference, named)
        return "", (
            f"{reference} is not on this host, and cannot be had: {error.message.rstrip('.')}.{moved} {_way_out(error)}."
        )
    if platform not in digests and digests.keys() != {"/"}:
        return "", f"{reference} is for {listed(sorted(digests))}, and the engine runs {platform}."
    only = next(iter(digests.values()))
    return (reference if "@" in reference else f"{repository}@{only if len(digests) == 1 else digests[platform]}"), ""


def _moved(docker: Docker, reference: str, named: str) -> str:
    """A sentence where a registry has another image by the name than the one that was recorded."""
    if "@" not in reference or "@" in named:
        return ""
    try:
        found = docker.remote(named)
    except RollbackError:
        return ""
    return f" {named} is there, and is another image ({listed(sorted(found.values()))})."


def _way_out(error: RollbackError) -> str:
    return next(way for said, way in _WAYS_OUT if re.search(said, error.message, re.IGNORECASE))


def _heads(docker: Docker, references: List[str]) -> Optional[List[str]]:
    """What the images that are here say of the schema they were made for."""
    for image in (docker.image(reference) for reference in dict.fromkeys(references)):
        # Empty, it is what a Dockerfile leaves where nobody gave it a value.
        if image and image.labels.get(HEADS_LABEL):
            return re.split(r"[\s,]+", image.labels[HEADS_LABEL].strip())
    return None


def migrates(service: Mapping[str, Any], image: Optional[Image]) -> bool:
    """Whether what a container runs says so. What is inside of a script shows in its health alone."""
    own = [word for name in ("entrypoint", "command") for word in service.get(name) or ()]
    return bool(re.search(r"\balembic\b.*\bupgrade\b", " ".join([*own, *(image.starts if image else [])])))


def _tagged(service: Mapping[str, Any], version: str) -> str:
    return f"{repository_of(image_of(service))}:{version}"


def _named(container: Container, named: str) -> str:
    """A container that was made of an id does not name its repository, but its service does."""
    return named or container.image_name if container.image_name.startswith("sha256:") else container.image_name


def _version(image: Optional[Image], name: str, configured: str) -> str:
    """By a tag that looks like one, the tag that a rollback gave it, its label, else by any tag of the same repository.

    The label comes late, since an image may have it from the one that it was made from.
    """
    if re.match(r"v?\d", tag_of(name)):
        return tag_of(name)
    repository = repository_of(configured if name.startswith("sha256:") else name)
    tags = sorted(tag_of(tag) for tag in (image.tags if image else ()) if repository_of(tag) == repository)
    kept = [tag[len(KEPT) :] for tag in tags if tag.startswith(KEPT)]
    label = image.labels.get(VERSION_LABEL, "") if image else ""
    return next(filter(None, [*kept, label, tag_of(name), *tags]), "")


def _local_tags(docker: Docker, repository: str) -> List[str]:
    found = docker.ask("image", "ls", "--format", "{{.Tag}}", repository).split()
    return [tag for tag in found if tag != "<none>" and not tag.startswith(KEPT)]
