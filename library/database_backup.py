#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: database_backup
short_description: Dump a database, prove the dump, and write its manifest
description:
  - Census and dump see one snapshot; the dump is read back whole, and gets its name only if it holds exactly those rows.
  - It is loaded on trial into an empty database, whole or, of a large one, its schema and some rows. A dump that would not
    load is refused by the name of what stops it.
  - Runs beside the application and blocks nobody.
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
  backup_dir:
    description: Directory that holds the backups.
    type: str
    required: true
  label:
    description: Middle part of the backup's name, such as C(pre_v1.1.0).
    type: str
    required: true
  environment_name:
    description: Name of the environment, kept in the manifest.
    type: str
    required: true
  application_version:
    description: Version of the application whose data this is.
    type: str
    default: ""
  format:
    description: Format of the dump.
    type: str
    choices: [plain, custom, directory]
    default: custom
  compression:
    description: Compression of the dump. zstd of archives needs pg_dump 16.
    type: str
    choices: [none, gzip, zstd]
    default: gzip
  jobs:
    description: Connections that dump at the same time; for the directory format alone.
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
  allow:
    description: Kinds of statements that the dump may hold although they reach beyond its database; a restore has to allow them too.
    type: list
    elements: str
    choices: [programs, files, server, roles, databases, languages, event_triggers, elsewhere, statements]
    default: []
  signing_key:
    description: Key by which gpg on this host signs the manifest. Empty signs nothing.
    type: str
    default: ""
attributes:
  check_mode:
    support: full
    description: Says which backup would be taken and takes none.
requirements: [psycopg >= 3.1, PostgreSQL client tools, zstandard (for zstd)]
author: [The Rollback authors]
"""

EXAMPLES = r"""
- name: Take a backup before 1.1.0 is deployed
  database_backup:
    dsn: host=127.0.0.1 user=rollback
    database: hunter
    backup_dir: /var/backups/hunter
    label: pre_v1.1.0
    environment_name: production
    application_version: 1.0.0
  register: __backup_taken
"""

RETURN = r"""
path:
  description: Path of the backup; empty in check mode.
  returned: success
  type: str
  sample: /var/backups/hunter/backup_pre_v1.1.0_20261122_030100.dump
manifest:
  description: The manifest; empty in check mode.
  returned: success
  type: dict
  sample: {backup: backup_pre_v1.1.0_20261122_030100.dump, format: custom, created_at: "2026-11-22T03:01:00.000Z"}
obstacles:
  description: What would stop a restore of this database here, in sentences, each with the way out.
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

from ansible.module_utils.rollback import module
from ansible.module_utils.rollback.backups import create, names, scan
from ansible.module_utils.rollback.backups.create import Request
from ansible.module_utils.rollback.census import DEFAULT_VERSION_TABLE
from ansible.module_utils.rollback.postgres import client_tools, obstacles
from ansible.module_utils.rollback.postgres.server import ARGUMENTS, Server
from ansible.module_utils.rollback.words import amount, size

ARGUMENT_SPEC = {
    **ARGUMENTS,
    "database": {"type": "str", "required": True},
    "backup_dir": {"type": "str", "required": True},
    "label": {"type": "str", "required": True},
    "environment_name": {"type": "str", "required": True},
    "application_version": {"type": "str", "default": ""},
    "format": {"type": "str", "choices": list(names.FORMATS), "default": names.CUSTOM},
    "compression": {"type": "str", "choices": list(names.COMPRESSIONS), "default": names.GZIP},
    "jobs": {"type": "int", "default": 2},
    "client_bin_dir": {"type": "str", "default": ""},
    "version_table": {"type": "str", "default": DEFAULT_VERSION_TABLE},
    "application_role": {"type": "str", "default": ""},
    "allow": {"type": "list", "elements": "str", "choices": list(scan.ALLOWABLE), "default": []},
    "signing_key": {"type": "str", "default": ""},
}


def take(params, check_mode):
    server = Server.of(params["dsn"], params["password"])
    with server.connect(params["database"]) as connection:
        tools = client_tools.find(connection.info.server_version // 10000, params["client_bin_dir"] or None)
    request = Request(
        directory=Path(params["backup_dir"]),
        database=params["database"],
        label=params["label"],
        environment=params["environment_name"],
        application_version=params["application_version"],
        format=params["format"],
        compression=params["compression"],
        jobs=params["jobs"],
        version_table=params["version_table"],
        application_role=params["application_role"] or None,
        allow=params["allow"],
        signing_key=params["signing_key"],
    )
    if check_mode:
        action = f"would dump {request.database} with pg_dump {tools} into {request.directory}"
        return {"changed": True, "path": "", "manifest": {}, "obstacles": [], "actions": [action]}
    manifest = create.create(server, tools, request)
    with server.connect(request.database) as connection:
        stops = obstacles.find(connection, request.database)
    counted = f"{amount(manifest.census.rows, 'row')} in {amount(len(manifest.census.tables), 'table')}"
    action = f"dumped {counted} into {manifest.backup} ({size(manifest.bytes)}), read it back{' and loaded it on trial' if manifest.made_by else ''}"
    return {
        "changed": True,
        "path": str(request.directory / manifest.backup),
        "manifest": manifest.as_dict(),
        "obstacles": stops,
        "actions": [action],
    }


def main() -> None:
    module.run(ARGUMENT_SPEC, take, needs_psycopg=True)


if __name__ == "__main__":
    main()
