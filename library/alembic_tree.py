#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: alembic_tree
short_description: Fetch the text of an application's migrations from where it is
description:
  - Takes the revision files, and the modules of the project that they import, out of a directory, a git revision, an image,
    a container or a pod. Nothing of them is run, and no container is started.
  - Needs nothing but Python, so that it runs where the application is; M(alembic_history) understands what it fetched.
options:
  source:
    description: What O(path) is inside of.
    type: str
    choices: [directory, git, image, container, pod]
    default: directory
  name:
    description: Name of the image, container or pod, or the git revision.
    type: str
    default: ""
  path:
    description:
      - Directory of the project, with the configuration of Alembic. For V(git), the work tree or repository.
      - Empty, for an image or container, takes its working directory.
    type: str
    required: true
  client:
    description: How the client of the engine or cluster is called, with its options. Empty takes C(docker) or C(kubectl).
    type: list
    elements: str
    default: []
  ini:
    description: Configuration of Alembic in that directory.
    type: str
    default: alembic.ini
  section:
    description: Section of that configuration.
    type: str
    default: alembic
attributes:
  check_mode:
    support: full
    description: Nothing is changed in any mode, but that an image which is missing is pulled.
author: [The Rollback authors]
"""

EXAMPLES = r"""
- name: Fetch the migrations of the release that runs
  alembic_tree:
    path: /srv/hunter/releases/1.2.0
  register: __tree

- name: Fetch them from its image
  alembic_tree:
    source: image
    name: registry.example.org/hunter:1.2.0
    path: /app
"""

RETURN = r"""
tree:
  description: The files, compressed, as M(alembic_history) takes them.
  returned: success
  type: str
versions:
  description: How many of them are revisions.
  returned: success
  type: int
digest:
  description: SHA-256 of their names and contents.
  returned: success
  type: str
"""

from ansible.module_utils.rollback import module
from ansible.module_utils.rollback.migrations import sources

ARGUMENT_SPEC = {
    "source": {"type": "str", "choices": list(sources.SOURCES), "default": "directory"},
    "name": {"type": "str", "default": ""},
    "path": {"type": "str", "required": True},
    "client": {"type": "list", "elements": "str", "default": []},
    "ini": {"type": "str", "default": "alembic.ini"},
    "section": {"type": "str", "default": "alembic"},
}


def fetch(params, check_mode):
    tree = sources.fetch(
        params["source"], params["name"], params["path"], params["client"], params["ini"], params["section"]
    )
    return {"changed": False, "tree": tree.pack(), "versions": len(tree.versions), "digest": tree.digest()}


def main() -> None:
    module.run(ARGUMENT_SPEC, fetch)


if __name__ == "__main__":
    main()
