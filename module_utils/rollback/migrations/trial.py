"""What a downgrade did to a copy of the database, beside what was read from its scripts."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence

from ansible.module_utils.rollback.migrations.operations import COLUMN, ROWS, TABLE, VALUES, Loss

# What a loss of each kind takes along.
_COVERS = {TABLE: {TABLE, COLUMN, VALUES, ROWS}, COLUMN: {COLUMN, VALUES}, VALUES: {VALUES}, ROWS: {ROWS, VALUES}}


def losses(steps: Sequence[Mapping[str, Any]]) -> List[Loss]:
    """What each step took away. `steps` have `revision`, and what had `vanished` since before the first of them."""
    found: Dict[Loss, str] = {}
    for step in steps:
        for gone in step["vanished"]:
            loss = Loss(gone["kind"], gone["schema"], gone["table"], tuple(gone["columns"]))
            found.setdefault(loss, step["revision"])
    return [Loss(loss.kind, loss.schema, loss.table, loss.columns, revision) for loss, revision in found.items()]


def unforeseen(forecast: Sequence[Loss], steps: Sequence[Mapping[str, Any]]) -> List[Loss]:
    """What the trial took away and the `forecast` does not name."""
    return [seen for seen in losses(steps) if not any(_covers(known, seen) for known in forecast)]


def _covers(known: Loss, seen: Loss) -> bool:
    same_table = known.table == seen.table and (not known.schema or known.schema == seen.schema)
    columns = known.kind in (TABLE, ROWS) or set(seen.columns) <= set(known.columns)
    return same_table and columns and seen.kind in _COVERS[known.kind]
