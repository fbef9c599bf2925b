#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: release_ledger
short_description: Read the ledger of release points, or append to it
description:
  - The ledger is a file of JSON lines on the C(database) host, one per environment.
  - With O(point) a release point is appended and flushed to disk; where the newest one says the same, nothing is done.
options:
  state_dir:
    description: Directory on the C(database) host that keeps ledgers, locks and runs.
    type: str
    required: true
  environment_name:
    description: Name of the environment.
    type: str
    required: true
  point:
    description: The release point to append, without O(point.id) and O(point.recorded_at), which are made here. Empty only reads.
    type: dict
    suboptions:
      version: {description: Version of the application., type: str, required: true}
      recorded_by: {description: Who records it., type: str, required: true}
      database: {description: Name of the database., type: str, required: true}
      alembic_heads: {description: Revisions of the schema., type: list, elements: str, default: []}
      backup: {description: Name of the backup that belongs to it., type: str, default: ""}
      git_commit: {description: Commit of the application., type: str, default: ""}
      image_digests: {description: Image digests by service., type: dict, default: {}}
      system_identifier: {description: System identifier of the database server., type: str, default: ""}
      verified: {description: Whether verification passed., type: bool, default: false}
attributes:
  check_mode:
    support: full
    description: Says what would be appended.
author: [The Rollback authors]
"""

EXAMPLES = r"""
- name: Record the release point
  release_ledger:
    state_dir: /var/lib/rollback
    environment_name: production
    point: {version: 1.0.0, recorded_by: ci, database: hunter, backup: backup_pre_v1.1.0_20261122_030100.dump, verified: true}
"""

RETURN = r"""
point:
  description: The release point appended, or found to be there already; empty where none was asked for.
  returned: success
  type: dict
  sample: {id: 1.0.0-20261122T030000Z, version: 1.0.0}
points:
  description: All release points, oldest first.
  returned: success
  type: list
  elements: dict
"""

from dataclasses import replace

from ansible.module_utils.rollback import clock, ledger, module, runs
from ansible.module_utils.rollback.ledger import ReleasePoint

ARGUMENT_SPEC = {
    "state_dir": {"type": "str", "required": True},
    "environment_name": {"type": "str", "required": True},
    "point": {
        "type": "dict",
        "options": {
            "version": {"type": "str", "required": True},
            "recorded_by": {"type": "str", "required": True},
            "database": {"type": "str", "required": True},
            "alembic_heads": {"type": "list", "elements": "str", "default": []},
            "backup": {"type": "str", "default": ""},
            "git_commit": {"type": "str", "default": ""},
            "image_digests": {"type": "dict", "default": {}},
            "system_identifier": {"type": "str", "default": ""},
            "verified": {"type": "bool", "default": False},
        },
    },
}


def record(params, check_mode):
    directory = runs.environment_dir(params["state_dir"], params["environment_name"])
    points, wanted, changed = ledger.read(directory), None, False
    if params["point"]:
        now = clock.utc_now()
        wanted = ReleasePoint(
            id=f"{params['point']['version']}-{now.strftime(clock.STAMP)}",
            recorded_at=clock.iso(now),
            environment=params["environment_name"],
            **params["point"],
        )
        newest = points[-1] if points else None
        if newest and replace(wanted, id=newest.id, recorded_at=newest.recorded_at) == newest:
            wanted = newest
        else:
            changed = True
            if not check_mode:
                ledger.append(directory, wanted)
            points.append(wanted)
    return {
        "changed": changed,
        "point": wanted.as_dict() if wanted else {},
        "points": [point.as_dict() for point in points],
    }


def main() -> None:
    module.run(ARGUMENT_SPEC, record)


if __name__ == "__main__":
    main()
