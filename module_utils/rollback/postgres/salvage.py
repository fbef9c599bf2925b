"""A second home, in a schema of the same database, for what a downgrade takes away; and the way back from there.

Copies depend on nothing that the downgrade may drop: values of the database's own types are kept as text.
"""

from __future__ import annotations

import json
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Sequence, Tuple

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.migrations.operations import COLUMN, ROWS, TABLE, VALUES, Loss
from ansible.module_utils.rollback.postgres import at_work, relation
from ansible.module_utils.rollback.postgres.loss import why_not_savable
from ansible.module_utils.rollback.postgres.relation import Relation
from ansible.module_utils.rollback.words import listed

with suppress(ImportError):  # the module that uses this says so
    from psycopg import errors as pg_errors
    from psycopg import sql

if TYPE_CHECKING:
    import psycopg

LOCK_TIMEOUT = "5s"

# Values are hashed and kept as text: they must read the same whenever that is done, whatever is usual in this database.
_SETTINGS = """
SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0;
SET LOCAL search_path = pg_catalog; SET LOCAL DateStyle = ISO; SET LOCAL IntervalStyle = postgres; SET LOCAL TimeZone = 'UTC';
SET LOCAL extra_float_digits = 1; SET LOCAL bytea_output = hex; SET LOCAL row_security = off"""

_SEQUENCES = """
SELECT s.oid::regclass::text, a.attname FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = %s AND d.deptype IN ('a', 'i')
ORDER BY 1"""

_GRANTS = """
SELECT coalesce(pg_get_userbyid(nullif(g.grantee, 0)), ''), g.privilege_type, g.is_grantable
FROM pg_class c, aclexplode(c.relacl) g WHERE c.oid = %s ORDER BY 1, 2"""

_USER_TRIGGERS = "SELECT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = %s AND NOT tgisinternal AND tgenabled <> 'D')"

_PARENTS = "SELECT DISTINCT confrelid::bigint FROM pg_constraint WHERE contype = 'f' AND conrelid = %s AND confrelid <> conrelid"

_MATERIALIZED = """
SELECT DISTINCT c.oid::regclass::text FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid JOIN pg_class c ON c.oid = r.ev_class
WHERE d.classid = 'pg_rewrite'::regclass AND d.refobjid = ANY(%s::oid[]) AND c.relkind = 'm' AND c.relispopulated ORDER BY 1"""


@dataclass(frozen=True)
class Copy:
    """One table of the salvage schema: what it was taken from, and what a table has besides its rows."""

    kind: str
    schema: str
    table: str
    columns: Tuple[str, ...]
    key: Tuple[str, ...]
    name: str
    rows: int
    hash: str
    sequences: Dict[str, Tuple[str, int, bool]]
    grants: List[Tuple[str, str, bool]]

    @property
    def full_name(self) -> str:
        return f"{self.schema}.{self.table}"


def save(connection: "psycopg.Connection[Any]", schema: str, losses: Sequence[Loss]) -> List[Dict[str, Any]]:
    """Copy what `losses` name into the new `schema`, in one transaction, and compare each copy with its source.

    What is not there, or cannot be kept, is left out: the plan has told so, and somebody has accepted it. A schema of that
    name from an attempt that was cut off is replaced. Returns kind, schema, table, columns and rows of each copy.
    """
    with _transaction(connection):
        # Found while the search path is still the one that the application's names are meant in.
        wanted = _wanted(connection, losses)
        connection.execute(_SETTINGS)
        drop(connection, schema)
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
        connection.execute(
            sql.SQL("CREATE TABLE {} (name text PRIMARY KEY, content jsonb NOT NULL)").format(
                sql.Identifier(schema, "contents")
            )
        )
        copies = [
            _copy(connection, schema, f"{number:03d} {table.name}"[:60], kind, table, columns)
            for number, (kind, table, columns) in enumerate(wanted, start=1)
        ]
        for copy in copies:
            connection.execute(
                sql.SQL("INSERT INTO {} VALUES (%s, %s)").format(sql.Identifier(schema, "contents")),
                [copy.name, json.dumps(copy.__dict__)],
            )
    return [_told(copy) for copy in copies]


