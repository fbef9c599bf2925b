#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: release_target
short_description: Resolve where a restore goes back to
description:
  - Finds the release point and its backup, from the ledger, the backup directory and earlier runs.
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
  backup_dir:
    description: Directory that holds the backups.
    type: str
    required: true
  database:
    description: Name of the live database; backups of others are refused.
    type: str
    required: true
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
  description: The backup to restore for it.
  returned: success
  type: dict
  sample: {name: backup_pre_v1.1.0_20261122_030100.dump, path: /var/backups/hunter/backup_pre_v1.1.0_20261122_030100.dump, bytes: 6606028}
"""

from pathlib import Path

from ansible.module_utils.rollback import module, runs, targets

ARGUMENT_SPEC = {
    "state_dir": {"type": "str", "required": True},
    "environment_name": {"type": "str", "required": True},
    "backup_dir": {"type": "str", "required": True},
    "database": {"type": "str", "required": True},
    "running_versions": {"type": "list", "elements": "str", "default": []},
    "release": {"type": "str", "default": ""},
    "backup": {"type": "str", "default": ""},
}


def resolve(params, check_mode):
    target = targets.for_restore(
        runs.environment_dir(params["state_dir"], params["environment_name"]),
        Path(params["backup_dir"]),
        params["environment_name"],
        params["database"],
        params["running_versions"],
        params["release"],
        params["backup"],
    )
    return {"changed": False, **target.as_dict()}


def main() -> None:
    module.run(ARGUMENT_SPEC, resolve)


if __name__ == "__main__":
    main()
