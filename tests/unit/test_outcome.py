import pytest
from made_up import restore_plan

from ansible.module_utils.rollback import outcome

PLAN = restore_plan()
BESIDE = ("create", "load", "settings", "analyse", "compare")
ALL = (*BESIDE, "stop", "swap", "start", "verify")


def steps(done=(), **others):
    """Steps in the order in which they began."""
    states = {**dict.fromkeys(done, "done"), **others}
    return [{"name": name, "status": status, "began_s": float(at)} for at, (name, status) in enumerate(states.items())]


def conclude(steps, problems=(), swapped=False):
    record = {"entries": [{"data": {"plan": PLAN}}], "steps": steps, "problems": list(problems), "swapped": swapped}
    return outcome.conclude(record)


@pytest.mark.parametrize(
    ("swapped", "journaled", "expected", "said", "follows"),
    [
        (True, steps(ALL), outcome.SUCCEEDED, "Hunter 1.0.0 serves", PLAN["way_back"]),
        (
            True,
            steps(ALL[:-1], verify="failed"),
            outcome.INCOMPLETE,
            "the run did not get further",
            f"{PLAN['command']}   (or back: {PLAN['way_back']})",
        ),
        (
            True,
            steps(ALL[:-2], start="running"),
            outcome.INCOMPLETE,
            "is the restored one",
            f"{PLAN['command']}   (or back: {PLAN['way_back']})",
        ),
        (False, steps(), outcome.PUT_BACK, "is as it was, and Hunter runs as before", PLAN["command"]),
        (False, steps(BESIDE[:1], load="failed"), outcome.PUT_BACK, "runs as before", PLAN["command"]),
        (False, steps(BESIDE, stop="failed", put_back="done"), outcome.PUT_BACK, "runs as before", PLAN["command"]),
        (
            False,
            steps((*BESIDE, "stop"), swap="failed", put_back="done"),
            outcome.PUT_BACK,
            "runs as before",
            PLAN["command"],
        ),
        (
            False,
            steps((*BESIDE, "stop"), swap="failed", put_back="failed"),
            outcome.INCOMPLETE,
            "may be stopped",
            PLAN["command"],
        ),
        (None, steps((*BESIDE, "stop"), swap="running"), outcome.INCOMPLETE, "could not be told", PLAN["command"]),
        (None, steps((*BESIDE, "stop"), swap="failed"), outcome.INCOMPLETE, "was left stopped", PLAN["command"]),
        (
            True,
            steps((*BESIDE, "stop", "start", "verify"), swap="failed"),
            outcome.INCOMPLETE,
            "is the restored one",
            f"{PLAN['command']}   (or back: {PLAN['way_back']})",
        ),
        (False, steps(BESIDE, stop="running"), outcome.INCOMPLETE, "may be stopped", PLAN["command"]),
    ],
)
def test_the_journal_says_how_it_ended(swapped, journaled, expected, said, follows):
    concluded = conclude(journaled, swapped=swapped)
    assert (concluded["outcome"], concluded["next"]) == (expected, follows)
    assert said in concluded["sentence"]


def test_having_been_put_back_once_does_not_count_when_it_was_stopped_again():
    again = [
        {"name": "stop", "status": "done", "began_s": 100.0},
        {"name": "put_back", "status": "done", "began_s": 50.0},
    ]
    assert conclude(again)["outcome"] == outcome.INCOMPLETE


def test_the_first_problem_is_the_cause():
    assert conclude(steps(), ["no room", "host is gone"])["sentence"].endswith("Cause: no room")
    assert "Cause" not in conclude(steps(ALL), ["an earlier attempt"], True)["sentence"]
