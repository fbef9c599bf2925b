# SPDX-License-Identifier: GPL-3.0-or-later
"""What each play takes of time, and of the controller's processors, for bench/fleet.py."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: stage_times
type: aggregate
short_description: Seconds and processor seconds of each play
description:
  - Writes a list of C([play, seconds, processor seconds]) as JSON into the file that the environment variable C(STAGE_TIMES) names.
  - Processor seconds are those of the controller, of its workers and of the ssh commands that they wait for.
author: [The Rollback authors]
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "stage_times"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._marks: list[tuple[str, float, float]] = [("start", *_now())]

    def v2_playbook_on_play_start(self, play: Any) -> None:
        self._marks.append((play.get_name().strip(), *_now()))

    def v2_playbook_on_stats(self, stats: Any) -> None:
        ends = [*self._marks[1:], ("", *_now())]
        stages = [
            (name, after[1] - began, after[2] - used)
            for (name, began, used), after in zip(self._marks, ends, strict=True)
        ]
        Path(os.environ["STAGE_TIMES"]).write_text(json.dumps(stages))


def _now() -> tuple[float, float]:
    return time.monotonic(), sum(os.times()[:4])
