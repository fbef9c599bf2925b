"""What was in a database at one moment, as data: what a manifest keeps, a forecast compares and a verification expects."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Dict, List, Optional

from ansible.module_utils.rollback.words import listed

DEFAULT_VERSION_TABLE = "public.alembic_version"
# Among `objects`: how many there are. No part of a schema.
LARGE_OBJECTS = "large objects"


@dataclass(frozen=True)
class Table:
    """`rows` is exact. `inserted`, `updated`, `deleted` are the server's counters since it last reset them, or None.

    `oid` tells whether two censuses saw the same table or one made anew. `readable` says whether the
    application's role may read it (None where no role was asked about). `content` is a hash over all rows,
    independent of their order, where it was asked for.
    """

    rows: int
    oid: int
    inserted: Optional[int] = None
    updated: Optional[int] = None
    deleted: Optional[int] = None
    readable: Optional[bool] = None
    content: Optional[str] = None


@dataclass(frozen=True)
class Census:
    """`objects` maps `kind name` to a short hash of the definition; `alembic_heads` is None without a version table."""

    database: str
    database_oid: int
    server_version: str
    system_identifier: str
    bytes: int
    stats_reset: Optional[str]
    alembic_heads: Optional[List[str]]
    tables: Dict[str, Table] = field(default_factory=dict)
    sequences: Dict[str, Optional[int]] = field(default_factory=dict)
    objects: Dict[str, str] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables.values())

    def as_dict(self) -> Dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Dict[str, Any]) -> "Census":
        tables = {name: Table(**table) for name, table in content["tables"].items()}
        return cls(**{**content, "tables": tables})


def differences(expected: Census, found: Census, words: bool = True) -> List[str]:
    """What a restored database lacks, has too much or has otherwise, in sentences; empty where it is the same.

    Without `words` definitions are compared by name alone: a server words them its own way, and anew after each dump.
    """
    problems = []
    if sorted(expected.alembic_heads or []) != sorted(found.alembic_heads or []):
        problems.append(
            f"the revision is {listed(found.alembic_heads or ['none'])}, not {listed(expected.alembic_heads or ['none'])}"
        )
    for name in sorted(expected.tables.keys() | found.tables.keys()):
        before, after = expected.tables.get(name), found.tables.get(name)
        if before and after and before.rows != after.rows:
            problems.append(f"{name} has {after.rows:,} rows, not {before.rows:,}")
        elif before and after and before.content and after.content and before.content != after.content:
            problems.append(f"{name} has other content in as many rows")
        elif before and after and before.readable and after.readable is False:
            problems.append(f"the application may no longer read {name}")
    for name in sorted(expected.sequences.keys() & found.sequences.keys()):
        if expected.sequences[name] != found.sequences[name]:
            problems.append(f"sequence {name} stands at {found.sequences[name]}, not {expected.sequences[name]}")
    lost = sorted(expected.tables.keys() - found.tables.keys())
    filled = sorted(name for name, table in found.tables.items() if table.rows and name not in expected.tables)
    if lost:
        problems.append(f"missing: {listed(lost)}")
    if filled:
        problems.append(f"rows that are not in the dump: {listed(filled)}")
    if (
        not expected.objects
    ):  # a dump that was judged from its content, and could not be tried, says nothing of definitions
        return problems
    missing = sorted(expected.objects.keys() - found.objects.keys() - {f"relation {name}" for name in lost})
    surplus = sorted(found.objects.keys() - expected.objects.keys() - {LARGE_OBJECTS})  # a schema alone has none
    changed = sorted(
        name for name in expected.objects.keys() & found.objects.keys() if expected.objects[name] != found.objects[name]
    )
    if missing:
        problems.append(f"missing: {listed(missing)}")
    if surplus:
        problems.append(f"not in the original: {listed(surplus)}")
    if changed and words:
        problems.append(f"defined differently: {listed(changed)}")
    return problems
