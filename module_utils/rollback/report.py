"""The report of a run: everything in it comes from the plan and the journal."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ansible.module_utils.rollback import migration_lines, outcome
from ansible.module_utils.rollback.plan import rows_said
from ansible.module_utils.rollback.words import amount, duration, listed

METHOD_NAMES = {
    "app": "Application Rollback",
    "restore": "Database Restore",
    "migration": "Database Migration Rollback",
    "undo": "Undo of an earlier run",
}
_STATUS = {
    outcome.SUCCEEDED: "Resolved",
    outcome.PUT_BACK: "Pending: nothing was changed",
    outcome.INCOMPLETE: "Pending: needs a person",
}


def build(record: Mapping[str, Any], notes: Mapping[str, Any]) -> Dict[str, Any]:
    """`record` is what rollback_journal returns; `notes` hold what people said: severity, root_cause, prevention."""
    entries, steps = record["entries"], record["steps"]
    plan = entries[0]["data"]["plan"]
    concluded = outcome.conclude(record)
    by_name = {step["name"]: step for step in steps}
    swap = by_name.get("swap", {}).get("data", {})
    counted = by_name.get("lost_writes", {}).get("data", {})
    swapped = bool(record["swapped"])
    before = {"rows_now": counted["rows"], "uncounted_now": counted.get("uncounted")} if "rows" in counted else {}
    kept_as, kept = _set_aside(plan, by_name, swapped)
    elapsed = float(record["elapsed_s"])
    attempts = 1 + sum(1 for entry in entries if entry["event"] == "resumed")
    return {
        "run": plan["run"],
        "title": f"Rollback Report - {entries[0]['at'][:10]} {entries[0]['at'][11:16]} UTC",
        "environment": plan["environment"],
        "requested_by": plan["requested_by"],
        "issue": plan["reason"] or "not given",
        "severity": notes.get("severity") or "not given",
        "method": METHOD_NAMES[plan["method"]],
        "root_cause": notes.get("root_cause") or "to be written",
        "prevention": notes.get("prevention") or "to be written",
        "status": _STATUS[concluded["outcome"]],
        **concluded,
        "elapsed_s": elapsed,
        "elapsed": duration(elapsed),
        "target_s": plan["target_s"],
        "target": duration(plan["target_s"]),
        "in_time": elapsed <= plan["target_s"],
        "outage_s": _outage(by_name),
        "outage": _outage_words(by_name, attempts),
        "closed_s": swap.get("closed_s"),
        "sessions_ended": swap.get("sessions_ended"),
        "attempts": attempts,
        "plan": plan,
        "hosts": outcome.host_states(steps),
        "timeline": _timeline(plan, steps, entries[0]),
        "checks": by_name.get("verify", {}).get("data", {}).get("checks", []),
        "set_aside": kept,
        "set_aside_as": kept_as,
        "set_aside_holds": _holds(plan),
        "written_since": _written_since(by_name.get("bring_back", {}).get("data", {})),
        "not_made_again": list(by_name.get("bring_back", {}).get("data", {}).get("notes", [])),
        "went_back": counted.get("tables", plan["forecast"]),
        "taken_away": [] if concluded["outcome"] == outcome.PUT_BACK else _taken_away(plan),
        "went_back_counted": "after the last session had ended" if "tables" in counted else "for the plan",
        "rows_before": _rows_before({**plan, **before}),
        "rows_before_said": rows_said({**plan, **before}, "now") or "0 rows",
        "rows_after_said": rows_said(plan, "then") or "0 rows",
        "problems": list(record["problems"]),
        "actions": _actions(plan, concluded["outcome"], f"{kept_as} {kept}" if kept else ""),
    }


def _taken_away(plan: Mapping[str, Any]) -> List[Dict[str, Any]]:
    """What a downgrade lost, as it was counted for the plan: `what`, `count` with its unit, and whether it is kept."""
    migration = plan.get("migration", {"direction": migration_lines.UP})
    if migration["direction"] == migration_lines.UP:
        return []
    return [
        {"what": migration_lines.what(entry), "count": migration_lines.counted(entry), "kept": bool(entry["savable"])}
        for entry in migration["losses"]
    ]


def _set_aside(plan: Mapping[str, Any], steps: Mapping[str, Mapping[str, Any]], swapped: bool) -> Tuple[str, str]:
    """As what, and under which name or path, is kept what was there before."""
    if "migration" in plan:
        return ("schema", str(plan["migration"]["salvage"])) if _has_salvage(plan, steps) else ("", "")
    safety = steps.get("safety", {}).get("data", {}).get("backup")
    if safety:
        return "safety dump", str(safety)
    return ("database", str(plan["database"]["aside"])) if swapped else ("", "")


def _has_salvage(plan: Mapping[str, Any], steps: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether the salvage schema is there at the end of the run: made and not dropped since."""
    if not plan["migration"]["salvage"]:
        return False
    dropped, made = steps.get("drop_salvage", {}), steps.get("salvage", {})
    if dropped.get("status") == "done" and dropped["began_s"] >= made.get("began_s", 0.0):
        return False
    return plan["migration"]["direction"] == migration_lines.UP or made.get("status") == "done"


