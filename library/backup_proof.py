#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: backup_proof
short_description: Read a backup whole, compare it with its manifest, and find what the server lacks for it
description:
  - Checks every checksum, then reads the dump from its first byte to its last and compares the rows of every table. With
    O(strategy=beside), the rows of an archive in pg_dump's custom format are left to the restore, which counts them before the swap.
  - A truncated or damaged dump, a dump of something else, and one that reaches beyond its database are refused. It changes nothing.
  - Of a snapshot, the copy that its manifest is about must still be on the server. Its rows are counted by the restore.
  - Then the server is asked for the roles, extensions, locales, tablespaces and settings that the dump names, and for room.
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
    description: Name of the live database; one that is restored beside it is of its kind.
    type: str
    required: true
  path:
    description: Path of the backup.
    type: path
    required: true
  manifest:
    description: The manifest of a backup that is still elsewhere. Then nothing is read, and only room is looked at.
    type: dict
    default: {}
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
  strategy:
    description: How it is to be restored. Only V(beside) needs room for a second database on the server.
    type: str
    choices: [beside, in_place]
    default: beside
  data_dir:
    description: Directory on this host that is on the disk of PostgreSQL's data. Empty asks the server, which helps where it is on this host.
    type: str
    default: ""
  allow:
    description: Kinds of statements that the dump may hold although they reach beyond its database.
    type: list
    elements: str
    choices: [programs, files, server, roles, databases, languages, event_triggers, elsewhere, statements]
    default: []
  keyring:
    description: Keys by one of which it must be signed, as paths of files with public keys or as fingerprints. Empty asks for no signature.
    type: list
    elements: str
    default: []
  judge:
    description: Whether a backup without a manifest is judged from its content.
    type: bool
    default: false
  environment_name:
    description: Environment whose other backups in the directory one without a manifest is compared with.
    type: str
    default: ""
attributes:
  check_mode:
    support: full
    description: Nothing is changed in any mode.
requirements: [psycopg >= 3.1, PostgreSQL client tools, zstandard (for zstd)]
author: [The Rollback authors]
"""

EXAMPLES = r"""
- name: Prove the backup
  backup_proof:
    dsn: host=127.0.0.1 user=rollback
    database: hunter
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
judged:
  description: Whether no manifest is beside it, so that C(manifest) is only what its content says.
  returned: success
  type: bool
  sample: false
lacks:
  description:
    - What a backup that was judged does not hold and a whole database does, in sentences with the names; tables without their
      rows, sequences without their value, large objects without content, and what every other backup at its revision has.
    - Empty where nothing of that kind is missing, and for a backup with a manifest.
  returned: success
  type: list
  elements: str
  sample: [The dump creates public.orders and holds no rows of it (--exclude-table-data).]
client_version:
  description: Version of the client tools that were used; empty for a snapshot.
  returned: success
  type: str
  sample: "18.4"
problems:
  description: What the server lacks for it, in sentences, each with the way out; empty where it could be restored.
  returned: success
  type: list
  elements: str
notes:
  description: What could not be looked at, in sentences.
  returned: success
  type: list
  elements: str
free_bytes:
  description: Room in the directory of the backup, where a safety dump would go.
  returned: success
  type: int
  sample: 53687091200
snapshot:
  description: Name and OID of the copy, and its server; empty for a dump.
  returned: success
  type: dict
  sample: {snapshot: hunter__snapshot_20261122T030100Z, oid: 17411, system_identifier: "7575438270128378911"}
"""

import shutil
from dataclasses import asdict
from pathlib import Path

from ansible.module_utils.rollback import module
from ansible.module_utils.rollback.backups import files, names, proof, scan, signature
from ansible.module_utils.rollback.backups.manifest import Manifest
from ansible.module_utils.rollback.backups.proof import Proof, Terms
from ansible.module_utils.rollback.backups.requirements import Requirements
from ansible.module_utils.rollback.census import DEFAULT_VERSION_TABLE
from ansible.module_utils.rollback.postgres import client_tools, lacking, room, snapshot
from ansible.module_utils.rollback.postgres.server import ARGUMENTS, Server

ARGUMENT_SPEC = {
    **ARGUMENTS,
    "database": {"type": "str", "required": True},
    "path": {"type": "path", "required": True},
    "manifest": {"type": "dict", "default": {}},
    "server_version": {"type": "str", "required": True},
    "client_bin_dir": {"type": "str", "default": ""},
    "version_table": {"type": "str", "default": DEFAULT_VERSION_TABLE},
    "strategy": {"type": "str", "choices": ["beside", "in_place"], "default": "beside"},
    "data_dir": {"type": "str", "default": ""},
    "allow": {"type": "list", "elements": "str", "choices": list(scan.ALLOWABLE), "default": []},
    "keyring": {"type": "list", "elements": "str", "default": []},
    "judge": {"type": "bool", "default": False},
    "environment_name": {"type": "str", "default": ""},
}


def prove(params, check_mode):
    server, path = Server.of(params["dsn"], params["password"]), Path(params["path"])
    if not params["manifest"] and path.exists() and files.sniff(path)[0] == names.SNAPSHOT:
        return prove_snapshot(server, path, params["keyring"])
    tools = client_tools.find(client_tools.major_of(params["server_version"]), params["client_bin_dir"] or None)
    if params["manifest"]:
        proven = Proof(Manifest.from_dict(params["manifest"]), Requirements(), judged=False)
    else:
        terms = Terms(
            params["allow"],
            params["keyring"],
            params["judge"],
            rows=params["strategy"] == "in_place",
            database=params["database"],
            environment=params["environment_name"],
        )
        proven = proof.prove(path, params["version_table"], tools, terms)
    with server.connect(params["database"]) as connection:
        problems, notes = lacking.find(connection, proven.needs), lacking.too_mighty(connection)
        if params["strategy"] == "beside":
            lack, unseen = room.for_second_database(connection, proven.manifest.census.bytes, params["data_dir"])
            problems += lack
            notes += unseen
    return {
        "changed": False,
        "manifest": proven.manifest.as_dict(),
        "judged": proven.judged,
        "lacks": list(proven.lacks),
        "client_version": str(tools),
        "problems": problems,
        "notes": notes,
        "free_bytes": shutil.disk_usage(nearest(path.parent)).free,
        "snapshot": {},
    }


def prove_snapshot(server, path, keyring):
    if keyring:
        signature.require(path, keyring)
    with server.connect() as connection:
        manifest, found = snapshot.prove(connection, path)
    return {
        "changed": False,
        "manifest": manifest.as_dict(),
        "judged": False,
        "lacks": [],
        "client_version": "",
        "problems": [],
        "notes": [],
        "free_bytes": shutil.disk_usage(path.parent).free,
        "snapshot": asdict(found),
    }


def nearest(directory):
    """It, or what is there of the way to it: the first backup that is fetched makes the directory."""
    return next(path for path in (directory, *directory.parents) if path.exists())


def main() -> None:
    module.run(ARGUMENT_SPEC, prove, needs_psycopg=True)


if __name__ == "__main__":
    main()
