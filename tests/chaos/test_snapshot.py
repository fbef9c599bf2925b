"""A restore from a snapshot is cut off: the same command finishes it, and at no moment is the snapshot lost or the live name free."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from kills import PATIENCE_S, kill_controller_at, kill_postgres, newest_run, started, until, wait_for
from place import REASON, Place

from ansible.module_utils.rollback.postgres import snapshot

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(900)]

QUICK = {"assess_rounds": 1, "verify_successes": 1, "verify_interval_s": 0.1}


@pytest.fixture
def place() -> Iterator[Place]:
    place = Place(Path(tempfile.mkdtemp(prefix="rollback-place-")))
    try:
        place.begin(kind="snapshot", end_sessions=True)
        yield place
    finally:
        place.lab.destroy()


@pytest.mark.parametrize(("event", "step"), [("began", "settings"), ("done", "compare"), ("began", "swap")])
def test_the_same_command_finishes_it(place, event, step):
    kept, bad = snapshot.read(place.backup()), place.content("hunter")
    kill_controller_at(place, event, step, **QUICK)
    run = newest_run(place)
    assert kept.oid in place.databases().values()

    place.must("rollback.yml", method="restore", reason=REASON, **QUICK)

    report = place.report()
    assert (report["run"], report["outcome"]) == (run, "succeeded")
    assert place.databases()["hunter"] == kept.oid
    assert place.content(report["set_aside"]) == bad
    assert place.lab.status()["answers"] == "1.0.0"
    place.must("undo.yml", run=run)
    assert place.content("hunter") == bad


def test_the_server_dies_while_the_snapshot_is_counted(place):
    kept = snapshot.read(place.backup())
    with started(place, **QUICK) as process:
        until(lambda: (place.environment_dir / "runs").exists() and newest_run(place) != "", "a run")
        wait_for(place, process, "began", "compare")
        kill_postgres(place)
        ended = process.wait(PATIENCE_S)
    until(lambda: place.lab.status()["answers"] is not None, "the application")
    if ended != 0:  # counting may have been over by then, and the server back before it was needed again
        place.must("rollback.yml", method="restore", reason=REASON, **QUICK)
    assert place.report()["outcome"] == "succeeded"
    assert place.databases()["hunter"] == kept.oid
