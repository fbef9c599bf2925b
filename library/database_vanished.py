#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: database_vanished
short_description: See which data a database no longer holds
description:
  - Looks at every value of every table but Alembic's own, and compares with an earlier look. It changes nothing.
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
  version_tables:
    description: Alembic's version tables, with their schemas.
    type: list
    elements: str
    default: [public.alembic_version]
  before:
    description: RV(tables) of an earlier look.
    type: list
    elements: dict
    default: []
attributes:
  check_mode:
    support: full
    description: Nothing is changed in any mode.
requirements: [psycopg >= 3.1]
author: [The Rollback authors]
"""

EXAMPLES = r"""
- name: See what the downgrade took away
  database_vanished:
    dsn: host=127.0.0.1 user=rollback
    database: hunter__trial_20261122T031500Z
    before: "{{ earlier.tables }}"
"""

RETURN = r"""
tables:
  description: What the database holds, as sums; for a later look's O(before).
  returned: success
  type: list
  elements: dict
hidden:
  description: Tables whose rows row-level security hides from the operator's role, so that rows and values gone from them are not seen.
  returned: success
  type: list
  elements: str
vanished:
  description: C(kind) (table, column, values, rows), C(schema), C(table), C(columns) and C(count) of what O(before) held and is gone.
  returned: success
  type: list
  elements: dict
"""

from ansible.module_utils.rollback import module
from ansible.module_utils.rollback.census import DEFAULT_VERSION_TABLE
from ansible.module_utils.rollback.postgres import vanished
from ansible.module_utils.rollback.postgres.server import ARGUMENTS, Server

ARGUMENT_SPEC = {
    **ARGUMENTS,
    "database": {"type": "str", "required": True},
    "version_tables": {"type": "list", "elements": "str", "default": [DEFAULT_VERSION_TABLE]},
    "before": {"type": "list", "elements": "dict", "default": []},
}


def look(params, check_mode):
    with Server.of(params["dsn"], params["password"]).connect(params["database"]) as connection:
        now = vanished.look(connection, params["version_tables"])
    before = [vanished.Seen.from_dict(table) for table in params["before"]]
    return {
        "changed": False,
        "tables": [table.as_dict() for table in now],
        "hidden": [f"{table.schema}.{table.name}" for table in now if table.hidden],
        "vanished": [gone.as_dict() for gone in vanished.since(before, now)],
    }


def main() -> None:
    module.run(ARGUMENT_SPEC, look, needs_psycopg=True)


if __name__ == "__main__":
    main()
