"""How a run ended, read from its journal and never from a play's own colours."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence

from ansible.module_utils.rollback.words import listed

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
    if plan.get("strategy") == "app":
        return _of_app(plan, steps, why)
    if "migration" in plan and record["swapped"] is not False:
        told = f"{_schema(record, plan)}, and {application} was left stopped.{why}"
        if record["swapped"]:
            told = f"The schema of database {database} is the one to go to, and the run did not get further.{why}"
        return _conclusion(
            INCOMPLETE, told, f"{same_again}   (or back: {plan['way_back']})" if record["swapped"] else same_again
        )
    if record["swapped"] is None and plan.get("strategy") == "in_place":
        safety = next((step["data"].get("backup") for step in steps if step["name"] == "safety"), None)
        kept = f"safety dump {safety}" if safety else f"database {plan['database']['aside']}, or still {database}"
        told = f"The replacement of database {database} was cut off, so {application} was left stopped; what was there is in {kept}.{why}"
        return _conclusion(INCOMPLETE, told, same_again)
    if record["swapped"] is None:
        told = f"Whether database {database} was swapped could not be told, so {application} was left stopped.{why}"
        return _conclusion(INCOMPLETE, told, same_again)
    if record["swapped"]:
        told = f"The data of database {database} is the restored one, and the run did not get further.{why}"
        return _conclusion(INCOMPLETE, told, f"{same_again}   (or back: {plan['way_back']})")
    if "running" in status.values() and status.get("discard") != "done" and status.get("stop") is None:
        told = f"Database {database} is as it was and {application} runs as before, but the restore beside was not seen to end.{why}"
        return _conclusion(INCOMPLETE, told, same_again)
    # Put back in an earlier attempt, and stopped again since, is not put back.
    began = {step["name"]: step["began_s"] for step in steps}
    if status.get("stop") is None or (status.get("put_back") == "done" and began["put_back"] > began["stop"]):
        return _conclusion(
            PUT_BACK, f"Database {database} is as it was, and {application} runs as before.{why}", same_again
        )
    return _conclusion(
        INCOMPLETE, f"Database {database} is as it was, but {application} may be stopped.{why}", same_again
    )


def _of_app(plan: Mapping[str, Any], steps: Sequence[Mapping[str, Any]], why: str) -> Dict[str, Any]:
    """A switch of versions that did not come to its end: every host is named with what it runs."""
    application, states = plan["application"], host_states(steps)
    runs = {
        "started": "to",
        "switched back": "from",
        "not begun": "from",
    }
    versions = {host: application[runs[state]][host] if state in runs else "" for host, state in states.items()}
    if versions and all(version == application["from"][host] for host, version in versions.items()):
        said = listed(sorted(set(versions.values())))
        return _conclusion(
            PUT_BACK, f"{application['name']} {said} runs as before on every host.{why}", plan["command"]
        )
    by_version: Dict[str, List[str]] = {}
    for host, version in sorted(versions.items()):
        by_version.setdefault(version, []).append(host)
    told = "; ".join(
        f"{version} on {listed(hosts)}" if version else f"it is not known what {listed(hosts)} runs"
        for version, hosts in by_version.items()
    )
    told = f"{application['name']}: {told or 'it is not known which hosts have switched'}.{why}"
    return _conclusion(INCOMPLETE, told, f"{plan['command']}   (or back: {plan['way_back']})")


def host_states(steps: Sequence[Mapping[str, Any]]) -> Dict[str, str]:
    """The state into which each application host was last brought, as far as the journal knows."""
    states: Dict[str, str] = {}
    for step in steps:
        states.update(step["data"].get("states", {}))
    return states


def unreached(
    plan: Mapping[str, Any], host: str, data: str, stopping: bool, hosts: Mapping[str, str]
) -> Dict[str, Any]:
    """The conclusion where the database host is lost for good, from what the controller knows.

    `data` says what the live name stands for (`before`, `after` or `unknown`), `stopping` whether the application was
    asked to stop, `hosts` holds the last known state of each application host (`stopped`, `started` or empty).
    """
    database, application = plan["database"]["name"], plan["application"]["name"]
    states = ", ".join(
        f"{application} on {name} is {state or 'in an unknown state'}" for name, state in sorted(hosts.items())
    )
    if not stopping:
        known = f"Database {database} is as it was and {application} was not stopped; the restore beside may still be going on there."
    elif data == "before":
        known = f"Database {database} was not replaced; {states}."
    elif data == "after":
        known = f"The data of database {database} is the restored one, which was not verified; {states}."
    else:
        known = (
            f"Whether database {database} was replaced is not known, so {application} was left stopped."
            f" If it refuses connections, ALTER DATABASE {database} ALLOW_CONNECTIONS true opens it."
        )
    return _conclusion(
        INCOMPLETE, f"{host} left no report: it could not be reached, or could not write. {known}", plan["command"]
    )


def _schema(record: Mapping[str, Any], plan: Mapping[str, Any]) -> str:
    """At which revision a downgrade that was cut off, or could not be put back, has left the database."""
    found = [entry["data"]["heads"] for entry in record["entries"] if "heads" in entry["data"]]
    ends = f"between {listed(plan['migration']['from'] or ['none'])} and {listed(plan['migration']['to'] or ['none'])}"
    last = f"last seen at revision {listed(found[-1] or ['none'])}, " if found else ""
    return f"The schema of database {plan['database']['name']} is {last}{ends}"


def _versions(plan: Mapping[str, Any]) -> str:
    return ", ".join(sorted(set(plan["application"]["to"].values())))


def _conclusion(outcome: str, sentence: str, following: str) -> Dict[str, Any]:
    return {"outcome": outcome, "sentence": sentence, "next": following}