def bring_back(connection: "psycopg.Connection[Any]", schema: str) -> List[Dict[str, Any]]:
    """Bring back everything that `schema` keeps, in one transaction, and compare it with what was kept.

    Tables become what they were. Columns come back to the rows that are still there; rows that are new keep what the
    upgrade gave them. Deleted rows come back where their key is free. Returns for each copy `rows`, and `gone`: how many of
    them no longer exist. Raises RollbackError, with nothing changed, where something cannot be brought back.
    """
    with _transaction(connection):
        copies = _contents(connection, schema)
        connection.execute(_SETTINGS)
        targets = {copy.name: _target(connection, copy) for copy in copies}
        ordered = _in_order(connection, copies, targets)
        told = [_bring_back(connection, schema, copy, targets[copy.name]) for copy in ordered]
        for (view,) in connection.execute(_MATERIALIZED, [[table.oid for table in targets.values()]]).fetchall():
            connection.execute(f"REFRESH MATERIALIZED VIEW {view}")  # the name comes quoted from regclass
    return told


def drop(connection: "psycopg.Connection[Any]", schema: str) -> bool:
    """Remove the schema with all it keeps; False where there is none. Raises RollbackError where it is not one of ours."""
    found = connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [schema]).fetchone()
    if not found:
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


def _wanted(
    connection: "psycopg.Connection[Any]", losses: Sequence[Loss]
) -> List[Tuple[str, Relation, Tuple[str, ...]]]:
    """What to copy, once per table: a whole table covers its columns, and columns of one table go together."""
    whole: Dict[int, str] = {}
    columns: Dict[int, Dict[str, str]] = {}
    tables: Dict[int, Relation] = {}
    for loss in losses:
        table = relation.find(connection, loss.schema, loss.table)
        if table is None or why_not_savable(loss.kind, table, loss.columns):
            continue
        tables[table.oid] = table
        if loss.kind in (TABLE, ROWS):
            whole[table.oid] = TABLE if TABLE in (loss.kind, whole.get(table.oid)) else ROWS
        else:
            known = {name: loss.kind for name in loss.columns if name in table.columns}
            columns.setdefault(table.oid, {}).update(
                {name: kind for name, kind in known.items() if not table.columns[name].generated}
            )
    found: List[Tuple[str, Relation, Tuple[str, ...]]] = [(kind, tables[oid], ()) for oid, kind in whole.items()]
    for oid, kinds in columns.items():
        if whole.get(oid) != TABLE and kinds and tables[oid].key(list(kinds)):
            kind = COLUMN if COLUMN in kinds.values() else VALUES
            found.append((kind, tables[oid], tuple(kinds)))
    return found


def _copy(
    connection: "psycopg.Connection[Any]",
    schema: str,
    name: str,
    kind: str,
    table: Relation,
    columns: Tuple[str, ...],
) -> Copy:
    key = table.key(columns)
    kept = tuple(column.name for column in table.stored) if kind in (TABLE, ROWS) else columns
    taken = [table.columns[column] for column in dict.fromkeys([*(key if kind not in (TABLE, ROWS) else ()), *kept])]
    values = sql.SQL(", ").join(
        sql.SQL("{name}::{type} AS {name}").format(
            name=sql.Identifier(column.name), type=sql.SQL(column.type if column.plain else "text")
        )
        for column in taken
    )
    source = sql.SQL("SELECT {} FROM {}").format(values, table.identifier)
    copied = sql.Identifier(schema, name)
    connection.execute(sql.SQL("CREATE TABLE {} AS {}").format(copied, source))
    rows, content = _hashed(connection, source)
    if _hashed(connection, sql.SQL("SELECT * FROM {}").format(copied)) != (rows, content):
        raise RollbackError(f"The copy of {table.full_name} is not the same as the table.", "Nothing was changed.")
    sequences = {}
    for sequence, column in connection.execute(_SEQUENCES, [table.oid]).fetchall():
        if kind == TABLE or column in columns:
            last = connection.execute(f"SELECT last_value, is_called FROM {sequence}").fetchone()  # noqa: S608 - quoted by regclass
            assert last is not None  # noqa: S101 - a sequence has one row
            sequences[column] = (sequence, last[0], last[1])
    grants = connection.execute(_GRANTS, [table.oid]).fetchall() if kind == TABLE else []
    return Copy(kind, table.schema, table.name, kept, key, name, rows, content, sequences, grants)


