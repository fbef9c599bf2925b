"""Several application hosts: batches, a canary, hosts that fail, vanish or run another version, and what is said of each."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hosts import BAD, GOOD, Fleet, fleet, locally
from place import REASON, Place, tree
from secure_shell import SecureShell

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.nightly, pytest.mark.timeout(900)]

QUICK = {"assess_rounds": 1, "verify_successes": 1, "verify_interval_s": 0.1, "verify_within_s": 2}


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """A database, and the release point to which every fleet goes back."""
    found = Place(Path(tempfile.mkdtemp(prefix="rollback-place-")))
    try:
        found.lab.up()
        found.lab.deploy(GOOD)
        found.lab.fill(2_000)
        found.must("playbooks/backup.yml", next=BAD)
        found.must("playbooks/record_release.yml")
        yield found
    finally:
        found.lab.destroy()


@pytest.fixture
def hosts(place: Place) -> Iterator[Fleet]:
    with fleet(place, 5) as found:
        yield found


def roll_back(place: Place, hosts: Fleet, *options: str, **variables: object):
    return place.run(
        "rollback.yml", "-i", str(hosts.inventory), *options, method="app", reason=REASON, **{**QUICK, **variables}
    )


def finish(place: Place, hosts: Fleet) -> None:
    """Leave no unfinished run to the next test."""
    answer = roll_back(place, hosts)
    assert answer.code == 0, answer.output
    assert set(hosts.versions().values()) == {GOOD}


def test_all_of_them_go_back_and_a_second_time_nothing_happens(place, hosts):
    answer = roll_back(place, hosts)
    assert answer.code == 0, answer.output
    assert set(hosts.versions().values()) == {GOOD}
    before = tree(hosts.directory)
    again = roll_back(place, hosts)
    assert again.code == 0, again.output
    assert "nothing to do" in again
    assert tree(hosts.directory) == before
    place.must("undo.yml", "-i", str(hosts.inventory), run=place.report()["run"], **QUICK)
    assert set(hosts.versions().values()) == {BAD}


def test_a_canary_that_is_not_well_keeps_the_others_as_they_are(place, hosts):
    hosts.spoil("app01")
    answer = roll_back(place, hosts, rollback_max_fail_percentage=90)
    assert answer.code != 0
    assert place.report()["outcome"] == "put_back", answer.output
    assert set(hosts.versions().values()) == {BAD}
    assert "app02, app03, app04, app05 are not started: left as before, since a batch did not end well" in answer, (
        answer.output
    )


def test_a_host_that_fails_stops_the_batches_after_it_and_mixed_versions_are_named(place, hosts):
    hosts.spoil("app03")
    answer = roll_back(place, hosts, rollback_batches=[1, 2, 2])
    assert answer.code != 0
    report = place.report()
    assert report["outcome"] == "incomplete"
    assert "Hunter: 1.0.0 on app01, app02; 1.0.1 on app03, app04, app05." in answer, answer.output
    assert report["hosts"] == {
        "app01": "started",
        "app02": "started",
        "app03": "switched back",
        "app04": "not begun",
        "app05": "not begun",
    }
    assert hosts.versions() == {"app01": GOOD, "app02": GOOD, "app03": BAD, "app04": BAD, "app05": BAD}
    (hosts.path("app03") / "releases" / GOOD / "broken").unlink()
    finish(place, hosts)


def test_the_others_finish_where_the_inventory_says_so(place, hosts):
    hosts.spoil("app03")
    answer = roll_back(place, hosts, rollback_batches=[1, 2, 2], rollback_max_fail_percentage=20)
    assert answer.code != 0
    assert hosts.versions() == {host: BAD if host == "app03" else GOOD for host in hosts.hosts}
    place.must("undo.yml", "-i", str(hosts.inventory), run=place.report()["run"], **QUICK)
    assert set(hosts.versions().values()) == {BAD}


def test_different_versions_are_named_and_nobody_guesses_the_one_before(place, hosts):
    hosts.deploy(GOOD, "app02", "app04")
    before = tree(hosts.directory)
    answer = roll_back(place, hosts)
    assert answer.code != 0
    assert "different versions run: 1.0.0 on app02, app04; 1.0.1 on app01, app03, app05" in answer, answer.output
    assert "Name the release point with -e release=" in answer, answer.output
    planned = roll_back(place, hosts, "--check", release=GOOD)
    assert "Now Hunter 1.0.0 on app02, app04; 1.0.1 on app01, app03, app05, schema" in planned, planned.output
    assert tree(hosts.directory) == before
    done = roll_back(place, hosts, release=GOOD)
    assert done.code == 0, done.output
    assert set(hosts.versions().values()) == {GOOD}


def test_a_canary_that_cannot_be_put_back_still_leaves_a_report(place):
    never = {"app_rollback_start_command": ["/bin/false"]}
    with fleet(place, 2, lambda host: {**locally(host), **(never if host == "app01" else {})}) as hosts:
        answer = roll_back(place, hosts)
        assert answer.code != 0
        report = place.report()
        assert report["hosts"] == {"app01": "unknown", "app02": "not begun"}, answer.output
        assert "Hunter: it is not known what app01 runs; 1.0.1 on app02." in answer, answer.output
        assert "switching back failed too: The start command ended with exit code 1" in answer, answer.output
    with fleet(place, 2) as hosts:
        finish(place, hosts)


@pytest.mark.sshd
class TestOverSsh:
    """Real connections, and app02 has a server of its own, which can be cut off."""

    @contextmanager
    def three(self, place: Place, vanishing: str = "", **variables: object) -> Iterator[tuple[Fleet, SecureShell]]:
        """Three hosts. `vanishing` is lost as soon as it is asked to stop the application; what was begun there goes on."""
        shared, own = (SecureShell(Path(tempfile.mkdtemp(prefix="rollback-ssh-"))) for _ in range(2))
        cut = Path(__file__).with_name("secure_shell.py")

        def special(host: str) -> dict[str, object]:
            reached = (own if host == (vanishing or "app02") else shared).host_variables(host)
            lost = {"app_rollback_stop_command": [sys.executable, str(cut), str(own.home)]}
            return {**reached, **(lost if host == vanishing else {})}

        shared.start()
        own.start()
        try:
            with fleet(place, 3, special) as hosts:
                yield hosts, own
        finally:
            for shell in (shared, own):
                shell.cut()
                shutil.rmtree(shell.home, ignore_errors=True)  # ssh takes its sockets away at the same time

    def test_a_host_that_is_out_of_reach_before_is_a_refusal(self, place):
        with self.three(place) as (hosts, own):
            own.cut()
            before, runs = tree(hosts.directory), tree(place.environment_dir)
            answer = roll_back(place, hosts)
            assert answer.code != 0
            assert (
                "app02 could not be looked at (out of reach, left out with --limit, or failed above), and would keep its version."
                in answer
            )
            assert "Nothing was changed." in answer, answer.output
            assert (tree(hosts.directory), tree(place.environment_dir)) == (before, runs)

    def test_hosts_that_are_left_out_are_a_refusal_too(self, place, hosts):
        before = tree(hosts.directory)
        answer = roll_back(place, hosts, "--limit", "app01,hunter-db,localhost")
        assert answer.code != 0
        assert "app02, app03, app04, app05 could not be looked at (out of reach, left out with --limit" in answer, (
            answer.output
        )
        assert tree(hosts.directory) == before

    def test_the_others_finish_without_one_that_vanishes_and_the_same_command_brings_it_along(self, place):
        with self.three(place, vanishing="app02") as (hosts, own):
            answer = roll_back(place, hosts, rollback_batches=[1, 1, 1], rollback_max_fail_percentage=34)
            assert answer.code != 0
            report = place.report()
            assert report["hosts"] == {"app01": "started", "app02": "unknown", "app03": "started"}, answer.output
            assert "Hunter: 1.0.0 on app01, app03; it is not known what app02 runs." in answer, answer.output
            assert "app02 is not started: cannot be reached" in answer, answer.output
            own.start()
            finish(place, hosts)

    def test_one_that_vanishes_stops_the_batches_after_it(self, place):
        with self.three(place, vanishing="app02") as (hosts, own):
            answer = roll_back(place, hosts, rollback_batches=[1, 1, 1])
            assert answer.code != 0
            assert place.report()["hosts"] == {"app01": "started", "app02": "unknown", "app03": "not begun"}
            assert hosts.version("app03") == BAD
            own.start()
            finish(place, hosts)

    def test_a_canary_that_vanishes_keeps_the_others_as_they_are(self, place):
        with self.three(place, vanishing="app01") as (hosts, own):
            answer = roll_back(place, hosts, rollback_max_fail_percentage=100)
            assert answer.code != 0
            assert place.report()["hosts"] == {"app01": "unknown", "app02": "not begun", "app03": "not begun"}
            own.start()
            finish(place, hosts)
