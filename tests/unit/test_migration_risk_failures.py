"""Downgrades that PostgreSQL, SQLAlchemy or the rows in a table make fail, and what goes with a partitioned table."""

import pytest
from migration_bodies import judged, losses, words

from ansible.module_utils.rollback.migrations import risk
from ansible.module_utils.rollback.migrations.column_types import Type, refuses
from ansible.module_utils.rollback.migrations.sql_risk import judge_sql

ENUM = "op.execute(\"CREATE TYPE colour AS ENUM ('red', 'green')\")\nop.execute(\"CREATE TABLE t (id int, c colour, d text)\")"
KIND = 'kind = postgresql.ENUM("a", "b", name="kind")'

ALWAYS = {
    "text to an enum that is made first": (
        f'{KIND}\nkind.create(op.get_bind())\nop.alter_column("t", "d", type_=kind)',
        "which PostgreSQL always refuses: it converts no text into kind",
    ),
    "text to integer": (
        'op.alter_column("t", "d", existing_type=sa.Text(), type_=sa.Integer())',
        "it converts no text into integer by itself",
    ),
    "integer to boolean": ('op.alter_column("t", "id", type_=sa.Boolean())', "it converts no integer into boolean"),
    "a type that takes no argument": (
        'op.add_column("t", sa.Column("x", sa.Integer(display_width=1)))',
        "Can never run: Integer takes no argument display_width",
    ),
    "too many arguments": ('op.add_column("t", sa.Column("x", sa.DateTime(True, 3)))', "is given too many arguments"),
    "a length that is none": (
        'op.add_column("t", sa.Column("x", sa.String("abc")))',
        "'abc' is not a length of String",
    ),
}
PERHAPS = {
    "text to integer with USING": 'op.alter_column("t", "d", type_=sa.Integer(), postgresql_using="d::integer")',
    "integer to text": 'op.alter_column("t", "id", type_=sa.Text())',
    "an enum to text": 'op.alter_column("t", "c", type_=sa.Text())',
    "a type that the script does not know": 'op.execute("ALTER TABLE t ALTER COLUMN d TYPE shop.label")',
    "a length in words": 'op.add_column("t", sa.Column("x", sa.String("20")))',
    "an argument of another dialect's type": (
        'from sqlalchemy.dialects import mysql\nop.add_column("t", sa.Column("x", mysql.INTEGER(display_width=1)))'
    ),
}


@pytest.mark.parametrize(("down", "said"), ALWAYS.values(), ids=ALWAYS)
def test_what_always_fails_is_irreversible(down, said):
    step = judged(down, ENUM)
    assert step.risk == "irreversible"
    assert said in " ".join(step.reasons)


@pytest.mark.parametrize("down", PERHAPS.values(), ids=PERHAPS)
def test_what_may_succeed_is_not_called_irreversible(down):
    assert judged(down, ENUM).risk != "irreversible"


def test_a_type_change_that_fails_only_on_a_condition_is_not_irreversible():
    down = 'if op.get_bind().scalar(sa.text("SELECT 1")):\n    op.alter_column("t", "d", type_=sa.Integer())'
    assert judged(down, ENUM).risk != "irreversible"


def test_the_sql_of_a_type_change_that_always_fails_agrees_with_the_script():
    step = judged('op.alter_column("t", "d", type_=sa.Integer())', ENUM)
    assert risk.disagreements(step.operations, judge_sql("ALTER TABLE t ALTER COLUMN d TYPE INTEGER")) == []


# Measured on PostgreSQL: whether ALTER COLUMN … TYPE without USING is refused.
CASTS = [
    ("text", "int4", True), ("varchar", "date", True), ("int4", "text", False), ("int8", "int2", False), ("int4", "bool", True),
    ("bool", "int4", True), ("timestamptz", "date", False), ("date", "timestamp", False), ("text", "jsonb", True),
    ("jsonb", "text", False), ("json", "jsonb", False), ("uuid", "text", False), ("text", "uuid", True), ("inet", "cidr", False),
    ("timestamp", "timetz", True), ("timestamptz", "timetz", False), ("interval", "time", False), ("bytea", "text", False),
    ("text", "bytea", True),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "refused"), CASTS)
def test_which_types_postgresql_converts_by_itself(old, new, refused):
    assert refuses(Type(old), Type(new), False) is refused


RECREATED = (
    "op.execute(\"ALTER TYPE colour RENAME TO colour_old\")\nop.execute(\"CREATE TYPE colour AS ENUM ('red', 'green')\")\n"
    'op.execute("ALTER TABLE t ALTER COLUMN c TYPE colour USING c::text::colour")\nop.execute("DROP TYPE colour_old")'
)


