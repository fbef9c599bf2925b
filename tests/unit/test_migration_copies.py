"""Copies before a loss: what counts as one, and what seems to be one and is not."""

import pytest
from migration_bodies import judged, losses, words

KNOWN = 'op.create_table("t", sa.Column("id", sa.Integer), sa.Column("c", {}))'
# Steps that drop a column or table which seems to have been copied, by why the copy is none, and what they lose.
NO_COPIES = {
    "on a condition": ("if leaf:\n    op.execute('UPDATE t SET old = c')", "column t.c"),
    "in a loop": ("for row in leaf:\n    op.execute('UPDATE t SET old = c')", "column t.c"),
    "in a block": ("op.execute('DO $$ BEGIN IF 1 = 2 THEN UPDATE t SET old = c; END IF; END $$')", "column t.c"),
    "perhaps failed": ("try:\n    op.execute('UPDATE t SET old = c')\nexcept Exception: pass", "column t.c"),
    "perhaps raised before": ("try:\n    if leaf: raise KeyError\n    op.execute('UPDATE t SET old = c')\nexcept KeyError: pass", "column t.c"),
    "suppressed": ("import contextlib\nwith contextlib.suppress(Exception):\n    op.execute('UPDATE t SET old = c')", "column t.c"),
    "overwritten": ("op.execute('UPDATE t SET old = c')\nop.execute(\"UPDATE t SET old = '' WHERE id = 1\")", "column t.c"),
    "changed": ("op.execute('UPDATE t SET old = c')\nop.execute('UPDATE t SET old = upper(old)')", "column t.c"),
    "overwritten in the end": ("op.execute('UPDATE t SET old = c')\ntry: op.drop_index(1)\nexcept KeyError: op.execute('UPDATE t SET old = 1')", "column t.c"),
    "cut by a cast": ("op.execute('UPDATE t SET old = c')\nop.execute('ALTER TABLE t ALTER old TYPE varchar(2) USING old::varchar(2)')", "column t.c"),
    "of some rows": ("op.execute('UPDATE t SET old = c WHERE id > 1')", "column t.c"),
    "of a table's column of that name": ("op.execute('UPDATE t SET old = s.c FROM s')", "column t.c"),
    "a name that is not known": ("op.execute(f'UPDATE t SET old = {leaf}')", "column t.c"),
}  # fmt: skip
FILLED = "op.add_column('t', sa.Column('old', sa.Text, nullable=False, server_default=''))"
ROWS = {
    "emptied": "INSERT INTO x SELECT * FROM t; DELETE FROM x",
    "truncated": "INSERT INTO x SELECT * FROM t; TRUNCATE x",
    "overwritten": "INSERT INTO x SELECT * FROM t; UPDATE x SET c = ''",
    "without a column": "INSERT INTO x SELECT * FROM t; ALTER TABLE x DROP COLUMN c",
    "temporary": "CREATE TEMP TABLE k (LIKE t); INSERT INTO k SELECT * FROM t",
    "computed": "CREATE TABLE k AS SELECT id, upper(c) AS c FROM t",
    "cut": "CREATE TABLE k AS SELECT id, c::varchar(2) AS c FROM t",
    "a part": "CREATE TABLE k AS SELECT * FROM t WHERE id > 1",
    "a sample": "CREATE TABLE k AS SELECT * FROM t TABLESAMPLE system(1)",
    "groups": "CREATE TABLE k AS SELECT id, c FROM t HAVING count(*) > 1",
    "narrower": "CREATE TABLE k (id int, c date); INSERT INTO k SELECT * FROM t",
}
COPIES = {
    "all of it": "op.execute('UPDATE t SET old = c')",
    "all there is": "op.execute('UPDATE t SET old = c WHERE c IS NOT NULL')",
    "by SQLAlchemy": "t = sa.table('t', sa.column('c'), sa.column('old'))\nop.execute(t.update().values(old=t.c.c))",
    "where there is nothing": "op.execute('UPDATE t SET old = c WHERE old IS NULL')",
}


