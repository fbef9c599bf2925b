"""Which files of a project a revision file needs: those that define what it imports, name by name, and nothing else.

A migration that imports one helper must not bring the whole application with it. Names are followed as they are written,
dots included (`shop.prices.round_up`), so the work grows with the text that is read and not with what it might mean.
Standard library only.
"""

from __future__ import annotations

import ast
import builtins
import os
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Deque, Dict, FrozenSet, Iterable, Iterator, List, Optional, Sequence, Set, Tuple

# Understood as the libraries that they are, even where a directory of the project has their name.
_LIBRARIES = frozenset({"alembic", "sqlalchemy"})
# What Python's parser raises on a text that is no Python, or is nested beyond reason.
UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError)
_BUILTINS = frozenset(dir(builtins))


@dataclass(frozen=True)
class Root:
    """A directory in which imports are looked for; `only` names the packages that count there, all if it is empty."""

    path: Path
    only: FrozenSet[str] = frozenset()

    def find(self, module: str) -> Optional[Path]:
        """The file of a module, None where it is not the project's."""
        first, *rest = module.split(".")
        if first in _LIBRARIES or (self.only and first not in self.only):
            return None
        path = _file(self.path.joinpath(first, *rest))
        return path if path is not None and "site-packages" not in path.relative_to(self.path).parts else None


@dataclass(frozen=True)
class _Import:
    """One name of an import. `bound` is what it is called here, `name` what a `from` takes out of `module`.

    A module that is loaded by its file has the path, relative to the importing file, in `file`.
    """

    bound: str
    module: str
    level: int = 0
    name: str = ""
    file: str = ""


@dataclass
class _Statement:
    """Part of a module: the names that it binds, those that it uses with their dots, and what it imports.

    `attributes` are all names after a dot: what may be asked of a module that is handed on as a value.
    """

    binds: Set[str] = field(default_factory=set)
    uses: Set[str] = field(default_factory=set)
    attributes: Set[str] = field(default_factory=set)
    imports: List[_Import] = field(default_factory=list)


@dataclass
class _Module:
    path: Path
    statements: List[_Statement]
    asked: Set[str] = field(default_factory=set)
    done: Set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.binding: Dict[str, List[_Statement]] = {}
        for statement in self.statements:
            for name in statement.binds - {"", "*"}:
                self.binding.setdefault(name, []).append(statement)
        self.stars = [one for part in self.statements for one in part.imports if one.name == "*"]


