"""The controller's process: who drives a run, and whether the one that drove an earlier run is still alive."""

from __future__ import annotations

import getpass
import multiprocessing
import os
import socket
from typing import Any, Dict, Mapping

from ansible.module_utils.rollback import clock


def this_process(who: str = "") -> Dict[str, Any]:
    """`who`, `host`, `pid` and `boot` of the ansible-playbook that evaluates this."""
    parent = multiprocessing.parent_process()  # tasks are templated in children of ansible-playbook
    return {
        "who": who or _login(),
        "host": socket.gethostname(),
        "pid": parent.pid if parent else os.getpid(),
        "boot": clock.boot_id(),
    }


def verdict(lock: Mapping[str, Any]) -> str:
    """`alive`, `dead`, or `unknown` where the lock's owner ran on another controller, which cannot be seen from here."""
    if lock["host"] != socket.gethostname():
        return "unknown"
    if lock["boot"] != clock.boot_id():
        return "dead"
    try:
        os.kill(int(lock["pid"]), 0)
    except ProcessLookupError:
        return "dead"
    except PermissionError:
        return "alive"
    return "alive"


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"uid {os.getuid()}"