def _step(copy, drop, kind="sa.Text", fresh="op.add_column('t', sa.Column('old', sa.Text))"):
    lines = ["op.drop_index('ix')", "leaf = op.get_bind().scalar(sa.text('SELECT 1'))", fresh, copy, drop]
    return judged("\n".join(lines), up=KNOWN.format(kind))


@pytest.mark.parametrize(("copy", "lost"), NO_COPIES.values(), ids=NO_COPIES)
def test_what_is_no_copy_saves_nothing(copy, lost):
    step = _step(copy, "op.drop_column('t', 'c')")
    assert step.risk == "lossy"
    assert losses(step) == words(lost)


def test_a_column_with_a_default_takes_in_nothing_where_it_is_null():
    step = _step("op.execute('UPDATE t SET old = c WHERE old IS NULL')", "op.drop_column('t', 'c')", fresh=FILLED)
    assert losses(step) == words("column t.c")


@pytest.mark.parametrize("statements", ROWS.values(), ids=ROWS)
def test_rows_that_were_not_copied_as_they_were_are_lost_with_their_table(statements):
    made = "op.create_table('x', sa.Column('id', sa.Integer), sa.Column('c', sa.Text))"
    step = _step(f'op.execute("{statements}")', "op.drop_table('t')", fresh=made)
    assert step.risk == "lossy"
    assert words("table t") <= losses(step)


@pytest.mark.parametrize(
    ("old", "new", "fits"),
    [
        ("sa.Numeric(10, 2)", "sa.Integer", False),
        ("sa.Float", "sa.Integer", False),
        ("sa.DateTime", "sa.Date", False),
        ("sa.BigInteger", "sa.Integer", False),
        ("postgresql.TIMESTAMP(precision=6)", "postgresql.TIMESTAMP(precision=0)", False),
        ("sa.Integer", "sa.BigInteger", True),
        ("sa.Date", "sa.DateTime", True),
        ("sa.Float", "sa.Text", True),
        ("sa.Text", "sa.String(5)", True),  # what is longer makes it fail
        ("sa.Integer", "sa.Numeric", True),
    ],
)
def test_a_copy_into_a_narrower_type_saves_nothing(old, new, fits):
    fresh = f"op.add_column('t', sa.Column('old', {new}))"
    step = _step("op.execute('UPDATE t SET old = c')", "op.drop_column('t', 'c')", old, fresh)
    assert losses(step) == (set() if fits else words("column t.c"))


@pytest.mark.parametrize("copy", COPIES.values(), ids=COPIES)
def test_a_column_that_was_copied_is_not_lost(copy):
    assert _step(copy, "op.drop_column('t', 'c')").risk == "safe"


def test_a_copy_on_a_condition_holds_on_that_condition():
    copy = "if leaf:\n    op.execute('UPDATE t SET old = c')\n    op.drop_column('t', 'c')"
    assert _step(copy, "pass").risk == "safe"


@pytest.mark.parametrize(
    "statements",
    [
        "INSERT INTO k SELECT * FROM t WHERE id = :a; DELETE FROM t WHERE id = :b",
        "CREATE TABLE k AS SELECT * FROM t WHERE random() < 0.5; DELETE FROM t WHERE random() < 0.5",
        "WITH d AS (DELETE FROM t RETURNING *) INSERT INTO k SELECT * FROM d WHERE id > 1",
        "INSERT INTO k SELECT * FROM t ON CONFLICT DO NOTHING; DELETE FROM t",
    ],
)
def test_rows_that_are_perhaps_others_than_those_copied_are_lost(statements):
    assert losses(_step(f'op.execute("{statements}")', "pass")) == words("rows t")


@pytest.mark.parametrize(
    "statements",
    [
        "INSERT INTO k SELECT * FROM t WHERE id = 1; DELETE FROM t WHERE id = 1",
        "WITH d AS (DELETE FROM t WHERE id > 1 RETURNING *) INSERT INTO k SELECT * FROM d",
        "CREATE TABLE k AS SELECT * FROM t; DELETE FROM t WHERE id > 1",
    ],
)
def test_rows_that_were_copied_are_not_lost(statements):
    assert _step(f'op.execute("{statements}")', "pass").risk == "safe"
