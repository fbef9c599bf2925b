"""A second home, in a schema of the same database, for what a downgrade takes away; and the way back from there.

Copies depend on nothing that the downgrade may drop: values of the database's own types are kept as text.
"""

from __future__ import annotations

import json
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Collection, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.migrations.operations import COLUMN, ROWS, TABLE, VALUES, Loss
from ansible.module_utils.rollback.postgres import (
    at_work,
    attached,
    constraints,
    partitions,
    relation,
    sequences,
    since,
    writing_back,
)
from ansible.module_utils.rollback.postgres.copies import Copy, contents, hashed, told_of
from ansible.module_utils.rollback.postgres.loss import why_not_savable
from ansible.module_utils.rollback.postgres.relation import Relation
from ansible.module_utils.rollback.words import listed

with suppress(ImportError):  # the module that uses this says so
    from psycopg import errors as pg_errors
    from psycopg import sql

    # What PostgreSQL says where values have no place, or not this one.
    _DOES_NOT_FIT = (
        pg_errors.DataError,
        pg_errors.IntegrityError,
        pg_errors.InternalError,
        pg_errors.NotSupportedError,
        pg_errors.ObjectInUse,
        pg_errors.ObjectNotInPrerequisiteState,
        pg_errors.ProgrammingError,
    )

if TYPE_CHECKING:
    import psycopg

LOCK_TIMEOUT = "5s"

_SEQUENCES = """
SELECT s.oid::regclass::text, a.attname FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = %s AND d.deptype IN ('a', 'i')
ORDER BY 1"""

_PARENTS = "SELECT DISTINCT confrelid::bigint FROM pg_constraint WHERE contype = 'f' AND conrelid = %s AND confrelid <> conrelid"

# Populated materialized views that read these tables, also through others; those that others read come first.
_MATERIALIZED = """
WITH RECURSIVE reading (oid, depth) AS (
  SELECT unnest(%s::oid[]), 0 UNION
  SELECT r.ev_class, depth + 1 FROM reading JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = reading.oid
  JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid AND r.ev_class <> reading.oid)
SELECT c.oid::regclass::text FROM reading JOIN pg_class c ON c.oid = reading.oid
WHERE c.relkind = 'm' AND c.relispopulated GROUP BY c.oid ORDER BY max(depth), c.oid"""

# Privileges on columns, and on the sequences that belong to them.
_OTHER_GRANTS = """
SELECT 'column', a.attname::text, coalesce(pg_get_userbyid(nullif(g.grantee, 0)), ''), g.privilege_type, g.is_grantable
FROM pg_attribute a, aclexplode(a.attacl) g WHERE a.attrelid = %(table)s AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT 'sequence', a.attname::text, coalesce(pg_get_userbyid(nullif(g.grantee, 0)), ''), g.privilege_type, g.is_grantable
FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S', pg_attribute a, aclexplode(s.relacl) g
WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = %(table)s AND d.deptype IN ('a', 'i')
  AND a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
ORDER BY 1, 2, 3, 4"""


