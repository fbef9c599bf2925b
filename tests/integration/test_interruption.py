"""A run that dies, and a run that fails: the same command again finishes it, or nothing has happened."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest
from place import REASON, ROOT, Place

from ansible.module_utils.rollback.journal import Journal

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


def kill_at(place: Place, event: str, step: str) -> None:
    """Start the main job and kill all of it (SIGKILL) as soon as the journal says that `step` has come that far."""
    runs = place.environment_dir / "runs"
    known = set(runs.iterdir()) if runs.exists() else set()
    process = subprocess.Popen(
        place.command("rollback.yml", method="restore", reason=REASON),
        cwd=ROOT,
        env=place.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    try:
        while time.monotonic() < deadline:
            assert process.poll() is None, "the run ended before it could be killed"
            new = [run for run in runs.iterdir() if run not in known] if runs.exists() else []
            if any((entry.event, entry.step) == (event, step) for run in new for entry in Journal(run).entries()):
                return
            time.sleep(0.01)
        raise AssertionError(f"{event} {step} never came")
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.parametrize(("event", "step"), [("began", "load"), ("done", "swap")])
def test_the_same_command_finishes_a_run_that_was_killed(place, event, step):
    bad = place.content("hunter")
    kill_at(place, event, step)
    died = max(path.name for path in (place.environment_dir / "runs").iterdir())

    answer = place.must("rollback.yml", method="restore", reason=REASON)

    assert f"Plan of run {died}" in answer
    report = place.report()
    assert (report["run"], report["outcome"], report["attempts"]) == (died, "succeeded", 2)
    assert place.content(report["set_aside"]) == bad
    assert place.lab.status()["answers"] == "1.0.0"
    assert not (place.environment_dir / "lock").exists()
    place.must("undo.yml", run=died)
    assert place.content("hunter") == bad


def test_a_restore_that_fails_leaves_everything_as_it_was(place):
    """A role that the dump names is gone: loading fails, long before anybody notices."""
    with place.lab.connect("hunter") as connection:
        connection.execute("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM hunter_readonly")
        connection.execute("REVOKE ALL ON DATABASE hunter FROM hunter_readonly")
        connection.execute("DROP OWNED BY hunter_readonly")
    with place.lab.connect("postgres") as connection:
        for database in place.databases():
            if database.startswith("hunter__"):
                connection.execute(f'DROP DATABASE "{database}"')
        connection.execute("DROP ROLE hunter_readonly")
    before = place.fingerprint()

    answer = place.run("rollback.yml", method="restore", reason=REASON, release="1.0.0")

    assert answer.code != 0
    assert 'role "hunter_readonly" does not exist' in answer
    assert "Database hunter is as it was, and Hunter runs as before." in answer
    after = place.fingerprint()
    assert {**after, "state": None} == {**before, "state": None}  # the journal and the report of the run are new
    report = place.report()
    assert (report["outcome"], report["status"]) == ("put_back", "Pending: nothing was changed")
    assert 'role "hunter_readonly" does not exist' in report["problems"][0]


def test_a_version_that_does_not_start_is_told_and_can_be_finished(place):
    """The swap has happened; the old version cannot start. The run says so, stays open, and ends when it can."""
    with place.lab.connect("postgres") as connection:
        connection.execute("CREATE ROLE hunter_readonly")
    release = place.home / "app" / "releases" / "1.0.0" / "hunter" / "api.py"
    whole = release.read_text()
    release.write_text("raise RuntimeError('broken')\n")
    try:
        answer = place.run("rollback.yml", method="restore", reason=REASON, release="1.0.0", verify_within_s=3)
        assert answer.code != 0
        assert "The data of database hunter is the restored one, and the run did not get further." in answer
        report = place.report()
        assert report["outcome"] == "incomplete"
        assert "rollback.yml" in report["next"]
        assert f"undo.yml -e run={report['run']}" in report["next"]
    finally:
        release.write_text(whole)
    place.must("rollback.yml", method="restore", reason=REASON, release="1.0.0")
    finished = place.report()
    assert (finished["run"], finished["outcome"]) == (report["run"], "succeeded")
    assert place.lab.status()["answers"] == "1.0.0"
