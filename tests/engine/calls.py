"""Calling the module as Ansible does, on a project of engine.py."""

from __future__ import annotations

from typing import Any

import compose_application
import engine

GOOD, BAD = "1.0.0", "1.0.1"
SERVICES = ["api", "worker"]
WAYS = {"override": {}, "env": {"pin": "env", "variable": "APP_VERSION"}, "git": {"pin": "git"}}


def bring(project: engine.Project, state: str, /, check_mode: bool = False, **more: Any) -> dict[str, Any]:
    given = {
        "directory": str(project.directory),
        "project": project.name,
        "services": SERVICES,
        "state": state,
        "wait_s": 60,
    }
    known = {name: option.get("default") for name, option in compose_application.ARGUMENT_SPEC.items()}
    return compose_application.bring({**known, **given, **WAYS[project.way], **more}, check_mode)


def target(project: engine.Project, version: str = GOOD) -> dict[str, str]:
    return dict.fromkeys(SERVICES, project.digests[version])


def switched(project: engine.Project, version: str = GOOD, **more: Any) -> dict[str, Any]:
    return bring(project, "switched", version=version, target=target(project, version), **more)
