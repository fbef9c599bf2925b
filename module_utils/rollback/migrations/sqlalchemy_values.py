"""SQLAlchemy's own words, as far as migrations use them: types, columns, tables, texts and statements."""

from __future__ import annotations

import re
import textwrap
from dataclasses import replace
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from ansible.module_utils.rollback.migrations.sql_functions import acts
from ansible.module_utils.rollback.migrations.sql_statement import MARK
from ansible.module_utils.rollback.migrations.values import (
    UNKNOWN_VALUE,
    Class,
    Column,
    Connection,
    Constraint,
    External,
    Metadata,
    Query,
    Reflection,
    Session,
    Sql,
    SqlType,
    TableValue,
    expression,
    name_of,
    qualified,
    quoted,
)

_CALL = re.compile(r"\b((?:[a-z_]\w*\.)?[a-z_]\w*)\(")
# Stands among the arguments of a call for those of a `**` whose names are not known.
REST = "**"
UNREAD_TYPE = SqlType(quoted(MARK))
Args = Sequence[Any]
Options = Mapping[str, Any]

# Types whose name in PostgreSQL does not depend on their arguments, by SQLAlchemy's name in small letters.
_PLAIN = {
    "text": "TEXT", "unicodetext": "TEXT", "clob": "TEXT", "mediumtext": "TEXT", "longtext": "TEXT",
    "integer": "INTEGER", "int": "INTEGER", "biginteger": "BIGINT", "bigint": "BIGINT",
    "smallinteger": "SMALLINT", "smallint": "SMALLINT", "real": "REAL", "double": "DOUBLE PRECISION",
    "double_precision": "DOUBLE PRECISION", "boolean": "BOOLEAN", "bool": "BOOLEAN", "date": "DATE",
    "largebinary": "BYTEA", "pickletype": "BYTEA", "blob": "BYTEA", "bytea": "BYTEA",
    "binary": "BYTEA", "varbinary": "BYTEA", "json": "JSON", "jsonb": "JSONB", "uuid": "UUID", "guid": "UUID",
    "uuidtype": "UUID", "inet": "INET", "cidr": "CIDR", "macaddr": "MACADDR", "tsvector": "TSVECTOR", "oid": "OID",
    "money": "MONEY", "hstore": "hstore", "citext": "citext", "int4range": "INT4RANGE", "int8range": "INT8RANGE",
    "numrange": "NUMRANGE", "daterange": "DATERANGE", "tsrange": "TSRANGE", "tstzrange": "TSTZRANGE",
}  # fmt: skip
_WORDS = {
    "string": "VARCHAR",
    "varchar": "VARCHAR",
    "unicode": "VARCHAR",
    "nvarchar": "VARCHAR",
    "autostring": "VARCHAR",
}
_CHARS = {"char": "CHAR", "nchar": "CHAR"}


# The arguments of types that take few: how many by place, and their names. Every other one makes Python refuse the call.
_NO_ARGUMENTS: Tuple[int, Tuple[str, ...]] = (0, ())
_ARGUMENTS: Dict[str, Tuple[int, Tuple[str, ...]]] = {
    **dict.fromkeys(("Integer", "SmallInteger", "BigInteger", "INTEGER", "INT", "SMALLINT", "BIGINT"), _NO_ARGUMENTS),
    **dict.fromkeys(("Date", "DATE"), _NO_ARGUMENTS),
    **dict.fromkeys(("DateTime", "DATETIME", "TIMESTAMP", "Time", "TIME"), (1, ("timezone",))),
    **dict.fromkeys(("Boolean", "BOOLEAN"), (4, ("create_constraint", "name", "_create_events", "_adapted_from"))),
    **dict.fromkeys(("LargeBinary", "BLOB", "BINARY", "VARBINARY"), (1, ("length",))),
}
# Packages that have SQLAlchemy's own types. Those of a dialect take other arguments.
_OWN = ("sqlalchemy", "sqlalchemy.types", "sqlalchemy.sql.sqltypes")


class NeverMade(Exception):
    """A call that Python or SQLAlchemy refuses, whatever the database holds; the message says why."""


def _refused(path: str, args: Args, options: Options) -> str:
    """Why such a type can never be made, empty where it can."""
    package, _, name = path.rpartition(".")
    if package not in _OWN:
        return ""
    if name in _ARGUMENTS:
        most, names = _ARGUMENTS[name]
        strange = [key for key in options if key not in names and key != "**"]
        if len(args) > most or strange:
            return f"{name} takes no argument {strange[0]}" if strange else f"{name} is given too many arguments"
    length = args[0] if args else options.get("length")
    wrong = isinstance(length, str) and MARK not in length and not length.strip().isdigit()
    if name.lower() in {**_WORDS, **_CHARS} and wrong:
        return f"{length!r} is not a length of {name}"
    return ""


