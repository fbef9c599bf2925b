import pytest
from made_up import RUN, finished_run

from ansible.module_utils.rollback import clock, lock, outcome, record
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.journal import Journal

OWNER = {"who": "ada", "host": "controller", "pid": 1, "boot": "b"}
UNDO = "20261122T041500Z-undo"


@pytest.fixture
def say(tmp_path):
    def keep(state, run=RUN, check_mode=False, **given):
        known = {"step": "", "data": {}, "owner": OWNER, "take_over": {}, "method": "restore", **given}
        return record.keep(
            {"state_dir": str(tmp_path), "environment_name": "production", "run": run, "state": state, **known},
            check_mode,
        )

    keep.environment = tmp_path / "production"
    return keep


def test_a_run_from_its_opening_to_its_close(say):
    assert say("opened", data={"plan": {}})["lock"]["run"] == RUN
    say("began", step="load")
    seen = say("read")
    assert (seen["unfinished"], seen["outcome"], seen["steps"][0]["status"]) == (RUN, "unfinished", "running")
    say("done", step="load")
    closed = say("closed", data={"outcome": "succeeded"})
    assert (closed["lock"], closed["unfinished"], closed["outcome"], closed["changed"]) == ({}, "", "succeeded", True)
    assert set(closed["measured"]) == {"load"}
    assert say("read")["changed"] is False


def test_check_mode_writes_nothing(say):
    assert say("opened", check_mode=True, data={"plan": {}})["changed"] is False
    assert not say.environment.exists()


def test_a_second_run_is_refused_and_leaves_the_first_its_lock(say):
    say("opened", data={"plan": {}})
    with pytest.raises(RollbackError, match=f"held by run {RUN}"):
        say("opened", run=UNDO, data={"plan": {}})
    assert say("read")["lock"]["run"] == RUN
    assert say("read", run=UNDO)["entries"] == []


def test_a_run_that_is_incomplete_stays_open_and_can_be_taken_up(say):
    say("opened", data={"plan": {}})
    left = say("closed", data={"outcome": outcome.INCOMPLETE})
    assert (left["unfinished"], left["lock"], left["outcome"]) == (RUN, {}, "unfinished")
    again = say("opened", data={"plan": {}})
    assert [entry["event"] for entry in again["entries"]] == ["opened", "noted", "resumed"]


def test_the_lock_is_given_back_where_the_journal_cannot_be_opened(say):
    broken = Journal(say.environment / "runs" / RUN)
    broken.append("opened")
    broken.path.write_bytes(b"{}\n")
    with pytest.raises(RollbackError, match="Line 1"):
        say("opened", data={"plan": {}})
    assert lock.holder(say.environment) is None


@pytest.mark.parametrize(("ended", "then"), [("succeeded", "undone"), ("put_back", "succeeded")])
def test_only_a_successful_undo_makes_a_run_undone(say, ended, then):
    finished_run(say.environment, plan={})
    say("opened", run=UNDO, data={"plan": {"undoes": RUN}})
    say("closed", run=UNDO, data={"outcome": ended})
    assert say("read")["outcome"] == then


@pytest.mark.parametrize(
    ("state", "given", "why"),
    [
        ("opened", {"run": ""}, "needs the id of a run"),
        ("opened", {"run": "../x"}, "is not the id of a run"),
        ("opened", {"owner": {}}, "needs its owner, with who, host, pid and boot"),
        ("closed", {"data": {"outcome": "succeeded"}}, "was never opened"),
        ("done", {"step": "load"}, "was never opened"),
    ],
)
def test_what_makes_no_sense_is_one_sentence_and_leaves_nothing(say, state, given, why):
    with pytest.raises(RollbackError, match=why):
        say(state, **given)
    assert lock.holder(say.environment) is None
    assert not list(say.environment.rglob("journal*"))


def test_closing_needs_an_outcome(say):
    say("opened", data={"plan": {}})
    with pytest.raises(RollbackError, match="needs its outcome"):
        say("closed")
    assert say("read")["unfinished"] == RUN


def test_the_newest_success_of_the_same_method_is_the_forecast(say, monkeypatch):
    now = {"at": 0.0}
    monkeypatch.setattr(clock, "monotonic", lambda: now.__setitem__("at", now["at"] + 1) or now["at"])
    finished_run(say.environment, "20261120T000000Z-restore", plan={})
    finished_run(say.environment, "20261121T000000Z-restore", outcome="put_back", plan={})
    finished_run(say.environment, "20261121T000001Z-undo", plan={})
    assert record.measured(say.environment, "restore") == {"stop": 1, "swap": 1, "start": 1, "verify": 1}
    assert record.measured(say.environment, "migration") == {}


def test_time_counts_from_when_it_was_asked_for_and_stops_at_the_close(say, monkeypatch):
    monkeypatch.setattr(clock, "monotonic", lambda: 100.0)
    say("opened", data={"plan": {}, "asked_s_before": 7.5})
    monkeypatch.setattr(clock, "monotonic", lambda: 110.0)
    assert say("read")["elapsed_s"] == 17.5
    say("closed", data={"outcome": "succeeded"})
    monkeypatch.setattr(clock, "monotonic", lambda: 999.0)
    assert say("read")["elapsed_s"] == 17.5
    assert record.elapsed_s([]) == 0.0


def test_a_reboot_lets_the_calendar_count(say, monkeypatch):
    monkeypatch.setattr(clock, "utc_now", lambda: clock.parse_iso("2026-11-22T03:00:00+00:00"))
    say("opened", data={"plan": {}, "asked_s_before": 5})
    monkeypatch.setattr(clock, "boot_id", lambda: "another")
    monkeypatch.setattr(clock, "utc_now", lambda: clock.parse_iso("2026-11-22T03:10:00+00:00"))
    assert say("began", step="load")["elapsed_s"] == 605
