#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: database_snapshot
short_description: Keep a copy of a database in its cluster, and write its manifest
description:
  - PostgreSQL itself copies the database (C(CREATE DATABASE … TEMPLATE)), which it does only while nobody is in it.
    Whoever comes meanwhile waits until the copy is there.
  - The copy is counted, closed to sessions, and named by a small file in the backup directory, with a manifest beside it.
  - Then older snapshots are dropped, unless a run is under way. Release points do not keep them, since each takes the room of a database.
  - Where anything fails, no copy and no file is left. What a killed attempt left is dropped by the next one.
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
  state_dir:
    description: Directory on the C(database) host that keeps ledgers, locks and runs.
    type: str
    required: true
  backup_dir:
    description: Directory that holds the backups.
    type: str
    required: true
  label:
    description: Middle part of the snapshot's name.
    type: str
    required: true
  environment_name:
    description: Name of the environment.
    type: str
    required: true
  application_version:
    description: Version of the application whose data it is.
    type: str
    default: ""
  end_sessions:
    description: Whether sessions of the database are ended. Without it they are a reason to refuse.
    type: bool
    default: false
  keep:
    description: How many of the newest snapshots stay, this one included.
    type: int
    default: 1
  data_dir:
    description: Directory here on the file system of PostgreSQL's data, so that room is checked. Empty asks the server.
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
  signing_key:
    description: Key by which gpg on this host signs the manifest. Empty signs nothing.
    type: str
    default: ""
attributes:
  check_mode:
    support: full
    description: Says what would be done, and does nothing.
requirements: [psycopg >= 3.1]
author: [The Rollback authors]
"""

EXAMPLES = r"""
- name: Keep a copy in the cluster
  database_snapshot:
    dsn: host=127.0.0.1 user=rollback
    database: hunter
    state_dir: /var/lib/rollback
    backup_dir: /var/backups/hunter
    label: pre_v1.1.0
    environment_name: production
    application_version: 1.0.0
  register: __backup_taken
"""

RETURN = r"""
path:
  description: Path of the file that names the snapshot; empty in check mode.
  returned: success
  type: str
  sample: /var/backups/hunter/backup_pre_v1.1.0_20261122_030100.snapshot
manifest:
  description: The manifest; empty in check mode.
  returned: success
  type: dict
  sample: {backup: backup_pre_v1.1.0_20261122_030100.snapshot, format: snapshot, created_at: "2026-11-22T03:01:00.000Z"}
removed:
  description: Older snapshots that were dropped, by the names of their files.
  returned: success
  type: list
  elements: str
actions:
  description: What was done, or would be.
  returned: success
  type: list
  elements: str
"""

from pathlib import Path

from ansible.module_utils.rollback import lock, module, runs
from ansible.module_utils.rollback.backups import manifest as manifests
from ansible.module_utils.rollback.backups import signature
from ansible.module_utils.rollback.census import DEFAULT_VERSION_TABLE
from ansible.module_utils.rollback.postgres import snapshot
from ansible.module_utils.rollback.postgres.server import ARGUMENTS, Server
from ansible.module_utils.rollback.words import amount

ARGUMENT_SPEC = {
    **ARGUMENTS,
    "database": {"type": "str", "required": True},
    "state_dir": {"type": "str", "required": True},
    "backup_dir": {"type": "str", "required": True},
    "label": {"type": "str", "required": True},
    "environment_name": {"type": "str", "required": True},
    "application_version": {"type": "str", "default": ""},
    "end_sessions": {"type": "bool", "default": False},
    "keep": {"type": "int", "default": 1},
    "data_dir": {"type": "str", "default": ""},
    "version_table": {"type": "str", "default": DEFAULT_VERSION_TABLE},
    "application_role": {"type": "str", "default": ""},
    "signing_key": {"type": "str", "default": ""},
}


def take(params, check_mode):
    server, directory = Server.of(params["dsn"], params["password"]), Path(params["backup_dir"])
    database, environment = params["database"], params["environment_name"]
    if check_mode:
        action = f"would copy {database} within its cluster"
        return {"changed": True, "path": "", "manifest": {}, "removed": [], "actions": [action]}
    request = snapshot.Request(
        directory=directory,
        database=database,
        label=params["label"],
        environment=environment,
        application_version=params["application_version"],
        version_table=params["version_table"],
        application_role=params["application_role"] or None,
        end_sessions=params["end_sessions"],
        data_dir=params["data_dir"],
    )
    manifest = snapshot.take(server, request)
    path = directory / manifest.backup
    if params["signing_key"]:
        signature.sign(manifests.path_for(path), params["signing_key"])
    counted = f"{amount(manifest.census.rows, 'row')} in {amount(len(manifest.census.tables), 'table')}"
    removed = []
    if lock.holder(runs.environment_dir(params["state_dir"], environment)) is None:  # else a run may need an older one
        with server.connect() as connection:
            removed = snapshot.let_go(connection, directory, database, environment, max(1, params["keep"]))
    return {
        "changed": True,
        "path": str(path),
        "manifest": manifest.as_dict(),
        "removed": removed,
        "actions": [f"copied {counted} to {snapshot.read(path).snapshot}, and counted them there"],
    }


def main() -> None:
    module.run(ARGUMENT_SPEC, take, needs_psycopg=True)


if __name__ == "__main__":
    main()
