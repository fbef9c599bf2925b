"""A migration that changes what names mean, in its own body."""

import pytest

from ansible.module_utils.rollback.migrations import names, sql_risk
from ansible.module_utils.rollback.migrations.names import merged
from ansible.module_utils.rollback.migrations.operations import SAFE, UNKNOWN, Loss


@pytest.mark.parametrize(
    "statement",
    [
        "SET search_path TO tenant_a",
        "SET LOCAL search_path = tenant_a, public",
        "SET search_path TO DEFAULT",
        "RESET search_path",
        "SELECT set_config('search_path', 'tenant_a', true)",
        "SET ROLE tenant_a",
        "SET SESSION AUTHORIZATION tenant_a",
        "DO $$ BEGIN SET LOCAL search_path = tenant_a; END $$",
        "DO $$ BEGIN PERFORM set_config('search_path', 'tenant_a', true); END $$",
    ],
)
def test_another_search_path_makes_a_step_unknown(statement):
    assert {done.risk for done in sql_risk.judge_sql(statement)} == {UNKNOWN}


@pytest.mark.parametrize("statement", ["SET search_path TO public", "SET lock_timeout = '5s'", "SELECT setval('s', 1)"])
def test_what_changes_no_name_stays_safe(statement):
    assert {done.risk for done in sql_risk.judge_sql(statement)} == {SAFE}


def test_the_schema_of_the_session_is_the_one_that_may_be_left_out():
    with names.default_schema("shop"):
        assert merged([Loss("table", "", "t"), Loss("table", "shop", "t"), Loss("table", "public", "t")]) == [
            Loss("table", "", "t"),
            Loss("table", "public", "t"),
        ]
        assert {done.risk for done in sql_risk.judge_sql("SET search_path TO shop")} == {SAFE}
    with names.default_schema(""):
        assert len(merged([Loss("table", "", "t"), Loss("table", "public", "t")])) == 2
