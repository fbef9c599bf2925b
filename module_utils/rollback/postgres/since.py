"""What users wrote between a downgrade and its undo, so that bringing back what was saved overwrites none of it.

Three moments are compared. `note_before` records which tables and columns exist before the downgrade, `note_left` what the
downgrade leaves behind in the affected rows, `note_now` what they hold when the undo begins and nothing has gone up yet. Where
the last two differ, somebody wrote meanwhile: that is kept, as the upgrade translates it, and listed with both sides.

All of it lives in the salvage schema. Keys and rows are arrays of text, written under SETTINGS, so that they compare equal
whatever types the migrations drop and make again.
"""

from __future__ import annotations

import json
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.migrations.operations import COLUMN, ROWS, TABLE
from ansible.module_utils.rollback.postgres import constraints, relation, sequences
from ansible.module_utils.rollback.postgres.relation import Column, Relation

with suppress(ImportError):  # the module that uses this reports it
    from psycopg import sql

if TYPE_CHECKING:
    import psycopg

# Values are hashed, compared and kept as text, which must be the same whatever is usual in this database.
SETTINGS = """
SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0;
SET LOCAL search_path = pg_catalog; SET LOCAL DateStyle = ISO; SET LOCAL IntervalStyle = postgres; SET LOCAL TimeZone = 'UTC';
SET LOCAL extra_float_digits = 1; SET LOCAL bytea_output = hex; SET LOCAL row_security = off"""

# Lines of the conflict file; the salvage schema has all of them.
LISTED = 10_000

_CATALOGUE = """
SELECT c.oid::bigint AS oid, n.nspname::text AS schema, c.relname::text AS name,
       ARRAY(SELECT attnum::int FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped) AS columns
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_temp%'
  AND n.nspname NOT LIKE 'rollback\\_salvage\\_%'"""

# Columns of a table by number, which renaming does not change.
_NUMBERS = "SELECT attname::text, attnum::int FROM pg_attribute WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped"

# What a column that was added with a constant default holds in the rows that were there.
_GIVEN = (
    "SELECT (attmissingval::text::text[])[1] FROM pg_attribute WHERE attrelid = %s AND attname = %s AND atthasmissing"
)

# Foreign keys of plain values that are enforced: columns, the table that they refer to, its columns, and whether that is the table itself.
_REFERENCES = """
SELECT ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u (n, i)
             JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.n ORDER BY i),
       p.nspname, r.relname,
       ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY u (n, i)
             JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.n ORDER BY i),
       k.confrelid = k.conrelid
FROM pg_constraint k JOIN pg_class r ON r.oid = k.confrelid JOIN pg_namespace p ON p.oid = r.relnamespace
WHERE k.contype = 'f' AND k.conrelid = %s
  AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.oid = k.conparentid AND c.conrelid = k.conrelid)  -- one per partition over there
  AND coalesce(to_jsonb(k) ->> 'conenforced', 'true') = 'true'
  AND coalesce(to_jsonb(k) ->> 'conperiod', 'false') = 'false' ORDER BY k.confrelid = k.conrelid, k.conname"""

# Unique indexes on plain columns of all rows.
_UNIQUE = """
SELECT ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey[:i.indnkeyatts - 1]))
FROM pg_index i WHERE i.indrelid = %s AND i.indisunique AND i.indexprs IS NULL AND i.indpred IS NULL"""


@dataclass(frozen=True)
class Watched:
    """A table whose rows are compared: `columns` of it, by `key`, or by the whole row where `key` is empty.

    `copy` names the copy in the salvage schema that is brought back into it, empty where there is none. `made` are those columns
    that the downgrade itself has made, which the upgrade is going to drop; `numbers` are theirs in the catalogue.
    """

    name: str
    copy: str
    kind: str
    oid: int
    schema: str
    table: str
    key: Tuple[str, ...]
    columns: Tuple[str, ...]
    made: Tuple[str, ...]
    numbers: Tuple[int, ...]

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> "Watched":
        plain: Dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in found.items()
        }
        return cls(**plain)


@dataclass(frozen=True)
class Spared:
    """Which rows and columns of a copy must not be written when it is brought back; false where nothing is spared."""

    schema: str
    copy: str
    columns: Tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.columns)

    def free(self, key: Sequence["sql.Composable"], column: str = "") -> "sql.Composable":
        """Condition under which a row whose key has these expressions may be written; without `column`, the whole row."""
        if column not in self.columns:
            return sql.SQL("true")
        return sql.SQL("NOT EXISTS (SELECT FROM {} c WHERE c.copy = {} AND c.col = {} AND c.key = {})").format(
            sql.Identifier(self.schema, "conflicts"), sql.Literal(self.copy), sql.Literal(column), _texts(key)
        )


