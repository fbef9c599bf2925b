"""What tables and columns were called before a migration, while it renames, creates, copies and drops them.

A loss is told in the names that the live database has now, since there it is counted and saved; and what a migration
has created or copied itself is nothing to lose.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from copy import deepcopy
from dataclasses import replace
from typing import Dict, Iterator, List, Optional, Sequence, Set, Tuple

from ansible.module_utils.rollback.migrations.operations import COLUMN, ROWS, TABLE, VALUES, Loss

# Schema and name. The schema that the search path leads to counts as unnamed: scripts say it or leave it out at will.
Table = Tuple[str, str]
_default_schema: "ContextVar[str]" = ContextVar("default_schema", default="public")


@contextmanager
def default_schema(name: str) -> Iterator[None]:
    """The schema that names without one mean, within; empty where that is not always the same."""
    before = _default_schema.set(name)
    try:
        yield
    finally:
        _default_schema.reset(before)


def table_key(schema: Optional[str], name: str) -> Table:
    return ("" if not schema or schema == _default_schema.get() else schema, name)


class Names:
    """Where each table and column of the moment comes from. None stands for what was not there before."""

    def __init__(self) -> None:
        self._tables: Dict[Table, Optional[Table]] = {}
        self._columns: Dict[Table, Dict[str, Optional[str]]] = {}
        # Of what was there before, by the names of before: where its content has a second home now.
        self._copied_columns: Dict[Tuple[Table, str], Tuple[Table, str]] = {}
        self._copied_rows: Dict[Table, Set[str]] = {}
        self._rows_home: Dict[Tuple[Table, str], Table] = {}
        # Whose only copy is in a table, or in a column of one, since it was dropped or deleted where it came from.
        self._held: Dict[Tuple[Table, str], List[Loss]] = {}
        # By the names of before: tables that the migration itself has emptied, which is told as a loss of its own.
        self._emptied: Set[Table] = set()
        # What was given its name, one after the other: a table, or with a column; and which of them only perhaps were.
        self._named: List[Tuple[Table, str]] = []
        self.doubtful: Set[Tuple[Table, str]] = set()

    def copy(self) -> "Names":
        return deepcopy(self)

    def before(self, table: Table) -> Optional[Table]:
        """What the table was called before, None if it was not there."""
        return self._tables.get(table, table)

    def column_before(self, table: Table, column: str) -> Optional[str]:
        """What the column was called before, None if it, or its table, was not there."""
        if self.before(table) is None:
            return None
        return self._columns.get(table, {}).get(column, column)

    def unsure(self, table: Table, columns: Sequence[str]) -> bool:
        """Whether only the running migration knows what a table, or a column of it, was called before."""
        return not self.doubtful.isdisjoint([(table, ""), *((table, column) for column in columns)])

    def create_table(self, table: Table) -> None:
        self._tables[table] = None
        self._columns.pop(table, None)

    def drop_table(self, table: Table) -> None:
        self._tables.pop(table, None)
        self._columns.pop(table, None)
        gone = [copied for copied, (home, _) in self._copied_columns.items() if home == table]
        for copied in gone:
            del self._copied_columns[copied]

    def rename_table(self, table: Table, to: Table) -> None:
        self._named += [(table, ""), (to, "")]
        self._tables[to] = self._tables.pop(table, table)
        self._columns[to] = self._columns.pop(table, {})
        for copied, (home, column) in self._copied_columns.items():
            if home == table:
                self._copied_columns[copied] = (to, column)
        for rows, home_of_rows in self._rows_home.items():
            if home_of_rows == table:
                self._rows_home[rows] = to
        for of, column in [key for key in self._held if key[0] == table]:
            self._held[(to, column)] = self._held.pop((of, column))

    def add_column(self, table: Table, column: str, is_new: bool) -> None:
        """`is_new`: the column is known not to be there, so that it is new if it is there afterwards."""
        if not is_new:
            self._named.append((table, column))
        self._columns.setdefault(table, {})[column] = None

    def drop_column(self, table: Table, column: str) -> None:
        """A column of the same table that holds its values now is it from here on, so that dropping that one loses them."""
        source, name, home = self.before(table), self.column_before(table, column), self.column_home(table, column)
        self._columns.get(table, {}).pop(column, None)
        if source is not None and name is not None and home is not None and home[0] == table:
            self._columns.setdefault(table, {})[home[1]] = name
            del self._copied_columns[(source, name)]
        gone = [copied for copied, home in self._copied_columns.items() if home == (table, column)]
        for copied in gone:
            del self._copied_columns[copied]

    def rename_column(self, table: Table, column: str, to: str) -> None:
        self._named += [(table, column), (table, to)]
        columns = self._columns.setdefault(table, {})
        columns[to] = columns.pop(column, column)
        for copied, home in self._copied_columns.items():
            if home == (table, column):
                self._copied_columns[copied] = (table, to)
        if (table, column) in self._held:
            self._held[(table, to)] = self._held.pop((table, column))

    def copy_column(self, table: Table, column: str, to_table: Table, to: str) -> None:
        """Notes that every value of a column is now in another as well, which no later step of the migration drops."""
        source, name = self.before(table), self.column_before(table, column)
        if source is not None and name is not None:
            self._copied_columns[(source, name)] = (to_table, to)

    def copy_rows(self, table: Table, where: str, to: Table) -> None:
        """Notes that whole rows are now in another table as well: those that `where` picks, all of them if it is empty."""
        source = self.before(table)
        if source is not None:
            self._copied_rows.setdefault(source, set()).add(where)
            self._rows_home[(source, where)] = to
        if not where and (table, "") in self._held:
            self._held.setdefault((to, ""), []).extend(self._held.pop((table, "")))

    def spoil(self, table: Table, column: str = "") -> None:
        """Notes that what a table, or a column of it, had taken in from elsewhere is no longer there as it was."""
        for copied, (home, name) in list(self._copied_columns.items()):
            if home == table and column in ("", name):
                del self._copied_columns[copied]
        for (source, where), home in list(self._rows_home.items()):
            if home == table:
                del self._rows_home[(source, where)]
                self._copied_rows[source].discard(where)

    @contextmanager
    def perhaps(self) -> Iterator[None]:
        """While it is not certain that what is read happens. Afterwards, copies that were made within are none."""
        columns, rows, named = dict(self._copied_columns), dict(self._rows_home), len(self._named)
        try:
            yield
        finally:
            self.doubtful.update(self._named[named:])
            for copied, home in list(self._copied_columns.items()):
                if columns.get(copied) != home:
                    del self._copied_columns[copied]
            for (source, where), table in list(self._rows_home.items()):
                if rows.get((source, where)) != table:
                    del self._rows_home[(source, where)]
                    self._copied_rows[source].discard(where)

    def rows_gone(self, table: Table, where: str) -> None:
        """Notes that rows which were copied are no longer where they came from."""
        source = self.before(table)
        for condition in (where, ""):
            home = self._rows_home.get((source, condition)) if source is not None else None
            if source is not None and home is not None:
                self._held.setdefault((home, ""), []).append(Loss(ROWS, *source))
                return

    def column_gone(self, table: Table, column: str, home: Tuple[Table, str]) -> None:
        """The same of the values of a column."""
        source, name = self.before(table), self.column_before(table, column)
        if source is not None and name is not None:
            self._held.setdefault(home, []).append(Loss(COLUMN, *source, (name,)))

    def held(self, loss: Loss) -> List[Loss]:
        """What is lost with it, because its only copy is there."""
        table = table_key(loss.schema, loss.table)
        columns = [key[1] for key in self._held if key[0] == table] if loss.kind in (TABLE, ROWS) else loss.columns
        return [one for column in dict.fromkeys(columns) for one in self._held.pop((table, column), [])]

    def empty(self, table: Table) -> None:
        """Notes that no row of before is left; what happens to the table afterwards takes nothing more away."""
        source = self.before(table)
        if source is not None:
            self._emptied.add(source)

    def column_home(self, table: Table, column: str) -> Optional[Tuple[Table, str]]:
        """Where the values of this column were copied, None if nowhere."""
        source, name = self.before(table), self.column_before(table, column)
        if source is None or name is None:
            return None
        return self._copied_columns.get((source, name))

    def rows_copied(self, table: Table, where: str) -> bool:
        source = self.before(table)
        return source is not None and bool(self._copied_rows.get(source, set()) & {"", where})

    def translated(self, loss: Loss) -> Optional[Loss]:
        """The loss in the names of before, None if only what was not there before is lost."""
        table = table_key(loss.schema, loss.table)
        source = self.before(table)
        if source is None or (source in self._emptied and loss.kind != TABLE):
            return None
        columns = tuple(name for column in loss.columns if (name := self.column_before(table, column)) is not None)
        if loss.columns and not columns:
            return None
        schema = loss.schema if table_key(loss.schema, "")[0] == source[0] else source[0]
        return replace(loss, schema=schema, table=source[1], columns=columns)

    def settled(self, loss: Loss) -> Loss:
        """The loss as it is at the end: a table that was dropped and made anew has lost its rows."""
        again = loss.kind == TABLE and table_key(loss.schema, loss.table) in self._tables
        return replace(loss, kind=ROWS) if again else loss


def merged(losses: Sequence[Loss]) -> List[Loss]:
    """Each thing once, in the order of the losses: a lost table covers its rows and columns, a lost column its values."""
    found: List[Loss] = []
    tables = {_table(loss) for loss in losses if loss.kind == TABLE}
    dropped = {(_table(loss), column) for loss in losses if loss.kind == COLUMN for column in loss.columns}
    seen: Set[Tuple[Table, str, str]] = set()
    for loss in losses:
        table = _table(loss)
        if loss.kind != TABLE and table in tables:
            continue
        if loss.kind in (TABLE, ROWS):
            if (table, loss.kind, "") not in seen:
                found.append(loss)
            seen.add((table, loss.kind, ""))
            continue
        columns = tuple(
            column
            for column in dict.fromkeys(loss.columns)
            if (table, loss.kind, column) not in seen and not (loss.kind == VALUES and (table, column) in dropped)
        )
        seen.update((table, loss.kind, column) for column in columns)
        if columns:
            found.append(replace(loss, columns=columns))
    return found


def _table(loss: Loss) -> Table:
    return table_key(loss.schema, loss.table)
