"""What a plan says of a downgrade: what it takes away, what each step does and locks, and the SQL."""

from __future__ import annotations

from typing import Any, List, Mapping, Sequence, Tuple

from ansible.module_utils.rollback.migrations.operations import IRREVERSIBLE, LOSSY, SAFE, UNKNOWN
from ansible.module_utils.rollback.words import amount, count, listed, table

DOWN, UP = "down", "up"


def what(entry: Mapping[str, Any]) -> str:
    name = f"{entry['schema']}.{entry['table']}" if entry["schema"] else entry["table"]
    columns = listed(entry["columns"])
    below = entry.get("partitions") or []
    along = f" with its {amount(len(below), 'partition')} {listed(below)}" if below else ""
    words = {
        "table": f"Table {name}{along}",
        "column": f"{name}: {columns}",
        "values": f"The values of {name}: {columns}",
    }
    return words.get(str(entry["kind"]), f"Rows of {name}")


def counted(entry: Mapping[str, Any]) -> str:
    """`40 values`, `~1,200 rows`; without a number where there is none."""
    if entry["count"] is None:
        return f"not countable ({entry['uncounted']})"
    unit = "values" if entry["kind"] in ("column", "values") else "rows"
    return f"{'' if entry['exact'] else '~'}{count(entry['count'])} {unit}"


def sources(migration: Mapping[str, Any]) -> List[Tuple[str, str]]:
    """What the head of a shown plan says of it."""
    losses = migration["losses"]
    savable = sum(1 for entry in losses if entry["savable"])
    kept = f"kept in schema {migration['salvage']}"
    if not losses:
        kept = "nothing has to be kept aside"
    elif savable < len(losses):
        kept = (
            f"{savable} of {amount(len(losses), 'loss', 'losses')} {kept}"
            if savable
            else "nothing of what is lost is kept"
        )
    tried = ", tried on a copy" if migration.get("tried") else ""
    return [("Migrations", f"{amount(len(migration['steps']), 'revision')} {migration['direction']}{tried}, {kept}")]


def lines(migration: Mapping[str, Any]) -> List[str]:
    """What is lost, what each step does and locks, and its SQL, as they are shown in a terminal."""
    if migration["direction"] == UP:
        return []
    said = ["What the downgrade takes away (counted just now; ~ is the planner's estimate)", *_loss_lines(migration)]
    for step in migration["steps"]:
        said += ["", f"Take back {step['revision']}, {step['title']}: {step['risk']}"]
        said += [f"  {line}" for line in _operation_lines(step["operations"])] or ["  nothing"]
    if migration["sql"]:
        said += [
            "",
            "SQL that Alembic would send",
            *(f"  {line}" for line in migration["sql"].splitlines() if line.strip()),
        ]
    return said


def _loss_lines(migration: Mapping[str, Any]) -> List[str]:
    if not migration["losses"]:
        return ["  nothing"]
    rows: List[List[Any]] = [["  what", "count", "kept"]]
    for entry in migration["losses"]:
        rows.append([f"  {what(entry)}", counted(entry), "yes" if entry["savable"] else "NO"])
    return table(rows, "<><")


def _operation_lines(operations: Sequence[Mapping[str, Any]]) -> List[str]:
    rows = []
    for entry in operations:
        lock = f"locks {entry['table'] or 'a table'} ({entry['lock']})" if entry["lock"] else ""
        does = " and ".join(
            word for word, said in (("rewrites it", entry["rewrites"]), ("reads all of it", entry["scans"])) if said
        )
        mark = {SAFE: " ", LOSSY: "-", UNKNOWN: "?", IRREVERSIBLE: "!"}[str(entry["risk"])]
        rows.append([f"{mark} {entry['reason']}", ", ".join(filter(None, [lock, does]))])
    return table(rows)
