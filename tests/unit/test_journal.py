import json

import pytest

from ansible.module_utils.rollback import clock, journal
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.journal import (
    Journal,
    NoJournal,
    journal_in,
    outcome_of,
    problems_of,
    steps_of,
    swapped_of,
)


@pytest.fixture
def run(tmp_path):
    return Journal(tmp_path / "runs" / "one")


@pytest.fixture
def times(monkeypatch):
    """Sets the host's clock: boot, seconds since it, and the calendar."""

    def at(seconds, boot="first", calendar="2026-11-22T03:00:00+00:00"):
        monkeypatch.setattr(clock, "monotonic", lambda: seconds)
        monkeypatch.setattr(clock, "boot_id", lambda: boot)
        monkeypatch.setattr(clock, "utc_now", lambda: clock.parse_iso(calendar))

    return at


def lines(run):
    return run.path.read_bytes().splitlines(keepends=True)


def test_what_was_written_is_read_back_and_chained(run):
    run.append("opened", plan={"a": [1, "é\u2028"]})
    run.append("began", "load")
    first, second = run.entries()
    assert (first.seq, first.previous, first.data) == (1, "", {"plan": {"a": [1, "é\u2028"]}})
    assert (second.seq, second.previous, second.step) == (2, first.hash, "load")


@pytest.mark.parametrize(
    ("tamper", "line"),
    [
        (lambda all_: [all_[0], all_[1].replace(b"load", b"swap"), all_[2]], 2),
        (lambda all_: [all_[0], all_[2]], 2),
        (lambda all_: all_[1:], 1),
        (lambda all_: [all_[0], all_[2], all_[1]], 2),
        (lambda all_: [*all_, all_[2]], 4),
        (lambda all_: [all_[0], b"\n", *all_[1:]], 2),
        (lambda all_: [all_[0], b'{"seq": 2}\n'], 2),
        (lambda all_: [b"\xff\xfe\n"], 1),
        (lambda all_: [*all_, b"[]\n"], 4),
    ],
)
def test_whatever_was_changed_is_named_with_its_line(run, tamper, line):
    for event, step in (("opened", ""), ("began", "load"), ("done", "load")):
        run.append(event, step)
    run.path.write_bytes(b"".join(tamper(lines(run))))
    with pytest.raises(RollbackError, match=rf"^Line {line} of .*journal\.jsonl is not what was written there"):
        run.entries()


def test_a_line_cannot_be_forged_by_hashing_it_anew_without_the_ones_after_it(run):
    run.append("opened")
    run.append("began", "load")
    forged = {**json.loads(lines(run)[0]), "at": "2020-01-01T00:00:00.000Z"}
    forged["hash"] = journal.Entry(**forged).expected_hash()
    run.path.write_bytes(json.dumps(forged).encode() + b"\n" + lines(run)[1])
    with pytest.raises(RollbackError, match=r"^Line 2 "):
        run.entries()


@pytest.mark.parametrize("cut", [1, 20, -1])
def test_a_torn_last_line_never_counted_and_the_next_one_is_whole(run, cut):
    run.append("opened")
    run.append("began", "load")
    first, second = lines(run)
    run.path.write_bytes(first + second[:cut])
    assert [entry.event for entry in run.entries()] == ["opened"]
    run.append("resumed")
    assert [(entry.seq, entry.event) for entry in run.entries()] == [(1, "opened"), (2, "resumed")]


def test_a_journal_torn_in_its_first_line_starts_anew(run):
    run.append("opened")
    run.path.write_bytes(lines(run)[0][:10])
    assert run.append("opened").seq == 1
    assert len(run.entries()) == 1


def test_a_disk_that_takes_nothing_stops_the_run_before_the_step(run, monkeypatch):
    run.append("opened")
    monkeypatch.setattr(
        journal.durable, "append", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    )
    worked = []
    with pytest.raises(RollbackError, match=r"No space left on device.*so nothing further is done"), run.step("swap"):
        worked.append("swapped")
    assert not worked


def test_nothing_is_written_under_a_name_that_nobody_reads(run):
    with pytest.raises(ValueError, match="finished"):
        run.append("finished")
    assert run.entries() == []


