"""What is told and refused before a downgrade begins, and nothing is changed: bad input, bad migrations, and trials on a copy."""

from __future__ import annotations

from pathlib import Path

import pytest
from downgrades import BAD, BAD_HEAD, MIDDLE, in_the_way, roll_back
from place import made

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def place():
    yield from made(BAD)


def test_a_trial_on_a_copy_sees_what_is_lost_and_leaves_nothing(place):
    found = place.fingerprint()
    answer = roll_back(place, "--check", forecast="clone")
    assert answer.code == 0, answer.output
    assert "tried on a copy" in answer
    assert "its script does not show" not in answer
    assert place.fingerprint() == found


@pytest.mark.nightly
def test_variables_that_occur_in_revisions_and_sql_mask_nothing(place):
    """Every one of them was masked once, also in the SQL that is compared with the scripts."""
    found, facts = place.fingerprint(), place.facts
    host = f"{facts['host']}:{facts['port']}"
    url = f"postgresql+psycopg://{facts['owner']}:{facts['owner_password']}@{host}/{{{{ alembic_downgrade_database }}}}"
    variables = {
        "DATABASE_URL": url,
        "PYTHONUNBUFFERED": "1",
        "DEBUG": "0",
        "LETTER": "a",
        "FLAG": "true",
        "REVISION": BAD_HEAD,
        "NAME": facts["database"],
        "SECRET_KEY": BAD_HEAD[:6],
        "SESSION_TOKEN": MIDDLE[3:10],
        "API_PASSWORD": "leads",
    }
    answer = roll_back(place, "--check", alembic_downgrade_environment=variables)
    assert answer.code == 0, answer.output
    for words in (f"-- Running downgrade {BAD_HEAD} ->", f"Take back {MIDDLE}", "ALTER TABLE leads DROP COLUMN phone"):
        assert words in answer, f"{words} is not in {answer.output}"
    for words in (
        "say different things",
        "No SQL can be shown",
        "********",
        "VALUE_SPECIFIED",
        facts["owner_password"],
    ):
        assert words not in answer, f"{words} is in {answer.output}"
    assert place.fingerprint() == found


@pytest.mark.nightly
def test_what_fails_on_a_copy_is_refused_before_anything_is_touched(place):
    with in_the_way(place):
        found = place.fingerprint()
        answer = roll_back(place, forecast="clone")
        assert answer.code != 0
        assert f"Tried on a copy of the database, revision {MIDDLE} could not be taken back" in answer, answer.output
        assert "other objects depend on it" in answer
        assert place.fingerprint() == found


def test_a_way_back_that_does_not_lead_back_is_refused(place):
    """A downgrade that forgets a table: the upgrade of before then fails on it."""
    versions = Path(place.facts["app_dir"]) / "releases" / BAD / "migrations" / "versions"
    (script,) = versions.glob("*_leads_have_calls.py")
    good = script.read_text()
    forgotten = '    op.drop_table("calls")\n    call_result.drop(op.get_bind())\n'
    assert forgotten in good
    script.write_text(good.replace(forgotten, ""))
    try:
        found = place.fingerprint()
        answer = roll_back(place, "--check", forecast="clone")
        assert place.fingerprint() == found
    finally:
        script.write_text(good)
    assert answer.code != 0, answer.output
    assert "could not be applied again, so undo.yml would not lead back" in answer, answer.output
    assert 'relation "calls" already exists' in answer


@pytest.mark.nightly
def test_a_trial_that_would_reach_the_live_database_ends(place):
    found = place.fingerprint()
    facts = place.facts
    url = f"postgresql+psycopg://{facts['owner']}:{facts['owner_password']}@{facts['host']}:{facts['port']}/{facts['database']}"
    answer = roll_back(place, forecast="clone", alembic_downgrade_environment={"DATABASE_URL": url})
    assert answer.code != 0
    assert "Alembic migrates database hunter and not the copy" in answer, answer.output
    assert place.fingerprint() == found


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"revision": "0000000"}, "0000000"),
        ({"revision": BAD_HEAD}, "is at revision 19b7f60c3d42 already, so there is nothing to take back"),
        ({"revision": MIDDLE}, f"No release point is at revision {MIDDLE}"),
        ({"revision": "-9"}, "-9"),
        ({"forecast": "guess"}, "Unknown forecast guess. Say static or clone."),
        ({"revision": "-1", "version": "9.9.9"}, "hunter-1: Version 9.9.9 is not among the releases."),
        (
            {"rollback_version_table": "public.other"},
            "and rollback_version_table is public.other. Set rollback_version_table: public.alembic_version.",
        ),
    ],
)
def test_bad_input_changes_nothing(place, given, said):
    found = place.fingerprint()
    answer = roll_back(place, **given)
    assert answer.code != 0
    assert said in answer, answer.output
    assert place.fingerprint() == found


@pytest.mark.nightly
def test_an_empty_version_table_is_told(place):
    with place.lab.connect() as connection:
        connection.execute("DELETE FROM alembic_version")
        try:
            answer = roll_back(place)
        finally:
            connection.execute("INSERT INTO alembic_version VALUES (%s)", [BAD_HEAD])
    assert answer.code != 0
    assert "Table public.alembic_version in hunter is empty, so nothing says which migrations it has" in answer, (
        answer.output
    )


@pytest.mark.nightly
def test_a_revision_that_the_release_does_not_have_is_told(place):
    with place.lab.connect() as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'ffff00001111'")
        try:
            answer = roll_back(place)
        finally:
            connection.execute("UPDATE alembic_version SET version_num = %s", [BAD_HEAD])
    assert answer.code != 0
    assert "The database is at revision ffff00001111, which these migrations do not have." in answer, answer.output


def test_a_migration_that_only_pretends_to_go_back_is_refused(bad_day):
    found = bad_day.fingerprint()
    answer = roll_back(bad_day)
    assert answer.code != 0
    assert "Revision 4ac9d7180e3b cannot be taken back" in answer
    assert "-e method=restore" in answer
    assert bad_day.fingerprint() == found


@pytest.mark.nightly
def test_the_policy_may_restore_instead(bad_day):
    found = bad_day.fingerprint()
    answer = roll_back(bad_day, "--check", rollback_migration_fallback="restore")
    assert answer.code == 0, answer.output
    assert "The policy restores instead of taking migrations back: Revision 4ac9d7180e3b cannot be taken back" in answer
    assert "Swap the two" in answer
    assert bad_day.fingerprint() == found
