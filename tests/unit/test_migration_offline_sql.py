"""What of the output of `--sql` is SQL, whatever env.py prints around it."""

import pytest
from migration_bodies import judged

from ansible.module_utils.rollback.migrations import offline_sql, risk
from ansible.module_utils.rollback.migrations.sql_risk import judge_sql

DOWN = "ALTER TABLE orders DROP COLUMN note;"
TWO = "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$\nBEGIN\n\n  RETURN 1;\nEND;\n$$;"
FIRST = "UPDATE alembic_version SET version_num='a1' WHERE alembic_version.version_num = 'b2';"
LAST = "DELETE FROM alembic_version WHERE alembic_version.version_num = 'a1';"
STEPS = ["-- Running downgrade b2 -> a1", DOWN, FIRST, "-- Running downgrade a1 -> ", TWO, LAST]


def output(*parts):
    return "".join(f"{part}\n\n" for part in parts)


FRAMES = {
    "one transaction": ["BEGIN;", *STEPS, "COMMIT;"],
    "none": STEPS,
    "one for each": ["BEGIN;", *STEPS[:3], "COMMIT;", "BEGIN;", *STEPS[3:], "COMMIT;"],
    "an autocommit block": ["BEGIN;", STEPS[0], "COMMIT;", DOWN, "BEGIN;", *STEPS[2:], "COMMIT;"],
}
BANNER = "Shop migrations, environment: production\nSELECT what you like; drop the rest"


@pytest.mark.parametrize("parts", FRAMES.values(), ids=FRAMES)
@pytest.mark.parametrize("place", ["before", "after", "between", "after each", "on the line above"])
def test_a_banner_is_no_sql(parts, place):
    printed = {
        "before": f"{BANNER}\n{output(*parts)}",
        "after": f"{output(*parts)}{BANNER}\n",
        "between": output(*(text for part in parts for text in (part, BANNER))),
        "after each": "".join(f"{part}\n\n{BANNER}\n" for part in parts),
        "on the line above": "".join(f"Dropping …\n{part}\n\n" for part in parts),
    }[place]
    assert offline_sql.cut(printed) == output(*parts)


@pytest.mark.parametrize("parts", FRAMES.values(), ids=FRAMES)
def test_output_without_a_banner_stays_as_it_is(parts):
    assert offline_sql.cut(output(*parts)) == output(*parts)


def test_a_statement_that_the_parser_does_not_take_stays():
    strange = "ALTER TABLE orders\n  DROP COLUMN note WHATEVER;"
    printed = output(STEPS[0], strange, FIRST)
    assert offline_sql.cut(printed) == printed
    assert "unknown" in {done.risk for done in judge_sql(offline_sql.cut(printed))}


def test_output_without_any_mark_is_read_line_by_line():
    assert offline_sql.cut(f"hello\n{output(DOWN)}bye\n") == output(DOWN)
    assert offline_sql.cut("") == ""


def test_with_a_banner_the_script_and_its_sql_still_agree():
    step = judged('op.drop_column("orders", "note")')
    printed = f"{BANNER}\n{output('BEGIN;', *STEPS[:3], 'COMMIT;')}"
    assert risk.disagreements(step.operations, judge_sql(offline_sql.cut(printed))) == []
