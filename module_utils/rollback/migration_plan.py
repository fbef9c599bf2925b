"""The plan of a downgrade, and of the upgrade that undoes one: each revision a step, and a home for all that it takes away."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from ansible.module_utils.rollback import plan
from ansible.module_utils.rollback.census import Census
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.migration_lines import DOWN, UP, what
from ansible.module_utils.rollback.migrations.operations import IRREVERSIBLE, TABLE, UNKNOWN
from ansible.module_utils.rollback.plan import Application, Request
from ansible.module_utils.rollback.postgres import names
from ansible.module_utils.rollback.words import listed

MIGRATION = "migration"

_ELSE_RESTORE = "or restore the release point's backup with -e method=restore"


def for_migration(
    request: Request,
    point: Mapping[str, Any],
    history: Mapping[str, Any],
    loss: Mapping[str, Any],
    database: Mapping[str, Any],
    application: Application,
    measured: Mapping[str, Any],
) -> Dict[str, Any]:
    """The plan of `method=migration`.

    `unfit` in the result are those refusals that say that the migrations themselves cannot be taken back without loss.
    `point` is a release point, `history` comes from alembic_history, `loss` from data_loss_forecast, `database` from
    database_census, with the `obstacles` that database_revision found.
    """
    live = Census.from_dict(dict(database["census"]))
    steps = [dict(step) for step in history["path"]]
    heads = list(steps[-1]["heads"] if steps else live.alembic_heads or [])
    salvage = names.salvage_name(request.run) if loss["losses"] else ""
    gone = [f"{entry['schema']}.{entry['table']}" for entry in loss["losses"] if entry["kind"] == TABLE]
    to = dict.fromkeys(sorted(application.versions), str(point["version"]))
    # What a step that was tried on a copy loses is known, whatever its script hides.
    tried = dict(history.get("trial") or {"steps": [], "failed": "", "back": ""})
    seen = {entry["revision"] for entry in tried["steps"]}
    measured = {**measured, **{f"{DOWN} {entry['revision']}": entry["seconds"] for entry in tried["steps"]}}
    unfit = [*_irreversible(steps), *([tried["failed"]] if tried["failed"] else [])]
    if not request.accept_data_loss:
        unfit += unaccepted([step for step in steps if step["revision"] not in seen], loss)
        unfit += [_no_way_back(tried["back"])] if tried["back"] else []
    titles = [
        ("stop", f"Stop {application.name} {listed(application.running)}", listed(sorted(to)), "outage"),
        *([("salvage", f"Copy what would be lost to schema {salvage}", "database", "outage")] if salvage else []),
        *((f"{DOWN} {step['revision']}", _down_title(step), "app, database", "change") for step in steps),
        *_last_titles(application, to),
    ]
    return {
        **_plan(request, titles, live, heads, database["where"], salvage, application, to, measured, gone),
        "release_point": dict(point),
        "migration": {
            "direction": DOWN,
            "from": list(live.alembic_heads or []),
            "to": heads,
            "steps": steps,
            "back": upwards(steps, live.alembic_heads or []),
            "release": listed(application.running),
            "losses": [dict(entry) for entry in loss["losses"]],
            "salvage": salvage,
            "sql": str(history.get("sql", "")),
            "tried": sorted(seen),
        },
        "warnings": _warnings(point, history, loss, database),
        "unfit": unfit,
        "refusals": [*_refusals(request, point, heads, database, application, to), *unfit],
        "verify": {"heads": heads, "manifest_of": "", "endpoints": True},
    }


def for_undo(
    request: Request,
    earlier: Mapping[str, Any],
    database: Mapping[str, Any],
    application: Application,
    measured: Mapping[str, Any],
) -> Dict[str, Any]:
    """The plan of undo.yml for a downgrade: the same revisions upwards, then what was saved comes back.

    `earlier` is the plan of that run.
    """
    live = Census.from_dict(dict(database["census"]))
    done = earlier["migration"]
    left = steps_left(done["back"], done["to"], live.alembic_heads or [])
    steps, heads = [dict(step) for step in left], list(done["from"])
    salvage = done["salvage"]
    to = {host: str(version) for host, version in earlier["application"]["from"].items()}
    titles = [
        ("stop", f"Stop {application.name} {listed(application.running)}", listed(sorted(to)), "outage"),
        *((f"{UP} {step['revision']}", _up_title(step), "app, database", "change") for step in steps),
        *([("bring_back", f"Bring back what schema {salvage} keeps", "database", "change")] if salvage else []),
        *_last_titles(application, to),
    ]
    return {
        **_plan(request, titles, live, heads, database["where"], salvage, application, to, measured),
        "undoes": earlier["run"],
        "way_back": earlier["command"],
        "release_point": {},
        "migration": {
            "direction": UP,
            "from": list(live.alembic_heads or []),
            "to": heads,
            "steps": steps,
            "back": [],
            "release": done["release"],
            "losses": list(done["losses"]),
            "salvage": salvage,
            "sql": "",
        },
        "warnings": list(database.get("notes", [])),
        "refusals": [
            *request.refusals(),
            *plan.foreign(request, live.database, database),
            *plan.unready(application),
            *database["obstacles"],
        ],
        "verify": {"heads": heads, "manifest_of": "", "endpoints": False},
    }


def upwards(steps: Sequence[Mapping[str, Any]], start: Sequence[str]) -> List[Dict[str, Any]]:
    """The same revisions the other way round: from where `steps` end to the heads `start`, where they begin."""
    heads = [list(start), *(list(step["heads"]) for step in steps)]
    return [
        {"revision": step["revision"], "title": step["title"], "argument": step["revision"], "heads": before}
        for step, before in reversed(list(zip(steps, heads)))
    ]


def steps_left(steps: Sequence[Mapping[str, Any]], start: Sequence[str], now: Sequence[str]) -> List[Mapping[str, Any]]:
    """What is left of `steps`, which begin at the heads `start`, for a database at `now`. Raises RollbackError where it is not among them."""
    states = [sorted(start), *(sorted(step["heads"]) for step in steps)]
    if sorted(now) not in states:
        raise RollbackError(
            f"The database is at revision {listed(now) or 'none'}, which is not on the way of this run"
            f" ({listed([listed(heads) or 'none' for heads in states])}).",
            "Somebody migrated it meanwhile; look at it by hand.",
        )
    return list(steps[states.index(sorted(now)) :])


def steps_unsaid(
    migration: Mapping[str, Any], now: Sequence[str], recorded: Sequence[Mapping[str, Any]]
) -> List[Mapping[str, Any]]:
    """Steps of a plan's `migration` that a database at the heads `now` has behind it, and that `recorded` (see
    `journal.steps_of`) does not have as done: what ran them was cut off before it could say so."""
    states = [sorted(step["heads"]) for step in migration["steps"]]
    if sorted(now) not in states:
        return []
    said = {step["name"] for step in recorded if step["status"] == "done"}
    behind = migration["steps"][: states.index(sorted(now)) + 1]
    return [step for step in behind if f"{migration['direction']} {step['revision']}" not in said]


def _plan(
    request: Request,
    titles: Sequence[Tuple[str, str, str, str]],
    live: Census,
    heads: List[str],
    where: str,
    salvage: str,
    application: Application,
    to: Mapping[str, str],
    measured: Mapping[str, Any],
    gone: Sequence[str] = (),
) -> Dict[str, Any]:
    steps = [plan.step(*title, live.bytes, measured) for title in titles]
    then = replace(
        live, alembic_heads=heads, tables={name: rows for name, rows in live.tables.items() if name not in gone}
    )
    return {
        **plan.common(
            replace(request, strategy=MIGRATION), steps, live, then, where, live.database, salvage, application, to
        ),
        "forecast": [],  # of tables that go back in time as a whole; what a downgrade takes away is in its losses
        "backup": {},
        "incoming_oid": live.database_oid,
    }


def _last_titles(application: Application, to: Mapping[str, str]) -> List[Tuple[str, str, str, str]]:
    hosts = listed(sorted(to))
    return [
        ("start", f"Start {application.name} {listed(sorted(set(to.values())))}", hosts, "change"),
        ("verify", "Verify health, revision and endpoints", f"database, {hosts}", "change"),
    ]


def _down_title(step: Mapping[str, Any]) -> str:
    return f"Take back {step['revision']} ({step['title']}): {step['risk']}"


def _up_title(step: Mapping[str, Any]) -> str:
    return f"Apply {step['revision']} ({step['title']}) again"


def _refusals(
    request: Request,
    point: Mapping[str, Any],
    heads: Sequence[str],
    database: Mapping[str, Any],
    application: Application,
    to: Mapping[str, str],
) -> List[str]:
    """Sentences, each with the way out."""
    live = str(database["census"]["database"])
    refusals = [
        *request.refusals(),
        *plan.foreign(request, live, database),
        *plan.unready(application),
        *database["obstacles"],
    ]
    if point["alembic_heads"] and sorted(point["alembic_heads"]) != sorted(heads):
        refusals.append(
            f"Release point {point['id']} expects revision {listed(point['alembic_heads'])}, and the path ends at"
            f" {listed(heads or ['none'])}. Leave one of -e release and -e revision out."
        )
    return refusals


def _irreversible(steps: Sequence[Mapping[str, Any]]) -> List[str]:
    return [
        f"Revision {step['revision']} cannot be taken back: {_why(step)} Go no further than that, {_ELSE_RESTORE}."
        for step in steps
        if step["risk"] == IRREVERSIBLE
    ]


def unaccepted(steps: Sequence[Mapping[str, Any]], loss: Mapping[str, Any]) -> List[str]:
    """Losses that cannot be known or kept, which somebody has to accept."""
    unknown = [
        f"What taking back {step['revision']} loses cannot be read from it: {_why(step)}"
        for step in steps
        if step["risk"] == UNKNOWN
    ]
    unkept = [
        f"{what(entry)} cannot be kept aside: {entry['reason']}" for entry in loss["losses"] if not entry["savable"]
    ]
    if not unknown + unkept:
        return []
    return [f"{' '.join(unknown + unkept)} Accept that with -e accept_data_loss=true, {_ELSE_RESTORE}."]


def _no_way_back(error: str) -> str:
    return (
        f"Tried on a copy of the database, the revisions could not be applied again, so undo.yml would not lead back: {error}"
        f" Accept that with -e accept_data_loss=true, {_ELSE_RESTORE}."
    )


def _why(step: Mapping[str, Any]) -> str:
    """The first reason, with its place in the script."""
    found = next((entry for entry in step["operations"] if entry["risk"] == step["risk"]), None)
    if not found:
        return "nothing in it says what it does."
    place = f" ({found['path']}:{found['line']})" if found["path"] else ""
    return f"{found['reason'].rstrip('.')}{place}."


def _warnings(
    point: Mapping[str, Any], history: Mapping[str, Any], loss: Mapping[str, Any], database: Mapping[str, Any]
) -> List[str]:
    warnings = [] if point.get("verified") else [f"Release point {point['id']} was never verified."]
    warnings += [f"The script and its SQL say different things: {said}" for said in history.get("disagreements", [])]
    warnings += [
        f"Tried on a copy, taking back {entry['revision']} took away what its script does not show: {what(entry)}."
        for entry in history.get("unforeseen", [])
    ]
    for entry in loss["losses"]:
        if entry["dependents"]:
            warnings.append(f"{what(entry)} is used by {listed(entry['dependents'])}.")
    outside = [
        step["revision"] for step in history["path"] if not all(op["transactional"] for op in step["operations"])
    ]
    if outside:
        warnings.append(f"Parts of {listed(outside)} run outside of a transaction: what fails there stays half done.")
    return [*warnings, *database.get("notes", [])]
