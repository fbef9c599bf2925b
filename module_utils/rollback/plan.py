"""The plan of a run: what will happen, to what, in which order, at what price; settled before anything is changed.

A plan is plain data: it is shown, kept as the first entry of the journal, and carried out from there.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from ansible.module_utils.rollback import forecast, identity, migration_lines
from ansible.module_utils.rollback.backups.names import SNAPSHOT
from ansible.module_utils.rollback.backups.sources import HERE
from ansible.module_utils.rollback.census import Census, hidden_rows
from ansible.module_utils.rollback.postgres import names
from ansible.module_utils.rollback.words import amount, by_value, count, duration, listed, size, table

# Seconds and bytes per second for steps that no earlier run has measured here: cautious, and marked as estimates.
_FIXED_S = {
    "create": 1.0,
    "settings": 0.5,
    "stop": 5.0,
    "close": 1.0,
    "drop": 1.0,
    "swap": 1.0,
    "start": 10.0,
    "switch": 15.0,
    "verify": 10.0,
    "salvage": 1.0,
    "down": 3.0,
    "up": 3.0,
    "bring_back": 2.0,
}
_BYTES_PER_S = {"load": 20e6, "analyse": 200e6, "compare": 100e6, "safety": 20e6, "prove": 100e6}
_FETCHED_BYTES_PER_S = 20e6
_CONNECT_S = 1.0

# How a backup takes the place of the live database: in a second one that is swapped with it, or after it was dropped.
BESIDE, IN_PLACE = "beside", "in_place"

_UNPROVEN = (
    "The backup {} has no manifest and was judged from its content, which does not say whether rows are missing,"
    " whether values are what they were, and of which environment it is."
)


@dataclass(frozen=True)
class Step:
    """`effect` is what users notice: `none`, `outage`, `hosts` (an outage of one batch of hosts after the other) or `change`
    (past the point where stopping changes nothing)."""

    id: str
    title: str
    where: str
    effect: str
    expected_s: float
    estimated: bool


@dataclass(frozen=True)
class Application:
    """What the hosts of group `app` run: versions, and images by part of the application (`artifacts`, empty for releases in
    directories), each by host, and whether it is `down`; the same of what they are to start (`target`), why that cannot be
    (`problems`), what to know of it (`notes`), what in it migrates by itself (`migrates`), and what their probes found
    (`evidence`)."""

    name: str
    versions: Dict[str, str]
    problems: Dict[str, List[str]] = field(default_factory=dict)
    artifacts: Dict[str, Dict[str, str]] = field(default_factory=dict)
    target: Dict[str, Dict[str, str]] = field(default_factory=dict)
    evidence: List[str] = field(default_factory=list)
    notes: Dict[str, List[str]] = field(default_factory=dict)
    migrates: Dict[str, List[str]] = field(default_factory=dict)
    down: Dict[str, bool] = field(default_factory=dict)

    @property
    def running(self) -> List[str]:
        return sorted(set(self.versions.values()))

    def moves(self, to: Mapping[str, str]) -> Dict[str, Any]:
        """From which version and images to which, by host."""
        return {
            "name": self.name,
            "from": dict(self.versions),
            "to": dict(to),
            "artifacts_from": {host: dict(self.artifacts.get(host, {})) for host in to},
            "artifacts_to": {host: dict(self.target.get(host, {})) for host in to},
        }


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
    command: str
    inventory: str = ""
    strategy: str = BESIDE
    accept_data_loss: bool = False
    accept_unproven: bool = False
    # Why it is another method than the one asked for; empty where it is that one.
    instead: List[str] = field(default_factory=list)

    def refusals(self) -> List[str]:
        """A protected environment wants its own name as confirmation."""
        if not self.protected or self.confirm == self.environment:
            return []
        given = f"is {self.confirm!r}" if self.confirm else "is missing"
        return [
            f"Environment {self.environment} is protected, and the confirmation {given}. To go on, add -e confirm={self.environment}."
        ]

    def playbook(self, arguments: str) -> str:
        """A command that reaches the same inventory as this run did."""
        return " ".join(filter(None, ["ansible-playbook", self.inventory, arguments]))


def for_restore(
    request: Request,
    target: Mapping[str, Any],
    proof: Mapping[str, Any],
    database: Mapping[str, Any],
    application: Application,
    measured: Mapping[str, Any],
) -> Dict[str, Any]:
    """The plan of `method=restore`.

    `target` comes from the module release_target, `proof` from backup_proof, `database` from database_census,
    `measured` holds seconds per step of the last run here. `refusals` in the result forbid carrying the plan out.
    """
    live, then = Census.from_dict(dict(database["census"])), Census.from_dict(dict(proof["manifest"]["census"]))
    point, backup, snapshot = dict(target["release_point"]), dict(target["backup"]), proof.get("snapshot")
    if proof["judged"]:
        backup["manifest"] = dict(proof["manifest"])
    incoming, aside = names.restore_name(live.database, request.run), names.quarantine_name(live.database, request.run)
    to = dict.fromkeys(sorted(application.versions), str(point["version"]))
    fetching = _fetch_steps(backup, then, proof, measured)
    if snapshot:  # a second database is there already, so it needs no room, whatever is usual
        request, incoming = replace(request, strategy=BESIDE), str(snapshot["snapshot"])
        titles = [
            *_snapshot_titles(incoming, live, then),
            *_swap_titles(live.database, incoming, aside, application, to),
        ]
    elif request.strategy == IN_PLACE:
        titles = _in_place_titles(backup, incoming, aside, live, then, application, to)
    else:
        titles = [
            *_restore_titles(backup, incoming, live, then, "none"),
            *_swap_titles(live.database, incoming, aside, application, to),
        ]
    return {
        **common(
            request,
            [*fetching, *(step(*title, then.bytes, measured) for title in titles)],
            live,
            then,
            database["where"],
            incoming,
            aside,
            application,
            to,
        ),
        **({"incoming_oid": int(snapshot["oid"])} if snapshot else {}),
        "release_point": point,
        "backup": backup,
        "safety_room": _safety_room(live, then, backup),
        "warnings": [
            *(f"The policy restores instead of taking migrations back: {reason}" for reason in request.instead),
            *_warnings(point, live, then),
            *([_UNPROVEN.format(backup["name"]), *proof["lacks"]] if proof["judged"] else []),
            *_unmarked(point, database),
            *(f"Source {name} could not be asked: {said}" for name, said in target.get("unasked", {}).items()),
            *proof["notes"],
            *database.get("notes", []),
        ],
        "refusals": [
            *request.refusals(),
            *foreign(request, live.database, database),
            *_restore_refusals(point, live, then),
            *_hidden(live),
            *(_judged_refusals(request, backup, proof["lacks"], live, then) if proof["judged"] else []),
            *unready(application),
            *database["obstacles"],
            *proof["problems"],
            *_no_room(
                request,
                _safety_room(live, then, backup),
                proof["free_bytes"] - (int(backup["bytes"]) if fetching else 0),
            ),
        ],
        "verify": {"heads": point["alembic_heads"], "manifest_of": backup["path"], "endpoints": True},
    }


def for_undo(
    request: Request,
    earlier: Mapping[str, Any],
    database: Mapping[str, Any],
    aside: Mapping[str, Any],
    application: Application,
    measured: Mapping[str, Any],
) -> Dict[str, Any]:
    """The plan of undo.yml: what `earlier` (a plan) set aside takes its place again, with the version that fitted it.

    `aside` is the census of that database.
    """
    live, then = Census.from_dict(dict(database["census"])), Census.from_dict(dict(aside))
    incoming, set_aside = earlier["database"]["aside"], names.quarantine_name(live.database, request.run)
    to = {host: str(version) for host, version in earlier["application"]["from"].items()}
    refusals = [
        *request.refusals(),
        *foreign(request, live.database, database),
        *unready(application),
        *database["obstacles"],
    ]
    if then.database_oid != earlier["database"]["oid"]:
        refusals.insert(
            0,
            f"Database {incoming} is not the one that run {earlier['run']} set aside"
            f" (OID {then.database_oid}, not {earlier['database']['oid']}). Look at it by hand.",
        )
    titles = _swap_titles(live.database, incoming, set_aside, application, to)
    return {
        **common(
            request,
            [step(*title, then.bytes, measured) for title in titles],
            live,
            then,
            database["where"],
            incoming,
            set_aside,
            application,
            to,
        ),
        "undoes": earlier["run"],
        "incoming_oid": then.database_oid,
        "release_point": {},
        "backup": {},
        "warnings": [*_unmarked(earlier["release_point"], database), *database.get("notes", [])],
        "refusals": refusals,
        # The version that comes back was rolled back for a reason: its health is looked at, not its endpoints.
        "verify": {"heads": earlier["database"]["alembic_heads"], "manifest_of": "", "endpoints": False},
    }


def for_undo_in_place(
    request: Request,
    earlier: Mapping[str, Any],
    database: Mapping[str, Any],
    proof: Mapping[str, Any],
    safety: str,
    application: Application,
    measured: Mapping[str, Any],
) -> Dict[str, Any]:
    """The plan of undo.yml for a run that restored in place: its safety dump, at path `safety`, is restored in place too."""
    manifest = proof["manifest"]
    live, then = Census.from_dict(dict(database["census"])), Census.from_dict(dict(manifest["census"]))
    backup = {
        "name": manifest["backup"],
        "path": safety,
        "format": manifest["format"],
        "bytes": sum(int(file["bytes"]) for file in manifest["files"].values()),
    }
    incoming, aside = names.restore_name(live.database, request.run), names.quarantine_name(live.database, request.run)
    to = {host: str(version) for host, version in earlier["application"]["from"].items()}
    titles = _in_place_titles(backup, incoming, aside, live, then, application, to)
    return {
        **common(
            replace(request, strategy=IN_PLACE),
            [step(*title, then.bytes, measured) for title in titles],
            live,
            then,
            database["where"],
            incoming,
            aside,
            application,
            to,
        ),
        "undoes": earlier["run"],
        "release_point": {},
        "backup": backup,
        "safety_room": _safety_room(live, then, backup),
        "warnings": [*proof["notes"], *database.get("notes", [])],
        "refusals": [
            *request.refusals(),
            *proof["problems"],
            *_hidden(live),
            *_no_room(request, _safety_room(live, then, backup), proof["free_bytes"]),
            *foreign(request, live.database, database),
            *unready(application),
            *database["obstacles"],
        ],
        # The version that comes back was rolled back for a reason: its health is looked at, not its endpoints.
        "verify": {"heads": then.alembic_heads or [], "manifest_of": backup["path"], "endpoints": False},
    }


def _safety_room(live: Census, then: Census, backup: Mapping[str, Any]) -> int:
    """Bytes to keep free for a dump of the live database: what the backup took of its own, with half as much again."""
    share = min(1.0, int(backup["bytes"]) / then.bytes) if then.bytes else 1.0
    return int(live.bytes * share * 1.5) + 16 * 1024 * 1024


def _fetch_steps(
    backup: Mapping[str, Any], then: Census, proof: Mapping[str, Any], measured: Mapping[str, Any]
) -> List[Step]:
    """A backup that is elsewhere comes first, while everything runs."""
    if backup.get("source", HERE) == HERE:
        return []
    bytes_per_s = min(_FETCHED_BYTES_PER_S, proof["bytes_per_s"] or _FETCHED_BYTES_PER_S)
    title, size_s = f"Fetch {backup['name']} from {backup['where']}", _CONNECT_S + int(backup["bytes"]) / bytes_per_s
    fetched = step("fetch", title, "database", "none", 0, measured)
    return [
        replace(fetched, expected_s=round(size_s, 1)) if fetched.estimated else fetched,
        step("prove", "Read it whole, and see what the server lacks for it", "database", "none", then.bytes, measured),
    ]


def _restore_titles(
    backup: Mapping[str, Any], incoming: str, live: Census, then: Census, effect: str
) -> List[Tuple[str, str, str, str]]:
    place = f" beside {live.database}" if effect == "none" else ""
    return [
        ("create", f"Create {incoming}{place}", "database", effect),
        ("load", f"Load {backup['name']} into it ({size(backup['bytes'])})", "database", effect),
        ("settings", f"Carry over owner, grants, limits and settings of {live.database}", "database", effect),
        ("analyse", "Collect planner statistics", "database", effect),
        ("compare", f"Compare it with the manifest ({_counted(then)})", "database", effect),
    ]


def _snapshot_titles(incoming: str, live: Census, then: Census) -> List[Tuple[str, str, str, str]]:
    return [
        ("settings", f"Carry over owner, grants, limits and settings of {live.database}", "database", "none"),
        ("compare", f"Compare {incoming} with the manifest ({_counted(then)})", "database", "none"),
    ]


def _counted(then: Census) -> str:
    return f"{amount(then.rows, 'row')} in {amount(len(then.tables), 'table')}"


def _in_place_titles(
    backup: Mapping[str, Any],
    incoming: str,
    aside: str,
    live: Census,
    then: Census,
    application: Application,
    to: Mapping[str, str],
) -> List[Tuple[str, str, str, str]]:
    hosts, name = listed(sorted(to)), live.database
    return [
        ("stop", f"Stop {application.name} {listed(application.running)}", hosts, "outage"),
        ("close", f"Rename {name} to {aside}, so that nobody writes to it", "database", "outage"),
        ("safety", "Dump it, and read the safety dump back", "database", "outage"),
        ("drop", "Drop it; the safety dump keeps what was in it", "database", "change"),
        *_restore_titles(backup, incoming, live, then, "change"),
        ("swap", f"Give it the name {name}", "database", "change"),
        ("start", f"Start {application.name} {listed(sorted(set(to.values())))}", hosts, "change"),
        ("verify", "Verify health, revision, schema and rows", f"database, {hosts}", "change"),
    ]


def _swap_titles(
    live: str, incoming: str, aside: str, application: Application, to: Mapping[str, str]
) -> List[Tuple[str, str, str, str]]:
    hosts = listed(sorted(to))
    return [
        ("stop", f"Stop {application.name} {listed(application.running)}", hosts, "outage"),
        ("swap", f"Swap the two; what is live now is kept as {aside}", "database", "change"),
        ("start", f"Start {application.name} {listed(sorted(set(to.values())))}", hosts, "change"),
        ("verify", "Verify health, revision, schema and rows", f"database, {hosts}", "change"),
    ]


def common(
    request: Request,
    steps: List[Step],
    live: Census,
    then: Census,
    where: str,
    incoming: str,
    aside: str,
    application: Application,
    to: Mapping[str, str],
) -> Dict[str, Any]:
    """What plans of every method have in common."""
    return {
        "run": request.run,
        "method": request.method,
        "instead": list(request.instead),
        "environment": request.environment,
        "reason": request.reason,
        "requested_by": request.requested_by,
        "command": request.command,
        "way_back": request.playbook(f"undo.yml -e run={request.run}"),
        "target_s": request.target_s,
        "expected_s": round(sum(step.expected_s for step in steps), 1),
        "outage_s": round(sum(step.expected_s for step in steps if step.effect != "none" and step.id != "verify"), 1),
        "strategy": request.strategy,
        "database": {
            "name": live.database,
            "oid": live.database_oid,
            "where": where,
            "system_identifier": live.system_identifier,
            "server_version": live.server_version,
            "bytes": live.bytes,
            "alembic_heads": live.alembic_heads or [],
            "alembic_heads_then": then.alembic_heads or [],
            "incoming": incoming,
            "aside": aside,
        },
        "application": application.moves(to),
        "evidence": list(application.evidence),
        "notes": _by_hosts(application.notes),
        "forecast": [entry.as_dict() for entry in forecast.of_restore(live, then) if entry.touched],
        "rows_now": live.rows,
        "rows_then": then.rows,
        "uncounted_now": live.uncounted,
        "uncounted_then": then.uncounted,
        "steps": [asdict(step) for step in steps],
    }


def step(step: str, title: str, where: str, effect: str, database_bytes: int, measured: Mapping[str, Any]) -> Step:
    if step in measured:
        return Step(step, title, where, effect, round(float(measured[step]), 3), estimated=False)
    kind = step.split()[0]  # of `down 8c1d2e3f4a5b`
    seconds = _FIXED_S.get(kind, 0.0) + (database_bytes / _BYTES_PER_S[kind] if kind in _BYTES_PER_S else 0.0)
    return Step(step, title, where, effect, round(seconds, 1), estimated=True)


def _warnings(point: Mapping[str, Any], live: Census, then: Census) -> List[str]:
    warnings = []
    if not point.get("verified"):
        warnings.append(f"Release point {point['id']} was never verified.")
    if live.server_version.split(".")[0] != then.server_version.split(".")[0]:
        warnings.append(
            f"The backup comes from PostgreSQL {then.server_version}, the server is {live.server_version}: definitions are compared by name only."
        )
    return warnings


def _restore_refusals(point: Mapping[str, Any], live: Census, then: Census) -> List[str]:
    """Sentences, each with the way out."""
    refusals = []
    if sorted(point["alembic_heads"] or []) != sorted(then.alembic_heads or []):
        refusals.append(
            f"Release point {point['id']} expects revision {listed(point['alembic_heads'] or ['none'])},"
            f" and the backup is at {listed(then.alembic_heads or ['none'])}."
            " Choose a backup of that release, or the release point of that backup."
        )
    if point.get("system_identifier") and point["system_identifier"] != live.system_identifier:
        refusals.append(
            f"Release point {point['id']} was recorded on another server (system identifier {point['system_identifier']}, here {live.system_identifier})."
            " Check rollback_database_dsn and the inventory."
        )
    return refusals


def _judged_refusals(
    request: Request, backup: Mapping[str, Any], lacks: Sequence[str], live: Census, then: Census
) -> List[str]:
    """A backup without a manifest is used on somebody's word; never one that says itself that it is another database's.

    Whoever gives it reads what is missing, as far as that can be seen.
    """
    if then.database not in ("", live.database):
        return [
            f"The backup {backup['name']} is of database {then.database}, not {live.database}. Choose another backup."
        ]
    if request.accept_unproven:
        return []
    said = " ".join([_UNPROVEN.format(backup["name"]), *lacks])
    way_out = "Where you want it without that" if lacks else "Where you know that it is the right one"
    return [f"{said} {way_out}, add -e accept_unproven=true."]


def _hidden(live: Census) -> List[str]:
    """What cannot be counted or dumped can be neither shown as lost nor compared after it was restored."""
    return [" ".join(hidden_rows(live.uncounted))] if live.uncounted else []


def _no_room(request: Request, needed: int, free: int) -> List[str]:
    """In place, a safety dump comes first; beside, the server needs the room, which backup_proof looks at."""
    if request.strategy != IN_PLACE or free >= needed:
        return []
    return [
        f"The directory of the backups has {size(free)} free, and the safety dump may need {size(needed)}."
        " Make room, or set rollback_backup_dir to another disk."
    ]


def foreign(request: Request, live: str, database: Mapping[str, Any]) -> List[str]:
    """A sentence where the database says that it belongs to another environment: it is not touched, whatever the inventory says."""
    carried = database["marker"]
    return (
        [] if carried in ("", request.environment) else [" ".join(identity.foreign(live, carried, request.environment))]
    )


def _unmarked(point: Mapping[str, Any], database: Mapping[str, Any]) -> List[str]:
    """Recording a release point leaves a marker: without one, this may not be the database that was recorded."""
    if database["marker"] or not point.get("environment"):
        return []
    return [
        "The database carries no marker of its environment, though a release point was recorded."
        " playbooks/record_release.yml leaves one."
    ]


def unready(application: Application) -> List[str]:
    """Why the version to start cannot be started, each sentence once with the hosts that say it."""
    return _by_hosts(application.problems)


def _by_hosts(sentences: Mapping[str, Sequence[str]]) -> List[str]:
    said: Dict[str, List[str]] = {}
    for host, told in sorted(sentences.items()):
        for sentence in told:
            said.setdefault(sentence, []).append(host)
    return [f"{listed(hosts)}: {sentence}" for sentence, hosts in said.items()]


def text(plan: Mapping[str, Any]) -> str:
    """The plan as it is shown in a terminal."""
    database, application = plan["database"], plan["application"]
    facts = [
        (
            "Environment",
            f"{plan['environment']}: database {database['name']} on {database['where']}, PostgreSQL {database['server_version']}, {size(database['bytes'])}",
        ),
        ("Reason", plan["reason"] or "not given (-e reason=…)"),
        *_repeated("Evidence", _first(plan["evidence"]) or ["the probes found nothing wrong"]),
        ("Now", _state(application["name"], application["from"], database["alembic_heads"], rows_said(plan, "now"))),
        (
            "Back to",
            _state(application["name"], application["to"], database["alembic_heads_then"], rows_said(plan, "then")),
        ),
        *_sources(plan),
    ]
    return "\n".join(
        [
            f"Plan of run {plan['run']}",
            "",
            *table([[f"  {name}", said] for name, said in facts]),
            "",
            *_loss_lines(plan),
            "",
            "Steps" if plan["steps"] else "Every host runs that version already, so there is nothing to do.",
            *_step_lines(plan["steps"]),
            "",
            f"Expected: {duration(plan['expected_s'])}, of which {duration(plan['outage_s'])} without service. Target: {duration(plan['target_s'])}.",
            f"Way back: {plan['way_back']}",
            *(f"Warning: {warning}" for warning in plan["warnings"]),
            *(f"Note: {note}" for note in plan["notes"]),
        ]
    )


def _loss_lines(plan: Mapping[str, Any]) -> List[str]:
    if plan["strategy"] == "app":
        return ["Data and schema stay as they are."]
    return migration_lines.lines(plan["migration"]) if "migration" in plan else _forecast_lines(plan["forecast"])


def _state(name: str, versions: Mapping[str, str], heads: Sequence[str], rows: str) -> str:
    counted = f", {rows}" if rows else ""
    running = by_value(versions) if versions else "unknown"
    return f"{name} {running}, schema {listed(heads or ['without revision'])}{counted}"


def rows_said(plan: Mapping[str, Any], when: str) -> str:
    """Rows of the whole database `now` or `then`; with the tables that they leave out, and empty where there are none."""
    rows, uncounted = int(plan[f"rows_{when}"]), plan.get(f"uncounted_{when}")
    if not uncounted:
        return amount(rows, "row") if rows else ""
    return f"at least {amount(rows, 'row')}, and not countable (row-level security): {listed(uncounted)}"


def _sources(plan: Mapping[str, Any]) -> List[Tuple[str, str]]:
    if "undoes" in plan:
        return [("Undoes", f"run {plan['undoes']}")]
    point, backup = plan["release_point"], plan["backup"]
    recorded = (
        f"recorded {point['recorded_at']} by {point['recorded_by']}" if point["recorded_at"] else point["recorded_by"]
    )
    said = ("Release point", f"{point['id']}, {recorded}, {'verified' if point['verified'] else 'not verified'}")
    if plan["strategy"] == "app":
        return [said]
    if "migration" in plan:
        return [said, *migration_lines.sources(plan["migration"])]
    if backup["format"] == SNAPSHOT:
        held = f"kept as {plan['database']['incoming']}, which becomes the live database"
        return [said, ("Backup", f"{backup['name']}, {held}")]
    return [
        said,
        ("Backup", f"{backup['name']}, {backup['format']}, {size(backup['bytes'])}, {_trust(backup)}"),
    ]


def _trust(backup: Mapping[str, Any]) -> str:
    if "manifest" in backup:
        return "unverified: read whole just now, and judged from its content"
    if backup.get("source", HERE) == HERE:
        return "read whole and proven just now"
    return f"in {backup['where']}; its manifest was read, and it is proven as soon as it is here"


def _first(entries: Sequence[str], most: int = 10) -> List[str]:
    """What fits onto a screen; a hundred hosts have a lot to say, and the report keeps all of it."""
    left = len(entries) - most
    return [*entries[:most], *([f"and {left} more, which the report has"] if left > 0 else [])]


def _repeated(name: str, entries: Sequence[str]) -> List[Tuple[str, str]]:
    return [(name if index == 0 else "", entry) for index, entry in enumerate(entries)]


def _forecast_lines(entries: Sequence[Mapping[str, Any]]) -> List[str]:
    title = "What goes back in time"
    if not entries:
        return [title, "  nothing: no table was written to since"]
    rows: List[List[Any]] = [["  table", "rows now", "rows then", "inserted", "updated", "deleted"]]
    rows += [
        [
            f"  {entry['table']}",
            *map(count, (entry["now"], entry["then"], entry["inserted"], entry["updated"], entry["deleted"])),
        ]
        for entry in entries
    ]
    return [title, *table(rows, "<>>>>>")]


def _step_lines(steps: Sequence[Mapping[str, Any]]) -> List[str]:
    notes = {
        "none": "beside the live system; nobody notices",
        "outage": "without service from here",
        "hosts": "each host is without service for as long as it starts",
        "change": "from here only the way back leads back",
    }
    rows = [
        [
            f"  {number:2}.",
            step["title"],
            step["where"],
            f"{'~' if step['estimated'] else ''}{duration(step['expected_s'])}",
        ]
        for number, step in enumerate(steps, start=1)
    ]
    lines: List[str] = []
    effect = ""
    for step, line in zip(steps, table(rows, "<<<>")):
        if step["effect"] != effect:
            effect = step["effect"]
            lines.append(f"  {notes[effect]}:")
        lines.append(f"  {line}")
    return lines
