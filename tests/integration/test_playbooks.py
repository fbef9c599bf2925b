"""The smaller playbooks: prepare, verify, backup with retention, record_release."""

from __future__ import annotations

import json
import sys

import pytest

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


@pytest.mark.timeout(1200)  # pip downloads and installs
@pytest.mark.nightly
def test_prepare_makes_an_environment_that_the_modules_run_in(bad_day, tmp_path):
    """From PyPI, by hash, as on a host that has nothing but Python."""
    python = tmp_path / "venv" / "bin" / "python"
    options = {
        "rollback_python": str(python),
        "rollback_state_dir": str(tmp_path / "state"),
        "prepare_base_python": sys.executable,
    }
    answer = bad_day.must("playbooks/prepare.yml", **options)
    assert python.exists()
    assert "Nothing stands in the way of a restore." in answer
    again = bad_day.must("playbooks/prepare.yml", **options)
    assert "changed on" not in again
    planned = bad_day.must("rollback.yml", "--check", method="restore", rollback_python=str(python))
    assert "Plan of run" in planned


def test_verify_tells_a_release_that_is_not_well(bad_day):
    """1.1.0 runs, and no release point of it is recorded."""
    answer = bad_day.run("playbooks/verify.yml", verify_within_s=1)
    assert answer.code != 0
    assert "No release point of version 1.1.0 is recorded" in answer


def test_a_release_that_is_not_well_is_recorded_as_not_verified(bad_day, tmp_path):
    options = {"rollback_state_dir": str(tmp_path / "state"), "rollback_backup_dir": str(tmp_path / "backups")}
    refused = bad_day.run("playbooks/record_release.yml", verify_within_s=1, **options)
    assert refused.code != 0
    assert "There is no backup of hunter at revision 4ac9d7180e3b from version 1.1.0." in refused
    bad_day.must("playbooks/backup.yml", backup_format="directory", **options)
    answer = bad_day.must("playbooks/record_release.yml", verify_within_s=1, commit="0123abc", **options)
    assert "NOT verified" in answer
    (line,) = (tmp_path / "state" / "local" / "ledger.jsonl").read_text().splitlines()
    point = json.loads(line)
    assert (point["version"], point["verified"], point["git_commit"]) == ("1.1.0", False, "0123abc")
    assert point["backup"].endswith(".dir")


def test_a_release_is_not_recorded_with_the_database_of_another_environment(bad_day, tmp_path):
    """Somebody took the inventory of staging and left the connection of this place in it."""
    options = {
        "rollback_environment": "staging",
        "rollback_state_dir": str(tmp_path / "state"),
        "rollback_backup_dir": str(tmp_path / "backups"),
    }
    bad_day.must("playbooks/backup.yml", **options)
    before = bad_day.fingerprint()
    answer = bad_day.run("playbooks/record_release.yml", verify_within_s=1, **options)
    assert answer.code != 0
    assert "Database hunter carries the marker of environment local, and this run is for staging." in answer
    assert not list((tmp_path / "state").rglob("ledger.jsonl"))
    assert bad_day.fingerprint() == before


@pytest.mark.nightly
def test_a_database_without_marker_is_told_in_the_plan_and_recording_leaves_one(bad_day, tmp_path):
    with bad_day.lab.connect("postgres") as connection:

        def comment() -> str:
            query = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = 'hunter'"
            return connection.execute(query).fetchone()[0]

        marked = comment()
        plain = marked.removesuffix(" [rollback environment: local]")
        assert plain != marked
        connection.execute(f"COMMENT ON DATABASE hunter IS '{plain}'")
        try:
            planned = bad_day.must("rollback.yml", "--check", method="restore")
            assert "Warning: The database carries no marker of its environment" in planned
            options = {"rollback_state_dir": str(tmp_path / "state"), "verify_within_s": 1}
            named = {**options, "backup": bad_day.backup().name}
            for _ in range(2):
                bad_day.must("playbooks/record_release.yml", **named)
                assert comment() == marked
        finally:
            connection.execute(f"COMMENT ON DATABASE hunter IS '{marked}'")


def test_backup_in_check_mode_takes_none(bad_day, tmp_path):
    answer = bad_day.must("playbooks/backup.yml", "--check", rollback_backup_dir=str(tmp_path))
    assert "would dump hunter with pg_dump" in answer
    assert list(tmp_path.iterdir()) == []
