"""Both backups came from where they were said to be, and what is live is what was in them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "default"))

from witness import LAB, revision, rows


def journals() -> list[list[dict]]:
    runs = Path(LAB.facts["state_dir"]) / "local" / "runs"
    return [[json.loads(line) for line in (run / "journal.jsonl").open()] for run in sorted(runs.iterdir())]


def plans() -> list[dict]:
    return [entries[0]["data"]["plan"] for entries in journals()]


def test_both_runs_fetched_and_proved_their_backup_and_succeeded():
    assert [entries[-1]["data"]["outcome"] for entries in journals()] == ["succeeded", "succeeded"]
    for entries in journals():
        assert {"fetch", "prove", "swap", "verify"} <= {entry["step"] for entry in entries if entry["event"] == "done"}


def test_one_came_over_sftp_and_the_other_from_the_bucket():
    assert [plan["backup"]["source"] for plan in plans()] == ["offsite", "archive"]


def test_what_is_live_is_what_the_manifest_counted():
    manifest = json.loads(Path(plans()[-1]["backup"]["path"] + ".manifest.json").read_text())
    assert rows("hunter") == {name: table["rows"] for name, table in manifest["census"]["tables"].items()}
    assert revision("hunter") == manifest["census"]["alembic_heads"]


def test_the_fetched_backup_lies_where_the_hosts_own_do_and_nothing_half_is_left():
    names = sorted(path.name for path in Path(LAB.facts["backup_dir"]).iterdir())
    name = plans()[-1]["backup"]["name"]
    assert names == [name, f"{name}.manifest.json"]
