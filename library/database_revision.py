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
  sessions:
    description:
      - The sessions in which Alembic migrates, from RV(application_sessions#module:sessions). The version table of each is read.
      - Empty reads O(version_table).
    type: list
    elements: dict
    default: []
  application_role:
    description: Role of the application, whose sessions end when it stops and are therefore no RV(obstacles).
    type: str
    default: ""
  patience_s:
    description: Seconds that a statement waits for a lock. Transactions that have been idle for longer are RV(obstacles).
    type: float
    default: 5
  quiet_within_s:
    description: Seconds within which O(quiet) must have come, before the revision is read. 0 does not wait.
    type: float
    default: 0
  quiet:
    description:
      - V(migration) waits for a session called O(session_name) that a killed command left behind; it may commit yet.
      - V(everybody) waits for whoever else writes to the database, too.
    type: str
    choices: [migration, everybody]
    default: migration
  session_name:
    description: What the sessions of the run's migrations are called, see O(alembic_command#module:session_name).
    type: str
    default: rollback
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
  description:
    - The revisions in the version table, sorted; empty where it has none.
    - Where several tables differ, what each of them says, which is no revision.
  returned: success
  type: list
  elements: str
  sample: [8c1d2e3f4a5b]
of_tables:
  description: The revisions by version table, where O(sessions) names several or one.
  returned: success
  type: dict
  sample: {tenant_a.alembic_version: [8c1d2e3f4a5b], tenant_b.alembic_version: [8c1d2e3f4a5b]}
expected:
  description: What M(alembic_command) takes as O(alembic_command#module:expected).
  returned: success
  type: list
  elements: dict
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
from ansible.module_utils.rollback.postgres import application_sessions, at_work, census, obstacles
from ansible.module_utils.rollback.postgres.server import ARGUMENTS, Server

ARGUMENT_SPEC = {
    **ARGUMENTS,
    "database": {"type": "str", "required": True},
    "version_table": {"type": "str", "default": DEFAULT_VERSION_TABLE},
    "sessions": {"type": "list", "elements": "dict", "default": []},
    "application_role": {"type": "str", "default": ""},
    "patience_s": {"type": "float", "default": 5},
    "quiet_within_s": {"type": "float", "default": 0},
    "quiet": {"type": "str", "choices": ["migration", "everybody"], "default": "migration"},
    "session_name": {"type": "str", "default": "rollback"},
}


def read(params, check_mode):
    with Server.of(params["dsn"], params["password"]).connect(params["database"]) as connection:
        if params["quiet_within_s"]:
            of = params["session_name"] if params["quiet"] == "migration" else ""
            at_work.wait_for_writers(connection, params["quiet_within_s"], of)
        of_tables = application_sessions.heads(connection, params["sessions"])
        heads = _common(of_tables) if of_tables else census.heads(connection, params["version_table"])
        return {
            "changed": False,
            "heads": heads or [],
            "of_tables": of_tables,
            "expected": application_sessions.expected(connection, params["sessions"]),
            "obstacles": obstacles.of_migration(connection, params["application_role"], params["patience_s"]),
            "at_work": [str(session) for session in at_work.sessions(connection)],
            "invalid_indexes": at_work.invalid_indexes(connection),
        }


def _common(of_tables):
    said = list(of_tables.values())
    if all(heads == said[0] for heads in said):
        return said[0]
    return [f"{table}: {', '.join(heads) or 'none'}" for table, heads in of_tables.items()]


def main() -> None:
    module.run(ARGUMENT_SPEC, read, needs_psycopg=True)


if __name__ == "__main__":
    main()
