#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: database_salvage
short_description: Keep aside what a downgrade takes away, or bring it back
description:
  - Copies tables, and columns with the key of their rows, into a schema of the same database, and compares them with their source.
  - Each state is reached in one transaction, or not at all.
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
  schema:
    description: Schema that keeps it; its name begins with C(rollback_salvage_).
    type: str
    required: true
  state:
    description:
      - V(saved) copies O(losses) there, anew.
      - V(brought_back) puts everything back and compares it. The application's upgrade must have made its place again.
      - V(absent) drops the schema.
    type: str
    choices: [saved, brought_back, absent]
    default: saved
  losses:
    description: What to keep, as RV(alembic_history#module:losses) says it. What cannot be kept is left out.
    type: list
    elements: dict
    default: []
  run_dir:
    description: Directory of the run, whose journal gets an entry before and after. Empty writes none.
    type: str
    default: ""
attributes:
  check_mode:
    support: full
    description: Changes nothing, and says nothing of what would be kept.
requirements: [psycopg >= 3.1]
author: [The Rollback authors]
"""

EXAMPLES = r"""
- name: Keep aside what would be lost
  database_salvage:
    dsn: host=127.0.0.1 user=rollback
    database: hunter
    schema: rollback_salvage_20261122t031500z
    losses: "{{ __forecast.losses }}"
"""

RETURN = r"""
copies:
  description: What was kept or brought back; C(gone) says how many of the rows no longer exist.
  returned: success
  type: list
  elements: dict
  sample: [{kind: column, schema: public, table: leads, columns: [phone], rows: 4711, gone: 0}]
"""

from ansible.module_utils.rollback import module
from ansible.module_utils.rollback.journal import journal_in
from ansible.module_utils.rollback.migrations.operations import Loss
from ansible.module_utils.rollback.postgres import salvage
from ansible.module_utils.rollback.postgres.server import ARGUMENTS, Server

ARGUMENT_SPEC = {
    **ARGUMENTS,
    "database": {"type": "str", "required": True},
    "schema": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["saved", "brought_back", "absent"], "default": "saved"},
    "losses": {"type": "list", "elements": "dict", "default": []},
    "run_dir": {"type": "str", "default": ""},
}
STEPS = {"saved": "salvage", "brought_back": "bring_back"}


def keep(params, check_mode):
    state, schema = params["state"], params["schema"]
    if check_mode:
        return {"changed": True, "copies": []}
    wanted = [
        Loss(*(entry[name] for name in ("kind", "schema", "table")), tuple(entry["columns"]))
        for entry in params["losses"]
    ]
    with Server.of(params["dsn"], params["password"]).connect(params["database"]) as connection:
        if state == "absent":
            return {"changed": salvage.drop(connection, schema), "copies": []}
        with journal_in(params["run_dir"]).step(STEPS[state]) as result:
            done = (
                salvage.save(connection, schema, wanted) if state == "saved" else salvage.bring_back(connection, schema)
            )
            result["copies"] = done
    return {"changed": True, "copies": done}


def main() -> None:
    module.run(ARGUMENT_SPEC, keep, needs_psycopg=True)


if __name__ == "__main__":
    main()
