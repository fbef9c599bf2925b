"""Whatever is killed, and whenever: the same command again leaves the database wholly old or wholly restored, and says which."""

from __future__ import annotations

import pytest
from kills import (
    PATIENCE_S,
    kill_controller_at,
    kill_module_at,
    kill_postgres,
    kill_whoever_is_connected,
    newest_run,
    started,
    until,
    wait_for,
)
from place import REASON, Place

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(3 * PATIENCE_S)]

QUICK = {"assess_rounds": 1, "verify_successes": 1, "verify_interval_s": 0.1}

# Each row is one run: its controller dies at the first point, the next attempt at the second, and so on, until one is
# let through. What restores goes on by itself when its controller dies, so each of its steps needs a run of its own.
DEATHS = [
    [("opened", ""), ("began", "stop"), ("began", "swap")],
    [("began", "create"), ("done", "stop"), ("done", "swap")],
    [("began", "load"), ("began", "start")],
    [("began", "settings"), ("done", "start")],
    [("began", "analyse"), ("began", "verify")],
    [("began", "compare"), ("done", "verify")],
    [("done", "compare"), ("began", "lost_writes")],
]


@pytest.fixture(scope="module")
def bad(place: Place) -> dict:
    """What is in the database before anything is rolled back."""
    return place.content("hunter")


@pytest.fixture(scope="module")
def good(place: Place, bad: dict) -> dict:
    """What a rollback that nobody disturbs makes of it."""
    place.must("rollback.yml", method="restore", reason=REASON, **QUICK)
    content = place.content("hunter")
    assert content != bad
    make_bad_again(place)
    assert place.content("hunter") == bad
    return content


def make_bad_again(place: Place) -> None:
    """Undo the newest run by hand, which is quicker than undo.yml; every other database that runs made is dropped."""
    place.lab.stop_hunter()
    aside = place.report()["set_aside"]
    with place.lab.connect("postgres") as connection:
        connection.execute("DROP DATABASE hunter WITH (FORCE)")
        connection.execute(f'ALTER DATABASE "{aside}" RENAME TO hunter')
    place.lab.point_to("1.1.0")
    place.lab.start_hunter()


def rolls_back(place: Place, run: str, bad: dict, good: dict, **variables: object) -> None:
    """The same command again finishes `run`: the live database is the restored one, the old one is kept, and the report says so."""
    place.must("rollback.yml", method="restore", reason=REASON, **QUICK, **variables)
    report = place.report()
    assert (report["run"], report["outcome"]) == (run, "succeeded")
    assert place.content("hunter") == good
    assert place.content(report["set_aside"]) == bad
    assert place.lab.status()["answers"] == "1.0.0"
    assert not (place.environment_dir / "lock").exists()
    assert {name for name in place.databases() if name.startswith("hunter")} == {"hunter", report["set_aside"]}


@pytest.mark.parametrize("deaths", DEATHS, ids=lambda deaths: ", ".join(" ".join(point).strip() for point in deaths))
def test_the_controller_dies(place, bad, good, deaths):
    for number, (event, step) in enumerate(deaths):
        kill_controller_at(place, event, step, resumed=number > 0, **QUICK)
    run = newest_run(place)
    rolls_back(place, run, bad, good)
    assert place.report()["attempts"] == len(deaths) + 1
    make_bad_again(place)


@pytest.mark.parametrize("step", ["load", "compare"])
def test_the_module_dies_while_it_restores(place, bad, good, step):
    """Its controller lives and reports; nothing was stopped."""
    with started(place, **QUICK) as process:
        known = newest_run(place)
        until(lambda: newest_run(place) != known, "a new run")
        kill_module_at(place, process, "database_restore", "create", step)
        assert process.wait(PATIENCE_S) != 0
    assert place.report()["outcome"] == "put_back", place.report()["sentence"]
    assert place.content("hunter") == bad
    assert [name for name in place.databases() if name.startswith("hunter")] == ["hunter"]
    rolls_back_at_last(place, bad, good)


def test_the_module_dies_while_it_swaps(place, bad, good):
    """The door is closed at that moment. Its controller opens it, and starts the version that fits."""
    with started(place, **QUICK) as process:
        known = newest_run(place)
        until(lambda: newest_run(place) != known, "a new run")
        wait_for(place, process, "done", "stop")
        with place.lab.connect(
            "hunter"
        ):  # a superuser's session, which the operator may not end: the swap waits for it
            wait_for(place, process, "began", "swap")
            until(lambda: not accepts_new_sessions(place), "the closed door")
            kill_whoever_is_connected(place)
        assert process.wait(PATIENCE_S) != 0
    assert accepts_new_sessions(place)
    assert place.report()["outcome"] == "put_back", place.report()["sentence"]
    assert place.content("hunter") == bad
    assert place.lab.status()["answers"] == "1.1.0"
    rolls_back_at_last(place, bad, good)


def accepts_new_sessions(place: Place) -> bool:
    with place.lab.connect("postgres") as connection:
        return connection.execute("SELECT datallowconn FROM pg_database WHERE datname = 'hunter'").fetchone()[0]


def rolls_back_at_last(place: Place, bad: dict, good: dict) -> None:
    """The same command again, after whatever was put back."""
    place.must("rollback.yml", method="restore", reason=REASON, **QUICK)
    assert place.report()["outcome"] == "succeeded"
    assert place.content("hunter") == good
    assert place.content(place.report()["set_aside"]) == bad
    assert {name for name in place.databases() if name.startswith("hunter")} == {"hunter", place.report()["set_aside"]}
    make_bad_again(place)


@pytest.mark.parametrize(("event", "step"), [("began", "load"), ("began", "swap"), ("began", "verify")])
def test_postgresql_dies(place, bad, good, event, step):
    with started(place, **QUICK) as process:
        known = newest_run(place)
        until(lambda: newest_run(place) != known, "a new run")
        wait_for(place, process, event, step)
        kill_postgres(place)
        process.wait(PATIENCE_S)
    until(place.lab.accepts_connections, "PostgreSQL")
    report = place.report()
    restored = report["outcome"] == "succeeded" or "is the restored one" in report["sentence"]
    assert place.content("hunter") == (good if restored else bad)
    if report["outcome"] == "succeeded":
        make_bad_again(place)
    else:
        rolls_back_at_last(place, bad, good)