@pytest.mark.parametrize(
    ("up", "label"),
    [
        (f"{ENUM}\nop.execute(\"ALTER TYPE colour ADD VALUE 'blue'\")", "blue"),
        (f"{ENUM}\nop.execute(\"ALTER TYPE colour RENAME VALUE 'red' TO 'ruby'\")", "ruby"),
        ('op.create_table("t", sa.Column("c", sa.Enum("red", "green", "grey", name="colour")))', "grey"),
    ],
)
def test_an_enum_with_fewer_labels_fails_on_rows_that_have_the_others(up, label):
    assert any(f"rows that have {label} make it fail" in done.reason for done in judged(RECREATED, up).operations)


def test_an_enum_with_the_same_labels_fails_on_nothing():
    assert not any("make it fail" in done.reason for done in judged(RECREATED, ENUM).operations)


HOLLOW = "which fails if the table has any row: the column was added without values"


def test_nulls_are_forbidden_in_a_column_that_the_way_down_added_itself():
    add, forbid = 'op.add_column("t", sa.Column("x", sa.Text))', 'op.alter_column("t", "x", nullable=False)'
    fill = 'op.execute("UPDATE t SET x = 1")'

    def said(*downs):
        steps = risk.along([judged(down) for down in downs])
        return any(HOLLOW in done.reason for step in steps for done in step.operations)

    assert said(add, forbid)
    assert said(f"{add}\n{forbid}")
    assert said(add, 'op.alter_column("t", "x", new_column_name="y")', 'op.alter_column("t", "y", nullable=False)')
    assert not said(add, fill, forbid)
    assert not said(forbid)
    assert not said('op.add_column("t", sa.Column("x", sa.Text, server_default="a"))', forbid)
    assert not said('op.create_table("t", sa.Column("id", sa.Integer))', add, forbid)


PARTS = (
    'op.execute("CREATE TABLE e (d date) PARTITION BY RANGE (d)")\n'
    "op.execute(\"CREATE TABLE e1 PARTITION OF e FOR VALUES FROM ('2026-01-01') TO ('2027-01-01') PARTITION BY RANGE (d)\")\n"
    "op.execute(\"CREATE TABLE s.e2 PARTITION OF e1 FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')\")\n"
)


@pytest.mark.parametrize(
    ("more", "down", "lost"),
    [
        ("", 'op.drop_table("e")', ["table e", "table e1", "table s.e2"]),
        ("", 'op.drop_table("e1")', ["table e1", "table s.e2"]),
        ('op.execute("ALTER TABLE e DETACH PARTITION e1")', 'op.drop_table("e")', ["table e"]),
        ("", 'op.execute("ALTER TABLE e DETACH PARTITION e1")\nop.drop_table("e")', ["table e"]),
        ('op.rename_table("e1", "f")', 'op.drop_table("e")', ["table e", "table f", "table s.e2"]),
        (
            'op.execute("ALTER TABLE e ATTACH PARTITION e3 DEFAULT")',
            'op.drop_table("e")',
            ["table e", "table e1", "table s.e2", "table e3"],
        ),
        (
            "",
            'op.execute("CREATE TABLE e4 PARTITION OF e DEFAULT")\nop.drop_table("e")',
            ["table e", "table e1", "table s.e2"],
        ),
    ],
)
def test_partitions_go_with_their_table(more, down, lost):
    step = judged(down, PARTS + more)
    assert losses(step) == words(*lost)
    assert risk.disagreements(step.operations, judge_sql("; ".join(done.sql for done in step.operations))) == []


SCHEMA = "context.get_context().version_table_schema"


@pytest.mark.parametrize(
    ("known", "expression", "lost"),
    [
        ("", f'{SCHEMA} or ""', "column t.c"),
        ("audit", f'{SCHEMA} or ""', "column audit.t.c"),
        ("audit", SCHEMA, "column audit.t.c"),
        ("audit", "op.get_context().version_table_schema or None", "column audit.t.c"),
        ("", '""', "column t.c"),
    ],
)
def test_the_schema_of_alembics_own_table_names_a_table(known, expression, lost):
    step = judged(f'schema = {expression}\nop.drop_column("t", "c", schema=schema)', version_table_schema=known)
    assert (step.risk, losses(step)) == ("lossy", words(lost))


def test_the_schema_of_alembics_own_table_goes_into_text():
    step = judged(f'op.execute(f"DROP TABLE {{{SCHEMA}}}.t")', version_table_schema="audit")
    assert losses(step) == words("table audit.t")


@pytest.mark.parametrize(
    "condition", [SCHEMA, f"not {SCHEMA}", f'{SCHEMA} == "audit"', f"{SCHEMA} is None", f'f"{{{SCHEMA}}}" != "audit"']
)
def test_the_schema_of_alembics_own_table_decides_nothing(condition):
    step = judged(f'if {condition}:\n    op.drop_column("t", "c")', version_table_schema="audit")
    assert losses(step) == words("column t.c")
