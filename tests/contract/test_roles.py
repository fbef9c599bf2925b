"""Each role's declared inputs, its defaults and its task files say the same."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ROLES = sorted(path for path in (ROOT / "roles").iterdir() if path.is_dir())
PLAYS = sorted(
    [
        *ROOT.glob("*.yml"),
        *(ROOT / "playbooks").rglob("*.yml"),
        *(ROOT / "roles").glob("*/tasks/**/*.yml"),
        *(ROOT / "molecule").rglob("*.yml"),
    ]
)
each_role = pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)


def entry_points(role):
    return yaml.safe_load((role / "meta" / "argument_specs.yml").read_text())["argument_specs"]


def options(role):
    """Every option of a role, by name; the same name means the same in every entry point."""
    found = {}
    for entry in entry_points(role).values():
        for name, option in entry.get("options", {}).items():
            assert found.setdefault(name, option) == option, f"{name} is declared in two ways"
    return found


def defaults_file(role):
    path = role / "defaults" / "main.yml"
    return path.read_text() if path.exists() else ""


def walk(node):
    """Every mapping in a play, a block or a task."""
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from walk(value)
    elif isinstance(node, list):
        for value in node:
            yield from walk(value)


def used_entry_points():
    """(role, entry point) of every import_role and include_role, with the file that says so."""
    found = {}
    for path in PLAYS:
        for mapping in walk(yaml.safe_load(path.read_text())):
            for key in ("ansible.builtin.import_role", "ansible.builtin.include_role"):
                if key in mapping:
                    called = mapping[key]
                    found.setdefault((called["name"], called.get("tasks_from", "main")), path.relative_to(ROOT))
    return found


USED = used_entry_points()


@each_role
def test_declared_defaults_are_the_defaults(role):
    declared = {name: option["default"] for name, option in options(role).items() if "default" in option}
    assert (yaml.safe_load(defaults_file(role)) or {}) == declared


@each_role
def test_an_option_without_default_is_required_and_stands_commented_out(role):
    bare = {name: option for name, option in options(role).items() if "default" not in option}
    assert [name for name, option in bare.items() if option.get("required") is not True] == []
    commented = {}
    for paragraph in defaults_file(role).split("\n\n"):
        commented.update(
            {name: paragraph for name in re.findall(r"^# (\w+):", paragraph, re.MULTILINE) if name in bare}
        )
    assert sorted(commented) == sorted(bare)
    assert [name for name, paragraph in commented.items() if "(required)" not in paragraph] == []


@each_role
def test_every_option_and_entry_point_is_described(role):
    for name, entry in entry_points(role).items():
        assert entry.get("short_description"), name
        for option, declared in entry.get("options", {}).items():
            assert len(str(declared.get("description", ""))) > 10, option
            assert "type" in declared, option
            if "default" in declared and "choices" in declared:
                assert declared["default"] in declared["choices"]


@each_role
def test_options_bear_the_name_of_their_role(role):
    assert [name for name in options(role) if not name.startswith(f"{role.name}_") and role.name != "rollback"] == []
    assert [name for name in options(role) if role.name == "rollback" and not name.startswith("rollback_")] == []


@each_role
def test_every_entry_point_has_its_tasks_and_is_of_use(role):
    for name in entry_points(role):
        assert (role / "tasks" / f"{name}.yml").is_file(), name


@pytest.mark.parametrize("called", sorted(USED), ids="/".join)
def test_whatever_is_called_is_declared(called):
    role, entry = called
    assert not entry.endswith(".yml"), f"{USED[called]}: with a suffix the argument spec is silently skipped"
    assert (ROOT / "roles" / role / "tasks" / f"{entry}.yml").is_file(), USED[called]
    assert entry in entry_points(ROOT / "roles" / role), f"{USED[called]} calls it without an argument spec"


def test_every_role_is_called_by_somebody():
    assert {role for role, _ in USED} == {role.name for role in ROLES}
