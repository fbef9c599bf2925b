"""The copies in a salvage schema: what each was taken from, and what is told of it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Dict, List, Sequence, Tuple

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.migrations.operations import COLUMN, VALUES
from ansible.module_utils.rollback.postgres.relation import Relation

with suppress(ImportError):  # the module that uses this says so
    from psycopg import sql

if TYPE_CHECKING:
    import psycopg


@dataclass(frozen=True)
class Copy:
    """One table of the salvage schema: what it was taken from, and what a table has besides its rows.

    It can come back from the moment on when the revision `due` has been applied again.
    """

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
    due: str = ""
    oid: int = 0
    other_grants: Sequence[Tuple[str, str, str, str, bool]] = ()

    @property
    def full_name(self) -> str:
        return f"{self.schema}.{self.table}"


def contents(connection: "psycopg.Connection[Any]", schema: str) -> List[Copy]:
    table = sql.Identifier(schema, "contents")
    if connection.execute("SELECT to_regclass(%s)", [table.as_string(connection)]).fetchone() == (None,):
        raise RollbackError(f"There is no schema {schema} with what was kept aside.", "Was it dropped?")
    found = connection.execute(sql.SQL("SELECT content FROM {} ORDER BY name").format(table)).fetchall()
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


def hashed(connection: "psycopg.Connection[Any]", query: "sql.Composable") -> Tuple[int, str]:
    """Rows, and a hash over all of them that does not care about their order."""
    rows = sql.SQL(
        "SELECT count(*), sum(hashtextextended(ROW(t.*)::text, 0)::numeric)::text || ':'"
        " || sum(hashtextextended(ROW(t.*)::text, 1)::numeric)::text FROM ({}) t"
    ).format(query)
    row = connection.execute(rows).fetchone()
    assert row is not None  # noqa: S101 - an aggregate has one row
    return row[0], row[1] or "empty"


def as_kept(table: Relation, name: str, of: str) -> "sql.Composable":
    """A column's value as it was kept: text where its type is the database's own."""
    column = table.columns[name]
    return sql.SQL("{}.{}::{}").format(
        sql.Identifier(of), sql.Identifier(name), sql.SQL(column.type if column.plain else "text")
    )


def told_of(copy: Copy) -> Dict[str, Any]:
    return {
        "kind": copy.kind,
        "schema": copy.schema,
        "table": copy.table,
        "columns": list(copy.columns) if copy.kind in (COLUMN, VALUES) else [],
        "rows": copy.rows,
    }
