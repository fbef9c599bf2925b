"""Evaluates the expressions of a migration script as far as they are known without running it."""

from __future__ import annotations

import ast
from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from ansible.module_utils.rollback.migrations import python_values, sqlalchemy_values
from ansible.module_utils.rollback.migrations.attributes import attribute, column_of
from ansible.module_utils.rollback.migrations.modules import Modules
from ansible.module_utils.rollback.migrations.recorder import Recorder
from ansible.module_utils.rollback.migrations.sql_statement import MARK
from ansible.module_utils.rollback.migrations.sqlalchemy_values import REST
from ansible.module_utils.rollback.migrations.values import (
    FALSY_VALUE,
    HARMLESS_VALUE,
    TRUTHY_VALUE,
    UNKNOWN_VALUE,
    Class,
    Column,
    Columns,
    Connection,
    Context,
    External,
    Function,
    Instance,
    Items,
    Member,
    Metadata,
    Method,
    Module,
    Scope,
    Sql,
    TableValue,
    Told,
    Unknown,
    expression,
)

# Expressions that are worth evaluating for one function: hundreds of times what the longest migrations we know take.
_MOST_STEPS = 300_000


class TooMuch(Exception):
    """The script does more, or calls deeper, than is worth following."""


class Evaluator(ABC):
    """Expressions. What statements and calls do is the interpreter's part, which is built on this."""

    def __init__(self, modules: Modules, recorder: Recorder) -> None:
        self.modules, self.recorder = modules, recorder
        # Above 0 where the running migration may not come at all, or come more than once.
        self.uncertain = 0
        # Lists and such that were changed there: what they hold at the end is not known. By id, and kept from reuse.
        self.open: Dict[int, Any] = {}
        self._left = _MOST_STEPS

    @abstractmethod
    def call(self, function: Any, args: List[Any], options: Dict[str, Any], node: Optional[ast.Call]) -> Any:
        """Part of what is built on this."""

    @abstractmethod
    def bind(self, target: ast.AST, value: Any, scope: Scope) -> None:
        """Part of what is built on this."""

    @abstractmethod
    def lookup(self, module: Module, name: str) -> Any:
        """Part of what is built on this."""

    def value(self, node: Optional[ast.AST], scope: Scope) -> Any:
        """What an expression stands for, UNKNOWN_VALUE where only the running migration can tell."""
        if node is None:
            return None
        self._left -= 1
        if self._left < 0:
            raise TooMuch
        read = getattr(self, f"_{type(node).__name__}", None)
        return read(node, scope) if read is not None else self._unread(node, scope)

    def truth(self, node: ast.AST, scope: Scope) -> Optional[bool]:
        """Whether a condition holds on PostgreSQL, None if that is not known."""
        return self.held(self.value(node, scope))

    def held(self, value: Any) -> Optional[bool]:
        """The truth of a value; a list that may have grown or not says nothing."""
        return None if id(value) in self.open else _truth(value)

    def opened(self, value: Any) -> Any:
        """Note of a list, set or dict that what it holds is not known for certain."""
        if isinstance(value, (list, tuple, dict)):
            self.open[id(value)] = value
        return value

    def closed(self, value: Any) -> Any:
        """A value for Python's own functions, which know nothing of what is open."""
        return UNKNOWN_VALUE if id(value) in self.open else value

    def settled(self, value: Any) -> bool:
        """Whether nothing in a value is unknown: what hangs on it may be decided."""
        if isinstance(value, (list, tuple)):
            return id(value) not in self.open and all(map(self.settled, value))
        if isinstance(value, dict):
            known = all(map(self.settled, value)) and all(map(self.settled, value.values()))
            return id(value) not in self.open and known
        return python_values.settled(value)

    @contextmanager
    def perhaps_done(self) -> Iterator[None]:
        """While it is not certain that the running migration comes by."""
        before = self.recorder.certain
        self.uncertain += 1
        self.recorder.certain = False
        try:
            with self.recorder.reader.schema.names.perhaps():
                yield
        finally:
            self.uncertain -= 1
            self.recorder.certain = before

    def _unread(self, node: ast.AST, scope: Scope) -> Any:
        """A kind of expression that is of no interest itself; what stands in it may still do something."""
        for part in ast.iter_child_nodes(node):
            if isinstance(part, ast.expr):
                self.value(part, scope)
        return UNKNOWN_VALUE

    def _Constant(self, node: ast.Constant, scope: Scope) -> Any:
        return node.value

    def _Name(self, node: ast.Name, scope: Scope) -> Any:
        here: Optional[Scope] = scope
        while here is not None:
            if node.id in here.names:
                return here.names[node.id]
            here = here.outer
        return self.lookup(scope.module, node.id)

    def _Attribute(self, node: ast.Attribute, scope: Scope) -> Any:
        owner = self.value(node.value, scope)
        if isinstance(owner, Context) and node.attr == "version_table_schema":
            return Told(self.modules.version_table_schema)
        found = attribute(owner, node.attr, self.lookup)
        if isinstance(found, External) and not found.path.startswith(("alembic", "sqlalchemy", "builtins")):
            found = self.modules.named(found.path) or found  # in a package without __init__.py
        return self.call(found, [], {}, None) if _is_property(found) else found

    def _Call(self, node: ast.Call, scope: Scope) -> Any:
        function = self.value(node.func, scope)
        args: List[Any] = []
        for arg in node.args:
            if isinstance(arg, ast.Starred):
                spread = self.value(arg.value, scope)
                known = isinstance(spread, (list, tuple)) and id(spread) not in self.open
                args.extend(spread if known else [UNKNOWN_VALUE])
            else:
                args.append(self.value(arg, scope))
        options: Dict[str, Any] = {}
        for keyword in node.keywords:
            value = self.value(keyword.value, scope)
            if keyword.arg is not None:
                options[keyword.arg] = value
                continue
            if isinstance(value, dict):
                options.update((key, part) for key, part in value.items() if isinstance(key, str))
            if not isinstance(value, dict) or id(value) in self.open:
                options[REST] = UNKNOWN_VALUE
        self.recorder.line = node.lineno
        return self.call(function, args, options, node)

    def _JoinedStr(self, node: ast.JoinedStr, scope: Scope) -> str:
        pieces = [self._piece(part, scope) for part in node.values]
        text = "".join(pieces)
        return Told(text) if any(isinstance(piece, Told) for piece in pieces) else text

    def _piece(self, part: ast.AST, scope: Scope) -> str:
        value = self.value(part.value if isinstance(part, ast.FormattedValue) else part, scope)
        if isinstance(part, ast.FormattedValue) and (part.format_spec is not None or part.conversion not in (-1, 115)):
            return repr(value) if part.conversion == 114 and isinstance(value, str) else MARK
        if isinstance(value, Member):
            value = value.value
        if isinstance(value, TableValue):
            return value.sql
        if isinstance(value, Sql):
            return value.text
        if isinstance(value, str):
            return value
        return str(value) if isinstance(value, (int, float)) or value is None else MARK

    def _List(self, node: ast.List, scope: Scope) -> List[Any]:
        found, whole = self._items(node.elts, scope)
        return found if whole else self.opened(found)

    def _Tuple(self, node: ast.Tuple, scope: Scope) -> Tuple[Any, ...]:
        found, whole = self._items(node.elts, scope)
        return tuple(found) if whole else self.opened(tuple(found))

    def _Set(self, node: ast.Set, scope: Scope) -> List[Any]:
        return self.unique(*self._items(node.elts, scope))

    def unique(self, items: List[Any], whole: bool = True) -> Items:
        """A set of such items, each once; which of them are equal is not known of what is unknown."""
        found = Items()
        for item in items:
            if not (self.settled(item) and item in found):
                found.append(item)
        return found if whole and self.settled(found) else self.opened(found)

    def _items(self, nodes: List[ast.expr], scope: Scope) -> Tuple[List[Any], bool]:
        """The items of a display, and whether they are all."""
        found: List[Any] = []
        whole = True
        for node in nodes:
            if isinstance(node, ast.Starred):
                spread = self.value(node.value, scope)
                known = isinstance(spread, (list, tuple))
                whole = whole and known and id(spread) not in self.open
                found += spread if known else [UNKNOWN_VALUE]
            else:
                found.append(self.value(node, scope))
        return found, whole

    def _Dict(self, node: ast.Dict, scope: Scope) -> Any:
        found: Dict[Any, Any] = {}
        for key, part in zip(node.keys, node.values):
            value = self.value(part, scope)
            if key is None:
                if not isinstance(value, dict) or id(value) in self.open:
                    self.opened(found)
                found.update(value if isinstance(value, dict) else {})
                continue
            name = self.value(key, scope)
            try:
                found[name] = value
            except TypeError:
                return UNKNOWN_VALUE
            if not self.settled(name):
                self.opened(found)
        return found

    def _Subscript(self, node: ast.Subscript, scope: Scope) -> Any:
        owner, index = self.value(node.value, scope), self._index(node.slice, scope)
        if isinstance(owner, Columns):
            return column_of(owner.table, index)
        if isinstance(owner, Method) and isinstance(owner.owner, Metadata) and owner.name == "tables":
            return TableValue(index)
        if isinstance(owner, Class) and isinstance(index, str):
            return attribute(owner, index, self.lookup)
        if python_values.is_marked(owner):
            return MARK
        if id(owner) in self.open and isinstance(index, slice):
            return self.opened(list(owner))
        if isinstance(owner, (str, list, tuple, dict)) and id(owner) not in self.open and not isinstance(owner, Items):
            try:
                return owner[index] if isinstance(index, slice) or self.settled(index) else UNKNOWN_VALUE
            except (TypeError, KeyError, IndexError):
                return UNKNOWN_VALUE
        return derived(owner)

    def _index(self, node: ast.AST, scope: Scope) -> Any:
        if isinstance(node, ast.Slice):
            parts = [self.value(part, scope) for part in (node.lower, node.upper, node.step)]
            return slice(*parts) if all(isinstance(part, int) or part is None for part in parts) else UNKNOWN_VALUE
        return self.value(node, scope)

    def _BinOp(self, node: ast.BinOp, scope: Scope) -> Any:
        left, right = self.value(node.left, scope), self.value(node.right, scope)
        name = type(node.op).__name__
        if isinstance(left, Sql) or isinstance(right, Sql):
            word = {"BitAnd": "AND", "BitOr": "OR"}.get(name)
            return Sql(f"({expression(left)} {word} {expression(right)})" if word else MARK)
        known = left if isinstance(left, Items) else right
        picks = isinstance(known, Items) and (name == "BitAnd" or (name == "Sub" and known is left))
        if picks and not (self.settled(left) and self.settled(right)):
            # Of the names that are written here, those which the database has.
            return self.opened(Items(known))
        partly = [side for side in (left, right) if id(side) in self.open]
        if partly and name in ("Add", "BitOr") and type(left) is type(right):
            return self.opened(python_values.operate(name, left, right))
        return python_values.operate(name, self.closed(left), self.closed(right), self.settled)

    def _UnaryOp(self, node: ast.UnaryOp, scope: Scope) -> Any:
        value = self.value(node.operand, scope)
        if isinstance(node.op, ast.Not):
            known = self.held(value)
            return UNKNOWN_VALUE if known is None else not known
        if isinstance(value, Sql):
            return Sql(MARK)
        return -value if isinstance(node.op, ast.USub) and isinstance(value, (int, float)) else UNKNOWN_VALUE

    def _BoolOp(self, node: ast.BoolOp, scope: Scope) -> Any:
        """Stops where the result is known, as Python does."""
        decisive = isinstance(node.op, ast.Or)
        result: Any = None
        known = True
        for part in node.values:
            if known:
                value = self.value(part, scope)
            else:
                with self.perhaps_done():
                    value = self.value(part, scope)
            truth = self.held(value)
            if truth is decisive:
                return value if known else TRUTHY_VALUE if decisive else FALSY_VALUE
            if not decisive or value not in ("", None) or not isinstance(result, Told):
                result = value
            known = known and truth is not None
        # `schema or ""`: of a schema that may be none, that is still the schema.
        return result if known or (decisive and isinstance(result, Told)) else UNKNOWN_VALUE

    def _Compare(self, node: ast.Compare, scope: Scope) -> Any:
        left = self.value(node.left, scope)
        outcome: Any = True
        for operator, part in zip(node.ops, node.comparators):
            right = self.value(part, scope)
            name = type(operator).__name__
            if isinstance(left, Sql) or isinstance(right, Sql):
                return self._compared(left, name, right)
            held: Any = UNKNOWN_VALUE
            if name not in ("In", "NotIn") or id(right) not in self.open:
                held = python_values.compare(name, _bare(left), _bare(right), self.settled)
            if held is False:
                return False
            outcome = held if outcome is True else outcome
            left = right
        return outcome

    @staticmethod
    def _compared(left: Any, name: str, right: Any) -> Sql:
        if isinstance(left, Sql) and name in ("Eq", "NotEq"):
            return sqlalchemy_values.sql_method(left, "__eq__" if name == "Eq" else "__ne__", [right])
        word = {"Lt": "<", "LtE": "<=", "Gt": ">", "GtE": ">=", "Eq": "=", "NotEq": "<>"}.get(name)
        return Sql(f"({expression(left)} {word} {expression(right)})" if word else MARK)

    def _IfExp(self, node: ast.IfExp, scope: Scope) -> Any:
        known = self.truth(node.test, scope)
        if known is not None:
            return self.value(node.body if known else node.orelse, scope)
        with self.perhaps_done():
            one, other = self.value(node.body, scope), self.value(node.orelse, scope)
        return one if self.alike(one, other) else UNKNOWN_VALUE

    def alike(self, one: Any, other: Any) -> bool:
        """Whether two values are known to be the same."""
        if one is other:
            return True
        partly = id(one) in self.open or id(other) in self.open
        return same(one, other) and not partly and self.settled(one) is self.settled(other)

    def _NamedExpr(self, node: ast.NamedExpr, scope: Scope) -> Any:
        value = self.value(node.value, scope)
        around = scope
        while around.comprehension and around.outer is not None:
            around = around.outer
        certain = around is scope or not self.uncertain or self.alike(around.names.get(node.target.id), value)
        self.bind(node.target, value if certain else UNKNOWN_VALUE, around)
        return value

    def _Lambda(self, node: ast.Lambda, scope: Scope) -> Function:
        return self.defined(node, scope)

    @abstractmethod
    def defined(self, node: Any, scope: Scope) -> Function:
        """Part of what is built on this."""

    def _ListComp(self, node: ast.ListComp, scope: Scope) -> Any:
        return self._comprehended(node.generators, scope, lambda inner: self.value(node.elt, inner))

    def _GeneratorExp(self, node: ast.GeneratorExp, scope: Scope) -> Any:
        found = self._comprehended(node.generators, scope, lambda inner: self.value(node.elt, inner))
        # A generator is true in Python even where it yields nothing.
        return self.opened(found) if found == [] else found

    def _SetComp(self, node: ast.SetComp, scope: Scope) -> Any:
        found = self._comprehended(node.generators, scope, lambda inner: self.value(node.elt, inner))
        return self.unique(found, id(found) not in self.open) if isinstance(found, list) else UNKNOWN_VALUE

    def _DictComp(self, node: ast.DictComp, scope: Scope) -> Any:
        pairs = self._comprehended(
            node.generators, scope, lambda inner: (self.value(node.key, inner), self.value(node.value, inner))
        )
        try:
            found = dict(pairs) if isinstance(pairs, list) else UNKNOWN_VALUE
        except TypeError:
            return UNKNOWN_VALUE
        certain = isinstance(found, Unknown) or (id(pairs) not in self.open and all(map(self.settled, found)))
        return found if certain else self.opened(found)

    def _comprehended(self, parts: List[ast.comprehension], scope: Scope, make: Callable[[Scope], Any]) -> Any:
        """All that a comprehension may yield, UNKNOWN_VALUE if what it goes over is not known."""
        if not parts:
            return [make(scope)]
        source = self.value(parts[0].iter, scope)
        items = self.iterated(source)
        inner = Scope(scope.module, {}, scope, comprehension=True)
        if items is None:
            with self.perhaps_done():
                self.bind(parts[0].target, derived(source), inner)
                for test in parts[0].ifs:
                    self.value(test, inner)
                self._comprehended(parts[1:], inner, make)
            return UNKNOWN_VALUE
        found: List[Any] = []
        for item in items:
            self.bind(parts[0].target, item, inner)
            held: Optional[bool] = True
            for test in parts[0].ifs:
                truth = self.truth(test, inner)
                held = truth if truth is not True else held
                if truth is False:
                    break
            if held is None or id(source) in self.open:
                # What the database decides about may be in it.
                self.opened(found)
                if held is not False:
                    with self.perhaps_done():
                        more = self._comprehended(parts[1:], inner, make)
            elif held:
                more = self._comprehended(parts[1:], inner, make)
            if held is not False:
                if not isinstance(more, list):
                    return UNKNOWN_VALUE
                if id(more) in self.open:
                    self.opened(found)
                found.extend(more)
        return found

    def iterated(self, value: Any) -> Optional[List[Any]]:
        """What a loop goes over, None if it is not known or too much."""
        if python_values.is_marked(value):
            return None
        return None if id(value) in self.open and not value else _iterated(value)


