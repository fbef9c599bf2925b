#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: restore_trial
short_description: Find what would stop a restore of a database, before there is need of one
description:
  - Dumps the schema, reads the dump as a restore would, and loads it with some rows into an empty database that is dropped again.
  - The database itself is only read.
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
  client_bin_dir:
    description: Directory of the PostgreSQL client tools. Empty takes the oldest installed ones that fit the server.
    type: str
    default: ""
  version_table:
    description: Alembic's version table, with its schema.
    type: str
    default: public.alembic_version
  allow:
    description: Kinds of statements that a dump may hold although they reach beyond its database.
    type: list
    elements: str
    choices: [programs, files, server, roles, databases, languages, event_triggers, elsewhere, statements]
    default: []
attributes:
  check_mode:
    support: full
    description: Tries nothing, and returns no problems.
requirements: [psycopg >= 3.1, PostgreSQL client tools]
author: [The Rollback authors]
"""

EXAMPLES = r"""
- name: Find what would stop a restore
  restore_trial:
    dsn: host=127.0.0.1 user=rollback
    database: hunter
  register: __prepare_trial
"""

RETURN = r"""
problems:
  description: What would stop a restore, in sentences, each with the way out.
  returned: success
  type: list
  elements: str
  sample: []
notes:
  description: What a backup leaves out, or what could not be tried, in sentences.
  returned: success
  type: list
  elements: str
  sample: []
"""

from ansible.module_utils.rollback import module
from ansible.module_utils.rollback.backups import scan, tryout
from ansible.module_utils.rollback.census import DEFAULT_VERSION_TABLE
from ansible.module_utils.rollback.postgres import client_tools
from ansible.module_utils.rollback.postgres.server import ARGUMENTS, Server

ARGUMENT_SPEC = {
    **ARGUMENTS,
    "database": {"type": "str", "required": True},
    "client_bin_dir": {"type": "str", "default": ""},
    "version_table": {"type": "str", "default": DEFAULT_VERSION_TABLE},
    "allow": {"type": "list", "elements": "str", "choices": list(scan.ALLOWABLE), "default": []},
}


def try_out(params, check_mode):
    if check_mode:
        return {"changed": False, "problems": [], "notes": []}
    server = Server.of(params["dsn"], params["password"])
    with server.connect(params["database"]) as connection:
        tools = client_tools.find(connection.info.server_version // 10000, params["client_bin_dir"] or None)
    request = tryout.Request(params["database"], params["version_table"], params["allow"])
    found = tryout.run(server, tools, request)
    return {"changed": False, "problems": found.problems, "notes": found.notes}


def main() -> None:
    module.run(ARGUMENT_SPEC, try_out, needs_psycopg=True)


if __name__ == "__main__":
    main()
