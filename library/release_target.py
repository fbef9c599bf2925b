#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: release_target
short_description: Resolve where a rollback goes back to
description:
  - Finds the release point, and for a restore its backup, from the ledger, the backup directory and earlier runs.
  - Without O(release) and O(backup) it is the newest verified release point from before the running version.
  - It changes nothing.
options:
  state_dir:
    description: Directory on the C(database) host that keeps ledgers, locks and runs.
    type: str
    required: true
  environment_name:
    description: Name of the environment.
    type: str
    required: true
  method:
    description: How to go back. V(migration) and V(app) need no backup.
    type: str
    choices: [restore, migration, app]
    default: restore
  backup_dir:
    description: Directory that holds the backups; a restore needs it.
    type: str
    default: ""
  database:
    description: Name of the live database; backups of others are refused.
    type: str
    default: ""
  running_versions:
    description: Versions of the application that the hosts run.
    type: list
    elements: str
    default: []
  release:
    description: Id or version of a release point. Empty takes the previous one.
    type: str
    default: ""
  backup:
    description: Name of a backup. Empty takes that of the release point.
    type: str
    default: ""
  heads:
    description: Revisions that the release point must have, for V(method=migration). Empty takes any.
    type: list
    elements: str
    default: []
  version:
    description:
      - Version of the application that fits O(heads), where no release point has them.
      - For V(method=app), the version to go back to; it needs no release point.
    type: str
    default: ""
attributes:
  check_mode:
    support: full
    description: Nothing is changed in any mode.
author: [The Rollback authors]
"""

EXAMPLES = r"""
- name: Find the release point to go back to
  release_target:
    state_dir: /var/lib/rollback
    environment_name: production
    backup_dir: /var/backups/hunter
    database: hunter
    running_versions: [1.1.0]
  register: __assess_target
"""

RETURN = r"""
release_point:
  description: The release point, as it stands in the ledger.
  returned: success
  type: dict
  sample: {id: 1.0.0-20261122T030000Z, version: 1.0.0, alembic_heads: [8c1d2e3f4a5b], verified: true}
backup:
  description: The backup to restore for it; empty for the other methods.
  returned: success
  type: dict
  sample: {name: backup_pre_v1.1.0_20261122_030100.dump, path: /var/backups/hunter/backup_pre_v1.1.0_20261122_030100.dump, bytes: 6606028}
"""

from pathlib import Path

from ansible.module_utils.rollback import module, runs, targets

ARGUMENT_SPEC = {
    "state_dir": {"type": "str", "required": True},
    "environment_name": {"type": "str", "required": True},
    "method": {"type": "str", "choices": ["restore", "migration", "app"], "default": "restore"},
    "backup_dir": {"type": "str", "default": ""},
    "database": {"type": "str", "default": ""},
    "running_versions": {"type": "list", "elements": "str", "default": []},
    "release": {"type": "str", "default": ""},
    "backup": {"type": "str", "default": ""},
    "heads": {"type": "list", "elements": "str", "default": []},
    "version": {"type": "str", "default": ""},
}


def resolve(params, check_mode):
    environment = runs.environment_dir(params["state_dir"], params["environment_name"])
    if params["method"] == "migration":
        point = targets.for_migration(
            environment, params["running_versions"], params["release"], params["heads"], params["version"]
        )
        return {"changed": False, "release_point": point.as_dict(), "backup": {}}
    if params["method"] == "app":
        point = targets.for_app(environment, params["running_versions"], params["release"], params["version"])
        return {"changed": False, "release_point": point.as_dict(), "backup": {}}
    target = targets.for_restore(
        environment,
        Path(params["backup_dir"]),
        params["environment_name"],
        params["database"],
        params["running_versions"],
        params["release"],
        params["backup"],
    )
    return {"changed": False, **target.as_dict()}


def main() -> None:
    module.run(ARGUMENT_SPEC, resolve, required_if=[("method", "restore", ("backup_dir", "database"))])


if __name__ == "__main__":
    main()
