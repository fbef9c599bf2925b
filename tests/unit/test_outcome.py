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


@pytest.mark.parametrize(
    ("journaled", "expected", "said", "follows"),
    [
        (steps(ALL), outcome.SUCCEEDED, "Hunter 1.0.0 serves", PLAN["way_back"]),
        (
            steps(ALL[:-1], verify="failed"),
            outcome.INCOMPLETE,
            "the run did not get further",
            f"{PLAN['command']}   (or back: {PLAN['way_back']})",
        ),
        (
            steps(ALL[:-2], start="running"),
            outcome.INCOMPLETE,
            "is the restored one",
            f"{PLAN['command']}   (or back: {PLAN['way_back']})",
        ),
        (steps(), outcome.PUT_BACK, "is as it was, and Hunter runs as before", PLAN["command"]),
        (steps(BESIDE[:1], load="failed"), outcome.PUT_BACK, "runs as before", PLAN["command"]),
        (steps(BESIDE, stop="failed", put_back="done"), outcome.PUT_BACK, "runs as before", PLAN["command"]),
        (steps((*BESIDE, "stop"), swap="failed", put_back="done"), outcome.PUT_BACK, "runs as before", PLAN["command"]),
        (
            steps((*BESIDE, "stop"), swap="failed", put_back="failed"),
            outcome.INCOMPLETE,
            "may be stopped",
            PLAN["command"],
        ),
        (steps((*BESIDE, "stop"), swap="running"), outcome.INCOMPLETE, "may be stopped", PLAN["command"]),
        (steps(BESIDE, stop="running"), outcome.INCOMPLETE, "may be stopped", PLAN["command"]),
    ],
)
def test_the_journal_says_how_it_ended(journaled, expected, said, follows):
    concluded = outcome.conclude(PLAN, journaled, [])
    assert (concluded["outcome"], concluded["next"]) == (expected, follows)
    assert said in concluded["sentence"]


def test_having_been_put_back_once_does_not_count_when_it_was_stopped_again():
    again = [
        {"name": "stop", "status": "done", "began_s": 100.0},
        {"name": "put_back", "status": "done", "began_s": 50.0},
    ]
    assert outcome.conclude(PLAN, again, [])["outcome"] == outcome.INCOMPLETE


def test_the_first_problem_is_the_cause():
    assert outcome.conclude(PLAN, steps(), ["no room", "host is gone"])["sentence"].endswith("Cause: no room")
    assert "Cause" not in outcome.conclude(PLAN, steps(ALL), ["an earlier attempt"])["sentence"]
