#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: database_marker
short_description: Leave the name of the environment in the comment of its database
description:
  - Appends C([rollback environment: <name>]) to the comment of a database; what the comment said stays.
  - A rollback for another environment then refuses that database, whatever its inventory says.
  - A database that carries the marker of another environment is refused.
options:
  dsn:
    description: libpq connection string that names host and user, and holds neither password nor database.
    type: str
    required: true
  password:
    description: Password of the operator's role. Leave it empty to use a passfile or another way of libpq's.
    type: str
    default: ""
  database:
    description: Name of the database.
    type: str
    required: true
  environment_name:
    description: Name of the environment.
    type: str
    required: true
attributes:
  check_mode:
    support: full
    description: Says whether a marker would be left.
requirements: [psycopg >= 3.1]
author: [The Rollback authors]
"""

EXAMPLES = r"""
- name: Leave the marker of production
  database_marker:
    dsn: host=127.0.0.1 user=rollback
    database: hunter
    environment_name: production
"""

RETURN = r"""
actions:
  description: What was or would be done, in words.
  returned: success
  type: list
  elements: str
  sample: ["left the marker of environment production in the comment of hunter"]
"""

from ansible.module_utils.rollback import module
from ansible.module_utils.rollback.postgres import marker
from ansible.module_utils.rollback.postgres.server import ARGUMENTS, Server

ARGUMENT_SPEC = {
    **ARGUMENTS,
    "database": {"type": "str", "required": True},
    "environment_name": {"type": "str", "required": True},
}


def mark(params, check_mode):
    database, environment = params["database"], params["environment_name"]
    with Server.of(params["dsn"], params["password"]).connect() as connection:
        changed = marker.write(connection, database, environment, check_mode)
    words = f"{'would leave' if check_mode else 'left'} the marker of environment {environment} in the comment of {database}"
    return {"changed": changed, "actions": [words] if changed else []}


def main() -> None:
    module.run(ARGUMENT_SPEC, mark, needs_psycopg=True)


if __name__ == "__main__":
    main()
