"""The modules of a source tree, found by the names under which they are imported, and never run."""

from __future__ import annotations

import ast
import posixpath
from functools import lru_cache
from typing import Dict, Iterator, List, Optional

from ansible.module_utils.rollback.migrations.python_values import CHANGING
from ansible.module_utils.rollback.migrations.tree import Tree
from ansible.module_utils.rollback.migrations.values import Module


class Modules:
    """The modules of one tree, each parsed when it is first asked for."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._found: Dict[str, Optional[Module]] = {}
        self._placed: Dict[str, Optional[Module]] = {}

    @property
    def version_table_schema(self) -> str:
        return self._tree.version_table_schema

    def named(self, name: str) -> Optional[Module]:
        """The module that `import name` means, None if it is not part of the tree or cannot be parsed."""
        if name not in self._found:
            self._found[name] = self._find(name)
        return self._found[name]

    def _find(self, name: str) -> Optional[Module]:
        inside = name.replace(".", "/")
        for root in self._tree.roots:
            base = f"{root.rstrip('/')}/{inside}" if root else inside
            for path in (f"{base}.py", f"{base}/__init__.py"):
                text = self._tree.files.get(path)
                if text is not None:
                    parsed = _parsed(text)
                    return module(path, parsed) if parsed is not None else None
        return None

    def beside(self, path: str, level: int, name: str) -> Optional[Module]:
        """The module that `from <level dots>name import …` means in the file at `path`."""
        folder = path.split("/")[:-level]
        found = "/".join([*folder, *(name.split(".") if name else [])])
        for candidate in (f"{found}.py", f"{found}/__init__.py"):
            text = self._tree.files.get(candidate)
            parsed = _parsed(text) if text is not None else None
            if parsed is not None:
                return module(candidate, parsed)
        return None

    def at(self, path: str, file: str) -> Optional[Module]:
        """The module in a file that is named relative to the file at `path`."""
        place = posixpath.normpath(posixpath.join(posixpath.dirname(path), file))
        if place not in self._placed:
            text = self._tree.files.get(place)
            parsed = _parsed(text) if text is not None else None
            self._placed[place] = module(place, parsed) if parsed is not None else None
        return self._placed[place]


@lru_cache(maxsize=512)
def _parsed(text: str) -> Optional[ast.Module]:
    """Helpers are shared by many scripts, so each text is parsed once."""
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError):
        return None


def module(path: str, tree: ast.Module) -> Module:
    """A module with its top-level statements by the names they bind or change; nothing is evaluated yet."""
    bindings: Dict[str, List[ast.stmt]] = {}
    for statement in tree.body:
        for name in dict.fromkeys(_bound(statement)):
            bindings.setdefault(name, []).append(statement)
    return Module(path, tree, bindings)


def _bound(statement: ast.stmt) -> Iterator[str]:
    """The names that a top-level statement binds or changes; `*` for an import of everything."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield statement.name
    elif isinstance(statement, (ast.Import, ast.ImportFrom)):
        for alias in statement.names:
            yield alias.asname or (alias.name.split(".")[0] if isinstance(statement, ast.Import) else alias.name)
    else:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.id
            elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                yield node.name
            elif isinstance(node, (ast.Import, ast.ImportFrom)):
                yield from _bound(node)
            elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
                yield _root(node)
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CHANGING:
                # `NAMES.append(…)`, `COLUMNS["t"].append(…)`
                yield _root(node.func)


def _root(node: ast.AST) -> str:
    """The name at the beginning of `name.a["b"].c`, empty if there is none."""
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""
