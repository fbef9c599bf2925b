"""Measures what each downgrade step of a real history destroys: fill, take one step back, compare.

    .venv/bin/python tests/histories/truth.py [NAME ...]      measures all steps of these histories, or of all that are run, and keeps the result

The result lies in truth/NAME.json. Per revision it holds `vanished`, a list of [kind, table, column], or `failed`, the error.
`refuses` is the error with which it failed on some rows, when it took others down; `without_rows` says that it runs on
empty tables; `unfilled` names tables that could not be given rows.
"""

from __future__ import annotations

import json
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import application
import filler
import psycopg
import throwaway
import vanished
import wheels

TRUTH = Path(__file__).with_name("truth")
UNREACHED = "its upgrade fails"

# Revision → the ones it builds on, from the newest to the oldest.
Graph = dict[str, list[str]]
Step = dict[str, Any]


def known(name: str) -> dict[str, Any]:
    """What was measured for `name`, by revision."""
    return json.loads((TRUTH / f"{name}.json").read_text())


def measure(name: str, databases: throwaway.Databases, only: Sequence[str] | None = None) -> dict[str, Any]:
    """The same, measured now, for all revisions or for `only` some."""
    wheel = wheels.WHEELS[name]
    measured: dict[str, Any] = {}
    with application.running(name, **_settings(databases)) as app:
        steps = {one["revision"]: one for one in app.graph()["path"]}
        down_revisions = {revision: one["down_revisions"] for revision, one in steps.items()}
        wanted = [revision for revision in down_revisions if only is None or revision in only]
        for chain in (_downwards, _upwards):
            missing = [revision for revision in wanted if "vanished" not in measured.get(revision, {})]
            for revision in chain(wheel, app, databases, down_revisions) if missing else ():
                if revision in missing:
                    measured[revision] = _step(wheel, app, databases, steps[revision])
                    missing.remove(revision)
                if not missing:
                    break
    return {revision: measured.get(revision, {"failed": UNREACHED}) for revision in wanted}


def _settings(databases: throwaway.Databases) -> dict[str, str]:
    """Applications that look for a database while they are imported find the one of the step."""
    return {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": databases.url("step")}


def _downwards(
    wheel: wheels.Wheel, app: application.Application, databases: throwaway.Databases, graph: Graph
) -> Iterator[str]:
    """Each revision while the database `chain` is at it, from the tables that the application makes of its models."""
    if not wheel.models_at_head:
        return
    url, applied = databases.url("chain", wheel.driver), list(graph)
    databases.make("chain")
    app.create_all(url, wheel.models_at_head)
    app.stamp(url, _heads(graph, applied))
    for revision in graph:
        yield revision
        applied.remove(revision)
        try:
            app.downgrade(url, [revision])
        except application.MigrationFailed:
            # What it should have taken away stays; the steps below it have their own work.
            app.stamp(url, _heads(graph, applied))


def _upwards(
    wheel: wheels.Wheel, app: application.Application, databases: throwaway.Databases, graph: Graph
) -> Iterator[str]:
    """Each revision while the database `chain` is at it, by the upgrades from the first one on."""
    url = databases.url("chain", wheel.driver)
    applied: list[str] = []
    databases.make("chain")
    if wheel.models_at_base:
        app.create_all(url, wheel.models_at_base)
    if wheel.sql_at_base:
        with databases.connect("chain") as connection:
            connection.execute((Path(__file__).with_name(wheel.sql_at_base)).read_text())
    for revision in reversed(graph):
        applied.append(revision)
        try:
            app.upgrade(url, [revision])
        except application.MigrationFailed:
            app.stamp(url, _heads(graph, applied))
        else:
            yield revision


def _heads(graph: Graph, applied: Sequence[str]) -> list[str]:
    """The revisions of `applied` that no other one of it builds on."""
    below = {down for revision in applied for down in graph[revision]}
    return [revision for revision in applied if revision not in below]


def _step(
    wheel: wheels.Wheel, app: application.Application, databases: throwaway.Databases, one: Step
) -> dict[str, Any]:
    """What taking back a revision does to the rows of `chain`, tried on copies of it.

    Once with words in all texts, and JSON where that is too little for the migration; once with what its conditions ask for.
    """
    source = Path(one["path"]).read_text()
    found: dict[str, Any] = {}
    fills = [(filler.WORDS, filler.JSON)]
    if re.search(r"\b(update|delete|select|where|varchar|string)\b", source, re.IGNORECASE):
        fills.append((filler.NAMED,))
    for styles in fills:
        for texts in styles:
            try:
                gone, unfilled = _tried(
                    wheel, app, databases, one["revision"], partial(filler.fill, texts=texts, source=source)
                )
            except application.MigrationFailed as failed:
                found.setdefault("failed", _sentence(failed))
            else:
                found["vanished"] = sorted({*found.get("vanished", ()), *gone})
                found["unfilled"] = sorted({*found.get("unfilled", ()), *unfilled})
                break
    if "vanished" in found:
        # It went down with some rows and not with others.
        refused = found.pop("failed", "")
        unfilled = {"unfilled": found["unfilled"]} if found["unfilled"] else {}
        refuses = {"refuses": refused} if refused else {}
        return {"vanished": [list(lost) for lost in found["vanished"]], **refuses, **unfilled}
    try:
        _tried(wheel, app, databases, one["revision"], lambda _connection: [])
    except application.MigrationFailed:
        return found
    return {**found, "without_rows": "runs"}


def _tried(
    wheel: wheels.Wheel,
    app: application.Application,
    databases: throwaway.Databases,
    revision: str,
    fill: Callable[[psycopg.Connection], list[str]],
) -> tuple[set[tuple[str, str, str]], list[str]]:
    """What vanished of what `fill` wrote into a copy of `chain` (kind, table, and column or nothing), and what it could not."""
    databases.make("step", template="chain")
    with databases.connect("step") as connection:
        unfilled = fill(connection)
        before = vanished.snapshot(connection)
    app.downgrade(databases.url("step", wheel.driver), [revision])
    with databases.connect("step") as connection:
        gone = vanished.since(before, vanished.snapshot(connection))
    return {(one.kind, one.table, one.column) for one in gone}, unfilled


def _sentence(failed: Exception) -> str:
    """The first line, without addresses in memory, which differ in every run."""
    return re.sub(r" at 0x[0-9a-f]+", "", str(failed).split("\n")[0])


def main(names: Sequence[str]) -> None:
    # So that the server goes when this is told to.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with throwaway.server() as databases:
        for name in names or wheels.measured():
            began = time.monotonic()
            measured = measure(name, databases)
            TRUTH.mkdir(exist_ok=True)
            lines = [f"  {json.dumps(revision)}: {json.dumps(found)}" for revision, found in measured.items()]
            (TRUTH / f"{name}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
            failed = sum("failed" in found for found in measured.values())
            lossy = sum(bool(found.get("vanished")) for found in measured.values())
            print(f"{name}: {len(measured)} steps, {lossy} lose data, {failed} fail, {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
