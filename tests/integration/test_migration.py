"""`-e method=migration` on a release whose migrations lose data: down, and wholly back again; and what may go wrong in between."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from downgrades import BAD, BAD_HEAD, GOOD, GOOD_HEAD, MIDDLE, PHONES, QUICK, in_the_way, roll_back
from place import made

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def place():
    yield from made(BAD)


@pytest.fixture(scope="module")
def before(place):
    """What is in the database before anything is taken back."""
    return place.content("hunter")


def is_as_before(place, before):
    assert place.content("hunter") == before
    assert place.lab.status()["answers"] == BAD
    assert not (place.environment_dir / "lock").exists()


def test_the_check_shows_path_loss_locks_and_sql_and_changes_nothing(place, before):
    found = place.fingerprint()
    answer = roll_back(place, "--check")
    assert answer.code == 0, answer.output
    with place.lab.connect() as connection:
        (phones,) = connection.execute("SELECT count(phone) FROM leads").fetchone()
        (calls,) = connection.execute("SELECT count(*) FROM calls").fetchone()
    assert phones == calls > 0
    for words in (
        f"Take back {BAD_HEAD}",
        f"Take back {PHONES}",
        f"Take back {MIDDLE}",
        f"leads: phone {phones} values yes",
        f"calls {calls} rows yes",
        "ACCESS EXCLUSIVE",
        "ALTER TABLE leads DROP COLUMN phone",
        "DROP TABLE campaigns",
        f"schema {GOOD_HEAD}",
    ):
        assert words in answer, f"{words} is not in {answer.output}"
    assert place.fingerprint() == found


def test_down_and_back_again_loses_nothing(place, before):
    down = roll_back(place)
    assert down.code == 0, down.output
    report = place.report()
    assert report["outcome"] == "succeeded"
    assert place.lab.status()["answers"] == GOOD
    found = place.census("hunter")
    assert found.alembic_heads == [GOOD_HEAD]
    assert "public.calls" not in found.tables
    assert any(name.startswith(f"{report['set_aside']}.") for name in found.tables)
    assert report["set_aside"] in down
    place.must("undo.yml", run=report["run"], **QUICK)
    undone = place.report()
    assert (undone["outcome"], undone["set_aside"], undone["written_since"]) == ("succeeded", "", [])
    is_as_before(place, before)


@contextmanager
def reader(place, statement="SELECT count(*) FROM leads"):
    """A session that has read a table and stays in its transaction."""
    with place.lab.connect(user="hunter") as connection, connection.transaction():
        connection.execute(statement)
        yield


@pytest.mark.nightly
def test_a_lock_that_is_not_to_be_had_is_told_with_who_holds_it(place, before):
    with reader(place):
        answer = roll_back(place)
    assert answer.code != 0
    assert place.report()["outcome"] == "put_back", answer.output
    assert "could not be taken back: a lock was not to be had in 2 attempts of 0.5 s" in answer, answer.output
    assert "idle in transaction" in answer
    assert "locks leads" in answer
    # DROP INDEX CONCURRENTLY had begun, in no transaction: that is told, with what mends it.
    mend = "REINDEX INDEX CONCURRENTLY ix_leads_phone"
    assert mend in answer
    with place.lab.connect() as connection:
        connection.execute(mend)
    is_as_before(place, before)


def test_a_step_that_fails_half_way_is_put_back(place, before):
    with in_the_way(place):
        answer = roll_back(place)
    assert answer.code != 0
    assert place.report()["outcome"] == "put_back", answer.output
    # The salvage schema is gone again, and nothing names it as if it were there.
    assert (place.report()["set_aside"], place.report()["taken_away"]) == ("", [])
    assert f"Revision {MIDDLE} could not be taken back" in answer
    assert "other objects depend on it" in answer
    assert [step["status"] for step in place.report()["timeline"] if step["id"] == f"up {PHONES}"] == ["done"]
    is_as_before(place, before)


@pytest.mark.nightly
def test_it_may_stop_there_and_the_same_command_goes_on(place, before):
    with in_the_way(place):
        answer = roll_back(place, alembic_downgrade_on_failure="stop")
    assert answer.code != 0
    report = place.report()
    assert report["outcome"] == "incomplete", answer.output
    assert f"last seen at revision {MIDDLE}" in report["sentence"]
    assert place.lab.status()["answers"] is None
    again = roll_back(place)
    assert again.code == 0, again.output
    assert (place.report()["run"], place.report()["outcome"]) == (report["run"], "succeeded")
    assert place.census("hunter").alembic_heads == [GOOD_HEAD]
    place.must("undo.yml", run=report["run"], **QUICK)
    is_as_before(place, before)


def test_what_the_old_version_writes_meanwhile_stays(place, before):
    assert roll_back(place).code == 0
    run = place.report()["run"]
    with place.lab.connect() as connection:
        (newest,) = connection.execute("SELECT max(id) FROM leads").fetchone()
        connection.execute("UPDATE leads SET note = 'written by the old version' WHERE id = %s", [newest])
    place.must("undo.yml", run=run, **QUICK)
    with place.lab.connect() as connection:
        assert connection.execute("SELECT note, phone IS NOT NULL FROM leads WHERE id = %s", [newest]).fetchone() == (
            "written by the old version",
            True,
        )
