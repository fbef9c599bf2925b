"""What names can stand for while a migration script is read: plain Python values, and these."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field, replace
from typing import Any, Dict, List, Optional, Tuple

from ansible.module_utils.rollback.migrations.sql_statement import MARK


class Unknown:
    """What only the running migration knows. Whatever is made of it is unknown too.

    `truth` is set where at least that is certain (`row or "none"`). What is `harmless` does nothing to the database when its
    methods are called: rows that were read, loggers, files.
    """

    def __init__(self, truth: Optional[bool] = None, harmless: bool = False) -> None:
        self.truth, self.harmless = truth, harmless

    def __repr__(self) -> str:
        return MARK


UNKNOWN_VALUE = Unknown()
HARMLESS_VALUE = Unknown(harmless=True)
TRUTHY_VALUE, FALSY_VALUE = Unknown(True), Unknown(False)


class Told(str):
    """Text that somebody says the running migration has, good for a name: it may have none instead, so it decides nothing."""


class Items(List[Any]):
    """A set, in the order in which the script writes it."""


@dataclass(frozen=True)
class External:
    """A name of a library, by its dotted path (`sqlalchemy.Column`, `alembic.op.drop_table`)."""

    path: str

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]


@dataclass(frozen=True)
class Method:
    """A method of a value, not called yet."""

    owner: Any
    name: str


class Connection:
    """The connection, engine or bind that the migration runs on."""


class Session:
    """An ORM session on that connection."""


class Dialect:
    """That of the connection: PostgreSQL, always."""


class Context:
    """Alembic's migration context."""


class Reflection:
    """`sa.inspect(bind)`: what the live database has, which a reader of scripts cannot know."""


@dataclass(frozen=True)
class SqlType:
    """A column type as PostgreSQL spells it. `enum` is its name if it is a type of its own, `schema` where that is.

    `labels` are those of an enum, none where they are not known.
    """

    sql: str
    enum: str = ""
    schema: str = ""
    labels: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Column:
    """A column definition: `sql` is its type, default and constraints as CREATE TABLE has them."""

    name: Any
    type: Any
    sql: str


@dataclass(frozen=True)
class Constraint:
    """A constraint of a table or column that is being made, as CREATE TABLE has it. Only foreign keys are of interest."""

    sql: str


@dataclass(frozen=True)
class TableValue:
    """A table that a statement is built on, or that a model stands for. Either name may be UNKNOWN_VALUE."""

    name: Any
    schema: Any = None
    # What the attributes of a model are called in the database, where that is something else.
    columns: Tuple[Tuple[str, str], ...] = ()
    kind: str = "TABLE"

    @property
    def sql(self) -> str:
        return qualified(self.name, self.schema)


@dataclass(eq=False)
class Metadata:
    """`MetaData()`, with the tables that the script has put into it. `whole` is False where others may have put more."""

    tables: List[TableValue] = field(default_factory=list)
    whole: bool = True
    schema: Any = None


@dataclass(frozen=True)
class Columns:
    """`table.c`."""

    table: TableValue


@dataclass(frozen=True)
class Sql:
    """A piece of SQL: a text, or an expression of SQLAlchemy's. `column` is the bare name if it is a plain column."""

    text: str
    column: str = ""


@dataclass(frozen=True)
class Query:
    """A statement that is being built with SQLAlchemy's methods. `calls` are functions that a SELECT is made for."""

    kind: str
    table: Any
    sets: Tuple[Tuple[str, str], ...] = ()
    conditions: Tuple[str, ...] = ()
    source: str = ""
    calls: Tuple[str, ...] = ()
    # The columns that `ON CONFLICT DO UPDATE` overwrites.
    overwrites: Tuple[str, ...] = ()

    def where(self, conditions: List[Any]) -> "Query":
        return replace(self, conditions=(*self.conditions, *(expression(part) for part in conditions)))

    def values(self, given: Dict[Any, Any]) -> "Query":
        called = dict(self.table.columns) if isinstance(self.table, TableValue) else {}
        names = ((name_of(key), expression(value)) for key, value in given.items())
        sets = tuple((called.get(name, name), value) for name, value in names)
        return replace(self, sets=(*self.sets, *sets))

    @property
    def sql(self) -> str:
        """The statement, with the mark in place of what is not known."""
        table = self.table.sql if isinstance(self.table, TableValue) else MARK
        where = f" WHERE {' AND '.join(self.conditions)}" if self.conditions else ""
        if self.kind == "update":
            sets = ", ".join(f"{quoted(name)} = {value}" for name, value in self.sets) or f"{MARK} = {MARK}"
            return f"UPDATE {table} SET {sets}{where}"  # noqa: S608 read here, never run
        if self.kind == "delete":
            return f"DELETE FROM {table}{where}"  # noqa: S608 read here, never run
        if self.kind == "insert":
            names = f" ({', '.join(quoted(name) for name, _ in self.sets)})" if self.sets else ""
            source = self.source or (f"SELECT {MARK}" if self.sets else "DEFAULT VALUES")
            sets = ", ".join(f"{quoted(name)} = {MARK}" for name in self.overwrites)
            conflict = f" ON CONFLICT ({MARK}) DO UPDATE SET {sets}" if sets else ""
            return f"INSERT INTO {table}{names} {source}{conflict}"
        return f"SELECT {MARK}"