@contextmanager
def _transaction(connection: "psycopg.Connection[Any]") -> Iterator[None]:
    """One view of the data, in which every value reads the same."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SET LOCAL lock_timeout = '5s'")
        connection.execute(SETTINGS)
        yield


def note_before(connection: "psycopg.Connection[Any]", schema: str) -> None:
    """Record which tables and columns there are, inside the transaction that saves what a downgrade takes away."""
    connection.execute(sql.SQL("CREATE TABLE {} AS " + _CATALOGUE).format(sql.Identifier(schema, "before")))


def note_left(connection: "psycopg.Connection[Any]", schema: str) -> List[Dict[str, Any]]:
    """Record what the downgrade leaves behind, once it is done and before the application runs again.

    Returns for each table that is watched from now on its schema, table, columns and rows. What an earlier attempt of the run has
    recorded stays: since then users may have written.
    """
    with _transaction(connection):
        if _exists(connection, schema, "watched"):
            return []
        sequences.note(connection, schema, sequences.LEFT)
        left = sql.Identifier(schema, "watched")
        connection.execute(sql.SQL("CREATE TABLE {} (name text PRIMARY KEY, content jsonb NOT NULL)").format(left))
        noted = []
        for number, (watched, table) in enumerate(_to_watch(connection, schema), start=1):
            entry = Watched(**{**watched, "name": f"left {number:03d}"})
            rows = connection.execute(
                sql.SQL("CREATE TABLE {} AS {}").format(sql.Identifier(schema, entry.name), _rows(entry, table))
            ).rowcount
            if entry.key:  # by hash, since keys of any length are looked up
                connection.execute(
                    sql.SQL("CREATE INDEX ON {0} USING hash (k); ANALYZE {0}").format(
                        sql.Identifier(schema, entry.name)
                    )
                )
            connection.execute(
                sql.SQL("INSERT INTO {} VALUES (%s, %s)").format(left), [entry.name, json.dumps(asdict(entry))]
            )
            noted.append(
                {"schema": entry.schema, "table": entry.table, "columns": list(entry.columns), "rows": max(rows, 0)}
            )
    return noted


def compare(connection: "psycopg.Connection[Any]", schema: str) -> List[Dict[str, Any]]:
    """Count what users wrote since, for the plan of an undo; nothing is changed.

    Returns schema, table, `rows` that were inserted, changed or deleted, and `dropped`: whether that is in a table or column
    that only the older version has, so that going up drops it. What nobody wrote to is left out.
    """
    found: Dict[Tuple[str, str], Dict[str, Any]] = {}
    with _transaction(connection):
        for watched, table in _watched(connection, schema):
            query = sql.SQL("SELECT count(*) FROM ({}) w").format(_difference(schema, watched, table))
            (rows,) = connection.execute(query).fetchone() or (0,)
            if rows:
                known = found.get((table.schema, table.name), {"rows": 0, "dropped": False})
                found[(table.schema, table.name)] = {
                    "schema": table.schema,
                    "table": table.name,
                    "rows": max(rows, known["rows"]),
                    "dropped": bool(watched.made) or known["dropped"],
                }
    return list(found.values())


def note_now(connection: "psycopg.Connection[Any]", schema: str) -> int:
    """Record what users wrote since `note_left`, before anything goes up again; returns how many rows they wrote.

    Nothing is recorded where `note_left` never was: then nobody has used the older version.
    """
    with _transaction(connection):
        for name in ("written", "conflicts"):
            connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(schema, name)))
        if not _exists(connection, schema, "watched"):
            return 0
        written, conflicts = sql.Identifier(schema, "written"), sql.Identifier(schema, "conflicts")
        connection.execute(
            sql.SQL('CREATE TABLE {} (watched text, key text[] COLLATE "C", "left" text[], now text[])').format(written)
        )
        # `soft` is decided when the copy is brought back: whether the upgrade made something of what was written.
        connection.execute(
            sql.SQL(
                'CREATE TABLE {} (copy text, col text, key text[] COLLATE "C", soft boolean, watched text, PRIMARY KEY (copy, col, key))'
            ).format(conflicts)
        )
        rows = 0
        watching = _watched(connection, schema)
        for watched, table in watching:
            query = sql.SQL("INSERT INTO {} SELECT {}, w.* FROM ({}) w").format(
                written, sql.Literal(watched.name), _difference(schema, watched, table)
            )
            rows += max(connection.execute(query).rowcount, 0)
        copies = _copies(connection, schema)
        for watched, _ in watching:
            if watched.copy:
                _conflicts_of(connection, schema, watched, copies[watched.copy])
        _conflicts_elsewhere(connection, schema, [watched for watched, _ in watching], list(copies.values()))
        # Whether a row may be written is asked for each; the planner has to know how few of them there are.
        connection.execute(sql.SQL("ANALYZE {}, {}").format(written, conflicts))
    return rows


def write_again(connection: "psycopg.Connection[Any]", schema: str) -> int:
    """Put what users wrote back, after an undo that failed has led down again; returns how many rows that were.

    On its way that undo may have dropped their tables and columns and made them anew, or rewritten their values.
    """
    rows = 0
    with _transaction(connection):
        if not _exists(connection, schema, "written"):
            return 0
        for watched in _all_watched(connection, schema):
            table = relation.find(connection, watched.schema, watched.table)
            if table is None or not {*watched.key, *watched.columns} <= set(table.columns):
                continue
            if not watched.key:
                rows += _write_rows_again(connection, schema, watched, table)
                continue
            stored = [name for name in watched.columns if not table.columns[name].generated]
            pieces = {
                "table": sql.Identifier(table.schema, table.name),
                "written": sql.Identifier(schema, "written"),
                "name": sql.Literal(watched.name),
                "key": _texts([sql.Identifier("t", name) for name in watched.key]),
            }
            whole = watched.kind in (TABLE, ROWS) and set(watched.key) <= set(stored)
            if whole:
                gone = "DELETE FROM {table} t USING {written} w WHERE w.watched = {name} AND {key} = w.key AND w.now IS NULL"
                rows += max(connection.execute(sql.SQL(gone).format(**pieces)).rowcount, 0)
            values = {
                name: sql.SQL("w.now[{}]::{}").format(
                    sql.Literal(watched.columns.index(name) + 1), sql.SQL(table.columns[name].type)
                )
                for name in stored
            }
            sets = sql.SQL(", ").join(sql.SQL("{} = {}").format(sql.Identifier(n), values[n]) for n in stored)
            update = sql.SQL(
                "UPDATE {table} t SET {sets} FROM {written} w WHERE w.watched = {name} AND {key} = w.key AND w.now IS NOT NULL"
            )
            if stored:
                rows += constraints.write(connection, update.format(sets=sets, **pieces), table, stored)
            if whole:
                insert = sql.SQL(
                    "INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE SELECT {values} FROM {written} w"
                    " WHERE w.watched = {name} AND w.now IS NOT NULL AND NOT EXISTS (SELECT FROM {table} t WHERE {key} = w.key)"
                )
                columns = sql.SQL(", ").join(map(sql.Identifier, stored))
                listed = sql.SQL(", ").join(values.values())
                rows += max(connection.execute(insert.format(columns=columns, values=listed, **pieces)).rowcount, 0)
    return rows


def _write_rows_again(connection: "psycopg.Connection[Any]", schema: str, watched: Watched, table: Relation) -> int:
    """The same for a table that is compared by whole rows."""
    stored = [name for name in watched.columns if not table.columns[name].generated]
    pieces = {
        "table": sql.Identifier(table.schema, table.name),
        "written": sql.Identifier(schema, "written"),
        "name": sql.Literal(watched.name),
        "row": _texts([sql.Identifier(name) for name in watched.columns]),
        "columns": sql.SQL(", ").join(map(sql.Identifier, stored)),
        "values": sql.SQL(", ").join(
            sql.SQL("w.now[{}]::{}").format(
                sql.Literal(watched.columns.index(name) + 1), sql.SQL(table.columns[name].type)
            )
            for name in stored
        ),
    }
    gone = sql.SQL(
        "DELETE FROM {table} WHERE ctid IN (SELECT n.ctid FROM (SELECT r.ctid, v || (row_number() OVER (PARTITION BY v))::text AS k"
        " FROM (SELECT ctid, {row} AS v FROM {table}) r) n JOIN {written} w ON w.watched = {name} AND w.key = n.k AND w.now IS NULL)"
    )
    insert = sql.SQL(
        "INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE SELECT {values} FROM {written} w"
        ' WHERE w.watched = {name} AND w."left" IS NULL'
    )
    return sum(max(connection.execute(query.format(**pieces)).rowcount, 0) for query in (gone, insert))


def spared(
    connection: "psycopg.Connection[Any]",
    schema: str,
    copy: str,
    table: Relation,
    beside: Optional[Mapping[Tuple[str, str], str]] = None,
) -> Spared:
    """What must not be written when `copy` is brought back into `table`, which the upgrade has made again.

    Decides what could not be decided before the upgrade. Call it inside the transaction that brings back. `beside` are the copies
    that may come back later in it, by schema and table.
    """
    if not _exists(connection, schema, "conflicts"):
        return Spared(schema, copy, ())
    kept = _copies(connection, schema)[copy]
    about = sql.SQL("SELECT DISTINCT col, soft FROM {} WHERE copy = %s").format(sql.Identifier(schema, "conflicts"))
    for column, soft in connection.execute(about, [copy]).fetchall():
        if soft and (not column or column in table.columns):
            _decide(connection, schema, copy, column, kept["key"], table)
    if kept["key"]:
        _note_alike(connection, schema, kept, table)
        _note_taken(connection, schema, kept, table)
        _note_orphans(connection, schema, kept, table, beside or {})
    found = {column for column, _ in connection.execute(about, [copy]).fetchall()}
    return Spared(schema, copy, tuple(sorted(found)))


def spared_so_far(connection: "psycopg.Connection[Any]", schema: str, copy: str) -> Spared:
    """Which whole rows of `copy` must not be written, as far as that is known before others have come back."""
    return Spared(schema, copy, ("",) if _exists(connection, schema, "conflicts") else ())


def settle(
    connection: "psycopg.Connection[Any]",
    schema: str,
    copies: Sequence[Tuple[str, Relation]],
    beside: Mapping[Tuple[str, str], str],
) -> None:
    """Decide what of tables that refer to each other must not be written, before any of them has rows: one may leave another without its parent."""
    if not _exists(connection, schema, "conflicts"):
        return
    count = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(schema, "conflicts"))
    before, now = None, connection.execute(count).fetchone()
    while before != now:
        for copy, table in copies:
            spared(connection, schema, copy, table, {of: name for of, name in beside.items() if name != copy})
        before, now = now, connection.execute(count).fetchone()


def tables_before(connection: "psycopg.Connection[Any]", schema: str) -> List[int]:
    """The OIDs of the tables that there were before the downgrade."""
    if not _exists(connection, schema, "before"):
        return []
    return [
        oid for (oid,) in connection.execute(sql.SQL("SELECT oid FROM {}").format(sql.Identifier(schema, "before")))
    ]


def survived(
    connection: "psycopg.Connection[Any]", schema: str, copy: str, key: Sequence["sql.Composable"]
) -> "sql.Composable":
    """Condition under which the row whose key has these expressions was left by the downgrade or written by users since.

    False where nothing was recorded.
    """
    for watched in _all_watched(connection, schema):
        if watched.copy == copy and watched.key:
            condition = sql.SQL("EXISTS (SELECT FROM {} l WHERE l.k = {})").format(
                sql.Identifier(schema, watched.name), _texts(key)
            )
            if _exists(connection, schema, "written"):
                condition = sql.SQL("({} OR EXISTS (SELECT FROM {} w WHERE w.watched = {} AND w.key = {}))").format(
                    condition, sql.Identifier(schema, "written"), sql.Literal(watched.name), _texts(key)
                )
            return condition
    return sql.SQL("false")


@contextmanager
def only_decided(connection: "psycopg.Connection[Any]", schema: str) -> Iterator[None]:
    """Forget conflicts that were found within: in the middle of the way up, what a row refers to may not be there yet."""
    if not _exists(connection, schema, "conflicts"):
        yield
        return
    known = sql.SQL("CREATE TEMP TABLE known_conflicts ON COMMIT DROP AS SELECT copy, col, key FROM {}")
    connection.execute(known.format(sql.Identifier(schema, "conflicts")))
    yield
    found = sql.SQL(
        "DELETE FROM {} c WHERE NOT EXISTS (SELECT FROM pg_temp.known_conflicts k WHERE (k.copy, k.col, k.key) = (c.copy, c.col, c.key))"
    )
    connection.execute(found.format(sql.Identifier(schema, "conflicts")))
    connection.execute("DROP TABLE pg_temp.known_conflicts")


def refused(
    connection: "psycopg.Connection[Any]", schema: str, copy: str, columns: Sequence[str], key: Sequence[Optional[str]]
) -> None:
    """Record that the saved values of this row cannot be written, since a constraint refuses them."""
    query = sql.SQL(
        "INSERT INTO {} SELECT %s, col, %s::text[], false, '' FROM unnest(%s::text[]) col ON CONFLICT DO NOTHING"
    )
    connection.execute(query.format(sql.Identifier(schema, "conflicts")), [copy, list(key), list(columns)])


def noted(connection: "psycopg.Connection[Any]", schema: str) -> bool:
    """Return whether users may have written since, so that what was saved may not fit any more."""
    return _exists(connection, schema, "conflicts")


def note_missing(
    connection: "psycopg.Connection[Any]", schema: str, copy: str, key: Sequence[str], table: Relation
) -> int:
    """Record which deleted rows could not come back because other rows have their unique values; returns how many."""
    if not _exists(connection, schema, "conflicts"):
        return 0
    query = sql.SQL(
        "INSERT INTO {conflicts} SELECT {copy}, '', {kept_key}, false, '' FROM {kept} kept"
        " WHERE NOT EXISTS (SELECT FROM {table} now WHERE {now_key} = {kept_key}) ON CONFLICT DO NOTHING"
    ).format(
        conflicts=sql.Identifier(schema, "conflicts"),
        copy=sql.Literal(copy),
        kept=sql.Identifier(schema, copy),
        kept_key=_texts([sql.Identifier("kept", name) for name in key]),
        table=table.identifier,
        now_key=_texts([sql.Identifier("now", name) for name in key]),
    )
    return max(connection.execute(query).rowcount, 0)


def conflicts(connection: "psycopg.Connection[Any]", schema: str, limit: int = LISTED) -> List[Dict[str, Any]]:
    """List what users wrote and was kept instead of what was saved, with all sides, after the undo has brought back the rest.

    Each has `table`, `key`, `column` (empty for a whole row), what was `saved` before the downgrade, what the downgrade had
    `left`, `written` by users since (null where they deleted it), and `live`: whether that is in the database, or only here
    because the upgrade has dropped its place.
    """
    if not _exists(connection, schema, "conflicts"):
        return []
    found: List[Dict[str, Any]] = []
    with _transaction(connection):
        copies = _copies(connection, schema)
        watching = {watched.name: watched for watched in _all_watched(connection, schema)}
        for copy in copies.values():
            found += _listed(connection, schema, copy, watching, limit - len(found))
        for watched in watching.values():
            found += _dropped(connection, schema, watched, limit - len(found))
    return found


def count(connection: "psycopg.Connection[Any]", schema: str) -> Tuple[int, int]:
    """Return how many of them are live and how many are only in the salvage schema, however many `conflicts` lists."""
    if not _exists(connection, schema, "conflicts"):
        return 0, 0
    with _transaction(connection):
        query = sql.SQL("SELECT count(*) FROM {} WHERE NOT soft").format(sql.Identifier(schema, "conflicts"))
        (live,) = connection.execute(query).fetchone() or (0,)
        dropped = 0
        for watched in _all_watched(connection, schema):
            lost = _lost(connection, watched)
            query = sql.SQL("SELECT count(*) FROM {}").format(_written_there(schema, watched, lost))
            dropped += (connection.execute(query).fetchone() or (0,))[0] if lost else 0
    return live, dropped


# What is watched ---------------------------------------------------------------------------------------------------------------


def _to_watch(connection: "psycopg.Connection[Any]", schema: str) -> List[Tuple[Dict[str, Any], Relation]]:
    """Tables into which copies are brought back, and tables and columns that the downgrade made."""
    before: Dict[int, List[int]] = {}
    if _exists(connection, schema, "before"):
        query = sql.SQL("SELECT oid, columns FROM {}").format(sql.Identifier(schema, "before"))
        before = dict(connection.execute(query).fetchall())
    made: Dict[int, Tuple[str, str, List[int]]] = {}
    if before:
        for oid, of_schema, name, numbers in connection.execute(_CATALOGUE).fetchall():
            new = [number for number in numbers if number not in before.get(oid, [])]
            if new or oid not in before:
                made[oid] = (of_schema, name, new)
    found = []
    seen = set()
    for copy in _copies(connection, schema).values():
        table = relation.find(connection, copy["schema"], copy["table"])
        if table is None or not table.readable or table.row_security:
            continue
        new = made.get(table.oid, ("", "", []))[2]
        entry = _watch(connection, table, new, copy)
        if entry:
            found.append((entry, table))
            seen.add((table.oid, copy["kind"] in (TABLE, ROWS)))
    for oid, (of_schema, name, new) in made.items():
        whole = oid not in before
        if (oid, whole) in seen or (oid, True) in seen:
            continue
        table = relation.find(connection, of_schema, name)
        if table is not None and table.readable and not table.row_security:
            entry = _watch(connection, table, new, None)
            if entry:
                found.append((entry, table))
    return found


def _watch(
    connection: "psycopg.Connection[Any]", table: Relation, new: Sequence[int], copy: Optional[Mapping[str, Any]]
) -> Optional[Dict[str, Any]]:
    """What to compare of one table, or None where none of it can be told apart."""
    numbers = dict(connection.execute(_NUMBERS, [table.oid]).fetchall())
    stored = [column.name for column in table.stored]
    made = [name for name in stored if numbers[name] in new]
    if copy is None:
        columns = made
        key = table.key() if len(made) == len(stored) else table.key(made)
    elif copy["kind"] in (TABLE, ROWS):
        columns, key = stored, tuple(copy["key"])
    else:
        columns = [name for name in stored if name in copy["columns"] or name in made]
        key = tuple(copy["key"])
    unique = {frozenset(known) for known in table.keys}
    if key and frozenset(key) not in unique:
        if copy is not None and copy["kind"] not in (TABLE, ROWS):
            return None
        key = ()
    if not columns:
        return None
    return {
        "copy": copy["name"] if copy else "",
        "kind": copy["kind"] if copy else (TABLE if len(made) == len(stored) else COLUMN),
        "oid": table.oid,
        "schema": table.schema,
        "table": table.name,
        "key": key,
        "columns": tuple(columns),
        "made": tuple(made),
        "numbers": tuple(numbers[name] for name in made),
    }


def _all_watched(connection: "psycopg.Connection[Any]", schema: str) -> List[Watched]:
    if not _exists(connection, schema, "watched"):
        return []
    query = sql.SQL("SELECT content FROM {} ORDER BY name").format(sql.Identifier(schema, "watched"))
    return [Watched.from_dict(content) for (content,) in connection.execute(query).fetchall()]


def _watched(connection: "psycopg.Connection[Any]", schema: str) -> List[Tuple[Watched, Relation]]:
    """What is watched and still has its place. A table is followed through a renaming."""
    found = []
    for watched in _all_watched(connection, schema):
        name = connection.execute(
            "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = %s",
            [watched.oid],
        ).fetchone()
        table = relation.find(connection, *name) if name else None
        if table and table.row_security:
            raise RollbackError(
                f"What users wrote to {table.full_name} since the downgrade cannot be told: row-level security hides rows of"
                f" {table.full_name} from the operator's role.",
                "Give that role BYPASSRLS.",
            )
        if table and table.readable and {*watched.key, *watched.columns} <= set(table.columns):
            found.append((watched, table))
    return found


def _rows(watched: Watched, table: Relation) -> "sql.Composable":
    """Query for the key and the watched columns of each row, as k and v."""
    row = _texts([sql.Identifier(name) for name in watched.columns])
    if watched.key:
        key = _texts([sql.Identifier(name) for name in watched.key])
        return sql.SQL("SELECT {} AS k, {} AS v FROM {}").format(key, row, table.identifier)
    # Rows that are all the same are told apart by counting them.
    return sql.SQL(
        "SELECT v || (row_number() OVER (PARTITION BY v))::text AS k, v FROM (SELECT {} AS v FROM {}) r"
    ).format(row, table.identifier)


def _difference(schema: str, watched: Watched, table: Relation) -> "sql.Composable":
    """Query for the rows that differ from what the downgrade left: key, left and now, null where there is no such row."""
    return sql.SQL(
        'SELECT coalesce(l.k, n.k) AS k, l.v AS "left", n.v AS now FROM {} l FULL JOIN ({}) n ON l.k = n.k'
        " WHERE l.v IS DISTINCT FROM n.v"
    ).format(sql.Identifier(schema, watched.name), _rows(watched, table))


# What conflicts ----------------------------------------------------------------------------------------------------------------


def _conflicts_of(
    connection: "psycopg.Connection[Any]", schema: str, watched: Watched, copy: Mapping[str, Any]
) -> None:
    """Conflicts between a copy and what was written into the table that it is brought back to."""
    kept_key = _texts([sql.Identifier("kept", name) for name in watched.key])
    pieces = {
        "conflicts": sql.Identifier(schema, "conflicts"),
        "written": sql.Identifier(schema, "written"),
        "kept": sql.Identifier(schema, watched.copy),
        "copy": sql.Literal(watched.copy),
        "name": sql.Literal(watched.name),
        "key": kept_key,
    }
    if not watched.key:
        return
    insert = "INSERT INTO {conflicts} SELECT {copy}, {column}, w.key, {soft}, {name} FROM {written} w"
    joined = " JOIN {kept} kept ON {key} = w.key WHERE w.watched = {name} AND "
    if watched.kind == TABLE:
        where = sql.SQL(insert + " WHERE w.watched = {name}")
        connection.execute(where.format(column=sql.Literal(""), soft=sql.Literal(False), **pieces))
    elif watched.kind == ROWS:
        # Rows that are there on both sides are not touched by bringing back.
        where = sql.SQL(insert + joined + '(w.now IS NULL OR w."left" IS NULL AND w.now IS DISTINCT FROM {row})')
        row = _texts([sql.Identifier("kept", name) for name in watched.columns if name in copy["columns"]])
        connection.execute(where.format(column=sql.Literal(""), soft=sql.Literal(False), row=row, **pieces))
    else:
        for position, name in enumerate(watched.columns, start=1):
            if name not in copy["columns"]:
                continue
            changed = sql.SQL(
                insert
                + joined
                + 'w.now IS NOT NULL AND (w."left" IS NULL OR w."left"[{at}] IS DISTINCT FROM w.now[{at}])'
                " AND w.now[{at}] IS DISTINCT FROM {saved}::text"
            )
            saved = sql.Identifier("kept", name)
            at = sql.Literal(position)
            column, soft = sql.Literal(name), sql.Literal(False)
            connection.execute(changed.format(column=column, soft=soft, at=at, saved=saved, **pieces))
        gone = [name for name in copy["columns"] if name not in watched.columns]
        at_made = [position for position, name in enumerate(watched.columns, start=1) if name in watched.made]
        for name in gone if at_made else []:
            differs = sql.SQL(" OR ").join(
                sql.SQL('w."left"[{at}] IS DISTINCT FROM w.now[{at}]').format(at=sql.Literal(position))
                for position in at_made
            )
            made = sql.SQL(insert + joined + "w.now IS NOT NULL AND ({differs})")
            connection.execute(made.format(column=sql.Literal(name), soft=sql.Literal(True), differs=differs, **pieces))


def _conflicts_elsewhere(
    connection: "psycopg.Connection[Any]",
    schema: str,
    watching: Sequence[Watched],
    copies: Sequence[Mapping[str, Any]],
) -> None:
    """Where users wrote into a table that only the older version has, the upgrade may move it into one that is brought back."""
    of_its_own = {watched.copy for watched in watching}
    tables = [watched for watched in watching if not watched.copy and watched.kind == TABLE and watched.key]
    for copy in copies:
        if copy["kind"] != TABLE or copy["name"] in of_its_own:
            continue
        for watched in tables:
            if len(watched.key) == len(copy["key"]):
                query = sql.SQL(
                    "INSERT INTO {} SELECT {}, '', w.key, true, {} FROM {} w WHERE w.watched = {} ON CONFLICT DO NOTHING"
                )
                connection.execute(
                    query.format(
                        sql.Identifier(schema, "conflicts"),
                        sql.Literal(copy["name"]),
                        sql.Literal(watched.name),
                        sql.Identifier(schema, "written"),
                        sql.Literal(watched.name),
                    )
                )


def _decide(
    connection: "psycopg.Connection[Any]",
    schema: str,
    copy: str,
    column: str,
    key: Sequence[str],
    table: Relation,
) -> None:
    """Keep those soft conflicts in which the upgrade made something of what users wrote; the saved side wins in the others."""
    pieces = {
        "conflicts": sql.Identifier(schema, "conflicts"),
        "written": sql.Identifier(schema, "written"),
        "table": table.identifier,
        "copy": sql.Literal(copy),
        "column": sql.Literal(column),
        "key": _texts([sql.Identifier("now", name) for name in key]),
    }
    soft = sql.SQL("c.copy = {copy} AND c.col = {column} AND c.soft").format(**pieces)
    if column:
        (given,) = connection.execute(_GIVEN, [table.oid, column]).fetchone() or (None,)
        lost = sql.SQL(
            "NOT EXISTS (SELECT FROM {table} now WHERE {key} = c.key AND {value} IS NOT NULL AND {value} IS DISTINCT FROM {given})"
        ).format(value=sql.SQL("{}::text").format(sql.Identifier("now", column)), given=sql.Literal(given), **pieces)
    else:
        lost = sql.SQL(
            "(NOT EXISTS (SELECT FROM {table}) OR NOT EXISTS (SELECT FROM {table} now WHERE {key} = c.key) AND EXISTS ("
            "SELECT FROM {written} w WHERE w.watched = c.watched AND w.key = c.key AND w.now IS NOT NULL))"
        ).format(**pieces)
    conflicts = pieces["conflicts"]
    connection.execute(sql.SQL("DELETE FROM {} c WHERE {} AND {}").format(conflicts, soft, lost))
    connection.execute(sql.SQL("UPDATE {} c SET soft = false WHERE {}").format(conflicts, soft))


def _note_taken(connection: "psycopg.Connection[Any]", schema: str, copy: Mapping[str, Any], table: Relation) -> None:
    """Kept rows and values that have to be unique, and that rows of users have by now."""
    whole = copy["kind"] == TABLE
    key = [sql.Identifier("kept", name) for name in copy["key"]]
    now_key = [sql.Identifier("now", name) for name in copy["key"]]
    users = sql.SQL("NOT EXISTS (SELECT FROM {} k WHERE {} = {})").format(
        sql.Identifier(schema, copy["name"]),
        _texts([sql.Identifier("k", name) for name in copy["key"]]),
        _texts(now_key),
    )
    if whole:
        users = sql.SQL("NOT {}").format(Spared(schema, copy["name"], ("",)).free(now_key))
    for (columns,) in connection.execute(_UNIQUE, [table.oid]).fetchall() if copy["kind"] != ROWS else []:
        if set(columns) == set(copy["key"]) or not set(columns) <= set(copy["columns"]):
            continue
        query = sql.SQL(
            "INSERT INTO {conflicts} SELECT {copy}, wanted.name, {key}, false, '' FROM {kept} kept JOIN {table} now ON {same}"
            " CROSS JOIN unnest({columns}::text[]) wanted (name) WHERE {key} <> {now_key} AND {users} ON CONFLICT DO NOTHING"
        ).format(
            conflicts=sql.Identifier(schema, "conflicts"),
            copy=sql.Literal(copy["name"]),
            kept=sql.Identifier(schema, copy["name"]),
            table=table.identifier,
            key=_texts(key),
            now_key=_texts(now_key),
            columns=sql.Literal([""] if whole else list(columns)),
            users=users,
            same=sql.SQL(" AND ").join(equal("now", name, "kept", name, table.columns[name]) for name in columns),
        )
        connection.execute(query)


def _note_orphans(
    connection: "psycopg.Connection[Any]",
    schema: str,
    copy: Mapping[str, Any],
    table: Relation,
    beside: Mapping[Tuple[str, str], str],
) -> None:
    """Rows and values that refer to what users have deleted; and so on, where they refer to each other."""
    whole = copy["kind"] in (TABLE, ROWS)
    key = [sql.Identifier("kept", name) for name in copy["key"]]
    more = True
    while more:
        more = False
        for columns, of_schema, of, others, itself in connection.execute(_REFERENCES, [table.oid]).fetchall():
            if not set(columns) <= set(copy["columns"]):
                continue
            parent = relation.find(connection, of_schema, of)
            if parent is None:
                continue
            pairs = [(name, other, parent.columns[other]) for name, other in zip(columns, others)]
            found: sql.Composable = sql.SQL("EXISTS (SELECT FROM {} p WHERE {})").format(
                sql.Identifier(of_schema, of),
                sql.SQL(" AND ").join(equal("p", other, "kept", name, column) for name, other, column in pairs),
            )
            if (of_schema, of) in beside:
                whole_of = _copies(connection, schema)[beside[of_schema, of]]
                found = sql.SQL("({} OR {})").format(found, _among(schema, whole_of, pairs))
            if itself and whole:
                among = _among(schema, copy, pairs)
                # What the upgrade has put there is replaced by what was saved, unless users wrote it.
                found = among if copy["kind"] == TABLE else sql.SQL("({} OR {})").format(among, found)
            query = sql.SQL(
                "INSERT INTO {conflicts} SELECT {copy}, wanted.name, {key}, false, '' FROM {kept} kept, unnest({columns}::text[]) wanted (name)"
                " WHERE {given} AND NOT {found} ON CONFLICT DO NOTHING"
            ).format(
                conflicts=sql.Identifier(schema, "conflicts"),
                copy=sql.Literal(copy["name"]),
                key=_texts(key),
                kept=sql.Identifier(schema, copy["name"]),
                columns=sql.Literal([""] if whole else list(columns)),
                given=sql.SQL(" AND ").join(
                    sql.SQL("kept.{} IS NOT NULL").format(sql.Identifier(name)) for name in columns
                ),
                found=found,
            )
            more = (connection.execute(query).rowcount > 0 and itself and whole) or more


def _among(schema: str, copy: Mapping[str, Any], pairs: Sequence[Tuple[str, str, Column]]) -> "sql.Composable":
    """Condition that the kept row refers to one of `copy` that comes back; by column, the column that it refers to, and what that is."""
    return sql.SQL("EXISTS (SELECT FROM {} p WHERE {} AND {})").format(
        sql.Identifier(schema, copy["name"]),
        sql.SQL(" AND ").join(equal("p", other, "kept", name, column) for name, other, column in pairs),
        Spared(schema, copy["name"], ("",)).free([sql.Identifier("p", name) for name in copy["key"]]),
    )


def equal(alias: str, name: str, other_alias: str, other: str, column: Column) -> "sql.Composable":
    """Condition that two values are equal in `column`, whose type may have an operator that no search_path finds: arrays use it."""
    one, two = sql.Identifier(alias, name), sql.Identifier(other_alias, other)
    return sql.SQL("({one} IS NOT NULL AND ARRAY[{one}::{kind}] = ARRAY[{two}::{kind}])").format(
        one=one, two=two, kind=sql.SQL(column.comparable)
    )


def _note_alike(connection: "psycopg.Connection[Any]", schema: str, copy: Mapping[str, Any], table: Relation) -> None:
    """Kept rows whose key users have written in another form, such as 1 for 1.0, which is the same key."""
    if copy["kind"] not in (TABLE, ROWS) or not set(copy["key"]) <= set(table.columns):
        return
    columns = [table.columns[name] for name in copy["key"]]
    if all(column.equal_as_text for column in columns) or not _exists(connection, schema, "written"):
        return
    query = sql.SQL(
        "INSERT INTO {conflicts} SELECT {copy}, '', {kept_key}, false, '' FROM {kept} kept JOIN {table} now ON {same}"
        " WHERE {kept_key} <> {now_key} AND (NOT ({free}) OR {survived}) ON CONFLICT DO NOTHING"
    )
    now_key = [sql.Identifier("now", name) for name in copy["key"]]
    connection.execute(
        query.format(
            conflicts=sql.Identifier(schema, "conflicts"),
            copy=sql.Literal(copy["name"]),
            kept=sql.Identifier(schema, copy["name"]),
            table=table.identifier,
            kept_key=_texts([sql.Identifier("kept", name) for name in copy["key"]]),
            now_key=_texts(now_key),
            same=sql.SQL(" AND ").join(equal("now", column.name, "kept", column.name, column) for column in columns),
            free=Spared(schema, copy["name"], ("",)).free(now_key),
            survived=survived(connection, schema, copy["name"], now_key),
        )
    )


# What is listed ----------------------------------------------------------------------------------------------------------------


def _listed(
    connection: "psycopg.Connection[Any]",
    schema: str,
    copy: Mapping[str, Any],
    watching: Mapping[str, Watched],
    limit: int,
) -> List[Dict[str, Any]]:
    key = list(copy["key"])
    if not key:
        return []
    columns = list(copy["columns"])
    query = sql.SQL(
        'SELECT c.col, c.key, c.watched, CASE WHEN kept.ctid IS NULL THEN NULL ELSE {row} END, w."left", w.now'
        " FROM {conflicts} c LEFT JOIN {kept} kept ON {key} = c.key"
        " LEFT JOIN {written} w ON w.watched = c.watched AND w.key = c.key"
        " WHERE c.copy = {copy} AND NOT c.soft ORDER BY c.key, c.col LIMIT {limit}"
    ).format(
        row=_texts([sql.Identifier("kept", name) for name in columns]),
        conflicts=sql.Identifier(schema, "conflicts"),
        kept=sql.Identifier(schema, copy["name"]),
        key=_texts([sql.Identifier("kept", name) for name in key]),
        written=sql.Identifier(schema, "written"),
        copy=sql.Literal(copy["name"]),
        limit=sql.Literal(max(limit, 0)),
    )
    found: List[Dict[str, Any]] = []
    for column, values, name, saved, left, now in connection.execute(query).fetchall():
        watched = watching.get(name)
        of = watched.columns if watched else ()
        sides = [_side(columns, saved), _side(of, left), _side(of, now)]
        if column in of:
            sides = [side[column] if side else None for side in sides]
        elif column:
            sides[0] = sides[0][column] if sides[0] else None
        found.append(
            {
                "table": f"{copy['schema']}.{copy['table']}",
                "key": dict(zip(key, values)),
                "column": column,
                "saved": sides[0],
                "left": sides[1],
                "written": sides[2],
                "live": True,
            }
        )
    return found


def _dropped(connection: "psycopg.Connection[Any]", schema: str, watched: Watched, limit: int) -> List[Dict[str, Any]]:
    """What users wrote into tables and columns that are gone with the upgrade, or that could not be told apart by a key."""
    lost = _lost(connection, watched)
    if not lost:
        return []
    query = sql.SQL('SELECT key, "left", now FROM {} ORDER BY key LIMIT {}').format(
        _written_there(schema, watched, lost), sql.Literal(max(limit, 0))
    )
    return [
        {
            "table": f"{watched.schema}.{watched.table}",
            "key": dict(zip(watched.key, key)),
            "column": lost[0] if len(lost) == 1 and watched.kind not in (TABLE, ROWS) else "",
            "saved": None,
            "left": _side(watched.columns, left, lost),
            "written": _side(watched.columns, now, lost),
            "live": False,
        }
        for key, left, now in connection.execute(query).fetchall()
    ]


def _lost(connection: "psycopg.Connection[Any]", watched: Watched) -> List[str]:
    """Columns of which only the salvage schema still has what users wrote."""
    if watched.copy and watched.kind in (TABLE, ROWS):
        return [] if watched.key else list(watched.columns)
    there = set(dict(connection.execute(_NUMBERS, [watched.oid]).fetchall()).values())
    return [name for name, number in zip(watched.made, watched.numbers) if number not in there]


def _written_there(schema: str, watched: Watched, columns: Sequence[str]) -> "sql.Composable":
    """What users wrote to these columns, as it stands in FROM."""
    differs = [
        sql.SQL('"left"[{at}] IS DISTINCT FROM now[{at}]').format(at=sql.Literal(position))
        for position, name in enumerate(watched.columns, start=1)
        if name in columns
    ]
    whole = watched.kind in (TABLE, ROWS)
    return sql.SQL('(SELECT key, "left", now FROM {} WHERE watched = {} AND ({})) w').format(
        sql.Identifier(schema, "written"),
        sql.Literal(watched.name),
        sql.SQL("true") if whole else sql.SQL(" OR ").join(differs),
    )


def _side(
    columns: Sequence[str], values: Optional[Sequence[Optional[str]]], only: Sequence[str] = ()
) -> "Optional[Dict[str, Any]]":
    if values is None:
        return None
    return {name: value for name, value in zip(columns, values) if not only or name in only}


# The salvage schema ------------------------------------------------------------------------------------------------------------


def _texts(values: Sequence["sql.Composable"]) -> "sql.Composable":
    """An array of these values as text, which compares byte for byte whatever the collations of its columns."""
    texts = [sql.SQL('{}::text COLLATE "C"').format(value) for value in values]
    return sql.SQL("ARRAY[{}]::text[]").format(sql.SQL(", ").join(texts))


def _exists(connection: "psycopg.Connection[Any]", schema: str, name: str) -> bool:
    found = connection.execute("SELECT to_regclass(%s)", [sql.Identifier(schema, name).as_string(connection)])
    return found.fetchone() != (None,)


def _copies(connection: "psycopg.Connection[Any]", schema: str) -> Dict[str, Dict[str, Any]]:
    query = sql.SQL("SELECT name, content FROM {} ORDER BY name").format(sql.Identifier(schema, "contents"))
    return dict(connection.execute(query).fetchall())
