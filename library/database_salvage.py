#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: database_salvage
short_description: Keep aside what a downgrade takes away, or bring it back
description:
  - Copies tables, and columns with the key of their rows, into a schema of the same database, and compares them with their source.
  - Each state is reached in one transaction, or not at all.
options:
  dsn:
    description: libpq connection string that names host and user, and holds neither password nor database.
    type: str
    required: true
  password:
    description: Password of the operator's role. Leave it empty to use a passfile or another way of libpq's.
    type: str
    default: ""
  database:
    description: Name of the database.
    type: str
    required: true
  schema:
    description: Schema that keeps it; its name begins with C(rollback_salvage_).
    type: str
    required: true
  state:
    description:
      - V(saved) copies O(losses) there, anew.
      - V(left) records, once, what the downgrade has left behind, so that later writes can be told apart from it.
      - V(compared) counts what users have written since V(left); it changes nothing, also in check mode.
      - V(written) records that, before anything goes up again.
      - V(on_the_way) puts back what has a place again after the revisions O(applied), between two steps of the way up.
      - V(brought_back) puts everything back and compares it. The application's upgrade must have made its place again.
        What users have written since is not overwritten; RV(conflicts_file) lists it with what was saved.
        What hung on dropped tables and columns and was not made again by the upgrade is made too; RV(notes) says what could not be.
        What has been brought back once is not brought back again.
      - V(finished) says in RV(finished) whether that is done; it changes nothing, also in check mode.
      - V(written_again) puts that back, after an undo that failed has led down again.
      - V(untouched) drops the schema where everything is still where it was taken from, and fails where something is not.
      - V(put_back) does the same once it has added columns again that a step has dropped and committed before it failed. It is for the
        attempt that has copied them and for no later one; by then others may have written there.
      - V(absent) drops the schema.
    type: str
    choices: [saved, left, compared, written, on_the_way, brought_back, finished, written_again, untouched, put_back, absent]
    default: saved
  losses:
    description: What to keep, as RV(alembic_history#module:losses) says it. What cannot be kept is left out.
    type: list
    elements: dict
    default: []
  late:
    description:
      - Tables, with their schemas, whose rows come back after another revision than the one of their loss, by that revision.
      - A step of the way up that adds a NOT NULL column without a default wants the table empty.
    type: dict
    default: {}
  applied:
    description: Revisions that have been applied again, with O(state=on_the_way).
    type: list
    elements: str
    default: []
  rows:
    description: With O(state=on_the_way), whether whole rows come back too, which a step has failed without.
    type: bool
    default: false
  run_dir:
    description: Directory of the run, whose journal gets an entry before and after. Empty writes none.
    type: str
    default: ""
attributes:
  check_mode:
    support: full
    description: Changes nothing, and says nothing of what would be kept.
requirements: [psycopg >= 3.1]
author: [The Rollback authors]
"""

EXAMPLES = r"""
- name: Keep aside what would be lost
  database_salvage:
    dsn: host=127.0.0.1 user=rollback
    database: hunter
    schema: rollback_salvage_20261122t031500z
    losses: "{{ __forecast.losses }}"
"""

RETURN = r"""
copies:
  description: What was kept or brought back; C(gone) says how many of the rows no longer exist.
  returned: success
  type: list
  elements: dict
  sample: [{kind: column, schema: public, table: leads, columns: [phone], rows: 4711, gone: 0}]
written:
  description: For V(compared), the tables to which users have written since, how many rows, and whether going up drops them.
  returned: success
  type: list
  elements: dict
  sample: [{schema: public, table: leads, rows: 3, dropped: false}]
notes:
  description: Sentences about what could not be made again, with its statement, and about materialized views that could not be refreshed.
  returned: success
  type: list
  elements: str
finished:
  description: For V(finished), whether everything has been brought back.
  returned: success
  type: bool
conflicts:
  description: How many values and rows that users have written since were kept instead of what was saved.
  returned: success
  type: int
dropped:
  description: How many values and rows that users have written since had their place only in the older schema.
  returned: success
  type: int
conflicts_file:
  description: JSON lines with both sides of each, in O(run_dir); empty where there are none. They are all in the schema too.
  returned: success
  type: str
"""

import json
from dataclasses import asdict
from pathlib import Path

from ansible.module_utils.rollback import durable, module
from ansible.module_utils.rollback.journal import journal_in, steps_of
from ansible.module_utils.rollback.migrations.operations import Loss
from ansible.module_utils.rollback.postgres import salvage, since
from ansible.module_utils.rollback.postgres.server import ARGUMENTS, Server

ARGUMENT_SPEC = {
    **ARGUMENTS,
    "database": {"type": "str", "required": True},
    "schema": {"type": "str", "required": True},
    "state": {
        "type": "str",
        "choices": [
            "saved",
            "left",
            "compared",
            "written",
            "on_the_way",
            "brought_back",
            "finished",
            "written_again",
            "untouched",
            "put_back",
            "absent",
        ],
        "default": "saved",
    },
    "losses": {"type": "list", "elements": "dict", "default": []},
    "late": {"type": "dict", "default": {}},
    "applied": {"type": "list", "elements": "str", "default": []},
    "rows": {"type": "bool", "default": False},
    "run_dir": {"type": "str", "default": ""},
}
STEPS = {
    "saved": "salvage",
    "brought_back": "bring_back",
    "absent": "drop_salvage",
    "untouched": "drop_salvage",
    "put_back": "drop_salvage",
}
READS = ("compared", "finished")
CONFLICTS = "conflicts.jsonl"


def keep(params, check_mode):
    state, schema = params["state"], params["schema"]
    result = {"changed": state not in READS, "copies": [], "written": [], "notes": []}
    result.update(conflicts=0, dropped=0, conflicts_file="", finished=False)
    if check_mode and state not in READS:
        return result
    with Server.of(params["dsn"], params["password"]).connect(params["database"]) as connection:
        if state == "compared":
            return {**result, "written": since.compare(connection, schema)}
        if state == "left":
            return {**result, "changed": bool(since.note_left(connection, schema))}
        if state == "written":
            salvage.begin_again(connection, schema)
            return {**result, "changed": since.note_now(connection, schema) > 0}
        if state == "written_again":
            return {**result, "changed": since.write_again(connection, schema) > 0}
        if state == "on_the_way":
            back = salvage.bring_back_early(connection, schema, params["applied"], params["rows"])
            return {**result, "changed": bool(back), "copies": back}
        if state == "finished":
            return {**result, "changed": False, "finished": _is_finished(connection, params)}
        if state == "brought_back" and salvage.is_finished(connection, schema) is None:
            earlier = _brought_back(params)
            if earlier is not None:
                return {**result, **earlier, "changed": False}
        with journal_in(params["run_dir"]).step(STEPS[state]) as done:
            if state == "untouched":
                salvage.refuse_to_drop(connection, schema)
            if state == "put_back":
                salvage.put_back(connection, schema)
            if state in ("absent", "untouched", "put_back"):
                result["changed"] = salvage.drop(connection, schema)
            elif state == "saved":
                result["copies"] = done["copies"] = salvage.save(connection, schema, _losses(params), params["late"])
            else:
                done.update(asdict(salvage.bring_back(connection, schema)), **_conflicts(connection, params))
                result.update(done, warnings=done["notes"])
    return result


def _is_finished(connection, params):
    found = salvage.is_finished(connection, params["schema"])
    return _brought_back(params) is not None if found is None else found


def _brought_back(params):
    """What an earlier attempt of the run brought back, None where it did not: then the schema was dropped by something else."""
    entries = journal_in(params["run_dir"]).entries() if params["run_dir"] else []
    done = [step.data for step in steps_of(entries) if step.name == STEPS["brought_back"] and step.status == "done"]
    return done[-1] if done else None


def _losses(params):
    return [
        Loss(*(entry[name] for name in ("kind", "schema", "table")), tuple(entry["columns"]), entry["revision"])
        for entry in params["losses"]
    ]


def _conflicts(connection, params):
    """Write the file that lists them, and return their numbers and its path."""
    found = since.conflicts(connection, params["schema"])
    live, dropped = since.count(connection, params["schema"])
    path = ""
    if found and params["run_dir"]:
        path = str(Path(params["run_dir"]) / CONFLICTS)
        lines = [json.dumps(entry, ensure_ascii=False, sort_keys=True) for entry in found]
        durable.write(Path(path), ("\n".join(lines) + "\n").encode(errors="backslashreplace"))
    return {"conflicts": live, "dropped": dropped, "conflicts_file": path}


def main() -> None:
    module.run(ARGUMENT_SPEC, keep, needs_psycopg=True)


if __name__ == "__main__":
    main()