def _hashed(connection: "psycopg.Connection[Any]", query: "sql.Composable") -> Tuple[int, str]:
    """Rows, and a hash over all of them that does not care about their order."""
    hashed = sql.SQL(
        "SELECT count(*), sum(hashtextextended(t::text, 0)::numeric)::text || ':' || sum(hashtextextended(t::text, 1)::numeric)::text FROM ({}) t"
    ).format(query)
    row = connection.execute(hashed).fetchone()
    assert row is not None  # noqa: S101 - an aggregate has one row
    return row[0], row[1] or "empty"


def _contents(connection: "psycopg.Connection[Any]", schema: str) -> List[Copy]:
    contents = sql.Identifier(schema, "contents")
    if connection.execute("SELECT to_regclass(%s)", [contents.as_string(connection)]).fetchone() == (None,):
        raise RollbackError(f"There is no schema {schema} with what was kept aside.", "Was it dropped?")
    found = connection.execute(sql.SQL("SELECT content FROM {} ORDER BY name").format(contents)).fetchall()
    return [
        Copy(
            **{
                **content,
                "columns": tuple(content["columns"]),
                "key": tuple(content["key"]),
                "sequences": {column: tuple(values) for column, values in content["sequences"].items()},
            }
        )
        for (content,) in found
    ]


def _target(connection: "psycopg.Connection[Any]", copy: Copy) -> Relation:
    table = relation.find(connection, copy.schema, copy.table)
    missing = [name for name in copy.columns if table is not None and name not in table.columns]
    if table is None or missing:
        what = f"{copy.full_name}: {listed(missing)}" if missing else f"Table {copy.full_name}"
        raise RollbackError(
            f"{what} has not come back with the upgrade, so what was kept of it has no place.",
            "It is still in its schema.",
        )
    return table


def _in_order(
    connection: "psycopg.Connection[Any]", copies: Sequence[Copy], targets: Dict[str, Relation]
) -> List[Copy]:
    """Rows that others refer to come before those; then columns."""
    whole = {targets[copy.name].oid: copy for copy in copies if copy.kind in (TABLE, ROWS)}
    parents = {oid: {row[0] for row in connection.execute(_PARENTS, [oid]).fetchall()} & set(whole) for oid in whole}
    ordered: List[Copy] = []
    while whole:
        free = [oid for oid in whole if not parents[oid] & set(whole)]
        if not free:
            raise RollbackError(
                f"Tables {listed(copy.full_name for copy in whole.values())} refer to each other in a circle, so their rows cannot be brought back one by one.",
                "They are still in their schema; bring them back by hand.",
            )
        ordered += [whole.pop(oid) for oid in free]
    return ordered + [copy for copy in copies if copy.kind not in (TABLE, ROWS)]


def _bring_back(connection: "psycopg.Connection[Any]", schema: str, copy: Copy, table: Relation) -> Dict[str, Any]:
    target = sql.Identifier(table.schema, table.name)
    (triggers,) = connection.execute(_USER_TRIGGERS, [table.oid]).fetchone() or (False,)
    # What they would do was done when the rows were first written.
    if triggers:
        connection.execute(sql.SQL("ALTER TABLE {} DISABLE TRIGGER USER").format(target))
    gone = (_rows_back if copy.kind in (TABLE, ROWS) else _columns_back)(connection, schema, copy, table)
    if triggers:
        connection.execute(sql.SQL("ALTER TABLE {} ENABLE TRIGGER USER").format(target))
    for column, (_, last, called) in copy.sequences.items():
        connection.execute(
            "SELECT setval(pg_get_serial_sequence(%s, %s), %s, %s)",
            [target.as_string(connection), column, last, called],
        )
    for grantee, privilege, grantable in copy.grants:
        connection.execute(
            sql.SQL("GRANT {} ON {} TO {}{}").format(
                sql.SQL(privilege),
                target,
                sql.Identifier(grantee) if grantee else sql.SQL("PUBLIC"),
                sql.SQL(" WITH GRANT OPTION" if grantable else ""),
            )
        )
    return {**_told(copy), "gone": gone}


