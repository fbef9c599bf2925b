"""Walks through a migration's statements as PostgreSQL would see them, without running any of it.

Both ways of a condition are taken where only the running migration could decide; loops over what is known are unrolled,
others walked through once.
"""

from __future__ import annotations

import ast
import builtins
from contextlib import contextmanager, nullcontext
from typing import Any, Dict, Iterator, List, Optional, Sequence, Set, Tuple

from ansible.module_utils.rollback.migrations.calls import HOOKS, SUPPRESSING, Raised
from ansible.module_utils.rollback.migrations.evaluator import TooMuch, derived, same
from ansible.module_utils.rollback.migrations.imports import Importer
from ansible.module_utils.rollback.migrations.modules import Modules
from ansible.module_utils.rollback.migrations.python_values import MOST_TURNS, readable
from ansible.module_utils.rollback.migrations.recorder import Recorder
from ansible.module_utils.rollback.migrations.sql_statement import MARK
from ansible.module_utils.rollback.migrations.sqlalchemy_values import REST
from ansible.module_utils.rollback.migrations.values import (
    UNKNOWN_VALUE,
    Class,
    External,
    Frame,
    Function,
    Instance,
    Method,
    Module,
    Parent,
    Query,
    Scope,
    Unknown,
)

# A function that calls itself goes through data that nobody here knows, as a rule: once more shows nothing new.
_DEEPEST, _MOST_OF_ONE = 40, 2

# How a block ended.
_NEXT, _RETURNED, _CONTINUED, _BROKEN = "next", "returned", "continued", "broken"


class _Yielded(List[Any]):
    """What a generator function yields, all of it. `catches`: as a context manager, it may keep an error from going on."""

    catches = False


