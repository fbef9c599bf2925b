"""Strategy in_place: a proven safety dump first, then drop and create; whatever dies, the data is old or restored, and undo works."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from kills import PATIENCE_S, kill_module_at, newest_run, started, until
from place import REASON, Place, change_manifest

from ansible.module_utils.rollback.backups import manifest as manifests

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(3 * PATIENCE_S)]

IN_PLACE = {
    "rollback_restore_strategy": "in_place",
    "assess_rounds": 1,
    "verify_successes": 1,
    "verify_interval_s": 0.1,
}


def test_there_and_back(place):
    """The module dies while it dumps, and again while it loads; the same command finishes, and undo.yml leads back."""
    bad, oids = place.content("hunter"), place.databases()

    plan = place.must("rollback.yml", "--check", method="restore", reason=REASON, **IN_PLACE)
    assert "Drop it; the safety dump keeps what was in it" in plan
    assert (place.databases(), place.content("hunter")) == (oids, bad)

    dies_at(place, "close", "safety")
    run = newest_run(place)
    aside = f"hunter__before_{run.split('-')[0]}"
    assert place.report()["outcome"] == "incomplete"
    assert f"what was there is in database {aside}" in place.report()["sentence"]
    assert place.content(aside) == bad

    dies_at(place, "drop", "load", resumed=True)
    assert place.report()["outcome"] == "incomplete"
    assert "what was there is in safety dump" in place.report()["sentence"]
    assert newest_run(place) == run

    refused = place.run("undo.yml", run=run)
    assert refused.code != 0
    assert f"Run {run} was cut off while it replaced the database" in refused
    assert place.report()["next"] in refused

    place.must("rollback.yml", method="restore", reason=REASON, **IN_PLACE)
    report = place.report()
    assert (report["run"], report["outcome"]) == (run, "succeeded")
    assert report["set_aside_as"] == "safety dump"
    assert Path(report["set_aside"]).exists()
    assert place.lab.status()["answers"] == "1.0.0"
    good = place.content("hunter")
    assert good["tables"]["public.leads"] != bad["tables"]["public.leads"]
    assert good["settings"] == bad["settings"]
    assert {name for name in place.databases() if name.startswith("hunter")} == {"hunter"}

    place.must("undo.yml", run=run)
    assert place.content("hunter") == bad
    assert place.lab.status()["answers"] == "1.1.0"
    assert "was undone already" in place.run("undo.yml", run=run)


def dies_at(place: Place, first: str, step: str, resumed: bool = False) -> None:
    runs = place.environment_dir / "runs"
    with started(place, **IN_PLACE) as process:
        until(lambda: resumed or (runs.exists() and any(runs.iterdir())), "a run")
        kill_module_at(place, process, "database_replace", first, step)
        assert process.wait(PATIENCE_S) != 0


def test_a_restore_that_fails_is_put_back_from_the_safety_dump(place):
    """The dump does not load, which shows only after the live database was dropped."""
    bad = place.content("hunter")
    broken = broken_plain(place)

    answer = place.run("rollback.yml", method="restore", reason=REASON, backup=broken.name, **IN_PLACE)

    assert answer.code != 0
    assert "The data is as before: it was put back from the safety dump" in answer, answer.output
    assert place.content("hunter") == bad
    assert place.lab.status()["answers"] == "1.1.0"
    assert place.report()["outcome"] == "put_back"


def broken_plain(place: Place) -> Path:
    """The good backup as a plain dump, with one row twice instead of another: only its primary key shows that."""
    good = place.backup()
    broken = good.with_name("backup_broken_20260101_000000.sql")
    argv = [Path(place.facts["postgres_bin"]) / "pg_restore", f"--file={broken}", good]
    subprocess.run(argv, check=True)
    text = broken.read_text()
    spoilt = re.sub(r"(\nCOPY public\.leads .*\n)(.*\n).*\n", r"\1\2\2", text, count=1)
    assert spoilt != text
    broken.write_text(spoilt)
    manifest = json.loads(manifests.path_for(good).read_text())
    manifests.path_for(broken).write_text(json.dumps({**manifest, "backup": broken.name}))
    change_manifest(broken, format="plain", compression="none")
    return broken
