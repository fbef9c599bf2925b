"""Alembic's operations as the SQL that they run on PostgreSQL. Whatever judges SQL then judges them alike."""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from ansible.module_utils.rollback.migrations.sql_statement import MARK
from ansible.module_utils.rollback.migrations.sqlalchemy_values import on_delete
from ansible.module_utils.rollback.migrations.values import (
    UNKNOWN_VALUE,
    Batch,
    Column,
    Constraint,
    Sql,
    SqlType,
    expression,
    literal,
    name_of,
    qualified,
    quoted,
)

# Not given, where None says something (`server_default=None` drops the default).
_MISSING = object()


class Given:
    """The arguments of one call by the names that Alembic gives them."""

    def __init__(self, values: Mapping[str, Any], rest: Sequence[Any] = ()) -> None:
        self.values, self.rest = values, list(rest)

    def __getitem__(self, name: str) -> Any:
        return self.values.get(name, UNKNOWN_VALUE)

    def get(self, name: str, default: Any = None) -> Any:
        return self.values.get(name, default)

    def on(self, name: str) -> bool:
        return self.values.get(name) is True

    def table(self, name: str = "table_name", schema: str = "schema") -> str:
        return qualified(self[name], self.get(schema))


class NeverRuns(Exception):
    """A call that fails each time, whatever the database holds; the message says why."""


def _names(value: Any) -> str:
    if isinstance(value, str):
        return quoted(value)
    if not isinstance(value, (list, tuple)):
        return MARK
    return ", ".join(_indexed(part) for part in value) or MARK


# What may stand after an expression in an index: an order, where nulls go, a class of operators.
_ORDERED = re.compile(r"(.+?)((?:\s+(?:asc|desc|nulls\s+first|nulls\s+last|\w+_ops))+)", re.IGNORECASE | re.DOTALL)


def _indexed(part: Any) -> str:
    if not isinstance(part, Sql) or part.column:
        return quoted(part)
    ordered = _ORDERED.fullmatch(part.text.strip())
    return f"({ordered[1]}){ordered[2]}" if ordered else f"({part.text})"


def type_sql(value: Any) -> str:
    return value.sql if isinstance(value, SqlType) else quoted(MARK)


def default_sql(value: Any) -> str:
    """A server default: text of SQL as it stands, a plain string as a literal."""
    return expression(value)


def column_sql(column: Any) -> str:
    if not isinstance(column, Column):
        return f"{quoted(MARK)} {quoted(MARK)}"
    return f"{quoted(column.name)} {column.sql}"


def _drop_table(given: Given) -> List[str]:
    return [f"DROP TABLE {given.table()}"]


def _drop_column(given: Given) -> List[str]:
    if isinstance(given["column_name"], Column):
        raise NeverRuns("drop_column is given a Column where the name of one belongs, which Alembic fails on")
    return [f"ALTER TABLE {given.table()} DROP COLUMN {quoted(given['column_name'])}"]


def _add_column(given: Given) -> List[str]:
    perhaps = "IF NOT EXISTS " if given.on("if_not_exists") else ""
    return [f"ALTER TABLE {given.table()} ADD COLUMN {perhaps}{column_sql(given['column'])}"]


def _create_table(given: Given) -> List[str]:
    called = [part.name for part in given.rest if isinstance(part, Column) and isinstance(part.name, str)]
    twice = [name for place, name in enumerate(called) if name in called[:place] and MARK not in name]
    if twice:
        raise NeverRuns(f"create_table is given the column {twice[0]} twice, which SQLAlchemy fails on")
    columns = [column_sql(part) for part in given.rest if isinstance(part, Column)]
    columns += [part.sql for part in given.rest if isinstance(part, Constraint) and part.sql]
    fresh = "TEMPORARY " if "TEMPORARY" in (given.get("prefixes") or ()) else ""
    perhaps = "IF NOT EXISTS " if given.on("if_not_exists") else ""
    return [f"CREATE {fresh}TABLE {perhaps}{given.table()} ({', '.join(columns)})"]


def _alter_column(given: Given) -> List[str]:
    """Several statements, in the order in which Alembic runs them."""
    table, column = f"ALTER TABLE {given.table()}", quoted(given["column_name"])
    done = []
    new = given.get("type_")
    if new is not None:
        using = given.get("postgresql_using")
        how = f" USING {using if isinstance(using, str) else expression(using)}" if using is not None else ""
        done.append(f"{table} ALTER COLUMN {column} TYPE {type_sql(new)}{how}")
    nullable = given.get("nullable")
    if nullable is not None:
        done.append(f"{table} ALTER COLUMN {column} {'DROP' if nullable is True else 'SET'} NOT NULL")
    default = given.get("server_default", _MISSING)
    if default is None:
        done.append(f"{table} ALTER COLUMN {column} DROP DEFAULT")
    elif isinstance(default, Sql) and default.text.startswith("GENERATED"):
        done.append(f"{table} ALTER COLUMN {column} ADD {default.text}")
    elif default is not _MISSING and default is not False:
        done.append(f"{table} ALTER COLUMN {column} SET DEFAULT {default_sql(default)}")
    comment = given.get("comment", False)
    if comment is None or isinstance(comment, str):
        said = "NULL" if comment is None else literal(comment)
        done.append(f"COMMENT ON COLUMN {given.table()}.{column} IS {said}")
    renamed = given.get("new_column_name")
    if renamed is not None:
        done.append(f"{table} RENAME COLUMN {column} TO {quoted(renamed)}")
    return done