def save(
    connection: "psycopg.Connection[Any]",
    schema: str,
    losses: Sequence[Loss],
    late: Optional[Mapping[str, str]] = None,
) -> List[Dict[str, Any]]:
    """Copy what `losses` name into the new `schema`, in one transaction, and compare each copy with its source.

    A copy comes back after the revision of its loss, or for the tables in `late` (`schema.table`) after the revision that is said there.

    What is not there, or cannot be kept, is left out: the plan has told so, and somebody has accepted it. A schema of that
    name from an earlier attempt is replaced if all that it keeps is still where it was taken from; else RollbackError is raised.
    Returns kind, schema, table, columns and rows of each copy.
    """
    with _transaction(connection):
        connection.execute(since.SETTINGS)
        wanted = _wanted(connection, losses)
        refuse_to_drop(connection, schema)
        drop(connection, schema)
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
        connection.execute(
            sql.SQL(
                "CREATE TABLE {} (name text PRIMARY KEY, content jsonb NOT NULL, back text[] NOT NULL DEFAULT '{{}}',"
                " early boolean NOT NULL DEFAULT true)"
            ).format(sql.Identifier(schema, "contents"))
        )
        copies = [
            _copy(connection, schema, f"{number:03d} {table.name}"[:60], kind, table, columns, due)
            for number, (kind, table, columns, due) in enumerate(_dated(wanted, late or {}), start=1)
        ]
        for copy in copies:
            connection.execute(
                sql.SQL("INSERT INTO {} (name, content) VALUES (%s, %s)").format(sql.Identifier(schema, "contents")),
                [copy.name, json.dumps(copy.__dict__)],
            )
        for copy, one in zip(copies, wanted):
            if one.kind == TABLE and one.table.partitioned:
                partitions.note(connection, schema, copy.name, one.table.oid)
        attached.note(connection, schema, copies)
        sequences.note(connection, schema)
        since.note_before(connection, schema)
    return [told_of(copy) for copy in copies]


@dataclass(frozen=True)
class Back:
    """What came back of each copy; `notes` are sentences about what hangs on the tables and could not be made again."""

    copies: List[Dict[str, Any]]
    notes: List[str]


def bring_back(connection: "psycopg.Connection[Any]", schema: str, only: Optional[Collection[str]] = None) -> Back:
    """Bring back everything that `schema` keeps, in one transaction, and compare it with what was kept.

    Tables become what they were, with what hung on them. Columns come back to the rows that are still there; rows that are new
    keep what the upgrade gave them. Deleted rows come back where their key is free. Returns for each copy `rows`, and `gone`:
    how many of them no longer exist. What was brought back already is not brought back again: since then it may have changed.
    `only` names the copies to bring back, where the others are to be left alone. Raises RollbackError, with nothing changed, where
    something cannot be brought back.
    """
    with _transaction(connection):
        connection.execute(since.SETTINGS)
        done = _finished(connection, schema)
        if done is not None:
            return done
        copies = [copy for copy in contents(connection, schema) if only is None or copy.name in only]
        notes = attached.make_columns(connection, schema)
        targets = {copy.name: _target(connection, copy, notes) for copy in copies}
        ordered, circle = _in_order(connection, copies, targets)
        tables = {table.oid: table for table in targets.values()}
        whole = [(copy, targets[copy.name]) for copy in reversed(ordered) if copy.kind == TABLE]
        for copy, table in whole:
            partitions.make_again(connection, schema, copy.name, table.owner)
        beside = {(copy.schema, copy.table): copy.name for copy in circle.values()}
        with ExitStack() as aside:
            aside.enter_context(constraints.without_triggers(connection, tables))
            aside.enter_context(constraints.without_unvalidated(connection, tables))
            aside.enter_context(constraints.deferred(connection, circle))
            for copy, table in whole:  # they may have what has to be unique
                writing_back.remove_others(connection, schema, copy, table)
            told = []
            first_of_circle = next((copy for copy in ordered if targets[copy.name].oid in circle), None)
            for copy in ordered:
                if copy is first_of_circle:
                    since.settle(connection, schema, [(one.name, tables[oid]) for oid, one in circle.items()], beside)
                told.append(writing_back.bring_back(connection, schema, copy, targets[copy.name], beside=beside))
            for copy, table in whole:  # what referred to them may refer to others now
                writing_back.remove_others(connection, schema, copy, table, again=True)
        constraints.check_pending(connection)
        notes += attached.make_rest(connection, schema)
        notes += sequences.bring_forward(connection, schema)
        notes += _refresh(connection, list(tables))
        back = Back(told, notes)
        connection.execute(sql.SQL("CREATE TABLE {} (result jsonb)").format(sql.Identifier(schema, "finished")))
        connection.execute(
            sql.SQL("INSERT INTO {} VALUES (%s)").format(sql.Identifier(schema, "finished")), [json.dumps(asdict(back))]
        )
    return back


