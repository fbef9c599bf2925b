"""What the catalogue says of one table: its columns, the key by which its rows are told apart, and what belongs to it."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence, Tuple

with suppress(ImportError):  # the module that uses this says so
    from psycopg import sql

if TYPE_CHECKING:
    import psycopg

# Nothing here waits for a lock: the size is the one of the last VACUUM or ANALYZE.
_RELATION = """
SELECT c.oid::bigint, n.nspname, c.relname, c.relkind = 'p', c.reltuples::float8,
       c.relpages::bigint * current_setting('block_size')::bigint,
       row_security_active(c.oid), has_table_privilege(c.oid, 'SELECT'), pg_get_userbyid(c.relowner),
       c.relkind = 'r' AND EXISTS (SELECT FROM pg_inherits WHERE inhparent = c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = to_regclass(%s) AND c.relkind IN ('r', 'p')"""

# A type of the database's own may be dropped by the migration: a copy must not depend on it.
_COLUMNS = """
SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attgenerated <> '', a.attnotnull,
       coalesce(e.typnamespace, t.typnamespace) = 'pg_catalog'::regnamespace AND t.typtype <> 'd', a.attidentity = 'a',
       coalesce((SELECT format('%%I.%%I', n.nspname, o.collname) FROM pg_namespace n WHERE n.oid = o.collnamespace), ''),
       coalesce(o.collisdeterministic, true)
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_type e ON e.oid = nullif(t.typelem, 0) AND t.typlen = -1
     LEFT JOIN pg_collation o ON o.oid = a.attcollation
WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"""

# Each unique index on plain columns that are never null, the primary key first, then the shortest.
_KEYS = """
SELECT array_agg(a.attname::text ORDER BY k.ord)
FROM pg_index i
CROSS JOIN LATERAL unnest(i.indkey[:i.indnkeyatts - 1]) WITH ORDINALITY AS k (attnum, ord)
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
WHERE i.indrelid = %s AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL
GROUP BY i.indexrelid, i.indisprimary, i.indnkeyatts
HAVING bool_and(a.attnotnull) AND NOT bool_or(i.indisexclusion)
ORDER BY i.indisprimary DESC, i.indnkeyatts, i.indexrelid"""

# Types of PostgreSQL's own of which equal values may have different texts, such as 1 and 1.0.
_SEVERAL_FORMS = re.compile(r"numeric|double|real|interval|jsonb|time with")


@dataclass(frozen=True)
class Column:
    """`plain` says that its type is PostgreSQL's own, and not made in this database; `always`, that only the server gives it values.

    `collation` comes quoted, and is empty where the type has none.
    """

    name: str
    type: str
    generated: bool
    not_null: bool
    plain: bool
    always: bool = False
    collation: str = ""
    deterministic: bool = True

    @property
    def comparable(self) -> str:
        """Its type as a cast wants it, so that values of any origin compare as in this column."""
        return f"{self.type} COLLATE {self.collation}" if self.collation else self.type

    @property
    def equal_as_text(self) -> bool:
        """Whether values are equal only where their texts are."""
        return self.plain and self.deterministic and not _SEVERAL_FORMS.match(self.type)


@dataclass(frozen=True)
class Relation:
    """`tuples` is the planner's number of rows, negative where it has none. `keys` are the columns of each unique index.

    `inherited` says that other tables inherit from it, which is not what partitions do.
    """

    oid: int
    schema: str
    name: str
    partitioned: bool
    tuples: float
    bytes: int
    row_security: bool
    readable: bool
    owner: str
    inherited: bool
    columns: Dict[str, Column]
    keys: List[Tuple[str, ...]]

    @property
    def full_name(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def identifier(self) -> "sql.Composable":
        """As it stands in FROM: without the rows of tables that merely inherit from it."""
        name = sql.Identifier(self.schema, self.name)
        return name if self.partitioned else sql.SQL("ONLY {}").format(name)

    @property
    def stored(self) -> List[Column]:
        """Columns that hold something of their own."""
        return [column for column in self.columns.values() if not column.generated]

    def key(self, without: Sequence[str] = ()) -> Tuple[str, ...]:
        """The best key that has none of these columns; empty where there is none."""
        return next((key for key in self.keys if not set(key) & set(without)), ())


def find(connection: "psycopg.Connection[Any]", schema: str, name: str) -> Optional[Relation]:
    """The table, or None where there is none of that name."""
    row = connection.execute(_RELATION, [sql.Identifier(schema, name).as_string(connection)]).fetchone()
    if row is None:
        return None
    columns = {found[0]: Column(*found) for found in connection.execute(_COLUMNS, [row[0]]).fetchall()}
    keys = [tuple(key) for (key,) in connection.execute(_KEYS, [row[0]]).fetchall()]
    facts: List[Any] = [*row, columns, keys]
    return Relation(*facts)
