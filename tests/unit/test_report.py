import pytest
from made_up import RUN, restore_plan

from ansible.module_utils.rollback import clock, outcome, record, report
from ansible.module_utils.rollback.journal import Journal

ALL = ("create", "load", "settings", "analyse", "compare", "stop", "swap", "start", "verify")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Journals a run of the made-up plan, one second per entry, and builds its report."""
    ticks = iter(range(1000, 9999))
    monkeypatch.setattr(clock, "monotonic", lambda: float(next(ticks)))
    monkeypatch.setattr(clock, "utc_now", lambda: clock.parse_iso("2026-11-22T03:15:00+00:00"))

    def build(done=ALL, then=(), notes=None, asked_s_before=4.0, **plan):
        journal = Journal(tmp_path / "runs" / RUN)
        journal.append("opened", plan={**restore_plan(), **plan}, asked_s_before=asked_s_before)
        for step in done:
            with journal.step(step) as result:
                if step == "swap":
                    result.update(closed_s=0.06, sessions_ended=12)
                if step == "verify":
                    result["checks"] = [{"name": "rows", "ok": True, "detail": "2 rows"}]
        for event, step, data in then:
            journal.append(event, step, **data)
        return report.build(record.read(tmp_path, RUN, "restore"), notes or {})

    return build


def test_a_success_says_what_was_done_how_long_it_took_and_the_way_back(run):
    facts = run(notes={"severity": "critical", "root_cause": "a migration"})
    assert facts["title"] == "Rollback Report - 2026-11-22 03:15 UTC"
    assert (facts["outcome"], facts["status"], facts["method"]) == ("succeeded", "Resolved", "Database Restore")
    assert (facts["severity"], facts["root_cause"], facts["prevention"]) == ("critical", "a migration", "to be written")
    assert (facts["closed_s"], facts["sessions_ended"], facts["outage_s"]) == (0.06, 12, 5.0)
    assert facts["set_aside"] == "hunter__before_20261122T031500Z"
    assert facts["checks"][0]["name"] == "rows"
    assert facts["next"].endswith(f"undo.yml -e run={RUN}")
    assert any(facts["set_aside"] in action for action in facts["actions"])
    assert any("External systems" in action for action in facts["actions"])


def test_the_timeline_begins_when_it_was_asked_for(run):
    lines = run()["timeline"]
    assert [line["id"] for line in lines] == ["plan", *ALL]
    assert [(line["began_s"], line["seconds"]) for line in lines[:3]] == [(0.0, 4.0), (5.0, 1.0), (7.0, 1.0)]
    assert all(line["expected_s"] for line in lines[1:])


@pytest.mark.parametrize(("target", "in_time"), [(3600, True), (1, False)])
def test_the_time_target_is_met_or_missed(run, target, in_time):
    facts = run(target_s=target)
    assert (facts["in_time"], facts["target_s"]) == (in_time, target)


def test_what_failed_before_the_swap_promises_nothing(run):
    failed = [("began", "load", {}), ("failed", "load", {"error": "no room"})]
    facts = run(done=["create"], then=failed)
    assert (facts["outcome"], facts["set_aside"], facts["outage_s"], facts["checks"]) == (
        outcome.PUT_BACK,
        "",
        None,
        [],
    )
    assert facts["problems"] == ["no room"]
    assert facts["next"] == restore_plan()["command"]
    by_id = {line["id"]: line for line in facts["timeline"]}
    assert (by_id["load"]["status"], by_id["load"]["error"], by_id["swap"]["status"]) == (
        "failed",
        "no room",
        "not reached",
    )
    assert not any("hunter__before" in action or "External" in action for action in facts["actions"])


def test_a_step_that_nobody_planned_is_in_the_timeline_too(run):
    looked = ("noted", "look", {"swapped": False})
    then = [("failed", "swap", {}), looked, ("began", "put_back", {}), ("done", "put_back", {})]
    facts = run(done=ALL[:6], then=[("began", "swap", {}), *then])
    (line,) = [line for line in facts["timeline"] if line["id"] == "put_back"]
    assert line["title"] == "Start Hunter again, as it was"
    assert facts["outcome"] == outcome.PUT_BACK


def test_every_line_of_the_timeline_is_in_words(run):
    counted = [("began", "lost_writes", {}), ("done", "lost_writes", {"tables": []})]
    titles = [line["title"] for line in run(done=ALL, then=counted)["timeline"]]
    assert "Count what went back in time" in titles
    assert all(" " in title for title in titles)


def test_every_outcome_and_method_has_its_words():
    shown = {outcome.SUCCEEDED, outcome.PUT_BACK, outcome.INCOMPLETE}
    assert shown <= set(report._STATUS)
    assert {"restore", "undo"} <= set(report.METHOD_NAMES)


@pytest.mark.parametrize("resumed", [0, 2])
def test_attempts_are_counted(run, resumed):
    assert run(then=[("resumed", "", {})] * resumed)["attempts"] == 1 + resumed


def test_rows_that_were_not_counted_are_not_left_out_of_a_sum_without_a_word(run):
    facts = run(uncounted_now=["public.leads"], rows_now=1)
    assert facts["rows_before_said"] == "at least 1 row, and not countable (row-level security): public.leads"
    assert facts["rows_after_said"] == "2 rows"
    assert facts["rows_before"] is None


SALVAGE = "rollback_salvage_20261122t031500z"
MIGRATION = {"direction": "down", "salvage": SALVAGE, "losses": [], "steps": [], "from": ["b"], "to": ["a"]}
LOST = {"kind": "table", "schema": "", "table": "calls", "columns": [], "count": 3, "exact": True, "savable": True}
DOWN = [{"id": name, "title": name, "expected_s": 1.0} for name in ("stop", "salvage", "down b", "start")]
UP = [{"id": name, "title": name, "expected_s": 1.0} for name in ("stop", "up b", "bring_back", "start")]


def downgrade(run, done, then=(), steps=DOWN, **migration):
    changes = {"migration": {**MIGRATION, "losses": [LOST], **migration}, "strategy": "migration", "steps": steps}
    return run(done=done, then=then, backup={}, **changes)


def test_a_downgrade_names_the_schema_that_keeps_what_it_took_away(run):
    facts = downgrade(run, ["stop", "salvage", "down b", "start"])
    assert (facts["set_aside_as"], facts["set_aside"]) == ("schema", SALVAGE)
    assert facts["set_aside_holds"] == "with what the downgrade took away"
    assert [entry["what"] for entry in facts["taken_away"]] == ["Table calls"]


def test_a_schema_that_was_dropped_is_not_named(run):
    """The downgrade failed half-way, went up again, and brought everything back."""
    noted = [("noted", "look", {"swapped": False})]
    facts = downgrade(run, ["stop", "salvage", "down b", "bring_back", "drop_salvage", "put_back"], noted)
    assert facts["outcome"] == outcome.PUT_BACK
    assert (facts["set_aside"], facts["taken_away"]) == ("", [])
    assert not any(SALVAGE in action for action in facts["actions"])


def test_a_schema_that_was_made_again_after_it_was_dropped_is_named(run):
    facts = downgrade(run, ["stop", "salvage", "bring_back", "drop_salvage", "salvage", "down b", "start"])
    assert facts["set_aside"] == SALVAGE


@pytest.mark.parametrize("dropped", [True, False])
def test_an_undo_names_the_schema_only_where_something_did_not_come_back(run, dropped):
    back = {"conflicts": 0, "dropped": 0} if dropped else {"conflicts": 2, "dropped": 1, "conflicts_file": "/r/c.jsonl"}
    back["notes"] = ["Materialized view v is stale."]
    back["copies"] = [{"schema": "public", "table": "t", "columns": ["c"], "gone": 0 if dropped else 3}]
    done = [("began", "bring_back", {}), ("done", "bring_back", back)]
    done += [("began", "drop_salvage", {}), ("done", "drop_salvage", {})] if dropped else []
    done += [("began", "start", {}), ("done", "start", {}), ("noted", "look", {"swapped": True})]
    facts = downgrade(run, ["stop", "up b"], done, UP, direction="up")
    assert facts["outcome"] == outcome.SUCCEEDED
    assert facts["set_aside"] == ("" if dropped else SALVAGE)
    said = [
        "2 values and rows that users wrote or deleted since the downgrade stayed as they left them.",
        "1 row that users wrote since had a place only in the older schema; the salvage schema keeps them.",
        "Of 3 rows of public.t that users deleted since, the salvage schema keeps c.",
        "Both sides are in /r/c.jsonl.",
    ]
    assert facts["written_since"] == ([] if dropped else said)
    assert facts["not_made_again"] == back["notes"]