def type_of(value: Any) -> SqlType:
    """The type that a value stands for: an instance of one, its class, or a class of the project around one."""
    if isinstance(value, SqlType):
        return value
    if isinstance(value, External):
        return make_type(value.name, (), {})
    if isinstance(value, Class):
        return decorated(value, (), {})
    return UNREAD_TYPE


def decorated(kind: Class, args: Args, options: Options) -> SqlType:
    """A `TypeDecorator` of the project: what it stands on."""
    inner = kind.find("impl")
    if isinstance(inner, External):
        return make_type(inner.name, args, options)
    if inner is None:
        above = [base for base in kind.bases if isinstance(base, External)]
        return make_type(above[0].name, args, options) if above else UNREAD_TYPE
    return type_of(inner)


def make_type(name: str, args: Args, options: Options) -> SqlType:
    """A type as PostgreSQL spells it; UNREAD_TYPE for one that is not SQLAlchemy's."""
    key = name.lower()
    if key in _PLAIN:
        return SqlType(_PLAIN[key])
    if key in _WORDS or key in _CHARS:
        length = args[0] if args else options.get("length")
        word = _WORDS.get(key) or _CHARS[key]
        if length is None:
            return SqlType(word)
        number = int(length) if isinstance(length, str) and length.strip().isdigit() else length
        return SqlType(f"{word}({number})") if isinstance(number, int) else UNREAD_TYPE
    if key in ("numeric", "decimal"):
        precision = args[0] if args else options.get("precision")
        scale = args[1] if len(args) > 1 else options.get("scale")
        numbers = [precision, scale] if precision is not None else []
        known = [str(number) for number in numbers if isinstance(number, int)]
        return SqlType(f"NUMERIC({', '.join(known)})" if known else "NUMERIC")
    if key == "float":
        precision = args[0] if args else options.get("precision")
        small = isinstance(precision, int) and precision <= 24
        return SqlType("REAL" if small else "DOUBLE PRECISION")
    if key in ("datetime", "timestamp", "time", "datetimetz"):
        zone = (args[0] if args else options.get("timezone")) is True
        fraction = _fraction(args[1] if len(args) > 1 else options.get("precision"))
        return SqlType(
            f"{'TIME' if key == 'time' else 'TIMESTAMP'}{fraction} {'WITH' if zone else 'WITHOUT'} TIME ZONE"
        )
    if key == "interval":
        fields = options.get("fields", args[0] if args and isinstance(args[0], str) else None)
        fraction = _fraction(options.get("precision"))
        return SqlType(f"INTERVAL {fields.upper()}{fraction}" if isinstance(fields, str) else f"INTERVAL{fraction}")
    if key == "bit":
        length = args[0] if args else options.get("length", 1)
        varying = (args[1] if len(args) > 1 else options.get("varying")) is True
        return SqlType(f"BIT {'VARYING ' if varying else ''}({length})") if isinstance(length, int) else UNREAD_TYPE
    if key == "array":
        item = type_of(args[0] if args else options.get("item_type"))
        return SqlType(f"{item.sql}[]")
    if key == "enum":
        return _enum(args, options)
    return UNREAD_TYPE


def _fraction(digits: Any) -> str:
    return f"({digits})" if isinstance(digits, int) else ""


def _enum(args: Args, options: Options) -> SqlType:
    """An enum type of its own, or with `native_enum=False` as many characters as its longest label has."""
    name = options.get("name")
    if name is None and args and isinstance(args[0], Class):
        name = args[0].name.lower()
    labels = [label for label in args if isinstance(label, str)]
    if options.get("native_enum") is False:
        length = options.get("length") or max(map(len, labels), default=0)
        return SqlType(f"VARCHAR({length})") if length else UNREAD_TYPE
    schema = options.get("schema")
    if args and isinstance(args[0], Class) and options.get("values_callable") is None:
        labels = [label for label in args[0].names if not label.startswith("_")]
    whole = len(args) == len(labels) or (args and isinstance(args[0], Class))
    known = tuple(labels) if whole and not any(MARK in label for label in labels) else ()
    return SqlType(qualified(name, schema), name_of(name), schema if isinstance(schema, str) else "", known)


