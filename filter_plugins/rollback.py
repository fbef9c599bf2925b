# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters with which playbooks ask the package under module_utils/: plan, report, inputs, and words for numbers."""

from __future__ import annotations

import json
import os
import re
import shlex
from pathlib import Path
from typing import Any

import ansible.module_utils
import yaml
from ansible import constants, context
from ansible.errors import AnsibleFilterError
from ansible.parsing.dataloader import DataLoader
from ansible.utils.vars import load_extra_vars

# Targets get module_utils/ with each module; the controller's own process has to be told where it is.
_PROJECT = Path(__file__).resolve().parents[1]
if str(_PROJECT / "module_utils") not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(str(_PROJECT / "module_utils"))

from ansible.module_utils.rollback import (  # noqa: E402
    app_plan,
    clock,
    controller,
    inputs,
    migration_lines,
    migration_plan,
    outcome,
    plan,
    probes,
    report,
    runs,
    sealed,
    words,
)
from ansible.module_utils.rollback.backups import catalog  # noqa: E402
from ansible.module_utils.rollback.errors import RollbackError  # noqa: E402
from ansible.module_utils.rollback.migrations import trial  # noqa: E402
from ansible.module_utils.rollback.migrations.operations import Loss  # noqa: E402
from ansible.module_utils.rollback.postgres import names  # noqa: E402


def plain(value: Any) -> Any:
    """Ansible hands over tagged and lazy types; the package knows plain ones."""
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    return json.loads(json.dumps(value, default=str))


def unknown_inputs(short: dict[str, str]) -> list[str]:
    """Sentences about variables given with -e that are neither `short` inputs (name → what it is for) nor of a role."""
    given = load_extra_vars(DataLoader())
    return inputs.lost_words(_arguments(), given) + inputs.unknown(given, {**plain(short), **_role_inputs()})


def free_text(value: str, name: str) -> str:
    """The whole sentence that was given with -e, or `value`."""
    return inputs.free_text(name, _arguments()) or plain(value)


def _arguments() -> list[str]:
    return [str(argument) for argument in context.CLIARGS.get("extra_vars") or ()]


def _role_inputs() -> dict[str, str]:
    """Every input that a role declares, by name."""
    specs = (
        yaml.safe_load(path.read_text()) for path in sorted((_PROJECT / "roles").glob("*/meta/argument_specs.yml"))
    )
    entries = (entry for spec in specs for entry in spec["argument_specs"].values())
    return {name: str(option["description"]) for entry in entries for name, option in entry.get("options", {}).items()}


def typed_command(playbook: str, short: dict[str, str]) -> str:
    """The command that started this, to be typed again: the playbook, the inventory, and the variables given with -e."""
    known = {**plain(short), **_role_inputs()}
    given = load_extra_vars(DataLoader())
    said = [
        _option(name, free_text(value, name))
        for name, value in given.items()
        if name in known
        and "password" not in name
        and name not in ("rollback_pools", "rollback_backup_sources")  # they have passwords inside
    ]
    return " ".join(filter(None, ["ansible-playbook", inventory_option(""), playbook, *said]))


def _option(name: str, value: Any) -> str:
    """`-e name=value`; as JSON where Ansible would read the value otherwise."""
    simple = isinstance(value, str) and re.fullmatch(r"[\w.,:/@+-]+", value)
    return f"-e {shlex.quote(f'{name}={value}' if simple else json.dumps({name: plain(value)}, ensure_ascii=False))}"


def inventory_option(_: Any) -> str:
    """`-i …` as it was given, or nothing where ansible.cfg chose the inventory."""
    sources = [str(source) for source in context.CLIARGS.get("inventory") or ()]
    if sources == [str(source) for source in constants.DEFAULT_HOST_LIST]:
        return ""
    return " ".join(
        f"-i {shlex.quote(os.path.relpath(source, _PROJECT) if os.path.exists(source) else source)}"
        for source in sources
    )


def urls_below(endpoints: list[dict[str, Any]], base_url: str) -> list[dict[str, Any]]:
    """Endpoints by path, as http_probe takes them by URL."""
    base = plain(base_url).rstrip("/")
    return [
        {**{name: value for name, value in endpoint.items() if name != "path"}, "url": base + endpoint["path"]}
        for endpoint in plain(endpoints)
    ]


