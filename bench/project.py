"""The project's own code, as the benchmarks use it: under the names that it has once Ansible has copied it to a host."""

from __future__ import annotations

import sys
from pathlib import Path

import ansible.module_utils

ROOT = Path(__file__).resolve().parents[1]
ansible.module_utils.__path__.append(str(ROOT / "module_utils"))
sys.path.insert(0, str(ROOT / "examples" / "hunter"))

import images  # noqa: E402 - not before its path is known, as all that follows
from lab import Lab  # noqa: E402

from ansible.module_utils.rollback import forecast  # noqa: E402
from ansible.module_utils.rollback.backups import create, names, proof  # noqa: E402
from ansible.module_utils.rollback.backups.manifest import Manifest  # noqa: E402
from ansible.module_utils.rollback.journal import NoJournal  # noqa: E402
from ansible.module_utils.rollback.postgres import beside, census, client_tools, restore, snapshot, swap  # noqa: E402
from ansible.module_utils.rollback.postgres.server import Server  # noqa: E402

__all__ = [
    "ROOT",
    "Lab",
    "Manifest",
    "NoJournal",
    "Server",
    "beside",
    "census",
    "client_tools",
    "create",
    "forecast",
    "images",
    "names",
    "proof",
    "restore",
    "snapshot",
    "swap",
]
