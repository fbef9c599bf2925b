"""The database host is lost in the middle, over a real SSH connection that is cut: the run still ends, and says what is true."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from kills import PATIENCE_S, newest_run, started, until, wait_for
from place import REASON, Place
from secure_shell import SecureShell

pytestmark = [pytest.mark.postgres, pytest.mark.sshd, pytest.mark.slow, pytest.mark.timeout(3 * PATIENCE_S)]

QUICK = {"assess_rounds": 1, "verify_successes": 1, "verify_interval_s": 0.1}


@pytest.fixture(scope="module")
def shell(place: Place) -> Iterator[SecureShell]:
    shell = SecureShell(place.home / "ssh")
    shell.start()
    try:
        yield shell
    finally:
        shell.cut()


@pytest.fixture(scope="module")
def over_ssh(place: Place, shell: SecureShell) -> tuple[str, ...]:
    """Options that add to the inventory how the database host is reached."""
    more = place.home / "ssh.json"
    more.write_text(json.dumps({"database": {"hosts": {"hunter-db": shell.host_variables()}}}))
    return ("-i", "inventories/local", "-i", str(more))


def cut_at(
    place: Place, shell: SecureShell, over_ssh: tuple[str, ...], event: str, step: str, **variables: object
) -> str:
    """Cut the connection when the journal has this entry; returns what the run said when it had ended."""
    runs, log = place.environment_dir / "runs", place.home / "killed.log"
    known = newest_run(place) if runs.exists() else ""
    log.write_text("")
    with started(place, "rollback.yml", *over_ssh, **QUICK, **variables) as process:
        until(lambda: runs.exists() and any(runs.iterdir()) and newest_run(place) != known, "a new run")
        wait_for(place, process, event, step)
        shell.cut()
        if variables.get("rollback_reconnect_s", 0) > 10:
            threading.Timer(2, shell.start).start()
        process.wait(PATIENCE_S)
    return " ".join(log.read_text().split())


def test_lost_for_good_while_restoring(place, shell, over_ssh):
    """Nobody noticed the restore, and nobody notices its end; what goes on over there is taken up later."""
    bad = place.content("hunter")
    said = cut_at(place, shell, over_ssh, "began", "load", rollback_reconnect_s=2)
    run = newest_run(place)
    assert "hunter-db left no report: it could not be reached, or could not write." in said
    assert (
        "Database hunter is as it was and Hunter was not stopped; the restore beside may still be going on there."
        in said
    )
    assert "rollback.yml" in said.rpartition("Next, when it can be reached:")[2]
    assert "hunter-db left no report" in Path(place.reports / f"{run}.md").read_text()
    assert place.content("hunter") == bad
    assert place.lab.status()["answers"] == "1.1.0"

    shell.start()
    place.must("rollback.yml", *over_ssh, method="restore", reason=REASON, **QUICK)
    assert (place.report()["run"], place.report()["outcome"]) == (run, "succeeded")
    assert place.content(place.report()["set_aside"]) == bad
    place.must("undo.yml", *over_ssh, run=run)
    assert place.content("hunter") == bad


def test_lost_after_the_stop_and_found_again(place, shell, over_ssh):
    """Nothing was swapped: the application is started again as it was, and the report says so."""
    bad = place.content("hunter")
    said = cut_at(place, shell, over_ssh, "done", "stop", rollback_reconnect_s=30)
    assert "hunter-db could not be reached for a while." in said, said
    assert "Database hunter is as it was, and Hunter runs as before." in said
    assert place.report()["outcome"] == "put_back"
    assert place.lab.status()["answers"] == "1.1.0"
    assert place.content("hunter") == bad
    assert not [name for name in place.databases() if "restore" in name]


def test_lost_while_swapping_and_found_again(place, shell, over_ssh):
    """The swap went on over there. The databases say so, and the run goes on with the version that fits."""
    bad = place.content("hunter")
    cut_at(place, shell, over_ssh, "began", "swap", rollback_reconnect_s=30)
    report = place.report()
    assert report["outcome"] == "succeeded"
    assert place.lab.status()["answers"] == "1.0.0"
    assert place.content(report["set_aside"]) == bad