def is_a_time(said: Any) -> bool:
    """Whether it can be read as a time."""
    try:
        catalog.moment(str(said))
    except RollbackError:
        return False
    return True


def health_checks(hosts: list[Any]) -> list[dict[str, Any]]:
    """One named result for each application host, from what it found of itself."""
    return [
        {
            "name": f"health of {host['inventory_hostname']}",
            "ok": bool(host.get("verify_healthy", False)),
            "detail": "every endpoint answered well"
            if host.get("verify_healthy")
            else "; ".join(plain(host.get("verify_complaints") or ["it was not asked"])),
        }
        for host in hosts
    ]


def checks_text(checks: list[dict[str, Any]]) -> str:
    return "\n".join(
        words.table(
            [["passed" if check["ok"] else "FAILED", check["name"], check["detail"]] for check in plain(checks)]
        )
    )


def host_problems(hosts: list[Any], wanted: str) -> list[str]:
    """Which application hosts did not come into the `wanted` state, a sentence for each reason."""
    said: dict[str, list[str]] = {}
    for host in hosts:
        if host.get("app_rollback_state", "") != plain(wanted):
            why = plain(host.get("rollback_host_problem", _why_not(host)))
            said.setdefault(why, []).append(plain(host["inventory_hostname"]))
    return [
        f"{words.listed(names)} {'is' if len(names) == 1 else 'are'} not {wanted}: {why}" for why, names in said.items()
    ]


def _why_not(host: Any) -> str:
    return (
        "cannot be reached"
        if host.get("rollback_switching", True)
        else "left as before, since a batch did not end well"
    )


def host_states(hosts: list[Any]) -> dict[str, str]:
    """What became of each application host: the state it was last brought into, `not begun` or `unknown`."""
    return {
        str(host["inventory_hostname"]): str(
            host.get("app_rollback_state", "unknown" if host.get("rollback_switching", True) else "not begun")
        )
        for host in hosts
    }


def may_go_on(hosts: list[Any], max_fail_percentage: int) -> bool:
    """Whether the next batch may begin: the first host is well, and no larger share of all has failed than is allowed."""
    begun = [host for host in hosts if host.get("rollback_switching", False)]
    failed = [
        host for host in begun if host.get("app_rollback_state", "") != "started" or "rollback_host_problem" in host
    ]
    return not any(host is hosts[0] for host in failed) and 100 * len(failed) <= int(max_fail_percentage) * len(hosts)


def new_run_id(method: str) -> str:
    return runs.new_run_id(plain(method), clock.utc_now())


def plan_restore(facts: dict[str, Any]) -> dict[str, Any]:
    """The plan of a restore; `facts` has request, target, proof, database, application and measured."""
    return _planned(plan.for_restore, facts, "target", "proof", "database")


def plan_undo(facts: dict[str, Any]) -> dict[str, Any]:
    """The plan of an undo; `facts` has request, earlier, database, aside, application and measured."""
    return _planned(plan.for_undo, facts, "earlier", "database", "aside")


def plan_undo_in_place(facts: dict[str, Any]) -> dict[str, Any]:
    """The plan of an undo from a safety dump; `facts` has request, earlier, database, proof, safety, application and measured."""
    return _planned(plan.for_undo_in_place, facts, "earlier", "database", "proof", "safety")


def plan_app(facts: dict[str, Any]) -> dict[str, Any]:
    """The plan of method=app; `facts` has request, point, between, wants_own_head, database, application and measured."""
    return _planned(app_plan.for_app, facts, "point", "between", "wants_own_head", "database")


def plan_undo_app(facts: dict[str, Any]) -> dict[str, Any]:
    """The plan of the undo of such a run; `facts` has request, earlier, database, application and measured."""
    return _planned(app_plan.for_undo, facts, "earlier", "database")


def plan_migration(facts: dict[str, Any]) -> dict[str, Any]:
    """The plan of a downgrade; `facts` has request, point, history, loss, database, application and measured."""
    return _planned(migration_plan.for_migration, facts, "point", "history", "loss", "database")


