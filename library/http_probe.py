#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: http_probe
short_description: Ask HTTP endpoints until they answer well several times in a row
description:
  - All endpoints are asked round after round. Redirects are not followed, certificates are verified, caches are told to stay out.
  - It never fails because of an answer; RV(healthy) says it, and the play decides. It changes nothing.
options:
  endpoints:
    description: What to ask.
    type: list
    elements: dict
    required: true
    suboptions:
      url: {description: URL of the endpoint., type: str, required: true}
      status: {description: Status codes that are good., type: list, elements: int, default: [200]}
      contains: {description: Text that must stand in the body., type: str, default: ""}
      timeout_s: {description: Seconds to wait for an answer., type: float, default: 5}
  successes:
    description: Rounds in a row that must be good.
    type: int
    default: 3
  within_s:
    description: Seconds after which it gives up.
    type: float
    default: 60
  interval_s:
    description: Seconds between rounds.
    type: float
    default: 0.5
  rounds:
    description: Rounds after which it gives up instead; 0 looks at O(within_s) alone.
    type: int
    default: 0
  version:
    description: Version that every answer must name. Empty does not ask.
    type: str
    default: ""
  version_header:
    description: Header in which the application names its version.
    type: str
    default: X-App-Version
attributes:
  check_mode:
    support: full
    description: Nothing is changed in any mode.
author: [The Rollback authors]
"""

EXAMPLES = r"""
- name: Wait until Hunter is healthy
  http_probe:
    endpoints: [{url: "http://127.0.0.1:8000/healthz/ready"}]
    version: 1.0.0
  register: __verify_probe
"""

RETURN = r"""
healthy:
  description: Whether enough rounds in a row were good.
  returned: success
  type: bool
rounds:
  description: How many rounds were asked.
  returned: success
  type: int
seconds:
  description: How long it took.
  returned: success
  type: float
answers:
  description: Per endpoint, how often it was asked, how often that was not good, and its last answer.
  returned: success
  type: list
  elements: dict
  sample: [{url: "http://127.0.0.1:8000/healthz/ready", attempts: 3, failures: 0, status: 200, reason: "", version: 1.0.0, seconds: 0.004}]
"""

from ansible.module_utils.rollback import module, probes

ARGUMENT_SPEC = {
    "endpoints": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "url": {"type": "str", "required": True},
            "status": {"type": "list", "elements": "int", "default": [200]},
            "contains": {"type": "str", "default": ""},
            "timeout_s": {"type": "float", "default": 5},
        },
    },
    "successes": {"type": "int", "default": 3},
    "within_s": {"type": "float", "default": 60},
    "interval_s": {"type": "float", "default": 0.5},
    "rounds": {"type": "int", "default": 0},
    "version": {"type": "str", "default": ""},
    "version_header": {"type": "str", "default": "X-App-Version"},
}


def ask(params, check_mode):
    endpoints = [probes.Endpoint(**endpoint) for endpoint in params["endpoints"]]
    limits = {
        name: params[name] for name in ("successes", "within_s", "interval_s", "rounds", "version", "version_header")
    }
    return {"changed": False, **probes.probe(endpoints, **limits).as_dict()}


def main() -> None:
    module.run(ARGUMENT_SPEC, ask)


if __name__ == "__main__":
    main()
