"""What histories of other projects taught: each case is the smallest form of something that one of them does."""

from pathlib import Path

import pytest
from migration_bodies import judged, losses, words

from ansible.module_utils.rollback.migrations import risk, scripts, tree
from ansible.module_utils.rollback.migrations.operations import IRREVERSIBLE, LOSSY, UNKNOWN, StepRisk

REVISION = "from alembic import op\n{imports}\nrevision = 'a'\ndown_revision = None\n"


def test_helpers_are_found_below_a_namespace_package(tmp_path: Path) -> None:
    home = tmp_path / "shop" / "model" / "migrations"
    versions = home / "alembic" / "versions_shop"
    versions.mkdir(parents=True)
    (tmp_path / "shop" / "model" / "__init__.py").touch()
    (home / "__init__.py").touch()
    (home / "util.py").write_text("from alembic import op\ndef gone(table):\n    op.drop_table(table)\n")
    (versions / "a.py").write_text(
        REVISION.format(imports="from shop.model.migrations.util import gone")
        + "def upgrade():\n    op.create_table('orders')\ndef downgrade():\n    gone('orders')\n"
    )

    (judged,) = verdicts(versions)

    assert judged.risk == LOSSY
    assert [loss.table for done in judged.operations for loss in done.losses] == ["orders"]


def test_helpers_are_found_above_a_directory_that_is_no_package(tmp_path: Path) -> None:
    versions = tmp_path / "shop" / "storage" / "alembic" / "versions"
    versions.mkdir(parents=True)
    for package in (tmp_path / "shop", tmp_path / "shop" / "storage", versions):
        (package / "__init__.py").touch()
    (tmp_path / "shop" / "storage" / "helpers.py").write_text(
        "from alembic import op\ndef gone(table):\n    op.drop_table(table)\n"
    )
    (versions / "a.py").write_text(
        REVISION.format(imports="from shop.storage.helpers import gone")
        + "def upgrade():\n    op.create_table('orders')\ndef downgrade():\n    gone('orders')\n"
    )

    (judged,) = verdicts(versions)

    assert judged.risk == LOSSY


def verdicts(versions: Path) -> "list[StepRisk]":
    found = tree.read_versions(versions)
    return [risk.judge(script, found) for script in scripts.parse(found)]


@pytest.mark.parametrize("call", ["super().run()", "super(Dropping, self).run()"])
def test_a_method_that_calls_the_one_above_it_is_followed(call: str) -> None:
    found = judged(
        "Dropping('orders').run()",
        above="class Operation:\n    def __init__(self, table):\n        self.table = table\n"
        "    def run(self):\n        self.execute()\n"
        "class Checked(Operation):\n    def run(self):\n        return super().run()\n"
        "class Dropping(Checked):\n    def run(self):\n        return CALL\n"
        "    def execute(self):\n        op.drop_table(self.table)\n".replace("CALL", call),
    )

    assert losses(found) == words("table orders")


CREATES = "op.create_table('t', sa.Column('id', sa.Integer), sa.Column('c', sa.Text))"
ADDS = "op.add_column('t', sa.Column('c', sa.Text))"
IF_IT_IS_MISSING = f"if 'c' not in [one['name'] for one in sa.inspect(op.get_bind()).get_columns('t')]:\n    {ADDS}"
OVERWRITES = "op.execute(\"UPDATE t SET c = 'x'\")"


@pytest.mark.parametrize("adds", [IF_IT_IS_MISSING, "op.execute('ALTER TABLE t ADD COLUMN IF NOT EXISTS c text')"])
def test_a_column_that_is_only_perhaps_added_had_values_before(adds: str) -> None:
    assert losses(judged(f"{adds}\n{OVERWRITES}", up=CREATES)) == words("values t.c")


@pytest.mark.parametrize("up", [f"{CREATES}\nop.drop_column('t', 'c')", "op.drop_column('t', 'c')"])
def test_a_column_that_the_upgrade_has_dropped_is_new(up: str) -> None:
    assert losses(judged(f"{IF_IT_IS_MISSING}\n{OVERWRITES}", up=up)) == set()


MAKES_IT_IF_IT_IS_MISSING = f"if not sa.inspect(op.get_bind()).has_table('t'):\n    {CREATES}"


def test_a_table_that_is_only_perhaps_made_had_rows_before() -> None:
    assert losses(judged(f"{MAKES_IT_IF_IT_IS_MISSING}\nop.drop_table('t')", up=CREATES)) == words("table t")


def test_a_table_that_the_upgrade_has_dropped_is_new() -> None:
    assert losses(judged(f"{MAKES_IT_IF_IT_IS_MISSING}\nop.drop_table('t')", up="op.drop_table('t')")) == set()


def test_a_loop_without_an_end_may_return_on_a_condition() -> None:
    helper = (
        "import os\ndef settled(value):\n    while True:\n        found = os.path.expandvars(value)\n"
        "        if found == value:\n            return found\n        value = found\n"
    )

    assert losses(judged("settled('$HOME')\nop.drop_table('t')", above=helper)) == words("table t")


def test_a_module_that_is_imported_by_its_name_is_followed() -> None:
    above = "from importlib import import_module\nother = import_module('shop.2023-09-06_added')"
    gone = {"shop/2023-09-06_added.py": "from alembic import op\ndef downgrade():\n    op.drop_column('t', 'c')\n"}

    assert losses(judged("other.downgrade()", above=above, helpers=gone)) == words("column t.c")
    assert judged("other.downgrade()", above=above).risk == UNKNOWN
    assert judged("other.downgrade()", above=above.replace("'shop", "__name__ + 'shop")).risk == UNKNOWN


def test_a_table_with_a_column_twice_can_never_be_made() -> None:
    step = judged("op.create_table('t', sa.Column('c', sa.Text), sa.Column('c', sa.Integer))")

    assert step.risk == IRREVERSIBLE
    assert "the column c twice" in step.operations[-1].reason


MOVES = (
    "op.add_column('t', sa.Column('c_v2', sa.Text))\nop.execute('UPDATE t SET c_v2 = c::text WHERE c IS NOT NULL')\n"
    "op.drop_column('t', 'c')\nop.alter_column('t', 'c_v2', new_column_name='c')"
)


def test_values_that_were_moved_to_a_new_column_go_with_it() -> None:
    moved, gone = judged(MOVES, up=CREATES), judged("op.drop_column('t', 'c')", up=CREATES)

    assert losses(moved) == set()
    assert losses(judged(f"{MOVES}\nop.drop_column('t', 'c')", up=CREATES)) == words("column t.c")
    assert [(one.kind, one.table, one.columns) for one in risk.path_losses([moved, gone])] == [("column", "t", ("c",))]


def test_a_table_that_is_perhaps_made_again_may_have_the_keys_of_both() -> None:
    up = (
        "op.create_table('p', sa.Column('id', sa.Integer, primary_key=True))\n"
        "op.create_table('k', sa.Column('id', sa.Integer))\n"
        "if not sa.inspect(op.get_bind()).has_table('k'):\n"
        "    op.create_table('k', sa.Column('of', sa.Integer, sa.ForeignKey('p.id', ondelete='CASCADE')))"
    )

    assert losses(judged("op.execute('DELETE FROM p')", up=up)) == words("rows p", "rows k")
