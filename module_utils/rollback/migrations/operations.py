"""What a migration does to a database, one statement at a time, and what of it cannot be had back.

Read from the script and from SQL alike, so that the two readings can be compared.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Dict, Iterable, Mapping, Tuple

SAFE, LOSSY, UNKNOWN, IRREVERSIBLE = "safe", "lossy", "unknown", "irreversible"
# From the least to the greatest harm: a step is as bad as its worst operation.
RISKS = (SAFE, LOSSY, UNKNOWN, IRREVERSIBLE)

# What goes: a whole table, columns, the values that columns have (narrowed or overwritten), or rows.
TABLE, COLUMN, VALUES, ROWS = "table", "column", "values", "rows"


@dataclass(frozen=True)
class Loss:
    """Data that an operation takes away. `schema` is empty where the script leaves it to the search path.

    `columns` is empty for TABLE and ROWS. `revision` is the one that is taken back.
    """

    kind: str
    schema: str
    table: str
    columns: Tuple[str, ...] = ()
    revision: str = ""

    @property
    def name(self) -> str:
        return f"{self.schema}.{self.table}" if self.schema else self.table

    def as_dict(self) -> Dict[str, Any]:
        return {**asdict(self), "columns": list(self.columns)}

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> "Loss":
        return cls(**{**found, "columns": tuple(found["columns"])})


@dataclass(frozen=True)
class Operation:
    """One operation of a downgrade. `kind` names it as Alembic does (`drop_column`, `execute`, …).

    `reason` is a sentence for people, `line` the line of `path` it stands on. `lock` is the strongest table lock it takes
    in PostgreSQL's words (`ACCESS EXCLUSIVE`), empty where it takes none; `rewrites` and `scans` say what it does to the
    whole table while it holds that lock. `transactional` is False for what refuses to run in a transaction.
    """

    kind: str
    risk: str
    reason: str
    path: str = ""
    line: int = 0
    table: str = ""
    lock: str = ""
    rewrites: bool = False
    scans: bool = False
    transactional: bool = True
    sql: str = ""
    losses: Tuple[Loss, ...] = ()

    def as_dict(self) -> Dict[str, Any]:
        return {**asdict(self), "losses": [loss.as_dict() for loss in self.losses]}


@dataclass(frozen=True)
class StepRisk:
    """What taking back one revision does: `revision` goes, and the schema is that of `down_to` afterwards."""

    revision: str
    down_to: Tuple[str, ...]
    title: str
    path: str
    risk: str
    operations: Tuple[Operation, ...] = field(default=())

    @property
    def reasons(self) -> Tuple[str, ...]:
        """Why it is no better than its risk."""
        return tuple(operation.reason for operation in self.operations if operation.risk == self.risk)

    def as_dict(self) -> Dict[str, Any]:
        return {
            **asdict(self),
            "down_to": list(self.down_to),
            "operations": [operation.as_dict() for operation in self.operations],
            "reasons": list(self.reasons),
        }


def worst(risks: Iterable[str]) -> str:
    """The greatest of these risks, SAFE where there are none."""
    return max(risks, key=RISKS.index, default=SAFE)