def is_finished(connection: "psycopg.Connection[Any]", schema: str) -> Optional[bool]:
    """Whether everything that `schema` keeps has been brought back; None where there is no such schema."""
    if not _exists(connection, schema):
        return None
    return _finished(connection, schema) is not None


def _finished(connection: "psycopg.Connection[Any]", schema: str) -> Optional[Back]:
    table = sql.Identifier(schema, "finished")
    if connection.execute("SELECT to_regclass(%s)", [table.as_string(connection)]).fetchone() == (None,):
        return None
    (result,) = connection.execute(sql.SQL("SELECT result FROM {}").format(table)).fetchone() or ({},)
    return Back(**result)


def _refresh(connection: "psycopg.Connection[Any]", tables: Sequence[int]) -> List[str]:
    """Fill the materialized views that read these tables; return sentences about those that stay as the upgrade has filled them."""
    notes = []
    for (view,) in connection.execute(_MATERIALIZED, [tables]).fetchall():
        try:
            with connection.transaction():
                connection.execute(f"REFRESH MATERIALIZED VIEW {view}")  # the name comes quoted from regclass
        except pg_errors.LockNotAvailable:
            raise
        except pg_errors.Error as error:  # its query is the application's, and fails as it does there
            if connection.closed:
                raise
            why = (str(error).splitlines() or [""])[0].rstrip(".")
            notes.append(f"Materialized view {view} is stale: it could not be refreshed ({why}).")
    return notes


def bring_back_early(
    connection: "psycopg.Connection[Any]", schema: str, applied: Collection[str], rows: bool = False
) -> List[Dict[str, Any]]:
    """Bring back what can be, in the middle of the way up, once the revisions `applied` are there again.

    The steps that follow may demand these values of rows that are there (NOT NULL, UNIQUE), work on them, or delete rows that
    lack them. Whole `rows` come when a step has failed without them: most steps were written for tables that were empty then.
    Whatever has no place yet, or does not fit yet, is left for later: `bring_back` brings everything, and compares. Returns the
    copies that came, with the `columns` that have a place.

    Where an earlier way up brought something and led down again, values wait for a step that fails, as rows do: a step may also
    fail because of them.
    """
    with _transaction(connection):
        if not rows and not _is_early(connection, schema):
            return []
        back = _back_already(connection, schema)
        copies = [
            copy
            for copy in contents(connection, schema)
            if copy.due in applied
            and (rows or copy.kind not in (TABLE, ROWS))
            and not set(copy.columns) <= set(back[copy.name])
        ]
        connection.execute(since.SETTINGS)
        targets = {copy.name: relation.find(connection, copy.schema, copy.table) for copy in copies}
        there = {name: table for name, table in targets.items() if table is not None}
        told = []
        survived = since.tables_before(connection, schema)
        places = [copy for copy in copies if copy.name in there and _is_its_place(copy, there[copy.name], survived)]
        ordered, circle = _in_order(connection, places, there)
        for copy in ordered:
            if there[copy.name].oid in circle:
                continue
            table = there[copy.name]
            columns = tuple(
                name for name in copy.columns if name in table.columns and not table.columns[name].generated
            )
            if not set(columns) - set(back[copy.name]) or not set(copy.key) <= set(table.columns):
                continue
            with suppress(*_DOES_NOT_FIT, RollbackError):
                with connection.transaction(), since.only_decided(connection, schema):
                    part = replace(copy, columns=columns)
                    if copy.kind == TABLE:
                        partitions.make_again(connection, schema, copy.name, table.owner)
                    with constraints.without_triggers(connection, [table.oid]):
                        if copy.kind == TABLE:
                            writing_back.remove_others(connection, schema, part, table)
                        writing_back.bring_back(connection, schema, part, table, whole=columns == copy.columns)
                    connection.execute(
                        sql.SQL("UPDATE {} SET back = %s WHERE name = %s").format(sql.Identifier(schema, "contents")),
                        [list(columns), copy.name],
                    )
                told.append({**told_of(copy), "columns": list(columns)})
    return told


