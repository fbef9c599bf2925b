#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: rollback_journal
short_description: Open, write, read and close the journal of a run
description:
  - Opening a run takes the lock of its environment; closing it gives the lock back.
  - Each entry is chained to the one before by its hash, and is on disk when the module returns.
options:
  state_dir:
    description: Directory on the C(database) host that keeps ledgers, locks and runs.
    type: str
    required: true
  environment_name:
    description: Name of the environment.
    type: str
    required: true
  run:
    description: Id of the run.
    type: str
    default: ""
  method:
    description: Method of whose newest run RV(measured) tells.
    type: str
    default: restore
  state:
    description:
      - V(read) returns the journal of O(run), the lock, and whatever run was not finished.
      - V(opened) takes the lock and writes the first entry, or resumes a run of that id.
      - V(began), V(done), V(failed) and V(noted) write an entry about O(step).
      - V(closed) writes the last entry and gives the lock back.
    type: str
    choices: [read, opened, began, done, failed, noted, closed]
    default: read
  step:
    description: Id of the step.
    type: str
    default: ""
  data:
    description: What to keep with the entry.
    type: dict
    default: {}
  owner:
    description: Who opens the run, with C(who), C(host), C(pid) and C(boot) of the controller's process.
    type: dict
    default: {}
  take_over:
    description: The lock that may be taken, as RV(lock) showed it, because its controller is dead. Empty takes none.
    type: dict
    default: {}
attributes:
  check_mode:
    support: full
    description: Writes nothing.
author: [The Rollback authors]
"""

EXAMPLES = r"""
- name: Note that the application was stopped
  rollback_journal:
    state_dir: /var/lib/rollback
    environment_name: production
    run: 20261122T031500Z-restore
    state: done
    step: stop
"""

RETURN = r"""
run_dir:
  description: Directory of the run; empty without O(run).
  returned: success
  type: str
  sample: /var/lib/rollback/production/runs/20261122T031500Z-restore
entries:
  description: The journal, after this call.
  returned: success
  type: list
  elements: dict
steps:
  description: The steps with status and seconds.
  returned: success
  type: list
  elements: dict
swapped:
  description: Whether the databases were swapped; null where that cannot be told.
  returned: success
  type: bool
problems:
  description: What went wrong in the last attempt.
  returned: success
  type: list
  elements: str
outcome:
  description: C(succeeded), C(failed), C(undone) … or C(unfinished), read from the journal.
  returned: success
  type: str
elapsed_s:
  description: Seconds since the run was asked for, by this host's monotonic clock.
  returned: success
  type: float
lock:
  description: Who holds the lock; empty where nobody does.
  returned: success
  type: dict
unfinished:
  description: Id of the newest run that was never closed; empty where there is none.
  returned: success
  type: str
measured:
  description: Seconds per step of the newest successful run of O(method).
  returned: success
  type: dict
"""

from ansible.module_utils.rollback import module, record

ARGUMENT_SPEC = {
    "state_dir": {"type": "str", "required": True},
    "environment_name": {"type": "str", "required": True},
    "run": {"type": "str", "default": ""},
    "method": {"type": "str", "default": "restore"},
    "state": {
        "type": "str",
        "choices": ["read", "opened", "began", "done", "failed", "noted", "closed"],
        "default": "read",
    },
    "step": {"type": "str", "default": ""},
    "data": {"type": "dict", "default": {}},
    "owner": {"type": "dict", "default": {}},
    "take_over": {"type": "dict", "default": {}},
}


def main() -> None:
    module.run(ARGUMENT_SPEC, record.keep)


if __name__ == "__main__":
    main()
