"""Names of modules and imports, followed within the source tree and no further."""

from __future__ import annotations

import ast
import builtins
from abc import abstractmethod
from typing import Any, List

from ansible.module_utils.rollback.migrations.calls import Caller, Raised
from ansible.module_utils.rollback.migrations.modules import Modules
from ansible.module_utils.rollback.migrations.recorder import Recorder
from ansible.module_utils.rollback.migrations.values import UNKNOWN_VALUE, External, Frame, Module, Scope


class Importer(Caller):
    """Finds what a name of a module stands for. Statements are the interpreter's part."""

    def __init__(self, modules: Modules, recorder: Recorder) -> None:
        super().__init__(modules, recorder)
        # The calls that are under way, the innermost last.
        self.frames: List[Frame] = []

    @abstractmethod
    def statement(self, node: ast.stmt, scope: Scope) -> str:
        """Part of what is built on this."""

    def lookup(self, module: Module, name: str) -> Any:
        """A name of a module, for which its statements that bind the name are walked through once, and quietly."""
        if name not in module.names and name in module.bindings:
            self._quietly(module, module.bindings[name])
        if name in module.names:
            return module.names[name]
        for statement in module.bindings.get("*", ()):
            other = self._imported(module, statement) if isinstance(statement, ast.ImportFrom) else None
            if isinstance(other, Module) and other is not module:
                found = self.lookup(other, name)
                if not (isinstance(found, External) and found.name == name and not found.path.startswith("alembic")):
                    return found
        if hasattr(builtins, name):
            return External(f"builtins.{name}")
        below = module.path[: -len("__init__.py")] if module.path.endswith("/__init__.py") else ""
        inner = self.modules.beside(f"{below}_", 1, name) if below else None
        return inner or External(f"{module.path}:{name}.{name}")

    def _quietly(self, module: Module, statements: List[ast.stmt]) -> None:
        recorder = self.recorder
        place, frames = (recorder.path, recorder.line), self.frames
        recorder.muted += 1
        recorder.path, self.frames = module.path, [*frames, Frame(None)]
        scope = Scope(module, module.names)
        try:
            for statement in statements:
                if statement not in module.done:
                    module.done.append(statement)
                    self.statement(statement, scope)
        except Raised:
            pass  # A module that raises binds no more names; those that are asked for stay unknown.
        finally:
            recorder.muted -= 1
            recorder.path, recorder.line = place
            self.frames = frames

    def loaded(self, name: str) -> Any:
        plain = name.lstrip(".")
        if plain != name:
            return self.modules.beside(self.recorder.path, len(name) - len(plain), plain) or UNKNOWN_VALUE
        return self.modules.named(name) or External(name)

    def loaded_from(self, file: str) -> Any:
        return (self.modules.at(self.recorder.path, file) if file else None) or UNKNOWN_VALUE

    def _imported(self, module: Module, node: ast.ImportFrom) -> Any:
        """The module that a `from` names: one of the project's, or a library."""
        if node.level:
            return self.modules.beside(module.path, node.level, node.module or "") or UNKNOWN_VALUE
        return self.modules.named(node.module or "") or External(node.module or "")

    def _do_Import(self, node: ast.Import, scope: Scope) -> None:
        for alias in node.names:
            if alias.asname:
                scope.names[alias.asname] = self.modules.named(alias.name) or External(alias.name)
            else:
                top = alias.name.split(".")[0]
                scope.names[top] = self.modules.named(top) or External(top)

    def _do_ImportFrom(self, node: ast.ImportFrom, scope: Scope) -> None:
        source = self._imported(scope.module, node)
        for alias in node.names:
            if alias.name == "*":
                continue
            called = alias.asname or alias.name
            if isinstance(source, External):
                inner = self.modules.named(f"{source.path}.{alias.name}")
                scope.names[called] = inner or External(f"{source.path}.{alias.name}")
            elif isinstance(source, Module):
                known = alias.name in source.bindings or "*" in source.bindings
                inner = None if known or node.level else self.modules.named(f"{node.module}.{alias.name}")
                scope.names[called] = inner or self.lookup(source, alias.name)
            else:
                inner = self.modules.beside(
                    scope.module.path, node.level, ".".join(filter(None, [node.module, alias.name]))
                )
                scope.names[called] = inner or UNKNOWN_VALUE