class Reach:
    """Follows imports from file to file. `text` reads a file."""

    def __init__(self, roots: Sequence[Root], text: Callable[[Path], str]) -> None:
        self._roots, self._text = roots, text
        self._modules: Dict[Path, _Module] = {}
        self._found: Dict[str, Optional[Path]] = {}
        self._files: Dict[Path, Optional[Path]] = {}
        # Files, each with a name that it has to define; none for a file that is merely imported.
        self._waiting: Deque[Tuple[Path, str]] = deque()

    def files(self, start: Sequence[Path]) -> Iterator[Path]:
        """The files that `start` need beyond themselves, nearest first, each once."""
        for path in start:
            self._load(path)
        for path in start:
            for statement in self._modules[path].statements:
                self._need(self._modules[path], statement)
        while self._waiting:
            path, name = self._waiting.popleft()
            if path not in self._modules:
                yield path
                self._load(path)
            if name:
                self._define(self._modules[path], name)

    def _load(self, path: Path) -> None:
        self._modules[path] = _Module(path, _statements(self._text(path)))

    def _ask(self, path: Optional[Path], name: str = "") -> None:
        if path is not None and (name or path not in self._modules):
            self._waiting.append((path, name))

    def _define(self, module: _Module, dotted: str) -> None:
        """Follow what `module` needs to define a name, and whatever is asked of the thing that it names."""
        if dotted in module.asked:
            return
        module.asked.add(dotted)
        name = dotted.partition(".")[0]
        if name in module.binding:
            for statement in module.binding[name]:
                self._need(module, statement)
            self._follow(module, dotted, frozenset())
        elif module.path.name == "__init__.py" and self._file(module.path.parent / name) is not None:
            self._ask(self._file(module.path.parent / name), dotted.partition(".")[2])
        elif name not in _BUILTINS:
            for star in module.stars:
                self._ask(self._source(module, star), dotted)

    def _need(self, module: _Module, statement: _Statement) -> None:
        """Follow everything that a statement of `module` imports and uses, once."""
        if id(statement) in module.done:
            return
        module.done.add(id(statement))
        for one in statement.imports:
            self._import(module, one)
        inner = {one.bound: one for one in statement.imports}
        for dotted in statement.uses:
            name, _, rest = dotted.partition(".")
            if name in inner:
                self._hand(module, inner[name], rest, statement.attributes)
            if name in module.binding:
                for binding in module.binding[name]:
                    self._need(module, binding)
                self._follow(module, dotted, statement.attributes)
            elif name not in inner and name not in _BUILTINS:
                for star in module.stars:
                    self._ask(self._source(module, star), dotted)

    def _follow(self, module: _Module, dotted: str, attributes: Iterable[str]) -> None:
        """Ask the modules that a name may stand for to define what comes after its first dot."""
        name, _, rest = dotted.partition(".")
        for statement in module.binding[name]:
            for one in statement.imports:
                # A call of `import_module` binds nothing; what it yields has the names of its statement.
                if one.bound in (name, ""):
                    self._hand(module, one, rest, attributes)

    def _hand(self, module: _Module, one: _Import, rest: str, attributes: Iterable[str]) -> None:
        """Ask what an import stands for to define `rest`, or what of it may be used where it is handed on as a value."""
        if one.name:
            inner = self._inner(module, one)
            if inner is None:
                if rest:
                    self._ask(self._source(module, one), f"{one.name}.{rest}")
                return
        else:
            inner = self._target(module, one)
            if inner is None and one.bound == one.module.partition(".")[0]:
                inner, rest = self._in_namespace(one.bound, rest)
        for name in (rest,) if rest else attributes:
            self._ask(inner, name)

    def _in_namespace(self, package: str, rest: str) -> Tuple[Optional[Path], str]:
        """The module in a package without `__init__.py` that `package.rest` begins with, and what is left of `rest`."""
        name, _, rest = rest.partition(".")
        while name:
            package = f"{package}.{name}"
            found = self._find(package)
            if found is not None:
                return found, rest
            name, _, rest = rest.partition(".")
        return None, ""

    def _import(self, module: _Module, one: _Import) -> None:
        """Bring in the files that an import loads."""
        if one.name == "*":
            self._ask(self._source(module, one))
        elif one.name:
            self._ask(self._inner(module, one))
            self._ask(self._source(module, one), one.name)
        elif one.file or one.level:
            self._ask(self._target(module, one))
        else:
            parts = one.module.split(".")
            for length in range(1, len(parts) + 1):
                self._ask(self._find(".".join(parts[:length])))

    def _source(self, module: _Module, one: _Import) -> Optional[Path]:
        """The module that a `from` names."""
        if not one.level:
            return self._find(one.module)
        return self._file(self._beside(module, one))

    def _inner(self, module: _Module, one: _Import) -> Optional[Path]:
        """The module that a `from` takes out of a package, None where it takes a name."""
        if not one.level:
            return self._find(f"{one.module}.{one.name}")
        return self._file(self._beside(module, one) / one.name)

    def _target(self, module: _Module, one: _Import) -> Optional[Path]:
        """The module that the bound name of an import stands for: the first of `import shop.prices`, the last with `as`."""
        if one.file:
            path = Path(os.path.normpath(module.path.parent / one.file))
            return path if path.is_file() else None
        if one.level:
            return self._file(self._beside(module, one))
        first = one.module.partition(".")[0]
        return self._find(first if one.bound == first else one.module)

    @staticmethod
    def _beside(module: _Module, one: _Import) -> Path:
        folder = module.path.parents[min(one.level, len(module.path.parents)) - 1]
        return folder.joinpath(*one.module.split(".")) if one.module else folder

    def _find(self, name: str) -> Optional[Path]:
        if name not in self._found:
            self._found[name] = next(filter(None, (root.find(name) for root in self._roots)), None)
        return self._found[name]

    def _file(self, base: Path) -> Optional[Path]:
        if base not in self._files:
            self._files[base] = _file(base)
        return self._files[base]


