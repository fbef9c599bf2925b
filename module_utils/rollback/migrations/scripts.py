"""What the revision files say of themselves: which revision, after which, and where their functions are."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Tuple

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.migrations.tree import Tree

_NAMES = ("revision", "down_revision", "branch_labels", "depends_on")
# Of Alembic before 0.2, the revision stands in the file's name alone.
_LEGACY = re.compile(r"(?:.*/)?([a-f0-9]+)\.py$")


@dataclass(frozen=True)
class Script:
    """One revision. `upgrade` and `downgrade` are None where the file has no such function."""

    revision: str
    down_revisions: Tuple[str, ...]
    branch_labels: Tuple[str, ...]
    depends_on: Tuple[str, ...]
    path: str
    title: str
    module: ast.Module
    upgrade: Optional[ast.FunctionDef]
    downgrade: Optional[ast.FunctionDef]


def parse(tree: Tree) -> List[Script]:
    """Every revision of the tree, in the order of its files. Raises RollbackError naming the file that cannot be understood."""
    return [_script(path, tree.files[path]) for path in tree.versions]


def _script(path: str, text: str) -> Script:
    try:
        module = ast.parse(text, path)
    except (SyntaxError, ValueError) as error:
        line = f" in line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        raise RollbackError(
            f"{path} is no Python{line}: {getattr(error, 'msg', error)}.",
            "Mend it, or take the file of the release that runs.",
        ) from error
    found = _assigned(module, path)
    if "revision" not in found:
        legacy = _LEGACY.fullmatch(path)
        if not legacy:
            raise RollbackError(
                f"{path} does not say which revision it is.", "Set `revision` in it, or move it out of the versions."
            )
        found["revision"] = legacy.group(1)
    functions = {node.name: node for node in module.body if isinstance(node, ast.FunctionDef)}
    return Script(
        revision=_one(found["revision"], path),
        down_revisions=_many(found.get("down_revision"), "down_revision", path),
        branch_labels=_many(found.get("branch_labels"), "branch_labels", path),
        depends_on=_many(found.get("depends_on") or None, "depends_on", path),  # Alembic takes "" for none
        path=path,
        title=_title(module, path),
        module=module,
        upgrade=functions.get("upgrade"),
        downgrade=functions.get("downgrade"),
    )


def _assigned(module: ast.Module, path: str) -> Dict[str, Any]:
    """Constants that are assigned at the top of a module, by name; those of Alembic must be readable."""
    known: Dict[str, Any] = {}
    for node in module.body:
        if isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            targets, value = [node.target], node.value
        else:
            continue
        names = [target.id for target in targets if isinstance(target, ast.Name)]
        if not names:
            continue
        try:
            constant = _constant(value, known)
        except ValueError:
            if set(names) & set(_NAMES):
                raise RollbackError(
                    f"{path}, line {node.lineno}: {names[0]} is computed in a way that cannot be read without running it.",
                    "Write it as a plain string.",
                ) from None
            continue
        known.update(dict.fromkeys(names, constant))
    return known


def _constant(node: ast.expr, known: Dict[str, Any]) -> Any:
    """The value of an expression of constants. Raises ValueError where it is more than that."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name) and node.id in known:
        return known[node.id]
    if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
        return tuple(_constant(element, known) for element in node.elts)
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Mod)):
        left, right = _constant(node.left, known), _constant(node.right, known)
        if isinstance(left, (str, tuple)):
            try:
                return left + right if isinstance(node.op, ast.Add) else left % right
            except TypeError as error:
                raise ValueError(str(error)) from error
    if isinstance(node, ast.JoinedStr):
        return "".join(str(_constant(part, known)) for part in node.values)
    if isinstance(node, ast.FormattedValue) and node.format_spec is None and node.conversion == -1:
        return _constant(node.value, known)
    raise ValueError(ast.dump(node))


def _one(value: Any, path: str) -> str:
    if not isinstance(value, str) or not value:
        raise RollbackError(f"{path}: revision is {value!r}, which is no identifier.", "Write it as a plain string.")
    return value


def _many(value: Any, name: str, path: str) -> Tuple[str, ...]:
    """None, one or several identifiers, as Alembic takes them."""
    if value is None:
        return ()
    several = (value,) if isinstance(value, str) else value
    if not isinstance(several, tuple) or not all(isinstance(entry, str) and entry for entry in several):
        raise RollbackError(
            f"{path}: {name} is {value!r}, which is no identifier.", "Write it as a string or a tuple of strings."
        )
    return several


def _title(module: ast.Module, path: str) -> str:
    """The first line of the docstring, or the file's name in words."""
    said = (ast.get_docstring(module) or "").strip().splitlines()
    return said[0].strip() if said else re.sub(r"^[0-9a-f]+_|\.py$", "", path.rpartition("/")[2]).replace("_", " ")
