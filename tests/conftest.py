import sys
from pathlib import Path

import ansible.module_utils

ROOT = Path(__file__).parents[1]

# Modules import our package as `ansible.module_utils.rollback`, the name it has once Ansible has copied it to a host.
ansible.module_utils.__path__.append(str(ROOT / "module_utils"))
sys.path[:0] = [str(ROOT / "library"), str(ROOT / "filter_plugins")]

pytest_plugins = ["real_parts"]


def pytest_collection_modifyitems(items: list) -> None:
    """Slow files first: files are spread over workers one by one, and the last one must not be a long one."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