class Interpreter(Importer):
    """One walk through one function of a script; the recorder has what it does."""

    def __init__(self, modules: Modules, recorder: Recorder) -> None:
        super().__init__(modules, recorder)
        # The ways by which what runs now may have been left on a condition that only the running migration knows, and the
        # names of a loop's body where it was.
        self.ways: Set[str] = set()
        self._names_left: List[Dict[str, Any]] = []
        # Of each block that an error may end, and after which the migration goes on: its names, now and after each statement.
        self._interruptible: List[Tuple[Dict[str, Any], List[Dict[str, Any]]]] = []

    def function(self, module: Module, node: ast.FunctionDef) -> None:
        """Walks through a function of the script. Raises Raised if it always does, TooMuch if it does not end."""
        self.recorder.path = self.home = module.path
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
        self._arguments(function, args, options, scope)
        if isinstance(node, ast.Lambda):
            return self.value(node.body, scope)
        recorder = self.recorder
        place = (recorder.path, recorder.line)
        recorder.path = function.scope.module.path
        frame = Frame(node, given)
        self.frames.append(frame)
        ways, self.ways = self.ways, set()
        try:
            ended = self.block(node.body, scope)
        except Raised as error:
            if not frame.returned:
                raise
            # It may have returned before, on a condition.
            self._refuses(error)
            ended = _RETURNED
        finally:
            self.ways = ways
            self.frames.pop()
            recorder.path, recorder.line = place
        if frame.yielded:
            found = _Yielded(frame.yielded)
            found.catches = any(map(_catches, ast.walk(node)))
            return self.opened(found) if frame.perhaps_yielded else found
        results = [*frame.returned, *([] if ended == _RETURNED else [None])]
        return results[0] if results and all(self.alike(results[0], other) for other in results[1:]) else UNKNOWN_VALUE

    def parent(self, args: Sequence[Any]) -> Any:
        """The classes above the one that is named, or whose method is running. UNKNOWN_VALUE outside of a known class."""
        frame = self.frames[-1] if self.frames else Frame(None)
        owner = args[1] if len(args) > 1 else frame.given[0] if frame.given else None
        if not isinstance(owner, (Instance, Class)):
            return UNKNOWN_VALUE
        order = (owner.of if isinstance(owner, Instance) else owner).order
        for place, kind in enumerate(order):
            defined = [part.node for part in kind.names.values() if isinstance(part, Function)]
            if kind is args[0] if args else frame.node in defined:
                return Parent(owner, tuple(order[place + 1 :]))
        return UNKNOWN_VALUE

    def _arguments(self, function: Function, args: Sequence[Any], options: Dict[str, Any], scope: Scope) -> None:
        """Binds arguments as Python does; what is missing has its default, or is not known."""
        expected, outer = function.node.args, scope.outer or scope
        names = [part.arg for part in (*expected.posonlyargs, *expected.args)]
        given, defaults = dict(zip(names, args)), _defaults(expected)
        names += [part.arg for part in expected.kwonlyargs]
        for name in names:
            if name in given:
                scope.names[name] = given[name]
            elif name in options:
                scope.names[name] = options[name]
            else:
                known = name in defaults and REST not in options
                found = function.defaults
                value = found[name] if name in found else self.value(defaults[name], outer) if known else UNKNOWN_VALUE
                scope.names[name] = value
        if expected.vararg is not None:
            more = tuple(args[len(expected.posonlyargs) + len(expected.args) :])
            # Where something unknown was spread out, nobody knows how many there are.
            unknown = any(isinstance(arg, Unknown) for arg in args)
            scope.names[expected.vararg.arg] = self.opened(more) if unknown else more
        if expected.kwarg is not None:
            rest = {key: value for key, value in options.items() if key not in names and key != REST}
            scope.names[expected.kwarg.arg] = self.opened(rest) if REST in options else rest

    def defined(self, node: Any, scope: Scope) -> Function:
        """A function. Those of other modules are many, so that their defaults are evaluated when they are called."""
        inside = bool(self.frames) and self.frames[-1].node is not None
        eager = _defaults(node.args) if inside or scope.module.path == self.home else {}
        return Function(node, scope, {name: self.value(default, scope) for name, default in eager.items()})

    def block(self, statements: Sequence[ast.stmt], scope: Scope) -> str:
        """Walks through statements, and says how that ended. Raises Raised if it cannot but raise."""
        before = set(self.ways)
        for position, statement in enumerate(statements, 1):
            ended = self.statement(statement, scope)
            if ended != _NEXT:
                return ended
            left = self.ways - before
            if left and position < len(statements):
                with self.perhaps_done():
                    try:
                        return self.block(statements[position:], scope)
                    except Raised as error:
                        self._refuses(error)
                        return next(one for one in (_BROKEN, _CONTINUED, _RETURNED) if one in left)
        return _NEXT

    def statement(self, node: ast.stmt, scope: Scope) -> str:
        self.recorder.line = node.lineno
        walk = getattr(self, f"_do_{type(node).__name__}", None)
        ended = _NEXT if walk is None else walk(node, scope) or _NEXT
        for names, moments in self._interruptible:
            if names is scope.names:
                moments.append(dict(names))
        return ended

    def _do_Expr(self, node: ast.Expr, scope: Scope) -> None:
        self._for_effect(node.value, scope)

    def _for_effect(self, node: ast.expr, scope: Scope) -> Any:
        """The value of an expression that stands where nobody takes its result."""
        before, self.effects = self.effects, list(_effects(node))
        try:
            return self.value(node, scope)
        finally:
            self.effects = before

    def _do_Global(self, node: ast.Global, scope: Scope) -> None:
        scope.declared.update(dict.fromkeys(node.names, scope.module.names))

    def _do_Nonlocal(self, node: ast.Nonlocal, scope: Scope) -> None:
        for name in node.names:
            outer = scope.outer
            while outer is not None and name not in outer.names:
                outer = outer.outer
            if outer is not None:
                scope.declared[name] = outer.names

    def _do_Delete(self, node: ast.Delete, scope: Scope) -> None:
        for target in node.targets:
            if isinstance(target, ast.Subscript):
                owner = self.value(target.value, scope)
                index = self._index(target.slice, scope)
                self.changes(owner)
                if self.uncertain or not (isinstance(index, slice) or self.settled(index)):
                    self.opened(owner)
                    continue
                try:
                    if isinstance(owner, (list, dict)):
                        del owner[index]
                except (KeyError, IndexError, TypeError):
                    self.opened(owner)
            elif isinstance(target, ast.Name):
                scope.names.pop(target.id, None)

    def _do_Assign(self, node: ast.Assign, scope: Scope) -> None:
        value = self.value(node.value, scope)
        for target in node.targets:
            self.bind(target, value, scope)

    def _do_AnnAssign(self, node: ast.AnnAssign, scope: Scope) -> None:
        if node.value is not None:
            self.bind(node.target, self.value(node.value, scope), scope)

    def _do_AugAssign(self, node: ast.AugAssign, scope: Scope) -> None:
        load = ast.Name(node.target.id, ast.Load()) if isinstance(node.target, ast.Name) else node.target
        before = self.value(load, scope)
        if isinstance(before, (list, dict)):  # changes in place, under whatever names it has
            given = self.value(node.value, scope)
            name = "extend" if isinstance(before, list) and isinstance(node.op, ast.Add) else "update"
            fits = isinstance(given, dict) if name == "update" else isinstance(given, (list, tuple))
            if fits and isinstance(before, dict if name == "update" else list):
                self.call(Method(before, name), [given], {}, None)
                return
            self.opened(before)
        self.bind(node.target, self.value(ast.BinOp(load, node.op, node.value), scope), scope)

    def bind(self, target: ast.AST, value: Any, scope: Scope) -> None:
        """Gives a value to a name, to several, or to a place in something."""
        if isinstance(target, ast.Name):
            names = scope.declared.get(target.id)
            if names is None:
                scope.names[target.id] = value
            else:
                certain = not self.uncertain or self.alike(names.get(target.id, UNKNOWN_VALUE), value)
                names[target.id] = value if certain else UNKNOWN_VALUE
                scope.names.pop(target.id, None)
        elif isinstance(target, (ast.Tuple, ast.List)):
            known = isinstance(value, (list, tuple)) and id(value) not in self.open
            parts = list(value) if known else []
            fits = len(parts) == len(target.elts) and not any(isinstance(part, ast.Starred) for part in target.elts)
            for place, part in zip(target.elts, parts if fits else [derived(value)] * len(target.elts)):
                self.bind(place, part, scope)
        elif isinstance(target, ast.Starred):
            self.bind(target.value, UNKNOWN_VALUE, scope)
        elif isinstance(target, ast.Subscript):
            owner: Any = self.value(target.value, scope)
            index: Any = self._index(target.slice, scope)
            fits = isinstance(owner, list) and isinstance(index, int) and -len(owner) <= index < len(owner)
            fits = fits or (isinstance(owner, dict) and isinstance(index, (str, int)) and self.settled(index))
            if self.uncertain or not fits:
                self.opened(owner)
            if fits:
                owner[index] = value
        elif isinstance(target, ast.Attribute):
            owner = self.value(target.value, scope)
            if isinstance(owner, Instance):
                certain = not self.uncertain or self.alike(owner.names.get(target.attr, UNKNOWN_VALUE), value)
                owner.names[target.attr] = value if certain else UNKNOWN_VALUE
            elif isinstance(owner, Class):
                owner.names[target.attr] = UNKNOWN_VALUE if self.uncertain else value
            elif isinstance(owner, Module) or (
                isinstance(owner, External) and owner.path.startswith(("alembic", "sqlalchemy"))
            ):
                self.recorder.unread(f"Gives a module another {target.attr}")
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
        schema_names = self.recorder.reader.schema.names
        doubtful, found = schema_names.doubtful, set(schema_names.doubtful)
        for way in ways:
            scope.names.clear()
            scope.names.update(before)
            schema_names.doubtful = set(doubtful)  # what another way has renamed is not renamed in this one
            with self.perhaps_done():
                try:
                    how = self.block(way, scope)
                except Raised as error:
                    refused.append(error)
                else:
                    ended.append((how, dict(scope.names)))
            found |= schema_names.doubtful
        schema_names.doubtful = found
        if not ended:
            raise refused[0]
        for refusal in refused:
            self._refuses(refusal)
        return self._joined(ended, scope)

    def _joined(self, ended: Sequence[Tuple[str, Dict[str, Any]]], scope: Scope) -> str:
        """How several ways end of which one was taken, each with the names after it."""
        self._merge(scope, [names for how, names in ended if how == _NEXT] or [names for _, names in ended])
        hows = [how for how, _ in ended]
        how = next(one for one in (_NEXT, _BROKEN, _CONTINUED, _RETURNED) if one in hows)
        self.ways.update(set(hows) - {how})
        self._names_left += [names for one, names in ended if one in (_BROKEN, _CONTINUED) and one != how]
        return how

    def _merge(self, scope: Scope, going_on: Sequence[Dict[str, Any]]) -> None:
        """Give a scope the names that it has whichever way was taken."""
        scope.names.clear()
        for name in dict.fromkeys(name for names in going_on for name in names):
            values = [names.get(name, UNKNOWN_VALUE) for names in going_on]
            certain = all(self.alike(values[0], other) or _selects(values[0], other) for other in values[1:])
            scope.names[name] = values[0] if certain else UNKNOWN_VALUE

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
        source = self.value(node.iter, scope)
        items = self.iterated(source)
        with self._loop():
            if items is None:
                self.bind(node.target, derived(source), scope)
                self._perhaps(node.body, scope)
            else:
                partly = id(source) in self.open
                ended = self._over(items, partly, node, scope)
                if ended in (_RETURNED, _BROKEN):
                    return ended if ended == _RETURNED else _NEXT
                if partly:
                    self.bind(node.target, UNKNOWN_VALUE, scope)
            perhaps = _BROKEN in self.ways
        return self._either([node.orelse, []], scope) if perhaps and node.orelse else self.block(node.orelse, scope)

    _do_AsyncFor = _do_For

    def _over(self, items: Sequence[Any], partly: bool, node: ast.For, scope: Scope) -> str:
        """Walk through the body for each item; `partly` if any of them may not come."""
        for position, item in enumerate(items):
            self.bind(node.target, item, scope)
            self.ways.discard(_CONTINUED)  # of the turn before
            ended = self._either([node.body, []], scope) if partly else self.block(node.body, scope)
            self._merge_left(scope)
            if ended in (_RETURNED, _BROKEN) and _CONTINUED not in self.ways:
                return ended
            if ended in (_RETURNED, _BROKEN):
                self.ways.add(ended)
            if not partly and {_BROKEN, _RETURNED} & self.ways:
                return self._over_rest(items[position + 1 :], node, scope)
        return _NEXT

    def _over_rest(self, items: Sequence[Any], node: ast.For, scope: Scope) -> str:
        """The turns of a loop that may have been left before."""
        before = dict(scope.names)
        with self.perhaps_done():
            for item in items:
                self.bind(node.target, item, scope)
                ended = self.block(node.body, scope)
                self._merge_left(scope)
                if ended in (_RETURNED, _BROKEN):
                    self.ways.add(ended)
                    if _CONTINUED not in self.ways:
                        break
        self._merge(scope, [before, dict(scope.names)])
        return _NEXT

    def _merge_left(self, scope: Scope) -> None:
        """Take in the names of those ways through a loop's body that left it early."""
        if self._names_left:
            self._merge(scope, [dict(scope.names), *self._names_left])
            self._names_left = []

    @contextmanager
    def _loop(self) -> Iterator[None]:
        """Whether a loop may have been left says nothing about the one around it, unless the function is left with it."""
        outer, names = self.ways, self._names_left
        self.ways, self._names_left = set(), []
        try:
            yield
        finally:
            self.ways, self._names_left = outer | (self.ways & {_RETURNED}), names

    def perhaps(self, function: Function) -> None:
        with self.perhaps_done():
            try:
                self.run(function, [], {})
            except Raised as error:
                self._refuses(error)

    def _perhaps(self, body: Sequence[ast.stmt], scope: Scope) -> None:
        """A block that runs any number of times: once more where it changes what it works on, which then nobody knows."""
        before = dict(scope.names)
        self._either([body, []], scope)
        self._merge_left(scope)
        if any(name in before and not same(before[name], value) for name, value in scope.names.items()):
            with self.recorder.without_repeats():
                self._either([body, []], scope)
                self._merge_left(scope)

    def _do_While(self, node: ast.While, scope: Scope) -> str:
        """As often as its condition is known to hold; where only the running migration knows when it ends, any number of times."""
        with self._loop():
            for _ in range(MOST_TURNS):
                known = self.truth(node.test, scope)
                if known is False:
                    return self.block(node.orelse, scope)
                if known is None or {_BROKEN, _RETURNED} & self.ways:
                    with self.recorder.without_repeats():
                        self._perhaps(node.body, scope)
                        self._either([node.orelse, []], scope)
                    return _NEXT
                self.ways.discard(_CONTINUED)  # of the turn before
                ended = self.block(node.body, scope)
                self._merge_left(scope)
                if ended in (_RETURNED, _BROKEN) and _CONTINUED in self.ways:
                    self.ways.add(ended)
                elif ended in (_RETURNED, _BROKEN):
                    return ended if ended == _RETURNED else _NEXT
        raise TooMuch

    def _do_Try(self, node: ast.Try, scope: Scope) -> str:
        """The way without an error, and perhaps one of the handlers. Where the body always raises, it is one of them."""
        moments = [dict(scope.names)]
        leaves = _leaves(node.finalbody)
        # An error that somebody around it catches passes by what is done in the end.
        passing = leaves or bool(node.finalbody and self._interruptible)
        ended = last = _NEXT
        try:
            try:
                with self._interrupted(scope, moments) if node.handlers or passing else nullcontext():
                    ended = self.block(node.body, scope)
            except Raised as error:
                # What came before it may have raised anything else.
                at_once = (error.path, error.line) == (self.recorder.path, node.body[0].lineno)
                catching = [one for one in node.handlers if not at_once or _may_catch(one, error)]
                if not catching and not leaves:
                    raise
                self._merge(scope, [*moments, dict(scope.names)])
                ways = [_caught(handler) for handler in catching] or [[]]
                ended = self._either(ways, scope) if len(ways) > 1 else self.block(ways[0], scope)
            else:
                ended = self._handled(node, ended, moments, scope)
        finally:
            if passing:
                self._merge_moments(scope, moments)
            last = self.block(node.finalbody, scope)
        return ended if last == _NEXT else last

    def _handled(self, node: ast.Try, ended: str, moments: Sequence[Dict[str, Any]], scope: Scope) -> str:
        """What follows a body that may have raised: its `else` if it has not, or perhaps a handler, and how all that ended."""
        after = dict(scope.names)
        ways: List[Tuple[str, Dict[str, Any]]] = []
        for handler in node.handlers:
            scope.names.clear()
            scope.names.update(after)
            self._merge_moments(scope, moments)
            with self.recorder.without_refusals(), self.perhaps_done():  # what they raise was raised before
                try:
                    ways.append((self.block(_caught(handler), scope), dict(scope.names)))
                except Raised as error:
                    self._refuses(error)
        scope.names.clear()
        scope.names.update(after)
        if ended == _NEXT:
            with self.perhaps_done() if ways else nullcontext():
                try:
                    ended = self.block(node.orelse, scope)
                except Raised as error:
                    if not ways:
                        raise
                    self._refuses(error)
                else:
                    ways.append((ended, dict(scope.names)))
        else:
            ways.append((ended, dict(scope.names)))
        return self._joined(ways, scope)

    @contextmanager
    def _interrupted(self, scope: Scope, moments: List[Dict[str, Any]]) -> Iterator[None]:
        """While an error may end what runs at any place, and the migration goes on elsewhere.

        `moments` takes in the names after each statement. What is changed in place is not known for certain from then on.
        """
        self._interruptible.append((scope.names, moments))
        try:
            with self.perhaps_done():
                yield
        finally:
            self._interruptible.pop()

    def _merge_moments(self, scope: Scope, moments: Sequence[Dict[str, Any]]) -> None:
        """Give a scope the names that it has whenever it was left: after one of these moments, or now."""
        after = dict(scope.names)
        self._merge(scope, [*({**after, **names} for names in moments), after])

    _do_TryStar = _do_Try

    def _do_With(self, node: ast.With, scope: Scope) -> str:
        recorder, outside, suppressed = self.recorder, 0, False
        entered: List[Instance] = []
        for item in node.items:
            manager = self._for_effect(item.context_expr, scope)
            if isinstance(manager, External) and manager.path == "alembic.context.autocommit_block":
                outside = 1
                reason = "Commits every step before it, and what stands in it at once: a later failure takes none of it back."
                recorder.note("autocommit_block", reason, transactional=False)
            suppressed = suppressed or _suppresses(manager)
            if isinstance(manager, Instance):
                entered.append(manager)
                self.call(Method(manager, "__enter__"), [], {}, None)
            if item.optional_vars is not None:
                self.bind(item.optional_vars, manager[0] if isinstance(manager, _Yielded) else manager, scope)
        recorder.outside += outside
        moments = [dict(scope.names)]
        try:
            with self._interrupted(scope, moments) if suppressed else nullcontext():
                ended = self.block(node.body, scope)
            if suppressed:
                self._merge_moments(scope, moments)
            return ended
        except Raised:
            if not suppressed:
                raise
            self._merge(scope, [*moments, dict(scope.names)])
            return _NEXT
        finally:
            recorder.outside -= outside
            for instance in reversed(entered):
                self.call(Method(instance, "__exit__"), [None, None, None], {}, None)

    _do_AsyncWith = _do_With

    def _do_Match(self, node: Any, scope: Scope) -> str:
        self.value(node.subject, scope)
        for case in node.cases:
            for part in ast.walk(case.pattern):
                for name in (getattr(part, "name", None), getattr(part, "rest", None)):
                    if isinstance(name, str):
                        scope.names[name] = UNKNOWN_VALUE
            if case.guard is not None:
                with self.perhaps_done():
                    self.value(case.guard, scope)
        return self._either([*(case.body for case in node.cases), []], scope)

    def _do_Return(self, node: ast.Return, scope: Scope) -> str:
        # Alembic takes no result of the migration itself.
        take = self._for_effect if len(self.frames) == 1 else self.value
        value = take(node.value, scope) if node.value is not None else None
        if self.frames:
            self.frames[-1].returned.append(value)
        return _RETURNED

    def _Yield(self, node: ast.Yield, scope: Scope) -> Any:
        value = self.value(node.value, scope)
        if self.frames:
            self.frames[-1].yielded.append(value)
            self.frames[-1].perhaps_yielded |= bool(self.uncertain)
        return UNKNOWN_VALUE

    def _YieldFrom(self, node: ast.YieldFrom, scope: Scope) -> Any:
        source = self.value(node.value, scope)
        items = self.iterated(source)
        if self.frames:
            partly = items is None or id(source) in self.open or bool(self.uncertain)
            self.frames[-1].yielded += [derived(source)] if items is None else items
            self.frames[-1].perhaps_yielded |= partly
        return UNKNOWN_VALUE

    def _Await(self, node: ast.Await, scope: Scope) -> Any:
        return self.value(node.value, scope)

    def _do_Break(self, node: ast.Break, scope: Scope) -> str:
        return _BROKEN

    def _do_Continue(self, node: ast.Continue, scope: Scope) -> str:
        return _CONTINUED

    def _do_Raise(self, node: ast.Raise, scope: Scope) -> None:
        raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        name = raised.id if isinstance(raised, ast.Name) else ""
        raise Raised(_said(node.exc, self, scope), self.recorder.path, node.lineno, error=name)

    def _do_Assert(self, node: ast.Assert, scope: Scope) -> None:
        if self.truth(node.test, scope) is False:
            raise Raised("Asserts what never holds", self.recorder.path, node.lineno, error="AssertionError")

    def _do_FunctionDef(self, node: ast.FunctionDef, scope: Scope) -> None:
        made: Any = self.defined(node, scope)
        # What decorates the functions of an application is as large as the application.
        own = scope.module.path == self.home
        for part in reversed(node.decorator_list if own else ()):
            decorator = self.value(part, scope)
            called = part.func if isinstance(part, ast.Call) else part
            if isinstance(decorator, Function):
                found = self.run(decorator, [made], {})
                made = found if isinstance(found, Function) else made
            elif isinstance(decorator, (Instance, Class, _Yielded)):
                # What it makes of the function is not followed: it may run, with any errors caught.
                if isinstance(made, Function):
                    self.perhaps(made)
                made = UNKNOWN_VALUE
            elif (called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")) in HOOKS:
                self.perhaps(self.defined(node, scope))
        scope.names[node.name] = made

    _do_AsyncFunctionDef = _do_FunctionDef

    def _do_ClassDef(self, node: ast.ClassDef, scope: Scope) -> None:
        inner = Scope(scope.module, {}, scope)
        bases = tuple(self.value(base, scope) for base in node.bases)
        above = [name for base in bases if isinstance(base, Class) for name in base.fields]
        own = [
            part.target.id
            for part in node.body
            if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name)
        ]
        made = Class(node.name, inner.names, bases, inner, tuple(dict.fromkeys([*above, *own])))
        for statement in node.body:
            self.statement(statement, inner)
        scope.names[node.name] = made


