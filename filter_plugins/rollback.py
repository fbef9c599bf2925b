# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters with which playbooks ask the package under module_utils/: plan, report, inputs, and words for numbers."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import ansible.module_utils
import yaml
from ansible import context
from ansible.errors import AnsibleFilterError
from ansible.parsing.dataloader import DataLoader
from ansible.utils.vars import load_extra_vars

# Targets get module_utils/ with each module; the controller's own process has to be told where it is.
_PROJECT = Path(__file__).resolve().parents[1]
if str(_PROJECT / "module_utils") not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(str(_PROJECT / "module_utils"))

from ansible.module_utils.rollback import clock, controller, inputs, outcome, plan, probes, report, runs, words  # noqa: E402
from ansible.module_utils.rollback.errors import RollbackError  # noqa: E402


def plain(value: Any) -> Any:
    """Ansible hands over tagged and lazy types; the package knows plain ones."""
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    return json.loads(json.dumps(value, default=str))


def unknown_inputs(short: dict[str, str]) -> list[str]:
    """Sentences about variables given with -e that are neither `short` inputs (name → what it is for) nor of a role."""
    return inputs.unknown(load_extra_vars(DataLoader()), {**plain(short), **_role_inputs()})


def _role_inputs() -> dict[str, str]:
    """Every input that a role declares, by name."""
    specs = (yaml.safe_load(path.read_text()) for path in sorted((_PROJECT / "roles").glob("*/meta/argument_specs.yml")))
    entries = (entry for spec in specs for entry in spec["argument_specs"].values())
    return {name: str(option["description"]) for entry in entries for name, option in entry.get("options", {}).items()}


def typed_command(playbook: str, known: dict[str, str]) -> str:
    """The command that started this, to be typed again: the playbook, the inventory, and the variables given with -e."""
    given = load_extra_vars(DataLoader())
    said = [f"-e {shlex.quote(f'{name}={plain(value)}')}" for name, value in given.items() if name in known and "_" not in name]
    return " ".join(filter(None, ["ansible-playbook", inventory_option(""), playbook, *said]))


def inventory_option(_: Any) -> str:
    """`-i …` as it was given, or nothing where ansible.cfg chose the inventory."""
    return " ".join(f"-i {shlex.quote(str(source))}" for source in context.CLIARGS.get("inventory") or ())


def urls_below(endpoints: list[dict[str, Any]], base_url: str) -> list[dict[str, Any]]:
    """Endpoints by path, as http_probe takes them by URL."""
    base = plain(base_url).rstrip("/")
    return [{**{name: value for name, value in endpoint.items() if name != "path"}, "url": base + endpoint["path"]} for endpoint in plain(endpoints)]


def new_run_id(method: str) -> str:
    return runs.new_run_id(plain(method), clock.utc_now())


def plan_restore(facts: dict[str, Any]) -> dict[str, Any]:
    """The plan of a restore; `facts` has request, target, manifest, database, application and measured."""
    return _planned(plan.for_restore, facts, "target", "manifest", "database")


def plan_undo(facts: dict[str, Any]) -> dict[str, Any]:
    """The plan of an undo; `facts` has request, earlier, database, aside, application and measured."""
    return _planned(plan.for_undo, facts, "earlier", "database", "aside")


def _planned(build: Any, facts: dict[str, Any], *names: str) -> dict[str, Any]:
    known = plain(facts)
    try:
        return build(plan.Request(**known["request"]), *(known[name] for name in names), plan.Application(**known["application"]), known["measured"])
    except RollbackError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {
            "unknown_inputs": unknown_inputs,
            "typed_command": typed_command,
            "urls_below": urls_below,
            "inventory_option": inventory_option,
            "new_run_id": new_run_id,
            "plan_restore": plan_restore,
            "plan_undo": plan_undo,
            "plan_text": lambda value: plan.text(plain(value)),
            "complaints": lambda answers, host: probes.complaints(plain(answers), str(host)),
            "controller_process": lambda who: controller.this_process(plain(who) or ""),
            "controller_verdict": lambda lock: controller.verdict(plain(lock)),
            "conclusion": lambda record: outcome.conclude(plain(record)["entries"][0]["data"]["plan"], plain(record)["steps"]),
            "rollback_report": lambda record, notes: report.build(plain(record), plain(notes)),
            "below_project": lambda path: str(_PROJECT / plain(path)),
            "count_cell": lambda count: words.count(plain(count)),
            "duration": lambda seconds: words.duration(float(seconds)),
        }
