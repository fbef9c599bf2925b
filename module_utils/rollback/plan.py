"""The plan of a run: what will happen, to what, in which order, at what price; settled before anything is changed.

A plan is plain data: it is shown, kept as the first entry of the journal, and carried out from there.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Sequence

from ansible.module_utils.rollback import forecast
from ansible.module_utils.rollback.postgres import names
from ansible.module_utils.rollback.postgres.census import Census
from ansible.module_utils.rollback.words import amount, duration, listed, size, table

# Seconds and bytes per second for steps that no earlier run has measured here: cautious, and marked as estimates.
_FIXED_S = {"create": 1.0, "settings": 0.5, "stop": 5.0, "swap": 1.0, "start": 10.0, "verify": 10.0}
_BYTES_PER_S = {"load": 20e6, "analyse": 200e6, "compare": 100e6}


@dataclass(frozen=True)
class Step:
    """`effect` is what users notice: `none`, `outage` or `change` (past the point where stopping changes nothing)."""

    id: str
    title: str
    where: str
    effect: str
    expected_s: float
    estimated: bool


@dataclass(frozen=True)
class Application:
    """What the hosts of group `app` run: versions and releases by host, and what their probes found."""

    name: str
    versions: Dict[str, str]
    releases: Dict[str, List[str]]
    evidence: List[str] = field(default_factory=list)

    @property
    def running(self) -> List[str]:
        return sorted(set(self.versions.values()))


@dataclass(frozen=True)
class Request:
    """Who asked for what, and what the inventory says of it."""

    run: str
    method: str
    environment: str
    reason: str
    requested_by: str
    protected: bool
    confirm: str
    target_s: float


def for_restore(
    request: Request, target: Mapping[str, Any], manifest: Mapping[str, Any], database: Mapping[str, Any], application: Application, measured: Mapping[str, Any]
) -> Dict[str, Any]:
    """The plan of `method=restore`.

    `target` comes from the module release_target, `manifest` from backup_proof, `database` from database_census,
    `measured` holds seconds per step of the last run here. `refusals` in the result forbid carrying the plan out.
    """
    live, then = Census.from_dict(dict(database["census"])), Census.from_dict(dict(manifest["census"]))
    point, backup = target["release_point"], target["backup"]
    version = point["version"]
    tables = forecast.of_restore(live, then)
    hosts = sorted(application.versions)
    titles = [
        ("create", f"Create {names.restore_name(live.database, request.run)} beside {live.database}", "database", "none"),
        ("load", f"Load {backup['name']} into it ({size(backup['bytes'])})", "database", "none"),
        ("settings", f"Carry over owner, grants, limits and settings of {live.database}", "database", "none"),
        ("analyse", "Collect planner statistics", "database", "none"),
        ("compare", f"Compare it with the manifest ({amount(then.rows, 'row')} in {amount(len(then.tables), 'table')})", "database", "none"),
        ("stop", f"Stop {application.name} {listed(application.running)}", listed(hosts), "outage"),
        ("swap", f"Swap: {live.database} becomes {names.quarantine_name(live.database, request.run)}, the restored one {live.database}", "database", "change"),
        ("start", f"Start {application.name} {version}", listed(hosts), "change"),
        ("verify", "Verify health, revision, schema and rows", "all", "change"),
    ]
    steps = [_step(*title, then.bytes, measured) for title in titles]
    return {
        "run": request.run,
        "method": request.method,
        "environment": request.environment,
        "reason": request.reason,
        "requested_by": request.requested_by,
        "target_s": request.target_s,
        "expected_s": round(sum(step.expected_s for step in steps), 1),
        "outage_s": round(sum(step.expected_s for step in steps if step.id in ("stop", "swap", "start")), 1),
        "release_point": dict(point),
        "backup": dict(backup),
        "database": {
            "name": live.database,
            "oid": live.database_oid,
            "where": database["where"],
            "system_identifier": live.system_identifier,
            "server_version": live.server_version,
            "bytes": live.bytes,
            "alembic_heads": live.alembic_heads,
            "restored": names.restore_name(live.database, request.run),
            "quarantine": names.quarantine_name(live.database, request.run),
        },
        "application": {"name": application.name, "from": dict(application.versions), "to": version},
        "evidence": list(application.evidence),
        "forecast": [entry.as_dict() for entry in tables if entry.touched],
        "rows_now": live.rows,
        "rows_then": then.rows,
        "steps": [asdict(step) for step in steps],
        "warnings": _warnings(point, live, then),
        "refusals": _refusals(request, point, then, database, live, application, version),
        "way_back": f"ansible-playbook undo.yml -e run={request.run}",
    }


def _step(step: str, title: str, where: str, effect: str, database_bytes: int, measured: Mapping[str, Any]) -> Step:
    if step in measured:
        return Step(step, title, where, effect, round(float(measured[step]), 1), estimated=False)
    seconds = _FIXED_S.get(step, 0.0) + (database_bytes / _BYTES_PER_S[step] if step in _BYTES_PER_S else 0.0)
    return Step(step, title, where, effect, round(seconds, 1), estimated=True)


def _warnings(point: Mapping[str, Any], live: Census, then: Census) -> List[str]:
    warnings = []
    if not point.get("verified"):
        warnings.append(f"Release point {point['id']} was never verified.")
    if live.server_version.split(".")[0] != then.server_version.split(".")[0]:
        warnings.append(f"The backup comes from PostgreSQL {then.server_version}, the server is {live.server_version}: definitions are compared by name only.")
    return warnings


def _refusals(
    request: Request, point: Mapping[str, Any], then: Census, database: Mapping[str, Any], live: Census, application: Application, version: str
) -> List[str]:
    """Sentences, each with the way out, in the order in which they should be mended."""
    refusals = []
    if request.protected and request.confirm != request.environment:
        given = f"says {request.confirm!r}" if request.confirm else "is missing"
        refusals.append(f"Environment {request.environment} is protected, and the confirmation {given}. To go on, add -e confirm={request.environment}.")
    if sorted(point["alembic_heads"] or []) != sorted(then.alembic_heads or []):
        refusals.append(
            f"Release point {point['id']} expects revision {listed(point['alembic_heads'] or ['none'])}, and the backup is at {listed(then.alembic_heads or ['none'])}."
            " Choose a backup of that release, or the release point of that backup."
        )
    if point.get("system_identifier") and point["system_identifier"] != live.system_identifier:
        refusals.append(
            f"Release point {point['id']} was recorded on another server (system identifier {point['system_identifier']}, here {live.system_identifier})."
            " Check rollback_database_dsn and the inventory."
        )
    lacking = [host for host, releases in sorted(application.releases.items()) if version not in releases]
    if lacking:
        refusals.append(f"Version {version} is not among the releases of {listed(lacking)}, so it could not be started there. Deploy it there without activating it.")
    return refusals + list(database["obstacles"])


def text(plan: Mapping[str, Any]) -> str:
    """The plan as it is shown in a terminal."""
    point, database, application = plan["release_point"], plan["database"], plan["application"]
    heads = listed(database["alembic_heads"] or ["no revision"])
    facts = [
        ("Environment", f"{plan['environment']}: database {database['name']} on {database['where']} (PostgreSQL {database['server_version']}, {size(database['bytes'])})"),
        ("Reason", plan["reason"] or "not given (-e reason=…)"),
        ("Evidence", _lines(plan["evidence"] or ["the probes found nothing wrong"])),
        ("Now", f"{application['name']} {listed(sorted(set(application['from'].values())) or ['unknown'])}, schema {heads}, {amount(plan['rows_now'], 'row')}"),
        ("Back to", f"{application['name']} {point['version']}, schema {listed(point['alembic_heads'] or ['no revision'])}, {amount(plan['rows_then'], 'row')}"),
        ("Release point", f"{point['id']}, recorded {point['recorded_at']} by {point['recorded_by']}, {'verified' if point['verified'] else 'not verified'}"),
        ("Backup", f"{plan['backup']['name']} of {plan['backup']['created_at']}, {plan['backup']['format']}, {size(plan['backup']['bytes'])}, read whole and proven"),
    ]
    return "\n".join(
        [
            f"Rollback plan {plan['run']}",
            "",
            *table(facts),
            "",
            "What goes back in time (writes since the backup)",
            *_forecast_lines(plan["forecast"]),
            "",
            "Steps",
            *_step_lines(plan),
            "",
            f"Expected: {duration(plan['expected_s'])} in all, {duration(plan['outage_s'])} of it without service; the target is {duration(plan['target_s'])}.",
            f"Way back: {plan['way_back']}",
            *(f"Warning: {warning}" for warning in plan["warnings"]),
            *(f"Refused: {refusal}" for refusal in plan["refusals"]),
        ]
    )


def _lines(entries: Sequence[str]) -> str:
    return "; ".join(entries)


def _forecast_lines(entries: Sequence[Mapping[str, Any]]) -> List[str]:
    if not entries:
        return ["  nothing: no table was written to since"]
    rows: List[List[Any]] = [["  table", "rows now", "rows then", "inserted", "updated", "deleted"]]
    rows += [[f"  {entry['table']}", *map(_cell, (entry["now"], entry["then"], entry["inserted"], entry["updated"], entry["deleted"]))] for entry in entries]
    return table(rows, "<>>>>>")


def _cell(count: Optional[int]) -> Any:
    return "–" if count is None else count


def _step_lines(plan: Mapping[str, Any]) -> List[str]:
    rows: List[List[Any]] = []
    notes = {"none": "nobody notices", "outage": "no service from here", "change": "point of no return" if plan["steps"] else ""}
    seen = ""
    for number, step in enumerate(plan["steps"], start=1):
        note = f"← {notes[step['effect']]}" if step["effect"] != seen else ""
        seen = step["effect"]
        rows.append([f"  {number}.", step["title"], step["where"], f"{'~' if step['estimated'] else ''}{duration(step['expected_s'])}", note])
    return table(rows, "<<<>")
