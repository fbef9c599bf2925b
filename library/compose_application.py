#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: compose_application
short_description: See, fetch, stop, start or switch an application under Docker Compose
description:
  - Only the services of the application are touched. Nothing is taken down, no volume is touched, and nothing is pulled once
    something has stopped.
  - Each state is one call, and looks at the containers themselves afterwards.
options:
  directory:
    description: Directory of the Compose project.
    type: path
    required: true
  project:
    description: Name of the project. It is said to Compose, since the name that it makes of a directory changes with the path.
    type: str
    required: true
  services:
    description: The services that belong to the application; never that of its database.
    type: list
    elements: str
    required: true
  state:
    description:
      - V(look) and V(ready) change nothing; V(ready) says whether O(version) can be started from here.
      - V(fetched) pulls and keeps its images, V(stopped) stops every service, V(started) brings them up on O(target).
      - V(switched) does nothing where O(target) runs, and puts back what ran where O(target) does not become healthy.
    type: str
    choices: [look, ready, fetched, stopped, started, switched]
    default: look
  version:
    description: Version to be ready for, to fetch, or to bring up.
    type: str
    default: ""
  wanted:
    description: Service → image by digest, as the ledger has it, for O(state=ready). Others are found by the tag O(version).
    type: dict
    default: {}
  target:
    description: Service → image by digest, as O(state=ready) returns it.
    type: dict
    default: {}
  files:
    description: Compose files, relative to O(directory). Empty takes what Compose finds itself.
    type: list
    elements: str
    default: []
  pin:
    description: Where the project says which version it runs, V(override) in a Compose file of ours, V(env) in a variable, V(git) in a checkout.
    type: str
    choices: [override, env, git]
    default: override
  override:
    description: Name of our Compose file, for O(pin=override).
    type: str
    default: compose.override.yaml
  variable:
    description: Name of the variable, for O(pin=env).
    type: str
    default: ""
  env_file:
    description: The file with that variable, relative to O(directory).
    type: str
    default: .env
  git_tag:
    description: Tag of a version, for O(pin=git), with C({version}) in it.
    type: str
    default: v{version}
  rolling:
    description: Services that are started beside the old ones before those stop. They stand behind a proxy and have no port on the host.
    type: list
    elements: str
    default: []
  prestarted:
    description:
      - Services with a port on the host that may start before they can reach anything. The new container starts, on a network of its
        own, while the old one still serves, and is connected when that one has stopped; so its start-up is not part of the outage.
      - For processes that wait for what they need and do not give up, and that may share their volumes with the old one for a moment.
        What does not accept connections within O(wait_s) is started after the old one instead.
    type: list
    elements: str
    default: []
  proxy_reload:
    description: Service of the proxy, and the command in it that lets it see new containers, such as C([proxy, nginx, -s, reload]).
    type: list
    elements: str
    default: []
  proxy_learns_s:
    description:
      - Seconds between the health of the new containers and the stop of the old ones, in which the proxy learns of the new ones. Longer
        than it remembers an address, such as C(valid=) of nginx's resolver says.
    type: float
    default: 3
  wait_s:
    description: Seconds within which a container must be healthy.
    type: float
    default: 60
  logins:
    description:
      - Credentials of private registries. They are given to the client in a directory of their own for as long as this module
        runs. Empty uses what the user of this host is logged in to.
    type: list
    elements: dict
    default: []
    suboptions:
      registry:
        description: Where the registry answers, such as C(registry.example.com); C(docker.io) is Docker's own.
        type: str
        default: ''
      username:
        description: User there.
        type: str
        default: ''
      password:
        description: Password or token of that user.
        type: str
        default: ''
  client:
    description: How Docker's client is called.
    type: list
    elements: str
    default: [docker]
  timeout_s:
    description: Seconds that one command of Docker's, such as a pull, may take.
    type: float
    default: 600
attributes:
  check_mode:
    support: full
    description: Nothing is changed; RV(actions) tell what would be done.
requirements: [Docker with Compose 2.20 or newer]
author: [The Rollback authors]
"""

EXAMPLES = r"""
- name: Switch to 1.0.0
  compose_application:
    directory: /srv/hunter
    project: hunter
    services: [api, worker]
    state: switched
    version: 1.0.0
    target: {api: registry.example.org/hunter@sha256:1f0e…, worker: registry.example.org/hunter@sha256:1f0e…}
"""

RETURN = r"""
running:
  description: The version that runs, or was deployed last where nothing does; empty where services differ.
  returned: success
  type: str
down:
  description: Whether one of the services does not run.
  returned: success
  type: bool
releases:
  description: Versions whose images are on the host.
  returned: success
  type: list
  elements: str
artifacts:
  description: Service → image that its container runs, by digest where a registry knows it.
  returned: success
  type: dict
target:
  description: Service → image of O(version) by digest, with O(state=ready).
  returned: success
  type: dict
