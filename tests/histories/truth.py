"""Measures what each downgrade step of a real history destroys: fill, take one step back, compare.

    python tests/histories/truth.py [NAME ...]      measures all steps of these histories, or of all, and keeps the result

The result lies in truth/NAME.json: per revision what vanished, or the error with which the downgrade failed.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import application
import filler
import server
import vanished
import wheels

TRUTH = Path(__file__).with_name("truth")
UNREACHED = "not reached"


def known(name: str) -> dict[str, Any]:
    """What was measured for `name`: revision → {"vanished": [[kind, table, column, rows], …]} or {"failed": sentence}."""
    return json.loads((TRUTH / f"{name}.json").read_text())


def measure(name: str, databases: server.Databases, only: Sequence[str] | None = None) -> dict[str, Any]:
    """The same, measured now, for all revisions or for `only` some."""
    measured = {}
    with application.running(name, **_settings(databases)) as app:
        walk = [revision["revision"] for revision in app.graph()["walk"]]
        for revision in _reached(wheels.WHEELS[name], app, databases, walk):
            if only is None or revision in only:
                measured[revision] = _step(app, databases, revision)
    return {
        revision: measured.get(revision, {"failed": UNREACHED}) for revision in walk if only is None or revision in only
    }


def _settings(databases: server.Databases) -> dict[str, str]:
    """Applications that look for a database while they are imported find the one of the step."""
    return {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": databases.url("step")}


def _reached(
    wheel: wheels.Wheel, app: application.Application, databases: server.Databases, walk: Sequence[str]
) -> Iterator[str]:
    """Each revision while the database `chain` is at it, as far as the application's own migrations come."""
    rest = list(walk)
    if wheel.models_at_head:
        databases.make("chain")
        app.create_all(databases.url("chain"), wheel.models_at_head, stamp=walk[:1])
        for revision in walk:
            yield revision
            rest.remove(revision)
            try:
                app.downgrade(databases.url("chain"), [revision])
            except application.MigrationFailed:
                # What it should have taken away stays; the steps below it have their own work.
                app.stamp(databases.url("chain"), down_revisions[revision])
        return
    databases.make("chain")
    if wheel.models_at_base:
        app.create_all(databases.url("chain"), wheel.models_at_base, stamp=[])
    if wheel.sql_at_base:
        with databases.connect("chain") as connection:
            connection.execute((Path(__file__).with_name(wheel.sql_at_base)).read_text())
    for revision in reversed(walk):
        if not rest:
            return
        try:
            app.upgrade(databases.url("chain"), [revision])
        except application.MigrationFailed as failed:
            print(f"{app.name}: the upgrade to {revision} failed: {failed}", file=sys.stderr)
            return
        if revision in rest:
            yield revision
            rest.remove(revision)


def _step(app: application.Application, databases: server.Databases, revision: str) -> dict[str, Any]:
    databases.make("step", template="chain")
    with databases.connect("step") as connection:
        unfilled = filler.fill(connection)
        before = vanished.snapshot(connection)
    found: dict[str, Any] = {"unfilled": unfilled} if unfilled else {}
    try:
        app.downgrade(databases.url("step"), [revision])
    except application.MigrationFailed as failed:
        return {"failed": str(failed), **found}
    with databases.connect("step") as connection:
        gone = vanished.since(before, vanished.snapshot(connection))
    return {"vanished": [[one.kind, one.table, one.column, one.rows] for one in gone], **found}


def main(names: Sequence[str]) -> None:
    with server.throwaway() as databases:
        for name in names or wheels.WHEELS:
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