def _holds(plan: Mapping[str, Any]) -> str:
    """What is in there, in words that follow its name."""
    if "migration" not in plan:
        return "as it was before"
    if plan["migration"]["direction"] == migration_lines.UP:
        return "with what did not come back because users have written or deleted since"
    kept = any(entry["savable"] for entry in plan["migration"]["losses"])
    return "with what the downgrade took away" if kept else "with what an undo compares"


def _written_since(back: Mapping[str, Any]) -> List[str]:
    """Sentences about what users wrote between a downgrade and its undo."""
    said = []
    if back.get("conflicts"):
        values = amount(back["conflicts"], "value or row", "values and rows")
        said.append(f"{values} that users wrote or deleted since the downgrade stayed as they left them.")
    if back.get("dropped"):
        rows = amount(back["dropped"], "row")
        said.append(
            f"{rows} that users wrote since had a place only in the older schema; the salvage schema keeps them."
        )
    for copy in back.get("copies", []):
        if copy["gone"] and copy["columns"]:
            rows = f"{amount(copy['gone'], 'row')} of {copy['schema']}.{copy['table']}"
            said.append(f"Of {rows} that users deleted since, the salvage schema keeps {listed(copy['columns'])}.")
    if said and back.get("conflicts_file"):
        said.append(f"Both sides are in {back['conflicts_file']}.")
    return said


def _rows_before(plan: Mapping[str, Any]) -> Optional[int]:
    """Rows of the database before the run; None where some could not be counted."""
    return None if plan.get("uncounted_now") else int(plan["rows_now"])


def _outage(steps: Mapping[str, Mapping[str, Any]]) -> Optional[float]:
    """Seconds from the order to stop the application until the old version had been started and answered."""
    if any(name not in steps or steps[name]["seconds"] is None for name in ("stop", "start")):
        return None
    stop, start = steps["stop"], steps["start"]
    return round(float(start["began_s"]) + float(start["seconds"]) - float(stop["began_s"]), 1)


def _outage_words(steps: Mapping[str, Mapping[str, Any]], attempts: int) -> str:
    """The outage in words; after several attempts only its upper bound is known."""
    seconds = _outage(steps)
    if seconds is None:
        return ""
    return ("at most " if attempts > 1 else "") + duration(seconds)


def _timeline(
    plan: Mapping[str, Any], steps: Sequence[Mapping[str, Any]], opened: Mapping[str, Any]
) -> List[Dict[str, Any]]:
    """Planned steps in order with what became of them, and steps that nobody planned where they happened."""
    titles = {step["id"]: step for step in plan["steps"]}
    unplanned = {
        "put_back": f"Start {plan['application']['name']} again, as it was",
        "lost_writes": "Count what went back in time",
        "bring_back": "Bring back what was kept aside",
        "drop_salvage": "Drop the schema of which everything is back",
    }
    done = {step["name"] for step in steps}
    before = float(opened["data"].get("asked_s_before", 0.0))
    lines = [
        {
            "id": "plan",
            "title": "Look, choose the target, prove the backup and plan"
            if plan["backup"]
            else "Look, choose the target and plan",
            "status": "done",
            "began_s": 0.0,
            "seconds": before,
            "error": "",
            "expected_s": None,
        }
    ]
    for step in steps:
        planned = titles.get(step["name"], {})
        lines.append(
            {
                "id": step["name"],
                "title": planned.get("title", unplanned.get(step["name"], step["name"])),
                "status": step["status"],
                "began_s": step["began_s"] + before,
                "seconds": step["seconds"],
                "error": step["error"],
                "expected_s": planned.get("expected_s"),
            }
        )
    lines += [
        {
            "id": step["id"],
            "title": step["title"],
            "status": "not reached",
            "began_s": None,
            "seconds": None,
            "error": "",
            "expected_s": step["expected_s"],
        }
        for step in plan["steps"]
        if step["id"] not in done
    ]
    return lines


def _actions(plan: Mapping[str, Any], ended: str, set_aside: str) -> List[str]:
    actions = []
    if ended != outcome.SUCCEEDED:
        actions.append("Find the cause of the failure above; the run's journal has every step.")
    if set_aside and "migration" in plan and plan["migration"]["direction"] == migration_lines.UP:
        actions.append(f"Decide about what did not come back; it is in {set_aside}. Drop that schema afterwards.")
    elif set_aside and "migration" in plan and plan["migration"]["losses"]:
        actions.append(f"Look through what the downgrade took away; it is in {set_aside}.")
    if set_aside and plan["forecast"]:
        actions.append(f"Look through what was written since the backup; it is in {set_aside}.")
    if plan["method"] == "restore" and ended == outcome.SUCCEEDED:
        actions.append("Keep the bad version from being deployed again until its cause is mended.")
        actions.append(
            "External systems (queues, mails, payments, search indexes) were not moved back in time: compare them."
        )
    actions.append("Write down root cause and prevention above.")
    return actions
