"""A run that fails: nothing has happened, or the same command finishes it. Runs that are killed: tests/chaos."""

from __future__ import annotations

import pytest
from place import REASON

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.nightly]


def test_a_restore_that_fails_leaves_everything_as_it_was(place, tmp_path):
    """A check asks a setting of the operator's role, which was another one when the backup was tried: so the load fails."""
    with place.lab.connect("hunter", "hunter") as connection:
        connection.execute(
            "SET app.most = 9; CREATE TABLE limited (value integer CHECK (value <= current_setting('app.most', true)::integer));"
            "INSERT INTO limited VALUES (7)"
        )
    try:
        with place.lab.connect("postgres") as connection:
            connection.execute("ALTER ROLE rollback SET app.most = 9")
        place.must("playbooks/backup.yml", label="limits", rollback_backup_dir=str(tmp_path))
        with place.lab.connect("postgres") as connection:
            connection.execute("ALTER ROLE rollback SET app.most = 1")
        backup = next(tmp_path.glob("*.dump")).name
        before = place.fingerprint()
        options = {"method": "restore", "reason": REASON, "rollback_backup_dir": str(tmp_path), "backup": backup}

        answer = place.run("rollback.yml", **options)

        assert answer.code != 0
        assert 'violates check constraint "limited_value_check"' in answer
        assert "Database hunter is as it was, and Hunter runs as before." in answer
        after = place.fingerprint()
        assert {**after, "state": None} == {**before, "state": None}  # the journal and the report of the run are new
        report = place.report()
        assert (report["outcome"], report["status"]) == ("put_back", "Pending: nothing was changed")
        assert 'violates check constraint "limited_value_check"' in report["problems"][0]
    finally:
        with place.lab.connect("hunter") as connection:
            connection.execute("DROP TABLE limited; ALTER ROLE rollback RESET app.most")


def test_a_version_that_does_not_start_is_told_and_can_be_finished(place):
    """The swap has happened; the old version cannot start. The run says so, stays open, and ends when it can."""
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
