#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: backup_catalog
short_description: List backups, choose one, or let old ones go
description:
  - Lists what is in the backup directory and in other places, oldest first by the time in the manifest, and says of each file
    why it is no candidate.
  - With O(retention) it deletes backups that are old enough, of which newer ones exist, and that no release point needs. It
    does so in the backup directory alone.
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
  sources:
    description: Other places that have backups, besides the backup directory.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: What it is called; V(local) is the backup directory.
        type: str
        required: true
      kind:
        description: A directory of this host, a server that speaks SFTP, or a bucket of S3 or of anything that speaks S3.
        type: str
        choices: [local, sftp, s3]
        required: true
      bytes_per_s:
        description: No more than so many bytes per second are brought or left there; V(0) sets no limit.
        type: int
        default: 0
      path:
        description: Directory, for V(local) and V(sftp).
        type: str
        default: ""
      host:
        description: The server, for V(sftp).
        type: str
        default: ""
      port:
        description: Its port.
        type: int
        default: 22
      user:
        description: User there. Empty takes that of the SSH configuration.
        type: str
        default: ""
      password:
        description: Password of that user. A key is better.
        type: str
        default: ""
      private_key:
        description: The private key itself, as an AWX credential holds it. It is never written to a disk.
        type: str
        default: ""
      passphrase:
        description: Passphrase of the private key.
        type: str
        default: ""
      key_file:
        description: File with the private key on the C(database) host. Without any key, the agent and the usual files are asked.
        type: str
        default: ""
      known_hosts:
        description: File with the keys of servers. Empty takes the user's own and the host's. A server that is not in it is refused.
        type: str
        default: ""
      bucket:
        description: The bucket, for V(s3).
        type: str
        default: ""
      prefix:
        description: What the keys of the backups begin with.
        type: str
        default: ""
      endpoint:
        description: URL of the service. Empty takes Amazon's.
        type: str
        default: ""
      region:
        description: The region.
        type: str
        default: ""
      path_style:
        description: Whether the bucket is named in the path of the URL, and not in the host's name.
        type: bool
        default: false
      profile:
        description: Profile of the AWS configuration on the C(database) host.
        type: str
        default: ""
      access_key:
        description: Id of an access key. Without one, the usual chain is asked, from environment to role of the instance.
        type: str
        default: ""
      secret_key:
        description: Its secret.
        type: str
        default: ""
      session_token:
        description: Its token, where it is a temporary one.
        type: str
        default: ""
      ca_file:
        description: Certificates of authorities that the service's one is checked against. It is always checked.
        type: str
        default: ""
  choose:
    description: Name of the backup that must be there and fit, its path, C(<source>:<name>), or V(latest); an error says why not.
    type: str
    default: ""
  before:
    description: A time; the newest backup that was taken before it is chosen. Without a zone it is UTC.
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
  sample:
    - name: backup_pre_v1.1.0_20261122_030100.dump
      source: offsite
      created_at: "2026-11-22T03:01:00.000Z"
      bytes: 6606028
      rows: 220000
      release: 1.0.0-20261122T030000Z
      verified: true
      reason: ""
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
unasked:
  description: A sentence about each source that could not be asked, by its name.
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
from ansible.module_utils.rollback.backups import catalog, create, sources
from ansible.module_utils.rollback.targets import LATEST

ARGUMENT_SPEC = {
    "state_dir": {"type": "str", "required": True},
    "environment_name": {"type": "str", "required": True},
    "backup_dir": {"type": "str", "required": True},
    "database": {"type": "str", "required": True},
    **sources.ARGUMENTS,
    "choose": {"type": "str", "default": ""},
    "before": {"type": "str", "default": ""},
    "retention": {"type": "bool", "default": False},
    "keep": {"type": "int", "default": 3},
    "keep_days": {"type": "int", "default": 14},
}


def look(params, check_mode):
    directory = Path(params["backup_dir"])
    here = catalog.read(directory, params["database"], params["environment_name"])
    elsewhere = catalog.read_elsewhere(
        sources.opened(params["sources"]), directory, params["database"], params["environment_name"]
    )
    found = catalog.merged(here, elsewhere.candidates)
    chosen = chosen_of(params, found, directory, elsewhere.unreachable)
    points = ledger.read(runs.environment_dir(params["state_dir"], params["environment_name"]))
    expired = []
    if params["retention"]:
        needed = {point.backup for point in points}
        expired = catalog.expired(here, params["keep"], params["keep_days"], needed, clock.utc_now())
    if not check_mode:
        for candidate in expired:
            create.remove(Path(candidate.path))
    by_backup = {point.backup: point for point in points}
    return {
        "changed": bool(expired),
        "candidates": [
            described(candidate, by_backup) for candidate in found if not candidate.reason and candidate not in expired
        ],
        "others": [candidate.as_dict() for candidate in found if candidate.reason],
        "chosen": described(chosen, by_backup) if chosen else {},
        "unasked": elsewhere.unreachable,
        "removed": [candidate.name for candidate in expired],
    }


def chosen_of(params, found, directory, unreachable):
    if params["before"] or params["choose"] == LATEST:
        return catalog.newest(found, params["before"], None, unreachable)
    return catalog.choose(found, params["choose"], directory, unreachable) if params["choose"] else None


def described(candidate, by_backup):
    """With the newest release point that it belongs to, and whether that was verified."""
    point = by_backup.get(candidate.name)
    return {**candidate.as_dict(), "release": point.id if point else "", "verified": bool(point and point.verified)}


def main() -> None:
    module.run(ARGUMENT_SPEC, look)


if __name__ == "__main__":
    main()
