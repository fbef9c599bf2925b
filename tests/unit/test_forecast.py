import pytest
from made_up import census, table

from ansible.module_utils.rollback import forecast

THEN = table(10, inserted=100, updated=20, deleted=5)


def only(now, then, **later):
    (entry,) = forecast.of_restore(
        census(tables={"t": now} if now else {}, **later), census(tables={"t": then} if then else {})
    )
    return entry


@pytest.mark.parametrize(
    ("now", "then", "counts"),
    [
        (table(11, inserted=102, updated=21, deleted=6), THEN, (11, 10, 2, 1, 1)),
        # As many rows as before, and still written to.
        (table(10, inserted=101, updated=20, deleted=6), THEN, (10, 10, 1, 0, 1)),
        (table(3, inserted=4, updated=2, deleted=1), None, (3, None, 4, 2, 1)),
        (None, THEN, (None, 10, None, None, None)),
        # Dropped and made anew, and counters that went backwards: nothing can be told but the rows.
        (table(10, oid=1, inserted=101), THEN, (10, 10, None, None, None)),
        (table(10, inserted=1, updated=0, deleted=0), THEN, (10, 10, None, None, None)),
        (table(10, inserted=None, updated=None, deleted=None), THEN, (10, 10, None, None, None)),
    ],
)
def test_writes_since_are_told_where_they_can_be(now, then, counts):
    entry = only(now, then)
    assert (entry.now, entry.then, entry.inserted, entry.updated, entry.deleted) == counts
    assert entry.touched


@pytest.mark.parametrize("later", [{"stats_reset": "2026-11-21"}, {"database_oid": 1}])
def test_writes_that_cannot_be_told_are_not_passed_off_as_none(later):
    entry = only(THEN, THEN, **later)
    assert (entry.inserted, entry.updated, entry.deleted) == (None, None, None)
    assert entry.touched


def test_a_table_that_nobody_wrote_to_is_not_touched():
    assert not only(THEN, THEN).touched


def test_every_table_of_either_time_is_there_by_name():
    entries = forecast.of_restore(
        census(tables={"b": table(), "a": table()}), census(tables={"c": table(), "a": table()})
    )
    assert [entry.table for entry in entries] == ["a", "b", "c"]
