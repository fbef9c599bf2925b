"""Rules of style that a linter does not know, or that must not depend on one."""

import re
from pathlib import Path

import pytest
import yaml

from ansible.module_utils.rollback import report

ROOT = Path(__file__).parents[2]
FILES = sorted(
    [
        ROOT / "rollback.yml",
        ROOT / "undo.yml",
        *(ROOT / "playbooks").rglob("*.yml"),
        *(ROOT / "roles").glob("*/tasks/**/*.yml"),
        *(ROOT / "roles").glob("*/handlers/*.yml"),
    ]
)
each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
LISTS = ("tasks", "pre_tasks", "post_tasks", "handlers", "block", "rescue", "always")
CONDITIONS = ("when", "until", "failed_when", "changed_when")
SHELLS = ("shell", "ansible.builtin.shell", "raw", "ansible.builtin.raw")
# A name that is nothing but a variable gets its words from here.
WORDS_OF = {"report_facts.status": report._STATUS.values()}


def entries(node):
    """Every play, block and task below a parsed file."""
    for entry in node if isinstance(node, list) else ():
        yield entry
        for key in LISTS:
            yield from entries(entry.get(key))


def of(path):
    return list(entries(yaml.safe_load(path.read_text())))


def first_words(name):
    """What a name may begin with; that of a template is in its quotes, or comes from a known list."""
    if not name.startswith("{{"):
        return [name]
    expression = name[2 : name.index("}}")].strip()
    return re.findall(r"'([^']+)'", expression.split(" if ")[0] + expression.partition(" else ")[2]) or list(
        WORDS_OF[expression]
    )


def conditions(entry):
    for key in CONDITIONS:
        yield from ((key, value) for value in (entry[key] if isinstance(entry.get(key), list) else [entry.get(key)]))
    for key in ("assert", "ansible.builtin.assert"):
        that = entry.get(key, {}).get("that", [])
        yield from (("that", value) for value in (that if isinstance(that, list) else [that]))


def test_there_is_something_to_look_at():
    assert len(FILES) > 30
    assert sum(len(of(path)) for path in FILES) > 100


@each_file
def test_every_step_has_a_name_that_begins_like_a_sentence(path):
    for entry in of(path):
        assert entry.get("name"), entry
        assert [word for word in first_words(entry["name"]) if not word[0].isupper()] == []
        assert not entry["name"].rstrip().endswith("."), entry["name"]


@each_file
def test_nothing_is_ignored_asked_or_given_to_a_shell(path):
    for entry in of(path):
        assert not {"ignore_errors", "pause", "ansible.builtin.pause", "vars_prompt", *SHELLS} & set(entry), entry[
            "name"
        ]


@each_file
def test_conditions_are_expressions_and_no_templates(path):
    for entry in of(path):
        assert [(key, value) for key, value in conditions(entry) if "{{" in str(value) or "{%" in str(value)] == [], (
            entry["name"]
        )


@each_file
def test_actions_have_their_full_name(path):
    ours = {module.stem for module in (ROOT / "library").glob("*.py")}
    keywords = {
        "name",
        "hosts",
        "vars",
        "when",
        "register",
        "loop",
        "loop_control",
        "until",
        "retries",
        "delay",
        "async",
        "poll",
        "delegate_to",
        "run_once",
        "become",
        "become_user",
        "no_log",
        "tags",
        "gather_facts",
        "any_errors_fatal",
        "check_mode",
        "changed_when",
        "failed_when",
        "ignore_unreachable",
        "vars_files",
        "import_playbook",
        "timeout",
        "environment",
        "notify",
        "serial",
        "strategy",
        "throttle",
        "diff",
        "args",
        "listen",
        "max_fail_percentage",
        "force_handlers",
        "order",
        "roles",
        "module_defaults",
        *LISTS,
    }
    for entry in of(path):
        actions = set(entry) - keywords
        assert all(action in ours or action.count(".") == 2 for action in actions), actions


@each_file
def test_a_changing_command_says_what_it_changes(path):
    for entry in of(path):
        command = entry.get("ansible.builtin.command")
        assert command is None or ("argv" in command and "changed_when" in entry), entry["name"]


@each_file
def test_secrets_are_handed_only_to_options_that_hide_them(path):
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        if "rollback_database_password" in line:
            assert re.match(r"\s+password: ", line), f"line {number}"


def test_the_roots_own_playbooks_only_import():
    for name in ("rollback.yml", "undo.yml"):
        (entry,) = yaml.safe_load((ROOT / name).read_text())
        assert entry["import_playbook"] == f"playbooks/{name}"
