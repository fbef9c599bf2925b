import shlex

import pytest
import rollback as filters
from ansible import context
from ansible.errors import AnsibleFilterError
from ansible.parsing.dataloader import DataLoader
from ansible.utils import vars as ansible_vars
from ansible.utils.context_objects import CLIArgs
from made_up import RUN, application, as_json, census, live, manifest, point, request

FILTERS = filters.FilterModule().filters()
SHORT = {"method": "How", "reason": "Why", "confirm": "Sure"}


@pytest.fixture
def typed(monkeypatch):
    """Stands in for a command line with these -e and -i."""

    def type_(*extra_vars, inventory=("inventories/production",)):
        monkeypatch.setattr(context, "CLIARGS", CLIArgs({"extra_vars": tuple(extra_vars), "inventory": inventory}))
        monkeypatch.setattr(ansible_vars.load_extra_vars, "extra_vars", None, raising=False)
        return ansible_vars.load_extra_vars(DataLoader())

    return type_


@pytest.mark.parametrize(
    "given",
    [
        "reason=down",
        "reason=the API is down",
        'reason="leads are gone"',
        '{"reason": "it\'s \\"down\\" now"}',
        '{"reason": "$HOME `id` ; rm"}',
        '{"reason": "a=b c=d"}',
        '{"reason": "back\\\\slash and\\nlines"}',
        '{"confirm": "it\'s"}',
    ],
)
def test_the_command_can_be_typed_again_and_says_the_same(typed, given):
    before = typed("method=restore", given)
    sentence = FILTERS["free_text"](before.get("reason", ""), "reason")
    words = shlex.split(FILTERS["typed_command"]("rollback.yml", SHORT))
    assert words[:4] == ["ansible-playbook", "-i", "inventories/production", "rollback.yml"]
    assert words[4::2] == ["-e", "-e"]
    after = typed(*words[5::2])
    assert after["method"] == "restore"
    assert after.get("confirm") == before.get("confirm")
    assert FILTERS["free_text"](after.get("reason", ""), "reason") == sentence


def test_a_command_to_be_typed_again_holds_no_password(typed):
    typed('{"rollback_pools": [{"dsn": "host=h user=u", "password": "hush"}]}', "rollback_database_password=hush")
    assert FILTERS["typed_command"]("rollback.yml", SHORT) == "ansible-playbook -i inventories/production rollback.yml"


def test_the_inventory_that_ansible_cfg_chose_goes_unsaid(typed, monkeypatch):
    monkeypatch.setattr(filters.constants, "DEFAULT_HOST_LIST", ["inventories/local"])
    typed(inventory=("inventories/local",))
    assert FILTERS["inventory_option"]("") == ""
    typed(inventory=("inventories/my own", "more,"))
    assert FILTERS["inventory_option"]("") == "-i 'inventories/my own' -i more,"


def test_variables_of_roles_may_be_given_and_misspelt_ones_not(typed):
    typed("rollback_protected=false", "verify_successes=1", "method=restore")
    assert FILTERS["unknown_inputs"](SHORT) == []
    typed("rollback_protcted=false", "method=restore oops")
    lost, unknown = FILTERS["unknown_inputs"](SHORT)
    assert "'oops'" in lost
    assert unknown == "Nothing reads the variable rollback_protcted. Did you mean rollback_protected?"


def test_endpoints_by_path_become_urls():
    endpoints = [{"path": "/a", "status": [200]}, {"path": "/b?c=1"}]
    assert FILTERS["urls_below"](endpoints, "http://h:1/") == [
        {"status": [200], "url": "http://h:1/a"},
        {"url": "http://h:1/b?c=1"},
    ]


def test_a_host_that_was_never_asked_is_not_healthy():
    hosts = [
        {"inventory_hostname": "a", "verify_healthy": True},
        {"inventory_hostname": "b", "verify_healthy": False, "verify_complaints": ["x answered 500", "y timed out"]},
        {"inventory_hostname": "c"},
    ]
    assert [(check["name"], check["ok"], check["detail"]) for check in FILTERS["health_checks"](hosts)] == [
        ("health of a", True, "every endpoint answered well"),
        ("health of b", False, "x answered 500; y timed out"),
        ("health of c", False, "it was not asked"),
    ]


def test_a_host_that_did_not_come_into_the_wanted_state_is_named():
    hosts = [
        {"inventory_hostname": "a", "app_rollback_state": "stopped"},
        {"inventory_hostname": "b", "app_rollback_state": "started", "rollback_host_problem": "timed out"},
        {"inventory_hostname": "c"},
        {"inventory_hostname": "d"},
    ]
    assert FILTERS["host_problems"](hosts, "stopped") == [
        "b is not stopped: timed out",
        "c, d are not stopped: cannot be reached",
    ]


def facts(**changes):
    known = {
        "request": vars(request()),
        "target": {
            "release_point": point().as_dict(),
            "backup": {"name": "b", "path": "/b", "bytes": 1, "format": "plain"},
        },
        "proof": {"manifest": manifest().as_dict(), "judged": False, "problems": [], "notes": [], "free_bytes": 10**12},
        "database": {"census": live().as_dict(), "where": "db1:5432", "obstacles": [], "marker": ""},
        "application": vars(application()),
        "measured": {},
    }
    return as_json({**known, **changes})


def test_a_plan_is_made_and_shown():
    plan = FILTERS["plan_restore"](facts())
    assert plan["run"] == RUN
    assert FILTERS["plan_text"](plan).startswith(f"Plan of run {RUN}\n")


def test_what_cannot_be_planned_is_a_sentence_for_ansible():
    long = live(database="h" * 60).as_dict()
    with pytest.raises(AnsibleFilterError, match="PostgreSQL allows 63"):
        FILTERS["plan_restore"](facts(database={"census": long, "where": "db1", "obstacles": [], "marker": ""}))


def test_an_undo_is_planned_from_the_earlier_plan():
    earlier = FILTERS["plan_restore"](facts())
    known = {
        **facts(),
        "earlier": earlier,
        "aside": as_json(live().as_dict()),
        "database": {"census": as_json(census().as_dict()), "where": "x", "obstacles": [], "marker": ""},
    }
    assert FILTERS["plan_undo"](known)["undoes"] == RUN


class Tagged(str):
    """What Ansible hands over looks like a str, and is none to json or psycopg."""


def test_what_ansible_hands_over_becomes_plain():
    found = filters.plain({Tagged("a"): [Tagged("b"), (1, None)], "c": True})
    assert found == {"a": ["b", [1, None]], "c": True}
    assert {type(entry) for entry in (*found, found["a"][0])} == {str}


def test_words_for_numbers():
    assert (FILTERS["count_cell"](None), FILTERS["count_cell"](1234), FILTERS["duration"]("42")) == (
        "–",
        "1,234",
        "42 s",
    )
