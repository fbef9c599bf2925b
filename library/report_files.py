#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: report_files
short_description: Write the files of a report in one go
description:
  - Each file is there whole or not at all, and is flushed to disk.
  - Does in one module run what M(ansible.builtin.copy) does in one for each file.
options:
  directory:
    description: Directory for the files; it is made where it is missing, readable by its owner alone.
    type: path
    required: true
  files:
    description: Content by file name.
    type: dict
    required: true
attributes:
  check_mode:
    support: full
    description: Says whether anything would be written.
author: [The Rollback authors]
"""

EXAMPLES = r"""
- name: Write the report
  report_files:
    directory: /var/lib/rollback/production/runs/20261122T031500Z-restore
    files:
      report.md: "## Rollback Report"
"""

RETURN = r"""
written:
  description: Paths of the files that differed and were written, or would be.
  returned: success
  type: list
  elements: str
"""

from pathlib import Path

from ansible.module_utils.rollback import durable, module

ARGUMENT_SPEC = {
    "directory": {"type": "path", "required": True},
    "files": {"type": "dict", "required": True},
}


def write(params, check_mode):
    directory = Path(params["directory"])
    wanted = {directory / name: str(content).encode() for name, content in params["files"].items()}
    differing = {path: content for path, content in wanted.items() if not path.exists() or path.read_bytes() != content}
    if differing and not check_mode:
        durable.make_private_dirs(directory)
        for path, content in differing.items():
            durable.write(path, content, mode=0o640)
    return {"changed": bool(differing), "written": [str(path) for path in differing]}


def main() -> None:
    module.run(ARGUMENT_SPEC, write)


if __name__ == "__main__":
    main()