def _rename_table(given: Given) -> List[str]:
    return [f"ALTER TABLE {given.table('old_table_name')} RENAME TO {quoted(given['new_table_name'])}"]


def _create_index(given: Given) -> List[str]:
    unique = "UNIQUE " if given.on("unique") else ""
    apart = "CONCURRENTLY " if given.on("postgresql_concurrently") else ""
    name = f"{quoted(given['index_name'])} " if given.get("index_name") is not None else ""
    return [f"CREATE {unique}INDEX {apart}{name}ON {given.table()} ({_names(given['columns'])})"]


def _drop_index(given: Given) -> List[str]:
    apart = "CONCURRENTLY " if given.on("postgresql_concurrently") else ""
    return [f"DROP INDEX {apart}{qualified(given['index_name'], given.get('schema'))}"]


def _drop_constraint(given: Given) -> List[str]:
    if given.get("constraint_name") is None:
        raise NeverRuns(f"drop_constraint on {name_of(given['table_name'])} is given no name, which Alembic fails on")
    return [f"ALTER TABLE {given.table()} DROP CONSTRAINT {quoted(given['constraint_name'])}"]


def _constraint(table: str, schema: str, rest: Callable[[Given], str]) -> Callable[[Given], List[str]]:
    def render(given: Given) -> List[str]:
        name = given.get("constraint_name")
        called = f"CONSTRAINT {quoted(name)} " if name is not None else ""
        spared = " NOT VALID" if given.on("postgresql_not_valid") else ""
        return [f"ALTER TABLE {given.table(table, schema)} ADD {called}{rest(given)}{spared}"]

    return render


def _foreign_key(given: Given) -> str:
    referent = qualified(given["referent_table"], given.get("referent_schema"))
    return f"FOREIGN KEY ({_names(given['local_cols'])}) REFERENCES {referent} ({_names(given['remote_cols'])}){on_delete(given.values)}"


def _create_check(given: Given) -> str:
    condition = given["condition"]
    return f"CHECK ({condition if isinstance(condition, str) else expression(condition)})"


def _comment(given: Given) -> List[str]:
    comment = given.get("comment")
    said = literal(comment) if isinstance(comment, str) else "NULL"
    return [f"COMMENT ON TABLE {given.table()} IS {said}"]


def _bulk_insert(given: Given) -> List[str]:
    table = given["table"]
    return [f"INSERT INTO {getattr(table, 'sql', MARK)} DEFAULT VALUES"]


# For each operation: the names of its positional arguments, and its SQL. In a batch the table is not among them.
_OPERATIONS: Dict[str, Tuple[Tuple[str, ...], Callable[[Given], List[str]]]] = {
    "drop_table": (("table_name",), _drop_table),
    "create_table": (("table_name",), _create_table),
    "rename_table": (("old_table_name", "new_table_name"), _rename_table),
    "drop_column": (("table_name", "column_name"), _drop_column),
    "add_column": (("table_name", "column"), _add_column),
    "alter_column": (("table_name", "column_name"), _alter_column),
    "create_index": (("index_name", "table_name", "columns"), _create_index),
    "drop_index": (("index_name", "table_name"), _drop_index),
    "drop_constraint": (("constraint_name", "table_name", "type_"), _drop_constraint),
    "create_foreign_key": (
        ("constraint_name", "source_table", "referent_table", "local_cols", "remote_cols"),
        _constraint("source_table", "source_schema", _foreign_key),
    ),
    "create_unique_constraint": (
        ("constraint_name", "table_name", "columns"),
        _constraint("table_name", "schema", lambda given: f"UNIQUE ({_names(given['columns'])})"),
    ),
    "create_primary_key": (
        ("constraint_name", "table_name", "columns"),
        _constraint("table_name", "schema", lambda given: f"PRIMARY KEY ({_names(given['columns'])})"),
    ),
    "create_check_constraint": (
        ("constraint_name", "table_name", "condition"),
        _constraint("table_name", "schema", _create_check),
    ),
    "create_exclude_constraint": (
        ("constraint_name", "table_name"),
        _constraint("table_name", "schema", lambda given: f"EXCLUDE ({MARK} WITH =)"),
    ),
    "create_table_comment": (("table_name", "comment"), _comment),
    "drop_table_comment": (("table_name",), _comment),
    "bulk_insert": (("table", "rows"), _bulk_insert),
}
_TABLES = ("table_name", "source_table")
# Of alembic_utils, which keeps views, functions and triggers: none of them holds data.
ENTITIES = ("create_entity", "replace_entity", "drop_entity")


def known(name: str) -> bool:
    return name in _OPERATIONS


def sql_of(name: str, args: Sequence[Any], options: Mapping[str, Any], batch: Optional[Batch] = None) -> List[str]:
    """The statements that `op.<name>(…)` runs, within `batch` if there is one. Raises NeverRuns."""
    names, render = _OPERATIONS[name]
    values: Dict[str, Any] = dict(options)
    if values.pop("**", None) is not None:
        # The schema may be among the options that are not known.
        values.setdefault("schema", UNKNOWN_VALUE)
    if batch is not None:
        names = tuple(part for part in names if part not in _TABLES)
        for table in _TABLES:
            values[table] = batch.table
        if batch.schema is not None:
            values["source_schema" if name == "create_foreign_key" else "schema"] = batch.schema
    values.update(zip(names, args))
    return render(Given(values, args))