def _file(base: Path) -> Optional[Path]:
    """The file of the module, or package, that lies at `base`."""
    for path in (base.with_name(f"{base.name}.py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


def _statements(text: str) -> List[_Statement]:
    """The parts of a module; what cannot be parsed imports nothing. The syntax tree, which is large, is not kept."""
    try:
        body = ast.parse(text).body
    except UNREADABLE:
        return []
    return [part for node in body for part in _parts(node)]


def _parts(node: ast.stmt) -> Iterator[_Statement]:
    """A statement; each import in it, if it is no function or class, as a part of its own, so that one name brings one module."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        for one in _imported(node):
            yield _Statement({one.bound}, imports=[one])
        return
    whole = _Statement()
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        _use(node, whole)
        whole.binds = {node.name}
    else:
        inside = [part for child in ast.iter_child_nodes(node) for part in _inside(child, whole)]
        whole.binds.update(*(part.binds for part in inside))
        yield from inside
    yield whole


def _imported(node: ast.stmt) -> Iterator[_Import]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield _Import(alias.asname or alias.name.partition(".")[0], alias.name)
    elif isinstance(node, ast.ImportFrom):
        for alias in node.names:
            yield _Import(alias.asname or alias.name, node.module or "", node.level, alias.name)


def _inside(node: ast.AST, whole: _Statement) -> Iterator[_Statement]:
    """The imports below an `if`, `try` or `with` at the top; everything else there belongs to `whole`."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        yield from _parts(node)
    elif isinstance(node, (ast.If, ast.Try, ast.With, ast.For, ast.While, ast.ExceptHandler)):
        for child in ast.iter_child_nodes(node):
            yield from _inside(child, whole)
    else:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            whole.binds.add(node.name)
        _use(node, whole)


def _use(node: ast.AST, whole: _Statement) -> None:
    """Names and attributes in `node`, but for annotations, which are never evaluated here."""
    # The largest environments have millions of nodes: what is done for each of them is what reading them costs.
    waiting: List[ast.AST] = [node]
    while waiting:
        found = waiting.pop()
        kind = type(found)
        if kind is ast.Constant:
            continue
        if kind is ast.Name:
            (whole.uses if type(found.ctx) is ast.Load else whole.binds).add(found.id)  # type: ignore[attr-defined]
            continue
        skipped: Tuple[str, ...] = _ANNOTATIONS.get(kind, _NONE)
        if isinstance(found, ast.Attribute):
            whole.attributes.add(found.attr)
            dotted = _dotted(found)
            if dotted:
                whole.uses.add(dotted)
                whole.attributes.update(dotted.split(".")[1:])
            if type(found.ctx) is not ast.Load:
                whole.binds.add(_root(found))
            elif dotted:
                continue
        elif isinstance(found, ast.Subscript):
            if type(found.ctx) is not ast.Load:
                whole.binds.add(_root(found))
        elif isinstance(found, ast.Call):
            whole.imports += _loaded(found)
            if isinstance(found.func, ast.Attribute):
                # `NAMES.append(…)` changes what NAMES is.
                whole.binds.add(_root(found.func))
        elif isinstance(found, (ast.Import, ast.ImportFrom)):
            whole.imports += _imported(found)
        for name, child in found.__dict__.items():
            if isinstance(child, list):
                waiting += [part for part in child if isinstance(part, ast.AST)]
            elif isinstance(child, ast.AST) and name not in skipped:
                waiting.append(child)


# Where Python keeps an annotation.
_ANNOTATIONS: Dict[type, Tuple[str, ...]] = {
    ast.AnnAssign: ("annotation",),
    ast.arg: ("annotation",),
    ast.FunctionDef: ("returns",),
    ast.AsyncFunctionDef: ("returns",),
    ast.Attribute: ("ctx",),
    ast.Subscript: ("ctx",),
}
_NONE: Tuple[str, ...] = ()


def _loaded(call: ast.Call) -> Iterator[_Import]:
    """What a call loads whose argument says so: `import_module("x")`, and `spec_from_file_location("x", …, "x.py")`."""
    called = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if called in ("import_module", "__import__") and call.args:
        said = getattr(call.args[0], "value", None)
        if isinstance(said, str) and said.strip("."):
            name = said.lstrip(".")
            yield _Import("", name, len(said) - len(name))
    elif called == "spec_from_file_location":
        file = file_named(call)
        if file:
            yield _Import("", "", file=file)


def file_named(call: ast.Call) -> str:
    """The path that stands in the second argument of `spec_from_file_location`, which joins it to that of its own file."""
    place = next((word.value for word in call.keywords if word.arg == "location"), None)
    place = call.args[1] if len(call.args) > 1 else place
    texts = [part.value for part in ast.walk(place) if isinstance(part, ast.Constant)] if place is not None else []
    known = [text for text in texts if isinstance(text, str)]
    return os.path.join(*known) if known and known[-1].endswith(".py") else ""


def _dotted(node: ast.Attribute) -> str:
    """`a.b.c` as it is written, empty where it does not begin with a name."""
    parts: List[str] = []
    found: ast.AST = node
    while isinstance(found, ast.Attribute):
        parts.append(found.attr)
        found = found.value
    return ".".join(reversed([*parts, found.id])) if isinstance(found, ast.Name) else ""


def _root(node: ast.AST) -> str:
    """The name at the beginning of `name.a["b"].c`, empty if there is none."""
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""
