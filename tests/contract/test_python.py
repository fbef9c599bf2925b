"""Code that runs on targets is held to Python 3.9, and its thinking knows nothing of Ansible."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted([*(ROOT / "library").glob("*.py"), *(ROOT / "module_utils").rglob("*.py")])
CODE = [path for path in FILES if path.read_text().strip()]
each_file = pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
MEETS_ANSIBLE = ROOT / "module_utils" / "rollback" / "module.py"
# Came after 3.9, and neither the parser nor a type checker set to 3.10 objects.
NEWER_ARGUMENTS = {"zip": {"strict"}, "dataclass": {"slots", "kw_only"}, "field": {"kw_only"}}
NEWER_NAMES = {
    "hardlink_to",
    "pairwise",
    "bit_count",
    "aiter",
    "anext",
    "UTC",
    "StrEnum",
    "ExceptionGroup",
    "add_note",
    "chdir",
    "batched",
    "TaskGroup",
    "is_junction",
}


def parsed(path):
    return ast.parse(path.read_text(), filename=str(path), feature_version=(3, 9))


def runtime(tree):
    """Every node that is evaluated when the program runs: annotations are not."""
    pending = [tree]
    while pending:
        node = pending.pop()
        yield node
        for name, value in ast.iter_fields(node):
            if name not in ("annotation", "returns"):
                pending += [
                    child for child in (value if isinstance(value, list) else [value]) if isinstance(child, ast.AST)
                ]


def is_a_type(node):
    if isinstance(node, ast.Constant):
        return node.value is None
    if isinstance(node, ast.Subscript):
        return is_a_type(node.value)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return is_a_type(node.left) or is_a_type(node.right)
    return isinstance(node, ast.Name) and node.id in {
        "str",
        "int",
        "float",
        "bool",
        "bytes",
        "list",
        "dict",
        "set",
        "tuple",
        "object",
        "List",
        "Dict",
        "Any",
        "Optional",
        "Path",
    }


def test_there_is_something_to_look_at():
    assert len(CODE) > 30


@each_file
def test_it_is_python_3_9(path):
    tree = parsed(path)
    assert not [node.lineno for node in ast.walk(tree) if type(node).__name__ in ("Match", "TryStar")]
    assert not [
        node.lineno
        for node in runtime(tree)
        if isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.BitOr)
        and (is_a_type(node.left) or is_a_type(node.right))
    ]


@each_file
def test_it_uses_nothing_newer(path):
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            assert not {keyword.arg for keyword in node.keywords} & NEWER_ARGUMENTS.get(called, set()), node.lineno
        if isinstance(node, (ast.Name, ast.Attribute)):
            assert getattr(node, "id", getattr(node, "attr", "")) not in NEWER_NAMES, node.lineno


@each_file
def test_annotations_are_never_evaluated(path):
    imports = [node for node in parsed(path).body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
    assert [alias.name for node in imports for alias in node.names] == ["annotations"]


@each_file
def test_it_imports_nothing_of_ansible_but_this_package(path):
    imported = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, (
                f"line {node.lineno}: Ansible does not find relative imports in module_utils reliably"
            )
            imported.add(node.module)
    foreign = {
        name
        for name in imported
        if name.split(".")[0] == "ansible" and not f"{name}.".startswith("ansible.module_utils.rollback.")
    }
    assert foreign == ({"ansible.module_utils.basic"} if path == MEETS_ANSIBLE else set())


@pytest.mark.parametrize("path", [path for path in CODE if path.parent.name == "library"], ids=lambda path: path.stem)
def test_a_module_is_thin(path):
    tree = parsed(path)
    (main,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "main"]
    assert main.end_lineno - main.lineno <= 10
    assert ast.unparse(tree.body[-1]).startswith("if __name__ == '__main__':")
