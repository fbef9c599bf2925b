#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: backup_push
short_description: Leave a copy of a backup in other places
description:
  - Leaves the backup in each place under a temporary name, proves its size there, gives it its name, and only then leaves its
    manifest, so that a copy that is not whole is nobody's candidate.
  - A place that has the same backup already is left as it is.
  - Every place is tried; the module fails where one could not be served, and names it.
options:
  path:
    description: Path of the backup, whose manifest is beside it.
    type: path
    required: true
  to:
    description: Names of the sources that get a copy.
    type: list
    elements: str
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
attributes:
  check_mode:
    support: full
    description: Looks into each place, and leaves nothing there.
requirements: [paramiko or OpenSSH's client (for SFTP), boto3 (for S3)]
author: [The Rollback authors]
"""

EXAMPLES = r"""
- name: Leave a copy elsewhere
  backup_push:
    path: /var/backups/hunter/backup_pre_v1.1.0_20261122_030100.dump
    to: [archive]
    sources:
      - name: archive
        kind: s3
        bucket: hunter-backups
        region: eu-central-1
  register: __backup_pushed
"""

RETURN = r"""
actions:
  description: What was done, or would be.
  returned: success
  type: list
  elements: str
  sample: [left backup_pre_v1.1.0_20261122_030100.dump in s3://hunter-backups/ (6.3 MiB)]
"""

from pathlib import Path

from ansible.module_utils.rollback import module
from ansible.module_utils.rollback.backups import push, sources

ARGUMENT_SPEC = {
    "path": {"type": "path", "required": True},
    "to": {"type": "list", "elements": "str", "required": True},
    **sources.ARGUMENTS,
}


def leave(params, check_mode):
    places = [sources.called(name, params["sources"]) for name in params["to"]]
    actions = push.push(Path(params["path"]), places, check_mode)
    return {"changed": bool(actions), "actions": actions}


def main() -> None:
    module.run(ARGUMENT_SPEC, leave)


if __name__ == "__main__":
    main()
