"""One-revision histories from the body of a downgrade, for tests of the risk."""

import textwrap

from ansible.module_utils.rollback.migrations import risk, scripts
from ansible.module_utils.rollback.migrations.tree import Tree

HEAD = """
import sqlalchemy as sa
from alembic import context, op
from sqlalchemy import orm
from sqlalchemy.dialects import postgresql

revision = "r2"
down_revision = "r1"
"""
# Something that the upgrade does, where a test does not say what.
UPGRADE = 'op.create_index("ix", "t", ["c"])'


def body(name, text):
    return f"def {name}():\n" + textwrap.indent(textwrap.dedent(text).strip("\n"), "    ") + "\n"


def judged(down, up=UPGRADE, above="", helpers=None, version_table_schema=""):
    """The StepRisk of such a downgrade; `above` stands before the functions, `helpers` are modules by path."""
    text = "\n".join([HEAD, textwrap.dedent(above), body("upgrade", up), body("downgrade", down)])
    files = {"versions/r2.py": text, **(helpers or {})}
    tree = Tree(files, ("versions/r2.py",), version_table_schema=version_table_schema)
    (script,) = scripts.parse(tree)
    return risk.judge(script, tree)


def losses(step):
    """`{("column", "t", "c")}`: each column of each loss by itself."""
    return {
        (loss.kind, loss.name, column)
        for done in step.operations
        for loss in done.losses
        for column in loss.columns or ("",)
    }


def words(*said):
    """Losses as a test writes them: `column t.c`, `table t`."""
    return {
        (kind, *((*name.rsplit(".", 1),) if kind in ("column", "values") else (name, "")))
        for kind, name in (one.split() for one in said)
    }
