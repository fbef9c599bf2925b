"""What verification of a restored database checks, as named results."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Dict, List, Optional

from ansible.module_utils.rollback.census import Census
from ansible.module_utils.rollback.words import amount, listed


@dataclass(frozen=True)
class Check:
    name: str
    ok: bool
    detail: str

    def as_dict(self) -> Dict[str, Any]:
        return asdict(self)


def of_database(
    found: Census,
    expected_heads: List[str],
    expected: Optional[Census],
    expected_oid: Optional[int],
    refused: List[str],
    role: Optional[str],
) -> List[Check]:
    """Checks of a database that serves: its identity, revision, schema, rows, and what the application may read.

    The application may have written since the swap, so more rows are noted and fewer are a failure.
    """
    heads = found.alembic_heads or []
    checks = [
        Check(
            "revision",
            sorted(heads) == sorted(expected_heads),
            f"{listed(heads or ['none'])}, expected {listed(expected_heads or ['none'])}",
        )
    ]
    if expected_oid:
        same = found.database_oid == expected_oid
        checks.append(
            Check(
                "identity",
                same,
                f"{found.database} is {'' if same else 'not '}the database of this run (OID {expected_oid})",
            )
        )
    if role:
        checks.append(_access(found, refused, role))
    if expected:
        checks += [*([_schema(expected, found)] if expected.objects else []), _rows(expected, found)]
    return checks


def _access(found: Census, refused: List[str], role: str) -> Check:
    """`refused` is what the role could do before. A role that may read nothing at all is no application's."""
    readable = sum(1 for table in found.tables.values() if table.readable)
    if refused:
        return Check("access", False, listed(refused))
    tables = amount(len(found.tables), "table")
    if found.tables and not readable:
        return Check("access", False, f"{role} may read none of {tables}")
    return Check("access", True, f"{role} may read {readable} of {tables}, and do what it could before")


def _schema(expected: Census, found: Census) -> Check:
    missing = sorted(expected.objects.keys() - found.objects.keys())
    surplus = sorted(found.objects.keys() - expected.objects.keys())
    if missing or surplus:
        problems = [f"missing {listed(missing)}"] if missing else []
        problems += [f"not in the manifest {listed(surplus)}"] if surplus else []
        return Check("schema", False, "; ".join(problems))
    return Check("schema", True, f"{amount(len(found.objects), 'object')} as in the manifest")


def _rows(expected: Census, found: Census) -> Check:
    fewer, more = [], 0
    for name, table in expected.tables.items():
        if name in found.tables and found.tables[name].hidden:
            fewer.append(f"row-level security hides rows of {name}")
            continue
        have = found.tables[name].rows if name in found.tables else 0
        if have < table.rows:
            fewer.append(f"{name} has {have:,} rows, not {table.rows:,}")
        more += max(0, have - table.rows)
    if fewer:
        return Check("rows", False, listed(fewer))
    note = f", and {amount(more, 'row')} written since" if more else ", exactly the manifest's"
    return Check("rows", True, f"{amount(expected.rows, 'row')} in {amount(len(expected.tables), 'table')}{note}")
