#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: database_swap
short_description: Let a restored database take the place of the live one, in one transaction
description:
  - Closes the live database to new sessions, ends those there are, renames both databases in one transaction, and opens them again.
  - Pools are paused before and resume afterwards, whatever happens; one that cannot be paused in time does not stop the swap.
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
  pools:
    description: PgBouncers that serve the live database. They are paused for the swap.
    type: list
    elements: dict
    default: []
    suboptions:
      dsn: {description: libpq connection string of the admin console that names host and user., type: str, required: true}
      password: {description: Password of that user., type: str, default: ""}
      database: {description: Name under which the pool knows the live database. Empty takes the live name., type: str, default: ""}
  look:
    description:
      - Swap nothing. Say whether the swap has happened, and let sessions and pools in again where a dead process left them out.
    type: bool
    default: false
  run_dir:
    description: Directory of the run whose journal is written. Empty writes no journal.
    type: str
    default: ""
attributes:
  check_mode:
    support: full
    description: Says whether the swap has happened, or would.
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
swapped:
  description: Whether the databases have changed names.
  returned: success
  type: bool
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

from ansible.module_utils.rollback import module, worker
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.journal import journal_in
from ansible.module_utils.rollback.postgres import pools, swap
from ansible.module_utils.rollback.postgres.server import ARGUMENTS, Server

ARGUMENT_SPEC = {
    **ARGUMENTS,
    "live": {"type": "str", "required": True},
    "incoming": {"type": "str", "required": True},
    "aside": {"type": "str", "required": True},
    "live_oid": {"type": "int", "required": True},
    "incoming_oid": {"type": "int", "required": True},
    "pools": pools.ARGUMENT,
    "look": {"type": "bool", "default": False},
    "run_dir": {"type": "str", "default": ""},
}


def exchange(params, check_mode):
    server = Server.of(params["dsn"], params["password"])
    wanted = swap.Swap(params["live"], params["incoming"], params["aside"], params["live_oid"], params["incoming_oid"])
    poolers = pools.of(params["pools"], wanted.live)
    with server.connect() as connection, worker.alone("" if check_mode else params["run_dir"]):
        if check_mode:
            return would(swap.is_done(connection, wanted), wanted, params["look"])
        if params["look"]:
            return look(connection, wanted, poolers)
        with journal_in(params["run_dir"]).step(
            "swap", live_oid=wanted.live_oid, incoming_oid=wanted.incoming_oid
        ) as result:
            done = swap.perform(connection, wanted, poolers)
            result.update(done.as_dict())
    if done.stuck_pools:  # after the journal: the swap itself is done, and what follows it goes on
        raise RollbackError("The databases were swapped, but not every pool serves again.", " ".join(done.stuck_pools))
    return {
        "changed": done.changed,
        "swapped": True,
        "sessions_ended": done.sessions_ended,
        "closed_s": done.closed_s,
        "actions": [*(renames(wanted) if done.changed else ["the swap had happened already"]), *done.pools],
    }


def look(connection, wanted, poolers):
    swapped = swap.is_done(connection, wanted)
    opened = swap.open_all(connection, wanted)
    told = pools.resume(poolers)
    actions = [*(["let sessions in again"] if opened else []), *told.actions, *told.stuck]
    return {"changed": opened, "swapped": swapped, "sessions_ended": 0, "closed_s": 0.0, "actions": actions}


def would(swapped, wanted, only_look):
    changes = not swapped and not only_look
    actions = renames(wanted) if changes else []
    return {"changed": changes, "swapped": swapped, "sessions_ended": 0, "closed_s": 0.0, "actions": actions}


def renames(wanted):
    return [f"{wanted.live} → {wanted.aside}", f"{wanted.incoming} → {wanted.live}"]


def main() -> None:
    module.run(ARGUMENT_SPEC, exchange, needs_psycopg=True)


if __name__ == "__main__":
    main()
