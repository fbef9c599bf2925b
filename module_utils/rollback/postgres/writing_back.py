"""Writes what was kept of one table back into it, once the upgrade has made its place again.

Nothing that users wrote since is overwritten, and no row goes that another row refers to. What a constraint refuses is recorded
as a conflict, row by row, where users may have written; otherwise it is an error.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.migrations.operations import ROWS, TABLE
from ansible.module_utils.rollback.postgres import constraints, sequences, since
from ansible.module_utils.rollback.postgres.copies import Copy, as_kept, hashed, told_of
from ansible.module_utils.rollback.postgres.relation import Relation
from ansible.module_utils.rollback.words import listed

with suppress(ImportError):  # the module that uses this says so
    from psycopg import errors as pg_errors
    from psycopg import sql

if TYPE_CHECKING:
    import psycopg

    # Makes a statement that writes those kept rows for which a condition holds.
    Write = Callable[[sql.Composable], sql.Composed]

# Foreign keys that refer to a table: whose they are, their columns and the table's. Of one by period, those that have to be equal.
_REFERRING = """
SELECT n.nspname, r.relname, k.conrelid = k.confrelid,
       ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u (n, i)
             JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.n WHERE i <= plain ORDER BY i),
       ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY u (n, i)
             JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.n WHERE i <= plain ORDER BY i)
FROM pg_constraint k JOIN pg_class r ON r.oid = k.conrelid JOIN pg_namespace n ON n.oid = r.relnamespace,
     LATERAL (SELECT cardinality(k.conkey) - coalesce(to_jsonb(k) ->> 'conperiod', 'false')::boolean::integer) AS width (plain)
