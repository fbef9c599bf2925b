"""What a downgrade would take away, counted in the live database, and whether it can be kept aside."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence, Tuple

from ansible.module_utils.rollback.migrations.operations import COLUMN, ROWS, TABLE, VALUES, Loss
from ansible.module_utils.rollback.postgres import partitions, relation
from ansible.module_utils.rollback.postgres.relation import Relation
from ansible.module_utils.rollback.words import listed

with suppress(ImportError):  # the module that uses this says so
    from psycopg import errors as pg_errors
    from psycopg import sql

if TYPE_CHECKING:
    import psycopg

# Views and what else is defined by a query, then foreign keys of other tables; column 0 stands for the whole table.
_DEPENDENTS = """
SELECT DISTINCT CASE c.relkind WHEN 'm' THEN 'materialized view ' ELSE 'view ' END || n.nspname || '.' || c.relname, 0::bigint
FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = ANY(%(oids)s::oid[])
  AND c.oid <> d.refobjid
  AND (%(columns)s::text[] = '{}' OR d.refobjsubid IN (
        SELECT attnum FROM pg_attribute WHERE attrelid = d.refobjid AND attname = ANY(%(columns)s)))
UNION ALL
SELECT 'foreign key ' || conname || ' of ' || conrelid::regclass::text, conrelid::bigint
FROM pg_constraint
WHERE contype = 'f' AND conparentid = 0 AND confrelid = ANY(%(oids)s::oid[]) AND NOT conrelid = ANY(%(oids)s::oid[])
  AND (%(columns)s::text[] = '{}' OR confkey && ARRAY(
        SELECT attnum FROM pg_attribute WHERE attrelid = confrelid AND attname = ANY(%(columns)s)))
