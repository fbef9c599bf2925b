import pytest
from made_up import as_json, census, table

from ansible.module_utils.rollback.census import Census, differences

BEFORE = census()


def test_the_same_census_has_no_differences_and_survives_json():
    assert differences(BEFORE, BEFORE) == []
    assert Census.from_dict(as_json(BEFORE.as_dict())) == BEFORE
    assert BEFORE.rows == 2


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"alembic_heads": ["bbb"]}, "the revision is bbb, not aaa"),
        ({"alembic_heads": None}, "the revision is none, not aaa"),
        ({"tables": {"public.leads": table(1)}}, "public.leads has 1 rows, not 2"),
        ({"tables": {"public.leads": table(content="y")}}, "public.leads has other content in as many rows"),
        (
            {"tables": {"public.leads": table(readable=False, content="x")}},
            "the application may no longer read public.leads",
        ),
        ({"sequences": {"public.leads_id_seq": None}}, "sequence public.leads_id_seq stands at None, not 2"),
        ({"objects": {}}, "missing: relation public.leads"),
        ({"objects": {**BEFORE.objects, "function public.f()": "1"}}, "not in the original: function public.f()"),
        ({"objects": {"relation public.leads": "other"}}, "defined differently: relation public.leads"),
    ],
)
def test_each_difference_is_a_sentence(changes, said):
    before = census(tables={"public.leads": table(content="x")})
    assert differences(before, census(**{"tables": before.tables, **changes})) == [said]


def test_definitions_in_other_words_are_compared_by_name():
    other = census(objects={"relation public.leads": "other"})
    assert differences(BEFORE, other, words=False) == []
    assert differences(BEFORE, other) == ["defined differently: relation public.leads"]
    lacking = census(objects={})
    assert differences(BEFORE, lacking, words=False) == ["missing: relation public.leads"]


def test_what_may_differ_in_a_restored_database():
    restored = census(
        database="x",
        database_oid=9,
        bytes=1,
        stats_reset=None,
        system_identifier="8",
        tables={"public.leads": table(oid=9, inserted=2)},
    )
    assert differences(BEFORE, restored) == []


def test_what_the_application_could_never_read_is_no_difference():
    assert differences(census(tables={"t": table(readable=None)}), census(tables={"t": table(readable=False)})) == []
