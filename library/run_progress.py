#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: run_progress
short_description: Follow a long step of a run
description:
  - Waits until there is a new line of progress, or until the job has ended, and returns it. Call it in a loop.
  - Returns the result of the job that has ended, fails as that failed, and removes its file.
  - Fails too where the job's process was killed.
options:
  run_dir:
    description: Directory of the run.
    type: str
    required: true
  job_file:
    description: The C(results_file) of the asynchronous task that is followed.
    type: path
    required: true
  wait_s:
    description: Seconds to wait for a new line.
    type: float
    default: 10
  silence_s:
    description: Seconds without any process at work on the run after which the job counts as killed.
    type: float
    default: 10
attributes:
  check_mode:
    support: full
    description: Nothing is changed in any mode.
author: [The Rollback authors]
"""

EXAMPLES = r"""
- name: Follow the restore
  run_progress:
    run_dir: "{{ rollback_run_dir }}"
    job_file: "{{ __db_restore_job.results_file }}"
  register: __db_restore_progress
  until: __db_restore_progress.finished | default(true)
  retries: 100000
  delay: 0
"""

RETURN = r"""
line:
  description: The newest line of progress; empty before there is one.
  returned: success
  type: str
  sample: "load: 512.0 MiB of about 1.0 GiB (50 %), 31 of 64 objects, 43.1 MiB/s, about 12 s left; 40 s of 15 min 00 s used"
finished:
  description: Whether the job has ended.
  returned: success
  type: bool
result:
  description: What the job returned; empty while it runs.
  returned: success
  type: dict
"""

import json
import time
from pathlib import Path

from ansible.module_utils.rollback import module, progress, worker
from ansible.module_utils.rollback.errors import RollbackError

ARGUMENT_SPEC = {
    "run_dir": {"type": "str", "required": True},
    "job_file": {"type": "path", "required": True},
    "wait_s": {"type": "float", "default": 10},
    "silence_s": {"type": "float", "default": 10},
}
PAUSE_S = 0.2


def follow(params, check_mode):
    job_file = Path(params["job_file"])
    began = busy_at = time.monotonic()
    before = progress.last_line(params["run_dir"])
    while True:
        line, now = progress.last_line(params["run_dir"]), time.monotonic()
        answer = {"changed": False, "line": line or "", "finished": False, "result": {}}
        result = result_of(job_file)
        if result is not None:
            job_file.unlink()
            return {**answer, "finished": True, "result": succeeded(result)}
        if worker.is_busy(params["run_dir"]):
            busy_at = now
        if now - busy_at > params["silence_s"]:
            raise killed()
        idle = (
            now - busy_at > PAUSE_S
        )  # is it about to begin, or was it killed? The next call would start counting anew
        if line != before or (now - began > params["wait_s"] and not idle):
            return answer
        time.sleep(PAUSE_S)


def result_of(job_file):
    """What the job returned, or None while it runs: Ansible's wrapper marks it as started, then writes the result."""
    try:
        content = json.loads(job_file.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return None if "started" in content else content


def succeeded(result):
    """The result, or the job's own failure."""
    if "cmd" in result:  # the wrapper's words, not the module's
        raise killed()
    if result.get("failed"):
        raise RollbackError(str(result.get("msg", "it failed without a word")))
    return result


def killed():
    return RollbackError(
        "The process that worked on the database host was killed before it was done.",
        "Run the same command again; it takes up the run.",
    )


def main() -> None:
    module.run(ARGUMENT_SPEC, follow)


if __name__ == "__main__":
    main()
