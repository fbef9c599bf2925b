"""What must not be in the tree, and what the words in it point at."""

import ast
import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
OPTIONS = {
    name
    for spec in (ROOT / "roles").glob("*/meta/argument_specs.yml")
    for entry in yaml.safe_load(spec.read_text())["argument_specs"].values()
    for name in entry.get("options", {})
}
MODULES = {path.stem for path in (ROOT / "library").glob("*.py")}
PREFIXES = "|".join(sorted((role.name for role in (ROOT / "roles").iterdir() if role.is_dir()), key=len, reverse=True))
PYTHON = sorted(
    [*(ROOT / "library").glob("*.py"), *(ROOT / "module_utils").rglob("*.py"), *(ROOT / "filter_plugins").glob("*.py")]
)
YAML = sorted([*(ROOT / "playbooks").rglob("*.yml"), *(ROOT / "roles").rglob("*.yml"), *(ROOT / "roles").rglob("*.j2")])

HOMES = re.compile(r"/(?:home|Users)/(?!\.|<|\{|\$)[a-z][\w.-]*/|/root/")
SECRETS = re.compile(
    r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{36}|\bglpat-[\w-]{20}|\bxox[abpr]-[\w-]{10,}"
    r"|\beyJ[\w-]{15,}\.eyJ[\w-]{15,}\.|://(?!user:password@)[^/\s:@{}<>$%'\"]+:[^/\s:@{}<>$%'\"]{3,}@"
)
# Commands in words for people: as they are typed in the project's directory.
PLAYBOOK = re.compile(r"(?<![\w/.-])((?:playbooks/)?[a-z_]+(?:/[a-z_]+)*\.yml)\b")


def tracked():
    """Every text that is or would be committed."""
    said = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, said.stdout.split("\0")):
        path = ROOT / name
        if path.is_file() and path != Path(__file__):
            try:
                yield name, path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue


def sentences(path):
    """(line, text) of every string in a program but its docstrings; an f-string's parts are joined by a gap."""
    tree = ast.parse(path.read_text())
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield node.lineno, "".join(part.value if isinstance(part, ast.Constant) else "\0" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and not {id(node)} & (docs | inner):
            yield node.lineno, node.value


@pytest.mark.parametrize("what", [HOMES, SECRETS], ids=["home directories", "secrets"])
def test_the_tree_is_free_of(what):
    found = [(name, match.group()) for name, text in tracked() for match in what.finditer(text)]
    assert found == []


@pytest.mark.parametrize(
    ("text", "what", "found"),
    [
        ("see /home/" + "ada/notes", HOMES, True),
        ("see /home/<you>/notes", HOMES, False),
        ("postgresql://ada:" + "hush@db1/hunter", SECRETS, True),
        ("postgresql://{user}:{password}@db1/hunter", SECRETS, False),
        ("AKIA" + "ABCDEFGHIJKLMNOP", SECRETS, True),
    ],
)
def test_the_check_above_sees_what_it_looks_for(text, what, found):
    assert bool(what.search(text)) is found


@pytest.mark.parametrize("path", PYTHON, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_playbook_named_in_a_sentence_can_be_run_as_it_stands(path):
    missing = [
        (line, name)
        for line, text in sentences(path)
        for name in PLAYBOOK.findall(text)
        if "main.yml" not in name and "argument_specs" not in name and not (ROOT / name).is_file()
    ]
    assert missing == []


@pytest.mark.parametrize("path", YAML, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_playbook_named_by_a_role_or_play_can_be_run_as_it_stands(path):
    text = "\n".join(
        line
        for line in path.read_text().splitlines()
        if not re.search(r"(include_tasks|import_tasks|import_playbook|vars_files):", line)
    )
    assert [name for name in PLAYBOOK.findall(text) if not (ROOT / name).is_file()] == []


@pytest.mark.parametrize("path", PYTHON, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_variable_named_in_a_sentence_is_an_input_of_a_role(path):
    named = [
        (line, name)
        for line, text in sentences(path)
        if " " in text and "\ndescription" not in text and not text.startswith(("\nmodule:", "\n- name:"))
        for name in re.findall(rf"(?<![\w./-])((?:{PREFIXES})_[a-z_]+[a-z])(?![\w.])", text)
    ]
    assert [(line, name) for line, name in named if name not in OPTIONS | MODULES] == []


def test_the_checks_above_see_sentences():
    hints = [text for path in PYTHON for _, text in sentences(path) if "rollback_database_dsn" in text]
    assert len(hints) >= 3