def _is_its_place(copy: Copy, table: Relation, survived: Collection[int]) -> bool:
    """Whether a table that has the name of a copy in the middle of the way up is the one that it was taken from.

    A later step may give that name to another table. One that was dropped is made again; what survived the downgrade is not it.
    """
    return table.oid not in survived if copy.kind == TABLE else table.oid == copy.oid


def put_back(connection: "psycopg.Connection[Any]", schema: str) -> None:
    """Add columns again that a revision has dropped and committed before it failed, with their values.

    Only for who has saved them and kept the application from writing since. Rows and values that differ may be what somebody else
    wrote meanwhile, and are left alone. Raises RollbackError where something is missing then.
    """
    if not _exists(connection, schema):
        return
    gone = []
    for copy in contents(connection, schema):
        table = relation.find(connection, copy.schema, copy.table)
        if (
            copy.kind == COLUMN
            and table is not None
            and table.oid == copy.oid
            and set(copy.columns) - set(table.columns)
        ):
            gone.append(copy.name)
    if gone:
        with suppress(RollbackError, *_DOES_NOT_FIT):
            bring_back(connection, schema, only=gone)
    refuse_to_drop(connection, schema)


def refuse_to_drop(connection: "psycopg.Connection[Any]", schema: str) -> None:
    """Raise RollbackError if `schema` is there and keeps something that is nowhere else as it was."""
    if not _exists(connection, schema):
        return
    gone = taken_in_part(connection, schema)
    if gone:
        raise RollbackError(
            f"A revision was taken back in part, outside of a transaction: {listed(gone)} is gone, and kept in schema {schema}.",
            "Finish or undo that revision by hand, with what the schema has, and rename the schema; then run the same command again.",
        )


def _exists(connection: "psycopg.Connection[Any]", schema: str) -> bool:
    return connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [schema]).fetchone() is not None


def taken_in_part(connection: "psycopg.Connection[Any]", schema: str) -> List[str]:
    """Name what is kept in `schema` and is no longer where it was taken from, though no revision was taken back."""
    gone = []
    connection.execute(since.SETTINGS)
    for copy in contents(connection, schema):
        table = relation.find(connection, copy.schema, copy.table)
        missing = [name for name in copy.columns if table is not None and name not in table.columns]
        if table is None or table.oid != copy.oid:
            gone.append(f"table {copy.full_name}")
        elif missing:
            gone.append(f"{copy.full_name}: {listed(missing)}")
        else:
            lost = _no_longer_there(connection, schema, copy, table)
            if lost and copy.kind in (TABLE, ROWS):
                gone.append(f"{lost:,} rows of {copy.full_name}")
            elif lost:
                gone.append(f"{copy.full_name}: {lost:,} values of {listed(copy.columns)}")
    return gone


def _no_longer_there(connection: "psycopg.Connection[Any]", schema: str, copy: Copy, table: Relation) -> int:
    """How many of the kept rows are not in the table as they were. Rows that are new there do not matter."""
    query = sql.SQL(
        "SELECT count(*) FROM (SELECT hashtextextended(ROW(k.*)::text, 0) FROM {} k"
        " EXCEPT ALL SELECT hashtextextended(ROW(t.*)::text, 0) FROM ({}) t) lost"
    ).format(sql.Identifier(schema, copy.name), _source(table, copy.kind, copy.columns, copy.key))
    (lost,) = connection.execute(query).fetchone() or (0,)
    return int(lost)


def begin_again(connection: "psycopg.Connection[Any]", schema: str) -> None:
    """Forget what came back on an earlier way up that led down again; the next one does it the other way."""
    contents = sql.Identifier(schema, "contents")
    with connection.transaction():
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(schema, "finished")))
        # What an older version of this tool has kept has no such columns.
        connection.execute(
            sql.SQL(
                "ALTER TABLE {} ADD COLUMN IF NOT EXISTS back text[] NOT NULL DEFAULT '{{}}',"
                " ADD COLUMN IF NOT EXISTS early boolean NOT NULL DEFAULT true"
            ).format(contents)
        )
        connection.execute(
            sql.SQL(
                "UPDATE {0} SET early = early <> EXISTS (SELECT FROM {0} WHERE back <> '{{}}'), back = '{{}}'"
            ).format(contents)
        )


