"""How a run ended, read from its journal and never from a play's own colours."""

from __future__ import annotations

from typing import Any, Dict, Mapping

SUCCEEDED, PUT_BACK, INCOMPLETE, UNDONE = "succeeded", "put_back", "incomplete", "undone"


def conclude(record: Mapping[str, Any]) -> Dict[str, Any]:
    """`outcome`, a `sentence` for the person on call, and the `next` command, from a record (see `record.read`).

    `succeeded`: every step of the plan is done. `put_back`: the swap did not happen and the application runs as
    before. `incomplete`: somebody has to look.
    """
    plan, steps, problems = record["entries"][0]["data"]["plan"], record["steps"], record["problems"]
    status = {step["name"]: step["status"] for step in steps}
    why = f" Cause: {problems[0]}" if problems else ""
    database, application = plan["database"]["name"], plan["application"]["name"]
    same_again = plan["command"]
    if all(status.get(step["id"]) == "done" for step in plan["steps"]):
        undone = (
            f", as before run {plan['undoes']}"
            if "undoes" in plan
            else ", and everything that was verified is as it should be"
        )
        return _conclusion(SUCCEEDED, f"{application} {_versions(plan)} serves{undone}.", plan["way_back"])
    if record["swapped"] is None:
        told = f"Whether database {database} was swapped could not be told, so {application} was left stopped.{why}"
        return _conclusion(INCOMPLETE, told, same_again)
    if record["swapped"]:
        told = f"The data of database {database} is the restored one, and the run did not get further.{why}"
        return _conclusion(INCOMPLETE, told, f"{same_again}   (or back: {plan['way_back']})")
    # Put back in an earlier attempt, and stopped again since, is not put back.
    began = {step["name"]: step["began_s"] for step in steps}
    if status.get("stop") is None or (status.get("put_back") == "done" and began["put_back"] > began["stop"]):
        return _conclusion(
            PUT_BACK, f"Database {database} is as it was, and {application} runs as before.{why}", same_again
        )
    return _conclusion(
        INCOMPLETE, f"Database {database} is as it was, but {application} may be stopped.{why}", same_again
    )


def _versions(plan: Mapping[str, Any]) -> str:
    return ", ".join(sorted(set(plan["application"]["to"].values())))


def _conclusion(outcome: str, sentence: str, following: str) -> Dict[str, Any]:
    return {"outcome": outcome, "sentence": sentence, "next": following}
