"""Walks through a migration's statements as PostgreSQL would see them, without running any of it.

Both ways of a condition are taken where only the running migration could decide; loops over what is known are unrolled,
others walked through once.
"""

from __future__ import annotations

import ast
from contextlib import contextmanager
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

from ansible.module_utils.rollback.migrations.calls import Raised
from ansible.module_utils.rollback.migrations.evaluator import TooMuch, same
from ansible.module_utils.rollback.migrations.imports import Importer
from ansible.module_utils.rollback.migrations.python_values import MOST_TURNS, readable
from ansible.module_utils.rollback.migrations.sql_statement import MARK
from ansible.module_utils.rollback.migrations.values import (
    UNKNOWN_VALUE,
    Class,
    External,
    Frame,
    Function,
    Instance,
    Method,
    Module,
    Query,
    Scope,
)

# A function that calls itself goes through data that nobody here knows, as a rule: once more shows nothing new.
_DEEPEST, _MOST_OF_ONE = 40, 2

# How a block ended.
_NEXT, _RETURNED, _CONTINUED, _BROKEN = "next", "returned", "continued", "broken"


class _Yielded(List[Any]):
    """What a generator function yields, all of it."""


class Interpreter(Importer):
    """One walk through one function of a script; the recorder has what it does."""

    # Whether a loop may have been left on a condition that only the running migration knows.
    perhaps_broken = False

    def function(self, module: Module, node: ast.FunctionDef) -> None:
        """Walks through a function of the script. Raises Raised if it always does, TooMuch if it does not end."""
        self.recorder.path = module.path
        self.run(Function(node, Scope(module)), [], {})

    def run(self, function: Function, args: Sequence[Any], options: Dict[str, Any]) -> Any:
        node = function.node
        if len(self.frames) > _DEEPEST:
            raise TooMuch
        given = (*args, *options.values())
        around = [frame.given for frame in self.frames if frame.node is node]
        if len(around) >= _MOST_OF_ONE and (given == around[-1] or not all(map(readable, given))):
            return UNKNOWN_VALUE
        scope = Scope(function.scope.module, {}, function.scope)
        self._arguments(node.args, args, options, scope)
        if isinstance(node, ast.Lambda):
            return self.value(node.body, scope)
        recorder = self.recorder
        place = (recorder.path, recorder.line)
        recorder.path = function.scope.module.path
        frame = Frame(node, given)
        self.frames.append(frame)
        try:
            ended = self.block(node.body, scope)
        except Raised as error:
            if not frame.returned:
                raise
            # It may have returned before, on a condition.
            self._refuses(error)
            ended = _RETURNED
        finally:
            self.frames.pop()
            recorder.path, recorder.line = place
        if frame.yielded:
            return _Yielded(frame.yielded)
        results = [*frame.returned, *([] if ended == _RETURNED else [None])]
        return results[0] if results and all(same(results[0], other) for other in results[1:]) else UNKNOWN_VALUE

    def _arguments(self, expected: ast.arguments, args: Sequence[Any], options: Dict[str, Any], scope: Scope) -> None:
        """Binds arguments as Python does; what is missing has its default, or is not known."""
        outer = scope.outer or scope
        names = [part.arg for part in (*expected.posonlyargs, *expected.args)]
        defaults = dict(zip(reversed(names), reversed(expected.defaults)))
        given = dict(zip(names, args))
        for part, default in zip(expected.kwonlyargs, expected.kw_defaults):
            names.append(part.arg)
            if default is not None:
                defaults[part.arg] = default
        for name in names:
            if name in given:
                scope.names[name] = given[name]
            elif name in options:
                scope.names[name] = options[name]
            else:
                scope.names[name] = self.value(defaults[name], outer) if name in defaults else UNKNOWN_VALUE
        if expected.vararg is not None:
            scope.names[expected.vararg.arg] = tuple(args[len(expected.posonlyargs) + len(expected.args) :])
        if expected.kwarg is not None:
            scope.names[expected.kwarg.arg] = {key: value for key, value in options.items() if key not in names}

    def block(self, statements: Sequence[ast.stmt], scope: Scope) -> str:
        """Walks through statements, and says how that ended. Raises Raised if it cannot but raise."""
        for statement in statements:
            ended = self.statement(statement, scope)
            if ended != _NEXT:
                return ended
        return _NEXT

    def statement(self, node: ast.stmt, scope: Scope) -> str:
        self.recorder.line = node.lineno
        walk = getattr(self, f"_do_{type(node).__name__}", None)
        return _NEXT if walk is None else walk(node, scope) or _NEXT

    def _do_Expr(self, node: ast.Expr, scope: Scope) -> None:
        self.statement_call = node.value
        self.value(node.value, scope)

    def _do_Assign(self, node: ast.Assign, scope: Scope) -> None:
        value = self.value(node.value, scope)
        for target in node.targets:
            self.bind(target, value, scope)

    def _do_AnnAssign(self, node: ast.AnnAssign, scope: Scope) -> None:
        if node.value is not None:
            self.bind(node.target, self.value(node.value, scope), scope)

    def _do_AugAssign(self, node: ast.AugAssign, scope: Scope) -> None:
        load = ast.Name(node.target.id, ast.Load()) if isinstance(node.target, ast.Name) else node.target
        self.bind(node.target, self.value(ast.BinOp(load, node.op, node.value), scope), scope)

    def bind(self, target: ast.AST, value: Any, scope: Scope) -> None:
        """Gives a value to a name, to several, or to a place in something."""
        if isinstance(target, ast.Name):
            scope.names[target.id] = value
        elif isinstance(target, (ast.Tuple, ast.List)):
            parts = list(value) if isinstance(value, (list, tuple)) else []
            fits = len(parts) == len(target.elts) and not any(isinstance(part, ast.Starred) for part in target.elts)
            for place, part in zip(target.elts, parts if fits else [UNKNOWN_VALUE] * len(target.elts)):
                self.bind(place, part, scope)
        elif isinstance(target, ast.Starred):
            self.bind(target.value, UNKNOWN_VALUE, scope)
        elif isinstance(target, ast.Subscript):
            owner: Any = self.value(target.value, scope)
            index: Any = self.value(target.slice, scope)
            if self.uncertain and isinstance(owner, (dict, list)):
                self.open[id(owner)] = owner
            fits = isinstance(owner, list) and isinstance(index, int) and -len(owner) <= index < len(owner)
            if fits or (isinstance(owner, dict) and isinstance(index, (str, int))):
                owner[index] = value
        elif isinstance(target, ast.Attribute):
            owner = self.value(target.value, scope)
            if isinstance(owner, Instance):
                owner.names[target.attr] = value
            else:
                self.changes(owner)

    def _do_If(self, node: ast.If, scope: Scope) -> str:
        known = self.truth(node.test, scope)
        if known is not None:
            return self.block(node.body if known else node.orelse, scope)
        return self._either([node.body, node.orelse], scope)

    def _either(self, ways: Sequence[Sequence[ast.stmt]], scope: Scope) -> str:
        """Walks through each of several ways, of which the running migration takes one."""
        before = dict(scope.names)
        ended: List[Tuple[str, Dict[str, Any]]] = []
        refused: List[Raised] = []
        for way in ways:
            scope.names.clear()
            scope.names.update(before)
            self.uncertain += 1
            self.recorder.certain = False
            try:
                how = self.block(way, scope)
            except Raised as error:
                refused.append(error)
            else:
                ended.append((how, dict(scope.names)))
            finally:
                self.uncertain -= 1
                self.recorder.certain = not self.uncertain
        if not ended:
            raise refused[0]
        for refusal in refused:
            self._refuses(refusal)
        going_on = [names for how, names in ended if how == _NEXT] or [names for _, names in ended]
        scope.names.clear()
        for name in dict.fromkeys(name for names in going_on for name in names):
            values = [names.get(name, UNKNOWN_VALUE) for names in going_on]
            scope.names[name] = values[0] if all(_alike(values[0], other) for other in values[1:]) else UNKNOWN_VALUE
        hows = {how for how, _ in ended}
        self.perhaps_broken = self.perhaps_broken or (_BROKEN in hows and len(hows) > 1)
        return hows.pop() if len(hows) == 1 else _NEXT

    def _refuses(self, error: Raised) -> None:
        recorder = self.recorder
        place = (recorder.path, recorder.line)
        recorder.path, recorder.line = error.path, error.line
        reason = f"Refuses on a condition that only the running migration knows. {error.reason}."
        if not any(
            (done.path, done.line, done.kind) == (error.path, error.line, "refuses") for done in recorder.operations
        ):
            recorder.note("refuses", reason.replace(MARK, "…"))
        recorder.path, recorder.line = place

    def _do_For(self, node: ast.For, scope: Scope) -> str:
        items = self.iterated(self.value(node.iter, scope))
        with self._loop():
            if items is None:
                self.bind(node.target, UNKNOWN_VALUE, scope)
                self._perhaps(node.body, scope)
            else:
                for item in items:
                    self.bind(node.target, item, scope)
                    if self.block(node.body, scope) == _RETURNED:
                        return _RETURNED
        return self.block(node.orelse, scope)

    _do_AsyncFor = _do_For

    @contextmanager
    def _loop(self) -> Iterator[None]:
        """Whether a loop may have been left says nothing about the one around it."""
        outer, self.perhaps_broken = self.perhaps_broken, False
        try:
            yield
        finally:
            self.perhaps_broken = outer

    def perhaps(self, function: Function) -> None:
        before = self.recorder.certain
        self.uncertain += 1
        self.recorder.certain = False
        try:
            self.run(function, [], {})
        except Raised as error:
            self._refuses(error)
        finally:
            self.uncertain -= 1
            self.recorder.certain = before

    def _perhaps(self, body: Sequence[ast.stmt], scope: Scope) -> None:
        """A block that runs any number of times: once more where it changes what it works on, which then nobody knows."""
        before = dict(scope.names)
        self._either([body, []], scope)
        if any(name in before and not same(before[name], value) for name, value in scope.names.items()):
            with self.recorder.without_repeats():
                self._either([body, []], scope)

    def _do_While(self, node: ast.While, scope: Scope) -> str:
        """As often as its condition is known to hold; where only the running migration knows when it ends, any number of times."""
        with self._loop():
            for _ in range(MOST_TURNS):
                known = self.truth(node.test, scope)
                if known is False:
                    return self.block(node.orelse, scope)
                if known is None or self.perhaps_broken:
                    with self.recorder.without_repeats():
                        self._perhaps(node.body, scope)
                    return _NEXT
                ended = self.block(node.body, scope)
                if ended in (_RETURNED, _BROKEN):
                    return ended if ended == _RETURNED else _NEXT
        raise TooMuch

    def _do_Try(self, node: ast.Try, scope: Scope) -> str:
        """The way without an error, and perhaps its handlers. Where the body always raises, the first one is taken."""
        try:
            ended = self.block(node.body, scope)
            if ended == _NEXT:
                ended = self.block(node.orelse, scope)
            for handler in node.handlers:
                with self.recorder.without_refusals():  # what they raise was raised before
                    self._either([handler.body, []], scope)
        except Raised:
            if not node.handlers:
                raise
            ended = self.block(node.handlers[0].body, scope)
        finally:
            self.block(node.finalbody, scope)
        return ended

    _do_TryStar = _do_Try

    def _do_With(self, node: ast.With, scope: Scope) -> str:
        recorder, outside, suppressed = self.recorder, 0, False
        entered: List[Instance] = []
        for item in node.items:
            manager = self.value(item.context_expr, scope)
            if isinstance(manager, External) and manager.path == "alembic.context.autocommit_block":
                outside = 1
                reason = "Commits every step before it, and what stands in it at once: a later failure takes none of it back."
                recorder.note("autocommit_block", reason, transactional=False)
            suppressed = suppressed or (isinstance(manager, External) and manager.name == "suppress")
            if isinstance(manager, Instance):
                entered.append(manager)
                self.call(Method(manager, "__enter__"), [], {}, None)
            if item.optional_vars is not None:
                self.bind(item.optional_vars, manager[0] if isinstance(manager, _Yielded) else manager, scope)
        recorder.outside += outside
        try:
            return self.block(node.body, scope)
        except Raised:
            if not suppressed:
                raise
            return _NEXT
        finally:
            recorder.outside -= outside
            for instance in reversed(entered):
                self.call(Method(instance, "__exit__"), [None, None, None], {}, None)

    _do_AsyncWith = _do_With

    def _do_Match(self, node: Any, scope: Scope) -> str:
        self.value(node.subject, scope)
        return self._either([*(case.body for case in node.cases), []], scope)

    def _do_Return(self, node: ast.Return, scope: Scope) -> str:
        value = self.value(node.value, scope)
        if self.frames:
            self.frames[-1].returned.append(value)
        return _RETURNED

    def _Yield(self, node: ast.Yield, scope: Scope) -> Any:
        value = self.value(node.value, scope)
        if self.frames:
            self.frames[-1].yielded.append(value)
        return UNKNOWN_VALUE

    def _Await(self, node: ast.Await, scope: Scope) -> Any:
        return self.value(node.value, scope)

    def _do_Break(self, node: ast.Break, scope: Scope) -> str:
        return _BROKEN

    def _do_Continue(self, node: ast.Continue, scope: Scope) -> str:
        return _CONTINUED

    def _do_Raise(self, node: ast.Raise, scope: Scope) -> None:
        raise Raised(_said(node.exc, self, scope), self.recorder.path, node.lineno)

    def _do_Assert(self, node: ast.Assert, scope: Scope) -> None:
        if self.truth(node.test, scope) is False:
            raise Raised("Asserts what never holds", self.recorder.path, node.lineno)

    def _do_FunctionDef(self, node: ast.FunctionDef, scope: Scope) -> None:
        scope.names[node.name] = Function(node, scope)

    _do_AsyncFunctionDef = _do_FunctionDef

    def _do_ClassDef(self, node: ast.ClassDef, scope: Scope) -> None:
        inner = Scope(scope.module, {}, scope)
        bases = tuple(self.value(base, scope) for base in node.bases)
        made = Class(node.name, inner.names, bases, inner)
        for statement in node.body:
            self.statement(statement, inner)
        scope.names[node.name] = made


def _alike(one: Any, other: Any) -> bool:
    """Whether it does not matter which of two values it is; what is selected does not."""
    selects = [isinstance(value, Query) and value.kind == "select" for value in (one, other)]
    return all(selects) or same(one, other)


def _said(node: Optional[ast.expr], interpreter: Interpreter, scope: Scope) -> str:
    """A sentence about what is raised, with its message if that is known."""
    message = ""
    if isinstance(node, ast.Call):
        texts = [interpreter.value(arg, scope) for arg in node.args[:1]]
        message = " ".join(texts[0].split()) if texts and isinstance(texts[0], str) else ""
        node = node.func
    name = ast.unparse(node) if node is not None else "an exception"
    return f"Raises {name}: {message}".rstrip(".") if message else f"Raises {name}"
