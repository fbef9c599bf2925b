import pytest
from made_up import census, table

from ansible.module_utils.rollback.verification import of_database

EXPECTED = census()


def checks(found=EXPECTED, heads=("aaa",), expected=EXPECTED, oid=16384, refused=(), role="hunter"):
    return {check.name: check for check in of_database(found, list(heads), expected, oid, list(refused), role)}


def test_a_database_that_is_as_it_should_be_passes_every_check():
    found = checks()
    assert {name: check.ok for name, check in found.items()} == dict.fromkeys(
        ["revision", "identity", "access", "schema", "rows"], True
    )
    assert found["rows"].detail == "2 rows in 1 table, exactly the manifest's"


@pytest.mark.parametrize(
    ("changes", "failing", "said"),
    [
        ({"heads": ["zzz"]}, "revision", "aaa, expected zzz"),
        ({"heads": []}, "revision", "aaa, expected none"),
        ({"found": census(alembic_heads=None)}, "revision", "none, expected aaa"),
        ({"oid": 17}, "identity", "hunter is not the database of this run (OID 17)"),
        ({"refused": ["permission denied for table leads"]}, "access", "permission denied for table leads"),
        ({"found": census(objects={})}, "schema", "missing relation public.leads"),
        (
            {"found": census(objects={**EXPECTED.objects, "index public.i": "1"})},
            "schema",
            "not in the manifest index public.i",
        ),
        ({"found": census(tables={"public.leads": table(1)})}, "rows", "public.leads has 1 rows, not 2"),
        ({"found": census(tables={})}, "rows", "public.leads has 0 rows, not 2"),
    ],
)
def test_one_thing_that_is_wrong_fails_one_check(changes, failing, said):
    found = checks(**changes)
    assert [name for name, check in found.items() if not check.ok] == [failing]
    assert found[failing].detail == said


def test_rows_written_since_the_swap_are_noted_and_no_failure():
    check = checks(found=census(tables={"public.leads": table(5), "public.new": table(9)}))["rows"]
    assert (check.ok, check.detail) == (True, "2 rows in 1 table, and 3 rows written since")


def test_more_rows_in_one_table_do_not_hide_fewer_in_another():
    two = census(tables={"a": table(5), "b": table(5)})
    assert not checks(expected=two, found=census(tables={"a": table(9), "b": table(4)}))["rows"].ok


def test_what_was_not_asked_is_not_checked():
    assert list(checks(expected=None, oid=None, role=None)) == ["revision"]


def test_heads_in_any_order_are_the_same():
    assert checks(found=census(alembic_heads=["b", "a"]), heads=["a", "b"])["revision"].ok
