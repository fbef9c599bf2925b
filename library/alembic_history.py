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
  sessions:
    description:
      - The sessions in which Alembic migrates, from RV(application_sessions#module:sessions).
      - Their search path says which schema is meant where a script names none. Empty takes C(public).
    type: list
    elements: dict
    default: []
  elsewhere:
    description:
      - Revisions of version tables that Alembic does not go through, from RV(application_sessions#module:elsewhere).
      - Where they are revisions of this history, it fails, because these schemas would stay as they are.
    type: dict
    default: {}
  version_table_schema:
    description:
      - Schema of Alembic's own table in the database, which a script may ask for. Empty where it is not known.
      - Where there are O(sessions), theirs counts.
    type: str
    default: ""
  sql:
    description:
      - Output of C(alembic downgrade from:to --sql), sealed, which is what Alembic would send on that way. It is judged too, and compared.
      - What env.py prints to its standard output is left out.
    type: str
    default: ""
  environment_variables:
    description: Variables that Alembic was given, sealed. Secrets among them are masked in RV(sql) and RV(disagreements), and nowhere else.
    type: dict
    default: {}
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
    names:
      description: What its statements drop and write to besides RV(losses), by name, for the watch over the running step.
      type: dict
    fills:
      description: Pairs of a table and a column that applying it again adds as NOT NULL without a default, which fails where there are rows.
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
  description: The SQL in O(sql), to be shown.
  returned: success
  type: str
disagreements:
  description: Where script and SQL say different things, in words.
  returned: success
  type: list
  elements: str
"""

from dataclasses import replace
from pathlib import Path

from ansible.module_utils.rollback import module, sealed
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.migrations import scripts, tree
from ansible.module_utils.rollback.words import listed

ARGUMENT_SPEC = {
    "tree": {"type": "str", "default": ""},
    "directory": {"type": "str", "default": ""},
    "ini": {"type": "str", "default": "alembic.ini"},
    "section": {"type": "str", "default": "alembic"},
    "current": {"type": "list", "elements": "str", "default": []},
    "target": {"type": "str", "default": ""},
    "sessions": {"type": "list", "elements": "dict", "default": []},
    "elsewhere": {"type": "dict", "default": {}},
    "version_table_schema": {"type": "str", "default": ""},
    "sql": {"type": "str", "default": "", "no_log": True},
    "environment_variables": {"type": "dict", "default": {}, "no_log": True},
}


def understand(params, check_mode):
    try:
        from ansible.module_utils.rollback.migrations import (
            additive,
            graph,
            modules,
            named,
            names,
            offline_sql,
            risk,
            sql_risk,
            walk,
        )
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
    asked = _only(session["version_schema"] for session in params["sessions"])
    files = replace(files, version_table_schema=asked if params["sessions"] else params["version_table_schema"])
    known = graph.Graph(scripts.parse(files))
    _refuse_left_out(params["elsewhere"], known.scripts)
    way = known.path_down(params["current"], params["target"]) if params["target"] else []
    taken = [known.scripts[step.revision] for step in way]
    sql = offline_sql.cut(params["sql"])
    with names.default_schema(_default_schema(params["sessions"])):
        judged = risk.along([risk.judge(script, files) for script in taken])
        demands = additive.obstacles(list(reversed(taken)), files)
        read_twice = risk.disagreements(
            [operation for step in judged for operation in step.operations], sql_risk.judge_sql(sql)
        )
        losses = risk.path_losses(judged)
        again = [walk.walk(script, script.upgrade, modules.Modules(files), sql_risk.SqlReader()) for script in taken]
    return {
        "changed": False,
        "heads": list(known.heads),
        "bases": list(known.bases),
        "revisions": len(known.scripts),
        "path": [
            {
                **step.as_dict(),
                "heads": list(at.heads),
                "argument": at.argument,
                "demands": demands[step.revision],
                "names": named.harmless(list(step.operations)),
                "fills": named.demanding(up.operations),
            }
            for step, at, up in zip(judged, way, again)
        ],
        "losses": [loss.as_dict() for loss in losses],
        "sql": sealed.redacted(sql),
        "disagreements": [sealed.redacted(sentence) for sentence in read_twice] if sql else [],
    }


def _default_schema(sessions):
    """The schema that every session looks into first; empty where they differ, or look into none."""
    return _only((session["schemas"] or [""])[0] for session in sessions) if sessions else "public"


def _only(names):
    """The one name that all of them are; empty where they differ, or there is none."""
    found = set(names)
    return found.pop() if len(found) == 1 else ""


def _refuse_left_out(elsewhere, known):
    left_out = sorted(table for table, heads in elsewhere.items() if set(heads) & set(known))
    if left_out:
        raise RollbackError(
            f"Alembic's env.py does not go through the schemas of {listed(left_out)}, which have revisions of the same migrations"
            " and would stay as they are.",
            "Let env.py migrate all of them, with alembic_downgrade_options or alembic_downgrade_environment where it takes some.",
        )


def main() -> None:
    module.run(ARGUMENT_SPEC, understand, mutually_exclusive=[("tree", "directory")])


if __name__ == "__main__":
    main()
