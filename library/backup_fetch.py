#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: backup_fetch
short_description: Bring a backup from another place, under its own name only when it is what its manifest says
description:
  - Brings the backup and its manifest into the backup directory under a temporary name, hashes what comes while it comes, and
    renames it when every checksum is the manifest's. What an earlier attempt has brought is hashed again, and not brought again.
  - SFTP keeps many reads under way over one connection, S3 brings parts over several. A connection that breaks off, or a service
    that is busy, is asked again from where it was.
  - A backup that is there already, and is what its manifest says, is not brought again.
options:
  name:
    description: Name of the backup.
    type: str
    required: true
  source:
    description: Name of the source that has it.
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
  backup_dir:
    description: Directory into which it comes.
    type: str
    required: true
  manifest_sha256:
    description: SHA-256 of the manifest that was planned with. Empty takes whatever is there.
    type: str
    default: ""
  run_dir:
    description: Directory of the run, whose journal and progress are written. Empty outside of a run.
    type: str
    default: ""
  target_s:
    description: Time target of the run, for the lines of progress.
    type: float
    default: 0
attributes:
  check_mode:
    support: full
    description: Reads the manifest, and compares sizes and room; brings nothing.
requirements: [paramiko or OpenSSH's client (for SFTP), boto3 (for S3)]
author: [The Rollback authors]
"""

EXAMPLES = r"""
- name: Fetch the backup
  backup_fetch:
    name: backup_pre_v1.1.0_20261122_030100.dump
    source: offsite
    sources:
      - name: offsite
        kind: sftp
        host: backup.example.com
        user: hunter
        path: /backups
    backup_dir: /var/backups/hunter
  register: __db_restore_fetch
"""

RETURN = r"""
path:
  description: Where it is, or would be.
  returned: success
  type: str
  sample: /var/backups/hunter/backup_pre_v1.1.0_20261122_030100.dump
manifest:
  description: Its manifest.
  returned: success
  type: dict
bytes:
  description: How many bytes were brought; those of an earlier attempt are not among them.
  returned: success
  type: int
seconds:
  description: How long it took.
  returned: success
  type: float
bytes_per_s:
  description: The limit of the source; 0 where it has none.
  returned: success
  type: int
actions:
  description: What was done, or would be.
  returned: success
  type: list
  elements: str
"""

from pathlib import Path

from ansible.module_utils.rollback import module, worker
from ansible.module_utils.rollback.backups import fetch, sources
from ansible.module_utils.rollback.journal import journal_in
from ansible.module_utils.rollback.progress import Progress

ARGUMENT_SPEC = {
    "name": {"type": "str", "required": True},
    "source": {"type": "str", "required": True},
    **sources.ARGUMENTS,
    "backup_dir": {"type": "str", "required": True},
    "manifest_sha256": {"type": "str", "default": "", "no_log": False},
    "run_dir": {"type": "str", "default": ""},
    "target_s": {"type": "float", "default": 0},
}


def bring(params, check_mode):
    source = sources.called(params["source"], params["sources"])
    directory, planned = Path(params["backup_dir"]), params["manifest_sha256"]
    if check_mode:
        fetched = fetch.fetch(source, params["name"], directory, Progress(""), check_mode=True, planned=planned)
        return {**fetched.as_dict(), "bytes_per_s": source.pace.bytes_per_s}
    run_dir = params["run_dir"]
    with worker.alone(run_dir), journal_in(run_dir).step("fetch", source=source.name) as result:
        progress = Progress(run_dir, params["target_s"])
        fetched = fetch.fetch(source, params["name"], directory, progress, planned=planned)
        result.update(bytes=fetched.bytes, path=fetched.path)
    return {**fetched.as_dict(), "bytes_per_s": source.pace.bytes_per_s}


def main() -> None:
    module.run(ARGUMENT_SPEC, bring)


if __name__ == "__main__":
    main()
