"""A downgrade that is killed: the same command again finishes it, or it was put back; undone, the database is as it was."""

from __future__ import annotations

import subprocess
import time

import pytest
from downgrades import in_the_way
from kills import PATIENCE_S, kill_controller_at, kill_postgres, newest_run, started, until, wait_for
from place import REASON, Place, made

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(3 * PATIENCE_S)]

MIGRATION = {"method": "migration"}
QUICK = {"assess_rounds": 1, "verify_successes": 1, "verify_interval_s": 0.1, "alembic_downgrade_pause_s": 1}
GOOD_HEAD, MIDDLE, PHONES, NEWEST = "d6a0985c3e1f", "b83f5e02d6ca", "7e4d21c9a058", "19b7f60c3d42"

# Each row is one run: its controller dies at the first point, the next attempt at the second, and so on.
DEATHS = [
    [("opened", ""), ("began", "salvage"), ("began", f"down {NEWEST}")],
    [("began", "stop"), ("began", f"down {PHONES}"), ("done", f"down {PHONES}")],
    [("began", f"down {MIDDLE}"), ("began", "start"), ("began", "verify")],
]


# The same for the way back, each step of it.
DEATHS_ON_THE_WAY_BACK = [
    [("opened", ""), ("began", "stop"), ("began", f"up {MIDDLE}"), ("done", f"up {MIDDLE}")],
    [("began", f"up {PHONES}"), ("done", f"up {PHONES}"), ("began", f"up {NEWEST}"), ("done", f"up {NEWEST}")],
    [("began", "bring_back"), ("began", "drop_salvage"), ("began", "start"), ("began", "verify")],
    [("done", "bring_back"), ("done", "drop_salvage")],
]


@pytest.fixture(scope="module")
def place():
    yield from made("1.2.0")


@pytest.fixture(scope="module")
def before(place: Place) -> dict:
    return place.content("hunter")


def finishes(place: Place, run: str) -> None:
    """The same command again ends well, and it is still the same run."""
    place.must("rollback.yml", reason=REASON, **MIGRATION, **QUICK)
    report = place.report()
    assert (report["run"], report["outcome"]) == (run, "succeeded")
    assert place.census("hunter").alembic_heads == [GOOD_HEAD]
    assert place.lab.status()["answers"] == "1.0.0"


def goes_back(place: Place, run: str, before: dict) -> None:
    """Undone, nothing is missing, whatever had been killed on the way."""
    undone(place, run)
    assert place.content("hunter") == before


def undone(place: Place, run: str) -> None:
    place.must("undo.yml", run=run, **QUICK)
    assert place.lab.status()["answers"] == "1.2.0"
    assert not (place.environment_dir / "lock").exists()


@pytest.mark.parametrize("deaths", DEATHS, ids=lambda deaths: ", ".join(" ".join(point).strip() for point in deaths))
def test_the_controller_dies(place, before, deaths):
    for number, (event, step) in enumerate(deaths):
        kill_controller_at(place, event, step, resumed=number > 0, **MIGRATION, **QUICK)
    run = newest_run(place)
    finishes(place, run)
    goes_back(place, run, before)


@pytest.mark.parametrize(
    "deaths", DEATHS_ON_THE_WAY_BACK, ids=lambda deaths: ", ".join(" ".join(point).strip() for point in deaths)
)
def test_the_controller_dies_on_the_way_back(place, before, deaths):
    place.must("rollback.yml", reason=REASON, **MIGRATION, **QUICK)
    run = newest_run(place)
    for number, (event, step) in enumerate(deaths):
        kill_controller_at(place, event, step, resumed=number > 0, playbook="undo.yml", run=run, **QUICK)
    goes_back(place, run, before)
    assert place.report()["outcome"] == "succeeded"


def test_the_controller_dies_while_a_step_that_failed_is_put_back(place, before):
    with in_the_way(place):
        kill_controller_at(place, "began", f"up {PHONES}", **MIGRATION, **QUICK)
    run = newest_run(place)
    finishes(place, run)
    goes_back(place, run, before)


def test_a_revision_that_was_taken_back_when_nobody_could_note_it_counts(place, before):
    """Its commit was the last that the server did before it, or the run, died."""
    kill_controller_at(place, "began", f"down {MIDDLE}", **MIGRATION, **QUICK)
    run = newest_run(place)
    with place.lab.connect("hunter") as connection:
        connection.execute("ALTER TABLE leads DROP COLUMN source")
        connection.execute("DROP TABLE campaigns")
        connection.execute("UPDATE alembic_version SET version_num = %s", [GOOD_HEAD])
    finishes(place, run)
    goes_back(place, run, before)


@pytest.mark.parametrize("step", ["salvage", f"down {PHONES}"])
def test_postgresql_dies(place, before, step):
    """It comes back within seconds, and the run puts the schema back where it was, or the next attempt finishes it."""
    with started(place, **MIGRATION, **QUICK) as process:
        runs = place.environment_dir / "runs"
        known = newest_run(place) if runs.exists() else ""
        until(lambda: runs.exists() and newest_run(place) != known, "a new run")
        wait_for(place, process, "began", step)
        if step != "salvage":
            until_alembic_is_at_work(place, process)
        kill_postgres(place)
        process.wait(PATIENCE_S)
    until(place.lab.accepts_connections, "PostgreSQL")
    report = place.report()
    if report["outcome"] == "put_back":
        same_after_a_crash(place.content("hunter"), before)
        assert place.lab.status()["answers"] == "1.2.0"
        return
    if report["outcome"] != "succeeded":
        finishes(place, report["run"])
    undone(place, report["run"])
    same_after_a_crash(place.content("hunter"), before)


def same_after_a_crash(content: dict, before: dict) -> None:
    """PostgreSQL writes sequences ahead: after a crash they may be further, never behind. All else is equal."""
    sequences, known = content["sequences"], before["sequences"]
    assert {**content, "sequences": {}} == {**before, "sequences": {}}
    assert sequences.keys() == known.keys()
    assert all(sequences[name] >= number for name, number in known.items())


def until_alembic_is_at_work(place: Place, process: subprocess.Popen) -> None:
    """The application's own has a session, which the run has given its name; not for long."""
    query = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name ~ '^rollback [0-9]')"
    with place.lab.connect("postgres") as connection:
        while not connection.execute(query).fetchone()[0]:
            assert process.poll() is None, f"Alembic was not seen: {(place.home / 'killed.log').read_text()}"
            time.sleep(0.005)
