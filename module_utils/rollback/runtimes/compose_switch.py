"""Stopping, starting and switching the services of a Compose project, with images that are on the host already.

Only the services of the application are touched. Nothing is ever taken `down`, no volume is touched, nothing is pulled. What
is switched is also written where the next deployment reads it (the pin).
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, List, Mapping, Set

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.runtimes import compose_prestart
from ansible.module_utils.rollback.runtimes.compose import look
from ansible.module_utils.rollback.runtimes.compose_project import Project, State, fixed, image_of, unwell
from ansible.module_utils.rollback.runtimes.docker import Container, Docker
from ansible.module_utils.rollback.words import listed

# Asking takes processor time that what starts could use; so not at once, and not often.
_LOOK_EVERY_S = 1.0
# How long a container without a health check has to run, and not restart, until it is believed.
_SETTLED_S = 3
_ONLY_THESE = ("--no-deps", "--no-build", "--pull", "never")
_UP = ("up", "--detach", *_ONLY_THESE)


def stop(project: Project) -> State:
    """Stop every service of the application, and what else of it is left over from other versions."""
    found = [*project.containers(*project.services), *project.left_over(project.config())]
    running = [container for container in found if container.running or container.restarts]
    if running:
        project.docker.ask("stop", *(container.id for container in running))
    return replace(look(project), changed=bool(running), actions=[f"stopped {one.name}" for one in running])


def start(project: Project, version: str, target: Mapping[str, str]) -> State:
    """Pin `target` and bring every service up on it, waiting for its health."""
    return _bring(project, version, target)


def switch(project: Project, version: str, target: Mapping[str, str]) -> State:
    """From what runs to `target`. Where that does not become healthy, pin and containers of before are put back, and
    RollbackError says so."""
    before = look(project)
    if runs(project, target):
        return before
    kept = project.pin.save(project.directory)
    was_well = all(container.well for container in project.containers(*project.services))
    try:
        return _bring(project, version, target)
    except RollbackError as error:
        try:
            project.pin.restore(project.directory, kept)
            # What was not well before need not become well now.
            _up(project, before.artifacts, wait=was_well)
        except RollbackError as second:
            raise RollbackError(
                f"{error.message} Putting back what ran failed too: {second.message}", second.hint
            ) from error
        raise RollbackError(f"{error.message} What ran before was put back.", error.hint) from error


def runs(project: Project, target: Mapping[str, str]) -> bool:
    """Whether every service of `target` runs its image, and nothing else."""
    containers = project.containers(*project.services)
    return bool(target) and all(
        any(one.service == service and one.well and _is(project.docker, one, image) for one in containers)
        and not any(one.service == service and not _is(project.docker, one, image) for one in containers)
        for service, image in target.items()
    )


def _bring(project: Project, version: str, target: Mapping[str, str]) -> State:
    actions = list(project.pin.write(project.directory, version, target))
    actions += _up(project, target)
    left = project.left_over(project.config())
    if left:
        project.docker.ask("stop", *(container.id for container in left))
    actions += [f"stopped {container.name}, whose service this version does not have" for container in left]
    return replace(look(project), changed=bool(actions), actions=actions)


def _up(project: Project, target: Mapping[str, str], wait: bool = True) -> List[str]:
    """Bring the services up as Compose reads them now, and prove that they run `target`."""
    config = project.config()
    _name(project, config, target)
    services = project.known(config)
    rolling = [service for service in services if service in project.rolling]
    actions = []
    for service in rolling:
        actions += _roll(project, service, config[service], target.get(service, ""))
    rest = [service for service in services if service not in rolling]
    # Those that somebody waits for come first: nothing else takes the processors while they start.
    for service in [service for service in rest if wait and config[service].get("ports")]:
        exchanged = _exchange(project, service, config[service], target.get(service, ""))
        if exchanged:
            actions += exchanged
            rest.remove(service)
    if rest:
        actions += _recreate(project, rest, wait)
    wrong = [
        container.name
        for container in project.containers(*services)
        if target.get(container.service) and not _is(project.docker, container, target[container.service])
    ]
    if wrong:
        raise RollbackError(
            f"{listed(wrong)} does not run the image that it was to run.",
            "Another Compose file or variable names the image; check app_rollback_compose_pin.",
        )
    return actions


def _name(project: Project, config: Mapping[str, Any], target: Mapping[str, str]) -> None:
    """A tag that the Compose files name may have moved since; here it names what it named when the release was good."""
    for service, image in target.items():
        named = image_of(config.get(service, {}))
        if not named or "@" in named or named.startswith("sha256:"):
            continue
        there, wanted = project.docker.image(named), project.docker.image(image)
        if wanted and (there is None or there.id != wanted.id):
            project.docker.ask("tag", wanted.id, named)


def _recreate(project: Project, services: List[str], wait: bool) -> List[str]:
    before = {container.id for container in project.containers(*services)}
    try:
        project.compose(*_UP, *(("--wait", "--wait-timeout", str(int(project.wait_s))) if wait else ()), *services)
    except RollbackError as error:
        raise _failed(project, services, set(), error.message) from error
    if wait:
        _settle(project, services, before)
    return [f"recreated {one.name}" for one in project.containers(*services) if one.id not in before]


def _exchange(project: Project, service: str, config: Mapping[str, Any], image: str) -> List[str]:
    """Make the new container while the old one still runs, so that only a stop and a start lie between the two, or a stop and
    a connect where it may start before.

    Empty where that cannot be done, or need not. What fails is taken away, and the old container is started again.
    """
    if service in project.prestarted:
        compose_prestart.clear(project)
    found = project.containers(service)
    addresses = [network for network in (config.get("networks") or {}).values() if (network or {}).get("ipv4_address")]
    if len(found) != 1 or not found[0].running or not image or config.get("container_name") or addresses:
        return []
    (old,) = found
    # Compose hands anonymous volumes on to the container that takes a place, and to no other.
    if old.anonymous_volumes or _is(project.docker, old, image):
        return []
    try:
        new = _make_beside(project, service, old)
        waiting = None
        if service in project.prestarted:
            waiting = compose_prestart.begin(project, new, config)
            if waiting is None:
                compose_prestart.clear(project)
                _remove_but(project, service, {old.id})
                new = _make_beside(project, service, old)
    except RollbackError:
        compose_prestart.clear(project)
        _remove_but(project, service, {old.id})
        return []
    try:
        project.docker.ask("stop", old.id)
        if waiting is None:
            project.docker.ask("start", new.id)
        else:
            compose_prestart.connect(project, new, waiting)
        _wait_well(project, service, {old.id})
    except RollbackError:
        compose_prestart.clear(project)
        _remove_but(project, service, {old.id})
        project.docker.ask("start", old.id)
        raise
    if waiting is not None:
        compose_prestart.clear(project)
    project.docker.ask("rm", old.id)
    project.docker.ask("rename", new.id, old.name)  # whoever calls it by its name still finds it
    actions = [f"exchanged {old.name}"]
    if service in project.prestarted:
        actions.append(f"{service} {'could not be' if waiting is None else 'was'} started before the old one stopped")
    return actions


def _make_beside(project: Project, service: str, old: Container) -> Container:
    """A second container of the service, as Compose reads it now; it is not started."""
    project.compose("up", "--no-start", *_ONLY_THESE, "--no-recreate", "--scale", f"{service}=2", service)
    made = [one for one in project.containers(service) if one.id != old.id]
    if len(made) != 1:
        raise RollbackError(f"Compose made {len(made)} containers beside {old.name}, not one.")
    return made[0]


def _settle(project: Project, services: List[str], but: Set[str]) -> None:
    """Nobody asks a container without health check; so it is looked at until it has run for a while."""
    deadline = time.monotonic() + _SETTLED_S
    while True:
        new = [one for one in project.containers(*services) if one.id not in but and not one.health]
        if any(not one.well or one.restarts for one in new):
            raise _failed(project, services, but)
        if not new or time.monotonic() > deadline:
            return
        time.sleep(_LOOK_EVERY_S)


def _roll(project: Project, service: str, config: Mapping[str, Any], image: str) -> List[str]:
    """Start a second container beside each one, let it take the traffic, and only then stop the first."""
    if fixed(config):
        raise RollbackError(f"Service {service} has a fixed port or name on the host, so it cannot run twice.")
    found = project.containers(service)
    old = [container for container in found if container.running]
    if image and old and len(old) == len(found) and all(_is(project.docker, one, image) and one.well for one in old):
        return []
    # Compose would start those again, and take them for the new ones.
    for container in found:
        if not container.running:
            project.docker.ask("rm", "--force", container.id)
    known = {container.id for container in old}
    try:
        project.compose(*_UP, "--no-recreate", "--scale", f"{service}={len(old) + max(len(old), 1)}", service)
        new = _wait_well(project, service, known)
    except RollbackError:
        _remove_but(project, service, known)
        raise
    _reload(project)
    # A proxy that knows the old addresses alone would have nowhere to go.
    time.sleep(project.proxy_learns_s if old else 0)
    for container in old:
        project.docker.ask("stop", container.id)
        project.docker.ask("rm", container.id)
    _reload(project)
    return [f"started {one.name} beside" for one in new] + [f"stopped {one.name}" for one in old]


def _remove_but(project: Project, service: str, known: Set[str]) -> None:
    for container in project.containers(service):
        if container.id not in known:
            project.docker.ask("rm", "--force", container.id)


def _wait_well(project: Project, service: str, known: Set[str]) -> List[Container]:
    deadline = time.monotonic() + project.wait_s
    while True:
        time.sleep(_LOOK_EVERY_S)
        new = [one for one in project.containers(service) if one.id not in known]
        if new and all(container.well for container in new):
            _settle(project, [service], known)
            return new
        if time.monotonic() > deadline or any(not one.running and one.said for one in new):
            raise _failed(project, [service], known, f"{service} did not start.")


def _reload(project: Project) -> None:
    if project.proxy_reload:
        container, *command = project.proxy_reload
        project.compose("exec", "-T", container, *command)


def _failed(project: Project, services: List[str], but: Set[str], otherwise: str = "") -> RollbackError:
    """Which of the new containers do not do well, or else what Compose said."""
    new = [one for one in project.containers(*services) if one.id not in but]
    said = "; ".join(unwell(new, project.docker))
    return RollbackError(f"{said}." if said else otherwise, "Look at its logs.")


def _is(docker: Docker, container: Container, reference: str) -> bool:
    image = docker.image(reference)
    return image is not None and image.id == container.image_id
