"""The main job with a snapshot as the backup of the release point: refused, put back, restored, undone."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from place import REASON, Place

from ansible.module_utils.rollback.postgres import snapshot

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.nightly, pytest.mark.timeout(900)]

RESTORE = {"method": "restore", "reason": REASON, "assess_rounds": 1, "verify_successes": 1, "verify_interval_s": 0.1}


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    place = Place(Path(tempfile.mkdtemp(prefix="rollback-place-")))
    try:
        place.begin(kind="snapshot", end_sessions=True)
        yield place
    finally:
        place.lab.destroy()


@pytest.fixture
def kept(place) -> snapshot.Snapshot:
    return snapshot.read(place.backup())


def is_open(place: Place, database: str) -> bool:
    with place.lab.connect("postgres") as connection:
        (found,) = connection.execute("SELECT datallowconn FROM pg_database WHERE datname = %s", [database]).fetchone()
        return found


def test_a_database_in_use_is_not_copied_without_being_told_to(place):
    before = place.fingerprint()
    answer = place.run("playbooks/backup.yml", next="1.2.0", kind="snapshot")
    assert answer.code != 0
    assert "hunter cannot be copied while somebody is in it: hunter (" in answer
    assert place.fingerprint() == before


def test_check_shows_what_becomes_the_live_database_and_changes_nothing(place, kept):
    before = place.fingerprint()
    answer = place.must("rollback.yml", "--check", **RESTORE)
    assert place.fingerprint() == before
    assert f"kept as {kept.snapshot}, which becomes the live database" in answer
    assert f"Compare {kept.snapshot} with the manifest (" in answer
    assert "Load " not in answer


def test_one_that_was_changed_is_found_before_the_application_is_stopped(place, kept):
    with place.lab.connect("postgres") as connection:
        connection.execute(f'ALTER DATABASE "{kept.snapshot}" ALLOW_CONNECTIONS true')
    with place.lab.connect(kept.snapshot) as connection:
        connection.execute("CREATE TABLE added (); ALTER TABLE added OWNER TO hunter")
    before = place.fingerprint()
    answer = place.run("rollback.yml", **RESTORE)
    assert answer.code != 0
    assert "What was restored is not what was backed up: not in the original: relation public.added." in answer
    assert {**place.fingerprint(), "state": None} == {**before, "state": None}
    assert place.report()["outcome"] == "put_back"
    assert not is_open(place, kept.snapshot)
    with place.lab.connect("postgres") as connection:
        connection.execute(f'ALTER DATABASE "{kept.snapshot}" ALLOW_CONNECTIONS true')
    with place.lab.connect(kept.snapshot) as connection:
        connection.execute("DROP TABLE added")
    with place.lab.connect("postgres") as connection:
        connection.execute(f'ALTER DATABASE "{kept.snapshot}" ALLOW_CONNECTIONS false')


def test_restore_and_undo(place, kept):
    """Also where a dump would be restored in place: a snapshot needs no room that is not taken already."""
    bad, bad_oid = place.content("hunter"), place.databases()["hunter"]

    place.must("rollback.yml", rollback_restore_strategy="in_place", **RESTORE)

    report = place.report()
    assert report["outcome"] == "succeeded"
    assert place.databases()["hunter"] == kept.oid
    assert is_open(place, "hunter")
    assert place.lab.status()["answers"] == "1.0.0"
    assert place.content("hunter")["settings"] == bad["settings"]
    assert place.content(report["set_aside"]) == bad
    assert kept.snapshot not in place.databases()

    place.must("undo.yml", run=report["run"])
    assert place.content("hunter") == bad
    assert place.databases()["hunter"] == bad_oid
    assert place.lab.status()["answers"] == "1.1.0"


def test_one_that_was_restored_is_refused_and_the_next_backup_forgets_it(place, kept):
    used = place.backup()
    answer = place.run("rollback.yml", backup=used.name, **RESTORE)
    assert answer.code != 0
    assert f"The snapshot {used.name} is gone: this server has no database {kept.snapshot}" in answer
    answer = place.must("playbooks/backup.yml", next="1.2.0", kind="snapshot", end_sessions=True)
    assert f"Let go: {used.name}." in answer
    (left,) = place.backups.glob("*.snapshot")
    assert snapshot.read(left).snapshot in place.databases()
