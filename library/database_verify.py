#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: database_verify
short_description: Check that the live database is what a release point says
description:
  - Compares identity, revision, schema and rows, and reads every table as the application would. It changes nothing.
  - It never fails because of what it finds; RV(ok) and RV(checks) say it, and the play decides.
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
  heads:
    description: Revisions that are expected.
    type: list
    elements: str
    default: []
  manifest_of:
    description: Path of the backup whose manifest says which objects and rows are expected. Empty compares neither.
    type: str
    default: ""
  manifest:
    description: What backup_proof read out of that backup, where no manifest is beside it.
    type: dict
  oid:
    description: OID of the database that was restored and compared. 0 does not ask.
    type: int
    default: 0
  checks:
    description: Results of other checks, to be judged and kept together with these.
    type: list
    elements: dict
    default: []
    suboptions:
      name: {description: What was checked., type: str, required: true}
      ok: {description: Whether it passed., type: bool, required: true}
      detail: {description: What was found., type: str, required: true}
  run_dir:
    description: Directory of the run whose journal keeps the result as step C(verify). Empty writes no journal.
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
attributes:
  check_mode:
    support: full
    description: Nothing is changed in any mode.
requirements: [psycopg >= 3.1]
author: [The Rollback authors]
"""

EXAMPLES = r"""
- name: Verify the database
  database_verify:
    dsn: host=127.0.0.1 user=rollback
    database: hunter
    heads: [8c1d2e3f4a5b]
    application_role: hunter
  register: __verify_database
"""

RETURN = r"""
ok:
  description: Whether every check passed.
  returned: success
  type: bool
checks:
  description: The checks in order.
  returned: success
  type: list
  elements: dict
  sample: [{name: revision, ok: true, detail: "8c1d2e3f4a5b, expected 8c1d2e3f4a5b"}]
"""

from pathlib import Path

from ansible.module_utils.rollback import module, verification
from ansible.module_utils.rollback.backups import manifest as manifests
from ansible.module_utils.rollback.census import DEFAULT_VERSION_TABLE
from ansible.module_utils.rollback.journal import journal_in
from ansible.module_utils.rollback.postgres import access, census
from ansible.module_utils.rollback.postgres.server import ARGUMENTS, Server

ARGUMENT_SPEC = {
    **ARGUMENTS,
    "database": {"type": "str", "required": True},
    "heads": {"type": "list", "elements": "str", "default": []},
    "manifest_of": {"type": "str", "default": ""},
    "manifest": {"type": "dict"},
    "oid": {"type": "int", "default": 0},
    "checks": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "ok": {"type": "bool", "required": True},
            "detail": {"type": "str", "required": True},
        },
    },
    "run_dir": {"type": "str", "default": ""},
    "version_table": {"type": "str", "default": DEFAULT_VERSION_TABLE},
    "application_role": {"type": "str", "default": ""},
}


def verify(params, check_mode):
    written = journal_in(params["run_dir"])
    written.append("began", "verify")
    checks = params["checks"] + [check.as_dict() for check in look(params)]
    failed = "; ".join(check["detail"] for check in checks if not check["ok"])
    written.append("failed" if failed else "done", "verify", checks=checks, error=failed)
    return {"changed": False, "ok": not failed, "checks": checks}


def look(params):
    role = params["application_role"] or None
    beside = manifests.read(Path(params["manifest_of"])) if params["manifest_of"] else None
    manifest = beside or manifests.given(params["manifest"])
    expected = manifest.census if manifest else None
    with Server.of(params["dsn"], params["password"]).connect(params["database"]) as connection:
        with census.snapshot(connection):
            found = census.take(connection, params["version_table"], role, partial=True)
        readable = [
            name for name, table in (expected or found).tables.items() if table.readable and name in found.tables
        ]
        refused = census.read_as(connection, role, readable) if role else []
        if role and manifest and manifest.access:
            refused += access.lost(manifest.access, access.read(connection, role), role)
    return verification.of_database(found, params["heads"], expected, params["oid"] or None, refused, role)


def main() -> None:
    module.run(ARGUMENT_SPEC, verify, needs_psycopg=True)


if __name__ == "__main__":
    main()