def drop(connection: "psycopg.Connection[Any]", schema: str) -> bool:
    """Remove the schema with all it keeps; False where there is none. Raises RollbackError where it is not one of ours."""
    if not _exists(connection, schema):
        return False
    ours = connection.execute("SELECT to_regclass(%s)", [sql.Identifier(schema, "contents").as_string(connection)])
    if not schema.startswith("rollback_salvage_") or ours.fetchone() == (None,):
        raise RollbackError(f"Schema {schema} was not made by a rollback, so it is not dropped.", "Rename it.")
    connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema)))
    return True


@contextmanager
def _transaction(connection: "psycopg.Connection[Any]") -> Iterator[None]:
    """One transaction with one view of the data; a lock that is not to be had is told with who has it."""
    try:
        with connection.transaction():
            connection.execute(
                f"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"
            )
            yield
    except pg_errors.LockNotAvailable as error:
        who = "; ".join(map(str, at_work.sessions(connection)[:3])) or "whoever had it is gone"
        raise RollbackError(
            f"A lock was not to be had within {LOCK_TIMEOUT}: {who}.",
            "End that session, then run the same command again.",
        ) from error
    except (pg_errors.InsufficientPrivilege, pg_errors.IntegrityError) as error:
        raise RollbackError(f"PostgreSQL refused: {str(error).strip()}.") from error


@dataclass(frozen=True)
class _Wanted:
    """What to copy of one table: all of it, or `columns`; `revision` is the one that takes it away."""

    kind: str
    table: Relation
    columns: Tuple[str, ...]
    revision: str


def _wanted(connection: "psycopg.Connection[Any]", losses: Sequence[Loss]) -> List[_Wanted]:
    """What to copy, once per table: a whole table covers its columns, and columns of one table that go with one revision go together."""
    whole: Dict[int, Tuple[str, str]] = {}
    columns: Dict[Tuple[int, str], Dict[str, str]] = {}
    tables: Dict[int, Relation] = {}
    for loss in losses:
        table = relation.find(connection, loss.schema, loss.table)
        if table is None or why_not_savable(loss.kind, table, loss.columns):
            continue
        tables[table.oid] = table
        if loss.kind in (TABLE, ROWS):
            if loss.kind == TABLE or table.oid not in whole:
                whole[table.oid] = (loss.kind, loss.revision)
        else:
            kinds = columns.setdefault((table.oid, loss.revision), {})
            for name in loss.columns:
                if name in table.columns and not table.columns[name].generated:
                    kinds[name] = loss.kind
    found = [_Wanted(kind, tables[oid], (), revision) for oid, (kind, revision) in whole.items()]
    for (oid, revision), kinds in columns.items():
        if whole.get(oid, ("",))[0] != TABLE and kinds and tables[oid].key(list(kinds)):
            kind = COLUMN if COLUMN in kinds.values() else VALUES
            found.append(_Wanted(kind, tables[oid], tuple(kinds), revision))
    return found


def _dated(wanted: Sequence[_Wanted], late: Mapping[str, str]) -> List[Tuple[str, Relation, Tuple[str, ...], str]]:
    return [
        (
            one.kind,
            one.table,
            one.columns,
            late.get(one.table.full_name, one.revision) if one.kind == TABLE else one.revision,
        )
        for one in wanted
    ]


