"""The record of an environment's runs: opening one under the lock, writing to it, reading it back, closing it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List

from ansible.module_utils.rollback import clock, journal, lock, outcome, runs
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.journal import Entry, Journal


def keep(params: Dict[str, Any], check_mode: bool) -> Dict[str, Any]:
    """Do what `params["state"]` says (see the module rollback_journal) and return the record as it is then."""
    environment = runs.environment_dir(params["state_dir"], params["environment_name"])
    run, state = params["run"], params["state"]
    changed = False
    if state != "read" and not run:
        raise RollbackError(f"state={state} needs the id of a run.")
    if state != "read" and not check_mode:
        written = Journal(runs.run_dir(environment, run))
        if state != "opened" and not written.entries():
            raise RollbackError(f"Run {run} was never opened, so nothing can be written about it.")
        if state == "opened":
            open_run(environment, run, params["owner"], params["data"], params["take_over"])
        elif state == "closed":
            close_run(environment, run, params["data"])
        else:
            written.append(state, params["step"], **params["data"])
        changed = True
    return {"changed": changed, **read(environment, run, params["method"])}


def open_run(
    environment: Path, run: str, owner: Dict[str, Any], data: Dict[str, Any], take_over: Dict[str, Any]
) -> None:
    """Take the lock, then write the first entry, or that the run goes on. Raises RollbackError where the lock is held."""
    try:
        asking = lock.Owner(run=run, since=clock.iso(clock.utc_now()), **owner)
    except TypeError as error:
        raise RollbackError("Opening a run needs its owner, with who, host, pid and boot.") from error
    lock.acquire(environment, asking, lock.Owner(**take_over) if take_over else None)
    written = Journal(runs.run_dir(environment, run))
    try:
        written.append("resumed" if written.entries() else "opened", **data)
    except BaseException:
        lock.release(environment, run)
        raise


def close_run(environment: Path, run: str, data: Dict[str, Any]) -> None:
    """Write how the run ended and give the lock back. One that is incomplete stays open, so that it can be taken up."""
    written = Journal(runs.run_dir(environment, run))
    if "outcome" not in data:
        raise RollbackError("Closing a run needs its outcome.")
    undone = str(written.entries()[0].data.get("plan", {}).get("undoes", ""))
    if data["outcome"] == outcome.INCOMPLETE:
        written.append("noted", "unfinished", **data)
    else:
        written.append("closed", **data)
    if undone and data["outcome"] == outcome.SUCCEEDED:
        Journal(runs.run_dir(environment, undone)).append("closed", outcome=outcome.UNDONE, by=run)
    lock.release(environment, run)


def read(environment: Path, run: str, method: str) -> Dict[str, Any]:
    """What the record says of `run` (where it is not empty), of the environment, and of how long `method` takes there."""
    entries = Journal(runs.run_dir(environment, run)).entries() if run else []
    held = lock.holder(environment)
    return {
        "run_dir": str(runs.run_dir(environment, run)) if run else "",
        "entries": [entry.as_dict() for entry in entries],
        "steps": [step.as_dict() for step in journal.steps_of(entries)],
        "swapped": journal.swapped_of(entries),
        "problems": journal.problems_of(entries),
        "outcome": journal.outcome_of(entries),
        "elapsed_s": elapsed_s(entries),
        "lock": held.as_dict() if held else {},
        "unfinished": unfinished(environment),
        "measured": measured(environment, method),
    }


def elapsed_s(entries: List[Entry]) -> float:
    """Seconds since the run was asked for: on the controller until it was opened, on this host's clock since."""
    if not entries:
        return 0.0
    first, last = entries[0], entries[-1]
    before = float(first.data.get("asked_s_before", 0.0))
    if first.boot != last.boot:  # the host was started anew: only the calendar spans that
        return round((clock.parse_iso(last.at) - clock.parse_iso(first.at)).total_seconds() + before, 3)
    now = clock.monotonic() if last.event != "closed" and last.boot == clock.boot_id() else last.monotonic
    return round(now - first.monotonic + before, 3)


def unfinished(environment: Path) -> str:
    """The newest run that was opened and never closed."""
    for run in reversed(runs.run_ids(environment)):
        entries = Journal(runs.run_dir(environment, run)).entries()
        if entries:
            return run if journal.outcome_of(entries) == "unfinished" else ""
    return ""


def measured(environment: Path, method: str) -> Dict[str, float]:
    """Seconds per step of the newest run of `method`: the best forecast of the next one."""
    for run in reversed(runs.run_ids(environment)):
        if not run.endswith(f"-{method}"):
            continue
        entries = Journal(runs.run_dir(environment, run)).entries()
        if journal.outcome_of(entries) in (outcome.SUCCEEDED, outcome.UNDONE):
            return {step.name: step.seconds for step in journal.steps_of(entries) if step.seconds is not None}
    return {}
