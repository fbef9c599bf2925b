from datetime import UTC, datetime

import pytest
from made_up import RUN

from ansible.module_utils.rollback import runs
from ansible.module_utils.rollback.errors import RollbackError


def test_an_id_says_when_and_how():
    assert runs.new_run_id("restore", datetime(2026, 11, 22, 3, 15, tzinfo=UTC)) == RUN
    assert runs.stamp_of(RUN) == "20261122T031500Z"


@pytest.mark.parametrize(
    "run", ["", "restore", "20261122T031500Z-", f"{RUN}\n", f"../{RUN}", "20261122T031500Z-RESTORE"]
)
def test_what_is_no_id_never_becomes_a_path(run, tmp_path):
    with pytest.raises(RollbackError, match="is not the id of a run"):
        runs.run_dir(tmp_path, run)


@pytest.mark.parametrize("environment", ["", "..", ".hidden", "a/b", "a b", "a" * 64, "production\n"])
def test_an_environment_never_leads_out_of_the_state_directory(environment):
    with pytest.raises(RollbackError, match="cannot be the name of an environment"):
        runs.environment_dir("/state", environment)


def test_runs_are_listed_oldest_first_and_strangers_left_out(tmp_path):
    assert runs.run_ids(tmp_path) == []
    for name in (RUN, "20251231T235959Z-undo", "notes", f"{RUN}.bak"):
        (tmp_path / "runs" / name).mkdir(parents=True)
    assert runs.run_ids(tmp_path) == ["20251231T235959Z-undo", RUN]