def test_a_step_keeps_its_result(run):
    with run.step("compare", database="hunter") as result:
        result["rows"] = 7
    (step,) = steps_of(run.entries())
    assert (step.status, step.data, step.error) == ("done", {"database": "hunter", "rows": 7}, "")


@pytest.mark.parametrize(
    ("error", "said"),
    [(RollbackError("No room.", "Make some."), "No room. Make some."), (KeyboardInterrupt(), "KeyboardInterrupt")],
)
def test_a_step_that_fails_says_so_and_the_error_goes_on(run, error, said):
    run.append("opened")
    with pytest.raises(type(error)), run.step("load"):
        raise error
    (step,) = steps_of(run.entries())
    assert (step.status, step.error) == ("failed", said)
    assert problems_of(run.entries()) == [said]


def test_a_step_that_was_cut_off_is_still_running(run):
    run.append("opened")
    run.append("began", "load")
    (step,) = steps_of(run.entries())
    assert (step.status, step.seconds) == ("running", None)


def test_durations_do_not_look_at_the_calendar(run, times):
    times(100)
    run.append("opened")
    times(107, calendar="2020-01-01T00:00:00+00:00")
    run.append("began", "load")
    times(110.5, calendar="2030-01-01T00:00:00+00:00")
    run.append("done", "load")
    (step,) = steps_of(run.entries())
    assert (step.began_s, step.seconds) == (7, 3.5)


def test_a_reboot_within_a_step_leaves_its_duration_open(run, times):
    times(5000)
    run.append("opened")
    run.append("began", "load")
    times(3, boot="second", calendar="2026-11-22T03:10:00+00:00")
    run.append("done", "load")
    run.append("began", "swap")
    load, swap = steps_of(run.entries())
    assert (load.status, load.seconds) == ("done", None)
    assert swap.began_s == 600


def test_a_step_begun_again_shows_its_last_attempt_in_its_first_place(run):
    run.append("opened")
    run.append("began", "create")
    run.append("failed", "create", error="no room")
    run.append("began", "load")
    run.append("resumed")
    run.append("began", "create")
    create, load = steps_of(run.entries())
    assert (create.name, create.status, create.error) == ("create", "running", "")
    assert load.status == "running"


def test_problems_are_those_of_the_last_attempt_each_once(run):
    run.append("opened")
    run.append("failed", "load", error="no room")
    run.append("resumed")
    run.append("began", "load")
    run.append("failed", "load", error="disk broke")
    run.append("noted", "a task", error="disk broke")
    run.append("failed", "stop", error="host is gone")
    assert problems_of(run.entries()) == ["disk broke", "host is gone"]
    assert problems_of([]) == []


def test_the_outcome_is_what_the_last_entry_says(run):
    assert outcome_of([]) == "unfinished"
    run.append("opened")
    assert outcome_of(run.entries()) == "unfinished"
    run.append("closed", outcome="succeeded")
    assert outcome_of(run.entries()) == "succeeded"
    run.append("closed", outcome="undone", by="another")
    assert outcome_of(run.entries()) == "undone"


def test_outside_a_run_nothing_is_written(tmp_path):
    with journal_in("").step("swap") as result:
        result["x"] = 1
    assert isinstance(journal_in(""), NoJournal)
    assert journal_in(str(tmp_path)).path == tmp_path / "journal.jsonl"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("written", "swapped"),
    [
        ([], False),
        ([("done", "load")], False),
        ([("began", "swap")], None),
        ([("began", "swap"), ("failed", "swap")], None),
        ([("began", "swap"), ("done", "swap")], True),
        ([("began", "swap"), ("noted", False)], False),
        ([("began", "swap"), ("failed", "swap"), ("noted", True)], True),
        ([("began", "swap"), ("noted", False), ("began", "swap")], None),
        ([("began", "swap"), ("noted", False), ("noted", None)], None),
    ],
)
def test_whether_the_databases_were_swapped_is_known_or_admitted_not_to_be(tmp_path, written, swapped):
    """A connection that breaks in the COMMIT leaves it open: only looking at the databases tells."""
    journal = Journal(tmp_path)
    for event, what in written:
        journal.append(event, "look", swapped=what) if event == "noted" else journal.append(event, what)
    assert swapped_of(journal.entries()) is swapped
