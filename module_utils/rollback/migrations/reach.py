"""Which files of a project a revision file needs: those that define what it imports, name by name, and nothing else.

A migration that imports one helper must not bring the whole application with it. Standard library only.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Callable, Dict, FrozenSet, Iterator, List, Optional, Sequence, Set, Tuple, Union

# Understood as the libraries that they are, even where a directory of the project has their name.
_LIBRARIES = frozenset({"alembic", "sqlalchemy"})
_Import = Union[ast.Import, ast.ImportFrom]
# What Python's parser raises on a text that is no Python, or is nested beyond reason.
UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError)


@lru_cache(maxsize=1024)
def parsed(text: str) -> ast.Module:
    """Each text is parsed once, although several readers want it. Nobody may change what they get."""
    return ast.parse(text)


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
        base = self.path.joinpath(first, *rest)
        for path in (base.with_name(f"{base.name}.py"), base / "__init__.py"):
            if path.is_file() and "site-packages" not in path.relative_to(self.path).parts:
                return path
        return None


@dataclass
class _Statement:
    """Part of a module: the names that it binds, those that it uses, and what it imports."""

    binds: Set[str] = field(default_factory=set)
    uses: Set[str] = field(default_factory=set)
    imports: List[Tuple[_Import, ast.alias]] = field(default_factory=list)


@dataclass
class _Module:
    path: Path
    statements: List[_Statement]
    # Of what is needed so far: names, the modules that are imported as such, and those whose every name is imported.
    names: Set[str] = field(default_factory=set)
    modules: Dict[Path, None] = field(default_factory=dict)
    stars: Dict[Path, None] = field(default_factory=dict)
    done: Set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.binding: Dict[str, List[_Statement]] = {}
        for statement in self.statements:
            for name in statement.binds - {""}:
                self.binding.setdefault(name, []).append(statement)


class Reach:
    """Follows imports from file to file. `text` reads a file."""

    def __init__(self, roots: Sequence[Root], text: Callable[[Path], str]) -> None:
        self._roots, self._text = roots, text
        self._modules: Dict[Path, _Module] = {}

    def files(self, start: Sequence[Path]) -> Iterator[Path]:
        """The files that `start` need beyond themselves, nearest first, each once."""
        # A list of names per file; None stands for all that it has.
        waiting: List[Tuple[Path, Optional[Set[str]]]] = [(path, None) for path in start]
        while waiting:
            following: List[Tuple[Path, Optional[Set[str]]]] = []
            for path, names in waiting:
                if path not in self._modules:
                    if names is not None:
                        yield path
                    self._modules[path] = _Module(path, list(_statements(self._text(path))))
                following += self._needed(self._modules[path], names)
            waiting = following

    def _needed(self, module: _Module, names: Optional[Set[str]]) -> Iterator[Tuple[Path, Optional[Set[str]]]]:
        """What other files have to define so that `module` can define `names`."""
        known = len(module.names), len(module.modules), len(module.stars)
        waiting = list(module.statements) if names is None else []
        unread = set() if names is None else names - module.names
        module.names |= unread
        while waiting or unread:
            for name in unread:
                waiting += module.binding.get(name, ())
                if name not in module.binding and module.path.name == "__init__.py":
                    self._add_module(module, _file(module.path.parent / name))
            unread = set()
            for statement in waiting:
                if id(statement) not in module.done:
                    module.done.add(id(statement))
                    unread |= statement.uses - module.names
                    for node, alias in statement.imports:
                        yield from self._imported(module, node, alias)
            module.names |= unread
            waiting = []
        if known != (len(module.names), len(module.modules), len(module.stars)):
            yield from ((path, set(module.names)) for path in (*module.modules, *module.stars))

    def _imported(self, module: _Module, node: _Import, alias: ast.alias) -> Iterator[Tuple[Path, Optional[Set[str]]]]:
        if isinstance(node, ast.Import):
            parts = alias.name.split(".")
            for length in range(1, len(parts) + 1):
                self._add_module(module, self._find(".".join(parts[:length])))
            return
        if node.level:
            folder = module.path.parents[node.level - 1]
            beside = folder.joinpath(*(node.module or "").split(".")) if node.module else folder
            source, inner = _file(beside), _file(beside / alias.name)
        else:
            source, inner = self._find(node.module or ""), self._find(f"{node.module}.{alias.name}")
        self._add_module(module, inner)
        if source is not None and alias.name == "*":
            module.stars[source] = None
        elif source is not None:
            yield source, {alias.name}

    def _find(self, name: str) -> Optional[Path]:
        return next(filter(None, (root.find(name) for root in self._roots)), None)

    @staticmethod
    def _add_module(module: _Module, path: Optional[Path]) -> None:
        if path is not None and path != module.path:
            module.modules[path] = None


def _file(base: Path) -> Optional[Path]:
    """The file of the module, or package, that lies at `base`."""
    for path in (base.with_name(f"{base.name}.py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


def _statements(text: str) -> Iterator[_Statement]:
    """The parts of a module; what cannot be parsed imports nothing."""
    try:
        body = parsed(text).body
    except UNREADABLE:
        return
    for node in body:
        yield from _parts(node)


def _parts(node: ast.stmt) -> Iterator[_Statement]:
    """A statement; each import in it, if it is no function or class, as a part of its own, so that one name brings one module."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        for alias in node.names:
            bound = alias.asname or (alias.name.split(".")[0] if isinstance(node, ast.Import) else alias.name)
            yield _Statement({bound}, set(), [(node, alias)])
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
    waiting: List[ast.AST] = [node]
    while waiting:
        found = waiting.pop()
        if isinstance(found, ast.Name):
            (whole.uses if isinstance(found.ctx, ast.Load) else whole.binds).add(found.id)
        elif isinstance(found, ast.Attribute):
            whole.uses.add(found.attr)
        elif isinstance(found, (ast.Import, ast.ImportFrom)):
            whole.imports += [(found, alias) for alias in found.names]
        if isinstance(found, (ast.Subscript, ast.Attribute)) and isinstance(found.ctx, ast.Store):
            whole.binds.add(_root(found))
        elif isinstance(found, ast.Call) and isinstance(found.func, ast.Attribute):
            # `NAMES.append(…)` changes what NAMES is.
            whole.binds.add(_root(found.func))
        waiting += [child for child in ast.iter_child_nodes(found) if not _is_annotation(found, child)]


def _is_annotation(parent: ast.AST, child: ast.AST) -> bool:
    if isinstance(parent, (ast.AnnAssign, ast.arg)):
        return child is parent.annotation
    return isinstance(parent, (ast.FunctionDef, ast.AsyncFunctionDef)) and child is parent.returns


def _root(node: ast.AST) -> str:
    """The name at the beginning of `name.a["b"].c`, empty if there is none."""
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""