@dataclass(eq=False)
class Module:
    """A first-party module: its top-level statements by the names they bind, run only when a name is asked for."""

    path: str
    tree: ast.Module
    bindings: Dict[str, List[ast.stmt]]
    names: Dict[str, Any] = field(default_factory=dict)
    done: List[ast.stmt] = field(default_factory=list)


@dataclass(eq=False)
class Function:
    """A function of the script or of a helper module, with the names it was defined among."""

    node: Any
    scope: "Scope"
    # What arguments are by default, as far as that was evaluated at the definition, as Python does it.
    defaults: Dict[str, Any] = field(default_factory=dict)

    def decorated(self, name: str) -> bool:
        """Whether a decorator of that plain name stands above it; a lambda has none."""
        parts = getattr(self.node, "decorator_list", ())
        return any(name in (getattr(part, "id", ""), getattr(part, "attr", "")) for part in parts)


@dataclass(eq=False)
class Class:
    """A class: a model, an enum, a column type. `names` are what its body assigns."""

    name: str
    names: Dict[str, Any]
    bases: Tuple[Any, ...]
    scope: "Scope"
    # The attributes that are declared with a type, in order: what a dataclass or a NamedTuple is made of.
    fields: Tuple[str, ...] = ()

    @property
    def is_enum(self) -> bool:
        names = [base.name for base in self.bases if isinstance(base, (External, Class))]
        return any(name.endswith(("Enum", "Flag")) for name in names)

    @property
    def is_text(self) -> bool:
        """Whether the members of an enum are strings: `class Colour(str, Enum)`, or a StrEnum."""
        names = [base.name for base in self.bases if isinstance(base, (External, Class))]
        return "str" in names or "StrEnum" in names

    @property
    def is_type(self) -> bool:
        """Whether it is a column type: one that decorates another, or extends one of a library."""
        if self.find("impl") is not None or self.find("get_col_spec") is not None:
            return True
        return any(base.is_type if isinstance(base, Class) else _is_library_type(base) for base in self.bases)

    @property
    def order(self) -> List["Class"]:
        """The class and the known ones above it, in the order in which Python looks for an attribute."""
        found = [self, *(above for base in self.bases if isinstance(base, Class) for above in base.order)]
        return [kind for place, kind in enumerate(found) if kind not in found[place + 1 :]]

    def find(self, name: str) -> Optional[Any]:
        """An attribute of the class or of the classes above it that are known."""
        return next((kind.names[name] for kind in self.order if name in kind.names), None)


@dataclass(frozen=True)
class Member:
    """A member of an enum class; `is_text` if it is a string besides."""

    name: str
    value: Any
    is_text: bool = False


@dataclass(eq=False)
class Instance:
    """An object of a known class, with the attributes that its methods have set."""

    of: Class
    names: Dict[str, Any] = field(default_factory=dict)


@dataclass
class Frame:
    """One call of a function: of which, with what, and what it has returned and yielded so far."""

    node: Any
    given: Tuple[Any, ...] = ()
    returned: List[Any] = field(default_factory=list)
    yielded: List[Any] = field(default_factory=list)
    # Whether it may yield fewer than that.
    perhaps_yielded: bool = False


@dataclass(frozen=True, eq=False)
class Parent:
    """What `super()` returns for `owner`: `classes` are those that Python searches after the one whose method asks."""

    owner: Any
    classes: Tuple[Class, ...]

    def find(self, name: str) -> Optional[Any]:
        """An attribute of these classes."""
        return next((kind.names[name] for kind in self.classes if name in kind.names), None)


@dataclass(eq=False)
class Scope:
    """Local names, and where to look for the others."""

    module: Module
    names: Dict[str, Any] = field(default_factory=dict)
    outer: Optional["Scope"] = None
    # Where names live that are declared `global` or `nonlocal` here.
    declared: Dict[str, Dict[str, Any]] = field(default_factory=dict)
    comprehension: bool = False


@dataclass(frozen=True)
class Batch:
    """`batch_alter_table`'s table."""

    table: Any
    schema: Any = None
    recreated: bool = False


def quoted(name: Any) -> str:
    """An identifier as SQL takes it whatever it holds."""
    return '"' + name_of(name).replace('"', '""') + '"'


def qualified(name: Any, schema: Any = None) -> str:
    """A name as SQL takes it. An empty schema is none, as it is to Alembic."""
    return f"{quoted(schema)}.{quoted(name)}" if schema is not None and schema != "" else quoted(name)


def name_of(value: Any) -> str:
    """The name that a value stands for where Alembic and SQLAlchemy want one; the mark if it cannot be known."""
    if isinstance(value, str):
        return value
    if isinstance(value, Sql) and value.column:
        return value.column
    if isinstance(value, (Column, TableValue)):
        return name_of(value.name)
    return MARK


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def expression(value: Any) -> str:
    """A value as an SQL expression."""
    if isinstance(value, Sql):
        return value.text
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, str):
        return literal(value)
    return MARK


def _is_library_type(base: Any) -> bool:
    return isinstance(base, External) and base.name in (
        "TypeDecorator",
        "UserDefinedType",
        "TypeEngine",
        "JSON",
        "String",
    )
