"""What the upgrades of a history have made of the schema: the types, columns and foreign keys that a downgrade finds.

Read from the scripts, so it knows nothing of tables that were made by other means.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Dict, List, Set

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.migrations.modules import Modules
from ansible.module_utils.rollback.migrations.scripts import Script, parse
from ansible.module_utils.rollback.migrations.sql_risk import SqlReader
from ansible.module_utils.rollback.migrations.sql_statement import Schema
from ansible.module_utils.rollback.migrations.tree import Tree
from ansible.module_utils.rollback.migrations.walk import walk


@dataclass(frozen=True)
class Upgraded:
    """The schema after a revision's upgrade, and whether that did anything at all."""

    schema: Schema
    does_something: bool


class _Same:
    """A tree as a key: the same object is the same history."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree

    def __hash__(self) -> int:
        return id(self.tree)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.tree is self.tree


def upgraded(tree: Tree) -> Dict[str, Upgraded]:
    """What each revision's upgrade leaves, by revision; empty if a script of the tree cannot be parsed."""
    return _upgraded(_Same(tree))


@lru_cache(maxsize=2)
def _upgraded(same: _Same) -> Dict[str, Upgraded]:
    """Every step of a path asks for the same history, so it is walked through once."""
    try:
        scripts = parse(same.tree)
    except RollbackError:
        return {}
    modules, reader = Modules(same.tree), SqlReader()
    found: Dict[str, Upgraded] = {}
    for script in _in_order(scripts):
        done = walk(script, script.upgrade, modules, reader)
        found[script.revision] = Upgraded(reader.schema.at_start(), bool(done.operations))
    return found


def _in_order(scripts: List[Script]) -> List[Script]:
    """Each script after those that it comes after; those of a cycle at the end, in the order of their files."""
    left = {script.revision: script for script in scripts}
    found: List[Script] = []
    done: Set[str] = set()
    while left:
        ready = [
            script
            for script in left.values()
            if not any(before in left for before in (*script.down_revisions, *script.depends_on))
        ] or list(left.values())
        for script in ready:
            del left[script.revision]
            done.add(script.revision)
        found += ready
    return found
