#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: backup_catalog
short_description: List backups, choose one, or let old ones go
description:
  - Lists what is in the backup directory, oldest first by the time in the manifest, and says of each file why it is no candidate.
  - With O(retention) it deletes backups that are old enough, of which newer ones exist, and that no release point needs.
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
    description: Name of the live database.
    type: str
    required: true
  choose:
    description: Name of the backup that must be there and fit; an error says why not.
    type: str
    default: ""
  retention:
    description: Delete what has expired.
    type: bool
    default: false
  keep:
    description: How many of the newest backups stay, however old.
    type: int
    default: 3
  keep_days:
    description: Days for which a backup stays.
    type: int
    default: 14
attributes:
  check_mode:
    support: full
    description: Lists what would be deleted and deletes nothing.
author: [The Rollback authors]
"""

EXAMPLES = r"""
- name: Let old backups go
  backup_catalog:
    state_dir: /var/lib/rollback
    environment_name: production
    backup_dir: /var/backups/hunter
    database: hunter
    retention: true
  register: __backup_catalog
"""

RETURN = r"""
candidates:
  description: Backups that could be restored here, oldest first.
  returned: success
  type: list
  elements: dict
  sample: [{name: backup_pre_v1.1.0_20261122_030100.dump, bytes: 6606028, rows: 220000, reason: ""}]
others:
  description: What else is there, each with its reason.
  returned: success
  type: list
  elements: dict
  sample: [{name: notes.txt, reason: it is not recognisable as a dump}]
chosen:
  description: The backup asked for; empty where none was.
  returned: success
  type: dict
removed:
  description: Names that were deleted, or would be.
  returned: success
  type: list
  elements: str
"""

from pathlib import Path

from ansible.module_utils.rollback import clock, ledger, module, runs
from ansible.module_utils.rollback.backups import catalog, create

ARGUMENT_SPEC = {
    "state_dir": {"type": "str", "required": True},
    "environment_name": {"type": "str", "required": True},
    "backup_dir": {"type": "str", "required": True},
    "database": {"type": "str", "required": True},
    "choose": {"type": "str", "default": ""},
    "retention": {"type": "bool", "default": False},
    "keep": {"type": "int", "default": 3},
    "keep_days": {"type": "int", "default": 14},
}


def look(params, check_mode):
    directory = Path(params["backup_dir"])
    found = catalog.read(directory, params["database"], params["environment_name"])
    chosen = catalog.choose(found, params["choose"], directory).as_dict() if params["choose"] else {}
    expired = []
    if params["retention"]:
        points = ledger.read(runs.environment_dir(params["state_dir"], params["environment_name"]))
        expired = catalog.expired(
            found, params["keep"], params["keep_days"], {point.backup for point in points}, clock.utc_now()
        )
    if not check_mode:
        for candidate in expired:
            create.remove(Path(candidate.path))
    return {
        "changed": bool(expired),
        "candidates": [candidate.as_dict() for candidate in found if not candidate.reason and candidate not in expired],
        "others": [candidate.as_dict() for candidate in found if candidate.reason],
        "chosen": chosen,
        "removed": [candidate.name for candidate in expired],
    }


def main() -> None:
    module.run(ARGUMENT_SPEC, look)


if __name__ == "__main__":
    main()