def _copy(
    connection: "psycopg.Connection[Any]",
    schema: str,
    name: str,
    kind: str,
    table: Relation,
    columns: Tuple[str, ...],
    due: str,
) -> Copy:
    key = table.key(columns)
    kept = tuple(column.name for column in table.stored) if kind in (TABLE, ROWS) else columns
    source = _source(table, kind, kept, key)
    copied = sql.Identifier(schema, name)
    connection.execute(sql.SQL("CREATE TABLE {} AS {}").format(copied, source))
    rows, content = hashed(connection, source)
    if hashed(connection, sql.SQL("SELECT * FROM {}").format(copied)) != (rows, content):
        raise RollbackError(f"The copy of {table.full_name} is not the same as the table.", "Nothing was changed.")
    sequences = {}
    for sequence, column in connection.execute(_SEQUENCES, [table.oid]).fetchall():
        if kind == TABLE or column in columns:
            last = connection.execute(f"SELECT last_value, is_called FROM {sequence}").fetchone()  # noqa: S608 - quoted by regclass
            assert last is not None  # noqa: S101 - a sequence has one row
            sequences[column] = (sequence, last[0], last[1])
    grants = connection.execute(writing_back.GRANTS, [table.oid]).fetchall() if kind == TABLE else []
    others = connection.execute(_OTHER_GRANTS, {"table": table.oid}).fetchall()
    others = [entry for entry in others if kind == TABLE or (kind == COLUMN and entry[1] in columns)]
    return Copy(
        kind, table.schema, table.name, kept, key, name, rows, content, sequences, grants, due, table.oid, others
    )


def _source(table: Relation, kind: str, kept: Sequence[str], key: Sequence[str]) -> "sql.Composable":
    """The query for what is kept of a table: `kept` columns, and the key to find their rows again by."""
    taken = [table.columns[column] for column in dict.fromkeys([*(key if kind not in (TABLE, ROWS) else ()), *kept])]
    values = sql.SQL(", ").join(
        sql.SQL("{name}::{type} AS {name}").format(
            name=sql.Identifier(column.name), type=sql.SQL(column.type if column.plain else "text")
        )
        for column in taken
    )
    return sql.SQL("SELECT {} FROM {}").format(values, table.identifier)


def _back_already(connection: "psycopg.Connection[Any]", schema: str) -> Dict[str, List[str]]:
    """The columns of each copy that have come back on the way up, by its name."""
    query = sql.SQL("SELECT name, back FROM {}").format(sql.Identifier(schema, "contents"))
    return {str(name): list(back) for name, back in connection.execute(query).fetchall()}


def _is_early(connection: "psycopg.Connection[Any]", schema: str) -> bool:
    query = sql.SQL("SELECT bool_and(early) FROM {}").format(sql.Identifier(schema, "contents"))
    return connection.execute(query).fetchone() != (False,)


def _target(connection: "psycopg.Connection[Any]", copy: Copy, notes: Sequence[str]) -> Relation:
    table = relation.find(connection, copy.schema, copy.table)
    missing = [name for name in copy.columns if table is not None and name not in table.columns]
    if table is None or missing:
        what = f"{copy.full_name}: {listed(missing)}" if missing else f"Table {copy.full_name}"
        raise RollbackError(
            f"{what} has not come back with the upgrade, so what was kept of it has no place.",
            " ".join([*notes, "It is still in its schema."]),
        )
    return table


def _in_order(
    connection: "psycopg.Connection[Any]", copies: Sequence[Copy], targets: Mapping[str, Relation]
) -> Tuple[List[Copy], Dict[int, Copy]]:
    """Rows that others refer to come before those; then columns. Besides, by OID, the tables that refer to each other in a circle."""
    whole = {targets[copy.name].oid: copy for copy in copies if copy.kind in (TABLE, ROWS)}
    parents = {oid: {row[0] for row in connection.execute(_PARENTS, [oid]).fetchall()} & set(whole) for oid in whole}
    ordered: List[Copy] = []
    circle: Dict[int, Copy] = {}
    while whole:
        free = [oid for oid in whole if not parents[oid] & (whole.keys() - circle.keys())]
        if not free:
            circle.update(whole)  # and those that refer to it: one check at the end is as good for them
            continue
        ordered += [whole.pop(oid) for oid in free]
    return ordered + [copy for copy in copies if copy.kind not in (TABLE, ROWS)], circle
