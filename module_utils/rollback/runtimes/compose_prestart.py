"""Starting the next container of a service before its turn, where it can reach nothing and nothing reaches it.

A port of the host belongs to one container at a time, so two of them cannot serve there; but the new one can load its code while
the old one still does. It starts on a network of its own, without a way out, where Docker publishes no port. When the old one
has stopped, it is connected to the networks of its service, and so gets its ports. The outage is a stop and a connect.
"""

from __future__ import annotations

import json
import socket
import time
from contextlib import suppress
from typing import Any, Dict, List, Mapping, Optional

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.runtimes.compose_project import Project
from ansible.module_utils.rollback.runtimes.docker import Container

_LOOK_EVERY_S = 0.2
_ANSWERS_WITHIN_S = 0.5
# So many looks in a row: some listen first, and give up then.
_LOOKS = 5


def begin(project: Project, container: Container, config: Mapping[str, Any]) -> Optional[Dict[str, List[str]]]:
    """Start `container`, which was only created, apart, and wait until it accepts connections on its ports.

    Returns the networks to `connect` it to, with its names there; None where it does not come that far, and then the container
    is to be thrown away.
    """
    ports = [int(port["target"]) for port in config.get("ports") or () if port.get("protocol", "tcp") == "tcp"]
    networks = _inspected(project, container)["NetworkSettings"]["Networks"]
    # What else a network may be told about a container would be lost on the way.
    special = any(set(options or {}) - {"aliases"} for options in (config.get("networks") or {}).values())
    if not ports or special or any(network.get("Links") for network in networks.values()):
        return None
    try:
        clear(project)
        project.docker.ask("network", "create", "--internal", project.prestart_network)
        for name in networks:
            project.docker.ask("network", "disconnect", name, container.id)
        project.docker.ask("network", "connect", project.prestart_network, container.id)
        project.docker.ask("start", container.id)
        if not _listens(project, container, ports):
            return None
    except RollbackError:
        return None
    return {name: _aliases(container, network) for name, network in networks.items()}


def connect(project: Project, container: Container, networks: Mapping[str, List[str]]) -> None:
    """Let it reach its networks, and be reached."""
    for name, aliases in networks.items():
        named = [word for alias in aliases for word in ("--alias", alias)]
        project.docker.ask("network", "connect", *named, name, container.id)
    project.docker.ask("network", "disconnect", project.prestart_network, container.id)
    if not project.docker.ask("port", container.id).strip():  # an engine that publishes ports at the start alone
        project.docker.ask("restart", container.id)


def clear(project: Project) -> None:
    """Take away the network, and what a run that was killed has left there. What cannot be taken away is left to the next."""
    network = project.prestart_network
    with suppress(RollbackError):
        for container in project.docker.containers("project", project.name):
            if container.networks == (network,):
                project.docker.ask("rm", "--force", container.id)
            elif network in container.networks:  # it was being connected, and serves
                project.docker.ask("network", "disconnect", network, container.id)
        if project.docker.ask("network", "ls", "--quiet", "--filter", f"name=^{network}$").strip():
            project.docker.ask("network", "rm", network)


def _inspected(project: Project, container: Container) -> Dict[str, Any]:
    (found,) = json.loads(project.docker.ask("inspect", container.id))
    return dict(found)


def _aliases(container: Container, network: Mapping[str, Any]) -> List[str]:
    """Without those that Docker makes itself."""
    own = [str(alias) for alias in network.get("Aliases") or ()]
    return [alias for alias in own if alias != container.name and not container.id.startswith(alias)]


def _listens(project: Project, container: Container, ports: List[int]) -> bool:
    deadline, accepted = time.monotonic() + project.wait_s, 0
    while time.monotonic() < deadline:
        found = _inspected(project, container)
        if not found["State"]["Running"] or found["State"].get("Restarting") or found.get("RestartCount"):
            return False
        address = found["NetworkSettings"]["Networks"][project.prestart_network]["IPAddress"]
        accepted = accepted + 1 if all(_accepts(address, port) for port in ports) else 0
        if accepted >= _LOOKS:
            return True
        time.sleep(_LOOK_EVERY_S)
    return False


def _accepts(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=_ANSWERS_WITHIN_S):
            return True
    except OSError:
        return False
