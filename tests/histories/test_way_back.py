"""Down many steps of a real history and up again, with data: what pg_dump writes is the same afterwards.

The forecast of the whole path is counted and kept, Alembic takes the steps back and applies them again, and what was kept is
brought back: the same code as in a rollback, around migrations that nobody here wrote.

Both dumps are compared whole, schema and data, but for the order of columns, which is that in which they were added: a
column that was dropped and added again is the last one of its table. Rows are sorted, for a dump writes them as they lie.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import application
import filler
import forecasts
import pytest
import throwaway
import wheels

from ansible.module_utils.rollback.migrations import risk
from ansible.module_utils.rollback.migrations.operations import LOSSY, SAFE, Loss
from ansible.module_utils.rollback.postgres import loss, resolved_names, salvage

SCHEMA = "rollback_salvage_20261127t120000z"
COUNT_S = 60.0


@dataclass(frozen=True)
class Path:
    """`steps` revisions of a history are taken back, from `top` on; `accepted` are those that cannot be read in full."""

    name: str
    top: str
    steps: int
    accepted: tuple[str, ...] = ()


# On these a step on the way up sets NOT NULL, and demands what was taken away below it.
NEEDED = {
    Path("fractal-server", "7673fe18c05d", 10): 'column "resource_id" of relation "projectv2" contains null values',
    Path(
        "fractal-server", "71eefd1dd202", 10
    ): 'column "workflow_dump" of relation "applyworkflow" contains null values',
}
PATHS = [
    Path("apache-airflow-core", "8ea135928435", 12),
    Path("ckan", "51171a04d86d", 12),
    Path("langflow-base", "b7c4d8e9f012", 12),
    Path("prefect", "555ed31b284d", 12),
    Path("apache-airflow-core", "b87d2135fa50", 12, accepted=("1b2c3d4e5f6g",)),
    *NEEDED,
]
# The way back cannot lead back: a NOT NULL column without a default is added to a table with rows, or values are read from a
# column that the downgrade made empty.
HOPELESS = {
    Path(
        "apache-airflow-core", "e79fc784f145", 12, accepted=("e812941398f4", "1b2c3d4e5f6g")
    ): "dag_bundle_team_team_name_fkey",
    Path("fractal-server", "83bc2ad3ffcc", 12): 'column "job_id" of relation "historyrun" contains null values',
    Path("prefect", "7296741dff68", 12): 'null value in column "name" of relation "block_type"',
}
# As the sessions of these applications find their tables.
SESSION = {"schemas": ["public"], "search_path": "public", "translate": {}}


@pytest.mark.slow
@pytest.mark.postgres15
@pytest.mark.timeout(300)
@pytest.mark.parametrize("path", PATHS, ids=lambda path: f"{path.name}-{path.top}")
def test_down_and_up_again_leaves_the_dump_as_it_was(path: Path, databases: throwaway.Databases) -> None:
    with application.running(path.name) as app:
        revisions, url = prepared(app, path, databases)
        before = dumped(databases)

        counted = go_down(app, url, path, revisions, databases)
        below = dumped(databases)
        go_up(app, url, list(reversed(revisions)), databases)

    assert len(revisions) >= 10
    assert all(one.savable for one in counted), [one for one in counted if not one.savable]
    assert sum(one.count or 0 for one in counted) > 0
    assert below != before
    assert dumped(databases) == before


@pytest.mark.slow
@pytest.mark.postgres15
@pytest.mark.timeout(300)
@pytest.mark.parametrize("path", NEEDED, ids=lambda path: f"{path.name}-{path.top}")
def test_without_what_was_kept_a_step_on_the_way_up_fails(path: Path, databases: throwaway.Databases) -> None:
    with application.running(path.name) as app:
        revisions, url = prepared(app, path, databases)
        go_down(app, url, path, revisions, databases)
        with pytest.raises(application.MigrationFailed, match=re.escape(NEEDED[path])):
            app.upgrade(url, list(reversed(revisions)))


@pytest.mark.slow
@pytest.mark.postgres15
@pytest.mark.timeout(300)
@pytest.mark.parametrize("path", HOPELESS, ids=lambda path: f"{path.name}-{path.top}")
def test_where_nothing_leads_back_what_was_kept_stays(path: Path, databases: throwaway.Databases) -> None:
    with application.running(path.name) as app:
        revisions, url = prepared(app, path, databases)
        counted = go_down(app, url, path, revisions, databases)
        with pytest.raises(application.MigrationFailed, match=re.escape(HOPELESS[path])):
            go_up(app, url, list(reversed(revisions)), databases)
    with databases.connect("way") as connection:
        kept = connection.execute(f"SELECT sum((content->>'rows')::int) FROM {SCHEMA}.contents").fetchone()
    assert counted
    assert kept
    assert kept[0] > 0


def prepared(app: application.Application, path: Path, databases: throwaway.Databases) -> tuple[list[str], str]:
    """Take the database `way` to the top of the path and fill it; return its revisions, as they are taken back, and its URL."""
    graph = [one["revision"] for one in app.graph()["path"]]
    start = graph.index(path.top)
    applied = list(reversed(graph[start:]))
    revisions = graph[start : start + path.steps]
    wheel = wheels.WHEELS[path.name]
    databases.make("way")
    url = databases.url("way", wheel.driver)
    if wheel.models_at_base:
        app.create_all(url, wheel.models_at_base)
    app.upgrade(url, applied)
    with databases.connect("way") as connection:
        filler.fill(connection)
    return revisions, url


def go_down(
    app: application.Application, url: str, path: Path, revisions: Sequence[str], databases: throwaway.Databases
) -> list[loss.Counted]:
    """Forecast the path, keep what it takes away, and take the revisions back."""
    verdicts = [forecasts.verdicts(path.name)[revision] for revision in revisions]
    assert {one.risk for one in verdicts if one.revision not in path.accepted} <= {SAFE, LOSSY}
    with databases.connect("way") as connection:
        losses, unresolved = resolved_names.resolve(connection, risk.path_losses(verdicts), [SESSION])
        assert unresolved == []
        counted = loss.forecast(connection, losses, COUNT_S)
        salvage.save(
            connection, SCHEMA, [Loss(one.kind, one.schema, one.table, one.columns, one.revision) for one in counted]
        )
    app.downgrade(url, revisions)
    return counted


def go_up(app: application.Application, url: str, revisions: Sequence[str], databases: throwaway.Databases) -> None:
    """Apply the revisions again, and bring back what was kept: between the steps where it has a place, and in the end."""
    for number, revision in enumerate(revisions, start=1):
        try:
            app.upgrade(url, [revision])
        except application.MigrationFailed:
            with databases.connect("way") as connection:
                salvage.bring_back_early(connection, SCHEMA, revisions[: number - 1], rows=True)
            app.upgrade(url, [revision])
        with databases.connect("way") as connection:
            salvage.bring_back_early(connection, SCHEMA, revisions[:number])
    with databases.connect("way") as connection:
        salvage.bring_back(connection, SCHEMA)
        salvage.drop(connection, SCHEMA)


def dumped(databases: throwaway.Databases) -> list[str]:
    """What pg_dump writes of the database `way`, without what the rollback keeps in it, and without the order of columns."""
    server = databases.server
    command = [
        server.bin_dir / "pg_dump",
        "-h",
        server.socket_dir,
        "-p",
        str(server.port),
        "-U",
        "postgres",
        "-d",
        "way",
    ]
    options = ["--exclude-schema", SCHEMA, "--no-sync"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=True, timeout=120)
    return list(_without_order_of_columns(done.stdout.splitlines()))


def _without_order_of_columns(lines: Sequence[str]) -> Iterator[str]:
    rows = iter(lines)
    for line in rows:
        copied = re.fullmatch(r"COPY (.+) \((.*)\) FROM stdin;", line)
        if line.startswith("CREATE TABLE ") and line.endswith("("):
            yield line
            yield from sorted(inner.rstrip(",") for inner in iter(lambda: next(rows), ");"))
        elif copied:
            columns = copied[2].split(", ")
            order = sorted(range(len(columns)), key=columns.__getitem__)
            yield f"COPY {copied[1]} ({', '.join(columns[place] for place in order)})"
            values = [row.split("\t") for row in iter(lambda: next(rows), "\\.")]
            yield from sorted("\t".join(row[place] for place in order) for row in values)
        elif not line.startswith(("\\restrict", "\\unrestrict")):
            yield line
