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
    description:
      - Name of a backup, its path, C(<source>:<name>), or V(latest). Empty takes that of the release point.
      - When a backup was taken is read from its manifest.
    type: str
    default: ""
  before:
    description: A time; the newest backup that was taken before it is restored. Without a zone it is UTC.
    type: str
    default: ""
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
  heads:
    description:
      - Revisions that the release point must have, for V(method=migration). Where it is not given, any will do.
      - An empty list stands for a database without any revision, which Alembic calls base.
    type: list
    elements: str
  version:
    description:
      - Version of the application that fits O(heads), where no release point has them, or O(backup), where that has no manifest.
      - For V(method=app), the version to go back to; it needs no release point.
    type: str
    default: ""
  server_version:
    description: Version of the server; client tools are chosen by it, to read the revision of a backup without a manifest.
    type: str
    default: ""
  client_bin_dir:
    description: Directory of the PostgreSQL client tools. Empty takes the oldest installed ones that fit the server.
    type: str
    default: ""
  version_table:
    description: Alembic's version table, with its schema.
    type: str
    default: public.alembic_version
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
unasked:
  description: A sentence about each source that could not be asked, by its name; for a restore.
  returned: success
  type: dict
"""

from pathlib import Path

from ansible.module_utils.rollback import module, runs, targets
from ansible.module_utils.rollback.backups import judged, sources
from ansible.module_utils.rollback.census import DEFAULT_VERSION_TABLE
from ansible.module_utils.rollback.postgres import client_tools

ARGUMENT_SPEC = {
    "state_dir": {"type": "str", "required": True},
    "environment_name": {"type": "str", "required": True},
    "method": {"type": "str", "choices": ["restore", "migration", "app"], "default": "restore"},
    "backup_dir": {"type": "str", "default": ""},
    "database": {"type": "str", "default": ""},
    "running_versions": {"type": "list", "elements": "str", "default": []},
    "release": {"type": "str", "default": ""},
    "backup": {"type": "str", "default": ""},
    "before": {"type": "str", "default": ""},
    **sources.ARGUMENTS,
    "heads": {"type": "list", "elements": "str"},
    "version": {"type": "str", "default": ""},
    "server_version": {"type": "str", "default": ""},
    "client_bin_dir": {"type": "str", "default": ""},
    "version_table": {"type": "str", "default": DEFAULT_VERSION_TABLE},
}


def resolve(params, check_mode):
    environment = runs.environment_dir(params["state_dir"], params["environment_name"])
    if params["method"] == "migration":
        point = targets.for_migration(
            environment, params["running_versions"], params["release"], params["heads"], params["version"]
        )
        return {"changed": False, "release_point": point.as_dict(), "backup": {}, "unasked": {}}
    if params["method"] == "app":
        point = targets.for_app(environment, params["running_versions"], params["release"], params["version"])
        return {"changed": False, "release_point": point.as_dict(), "backup": {}, "unasked": {}}
    target = targets.for_restore(
        environment,
        Path(params["backup_dir"]),
        params["environment_name"],
        params["database"],
        params["running_versions"],
        params["release"],
        params["backup"],
        params["before"],
        sources.opened(params["sources"]),
        params["version"],
        lambda backup: judged.heads(backup, params["version_table"], tools(params)),
    )
    return {"changed": False, **target.as_dict()}


def tools(params):
    return client_tools.find(client_tools.major_of(params["server_version"]), params["client_bin_dir"] or None)


def main() -> None:
    module.run(ARGUMENT_SPEC, resolve, required_if=[("method", "restore", ("backup_dir", "database"))])


if __name__ == "__main__":
    main()