ORDER BY 1"""

# Tables that refer to this one, and what becomes of a row of theirs when the row that it refers to is deleted.
_REFERRING = """
SELECT n.nspname, c.relname, k.confdeltype = 'c',
       ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = k.conrelid AND attnum = ANY(k.conkey) ORDER BY attnum)
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE k.contype = 'f' AND k.confrelid = %s AND k.conrelid <> k.confrelid AND k.confdeltype IN ('c', 'n', 'd') ORDER BY 1, 2"""

_NULL_SHARE = "SELECT max(null_frac)::float8 FROM pg_stats WHERE schemaname = %s AND tablename = %s AND attname = %s"


@dataclass(frozen=True)
class Counted:
    """`count` is rows (of tables and rows) or values that are not null (of columns and values); where it is not `exact` it is the
    planner's estimate. It is None where there is no number, and `uncounted` says why. `reason` says why it is not `savable`,
    `dependents` name what else is built on it, `partitions` the partitions that go along with a whole table."""

    kind: str
    schema: str
    table: str
    columns: Tuple[str, ...]
    revision: str
    count: Optional[int]
    exact: bool
    bytes: int
    savable: bool
    reason: str = ""
    dependents: List[str] = field(default_factory=list)
    uncounted: str = ""
    partitions: List[str] = field(default_factory=list)

    def as_dict(self) -> Dict[str, Any]:
        return {**asdict(self), "columns": list(self.columns)}


def forecast(connection: "psycopg.Connection[Any]", losses: Sequence[Loss], budget_s: float) -> List[Counted]:
    """Count what is really there, and what goes along with deleted rows by foreign keys; what is not there is left out.

    `losses` name their schemas, see `resolved_names`. Counting ends after `budget_s` seconds; the rest is estimated.
    """
    there = _there(connection, losses)
    going = {table.oid for loss, table in there if loss.kind == TABLE}
    until = time.monotonic() + budget_s
    counted = []
    for loss, table in there:
        columns = tuple(name for name in loss.columns if name in table.columns and not table.columns[name].generated)
        if loss.kind in (COLUMN, VALUES) and not columns:
            continue
        number, exact, uncounted = _count(connection, table, columns, until)
        reason = why_not_savable(loss.kind, table, columns)
        below = partitions.of(connection, table.oid) if table.partitioned else []
        oids = [table.oid, *(oid for oid, _ in below)]
        users = connection.execute(_DEPENDENTS, {"oids": oids, "columns": list(columns)}).fetchall()
        counted.append(
            Counted(
                loss.kind,
                table.schema,
                table.name,
                columns,
                loss.revision,
                number,
                exact,
                table.bytes,
                not reason,
                reason,
                # Rows that go leave all that is built on their table in its place.
                [name for name, of in users if of not in going] if loss.kind in (TABLE, COLUMN) else [],
                uncounted,
                [name for _, name in below] if loss.kind == TABLE else [],
            )
        )
    return counted


def _there(connection: "psycopg.Connection[Any]", losses: Sequence[Loss]) -> List[Tuple[Loss, Relation]]:
    """Each loss with its table, and what goes along with deleted rows because their foreign keys say so."""
    there: List[Tuple[Loss, Relation]] = []
    seen = set()
    waiting = list(losses)
    while waiting:
        loss = waiting.pop(0)
        table = relation.find(connection, loss.schema, loss.table)
        if table is None or (loss.kind, table.oid, loss.columns) in seen:
            continue
        seen.add((loss.kind, table.oid, loss.columns))
        there.append((loss, table))
        if loss.kind == ROWS:
            for schema, name, cascades, columns in connection.execute(_REFERRING, [table.oid]).fetchall():
                kind, of = (ROWS, ()) if cascades else (VALUES, tuple(columns))
                waiting.append(Loss(kind, schema, name, of, loss.revision))
    whole = {table.oid for loss, table in there if loss.kind == TABLE}
    # A partition goes along with its parent, and is named there.
    along = {
        oid
        for table in [table for loss, table in there if loss.kind == TABLE and table.partitioned]
        for oid, _ in partitions.of(connection, table.oid)
    }
    return [
        (loss, table)
        for loss, table in there
        if table.oid not in along and (loss.kind == TABLE or table.oid not in whole)
    ]


def why_not_savable(kind: str, table: Relation, columns: Sequence[str]) -> str:
    """Why this cannot be kept aside and brought back; empty where it can."""
    if not table.readable:
        return f"the operator's role may not read {table.full_name}."
    if not table.stored:
        return f"{table.full_name} has no column with values of its own."
    if table.row_security:
        return f"row level security hides rows of {table.full_name} from the operator's role."
    if table.inherited:
        return f"other tables inherit from {table.full_name}, and lose the same without being kept."
    if kind == ROWS and not table.key():
        return f"{table.full_name} has no key by which its missing rows could be told."
    if kind in (COLUMN, VALUES) and any(table.columns[name].always for name in columns if name in table.columns):
        return (
            f"{listed(columns)} of {table.full_name} is GENERATED ALWAYS AS IDENTITY, and takes no value that was kept."
        )
    if kind in (COLUMN, VALUES) and not table.key(columns):
        return f"{table.full_name} has no other key by which its rows could be found again."
    return ""


def _count(
    connection: "psycopg.Connection[Any]", table: Relation, columns: Sequence[str], until: float
) -> Tuple[Optional[int], bool, str]:
    """How many, whether that was counted, and why there is no number where there is none."""
    if table.row_security:
        return None, False, "row-level security hides rows from the operator's role"
    why = "there was no time to count" if table.readable else "the operator's role may not read it"
    left_ms = int((until - time.monotonic()) * 1000)
    if left_ms > 0 and table.readable:
        counts = sql.SQL(" + ").join(sql.SQL("count({})").format(sql.Identifier(name)) for name in columns)
        query = sql.SQL("SELECT {} FROM {}").format(counts if columns else sql.SQL("count(*)"), table.identifier)
        try:
            with connection.transaction():
                connection.execute(sql.SQL("SET LOCAL statement_timeout = {}").format(sql.Literal(left_ms)))
                (exact,) = connection.execute(query).fetchone() or (None,)
                return exact, True, ""
        except pg_errors.Error as error:  # such as a partition on another server, which does not answer
            if connection.closed:
                raise
            in_time = not isinstance(error, (pg_errors.QueryCanceled, pg_errors.LockNotAvailable))
            why = str(error).splitlines()[0] if in_time else why
    estimate = _estimate(connection, table, columns)
    return estimate, False, "" if estimate is not None else f"{why}, and it was never analysed"


def _estimate(connection: "psycopg.Connection[Any]", table: Relation, columns: Sequence[str]) -> Optional[int]:
    """The planner's number; None where it has none, which is not zero."""
    if table.tuples < 0:
        return None
    if not columns:
        return int(table.tuples)
    values = 0.0
    for name in columns:
        (share,) = connection.execute(_NULL_SHARE, [table.schema, table.name, name]).fetchone() or (None,)
        if share is None:
            return None
        values += table.tuples * (1 - float(share))
    return int(values)
