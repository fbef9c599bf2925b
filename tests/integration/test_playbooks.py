"""The smaller playbooks: prepare, verify, backup with retention, record_release."""

from __future__ import annotations

import json
import sys

import pytest

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


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


def test_backup_in_check_mode_takes_none(bad_day, tmp_path):
    answer = bad_day.must("playbooks/backup.yml", "--check", rollback_backup_dir=str(tmp_path))
    assert "would dump hunter with pg_dump" in answer
    assert list(tmp_path.iterdir()) == []
