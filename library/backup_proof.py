#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: backup_proof
short_description: Read a backup whole and compare it with its manifest
description:
  - Checks every checksum, then reads the dump from its first byte to its last and compares the rows of every table.
  - A truncated or damaged dump, a dump of something else, and one that would leave its database are refused. It changes nothing.
options:
  path:
    description: Path of the backup.
    type: path
    required: true
  server_version:
    description: Version of the server that it would be restored into; client tools are chosen by it.
    type: str
    required: true
  client_bin_dir:
    description: Directory of the PostgreSQL client tools. Empty takes the oldest installed ones that fit the server.
    type: str
    default: ""
  version_table:
    description: Alembic's version table, with its schema.
    type: str
    default: public.alembic_version
attributes:
  check_mode:
    support: full
    description: Nothing is changed in any mode.
requirements: [PostgreSQL client tools, zstandard (for zstd)]
author: [The Rollback authors]
"""

EXAMPLES = r"""
- name: Prove the backup
  backup_proof:
    path: /var/backups/hunter/backup_pre_v1.1.0_20261122_030100.dump
    server_version: "18.4"
  register: __assess_proof
"""

RETURN = r"""
manifest:
  description: The manifest, with which the backup was found to agree.
  returned: success
  type: dict
  sample: {backup: backup_pre_v1.1.0_20261122_030100.dump, format: custom, created_at: "2026-11-22T03:01:00.000Z"}
client_version:
  description: Version of the client tools that were used.
  returned: success
  type: str
  sample: "18.4"
"""

from pathlib import Path

from ansible.module_utils.rollback import module
from ansible.module_utils.rollback.backups import proof
from ansible.module_utils.rollback.census import DEFAULT_VERSION_TABLE
from ansible.module_utils.rollback.postgres import client_tools

ARGUMENT_SPEC = {
    "path": {"type": "path", "required": True},
    "server_version": {"type": "str", "required": True},
    "client_bin_dir": {"type": "str", "default": ""},
    "version_table": {"type": "str", "default": DEFAULT_VERSION_TABLE},
}


def prove(params, check_mode):
    tools = client_tools.find(client_tools.major_of(params["server_version"]), params["client_bin_dir"] or None)
    manifest = proof.prove(Path(params["path"]), params["version_table"], tools)
    return {"changed": False, "manifest": manifest.as_dict(), "client_version": str(tools)}


def main() -> None:
    module.run(ARGUMENT_SPEC, prove)


if __name__ == "__main__":
    main()
