#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: database_replace
short_description: Restore a backup in place of the live database, on a server without room for a second one
description:
  - Renames the live database aside, dumps it, reads that safety dump back, and only then drops it.
  - Makes it anew from the backup, compares the result with the manifest, and gives it the live name.
  - Where anything fails the data is put back, by renaming or from the safety dump.
  - Databases are told by OID and by the journal, so calling it again after a crash goes on where that was.
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
  into:
    description: Name of the database that is loaded, until it takes the live name.
    type: str
    required: true
  aside:
    description: Name that the live database has while it is dumped.
    type: str
    required: true
  live_oid:
    description: OID of the live database, as planned.
    type: int
    required: true
  backup:
    description: Path of the backup.
    type: path
    required: true
  backup_dir:
    description: Directory for the safety dump.
    type: path
    required: true
  label:
    description: Middle part of the safety dump's name.
    type: str
    required: true
  room:
    description: Bytes that must be free for the safety dump; 0 takes the size of the database.
    type: int
    default: 0
  environment_name:
    description: Name of the environment, for the safety dump's manifest.
    type: str
    required: true
  application_version:
    description: Version whose data the live database holds, for the safety dump's manifest.
    type: str
    default: ""
  jobs:
    description: Connections that load at the same time, and that collect statistics.
    type: int
    default: 2
  client_bin_dir:
    description: Directory of the PostgreSQL client tools. Empty takes the oldest installed ones that fit the server.
    type: str
    default: ""
  version_table:
    description: Alembic's version table, with its schema.
    type: str
    default: public.alembic_version
  application_role:
    description: Role as which the application connects; what it may read is recorded. Empty asks about no role.
    type: str
    default: ""
  pools:
    description: PgBouncers that serve the live database. They are paused until the live name is back.
    type: list
    elements: dict
    default: []
    suboptions:
      dsn: {description: libpq connection string of the admin console that names host and user., type: str, required: true}
      password: {description: Password of that user., type: str, default: ""}
      database: {description: Name under which the pool knows the live database. Empty takes the live name., type: str, default: ""}
  run_dir:
    description: Directory of the run whose journal is written.
    type: str
    required: true
  target_s:
    description: Time target of the run in seconds, for the lines of progress.
    type: float
    default: 0
  manifest:
    description: What backup_proof read out of the backup, where no manifest is beside it.
    type: dict
attributes:
  check_mode:
    support: full
    description: Says which data the live name stands for, and does nothing.
requirements: [psycopg >= 3.1, PostgreSQL client tools, zstandard (for zstd)]
author: [The Rollback authors]
"""

EXAMPLES = r"""
- name: Restore in place of the live database
  database_replace:
    dsn: host=127.0.0.1 user=rollback
    live: hunter
    into: hunter__restore_20261122T031500Z
    aside: hunter__before_20261122T031500Z
    live_oid: 16384
    backup: /var/backups/hunter/backup_pre_v1.1.0_20261122_030100.dump
    backup_dir: /var/backups/hunter
    label: safety_20261122T031500Z
    environment_name: production
    run_dir: /var/lib/rollback/production/runs/20261122T031500Z-restore
  register: __db_restore_replaced
"""

RETURN = r"""
data:
  description: Which data the live name stands for, V(before) or V(after), or V(unknown) while no database has that name.
  returned: success
  type: str
  sample: after
oid:
  description: OID of the database that has the live name now.
  returned: success
  type: int
  sample: 17411
rows:
  description: Rows in it, counted.
  returned: success
  type: int
  sample: 220000
safety:
  description: Path of the safety dump.
  returned: success
  type: str
  sample: /var/backups/hunter/backup_safety_20261122T031500Z_20261122_031502.dump
actions:
  description: What was done, or would be.
  returned: success
  type: list
  elements: str
"""

from pathlib import Path

from ansible.module_utils.rollback import module
from ansible.module_utils.rollback.backups import create as backups
from ansible.module_utils.rollback.backups import manifest as manifests
from ansible.module_utils.rollback.backups import scan
from ansible.module_utils.rollback.census import DEFAULT_VERSION_TABLE
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.journal import Journal
from ansible.module_utils.rollback.postgres import beside, client_tools, in_place, pools, restore
from ansible.module_utils.rollback.postgres.server import ARGUMENTS, Server

# Nothing is dropped that the safety dump might not bring back, so all rows are checked, however long it takes.
ROWS_S = 86400.0

ARGUMENT_SPEC = {
    **ARGUMENTS,
    "live": {"type": "str", "required": True},
    "into": {"type": "str", "required": True},
    "aside": {"type": "str", "required": True},
    "live_oid": {"type": "int", "required": True},
    "backup": {"type": "path", "required": True},
    "backup_dir": {"type": "path", "required": True},
    "label": {"type": "str", "required": True},
    "room": {"type": "int", "default": 0},
    "environment_name": {"type": "str", "required": True},
    "application_version": {"type": "str", "default": ""},
    "jobs": {"type": "int", "default": 2},
    "client_bin_dir": {"type": "str", "default": ""},
    "version_table": {"type": "str", "default": DEFAULT_VERSION_TABLE},
    "application_role": {"type": "str", "default": ""},
    "pools": pools.ARGUMENT,
    "run_dir": {"type": "str", "required": True},
    "target_s": {"type": "float", "default": 0},
    "manifest": {"type": "dict"},
}


def replace(params, check_mode):
    server = Server.of(params["dsn"], params["password"])
    journal = Journal(Path(params["run_dir"]))
    role = params["application_role"] or None
    request = in_place.Request(
        restore=restore.Request(
            live=params["live"],
            into=params["into"],
            backup=Path(params["backup"]),
            jobs=params["jobs"],
            version_table=params["version_table"],
            application_role=role,
            target_s=params["target_s"],
            manifest=manifests.given(params["manifest"]),
        ),
        safety=backups.Request(
            directory=Path(params["backup_dir"]),
            database=params["live"],
            label=params["label"],
            environment=params["environment_name"],
            application_version=params["application_version"],
            version_table=params["version_table"],
            application_role=role,
            room=params["room"],
            allow=scan.ALLOWABLE,  # it is what is live: whatever that holds is kept
            rows_s=ROWS_S,
        ),
        aside=params["aside"],
        live_oid=params["live_oid"],
        pools=pools.of(params["pools"], params["live"]),
    )
    with server.connect() as connection:
        if check_mode:
            return looked(connection, request, journal)
        tools = client_tools.find(connection.info.server_version // 10000, params["client_bin_dir"] or None)
        done = in_place.perform(server, connection, tools, request, journal)
    if done.stuck_pools:  # after the journal: the data is replaced, and what follows goes on
        raise RollbackError("The data was replaced, but not every pool serves again.", " ".join(done.stuck_pools))
    return {**done.as_dict(), "data": in_place.AFTER}


def looked(connection, request, journal):
    live = request.restore.live
    found = in_place.look(connection, request, journal)
    return {
        "changed": found != in_place.AFTER,
        "data": found,
        "oid": beside.oid_of(connection, live),
        "rows": 0,
        "safety": "",
        "actions": [f"would dump {live}, drop it, and restore it from {request.restore.backup.name}"],
    }


def main() -> None:
    module.run(ARGUMENT_SPEC, replace, needs_psycopg=True)


if __name__ == "__main__":
    main()
