"""Credentials of private registries, where Docker's client finds them and nobody else does: in a directory of a run's own."""

from __future__ import annotations

import base64
import json
import os
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping

from ansible.module_utils.rollback.errors import RollbackError

# The name by which the client keeps what belongs to Docker's own registry.
_HUB = "https://index.docker.io/v1/"


@dataclass(frozen=True)
class Login:
    registry: str
    username: str
    password: str = field(repr=False)

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "Login":
        lacking = [name for name in ("registry", "username", "password") if not given.get(name)]
        if lacking:
            raise RollbackError(
                f"A login for a registry has no {lacking[0]}.",
                "Give each of app_rollback_compose_logins a registry, a username and a password.",
            )
        return cls(*(str(given[name]) for name in ("registry", "username", "password")))


@contextmanager
def logged_in(logins: List[Login]) -> Iterator[Dict[str, str]]:
    """Environment with which the client has these credentials, for as long as it lasts; without any, the user's own are used.

    It is what `docker login` writes, without the password in a process list, and gone again with the run.
    """
    if not logins:
        yield {}
        return
    usual = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    known = {
        _HUB if login.registry in ("docker.io", "index.docker.io") else login.registry: {
            "auth": base64.b64encode(f"{login.username}:{login.password}".encode()).decode()
        }
        for login in logins
    }
    with tempfile.TemporaryDirectory(prefix="rollback-docker-") as directory:  # 0700
        # Compose may be a plugin of this user alone, and the engine one that a context of theirs names.
        config = {**_kept(usual), "auths": known, "cliPluginsExtraDirs": [str(usual / "cli-plugins")]}
        (Path(directory) / "config.json").write_text(json.dumps(config))
        if (usual / "contexts").is_dir():
            (Path(directory) / "contexts").symlink_to(usual / "contexts")
        yield {"DOCKER_CONFIG": directory}


def _kept(usual: Path) -> Dict[str, Any]:
    try:
        found = json.loads((usual / "config.json").read_text())
    except (OSError, ValueError):
        return {}
    return {name: found[name] for name in ("currentContext", "proxies") if name in found}
