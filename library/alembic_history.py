#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: alembic_history
short_description: Read a history of migrations, find a way down, and judge each step of it
description:
  - Reads the revision files with Python's own parser. Nothing of them is imported or run.
  - Every identifier means what Alembic means by it, since Alembic's own graph is asked; what Alembic would guess is refused.
  - Each step down is judged by what its C(downgrade) does, statement by statement, SQL included.
options:
  tree:
    description: What M(alembic_tree) fetched. One of O(tree) and O(directory) is needed.
    type: str
    default: ""
  directory:
    description: Directory of the project, with the configuration of Alembic.
    type: str
    default: ""
  ini:
    description: Configuration of Alembic in that directory.
    type: str
    default: alembic.ini
  section:
    description: Section of that configuration.
    type: str
    default: alembic
  current:
    description: Revisions that the database has.
    type: list
    elements: str
    default: []
  target:
    description: Where to go down to, such as a revision, C(-1), C(base) or C(branch@-1). Empty finds no way.
    type: str
    default: ""
  sql:
    description: SQL that Alembic would send on that way (C(alembic downgrade from:to --sql)). It is judged too, and compared.
    type: str
    default: ""
attributes:
  check_mode:
    support: full
    description: Nothing is changed in any mode.
requirements: [alembic >= 1.13, pglast >= 7.7]
author: [The Rollback authors]
"""

EXAMPLES = r"""
- name: See what going back one revision would do
  alembic_history:
    directory: /srv/hunter/current
    current: [19b7f60c3d42]
    target: "-1"
  register: __history
"""

RETURN = r"""
heads:
  description: Revisions that nothing comes after.
  returned: success
  type: list
  elements: str
bases:
  description: Revisions that come after nothing.
  returned: success
  type: list
  elements: str
revisions:
  description: How many there are.
  returned: success
  type: int
path:
  description: The steps, first to last; empty where the database is there already.
  returned: success
  type: list
  elements: dict
  contains:
    revision:
      description: What is taken back.
      type: str
    title:
      description: What it says of itself.
      type: str
    heads:
      description: Revisions that the database has afterwards.
      type: list
    argument:
      description: What to tell C(alembic downgrade), so that it takes back this revision and nothing else.
      type: str
    risk:
      description: C(safe), C(lossy), C(unknown) or C(irreversible).
      type: str
    reasons:
      description: Why it is no better than that.
      type: list
    operations:
      description: What the step does, in order, each with risk, reason, line, table, lock, and what it loses.
      type: list
    demands:
      description: Why code from before the revision cannot work after it, in sentences; empty where it merely adds.
      type: list
losses:
  description: What the whole way takes away, by the names that tables and columns have before it.
  returned: success
  type: list
  elements: dict
  sample: [{kind: column, schema: "", table: leads, columns: [phone], revision: 7e4d21c9a058}]
sql:
  description: O(sql), again.
  returned: success
  type: str
disagreements:
  description: Where script and SQL say different things, in words.
  returned: success
  type: list
  elements: str
"""

from pathlib import Path

from ansible.module_utils.rollback import module
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.migrations import scripts, tree

ARGUMENT_SPEC = {
    "tree": {"type": "str", "default": ""},
    "directory": {"type": "str", "default": ""},
    "ini": {"type": "str", "default": "alembic.ini"},
    "section": {"type": "str", "default": "alembic"},
    "current": {"type": "list", "elements": "str", "default": []},
    "target": {"type": "str", "default": ""},
    "sql": {"type": "str", "default": ""},
}


def understand(params, check_mode):
    try:
        from ansible.module_utils.rollback.migrations import additive, graph, risk, sql_risk
    except ImportError as error:
        raise RollbackError(
            f"The Python package {error.name} is missing here, and migrations cannot be judged without it.",
            "Run playbooks/prepare.yml in quiet times.",
        ) from error
    if params["tree"]:
        files = tree.Tree.unpack(params["tree"])
    elif params["directory"]:
        files = tree.read(Path(params["directory"]), params["ini"], params["section"])
    else:
        raise RollbackError("Neither a tree nor a directory of migrations is given.")
    known = graph.Graph(scripts.parse(files))
    way = known.path_down(params["current"], params["target"]) if params["target"] else []
    judged = [risk.judge(known.scripts[step.revision], files) for step in way]
    demands = additive.obstacles([known.scripts[step.revision] for step in reversed(way)], files)
    read_twice = risk.disagreements(
        [operation for step in judged for operation in step.operations], sql_risk.judge_sql(params["sql"])
    )
    return {
        "changed": False,
        "heads": list(known.heads),
        "bases": list(known.bases),
        "revisions": len(known.scripts),
        "path": [
            {
                **step.as_dict(),
                "heads": list(taken.heads),
                "argument": taken.argument,
                "demands": demands[step.revision],
            }
            for step, taken in zip(judged, way)
        ],
        "losses": [loss.as_dict() for loss in risk.path_losses(judged)],
        "sql": params["sql"],
        "disagreements": read_twice if params["sql"] else [],
    }


def main() -> None:
    module.run(ARGUMENT_SPEC, understand, mutually_exclusive=[("tree", "directory")])


if __name__ == "__main__":
    main()