heads:
  description: Alembic heads that the images of O(version) say they were made for (label C(org.rollback.alembic-heads)), with
    O(state=ready); null where they do not say, or are not on the host yet.
  returned: success
  type: list
  elements: str
migrates:
  description: A sentence for each service of O(version) that runs C(alembic upgrade) when it starts, with O(state=ready).
  returned: success
  type: list
  elements: str
problems:
  description: Why O(version) cannot be started, in sentences with a way out, with O(state=ready).
  returned: success
  type: list
  elements: str
actions:
  description: What was done, or in check mode would be, in words.
  returned: success
  type: list
  elements: str
"""

from pathlib import Path

from ansible.module_utils.rollback import module
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.runtimes import compose, compose_switch
from ansible.module_utils.rollback.runtimes.compose_pins import Checkout, Override, Variable
from ansible.module_utils.rollback.runtimes.compose_project import Project
from ansible.module_utils.rollback.runtimes.docker import Docker
from ansible.module_utils.rollback.runtimes.registries import Login, logged_in

ARGUMENT_SPEC = {
    "directory": {"type": "path", "required": True},
    "project": {"type": "str", "required": True},
    "services": {"type": "list", "elements": "str", "required": True},
    "state": {
        "type": "str",
        "choices": ["look", "ready", "fetched", "stopped", "started", "switched"],
        "default": "look",
    },
    "version": {"type": "str", "default": ""},
    "wanted": {"type": "dict", "default": {}},
    "target": {"type": "dict", "default": {}},
    "files": {"type": "list", "elements": "str", "default": []},
    "pin": {"type": "str", "choices": ["override", "env", "git"], "default": "override"},
    "override": {"type": "str", "default": "compose.override.yaml"},
    "variable": {"type": "str", "default": ""},
    "env_file": {"type": "str", "default": ".env"},
    "git_tag": {"type": "str", "default": "v{version}"},
    "rolling": {"type": "list", "elements": "str", "default": []},
    "prestarted": {"type": "list", "elements": "str", "default": []},
    "proxy_reload": {"type": "list", "elements": "str", "default": []},
    "proxy_learns_s": {"type": "float", "default": 3},
    "wait_s": {"type": "float", "default": 60},
    "logins": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "registry": {"type": "str", "default": ""},
            "username": {"type": "str", "default": ""},
            "password": {"type": "str", "default": "", "no_log": True},
        },
    },
    "client": {"type": "list", "elements": "str", "default": ["docker"]},
    "timeout_s": {"type": "float", "default": 600},
}


def pin_of(params):
    if params["pin"] == "git":
        return Checkout(params["git_tag"])
    if params["pin"] == "override":
        return Override(params["override"], Path(params["directory"]), named=bool(params["files"]))
    if not params["variable"]:
        raise RollbackError("pin=env needs the name of the variable.", "Set app_rollback_compose_variable.")
    return Variable(params["variable"], params["env_file"])


def bring(params, check_mode):
    if not params["project"] or not params["services"]:
        raise RollbackError(
            "The Compose project or its services are not named.",
            "Set app_rollback_compose_project and app_rollback_compose_services.",
        )
    foreign = sorted({*params["rolling"], *params["prestarted"]} - set(params["services"]))
    if foreign:
        raise RollbackError(
            f"Service {foreign[0]} is to be switched in a way of its own, and is none of the application's.",
            "Check app_rollback_compose_rolling, app_rollback_compose_prestarted and app_rollback_compose_services.",
        )
    if params["state"] not in ("look", "stopped") and not params["version"]:
        raise RollbackError(f"state={params['state']} needs a version.")
    with logged_in([Login.of(login) for login in params["logins"]]) as environment:
        project = Project(
            docker=Docker(params["client"], params["timeout_s"], environment),
            directory=Path(params["directory"]),
            name=params["project"],
            services=params["services"],
            pin=pin_of(params),
            files=params["files"],
            rolling=params["rolling"],
            prestarted=params["prestarted"],
            wait_s=params["wait_s"],
            proxy_reload=params["proxy_reload"],
            proxy_learns_s=params["proxy_learns_s"],
        )
        return _bring(project, params["state"], params["version"], params, check_mode)


def _bring(project, state, version, params, check_mode):
    target = params["target"]
    if state == "ready":
        return compose.ready(project, version, params["wanted"]).as_dict()
    found = compose.look(project)
    if state == "look" or check_mode:
        changed = state in ("stopped", "started", "switched") and not compose_switch.runs(project, target)
        return {**found.as_dict(), "changed": changed, "actions": [f"would be {state}"] if changed else []}
    if state == "fetched":
        return compose.fetch(project, version, target).as_dict()
    if state == "stopped":
        return compose_switch.stop(project).as_dict()
    return (compose_switch.start if state == "started" else compose_switch.switch)(project, version, target).as_dict()


def main() -> None:
    module.run(ARGUMENT_SPEC, bring)


if __name__ == "__main__":
    main()
