#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: pool_reconnect
short_description: Let PgBouncers open new sessions with the server
description:
  - A session that has prepared statements keeps their plans, and after a column has gone answers
    C(cached plan must not change result type). Whoever waits stays connected to the pool.
options:
  pools:
    description: PgBouncers that serve the database.
    type: list
    elements: dict
    default: []
    suboptions:
      dsn: {description: libpq connection string of the admin console that names host and user., type: str, required: true}
      password: {description: Password of that user., type: str, default: ""}
      database: {description: Name under which the pool knows the live database. Empty takes the live name., type: str, default: ""}
  database:
    description: Name of the live database.
    type: str
    required: true
attributes:
  check_mode:
    support: full
    description: Nothing is changed.
requirements: [psycopg >= 3.1]
author: [The Rollback authors]
"""

EXAMPLES = r"""
- name: Let the pool forget the plans of before
  pool_reconnect:
    pools: [{dsn: host=127.0.0.1 port=6432 user=pgbouncer}]
    database: hunter
"""

RETURN = r"""
actions:
  description: What came of each pool, in words.
  returned: success
  type: list
  elements: str
  sample: ["the pool at 127.0.0.1:6432 serves again"]
"""

from ansible.module_utils.rollback import module
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.postgres import pools

ARGUMENT_SPEC = {
    "pools": pools.ARGUMENT,
    "database": {"type": "str", "required": True},
}


def reconnect(params, check_mode):
    if check_mode:
        return {"changed": bool(params["pools"]), "actions": []}
    told = pools.resume(pools.of(params["pools"], params["database"]))
    if told.stuck:
        raise RollbackError(" ".join(told.stuck))
    return {"changed": bool(told.actions), "actions": told.actions}


def main() -> None:
    module.run(ARGUMENT_SPEC, reconnect, needs_psycopg=True)


if __name__ == "__main__":
    main()