def _effects(node: ast.AST) -> Iterator[ast.AST]:
    """The calls of an expression that stands by itself: those whose results go nowhere."""
    if isinstance(node, ast.Call):
        yield node
        called = getattr(node.func, "id", "")
        if called in ("list", "tuple", "set", "any", "all") and node.args:
            yield from _effects(node.args[0])
    elif isinstance(node, (ast.Await, ast.Starred)):
        yield from _effects(node.value)
    elif isinstance(node, ast.BoolOp):
        for part in node.values:
            yield from _effects(part)
    elif isinstance(node, ast.IfExp):
        yield from _effects(node.body)
        yield from _effects(node.orelse)
    elif isinstance(node, (ast.ListComp, ast.SetComp, ast.GeneratorExp)):
        yield from _effects(node.elt)
    elif isinstance(node, (ast.Tuple, ast.List)):
        for part in node.elts:
            yield from _effects(part)


def _catches(node: ast.AST) -> bool:
    """Whether a statement may keep an error from going on: unless a handler cannot but raise, or by a manager in its turn."""
    if isinstance(node, ast.Try):
        return _leaves(node.finalbody)
    if isinstance(node, ast.ExceptHandler):
        return _leaves(node.body) or not isinstance(node.body[-1], ast.Raise)
    return isinstance(node, (ast.With, ast.AsyncWith, ast.YieldFrom))


