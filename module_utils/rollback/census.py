"""What was in a database at one moment, as data: what a manifest keeps, a forecast compares and a verification expects."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Dict, List, Optional, Sequence, Set, Tuple

from ansible.module_utils.rollback.words import listed

DEFAULT_VERSION_TABLE = "public.alembic_version"
# Among `objects`: which large objects there are, and which materialized views hold rows. No part of a schema.
OF_CONTENT = frozenset({"large objects", "populated materialized views"})
# Among them too, where a database has that schema.
PUBLIC = "schema public"


@dataclass(frozen=True)
class Table:
    """`rows` is exact. `inserted`, `updated`, `deleted` are the server's counters since it last reset them, or None.

    `oid` tells whether two censuses saw the same table or one made anew. `readable` says whether the
    application's role may read it (None where no role was asked about). `content` is a hash over all rows,
    independent of their order, where it was asked for. With `hidden`, row-level security hides rows from whoever would
    have counted them, and `rows` is no count.
    """

    rows: int
    oid: int
    inserted: Optional[int] = None
    updated: Optional[int] = None
    deleted: Optional[int] = None
    readable: Optional[bool] = None
    content: Optional[str] = None
    hidden: bool = False


@dataclass(frozen=True)
class Census:
    """`objects` maps `kind name` to a short hash of the definition; `alembic_heads` is None without a version table.

    `partitions` maps each table that is one to the root of the partitioned table that it belongs to.
    """

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
    partitions: Dict[str, str] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Those of all tables that could be counted."""
        return sum(table.rows for table in self.tables.values() if not table.hidden)

    @property
    def uncounted(self) -> List[str]:
        """Tables whose rows could not be counted."""
        return sorted(name for name, table in self.tables.items() if table.hidden)

    def as_dict(self) -> Dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Dict[str, Any]) -> "Census":
        tables = {name: Table(**table) for name, table in content["tables"].items()}
        return cls(**{**content, "tables": tables})


def hidden_rows(tables: Sequence[str]) -> Tuple[str, str]:
    """What stands in the way of whoever dumps or counts `tables`, and the way out."""
    return (
        f"Row-level security hides rows of {listed(tables)} from the operator's role, so they can be neither counted nor dumped.",
        "As a superuser, run ALTER ROLE <operator's role> BYPASSRLS. Where a materialized view reads such a table, that does not help its"
        " refresh: run ALTER TABLE <table> NO FORCE ROW LEVEL SECURITY, which frees its owner from the policies.",
    )


def differences(expected: Census, found: Census, words: bool = True) -> List[str]:
    """What a restored database lacks, has too much or has otherwise, in sentences; empty where it is the same.

    Without `words` definitions are compared by name alone: a server words them its own way, and anew after each dump.
    """
    problems = []
    if sorted(expected.alembic_heads or []) != sorted(found.alembic_heads or []):
        problems.append(
            f"the revision is {listed(found.alembic_heads or ['none'])}, not {listed(expected.alembic_heads or ['none'])}"
        )
    alike = _alike_as_a_whole(expected, found)
    for name in sorted(expected.tables.keys() | found.tables.keys()):
        before, after = expected.tables.get(name), found.tables.get(name)
        if name not in alike and before and after and before.rows != after.rows:
            problems.append(f"{name} has {after.rows:,} rows, not {before.rows:,}")
        elif (
            name not in alike
            and before
            and after
            and before.content
            and after.content
            and before.content != after.content
        ):
            problems.append(f"{name} has other content in as many rows")
        elif before and after and before.readable and after.readable is False:
            problems.append(f"the application may no longer read {name}")
    for name in sorted(expected.sequences.keys() & found.sequences.keys()):
        if expected.sequences[name] != found.sequences[name]:
            problems.append(f"sequence {name} stands at {found.sequences[name]}, not {expected.sequences[name]}")
    lost = sorted(expected.tables.keys() - found.tables.keys() - alike)
    filled = sorted(
        name for name, table in found.tables.items() if table.rows and name not in expected.tables.keys() | alike
    )
    if lost:
        problems.append(f"missing: {listed(lost)}")
    if filled:
        problems.append(f"rows that are not in the dump: {listed(filled)}")
    if not expected.objects:  # a dump that was judged from its content alone says nothing of definitions
        return problems
    missing = sorted(expected.objects.keys() - found.objects.keys() - {f"relation {name}" for name in lost})
    surplus = sorted(found.objects.keys() - expected.objects.keys() - OF_CONTENT)
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


def _alike_as_a_whole(expected: Census, found: Census) -> Set[str]:
    """Names of partitioned tables and their partitions that hold the same together.

    A row may come to lie in another partition: hashes of an enum's values differ between databases, and the order of text
    between systems. For such tables pg_dump loads rows through the root, and some dumps do that for all of them.
    """
    trees: Dict[str, Set[str]] = {}
    for partition, root in found.partitions.items():
        trees.setdefault(root, {root}).add(partition)
    alike: Set[str] = set()
    for tree in trees.values():
        before, after = (
            [census.tables[name] for name in sorted(tree & census.tables.keys())] for census in (expected, found)
        )
        if before and sum(table.rows for table in before) == sum(table.rows for table in after):
            contents = [_sum_of_contents(tables) for tables in (before, after)]
            if None in contents or contents[0] == contents[1]:
                alike |= tree
    return alike


def _sum_of_contents(tables: List[Table]) -> Optional[List[int]]:
    """The hash over the rows of several tables; None where one of them has none."""
    if not all(table.content for table in tables):
        return None
    halves = [table.content.split(":") for table in tables if table.content and table.content != "empty"]
    return [sum(int(half) for half in side) for side in zip(*halves)]
