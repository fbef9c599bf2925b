"""What a restore would take back, per table: rows counted now and then, and writes counted by the server since."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Dict, List, Optional

from ansible.module_utils.rollback.census import Census, Table


@dataclass(frozen=True)
class TableForecast:
    """`now` and `then` are exact row counts, None where the table does not exist (yet or any more) or cannot be counted.

    `inserted`, `updated` and `deleted` are the server's own counts of writes since the backup; None where they
    cannot be told (statistics reset, table made anew). Rows alone would hide an update, or an insert and a delete.
    """

    table: str
    now: Optional[int]
    then: Optional[int]
    inserted: Optional[int] = None
    updated: Optional[int] = None
    deleted: Optional[int] = None

    @property
    def touched(self) -> bool:
        """Where writes cannot be told, as many rows as before are no proof that there were none."""
        writes = (self.inserted, self.updated, self.deleted)
        return self.now is None or self.now != self.then or None in writes or any(writes)

    def as_dict(self) -> Dict[str, Any]:
        return asdict(self)


def of_restore(now: Census, then: Census) -> List[TableForecast]:
    """One entry per table that exists now or existed then, by name."""
    same_statistics = now.stats_reset == then.stats_reset and now.database_oid == then.database_oid
    return [
        _table(name, now.tables.get(name), then.tables.get(name), same_statistics)
        for name in sorted(now.tables.keys() | then.tables.keys())
    ]


def _table(name: str, now: Optional[Table], then: Optional[Table], same_statistics: bool) -> TableForecast:
    rows = (_rows(now), _rows(then))
    if now and not then:
        return TableForecast(name, *rows, inserted=now.inserted, updated=now.updated, deleted=now.deleted)
    if not now or not then or not same_statistics or now.oid != then.oid:
        return TableForecast(name, *rows)
    return TableForecast(
        name,
        *rows,
        *(_since(getattr(now, field), getattr(then, field)) for field in ("inserted", "updated", "deleted")),
    )


def _rows(table: Optional[Table]) -> Optional[int]:
    return table.rows if table and not table.hidden else None


def _since(now: Optional[int], then: Optional[int]) -> Optional[int]:
    return None if now is None or then is None or now < then else now - then
