"""The plan of a downgrade, and of the upgrade that undoes one: each revision a step, and a home for all that it takes away."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Collection, Dict, List, Mapping, Sequence, Set, Tuple

from ansible.module_utils.rollback import plan
from ansible.module_utils.rollback.census import Census
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.migration_lines import DOWN, UP, what
from ansible.module_utils.rollback.migrations.operations import IRREVERSIBLE, ROWS, TABLE, UNKNOWN
from ansible.module_utils.rollback.plan import Application, Request
from ansible.module_utils.rollback.postgres import names
from ansible.module_utils.rollback.words import amount, listed

MIGRATION = "migration"

# Operations of a downgrade that make something which the upgrade drops again: by Alembic's names, and by their SQL.
_MAKES = ("create_table", "add_column")
_MAKES_SQL = re.compile(
    r"\bCREATE\s+(\w+\s+)?TABLE\b|\bADD\s+(COLUMN\b|(?!CONSTRAINT|PRIMARY|UNIQUE|FOREIGN|CHECK|EXCLUDE|VALUE|NOT)\w)|\bSELECT\b.*\bINTO\b",
    re.IGNORECASE | re.DOTALL,
)

# What may set a sequence back, or drop it: its position is recorded, so that the undo does not give out the same numbers again.
_SETS_BACK = re.compile(
    r"\b(DROP|ALTER)\s+SEQUENCE\b|\bsetval\b|\bDROP\s+IDENTITY\b|\bRESTART\b|\bSET\s+(START|INCREMENT|MINVALUE|MAXVALUE)\b",
    re.IGNORECASE,
)

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
    kept = [entry for entry in loss["losses"] if entry["savable"]]
    salvage = names.salvage_name(request.run) if kept or _has_something_to_compare(steps) else ""
    gone = [f"{entry['schema']}.{entry['table']}" for entry in loss["losses"] if entry["kind"] == TABLE]
    to = dict.fromkeys(sorted(application.versions), str(point["version"]))
    # What a step that was tried on a copy loses is known, whatever its script hides, unless rows were hidden from the trial too.
    tried = dict(history.get("trial") or {"steps": [], "failed": "", "back": ""})
    seen = {entry["revision"] for entry in tried["steps"] if not tried.get("hidden")}
    measured = {**measured, **{f"{DOWN} {entry['revision']}": entry["seconds"] for entry in tried["steps"]}}
    unfit = [*_irreversible(steps), *([tried["failed"]] if tried["failed"] else [])]
    if not request.accept_data_loss:
        unfit += unaccepted([step for step in steps if step["revision"] not in seen], loss, seen)
        unfit += [] if seen else _fillers(steps, loss, live)
        unfit += (
            [_no_way_back(f"tried on a copy of the database: {tried['back'].rstrip('.')}.")] if tried["back"] else []
        )
    titles = [
        ("stop", f"Stop {application.name} {listed(application.running)}", listed(sorted(to)), "outage"),
        *([("salvage", _salvage_title(salvage, kept), "database", "outage")] if salvage else []),
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
            "steps": _foreseen(steps, history["sessions"], loss),
            "back": upwards(steps, live.alembic_heads or []),
            "sessions": [dict(session) for session in history["sessions"]],
            "late": late_tables(steps, loss["losses"]),
            "release": listed(application.running),
            "losses": [dict(entry) for entry in loss["losses"]],
            "salvage": salvage,
            "sql": str(history.get("sql", "")),
            "tried": sorted(entry["revision"] for entry in tried["steps"]),
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
    since: Sequence[Mapping[str, Any]],
    application: Application,
    measured: Mapping[str, Any],
) -> Dict[str, Any]:
    """The plan of undo.yml for a downgrade: the same revisions upwards, then what was saved comes back.

    `earlier` is the plan of that run, `since` counts what users have written after it, as database_salvage compares it.
    """
    live = Census.from_dict(dict(database["census"]))
    done = earlier["migration"]
    left = steps_left(done["back"], done["to"], [live.alembic_heads or []])
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
            "back": _downwards(done["steps"], steps),
            "sessions": [dict(session) for session in database["sessions"]],
            "late": {},
            "release": done["release"],
            "losses": list(done["losses"]),
            "salvage": salvage,
            "sql": "",
        },
        "warnings": [*(_written_since(entry, salvage) for entry in since), *database.get("notes", [])],
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


def steps_left(
    steps: Sequence[Mapping[str, Any]], start: Sequence[str], now: Sequence[Sequence[str]]
) -> List[Mapping[str, Any]]:
    """What is left of `steps`, which begin at the heads `start`, for version tables at `now`; the one that is furthest behind counts.

    Raises RollbackError where one of them is not among the states of this way.
    """
    states = [sorted(start), *(sorted(step["heads"]) for step in steps)]
    for heads in now:
        if sorted(heads) not in states:
            raise RollbackError(
                f"The database is at revision {listed(heads) or 'none'}, which is not on the way of this run"
                f" ({listed([listed(state) or 'none' for state in states])}).",
                "Another migration ran meanwhile: bring it to one of these with the application's own Alembic.",
            )
    return list(steps[min(states.index(sorted(heads)) for heads in now) :])


def steps_behind(steps: Sequence[Mapping[str, Any]], now: Sequence[str]) -> List[str]:
    """The revisions of `steps` that a database at the heads `now` has behind it; none where it is at the end of no step."""
    states = [sorted(step["heads"]) for step in steps]
    behind = states.index(sorted(now)) + 1 if sorted(now) in states else 0
    return [str(step["revision"]) for step in steps[:behind]]


def late_tables(steps: Sequence[Mapping[str, Any]], losses: Sequence[Mapping[str, Any]]) -> Dict[str, str]:
    """Dropped tables, as `schema.table`, that a later step of the way up wants empty, with that step's revision.

    It adds a NOT NULL column without a default, which fails where there are rows. `steps` are those of the way down.
    """
    late: Dict[str, str] = {}
    for step in reversed(steps):
        for table, _ in step.get("fills", ()):
            for entry in losses:
                if entry["kind"] == TABLE and entry["table"] == table and entry["revision"] != step["revision"]:
                    late[f"{entry['schema']}.{table}"] = str(step["revision"])
    return late


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


def _downwards(down: Sequence[Mapping[str, Any]], up: Sequence[Mapping[str, Any]]) -> List[Dict[str, Any]]:
    """The steps `up` the other way round, as Alembic is told them on the way down."""
    applied = {step["revision"] for step in up}
    return [
        {name: step[name] for name in ("revision", "title", "argument", "heads")}
        for step in down
        if step["revision"] in applied
    ]


def _foreseen(
    steps: Sequence[Mapping[str, Any]], sessions: Sequence[Mapping[str, Any]], loss: Mapping[str, Any]
) -> List[Dict[str, Any]]:
    """The steps, each with what it may take away (see alembic_hook.py): nothing is watched where that could not be read."""
    known = [dict(entry) for entry in loss["losses"]]
    watched = not loss["unresolved"]
    return [
        {**step, "foreseen": _of_step(step, sessions, known) if watched and step["risk"] != UNKNOWN else {}}
        for step in steps
    ]


def _of_step(
    step: Mapping[str, Any], sessions: Sequence[Mapping[str, Any]], known: Sequence[Mapping[str, Any]]
) -> Dict[str, Any]:
    """A step tells its losses by the names at its own beginning, which an earlier step may have changed."""
    tables: Set[Tuple[str, str]] = set()
    columns: Set[Tuple[str, str, str]] = set()
    rows: Set[Tuple[str, str]] = set()
    said = [entry for operation in step["operations"] for entry in operation["losses"]]
    for entry in [*known, *said]:
        for schema in [entry["schema"]] if entry["schema"] else _schemas(entry["table"], sessions, known):
            name = (schema, entry["table"])
            if entry["kind"] in (TABLE, ROWS):
                tables.add(name)
            else:
                columns.update((schema, entry["table"], column) for column in entry["columns"])
            rows.add(name)
    return {
        "tables": sorted(map(list, tables)),
        "columns": sorted(map(list, columns)),
        "rows": sorted(map(list, rows)),
        "named": step["names"],
    }


def _schemas(table: str, sessions: Sequence[Mapping[str, Any]], known: Sequence[Mapping[str, Any]]) -> List[str]:
    """Where a table is that a step names without schema: as it was found, or for a new name where the session makes new tables."""
    found = sorted({entry["schema"] for entry in known if entry["table"] == table})
    return found or sorted({session["schemas"][0] for session in sessions if session["schemas"]})


def _fillers(steps: Sequence[Mapping[str, Any]], loss: Mapping[str, Any], live: Census) -> List[str]:
    """Columns that the way back could not add to tables which have rows."""
    dropped = {entry["table"] for entry in loss["losses"] if entry["kind"] == TABLE}
    filled = {name.rpartition(".")[2].strip('"') for name, table in live.tables.items() if table.rows}
    return [
        _no_way_back(
            f"revision {step['revision']} adds {table}.{column} as NOT NULL without a default, and {table} has rows."
        )
        for step in steps
        for table, column in step.get("fills", ())
        if table in filled and table not in dropped
    ]


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


def _has_something_to_compare(steps: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the downgrade makes, or may make, tables or columns, in which what users write is lost when they go again; or
    whether it sets sequences back."""
    operations = [operation for step in steps for operation in step["operations"]]
    return any(
        entry["kind"] in _MAKES
        or entry["risk"] == UNKNOWN
        or _MAKES_SQL.search(entry["sql"])
        or _SETS_BACK.search(entry["sql"])
        for entry in operations
    )


