#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: alembic_command
short_description: Run the application's own Alembic, once, under limits
description:
  - Runs where the application's code is, on its host, in a running container, in a new one of an image, or in a pod.
  - A hook in its Python sets the time limits on the connection that C(env.py) has made, whatever its driver and URL, and watches
    what each step takes away.
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
  purpose:
    description:
      - V(migrate) runs migrations.
      - V(write_sql) is for C(--sql), which needs no connection.
      - V(ask) runs none, and returns RV(sessions) instead; C(env.py) runs, and whatever it writes is rolled back.
    type: str
    choices: [migrate, write_sql, ask]
    default: migrate
  session_name:
    description: What the session is called in C(pg_stat_activity), so that what a killed command left running is found again.
    type: str
    default: rollback
  expected:
    description:
      - Sessions that were planned for, by some of the keys of RV(sessions). In any other one no migration runs.
      - Empty takes any.
    type: list
    elements: dict
    default: []
  foreseen:
    description:
      - What the step may take away, from M(data_loss_forecast). A step that takes more is rolled back and fails.
      - Empty watches nothing.
    type: dict
    default: {}
attributes:
  check_mode:
    support: full
    description: Runs nothing that migrates, and says C(not_run) of it.
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
sessions:
  description:
    - The sessions that C(env.py) would migrate with, in its order, with O(purpose=ask). One for each tenant where it goes through several.
    - C(pooling) says whether the connection goes through a pooler, C(none), C(session), C(transaction) or C(unknown).
  returned: success
  type: list
  elements: dict
  sample:
    - {database: hunter, database_oid: 16384, server_started: "2026-11-22 03:15:00.000000", replica: false, role: hunter,
       search_path: "shop, public", schemas: [shop, public], lock_timeout: "0", statement_timeout: "0", version_table: alembic_version,
       version_schema: shop, translate: {}, driver: psycopg, autocommit: false, pooling: none}
output:
  description: What it wrote to its standard output, such as the SQL of C(--sql), to be shown; secrets in it are masked.
  returned: success
  type: str
sealed_output:
  description: With O(purpose=write_sql), the same without any change, sealed, for a module that reads it. It belongs into no log.
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

from ansible.module_utils.rollback import module, sealed
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
    "purpose": {"type": "str", "choices": ["migrate", "write_sql", "ask"], "default": "migrate"},
    "session_name": {"type": "str", "default": "rollback"},
    "expected": {"type": "list", "elements": "dict", "default": []},
    "foreseen": {"type": "dict", "default": {}},
}


def run(params, check_mode):
    purpose = params["purpose"]
    if check_mode and purpose == "migrate":
        return {"changed": True, **command.Ended("not_run").as_dict(), "sealed_output": "", "sessions": []}
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
    task = {
        "do": "ask" if purpose == "ask" else "run",
        "settings": limits.settings(params["session_name"]),
        "expected": params["expected"],
        "foreseen": params["foreseen"],
    }
    ended = command.run(place, params["command"], params["arguments"], variables, limits, task)
    if ended.outcome == command.FAILED:
        raise RollbackError(f"Alembic failed: {ended.sentence}.")
    sessions = command.sessions(ended.output) if purpose == "ask" else []
    return {
        "changed": ended.outcome == command.DONE and purpose == "migrate",
        **ended.as_dict(),
        **({"output": ""} if purpose == "ask" else {}),
        "sealed_output": sealed.seal(ended.output) if purpose == "write_sql" else "",
        "sessions": sessions,
    }


def main() -> None:
    module.run(ARGUMENT_SPEC, run)


if __name__ == "__main__":
    main()
