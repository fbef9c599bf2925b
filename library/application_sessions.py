#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: application_sessions
short_description: Compare the sessions of the application's Alembic with the database that is rolled back
description:
  - Fails with one sentence where Alembic would migrate another database or server, goes through a pooler in transaction mode,
    keeps its revision elsewhere, or leaves out a schema that it has migrated.
  - It changes nothing.
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
  version_table:
    description: Alembic's version table, with its schema; one of them where each tenant has one.
    type: str
    default: public.alembic_version
  sessions:
    description: What M(alembic_command) was told, RV(alembic_command#module:sessions).
    type: list
    elements: dict
    required: true
attributes:
  check_mode:
    support: full
    description: Nothing is changed in any mode.
requirements: [psycopg >= 3.1]
author: [The Rollback authors]
"""

EXAMPLES = r"""
- name: Compare what Alembic sees with the database
  application_sessions:
    dsn: host=127.0.0.1 user=rollback
    database: hunter
    sessions: "{{ __asked.sessions }}"
"""

RETURN = r"""
sessions:
  description: The sessions that were compared, as far as a plan needs them; two that resolve names alike are one.
  returned: success
  type: list
  elements: dict
heads:
  description: The revisions in the version table of every session.
  returned: success
  type: list
  elements: str
elsewhere:
  description: The revisions in other tables of the version table's name, by table with schema.
  returned: success
  type: dict
expected:
  description: What M(alembic_command) takes as O(alembic_command#module:expected).
  returned: success
  type: list
  elements: dict
cautions:
  description: Sentences about what stops nothing; Ansible keeps RV(ignore:warnings) to itself.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.rollback import module
from ansible.module_utils.rollback.census import DEFAULT_VERSION_TABLE
from ansible.module_utils.rollback.postgres import application_sessions
from ansible.module_utils.rollback.postgres.server import ARGUMENTS, Server

ARGUMENT_SPEC = {
    **ARGUMENTS,
    "database": {"type": "str", "required": True},
    "version_table": {"type": "str", "default": DEFAULT_VERSION_TABLE},
    "sessions": {"type": "list", "elements": "dict", "required": True},
}


def compare(params, check_mode):
    with Server.of(params["dsn"], params["password"]).connect(params["database"]) as connection:
        found = application_sessions.check(connection, params["sessions"], params["version_table"])
        expected = application_sessions.expected(connection, found.sessions)
    answer = found.as_dict()
    return {"changed": False, "cautions": answer.pop("warnings"), "expected": expected, **answer}


def main() -> None:
    module.run(ARGUMENT_SPEC, compare, needs_psycopg=True)


if __name__ == "__main__":
    main()
