#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: database_revision
short_description: Read the revision that a database has, and who has a transaction under way in it
description:
  - Reads Alembic's version table itself, since Alembic fails where it does not know the revision.
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
    description: Alembic's version table, with its schema.
    type: str
    default: public.alembic_version
  quiet_within_s:
    description:
      - Seconds within which whoever writes must have ended, before the revision is read.
      - A migration whose client was killed goes on in the database, and may commit yet. 0 does not wait.
    type: float
    default: 0
attributes:
  check_mode:
    support: full
    description: Nothing is changed in any mode.
requirements: [psycopg >= 3.1]
author: [The Rollback authors]
"""

EXAMPLES = r"""
- name: See where the downgrade has come to
  database_revision:
    dsn: host=127.0.0.1 user=rollback
    database: hunter
    quiet_within_s: 30
"""

RETURN = r"""
heads:
  description: The revisions in the version table, sorted; empty where it has none.
  returned: success
  type: list
  elements: str
  sample: [8c1d2e3f4a5b]
exists:
  description: Whether there is a version table.
  returned: success
  type: bool
obstacles:
  description: What stops a downgrade that keeps what it takes away; sentences, each with the way out.
  returned: success
  type: list
  elements: str
invalid_indexes:
  description: Indexes that were left half made or half dropped.
  returned: success
  type: list
  elements: str
at_work:
  description: Who has a transaction under way and which tables it locks, in words, the oldest first.
  returned: success
  type: list
  elements: str
  sample: ["process 4711 (hunter, api, idle in transaction, 42 s old) locks leads"]
"""

from ansible.module_utils.rollback import module
from ansible.module_utils.rollback.census import DEFAULT_VERSION_TABLE
from ansible.module_utils.rollback.postgres import at_work, census, obstacles
from ansible.module_utils.rollback.postgres.server import ARGUMENTS, Server

ARGUMENT_SPEC = {
    **ARGUMENTS,
    "database": {"type": "str", "required": True},
    "version_table": {"type": "str", "default": DEFAULT_VERSION_TABLE},
    "quiet_within_s": {"type": "float", "default": 0},
}


def read(params, check_mode):
    with Server.of(params["dsn"], params["password"]).connect(params["database"]) as connection:
        if params["quiet_within_s"]:
            at_work.wait_for_writers(connection, params["quiet_within_s"])
        heads = census.heads(connection, params["version_table"])
        stops = obstacles.of_migration(connection)
        invalid = at_work.invalid_indexes(connection)
        others = [str(session) for session in at_work.sessions(connection)]
    return {
        "changed": False,
        "heads": heads or [],
        "exists": heads is not None,
        "obstacles": stops,
        "at_work": others,
        "invalid_indexes": invalid,
    }


def main() -> None:
    module.run(ARGUMENT_SPEC, read, needs_psycopg=True)


if __name__ == "__main__":
    main()