WHERE k.contype = 'f' AND k.confrelid = %s
  AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.oid = k.conparentid AND c.confrelid = k.confrelid)"""

# Privileges on a table: to whom (empty: to everybody), which one, and whether it may be passed on.
GRANTS = """
SELECT coalesce(pg_get_userbyid(nullif(g.grantee, 0)), ''), g.privilege_type, g.is_grantable
FROM pg_class c, aclexplode(c.relacl) g WHERE c.oid = %s ORDER BY 1, 2"""

# Parts of a copy up to this many rows may change their unique values with each other: unique indexes are built anew for it.
_FEW = 10_000


def bring_back(
    connection: "psycopg.Connection[Any]",
    schema: str,
    copy: Copy,
    table: Relation,
    whole: bool = True,
    beside: Optional[Mapping[Tuple[str, str], str]] = None,
) -> Dict[str, Any]:
    """`whole` says that the copy has all of its columns, so that the result can be compared with it.

    Rows may refer to those of the copies `beside`, which come in the same transaction. Triggers of users have to be out of the way.
    """
    others = {of: name for of, name in (beside or {}).items() if name != copy.name}
    spared = since.spared(connection, schema, copy.name, table, others)
    always = [name for name in copy.columns if table.columns[name].always]
    with constraints.writable(connection, table, always):
        if copy.kind == TABLE:
            gone = _table(connection, schema, copy, table, whole, spared)
        elif copy.kind == ROWS:
            gone = _rows(connection, schema, copy, table, spared)
        else:
            gone = _columns(connection, schema, copy, table, spared)
    for column, (_, last, called) in copy.sequences.items():
        if column in table.columns:
            _sequence(connection, table, column, last, called)
    _grants(connection, copy, table)
    return {**told_of(copy), "gone": gone}


def remove_others(
    connection: "psycopg.Connection[Any]", schema: str, copy: Copy, table: Relation, again: bool = False
) -> None:
    """Delete what the upgrade itself has put into a whole table that comes back, unless something refers to it.

    `again`, once the rows are back: something may have referred to it until then.
    """
    key = table.key()
    conditions = []
    if key and set(key) <= set(copy.columns):
        conditions += [
            sql.SQL("NOT {}").format(_is_kept(schema, copy, table, key)),
            since.spared_so_far(connection, schema, copy.name).free([as_kept(table, name, "now") for name in copy.key]),
        ]
    elif again:
        return
    among_themselves = False
    for of_schema, of, itself, columns, others in connection.execute(_REFERRING, [table.oid]).fetchall():
        among_themselves = among_themselves or itself
        same = [since.equal("now", other, "r", name, table.columns[other]) for name, other in zip(columns, others)]
        if itself:  # what refers to itself alone may go
            same.append(sql.SQL("r.ctid <> now.ctid"))
        conditions.append(
            sql.SQL("NOT EXISTS (SELECT FROM {} r WHERE {})").format(
                sql.Identifier(of_schema, of), sql.SQL(" AND ").join(same or [sql.SQL("true")])
            )
        )
    delete = sql.SQL("DELETE FROM {} now WHERE {}").format(
        table.identifier, sql.SQL(" AND ").join(conditions or [sql.SQL("true")])
    )
    while connection.execute(delete).rowcount > 0 and among_themselves:
        pass  # those that the last ones referred to


def _table(
    connection: "psycopg.Connection[Any]", schema: str, copy: Copy, table: Relation, whole: bool, spared: since.Spared
) -> int:
    key = table.key()
    keyed = bool(key) and set(key) <= set(copy.columns)
    action: sql.Composable = sql.SQL("")
    if keyed:
        # What the upgrade itself has put there may be referred to already: it is made the same instead of replaced.
        free = spared.free([as_kept(table, name, "now") for name in copy.key])
        action = _on_conflict(copy, key, free)
    if _write(connection, schema, copy, table, _insert(schema, copy, table, spared, action), [""]):
        spared = since.spared(connection, schema, copy.name, table)
    if not whole:
        return 0
    kept = sql.SQL(", ").join(
        sql.SQL("{} AS {}").format(as_kept(table, name, "now"), sql.Identifier(name)) for name in copy.columns
    )
    wanted = (copy.rows, copy.hash)
    free = spared.free([as_kept(table, name, "now") for name in copy.key])
    if spared:
        wanted = hashed(connection, _kept_rows(schema, copy, spared))
    there = _is_kept(schema, copy, table, key) if keyed else sql.SQL("true")
    found = hashed(
        connection, sql.SQL("SELECT {} FROM {} now WHERE {} AND {}").format(kept, table.identifier, free, there)
    )
    if found != wanted:
        raise RollbackError(
            f"{copy.full_name} came back with {found[0]:,} rows that are not the {wanted[0]:,} that were kept.",
            f'They are in schema {schema}, table "{copy.name}".',
        )
    return 0


def _rows(connection: "psycopg.Connection[Any]", schema: str, copy: Copy, table: Relation, spared: since.Spared) -> int:
    key = table.key()
    if not key:
        raise RollbackError(
            f"{table.full_name} has no key, so it cannot be told which of its rows are missing.",
            f'They are in schema {schema}, table "{copy.name}".',
        )
    # What the upgrade has put in the place of a deleted row gives way to it; rows that survived are the users'.
    action: sql.Composable = sql.SQL("")
    if set(key) <= set(copy.columns):
        survived = since.survived(connection, schema, copy.name, [as_kept(table, name, "now") for name in copy.key])
        action = _on_conflict(copy, key, sql.SQL("NOT {}").format(survived))
    _write(connection, schema, copy, table, _insert(schema, copy, table, spared, action), [""])
    return since.note_missing(connection, schema, copy.name, copy.key, table)


def _columns(
    connection: "psycopg.Connection[Any]", schema: str, copy: Copy, table: Relation, spared: since.Spared
) -> int:
    kept = sql.Identifier(schema, copy.name)
    same = _same_key(table, copy.key)
    key = [sql.Identifier("kept", name) for name in copy.key]
    sets = sql.SQL(", ").join(
        sql.SQL("{0} = CASE WHEN {1} THEN {2} ELSE now.{0} END").format(
            sql.Identifier(name), spared.free(key, name), _back(table, name)
        )
        for name in copy.columns
    )
    differs = sql.SQL(" OR ").join(
        sql.SQL("{}::text IS DISTINCT FROM kept.{}::text AND {}").format(
            as_kept(table, name, "now"), sql.Identifier(name), spared.free(key, name)
        )
        for name in copy.columns
    )
    # Only what differs, so that nothing is rewritten that is well already.
    update = sql.SQL("UPDATE {} now SET {} FROM {} kept WHERE {} AND ({}) AND ").format(
        table.identifier, sets, kept, same, differs
    )
    if _write(connection, schema, copy, table, lambda which: update + which, copy.columns):
        again = since.spared(connection, schema, copy.name, table)
        return _columns(connection, schema, copy, table, again)
    matched = sql.SQL("SELECT count(*) FROM {} now JOIN {} kept ON {}").format(table.identifier, kept, same)
    (found,) = connection.execute(matched).fetchone() or (0,)
    (other,) = connection.execute(matched + sql.SQL(" WHERE {}").format(differs)).fetchone() or (0,)
    if other:
        raise RollbackError(
            f"{other:,} rows of {copy.full_name} did not get back what was kept of {listed(copy.columns)}.",
            f'It is in schema {schema}, table "{copy.name}".',
        )
    return copy.rows - int(found)


def _insert(schema: str, copy: Copy, table: Relation, spared: since.Spared, action: "sql.Composable") -> "Write":
    head = sql.SQL("INSERT INTO {} AS now ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {} kept WHERE {} AND ").format(
        sql.Identifier(table.schema, table.name),
        sql.SQL(", ").join(map(sql.Identifier, copy.columns)),
        sql.SQL(", ").join(_back(table, name) for name in copy.columns),
        sql.Identifier(schema, copy.name),
        spared.free([sql.Identifier("kept", name) for name in copy.key]),
    )
    return lambda which: head + which + action


def _on_conflict(copy: Copy, key: Sequence[str], where: "sql.Composable") -> "sql.Composable":
    """What becomes of a row with the same key: it gets the kept values where a condition on it holds."""
    rest = [name for name in copy.columns if name not in key]
    of_key = sql.SQL(", ").join(map(sql.Identifier, key))
    if not rest:
        return sql.SQL(" ON CONFLICT ({}) DO NOTHING").format(of_key)
    sets = sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in rest)
    return sql.SQL(" ON CONFLICT ({}) DO UPDATE SET {} WHERE {}").format(of_key, sets, where)


def _write(
    connection: "psycopg.Connection[Any]",
    schema: str,
    copy: Copy,
    table: Relation,
    write: "Write",
    columns: Sequence[str],
) -> bool:
    """Write the rows of a copy; where constraints refuse some of them, the others, and record those for `columns`.

    True where some were refused. Raises psycopg.IntegrityError where users cannot be the reason.
    """
    try:
        constraints.write(connection, write(sql.SQL("true")), table, copy.columns)
        return False
    except pg_errors.IntegrityError:
        if not since.noted(connection, schema):
            raise
    key = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier("kept", name)) for name in copy.key)
    every = sql.SQL("SELECT kept.ctid::text, ARRAY[{}]::text[] FROM {} kept ORDER BY kept.ctid").format(
        key, sql.Identifier(schema, copy.name)
    )
    waiting: List[List[Tuple[str, List[str]]]] = [connection.execute(every).fetchall()]
    refused = False
    while waiting:
        part = waiting.pop()
        these = write(sql.SQL("kept.ctid = ANY({}::tid[])").format(sql.Literal([place for place, _ in part])))
        try:
            if len(part) > _FEW:
                with connection.transaction():
                    connection.execute(these)
            else:
                constraints.write(connection, these, table, copy.columns)
        except pg_errors.IntegrityError:
            half = len(part) // 2
            if half:
                waiting += [part[half:], part[:half]]
            else:
                since.refused(connection, schema, copy.name, columns, part[0][1])
                refused = True
    return refused


def _sequence(connection: "psycopg.Connection[Any]", table: Relation, column: str, last: int, called: bool) -> None:
    """Set a sequence to where it was, unless the upgrade or users have taken it further."""
    name = sql.Identifier(table.schema, table.name).as_string(connection)
    (sequence,) = connection.execute("SELECT pg_get_serial_sequence(%s, %s)", [name, column]).fetchone() or (None,)
    if sequence is None:
        return
    sequences.forward(connection, sequence, last, called)


def _grants(connection: "psycopg.Connection[Any]", copy: Copy, table: Relation) -> None:
    """Privileges on the table, on its columns and on their sequences, of those roles that are still there."""
    target = sql.Identifier(table.schema, table.name)
    roles = {""} | {name for (name,) in connection.execute("SELECT rolname FROM pg_roles").fetchall()}
    if copy.kind == TABLE:
        _revoke(connection, copy, table)
    on_table = [("table", "", *grant) for grant in copy.grants]
    for what, column, grantee, privilege, grantable in [*on_table, *copy.other_grants]:
        if grantee not in roles or (column and column not in table.columns):
            continue
        on: sql.Composable = target
        columns: sql.Composable = sql.SQL("")
        if what == "column":
            columns = sql.SQL(" ({})").format(sql.Identifier(column))
        elif what == "sequence":
            names = [target.as_string(connection), column]
            (sequence,) = connection.execute("SELECT pg_get_serial_sequence(%s, %s)", names).fetchone() or (None,)
            if sequence is None:
                continue
            on = sql.SQL("SEQUENCE " + sequence)  # comes quoted
        connection.execute(
            sql.SQL("GRANT {}{} ON {} TO {}{}").format(
                sql.SQL(privilege),
                columns,
                on,
                sql.Identifier(grantee) if grantee else sql.SQL("PUBLIC"),
                sql.SQL(" WITH GRANT OPTION" if grantable else ""),
            )
        )


def _revoke(connection: "psycopg.Connection[Any]", copy: Copy, table: Relation) -> None:
    """Take back what the upgrade or default privileges give to roles that did not have it."""
    kept = {(grantee, privilege) for grantee, privilege, _ in copy.grants}
    for grantee, privilege, _ in connection.execute(GRANTS, [table.oid]).fetchall():
        if grantee != table.owner and (grantee, privilege) not in kept:
            connection.execute(
                sql.SQL("REVOKE {} ON {} FROM {}").format(
                    sql.SQL(privilege),
                    sql.Identifier(table.schema, table.name),
                    sql.Identifier(grantee) if grantee else sql.SQL("PUBLIC"),
                )
            )


def _kept_rows(schema: str, copy: Copy, spared: since.Spared) -> "sql.Composable":
    """Query for the rows of a copy that users have not written since."""
    return sql.SQL("SELECT {} FROM {} kept WHERE {}").format(
        sql.SQL(", ").join(sql.Identifier("kept", name) for name in copy.columns),
        sql.Identifier(schema, copy.name),
        spared.free([sql.Identifier("kept", name) for name in copy.key]),
    )


def _is_kept(schema: str, copy: Copy, table: Relation, key: Sequence[str]) -> "sql.Composable":
    """Condition that a row of the table is in the copy."""
    return sql.SQL("EXISTS (SELECT FROM {} kept WHERE {})").format(
        sql.Identifier(schema, copy.name), _same_key(table, key)
    )


def _same_key(table: Relation, key: Sequence[str]) -> "sql.Composable":
    return sql.SQL(" AND ").join(
        sql.SQL("{} = kept.{}").format(as_kept(table, name, "now"), sql.Identifier(name)) for name in key
    )


def _back(table: Relation, name: str) -> "sql.Composable":
    """A kept value as the column takes it."""
    return sql.SQL("kept.{}::{}").format(sql.Identifier(name), sql.SQL(table.columns[name].type))
