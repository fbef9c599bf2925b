#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: database_census
short_description: Count and list what is in a database, and what would stop a swap
description:
  - Counts rows exactly, in one snapshot, and lists sequences, schema objects and the Alembic revision.
  - With O(obstacles=true) it also names everything that would stop the database from being renamed.
  - Raises an error where the database cannot be reached or a table cannot be read. It changes nothing.
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
  application_role:
    description: Role as which the application connects; what it may read is recorded. Empty asks about no role.
    type: str
    default: ""
  rows:
    description: Count rows and list objects; without that only the identity of the database and its revision are read.
    type: bool
    default: true
  content:
    description: Hash every row too, so that two databases can be told apart to the last byte. Reads everything.
    type: bool
    default: false
  obstacles:
    description: Look for what would stop a swap.
    type: bool
    default: false
  pools:
    description: PgBouncers that serve the live database. With O(obstacles=true) their consoles are asked.
    type: list
    elements: dict
    default: []
    suboptions:
      dsn: {description: libpq connection string of the admin console that names host and user., type: str, required: true}
      password: {description: Password of that user., type: str, default: ""}
      database: {description: Name under which the pool knows the live database. Empty takes the live name., type: str, default: ""}
attributes:
  check_mode:
    support: full
    description: Nothing is changed in any mode.
requirements: [psycopg >= 3.1]
author: [The Rollback authors]
"""

EXAMPLES = r"""
- name: Count what is in the live database
  database_census:
    dsn: host=127.0.0.1 user=rollback
    database: hunter
    obstacles: true
  register: __assess_database
"""

RETURN = r"""
where:
  description: Host and port of the server.
  returned: always
  type: str
  sample: 127.0.0.1:5432
census:
  description: Tables with exact rows, sequences, hashes of object definitions, revision, size in bytes, identity of the server.
  returned: always
  type: dict
  sample: {database: hunter, bytes: 31457280, alembic_heads: [8c1d2e3f4a5b], tables: {public.leads: {rows: 60000, oid: 16412}}}
obstacles:
  description: Sentences, each with the way out; empty where nothing stands in the way.
  returned: always
  type: list
  elements: str
notes:
  description: Sentences about what does not stop a swap, and is good to know before one.
  returned: always
  type: list
  elements: str
marker:
  description: The environment that the database's comment names; empty where it names none.
  returned: always
  type: str
  sample: production
"""

from ansible.module_utils.rollback import module
from ansible.module_utils.rollback.census import DEFAULT_VERSION_TABLE
from ansible.module_utils.rollback.postgres import census, marker, obstacles, pools
from ansible.module_utils.rollback.postgres.server import ARGUMENTS, Server

ARGUMENT_SPEC = {
    **ARGUMENTS,
    "database": {"type": "str", "required": True},
    "version_table": {"type": "str", "default": DEFAULT_VERSION_TABLE},
    "application_role": {"type": "str", "default": ""},
    "rows": {"type": "bool", "default": True},
    "content": {"type": "bool", "default": False},
    "obstacles": {"type": "bool", "default": False},
    "pools": pools.ARGUMENT,
}


def count(params, check_mode):
    server = Server.of(params["dsn"], params["password"])
    with server.connect(params["database"]) as connection, census.snapshot(connection):
        found = (
            census.take(
                connection, params["version_table"], params["application_role"] or None, params["content"], partial=True
            )
            if params["rows"]
            else census.identity(connection, params["version_table"])
        )
        stops = obstacles.find(connection, params["database"]) if params["obstacles"] else []
        notes = obstacles.notes(connection) if params["obstacles"] else []
        carried = marker.read(connection, params["database"])
    if params["obstacles"]:
        with server.connect() as connection:  # the one from which settings are carried over
            stops += obstacles.of_settings(connection, params["database"])
        more_stops, more_notes = pools.look(pools.of(params["pools"], params["database"]))
        stops, notes = stops + more_stops, notes + more_notes
    return {
        "changed": False,
        "where": server.where(),
        "census": found.as_dict(),
        "obstacles": stops,
        "notes": notes,
        "marker": carried,
    }


def main() -> None:
    module.run(ARGUMENT_SPEC, count, needs_psycopg=True)


if __name__ == "__main__":
    main()
