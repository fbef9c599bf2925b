"""What the documentation lists is what there is: cases, tests, links, variables and modules."""

import ast
import importlib.util
import re
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCS = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
CASES = [
    f"{kind}{number}" for kind, last in (("B", 14), ("R", 27), ("M", 32), ("K", 18)) for number in range(1, last + 1)
]
ROW = re.compile(r"^\| ([BRMK]\d+) \| (.+) \| (.+) \| (.+) \|$", re.MULTILINE)
TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
LINK = re.compile(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)")
REFERENCE = (ROOT / "docs" / "reference.md").read_text()
each_page = pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)


@cache
def functions(path):
    return {node.name for node in ast.walk(ast.parse((ROOT / path).read_text())) if isinstance(node, ast.FunctionDef)}


def section(heading):
    """The part of the reference below a heading, up to the next one of its level or above."""
    level = heading.split(" ")[0]
    below = REFERENCE.split(f"\n{heading}\n")[1]
    return re.split(rf"^#{{1,{len(level)}}} ", below, flags=re.MULTILINE)[0]


def first_cells(table):
    return re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)


def test_every_case_has_one_row_and_a_test():
    rows = ROW.findall((ROOT / "docs" / "edge-cases.md").read_text().replace(r"\|", "/"))
    assert [case for case, *_ in rows] == CASES
    assert [case for case, *_, tests in rows if not TEST.findall(tests)] == []
    assert [case for case, *_, tests in rows if TEST.sub("", tests).strip()] == []


@each_page
def test_every_test_that_is_named_exists(page):
    missing = [
        f"{path}::{name}"
        for path, name in TEST.findall(page.read_text())
        if not (ROOT / path).is_file() or (name and name not in functions(path))
    ]
    assert missing == []


@each_page
def test_every_link_leads_to_a_file(page):
    assert [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()] == []


def roles():
    return sorted(path.parents[1].name for path in (ROOT / "roles").glob("*/meta/argument_specs.yml"))


# Entry points by which roles hand each other what nobody sets in an inventory.
INTERNAL = {"rollback": {"journal", "judge_hosts", "close"}}


@pytest.mark.parametrize("role", roles())
def test_the_reference_lists_each_variable_of_a_role_once_with_its_default(role):
    entries = yaml.safe_load((ROOT / "roles" / role / "meta" / "argument_specs.yml").read_text())["argument_specs"]
    options = {
        name: option
        for entry, content in entries.items()
        if entry not in INTERNAL.get(role, ())
        for name, option in content.get("options", {}).items()
    }
    if not options:
        assert f"### Role `{role}`" not in REFERENCE
        return
    table = section(f"### Role `{role}`")
    assert sorted(first_cells(table)) == sorted(options)
    for name, option in options.items():
        (said,) = re.findall(rf"^\| `{name}` \| (.*?) \| ", table, re.MULTILINE)
        if "default" not in option:
            assert said == "required", name
        elif not isinstance(option["default"], list):
            assert yaml.safe_load(said.strip("`")) == option["default"], name


def test_the_reference_lists_each_module_once():
    modules = sorted(path.stem for path in (ROOT / "library").glob("*.py"))
    assert first_cells(section("## Modules")) == modules


def test_the_reference_lists_each_playbook_once():
    there = [path.name for path in (ROOT / "playbooks").glob("*.yml") if not (ROOT / path.name).is_file()]
    listed = [Path(name).name for name in first_cells(section("## Playbooks"))]
    assert sorted(listed) == sorted([*there, "rollback.yml", "undo.yml"])


@each_page
def test_a_name_that_a_run_made_is_quoted_in_statements(page):
    """It has capital letters, which PostgreSQL would not keep."""
    statements = re.findall(r"^(?:ALTER|DROP) DATABASE .*$", page.read_text(), re.MULTILINE)
    assert [line for line in statements if re.search(r'(?<!")\b\w+__(?:before|restore)_', line)] == []


def test_the_worlds_are_those_of_the_matrix():
    spec = importlib.util.spec_from_file_location("matrix", ROOT / "tests" / "integration" / "matrix.py")
    matrix = importlib.util.module_from_spec(spec)
    sys.modules["matrix"] = matrix  # dataclasses look their module up
    spec.loader.exec_module(matrix)
    assert matrix.table() in (ROOT / "docs" / "worlds.md").read_text()
