#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: database_lost_writes
short_description: Count what a database that was set aside holds beyond a backup
description:
  - Counts every table of the database that was set aside, after its last session has ended, and compares it with the backup's manifest.
  - Adds the server's own counts of rows inserted, updated and deleted since the backup, so that an update is seen too.
  - It changes nothing but the journal of the run.
options:
  dsn:
    description: libpq connection string that names host and user, and holds neither password nor database.
    type: str
    required: true
  password:
    description: Password of the operator's role. Leave it empty to use a passfile or another way of libpq's.
    type: str
    default: ""
  aside:
    description: Name of the database that was set aside. This or O(safety) is required.
    type: str
  safety:
    description: Path of the safety dump, where the database was restored in place; its manifest was counted after the last session had ended.
    type: path
  manifest_of:
    description: Path of the backup that was restored.
    type: path
    required: true
  manifest:
    description: What backup_proof read out of that backup, where no manifest is beside it.
    type: dict
  version_table:
    description: Alembic's version table, with its schema.
    type: str
    default: public.alembic_version
  run_dir:
    description: Directory of the run whose journal is written. Empty writes no journal.
    type: str
    default: ""
attributes:
  check_mode:
    support: full
    description: Counts, and writes no journal.
requirements: [psycopg >= 3.1]
author: [The Rollback authors]
"""

EXAMPLES = r"""
- name: Count what went back in time
  database_lost_writes:
    dsn: host=127.0.0.1 user=rollback
    aside: hunter__before_20261122T031500Z
    manifest_of: /var/backups/hunter/backup_pre_v1.1.0_20261122_030100.dump
"""

RETURN = r"""
tables:
  description: Tables that were written to since the backup, with exact rows now and then, and counts of writes (null where they cannot be told).
  returned: success
  type: list
  elements: dict
  sample: [{table: public.leads, now: 60020, then: 60000, inserted: 20, updated: 0, deleted: 0}]
rows:
  description: Rows in the database that was set aside.
  returned: success
  type: int
  sample: 220020
"""

from pathlib import Path

from ansible.module_utils.rollback import forecast, module
from ansible.module_utils.rollback.backups import manifest as manifests
from ansible.module_utils.rollback.census import DEFAULT_VERSION_TABLE
from ansible.module_utils.rollback.journal import NoJournal, journal_in
from ansible.module_utils.rollback.postgres import census, restore
from ansible.module_utils.rollback.postgres.server import ARGUMENTS, Server

ARGUMENT_SPEC = {
    **ARGUMENTS,
    "aside": {"type": "str"},
    "safety": {"type": "path"},
    "manifest_of": {"type": "path", "required": True},
    "manifest": {"type": "dict"},
    "version_table": {"type": "str", "default": DEFAULT_VERSION_TABLE},
    "run_dir": {"type": "str", "default": ""},
}


def count(params, check_mode):
    server = Server.of(params["dsn"], params["password"])
    journal = NoJournal() if check_mode else journal_in(params["run_dir"])
    then = restore.manifest_of(Path(params["manifest_of"]), manifests.given(params["manifest"])).census
    with journal.step("lost_writes") as result:
        now = counted(server, params)
        tables = [entry.as_dict() for entry in forecast.of_restore(now, then) if entry.touched]
        result.update(tables=tables, rows=now.rows, uncounted=now.uncounted)
    return {"changed": False, "tables": tables, "rows": now.rows}


def counted(server, params):
    if params["safety"]:
        return restore.manifest_of(Path(params["safety"])).census
    with server.connect(params["aside"]) as connection, census.snapshot(connection):
        return census.take(connection, params["version_table"], partial=True)


def main() -> None:
    module.run(
        ARGUMENT_SPEC,
        count,
        needs_psycopg=True,
        required_one_of=[("aside", "safety")],
        mutually_exclusive=[("aside", "safety")],
    )


if __name__ == "__main__":
    main()