def _suppresses(manager: Any) -> bool:
    """Whether a context manager may keep an error from going on. Those of libraries do not, but for contextlib's."""
    if isinstance(manager, _Yielded):
        return manager.catches
    if isinstance(manager, Instance):
        above = [base for kind in manager.of.order for base in kind.bases if isinstance(base, External)]
        leaving = manager.of.find("__exit__") or manager.of.find("__aexit__")
        if leaving is None:
            return any(base.name in SUPPRESSING for base in above)
        return not isinstance(leaving, Function) or any(map(_tells, ast.walk(leaving.node)))
    return manager is UNKNOWN_VALUE or (isinstance(manager, External) and manager.name in SUPPRESSING)


def _defaults(expected: ast.arguments) -> Dict[str, ast.expr]:
    positional = [part.arg for part in (*expected.posonlyargs, *expected.args)]
    found = dict(zip(reversed(positional), reversed(expected.defaults)))
    apart = zip(expected.kwonlyargs, expected.kw_defaults)
    return {**found, **{part.arg: default for part, default in apart if default is not None}}


def _caught(handler: ast.ExceptHandler) -> List[ast.stmt]:
    """What a handler does, where the error has a name only while it runs."""
    if handler.name is None:
        return handler.body
    target = ast.copy_location(ast.Name(handler.name, ast.Store()), handler)
    bound = ast.copy_location(ast.Assign([target], ast.copy_location(ast.Name(MARK, ast.Load()), handler)), handler)
    return [bound, *handler.body]


