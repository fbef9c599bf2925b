#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: database_swap
short_description: Let a restored database take the place of the live one, in one transaction
description:
  - Closes the live database to new sessions, ends those there are, renames both databases in one transaction, and opens them again.
  - Databases are told by OID, so calling it again after a crash finishes what was begun and changes nothing more.
  - Where it fails, both databases have their old names and are open.
options:
  dsn:
    description: libpq connection string that names host and user, and holds neither password nor database.
    type: str
    required: true
  password:
    description: Password of the operator's role. Leave it empty to use a passfile or another way of libpq's.
    type: str
    default: ""
  live:
    description: Name of the live database.
    type: str
    required: true
  incoming:
    description: Name of the database that takes the live name.
    type: str
    required: true
  aside:
    description: Name under which the live database is set aside.
    type: str
    required: true
  live_oid:
    description: OID of the live database, as planned.
    type: int
    required: true
  incoming_oid:
    description: OID of the incoming database.
    type: int
    required: true
  run_dir:
    description: Directory of the run whose journal is written. Empty writes no journal.
    type: str
    default: ""
attributes:
  check_mode:
    support: full
    description: Says whether the swap would happen.
requirements: [psycopg >= 3.1]
author: [The Rollback authors]
"""

EXAMPLES = r"""
- name: Swap the databases (point of no return)
  database_swap:
    dsn: host=127.0.0.1 user=rollback
    live: hunter
    incoming: hunter__restore_20261122T031500Z
    aside: hunter__before_20261122T031500Z
    live_oid: 16384
    incoming_oid: 17411
  register: __db_restore_swapped
"""

RETURN = r"""
sessions_ended:
  description: How many sessions were ended.
  returned: success
  type: int
  sample: 12
closed_s:
  description: Seconds for which no session could be opened.
  returned: success
  type: float
  sample: 0.061
actions:
  description: What was done, or would be.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.rollback import module
from ansible.module_utils.rollback.journal import journal_in
from ansible.module_utils.rollback.postgres import swap
from ansible.module_utils.rollback.postgres.server import ARGUMENTS, Server

ARGUMENT_SPEC = {
    **ARGUMENTS,
    "live": {"type": "str", "required": True},
    "incoming": {"type": "str", "required": True},
    "aside": {"type": "str", "required": True},
    "live_oid": {"type": "int", "required": True},
    "incoming_oid": {"type": "int", "required": True},
    "run_dir": {"type": "str", "default": ""},
}


def exchange(params, check_mode):
    server = Server.of(params["dsn"], params["password"])
    wanted = swap.Swap(params["live"], params["incoming"], params["aside"], params["live_oid"], params["incoming_oid"])
    renames = [f"{wanted.live} → {wanted.aside}", f"{wanted.incoming} → {wanted.live}"]
    with server.connect() as connection:
        if check_mode:
            return {
                "changed": not swap.is_done(connection, wanted),
                "sessions_ended": 0,
                "closed_s": 0.0,
                "actions": renames,
            }
        with journal_in(params["run_dir"]).step(
            "swap", live_oid=wanted.live_oid, incoming_oid=wanted.incoming_oid
        ) as result:
            done = swap.perform(connection, wanted)
            result.update(done.as_dict())
    return {**done.as_dict(), "actions": renames if done.changed else ["the swap had happened already"]}


def main() -> None:
    module.run(ARGUMENT_SPEC, exchange, needs_psycopg=True)


if __name__ == "__main__":
    main()
