# SPDX-License-Identifier: GPL-3.0-or-later
"""What the person on call sees in a terminal: each stage, each step with its time, and sentences instead of data."""

from __future__ import annotations

import time
from typing import Any

from ansible import constants
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: rollback_console
type: stdout
short_description: Stages, steps and sentences
description:
  - Prints a line when a step begins and a line when it ends on a host, with the time it took.
  - Leaves out the bookkeeping (argument validation, facts, includes, checks that passed).
  - For everything else set E(ANSIBLE_STDOUT_CALLBACK=default), or ask for more with C(-v).
author: [The Rollback authors]
"""

# Steps that are only of interest when they fail.
_BOOKKEEPING = {
    f"{prefix}{name}"
    for prefix in ("", "ansible.builtin.")
    for name in (
        "assert",
        "include_role",
        "import_role",
        "include_tasks",
        "import_tasks",
        "meta",
        "set_fact",
        "set_stats",
        "validate_argument_spec",
    )
}
_BOOKKEEPING.add("rollback_journal")
_SPEECH = {"debug", "ansible.builtin.debug"}
_FAILURE = {"fail", "ansible.builtin.fail"}


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "rollback_console"

    def __init__(self) -> None:
        super().__init__()
        self._play: Any = None
        self._began: dict[tuple[str, str], float] = {}
        self._announced = ""

    def v2_playbook_on_play_start(self, play: Any) -> None:
        self._play = play  # shown with its first step: a stage in which nothing is to be done is not shown

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        self._began[host.get_name(), task._uuid] = time.monotonic()
        if task.action not in _BOOKKEEPING | _SPEECH | _FAILURE:
            self._announce(task)

    def v2_runner_on_ok(self, result: Any) -> None:
        task, host, content = result.task, result.host.get_name(), result.result
        if task.action in _BOOKKEEPING and not self._wants_all():
            return
        if task.action in _SPEECH:
            self._stage()
            self._say("")
            self._say("\n".join(f"  {line}".rstrip() for line in str(content.get("msg", "")).splitlines()))
            return
        changed = content.get("changed", False)
        self._result(
            task,
            "changed" if changed else "ok",
            task.delegate_to or host,
            constants.COLOR_CHANGED if changed else constants.COLOR_OK,
            began=self._began.get((host, task._uuid)),
        )
        if self._wants_all():
            self._say(self._dump_results(content, indent=4))

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        task, host, content = result.task, result.host.get_name(), result.result
        if task.action not in _FAILURE | _BOOKKEEPING:
            self._result(task, "failed", host, constants.COLOR_ERROR)
        else:
            self._stage()
        failed = [item for item in content.get("results", ()) if item.get("failed")]
        content = failed[0] if failed else content
        words = (
            str(content.get("msg") or content.get("stderr") or "it failed without a word")
            .strip()
            .removeprefix("Task failed: ")
        )
        extra = str(content.get("module_stderr") or "").strip()
        self._say(f"\n  {words}", constants.COLOR_ERROR)
        if extra:
            self._say(f"  {extra}", constants.COLOR_ERROR)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._result(result.task, "unreachable", result.host.get_name(), constants.COLOR_UNREACHABLE)
        self._say(f"\n  {str(result.result.get('msg', '')).strip()}", constants.COLOR_UNREACHABLE)

    def v2_runner_on_skipped(self, result: Any) -> None:
        if self._announced == result.task._uuid:
            self._say(f"    not needed on {result.host.get_name()}", constants.COLOR_SKIP)

    def v2_runner_retry(self, result: Any) -> None:
        line = result.result.get("line")
        self._say(f"    {line}" if line else f"    again, try {result.result.get('attempts')}")

    def v2_playbook_on_no_hosts_remaining(self) -> None:
        pass  # the failure has been told

    def v2_playbook_on_no_hosts_matched(self) -> None:
        self._say(f"  no host matches {self._play.hosts if self._play else ''}", constants.COLOR_SKIP)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        self._say("")

    def _result(self, task: Any, word: str, host: str, color: str, began: float | None = None) -> None:
        self._announce(task)
        took = time.monotonic() - (began or self._began.get((host, task._uuid)) or time.monotonic())
        self._say(f"    {word} on {host} ({took:.1f} s)", color)

    def _announce(self, task: Any) -> None:
        """Say what begins; once, however many hosts it runs on."""
        self._stage()
        if self._announced != task._uuid:
            self._announced = task._uuid
            self._say(f"  {task.get_name().rpartition(' : ')[2]}")

    def _stage(self) -> None:
        if self._play is not None:
            self._say(f"\n{self._play.get_name().strip()}", "bright blue")
            self._play = None

    def _wants_all(self) -> bool:
        return bool(self._display.verbosity)

    def _say(self, text: str, color: str | None = None) -> None:
        self._display.display(text, color=color)