def _may_catch(handler: ast.ExceptHandler, error: Raised) -> bool:
    """Whether a handler may be for an error. Only Python's own errors are told apart, by the names they have."""
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    raised = getattr(builtins, error.error, None)
    for kind in kinds:
        known = getattr(builtins, kind.id, None) if isinstance(kind, ast.Name) else None
        if not (isinstance(known, type) and isinstance(raised, type)) or issubclass(raised, known):
            return True
    return False


def _leaves(statements: Sequence[ast.stmt]) -> bool:
    """Whether they may leave the block around them, which ends an error that was on its way."""
    return any(
        isinstance(node, (ast.Return, ast.Break, ast.Continue))
        for statement in statements
        for node in ast.walk(statement)
    )


def _tells(node: ast.AST) -> bool:
    """Whether it returns something that may be true."""
    if isinstance(node, ast.Lambda):
        return True
    known = isinstance(node, ast.Return) and (node.value is None or isinstance(node.value, ast.Constant))
    return isinstance(node, ast.Return) and not (known and not getattr(node.value, "value", None))


def _selects(one: Any, other: Any) -> bool:
    """Whether it does not matter which of two values it is, since both only read."""
    return all(isinstance(value, Query) and value.kind == "select" for value in (one, other))


def _said(node: Optional[ast.expr], interpreter: Interpreter, scope: Scope) -> str:
    """A sentence about what is raised, with its message if that is known."""
    message = ""
    if isinstance(node, ast.Call):
        texts = [interpreter.value(arg, scope) for arg in node.args[:1]]
        message = " ".join(texts[0].split()) if texts and isinstance(texts[0], str) else ""
        node = node.func
    name = ast.unparse(node) if node is not None else "an exception"
    return f"Raises {name}: {message}".rstrip(".") if message else f"Raises {name}"
