"""Evaluates the expressions of a migration script as far as they are known without running it."""

from __future__ import annotations

import ast
from abc import ABC, abstractmethod
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from ansible.module_utils.rollback.migrations import python_values, sqlalchemy_values
from ansible.module_utils.rollback.migrations.attributes import attribute, column_of
from ansible.module_utils.rollback.migrations.modules import Modules
from ansible.module_utils.rollback.migrations.recorder import Recorder
from ansible.module_utils.rollback.migrations.sql_statement import MARK
from ansible.module_utils.rollback.migrations.values import (
    UNKNOWN_VALUE,
    Class,
    Column,
    Columns,
    Connection,
    Function,
    Instance,
    Member,
    Metadata,
    Method,
    Module,
    Scope,
    Sql,
    TableValue,
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
        found = attribute(self.value(node.value, scope), node.attr, self.lookup)
        return self.call(found, [], {}, None) if _is_property(found) else found

    def _Call(self, node: ast.Call, scope: Scope) -> Any:
        function = self.value(node.func, scope)
        args: List[Any] = []
        for arg in node.args:
            if isinstance(arg, ast.Starred):
                spread = self.value(arg.value, scope)
                args.extend(spread if isinstance(spread, (list, tuple)) else [UNKNOWN_VALUE])
            else:
                args.append(self.value(arg, scope))
        options: Dict[str, Any] = {}
        for keyword in node.keywords:
            value = self.value(keyword.value, scope)
            if keyword.arg is not None:
                options[keyword.arg] = value
            elif isinstance(value, dict):
                options.update((key, part) for key, part in value.items() if isinstance(key, str))
        self.recorder.line = node.lineno
        return self.call(function, args, options, node)

    def _JoinedStr(self, node: ast.JoinedStr, scope: Scope) -> str:
        return "".join(self._piece(part, scope) for part in node.values)

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
        return str(value) if isinstance(value, (str, int, float)) or value is None else MARK

    def _List(self, node: ast.List, scope: Scope) -> List[Any]:
        return list(self._items(node.elts, scope))

    def _Tuple(self, node: ast.Tuple, scope: Scope) -> Tuple[Any, ...]:
        return tuple(self._items(node.elts, scope))

    def _Set(self, node: ast.Set, scope: Scope) -> List[Any]:
        # In the order of the source, which a real set does not keep.
        return list(self._items(node.elts, scope))

    def _items(self, nodes: List[ast.expr], scope: Scope) -> Iterator[Any]:
        for node in nodes:
            if isinstance(node, ast.Starred):
                spread = self.value(node.value, scope)
                yield from spread if isinstance(spread, (list, tuple)) else [UNKNOWN_VALUE]
            else:
                yield self.value(node, scope)

    def _Dict(self, node: ast.Dict, scope: Scope) -> Any:
        found: Dict[Any, Any] = {}
        for key, part in zip(node.keys, node.values):
            value = self.value(part, scope)
            if key is None:
                found.update(value if isinstance(value, dict) else {})
                continue
            name = self.value(key, scope)
            try:
                found[name] = value
            except TypeError:
                return UNKNOWN_VALUE
        return found

    def _Subscript(self, node: ast.Subscript, scope: Scope) -> Any:
        owner, index = self.value(node.value, scope), self._index(node.slice, scope)
        if isinstance(owner, Columns):
            return column_of(owner.table, index)
        if isinstance(owner, Method) and isinstance(owner.owner, Metadata) and owner.name == "tables":
            return TableValue(index)
        if isinstance(owner, Class) and isinstance(index, str):
            return attribute(owner, index, self.lookup)
        if isinstance(owner, (str, list, tuple, dict)) and not isinstance(index, Unknown):
            try:
                return owner[index]
            except (TypeError, KeyError, IndexError):
                return UNKNOWN_VALUE
        return UNKNOWN_VALUE

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
        known = left if isinstance(left, list) else right
        picks = isinstance(known, list) and (name == "BitAnd" or (name == "Sub" and known is left))
        if picks and (isinstance(left, Unknown) or isinstance(right, Unknown)):
            # Of the names that are written here, those which the database has.
            kept = list(known)
            self.open[id(kept)] = kept
            return kept
        return python_values.operate(name, left, right)

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
            value = self.value(part, scope)
            truth = self.held(value)
            if truth is decisive:
                return value if known else decisive
            known = known and truth is not None
            result = value
        return result if known else UNKNOWN_VALUE

    def _Compare(self, node: ast.Compare, scope: Scope) -> Any:
        left = self.value(node.left, scope)
        outcome: Any = True
        for operator, part in zip(node.ops, node.comparators):
            right = self.value(part, scope)
            name = type(operator).__name__
            if isinstance(left, Sql) or isinstance(right, Sql):
                return self._compared(left, name, right)
            held = python_values.compare(name, _bare(left), _bare(right))
            if id(left) in self.open or (id(right) in self.open and held is not (name == "In")):
                held = UNKNOWN_VALUE
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
        one, other = self.value(node.body, scope), self.value(node.orelse, scope)
        return one if same(one, other) else UNKNOWN_VALUE

    def _NamedExpr(self, node: ast.NamedExpr, scope: Scope) -> Any:
        value = self.value(node.value, scope)
        self.bind(node.target, value, scope)
        return value

    def _Lambda(self, node: ast.Lambda, scope: Scope) -> Function:
        return Function(node, scope)

    def _ListComp(self, node: ast.ListComp, scope: Scope) -> Any:
        return self._comprehended(node.generators, scope, lambda inner: self.value(node.elt, inner))

    _SetComp = _GeneratorExp = _ListComp

    def _DictComp(self, node: ast.DictComp, scope: Scope) -> Any:
        pairs = self._comprehended(
            node.generators, scope, lambda inner: (self.value(node.key, inner), self.value(node.value, inner))
        )
        try:
            return dict(pairs) if isinstance(pairs, list) else UNKNOWN_VALUE
        except TypeError:
            return UNKNOWN_VALUE

    def _comprehended(self, parts: List[ast.comprehension], scope: Scope, make: Callable[[Scope], Any]) -> Any:
        """All that a comprehension may yield, UNKNOWN_VALUE if what it goes over is not known."""
        if not parts:
            return [make(scope)]
        items = self.iterated(self.value(parts[0].iter, scope))
        inner = Scope(scope.module, {}, scope)
        if items is None:
            self.bind(parts[0].target, UNKNOWN_VALUE, inner)
            self._comprehended(parts[1:], inner, make)
            return UNKNOWN_VALUE
        found: List[Any] = []
        for item in items:
            self.bind(parts[0].target, item, inner)
            held = [self.truth(test, inner) for test in parts[0].ifs]
            if None in held:
                # What the database decides about may be in it.
                self.open[id(found)] = found
            if False not in held:
                more = self._comprehended(parts[1:], inner, make)
                if not isinstance(more, list):
                    return UNKNOWN_VALUE
                found.extend(more)
        return found

    def iterated(self, value: Any) -> Optional[List[Any]]:
        """What a loop goes over, None if it is not known or too much."""
        return None if id(value) in self.open and not value else _iterated(value)


def _is_property(value: Any) -> bool:
    if not isinstance(value, Method) or not isinstance(value.owner, Instance):
        return False
    found = value.owner.of.find(value.name)
    return isinstance(found, Function) and found.decorated("property")


def _iterated(value: Any) -> Optional[List[Any]]:
    if isinstance(value, Class) and value.is_enum:
        members = [(name, part) for name, part in value.names.items() if not isinstance(part, Function)]
        return [Member(name, part) for name, part in members if not name.startswith("_")]
    if isinstance(value, (list, tuple, dict, str, set)) and len(value) <= python_values.MOST_TURNS:
        return list(value)
    return None


def same(one: Any, other: Any) -> bool:
    """Whether two values are known to be the same."""
    return one is other or (type(one) is type(other) and not isinstance(one, Unknown) and bool(one == other))


def _truth(value: Any) -> Optional[bool]:
    if value is None or isinstance(value, (bool, int, float, str, list, tuple, dict, set)):
        return bool(value)
    if isinstance(value, (Connection, Function, Class, Column, TableValue)):
        return True
    return None


def _bare(value: Any) -> Any:
    return value.value if isinstance(value, Member) and isinstance(value.value, str) else value
