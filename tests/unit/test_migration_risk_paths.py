from dataclasses import replace

from migration_bodies import judged, words

from ansible.module_utils.rollback.migrations import risk
from ansible.module_utils.rollback.migrations.operations import Loss
from ansible.module_utils.rollback.migrations.sql_risk import judge_sql


def path(*bodies):
    """Steps in the order they are taken; the n-th is that of the revision `rn`."""
    steps = []
    for number, down in enumerate(bodies, 1):
        step = judged(down)
        operations = tuple(
            replace(done, losses=tuple(replace(loss, revision=f"r{number}") for loss in done.losses))
            for done in step.operations
        )
        steps.append(replace(step, revision=f"r{number}", operations=operations))
    return steps


def test_losses_are_in_the_names_of_before_the_path():
    found = risk.path_losses(
        path(
            'op.rename_table("now", "then")\nop.alter_column("then", "a", new_column_name="b")',
            'op.drop_column("then", "b")',
            'op.rename_table("then", "once")',
            'op.drop_column("once", "c")',
        )
    )
    assert found == [
        Loss("column", "", "now", ("a",), "r2"),
        Loss("column", "", "now", ("c",), "r4"),
    ]


def test_what_the_path_itself_created_is_no_loss():
    assert not risk.path_losses(
        path(
            'op.create_table("old", sa.Column("x", sa.Text))\nop.add_column("t", sa.Column("y", sa.Text))',
            'op.drop_table("old")',
            'op.drop_column("t", "y")',
        )
    )


def test_a_name_that_is_used_again_is_another_thing():
    found = risk.path_losses(
        path(
            'op.rename_table("a", "b")\nop.create_table("a", sa.Column("x", sa.Text))',
            'op.drop_table("a")',
            'op.drop_table("b")',
        )
    )
    assert found == [Loss("table", "", "a", (), "r3")]


def test_each_thing_is_lost_once():
    found = risk.path_losses(
        path(
            'op.drop_column("t", "a")\nop.execute("UPDATE u SET b = 1")\nop.execute("DELETE FROM v")',
            'op.drop_column("u", "b")\nop.execute("DELETE FROM v WHERE x")',
            'op.drop_table("t", schema="public")',
        )
    )
    assert found == [
        Loss("rows", "", "v", (), "r1"),
        Loss("column", "", "u", ("b",), "r2"),
        Loss("table", "public", "t", (), "r3"),
    ]


def test_readings_that_agree_say_nothing():
    step = judged('op.drop_column("t", "c")\nop.drop_table("u")')
    sql = "BEGIN; ALTER TABLE t DROP COLUMN c; DROP TABLE u; UPDATE alembic_version SET version_num='r1' WHERE version_num='r2'; COMMIT;"
    assert risk.disagreements(step.operations, judge_sql(sql)) == []


def test_readings_that_differ_in_what_goes():
    step = judged('op.drop_column("t", "c")')
    (more, less) = risk.disagreements(step.operations, judge_sql("DROP TABLE u"))
    assert "table of u" in more
    assert "column of t.c" in less


def test_readings_that_differ_in_risk_alone():
    (said,) = risk.disagreements(judged("op.execute(build())").operations, judge_sql("DROP INDEX i"))
    assert said.startswith("The script reads as unknown, its SQL as safe")


def test_what_the_sql_alone_cannot_know_is_no_difference():
    up = 'op.create_table("t", sa.Column("id", sa.Integer, sa.ForeignKey("u.id", ondelete="CASCADE")), sa.Column("c", sa.Text))'
    down = 'op.alter_column("t", "c", type_=sa.VARCHAR())\nop.execute("DELETE FROM u WHERE x")'
    sql = "ALTER TABLE t ALTER COLUMN c TYPE VARCHAR; DELETE FROM u WHERE x"
    assert risk.disagreements(judged(down, up).operations, judge_sql(sql)) == []
    assert risk.disagreements(judged("pass").operations, judge_sql("")) == []


def test_words_of_the_tests_are_read_as_meant():
    assert words("column s.t.c", "table s.t") == {("column", "s.t", "c"), ("table", "s.t", "")}
