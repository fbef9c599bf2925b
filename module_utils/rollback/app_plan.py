"""The plan of a rollback of the application alone, and of its undo: the schema stays, and has to suit the version."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, List, Mapping

from ansible.module_utils.rollback import plan
from ansible.module_utils.rollback.census import Census
from ansible.module_utils.rollback.plan import Application, Request
from ansible.module_utils.rollback.words import amount, listed

APP = "app"

_ELSE_MIGRATION = "Take the migrations back too, with -e method=migration."


def for_app(
    request: Request,
    point: Mapping[str, Any],
    between: Mapping[str, Any],
    wants_own_head: bool,
    database: Mapping[str, Any],
    application: Application,
    measured: Mapping[str, Any],
) -> Dict[str, Any]:
    """The plan of `method=app`; one without steps where every host runs that version already.

    `between` is the way from the database's revision down to that of the release point `point`, as alembic_history reads
    it; empty where both are the same, or with a `problem` where nobody says which revision that is. `wants_own_head` says that
    the application does not serve on any schema but its own.
    """
    live = Census.from_dict(dict(database["census"]))
    to = dict.fromkeys(sorted(application.versions), str(point["version"]))
    steps = [dict(step) for step in between.get("path", [])]
    warnings = [] if point.get("verified") else [f"Release point {point['id']} was never verified."]
    if steps:
        warnings.append(
            f"The schema stays {amount(len(steps), 'revision')} ahead of {application.name} {point['version']}; they only add to it."
        )
    return {
        **_plan(request, live, database, application, to, measured),
        "release_point": dict(point),
        "warnings": warnings,
        "refusals": [
            *request.refusals(),
            *plan.foreign(request, live.database, database),
            *_misfits(application, point, live, between, wants_own_head),
            *plan.unready(application),
        ],
        "verify": {"heads": list(live.alembic_heads or []), "manifest_of": "", "endpoints": True},
    }


def for_undo(
    request: Request,
    earlier: Mapping[str, Any],
    database: Mapping[str, Any],
    application: Application,
    measured: Mapping[str, Any],
) -> Dict[str, Any]:
    """The plan of undo.yml for such a run: each host goes back to what it ran before. `earlier` is the plan of that run."""
    live = Census.from_dict(dict(database["census"]))
    to = {host: str(version) for host, version in earlier["application"]["from"].items()}
    refusals = [*request.refusals(), *plan.foreign(request, live.database, database), *plan.unready(application)]
    if sorted(live.alembic_heads or []) != sorted(earlier["database"]["alembic_heads"]):
        refusals.append(
            f"The database is at revision {listed(live.alembic_heads or ['none'])}, and was at"
            f" {listed(earlier['database']['alembic_heads'] or ['none'])} when {application.name} {listed(sorted(set(to.values())))}"
            " was left. Look at it by hand."
        )
    return {
        **_plan(request, live, database, application, to, measured),
        "undoes": earlier["run"],
        "way_back": earlier["command"],
        "release_point": {},
        "warnings": [],
        "refusals": refusals,
        "verify": {"heads": list(live.alembic_heads or []), "manifest_of": "", "endpoints": False},
    }


def _plan(
    request: Request,
    live: Census,
    database: Mapping[str, Any],
    application: Application,
    to: Mapping[str, str],
    measured: Mapping[str, Any],
) -> Dict[str, Any]:
    hosts, versions = listed(sorted(to)), listed(sorted(set(to.values())))
    titles = [
        (
            "switch",
            f"Switch {application.name} from {listed(application.running)} to {versions}, one batch of hosts after the other",
            hosts,
            "hosts",
        ),
        ("verify", "Verify health, endpoints and revision", f"database, {hosts}", "change"),
    ]
    steps = [] if _is_there(application, to) else [plan.step(*title, 0, measured) for title in titles]
    return {
        **plan.common(replace(request, strategy=APP), steps, live, live, database["where"], "", "", application, to),
        "forecast": [],
        "backup": {},
        "incoming_oid": live.database_oid,
    }


def _is_there(application: Application, to: Mapping[str, str]) -> bool:
    """Whether each host runs what it is to run, image by image where that is known."""
    return all(
        application.versions.get(host) == version
        and not application.down.get(host)
        and application.target.get(host, {}).items() <= application.artifacts.get(host, {}).items()
        for host, version in to.items()
    )


def _misfits(
    application: Application,
    point: Mapping[str, Any],
    live: Census,
    between: Mapping[str, Any],
    wants_own_head: bool,
) -> List[str]:
    """Why the version cannot work on the schema as it is; sentences, each with the way out."""
    then, now = sorted(point["alembic_heads"] or []), sorted(live.alembic_heads or [])
    version = f"{application.name} {point['version']}"
    if between.get("problem"):
        # Of a version that is not to be had nobody needs to know it.
        return (
            []
            if any(application.problems.values())
            else [
                f"Nothing says which schema {version} was written for: it has no release point, no label of an image names its Alembic heads,"
                f" and its migrations cannot be read: {between['problem'].rstrip('.')}. Record releases with playbooks/record_release.yml, or"
                " pull the image to where the application runs."
            ]
        )
    if then == now:
        return []
    if wants_own_head:
        return [
            f"{version} serves only on revision {listed(then or ['none'])} (rollback_wants_own_head), and the database is at"
            f" {listed(now or ['none'])}. {_ELSE_MIGRATION}"
        ]
    migrating = [sentence for told in application.migrates.values() for sentence in told]
    if migrating:
        return [
            f"{version} knows revisions up to {listed(then or ['none'])}, and the database is at {listed(now or ['none'])}."
            f" {migrating[0]} {_ELSE_MIGRATION}"
        ]
    return [
        f"{version} cannot be trusted on this schema, since revision {step['revision']} is no mere addition: {step['demands'][0]}"
        f" {_ELSE_MIGRATION}"
        for step in between.get("path", [])
        if step["demands"]
    ]
