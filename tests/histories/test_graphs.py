"""Of every real history we read the same graph as Alembic, which imports it."""

from __future__ import annotations

from pathlib import Path

import application
import pytest
import wheels

from ansible.module_utils.rollback.migrations import scripts, tree
from ansible.module_utils.rollback.migrations.graph import Graph


@pytest.mark.parametrize("name", wheels.measured())
def test_same_graph_as_alembic(name: str) -> None:
    with application.running(name) as app:
        theirs = app.graph()
    ours = Graph(scripts.parse(tree.read_versions(wheels.history(name), helpers=False)))

    assert sorted(ours.heads) == theirs["heads"]
    assert sorted(ours.bases) == theirs["bases"]
    assert [step.revision for step in ours.path_down(ours.heads, "base")] == [one["revision"] for one in theirs["path"]]
    assert {name: sorted(script.down_revisions) for name, script in ours.scripts.items()} == {
        one["revision"]: one["down_revisions"] for one in theirs["path"]
    }


@pytest.mark.parametrize("name", wheels.WHEELS)
def test_every_file_of_the_history_is_read(name: str) -> None:
    versions = wheels.history(name)
    read = {Path(path).name for path in tree.read_versions(versions, helpers=False).versions}

    assert read == {path.name for path in versions.glob("*.py")} - {"__init__.py"}
