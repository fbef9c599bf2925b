"""What a module's documentation says is what its argument spec does, and ansible-doc can show it."""

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ansible.module_utils.rollback import sealed

ROOT = Path(__file__).parents[2]
NAMES = sorted(path.stem for path in (ROOT / "library").glob("*.py"))
FIELDS = ("type", "required", "default", "choices", "elements", "no_log")
each_module = pytest.mark.parametrize("name", NAMES)


def loaded(name):
    return importlib.import_module(name)


def specified(spec):
    """An argument spec in the words of a documentation; unsaid fields are as AnsibleModule takes them."""
    return {
        name: {
            "type": option.get("type", "str"),
            "required": option.get("required", False),
            "default": option.get("default"),
            "choices": option.get("choices"),
            "elements": option.get("elements"),
            "suboptions": specified(option.get("options", {})),
        }
        for name, option in spec.items()
    }


def documented(options):
    return specified({name: {**option, "options": option.get("suboptions", {})} for name, option in options.items()})


def descriptions(options):
    for name, option in options.items():
        yield name, option.get("description")
        yield from descriptions(option.get("suboptions", {}))


def tasks(name):
    return yaml.safe_load(loaded(name).EXAMPLES)


@each_module
def test_the_documentation_is_the_argument_spec(name):
    documentation = yaml.safe_load(loaded(name).DOCUMENTATION)
    assert documentation["module"] == name
    assert documented(documentation["options"]) == specified(loaded(name).ARGUMENT_SPEC)
    assert [option for option, words in descriptions(documentation["options"]) if not words] == []
    assert documentation["attributes"]["check_mode"]["support"] == "full"


@each_module
def test_a_password_is_never_logged(name):
    spec = loaded(name).ARGUMENT_SPEC
    assert [
        option for option in spec if re.search("password|secret|token", option) and not spec[option].get("no_log")
    ] == []


def secret_options(spec, below=()):
    """The path of each option that Ansible hides."""
    for name, option in spec.items():
        if option.get("no_log"):
            yield (*below, name)
        yield from secret_options(option.get("options", {}), (*below, name))


def test_every_secret_that_is_part_of_a_structure_is_one_that_the_filter_seals():
    paths = {path for name in NAMES for path in secret_options(loaded(name).ARGUMENT_SPEC)}
    as_a_whole = {("environment_variables",), ("sql",)}
    assert {path[-1] for path in paths - as_a_whole} == set(sealed.SECRETS)


def calls(node):
    """(module, its arguments) of each task below a parsed file."""
    for entry in node if isinstance(node, list) else ():
        yield from ((name, entry[name] or {}) for name in NAMES if name in entry)
        for key in ("tasks", "pre_tasks", "post_tasks", "handlers", "block", "rescue", "always"):
            yield from calls(entry.get(key))


def test_every_secret_reaches_its_module_sealed():
    """Ansible masks what equals a secret in the results, and names are read from those."""
    files = [
        *ROOT.glob("*.yml"),
        *(ROOT / "playbooks").rglob("*.yml"),
        *(ROOT / "roles").glob("*/tasks/**/*.yml"),
        *(ROOT / "roles").glob("*/handlers/**/*.yml"),
    ]
    seen = []
    for path in files:
        for name, used in calls(yaml.safe_load(path.read_text())):
            spec = loaded(name).ARGUMENT_SPEC
            for option in {way[0] for way in secret_options(spec)} & set(used):
                every = r"\(every=true\)" if spec[option]["type"] == "dict" and spec[option].get("no_log") else ""
                # What a module returns sealed goes on as it is.
                ends = rf"(\| sealed{every}( if .+ else omit)?|\.sealed_output) \}}\}}$"
                assert re.search(ends, str(used[option])), (path, name, option)
                seen.append(option)
    assert {"password", "pools", "sources", "access", "logins", "environment_variables", "sql"} == set(seen)


@each_module
def test_the_examples_would_run(name):
    spec = loaded(name).ARGUMENT_SPEC
    assert tasks(name)
    for task in tasks(name):
        used = task[name]
        assert set(used) <= set(spec)
        assert {option for option, declared in spec.items() if declared.get("required")} <= set(used)
        assert task["name"][0].isupper()
        for option, value in used.items():
            inner = spec[option].get("options")
            for entry in (value if isinstance(value, list) else [value]) if inner else ():
                assert set(entry) <= set(inner)
            assert value in spec[option].get("choices", [value])


@each_module
def test_no_result_is_called_as_what_ansible_takes_for_its_own(name):
    """A result with such a key ends the host, whatever is in it."""
    assert yaml.safe_load(loaded(name).RETURN).keys().isdisjoint({"unreachable", "failed", "skipped", "exception"})


@each_module
def test_what_it_returns_is_described(name):
    for key, entry in yaml.safe_load(loaded(name).RETURN).items():
        assert entry["description"], key
        assert entry["returned"], key
        assert entry["type"] in ("str", "int", "float", "bool", "list", "dict"), key
        assert entry["type"] != "list" or entry["elements"], key


def test_ansible_doc_shows_every_module():
    tool = Path(sys.executable).with_name("ansible-doc")
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        [tool, "--json", "-M", ROOT / "library", *NAMES],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert sorted(shown) == NAMES
    assert [name for name in NAMES if not (shown[name]["examples"] and shown[name]["return"])] == []
