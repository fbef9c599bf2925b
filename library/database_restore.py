#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: database_restore
short_description: Restore a backup into a new database beside the live one
description:
  - Creates the database with owner, encoding and locale of the live one, loads the backup and stops at the first error.
  - Then carries over the settings, collects statistics, and compares the result with the manifest.
  - The live database is not touched. Where anything fails, the new database is dropped.
  - A snapshot is there already. It is set up and compared, and stays where that fails, or where it is no longer needed.
  - Called again in the same run, it waits for an earlier attempt that still works, keeps a database that was already
    compared, and makes any other anew.
  - Within a run it writes lines of progress into C(progress.log) beside the journal.
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
    description: Name of the database to create, or of the snapshot.
    type: str
    required: true
  backup:
    description: Path of the backup. Required with O(state=present).
    type: path
  state:
    description: Whether the database is to be there, restored, or not at all, because the run no longer needs it.
    type: str
    choices: [present, absent]
    default: present
  jobs:
    description:
      - Connections that load at the same time, and that collect statistics.
      - With 1, C(psql) loads a plain dump; it also loads one with INSERT statements or with anything that is not C(pg_dump)'s.
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
  run_dir:
    description: Directory of the run whose journal is written. Empty writes no journal.
    type: str
    default: ""
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
    description: Says what would be done, and does nothing.
requirements: [psycopg >= 3.1, PostgreSQL client tools, zstandard (for zstd)]
author: [The Rollback authors]
"""

EXAMPLES = r"""
- name: Restore beside the live database
  database_restore:
    dsn: host=127.0.0.1 user=rollback
    live: hunter
    into: hunter__restore_20261122T031500Z
    backup: /var/backups/hunter/backup_pre_v1.1.0_20261122_030100.dump
  register: __db_restore_restored
"""

RETURN = r"""
oid:
  description: OID of the restored database, which the swap does not change; 0 in check mode.
  returned: success
  type: int
  sample: 17411
rows:
  description: Rows in it, counted.
  returned: success
  type: int
  sample: 220000
actions:
  description: What was done, or would be.
  returned: success
  type: list
  elements: str
"""

from pathlib import Path

from ansible.module_utils.rollback import module
from ansible.module_utils.rollback.backups import files, names
from ansible.module_utils.rollback.backups import manifest as manifests
from ansible.module_utils.rollback.census import DEFAULT_VERSION_TABLE
from ansible.module_utils.rollback.journal import journal_in
from ansible.module_utils.rollback.postgres import client_tools, restore
from ansible.module_utils.rollback.postgres.beside import oid_of
from ansible.module_utils.rollback.postgres.names import is_snapshot
from ansible.module_utils.rollback.postgres.server import ARGUMENTS, Server

ARGUMENT_SPEC = {
    **ARGUMENTS,
    "live": {"type": "str", "required": True},
    "into": {"type": "str", "required": True},
    "backup": {"type": "path"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "jobs": {"type": "int", "default": 2},
    "client_bin_dir": {"type": "str", "default": ""},
    "version_table": {"type": "str", "default": DEFAULT_VERSION_TABLE},
    "application_role": {"type": "str", "default": ""},
    "run_dir": {"type": "str", "default": ""},
    "target_s": {"type": "float", "default": 0},
    "manifest": {"type": "dict"},
}


def beside(params, check_mode):
    server = Server.of(params["dsn"], params["password"])
    if params["state"] == "absent":
        return absent(server, params, check_mode)
    if check_mode:
        return {
            "changed": True,
            "oid": 0,
            "rows": 0,
            "actions": [f"would restore {params['backup']} into {params['into']}"],
        }
    request = restore.Request(
        live=params["live"],
        into=params["into"],
        backup=Path(params["backup"]),
        jobs=params["jobs"],
        version_table=params["version_table"],
        application_role=params["application_role"] or None,
        target_s=params["target_s"],
        manifest=manifests.given(params["manifest"]),
    )
    journal = journal_in(params["run_dir"])
    with server.connect() as connection:
        if files.sniff(request.backup)[0] == names.SNAPSHOT:
            return restore.from_snapshot(server, connection, request, journal).as_dict()
        tools = client_tools.find(connection.info.server_version // 10000, params["client_bin_dir"] or None)
        return restore.beside(server, connection, tools, request, journal).as_dict()


def absent(server, params, check_mode):
    with server.connect() as connection:
        journal = journal_in(params["run_dir"])
        there = oid_of(connection, params["into"]) != 0 and not is_snapshot(params["into"], params["live"])
        if not check_mode:
            restore.drop(connection, params["live"], params["into"], journal)
    return {"changed": there, "oid": 0, "rows": 0, "actions": [f"dropped {params['into']}"] if there else []}


def main() -> None:
    module.run(ARGUMENT_SPEC, beside, needs_psycopg=True, required_if=[("state", "present", ["backup"])])


if __name__ == "__main__":
    main()