def plan_undo_migration(facts: dict[str, Any]) -> dict[str, Any]:
    """The plan of the undo of a downgrade; `facts` has request, earlier, database, since, application and measured."""
    return _planned(migration_plan.for_undo, facts, "earlier", "database", "since")


def steps_left(steps: list[Any], start: list[str], now: list[list[str]]) -> list[Any]:
    """Which of `steps`, that begin at the heads `start`, are left for version tables at the heads `now`."""
    try:
        return migration_plan.steps_left(plain(steps), plain(start), plain(now))
    except RollbackError as error:
        raise AnsibleFilterError(str(error)) from error


def steps_behind(steps: list[Any], now: list[str]) -> list[str]:
    """The revisions of `steps` that a database at the heads `now` has behind it."""
    return migration_plan.steps_behind(plain(steps), plain(now))


def upwards(steps: list[Any], start: list[str]) -> list[Any]:
    """The same steps the other way round, up to the heads `start`."""
    return migration_plan.upwards(plain(steps), plain(start))


def late_tables(steps: list[Any], losses: list[Any]) -> dict[str, str]:
    """Tables whose rows must come back later than the tables, with the revision after which they can."""
    return migration_plan.late_tables(plain(steps), plain(losses))


def steps_unsaid(migration: dict[str, Any], now: list[str], recorded: list[Any]) -> list[Any]:
    """Steps of a `migration` that a database at the heads `now` has behind it, and that the record does not have as done."""
    return migration_plan.steps_unsaid(plain(migration), plain(now), plain(recorded))


def trial_name(database: str) -> str:
    return names.trial_name(plain(database), runs.stamp_of(new_run_id("migration")))


def unforeseen(tried: dict[str, Any], forecast: list[Any]) -> list[Any]:
    """Losses that a trial showed and the `forecast` from the scripts does not name."""
    known = [Loss.from_dict(entry) for entry in plain(forecast)]
    return [loss.as_dict() for loss in trial.unforeseen(known, plain(tried)["steps"])]


def _planned(build: Any, facts: dict[str, Any], *names: str) -> dict[str, Any]:
    known = plain(facts)
    try:
        return build(
            plan.Request(**known["request"]),
            *(known[name] for name in names),
            plan.Application(**known["application"]),
            known["measured"],
        )
    except RollbackError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {
            "unknown_inputs": unknown_inputs,
            "typed_command": typed_command,
            "free_text": free_text,
            "is_a_time": is_a_time,
            "health_checks": health_checks,
            "host_problems": host_problems,
            "host_states": host_states,
            "may_go_on": may_go_on,
            "urls_below": urls_below,
            "inventory_option": inventory_option,
            "new_run_id": new_run_id,
            "plan_restore": plan_restore,
            "plan_undo": plan_undo,
            "plan_undo_in_place": plan_undo_in_place,
            "unreached": lambda facts: outcome.unreached(**plain(facts)),
            "plan_app": plan_app,
            "plan_undo_app": plan_undo_app,
            "plan_migration": plan_migration,
            "plan_undo_migration": plan_undo_migration,
            "steps_left": steps_left,
            "steps_behind": steps_behind,
            "upwards": upwards,
            "late_tables": late_tables,
            "as_trial": lambda seen: {"steps": [{"revision": "", "vanished": plain(seen)["vanished"]}]},
            "loss_words": lambda loss: migration_lines.what(plain(loss)),
            "steps_unsaid": steps_unsaid,
            "trial_name": trial_name,
            "unforeseen": unforeseen,
            "plan_text": lambda value: plan.text(plain(value)),
            "complaints": lambda answers: probes.complaints(plain(answers)),
            "controller_process": lambda who: controller.this_process(plain(who) or ""),
            "controller_verdict": lambda lock: controller.verdict(plain(lock)),
            "rollback_report": lambda record, notes: report.build(plain(record), plain(notes)),
            "below_project": lambda path: str(_PROJECT / plain(path)),
            "checks_text": checks_text,
            "listed": lambda names: words.listed(plain(names)),
            "by_value": lambda values: words.by_value(plain(values)),
            "count_cell": lambda count: words.count(plain(count)),
            "sealed": lambda value, every=False: sealed.sealed(plain(value), every),
            "duration": lambda seconds: words.duration(float(seconds)),
        }