def table_of(value: Any) -> TableValue:
    """The table of a statement: given as such, or as the model of one."""
    if isinstance(value, TableValue):
        return value
    if isinstance(value, Class):
        name = value.find("__tablename__")
        table = value.find("__table__")
        if isinstance(table, TableValue):
            return table
        extra = value.find("__table_args__")
        extra = extra[-1] if isinstance(extra, tuple) and extra else extra
        attributes = {key: part for kind in reversed(value.order) for key, part in kind.names.items()}
        columns = tuple(
            (key, part.name)
            for key, part in attributes.items()
            if isinstance(part, Column) and isinstance(part.name, str) and part.name != key
        )
        return TableValue(name or UNKNOWN_VALUE, extra.get("schema") if isinstance(extra, dict) else None, columns)
    return TableValue(UNKNOWN_VALUE)


def _column(args: Args, options: Options) -> Column:
    """`Column(name, type, …)`, written as CREATE TABLE has it."""
    rest = list(args)
    name = rest.pop(0) if rest and isinstance(rest[0], str) else options.get("name", UNKNOWN_VALUE)
    kind = options.get("type_", rest[0] if rest else None)
    words = [type_of(kind).sql]
    for part in args:
        if isinstance(part, Sql) and part.text.startswith("GENERATED"):
            words.append(part.text)
        elif isinstance(part, Constraint):
            words.append(part.sql)
            if part is kind:
                words[0] = UNREAD_TYPE.sql
    default = options.get("server_default")
    if isinstance(default, Sql) and default.text.startswith("GENERATED"):
        words.append(default.text)
    elif default is not None:
        words.append(f"DEFAULT {expression(default)}")
    if options.get("nullable") is False or options.get("primary_key") is True:
        words.append("NOT NULL")
    return Column(name, kind, " ".join(words))


def _text(args: Args, options: Options) -> Sql:
    text = args[0] if args else options.get("text", options.get("statement"))
    return Sql(text) if isinstance(text, str) else Sql(MARK)


def _named_column(args: Args, options: Options) -> Sql:
    return Sql(quoted(args[0] if args else MARK), name_of(args[0]) if args else "")


def _reference(column: Any) -> str:
    """`REFERENCES table (column)` of SQLAlchemy's `table.column`, or of a column of a table."""
    if isinstance(column, Sql):
        table, _, name = column.text.rpartition(".")
        return f"REFERENCES {table or quoted(MARK)} ({name})"
    parts = column.split(".") if isinstance(column, str) else []
    if len(parts) < 2:
        return f"REFERENCES {quoted(MARK)}"
    return f"REFERENCES {qualified(parts[-2], parts[-3] if len(parts) > 2 else None)} ({quoted(parts[-1])})"


def on_delete(options: Options) -> str:
    """The clause of a foreign key that says what becomes of it."""
    action = options.get("ondelete")
    return f" ON DELETE {action}" if isinstance(action, str) and action.upper() in _ACTIONS else ""


_ACTIONS = {"CASCADE", "SET NULL", "SET DEFAULT", "RESTRICT", "NO ACTION"}


def _foreign_key(args: Args, options: Options) -> Constraint:
    """`ForeignKey("table.column", ondelete=…)` of a column."""
    name = options.get("name")
    called = f"CONSTRAINT {quoted(name)} " if isinstance(name, str) else ""
    return Constraint(called + _reference(args[0] if args else options.get("column")) + on_delete(options))


def _foreign_keys(args: Args, options: Options) -> Constraint:
    """`ForeignKeyConstraint([columns], [table.column, …], ondelete=…)` of a table."""
    columns = args[0] if args else options.get("columns")
    others = args[1] if len(args) > 1 else options.get("refcolumns")
    name = args[2] if len(args) > 2 else options.get("name")
    if not isinstance(columns, (list, tuple)) or not isinstance(others, (list, tuple)) or not others:
        return Constraint("")
    called = f"CONSTRAINT {quoted(name)} " if isinstance(name, str) else ""
    listed = ", ".join(quoted(column) for column in columns)
    target = _reference(others[0]).partition(" (")[0]
    return Constraint(f"{called}FOREIGN KEY ({listed}) {target}{on_delete(options)}")


def _table(args: Args, options: Options) -> TableValue:
    metadata = args[1] if len(args) > 1 else options.get("metadata")
    within = metadata if isinstance(metadata, Metadata) else None
    table = TableValue(args[0] if args else UNKNOWN_VALUE, options.get("schema", within.schema if within else None))
    if within is not None:
        within.tables.append(table)
    return table


