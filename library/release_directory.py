#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: release_directory
short_description: See, stop, start or switch an application that is kept in release directories
description:
  - Releases are directories C(releases/<version>), and the link C(current) names the one that runs.
  - Each state is one call, since on a hundred hosts the number of calls is the time.
options:
  path:
    description: Directory with C(releases) and the link C(current).
    type: path
    required: true
  state:
    description:
      - V(look) changes nothing, V(stopped) stops every process, V(started) makes O(version) current and starts it.
      - V(switched) only makes sure that it runs where O(version) is current, and starts the current one again where O(version) does not start.
    type: str
    choices: [look, stopped, started, switched]
    default: look
  version:
    description: Release to start or to switch to.
    type: str
    default: ""
  stop_command:
    description: Command that stops every process of the application; it does nothing where they are stopped.
    type: list
    elements: str
    default: []
  start_command:
    description: Command that starts them; it does nothing where they run.
    type: list
    elements: str
    default: []
  timeout_s:
    description: Seconds that each command may take.
    type: float
    default: 60
attributes:
  check_mode:
    support: full
    description: Nothing is changed; RV(actions) tell what would be done.
author: [The Rollback authors]
"""

EXAMPLES = r"""
- name: Switch to 1.0.0
  release_directory:
    path: /srv/hunter
    state: switched
    version: 1.0.0
    stop_command: [systemctl, stop, hunter]
    start_command: [systemctl, start, hunter]
"""

RETURN = r"""
running:
  description: The current release.
  returned: success
  type: str
  sample: 1.0.0
releases:
  description: The releases that are there.
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
from ansible.module_utils.rollback.runtimes import release_dir

ARGUMENT_SPEC = {
    "path": {"type": "path", "required": True},
    "state": {"type": "str", "choices": ["look", "stopped", "started", "switched"], "default": "look"},
    "version": {"type": "str", "default": ""},
    "stop_command": {"type": "list", "elements": "str", "default": []},
    "start_command": {"type": "list", "elements": "str", "default": []},
    "timeout_s": {"type": "float", "default": 60},
}


def bring(params, check_mode):
    state, version = params["state"], params["version"]
    host = release_dir.Host(Path(params["path"]), params["stop_command"], params["start_command"], params["timeout_s"])
    if state in ("started", "switched") and not version:
        raise RollbackError(f"state={state} needs a version.")
    if state == "look":
        return release_dir.look(host).as_dict()
    if check_mode:
        changed = state != "switched" or host.running != version
        return {
            **release_dir.look(host).as_dict(),
            "changed": changed,
            "actions": [f"would be {state}"] if changed else [],
        }
    if state == "stopped":
        return release_dir.stop(host).as_dict()
    return (release_dir.start if state == "started" else release_dir.switch)(host, version).as_dict()


def main() -> None:
    module.run(ARGUMENT_SPEC, bring)


if __name__ == "__main__":
    main()