def _is_property(value: Any) -> bool:
    if not isinstance(value, Method) or not isinstance(value.owner, Instance):
        return False
    found = value.owner.of.find(value.name)
    return isinstance(found, Function) and (found.decorated("property") or found.decorated("cached_property"))


def _iterated(value: Any) -> Optional[List[Any]]:
    if isinstance(value, Class) and value.is_enum:
        members = [(name, part) for name, part in value.names.items() if not isinstance(part, Function)]
        return [Member(name, part, value.is_text) for name, part in members if not name.startswith("_")]
    if isinstance(value, (list, tuple, dict, str)) and len(value) <= python_values.MOST_TURNS:
        return list(value)
    return None


def same(one: Any, other: Any) -> bool:
    """Whether two values are known to be the same."""
    return one is other or (type(one) is type(other) and not isinstance(one, Unknown) and bool(one == other))


# Libraries that are called for their own effect, which is not in the database.
HARMLESS = {
    "abc", "argparse", "asyncio", "atexit", "builtins", "click", "collections", "contextlib", "copy", "csv", "datetime",
    "decimal", "enum", "functools", "gc", "hashlib", "inspect", "io", "itertools", "json", "locale", "logging", "loguru",
    "math", "operator", "os", "pathlib", "pprint", "random", "re", "rich", "secrets", "shutil", "signal", "statistics",
    "string", "structlog", "sys", "tempfile", "textwrap", "time", "traceback", "tqdm", "typer", "types", "typing", "uuid",
    "warnings", "zoneinfo",
}  # fmt: skip
# Builtins whose result may be anything that the program has.
_REVEALING = ("next", "vars", "globals", "locals", "eval", "getattr", "map", "filter")


def harmless(value: Any) -> bool:
    """Whether methods of something unknown do nothing to the database, by what it came from."""
    while isinstance(value, Method):
        value = value.owner
    if isinstance(value, External):
        return _is_harmless(value.path)
    return isinstance(value, Unknown) and value.harmless


def _is_harmless(path: str) -> bool:
    root, _, rest = path.partition(".")
    return root in HARMLESS and not path.startswith("sys.modules") and not (root == "builtins" and rest in _REVEALING)


def derived(value: Any) -> Unknown:
    """What is taken out of something unknown, or yielded by it."""
    return HARMLESS_VALUE if harmless(value) else UNKNOWN_VALUE


def _truth(value: Any) -> Optional[bool]:
    if isinstance(value, Unknown):
        return value.truth
    if python_values.is_marked(value):
        return None
    if value is None or isinstance(value, (bool, int, float, str, list, tuple, dict)):
        return bool(value)
    if isinstance(value, (Connection, Function, Class, Column, TableValue)):
        return True
    return None


def _bare(value: Any) -> Any:
    return value.value if isinstance(value, Member) and value.is_text and isinstance(value.value, str) else value