def _joined(word: str) -> Callable[[Args, Options], Sql]:
    return lambda args, options: Sql("(" + f" {word} ".join(map(expression, args)) + ")" if args else "true")


def _query(kind: str) -> Callable[[Args, Options], Query]:
    return lambda args, options: Query(kind, table_of(args[0] if args else options.get("table")))


def _generated(args: Args, options: Options) -> Sql:
    return Sql(f"GENERATED ALWAYS AS ({_text(args, options).text}) STORED")


def _first(args: Args, options: Options) -> Any:
    return args[0] if args else UNKNOWN_VALUE


def _sequence(word: str) -> Callable[[Args, Options], Sql]:
    def render(args: Args, options: Options) -> Sql:
        more = " CASCADE" if options.get("cascade") is True else ""
        thing = args[0] if args else UNKNOWN_VALUE
        return Sql(f"{word} {thing.sql if isinstance(thing, TableValue) else quoted(thing)}{more}")

    return render


def _select(args: Args, options: Options) -> Query:
    """Reads, unless it calls a function for what that does."""
    return Query("select", None, calls=_acting(args))


def _acting(args: Args) -> Tuple[str, ...]:
    """The calls of functions in what a query asks for, or by, that may do something."""
    asked = [part for arg in args for part in (arg if isinstance(arg, (list, tuple)) else [arg])]
    found = [call.group(1) for part in asked if isinstance(part, Sql) for call in _CALL.finditer(part.text)]
    return tuple(f"{name}()" for name in found if acts(name))


_CALLS: Dict[str, Callable[[Args, Options], Any]] = {
    "Column": _column,
    "text": _text,
    "DDL": _text,
    "literal_column": _text,
    "TextClause": _text,
    "column": _named_column,
    "table": _table,
    "Table": _table,
    "Sequence": lambda args, options: replace(_table(args[:1], options), kind="SEQUENCE"),
    "Index": lambda args, options: replace(_table(args[:1], {}), kind="INDEX"),
    "MetaData": lambda args, options: Metadata(schema=options.get("schema")),
    "update": _query("update"),
    "delete": _query("delete"),
    "insert": _query("insert"),
    "select": _select,
    "inspect": lambda args, options: Reflection(),
    "Inspector": lambda args, options: Reflection(),
    "Session": lambda args, options: Session(),
    "sessionmaker": lambda args, options: External("sqlalchemy.orm.Session"),
    "scoped_session": lambda args, options: External("sqlalchemy.orm.Session"),
    "and_": _joined("AND"),
    "or_": _joined("OR"),
    "null": lambda args, options: Sql("NULL"),
    "true": lambda args, options: Sql("true"),
    "false": lambda args, options: Sql("false"),
    "literal": lambda args, options: Sql(expression(args[0] if args else UNKNOWN_VALUE)),
    "cast": lambda args, options: Sql(f"({expression(args[0])})::{type_of(args[1]).sql}" if len(args) > 1 else MARK),
    "Computed": _generated,
    "ForeignKey": _foreign_key,
    "ForeignKeyConstraint": _foreign_keys,
    "Identity": lambda args, options: Sql("GENERATED BY DEFAULT AS IDENTITY"),
    "quoted_name": _first,
    "conv": _first,
    "CreateSequence": _sequence("CREATE SEQUENCE"),
    "DropSequence": _sequence("DROP SEQUENCE"),
    "CreateSchema": _sequence("CREATE SCHEMA"),
    "DropSchema": _sequence("DROP SCHEMA"),
    "DropTable": _sequence("DROP TABLE"),
    "CreateTable": lambda args, options: Sql(f"CREATE TABLE {table_of(args[0] if args else None).sql} ()"),
    "DropIndex": _sequence("DROP INDEX"),
    "CreateIndex": lambda args, options: Sql(f"CREATE INDEX ON {MARK} ({MARK})"),
    "DropConstraint": lambda args, options: Sql(f"ALTER TABLE {MARK} DROP CONSTRAINT {MARK}"),
    "AddConstraint": lambda args, options: Sql(f"ALTER TABLE {MARK} ADD CHECK ({MARK})"),
    "create_engine": lambda args, options: Connection(),
}
# Functions that SQL writes without parentheses.
_WITHOUT_PARENTHESES = {"current_date", "current_time", "current_timestamp", "current_user", "localtime", "localtimestamp",
                        "session_user", "user"}  # fmt: skip
