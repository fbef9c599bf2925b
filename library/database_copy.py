#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: database_copy
short_description: Copy a database under another name on its server, to try a downgrade on it
description:
  - The copy is dumped and loaded beside the live database, which is only read. It is no second home for data, drop it again.
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
    description: Name of the live database.
    type: str
    required: true
  name:
    description: Name of the copy.
    type: str
    required: true
  state:
    description: C(present) makes it anew, C(absent) drops it.
    type: str
    choices: [present, absent]
    default: present
  data_dir:
    description: Directory here on the file system of PostgreSQL's data, so that room is checked. Empty asks the server.
    type: str
    default: ""
  client_bin_dir:
    description: Directory of the PostgreSQL client tools. Empty takes the oldest installed ones that fit the server.
    type: str
    default: ""
attributes:
  check_mode:
    support: full
    description: Nothing is changed.
requirements: [psycopg >= 3.1]
author: [The Rollback authors]
"""

EXAMPLES = r"""
- name: Copy the database to try the downgrade on it
  database_copy:
    dsn: host=127.0.0.1 user=rollback
    database: hunter
    name: hunter__trial_20261122T031500Z
"""

RETURN = r"""
name:
  description: Name of the copy.
  returned: success
  type: str
bytes:
  description: Size of what was copied; 0 where nothing was.
  returned: success
  type: int
"""

from ansible.module_utils.rollback import module
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.postgres import client_tools, copy
from ansible.module_utils.rollback.postgres.server import ARGUMENTS, Server

ARGUMENT_SPEC = {
    **ARGUMENTS,
    "database": {"type": "str", "required": True},
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "data_dir": {"type": "str", "default": ""},
    "client_bin_dir": {"type": "str", "default": ""},
}


def keep(params, check_mode):
    live, name, state = params["database"], params["name"], params["state"]
    if live == name:
        raise RollbackError(f"The copy of {live} needs a name of its own.")
    result = {"changed": True, "name": name, "bytes": 0}
    if check_mode:
        return result
    server = Server.of(params["dsn"], params["password"])
    if state == "absent":
        return {**result, "changed": copy.remove(server, name)}
    with server.connect(live) as connection:
        tools = client_tools.find(connection.info.server_version // 10000, params["client_bin_dir"] or None)
    return {**result, "bytes": copy.make(server, tools, live, name, params["data_dir"])}


def main() -> None:
    module.run(ARGUMENT_SPEC, keep, needs_psycopg=True)


if __name__ == "__main__":
    main()
