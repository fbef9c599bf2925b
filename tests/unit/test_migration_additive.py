import re

import pytest
from migration_bodies import HEAD, body

from ansible.module_utils.rollback.migrations import additive, scripts
from ansible.module_utils.rollback.migrations.tree import Tree


def obstacles(*ups):
    """The sentences of each upgrade, applied one after the other."""
    files = {}
    for number, up in enumerate(ups, 1):
        down = f'"r{number - 1}"' if number > 1 else "None"
        head = HEAD.replace('revision = "r2"\ndown_revision = "r1"', f'revision = "r{number}"\ndown_revision = {down}')
        files[f"versions/r{number}.py"] = "\n".join([head, body("upgrade", up), body("downgrade", "pass")])
    tree = Tree(files, tuple(files))
    found = sorted(scripts.parse(tree), key=lambda script: script.revision)
    return list(additive.obstacles(found, tree).values())


@pytest.mark.parametrize(
    "up",
    [
        "pass",
        'op.create_table("calls", sa.Column("id", sa.Integer, primary_key=True), sa.Column("lead", sa.ForeignKey("leads.id")))',
        'op.add_column("leads", sa.Column("phone", sa.Text))',
        'op.add_column("leads", sa.Column("score", sa.Integer, nullable=False, server_default="0"))',
        'op.create_index("ix", "leads", ["name"])',
        'with op.get_context().autocommit_block():\n    op.create_index("ix", "leads", ["name"], postgresql_concurrently=True)',
        'op.drop_index("ix")',
        'op.alter_column("leads", "name", nullable=True)',
        'op.alter_column("leads", "name", type_=sa.Text(), existing_type=sa.String(50))',
        'op.drop_constraint("uq", "leads")',
        "op.execute(\"ALTER TYPE mood ADD VALUE 'fine'\")",
        'op.execute("CREATE VIEW v AS SELECT 1")',
        # What it adds, it may fill and fence in.
        'op.add_column("leads", sa.Column("phone", sa.Text))\nop.execute("UPDATE leads SET phone = \'\'")',
        'op.create_table("calls", sa.Column("id", sa.Integer))\nop.execute("INSERT INTO calls VALUES (1)")\n'
        'op.create_unique_constraint("uq", "calls", ["id"])\nop.drop_table("calls")',
        'op.add_column("leads", sa.Column("owner", sa.Integer))\nop.create_foreign_key("fk", "leads", "users", ["owner"], ["id"])',
        'op.add_column("leads", sa.Column("code", sa.Text))\nop.create_index("ux", "leads", ["code"], unique=True)',
    ],
)
def test_what_only_adds_is_no_obstacle(up):
    assert obstacles(up) == [[]]


@pytest.mark.parametrize(
    ("up", "said"),
    [
        ('op.drop_column("leads", "name")', "Drops column"),
        ('op.drop_table("leads")', "Drops table leads"),
        ('op.rename_table("leads", "people")', "leads"),
        ('op.alter_column("leads", "name", new_column_name="full_name")', "name"),
        ('op.alter_column("leads", "name", nullable=False)', "name"),
        ('op.alter_column("leads", "name", server_default=None)', "loses its default"),
        (
            'op.add_column("leads", sa.Column("phone", sa.Text, nullable=False))',
            "phone of leads is demanded of every new row",
        ),
        ('op.create_unique_constraint("uq", "leads", ["name"])', "A new constraint on leads may refuse"),
        ('op.create_check_constraint("ck", "leads", "score > 0")', "A new constraint on leads may refuse"),
        ('op.create_index("ux", "leads", ["name"], unique=True)', "A new unique index on leads"),
        ('op.execute("UPDATE leads SET name = upper(name)")', "Data of leads, which older code knows, is changed"),
        ('op.execute("DELETE FROM leads")', "Data of leads"),
        ('op.get_bind().execute(sa.text(open("x").read()))', "cannot be read"),
        ('op.alter_column("leads", "n", type_=sa.SmallInteger())', "n"),
        ('op.execute("DROP VIEW report")', "Drops the view report"),
        ('op.execute("DO $$ BEGIN EXECUTE query; END $$")', "cannot be read"),
    ],
)
def test_what_older_code_cannot_live_with_is_named_with_its_place(up, said):
    ((sentence, *_),) = obstacles(up)
    assert said in sentence
    assert re.search(r"\(versions/r1\.py:\d+\)\.$", sentence)


def test_a_later_migration_may_change_what_an_earlier_one_added():
    assert obstacles(
        'op.add_column("leads", sa.Column("phone", sa.Text))\nop.create_table("calls", sa.Column("id", sa.Integer))',
        'op.alter_column("leads", "phone", nullable=False)\nop.drop_column("leads", "phone")\nop.drop_table("calls")',
    ) == [[], []]