# Everything else of it makes an expression, which is not needed in full.
_EXPRESSIONS = {"case", "bindparam", "exists", "not_", "extract", "type_coerce", "collate", "any_", "all_", "between"}


def call(path: str, args: Args, options: Options) -> Any:
    """What a call of a library's function yields; UNKNOWN_VALUE for what is not SQLAlchemy's or says nothing here."""
    name = path.rpartition(".")[2]
    if ".func." in path:
        if name.lower() in _WITHOUT_PARENTHESES:
            return Sql(name)
        given = ", ".join(map(expression, args))
        return Sql(f"{name}({given or ('*' if name == 'count' else '')})")
    if path == "textwrap.dedent" and args and isinstance(args[0], str):
        return textwrap.dedent(args[0])
    if not path.startswith(("sqlalchemy", "sqlmodel", "alembic")):
        return _foreign_type(name, args, options)
    if name in _CALLS:
        return _CALLS[name](args, options)
    if name in _EXPRESSIONS:
        return Sql(MARK)
    refused = _refused(path, args, options)
    if refused:
        raise NeverMade(refused)
    found = make_type(name, args, options)
    return found if found is not UNREAD_TYPE else UNKNOWN_VALUE


def _foreign_type(name: str, args: Args, options: Options) -> Any:
    """A type of another library, or of the project where it hides it, is taken for what it is called."""
    found = make_type(name, args, options) if name[:1].isupper() else UNREAD_TYPE
    return found if found is not UNREAD_TYPE else UNKNOWN_VALUE


def sql_method(value: Sql, name: str, args: Args) -> Sql:
    """A method of an expression; what matters is whether it asks for null."""
    given = args[0] if args else UNKNOWN_VALUE
    if name in ("is_", "__eq__", "is_not", "isnot", "__ne__"):
        positive = name in ("is_", "__eq__")
        if given is None or (isinstance(given, Sql) and given.text == "NULL"):
            return Sql(f"{value.text} IS {'' if positive else 'NOT '}NULL")
        return Sql(f"({value.text} {'=' if positive else '<>'} {expression(given)})")
    if name in (
        "label",
        "bindparams",
        "params",
        "unique_params",
        "columns",
        "execution_options",
        "options",
        "desc",
        "asc",
    ):
        return value
    if name == "cast":
        return Sql(f"({value.text})::{type_of(given).sql}")
    return Sql(MARK)


def query_method(query: Query, name: str, args: Args, options: Options) -> Query:
    """A method of a statement that is being built."""
    if name in ("where", "filter", "having", "select_from", "order_by", "add_columns", "with_only_columns", "join"):
        query = replace(query, calls=(*query.calls, *_acting(args)))
    if name in ("where", "filter"):
        return query.where(list(args))
    if name == "filter_by":
        return query.where([Sql(f"({quoted(key)} = {expression(value)})") for key, value in options.items()])
    if name == "values" or (name == "update" and query.kind == "orm"):
        given: Dict[Any, Any] = dict(options) if name == "values" else {}
        for first in args[:1]:
            part = first[0] if isinstance(first, list) and first else first
            if isinstance(part, dict):
                given.update(part)
            elif isinstance(first, list) and all(isinstance(pair, tuple) and len(pair) == 2 for pair in first):
                given.update(first)
            else:
                given[MARK] = UNKNOWN_VALUE
        if given.pop(REST, None) is not None:  # some of the names are not known
            given[MARK] = UNKNOWN_VALUE
        return query.values(given)
    if name == "on_conflict_do_update":
        changed = options.get("set_", args[3] if len(args) > 3 else UNKNOWN_VALUE)
        told = isinstance(changed, Mapping) and REST not in changed
        return replace(query, overwrites=tuple(map(name_of, changed)) if told else (MARK,))
    if name == "ordered_values":
        return query.values(
            dict(args) if all(isinstance(arg, tuple) and len(arg) == 2 for arg in args) else {MARK: UNKNOWN_VALUE}
        )
    if name == "from_select":
        columns: List[Any] = list(args[0]) if args and isinstance(args[0], (list, tuple)) else []
        return Query(
            query.kind, query.table, tuple((name_of(column), MARK) for column in columns), (), f"SELECT {MARK}"
        )
    return query


def row_values(model: Any) -> Optional[Tuple[str, str]]:
    """The statement that adds an object of a known model, and the table's name."""
    table = table_of(model)
    return (f"INSERT INTO {table.sql} DEFAULT VALUES", name_of(table.name)) if isinstance(table.name, str) else None