def _salvage_title(salvage: str, kept: Sequence[Mapping[str, Any]]) -> str:
    if kept:
        return f"Copy what would be lost to schema {salvage}"
    return f"Record the schema in {salvage}, so that an undo can tell later writes apart"


def _written_since(entry: Mapping[str, Any], salvage: str) -> str:
    """What happens to rows that users have written since the downgrade."""
    table = f"{entry['schema']}.{entry['table']}"
    wrote = f"Users have inserted, changed or deleted {amount(entry['rows'], 'row')} of {table} since the downgrade"
    if entry["dropped"]:
        return f"{wrote}, in a table or column that the newer schema does not have: they are kept in schema {salvage} and listed in the run's conflicts.jsonl."
    return f"{wrote}: that stays as they wrote it, and what was saved of it is listed in the run's conflicts.jsonl."


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


def unaccepted(steps: Sequence[Mapping[str, Any]], loss: Mapping[str, Any], tried: Collection[str] = ()) -> List[str]:
    """Losses that cannot be known or kept, which somebody has to accept. What was `tried` on a copy is known."""
    unknown = [
        f"What taking back {step['revision']} loses cannot be read from it: {_why(step)}"
        for step in steps
        if step["risk"] == UNKNOWN
    ]
    unkept = [
        f"{what(entry)} cannot be kept aside: {entry['reason']}" for entry in loss["losses"] if not entry["savable"]
    ]
    unresolved = [] if tried else list(loss["unresolved"])
    if not unknown + unkept + unresolved:
        return []
    return [f"{' '.join(unknown + unresolved + unkept)} Accept that with -e accept_data_loss=true, {_ELSE_RESTORE}."]


def _no_way_back(error: str) -> str:
    return (
        f"The revisions could not be applied again, so undo.yml would not lead back: {error}"
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
    hidden = (history.get("trial") or {}).get("hidden", [])
    if hidden:
        warnings.append(
            f"Row-level security hides rows of {listed(hidden)} from the operator's role, so the trial on a copy could not see which of"
            " them a downgrade deletes or overwrites. Give that role BYPASSRLS to count them."
        )
    for entry in loss["losses"]:
        if entry["dependents"]:
            warnings.append(f"{what(entry)} is used by {listed(entry['dependents'])}.")
    outside = [
        step["revision"] for step in history["path"] if not all(op["transactional"] for op in step["operations"])
    ]
    if outside:
        warnings.append(f"Parts of {listed(outside)} run outside of a transaction: what fails there stays half done.")
    return [*warnings, *history.get("cautions", []), *database.get("notes", [])]
