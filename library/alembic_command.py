#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: alembic_command
short_description: Run the application's own Alembic, once, under limits
description:
  - Runs where the application's code is, on its host, in a running container, in a new one of an image, or in a pod.
  - Time limits for locks and statements travel in E(PGOPTIONS), which every driver on libpq obeys.
  - A lock that is not to be had in time is no failure of the module, see RV(outcome); everything else that goes wrong is.
options:
  arguments:
    description: What Alembic is to do, such as C([downgrade, 8c1d2e3f4a5b]).
    type: list
    elements: str
    required: true
  command:
    description: How Alembic is called there.
    type: list
    elements: str
    default: [alembic]
  environment_variables:
    description: Variables for it, such as the URL of the database. They are in no list of processes and no output.
    type: dict
    default: {}
  place:
    description: Where it runs.
    type: str
    choices: [host, container, image, pod]
    default: host
  place_name:
    description: Name of the container, image or pod.
    type: str
    default: ""
  directory:
    description: Directory with C(alembic.ini), in the place where it runs. Empty takes the one that the image says.
    type: str
    default: ""
  client:
    description: How the client of the engine or cluster is called, with its options. Empty takes C(docker) or C(kubectl).
    type: list
    elements: str
    default: []
  client_options:
    description: Further options for its C(exec) or C(run), such as the network of a new container.
    type: list
    elements: str
    default: []
  lock_timeout_s:
    description: Seconds that a statement waits for a lock.
    type: float
    default: 5
  statement_timeout_s:
    description: Seconds that a statement may take.
    type: float
    default: 600
  timeout_s:
    description: Seconds that the whole command may take; then it is killed.
    type: float
    default: 1800
  read_only:
    description: Whether PostgreSQL is to refuse whatever is written. It makes a look safe, also in check mode.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description: Runs only what is O(read_only); of anything else it says C(not_run).
author: [The Rollback authors]
"""

EXAMPLES = r"""
- name: Take back one revision
  alembic_command:
    arguments: [downgrade, 8c1d2e3f4a5b]
    command: [/srv/hunter/venv/bin/alembic]
    directory: /srv/hunter/releases/1.1.0
    environment_variables:
      DATABASE_URL: "{{ vault_hunter_database_url }}"
"""

RETURN = r"""
outcome:
  description: C(done), or C(lock_timeout) where another session kept a lock; C(not_run) in check mode.
  returned: success
  type: str
sentence:
  description: Why it is not done.
  returned: success
  type: str
output:
  description: What it wrote to its standard output, such as the SQL of C(--sql).
  returned: success
  type: str
exit_code:
  description: Alembic's own; 0 where it is done.
  returned: success
  type: int
argv:
  description: The command line.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.rollback import module
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.migrations import command

ARGUMENT_SPEC = {
    "arguments": {"type": "list", "elements": "str", "required": True},
    "command": {"type": "list", "elements": "str", "default": ["alembic"]},
    "environment_variables": {"type": "dict", "default": {}, "no_log": True},
    "place": {"type": "str", "choices": list(command.PLACES), "default": "host"},
    "place_name": {"type": "str", "default": ""},
    "directory": {"type": "str", "default": ""},
    "client": {"type": "list", "elements": "str", "default": []},
    "client_options": {"type": "list", "elements": "str", "default": []},
    "lock_timeout_s": {"type": "float", "default": 5},
    "statement_timeout_s": {"type": "float", "default": 600},
    "timeout_s": {"type": "float", "default": 1800},
    "read_only": {"type": "bool", "default": False},
}


def run(params, check_mode):
    if check_mode and not params["read_only"]:
        return {"changed": True, "outcome": "not_run", "sentence": "", "output": "", "exit_code": 0, "argv": []}
    place = command.Place(
        params["place"],
        params["place_name"],
        tuple(params["client"]),
        tuple(params["client_options"]),
        params["directory"],
    )
    if place.kind != command.HOST and not place.name:
        raise RollbackError(f"place={place.kind} needs place_name.")
    limits = command.Limits(params["lock_timeout_s"], params["statement_timeout_s"], params["timeout_s"])
    variables = {name: str(value) for name, value in params["environment_variables"].items()}
    ended = command.run(place, params["command"], params["arguments"], variables, limits, params["read_only"])
    if ended.outcome == command.FAILED:
        raise RollbackError(f"Alembic failed: {ended.sentence}.")
    return {"changed": ended.outcome == command.DONE and not params["read_only"], **ended.as_dict()}


def main() -> None:
    module.run(ARGUMENT_SPEC, run)


if __name__ == "__main__":
    main()