def _rows_back(connection: "psycopg.Connection[Any]", schema: str, copy: Copy, table: Relation) -> int:
    target = sql.Identifier(table.schema, table.name)
    names = sql.SQL(", ").join(map(sql.Identifier, copy.columns))
    values = sql.SQL(", ").join(_back(table, name) for name in copy.columns)
    source = sql.SQL("SELECT {} FROM {} kept").format(values, sql.Identifier(schema, copy.name))
    key = table.key()
    insert = sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE {}").format(target, names, source)
    if copy.kind == ROWS:
        if not key:
            raise RollbackError(
                f"{table.full_name} has no key, so it cannot be told which of its rows are missing.",
                f'They are in schema {schema}, table "{copy.name}".',
            )
        connection.execute(insert + sql.SQL(" ON CONFLICT DO NOTHING"))
        return 0
    if key and set(key) <= set(copy.columns):
        # What the upgrade itself has put there may be referred to already: it is made the same instead of replaced.
        same = sql.SQL(" AND ").join(
            sql.SQL("{} = kept.{}").format(_as_kept(table, name, "now"), sql.Identifier(name)) for name in key
        )
        connection.execute(
            sql.SQL("DELETE FROM {} now WHERE NOT EXISTS (SELECT FROM {} kept WHERE {})").format(
                target, sql.Identifier(schema, copy.name), same
            )
        )
        rest = [name for name in copy.columns if name not in key]
        sets = sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in rest)
        conflict = sql.SQL(" ON CONFLICT ({}) DO ").format(sql.SQL(", ").join(map(sql.Identifier, key)))
        connection.execute(insert + conflict + (sql.SQL("UPDATE SET {}").format(sets) if rest else sql.SQL("NOTHING")))
    else:
        connection.execute(sql.SQL("DELETE FROM {}").format(target))
        connection.execute(insert)
    kept = sql.SQL(", ").join(
        sql.SQL("{} AS {}").format(_as_kept(table, name, "now"), sql.Identifier(name)) for name in copy.columns
    )
    found = _hashed(connection, sql.SQL("SELECT {} FROM {} now").format(kept, table.identifier))
    if found != (copy.rows, copy.hash):
        raise RollbackError(
            f"{copy.full_name} came back with {found[0]:,} rows that are not the {copy.rows:,} that were kept.",
            f'They are in schema {schema}, table "{copy.name}".',
        )
    return 0


def _columns_back(connection: "psycopg.Connection[Any]", schema: str, copy: Copy, table: Relation) -> int:
    target, kept = sql.Identifier(table.schema, table.name), sql.Identifier(schema, copy.name)
    same = sql.SQL(" AND ").join(
        sql.SQL("{} = kept.{}").format(_as_kept(table, name, "now"), sql.Identifier(name)) for name in copy.key
    )
    sets = sql.SQL(", ").join(
        sql.SQL("{} = {}").format(sql.Identifier(name), _back(table, name)) for name in copy.columns
    )
    differs = sql.SQL(" OR ").join(
        sql.SQL("{}::text IS DISTINCT FROM kept.{}::text").format(_as_kept(table, name, "now"), sql.Identifier(name))
        for name in copy.columns
    )
    # Only what differs, so that nothing is rewritten that is well already.
    connection.execute(
        sql.SQL("UPDATE {} now SET {} FROM {} kept WHERE {} AND ({})").format(target, sets, kept, same, differs)
    )
    matched = sql.SQL("SELECT count(*) FROM {} now JOIN {} kept ON {}").format(table.identifier, kept, same)
    (found,) = connection.execute(matched).fetchone() or (0,)
    (other,) = connection.execute(matched + sql.SQL(" WHERE {}").format(differs)).fetchone() or (0,)
    if other:
        raise RollbackError(
            f"{other:,} rows of {copy.full_name} did not get back what was kept of {listed(copy.columns)}.",
            f'It is in schema {schema}, table "{copy.name}".',
        )
    return copy.rows - int(found)


def _back(table: Relation, name: str) -> "sql.Composable":
    """A kept value as the column takes it."""
    return sql.SQL("kept.{}::{}").format(sql.Identifier(name), sql.SQL(table.columns[name].type))


def _as_kept(table: Relation, name: str, of: str) -> "sql.Composable":
    """A column's value as it was kept: text where its type is the database's own."""
    column = table.columns[name]
    return sql.SQL("{}.{}::{}").format(
        sql.Identifier(of), sql.Identifier(name), sql.SQL(column.type if column.plain else "text")
    )


def _told(copy: Copy) -> Dict[str, Any]:
    return {
        "kind": copy.kind,
        "schema": copy.schema,
        "table": copy.table,
        "columns": list(copy.columns) if copy.kind in (COLUMN, VALUES) else [],
        "rows": copy.rows,
    }
