"""Of the database host after a restore: live database, database set aside, journal, lock and report.

Expected numbers come from the files that the run left and from what prepare.yml kept; the found ones from the server.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from datetime import datetime
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

import witness

testinfra_hosts = ["ansible://database"]

FACTS = witness.LAB.facts
LIVE = FACTS["database"]
STATE = Path(FACTS["state_dir"]) / "local"


@pytest.fixture(scope="module")
def bad_state():
    return json.loads(witness.BAD_STATE.read_text())


@pytest.fixture(scope="module")
def release_point(host):
    """The only one in the ledger."""
    (line,) = host.file(str(STATE / "ledger.jsonl")).content_string.splitlines()
    return json.loads(line)


@pytest.fixture(scope="module")
def manifest(host, release_point):
    return json.loads(host.file(f"{FACTS['backup_dir']}/{release_point['backup']}.manifest.json").content_string)


@pytest.fixture(scope="module")
def run_dir(host):
    """Of the only run on record."""
    (name,) = host.file(str(STATE / "runs")).listdir()
    return STATE / "runs" / name


@pytest.fixture(scope="module")
def journal(host, run_dir):
    return [json.loads(line) for line in host.file(str(run_dir / "journal.jsonl")).content_string.splitlines()]


@pytest.fixture(scope="module")
def plan(journal):
    return journal[0]["data"]["plan"]


@pytest.fixture(scope="module")
def report(host, run_dir):
    return json.loads(host.file(str(run_dir / "report.json")).content_string)


# --- the live database


def test_revision_is_the_release_points(release_point, bad_state):
    assert release_point["version"] == "1.0.0"
    assert witness.revision(LIVE) == release_point["alembic_heads"]
    assert bad_state["revision"] != release_point["alembic_heads"]


def test_rows_are_those_of_the_backup(manifest):
    expected = {name: table["rows"] for name, table in manifest["census"]["tables"].items()}
    assert witness.rows(LIVE) == expected
    assert sum(expected.values()) >= 20_000


def test_live_database_is_the_restored_one(bad_state):
    assert witness.oid(LIVE) not in (None, bad_state["oid"])


def test_settings_outside_of_the_database_were_carried_over(plan, bad_state):
    found = witness.outside(LIVE)
    assert found == witness.outside(plan["database"]["aside"])
    assert found == bad_state["outside"]
    # None of them is what a database has that was merely created.
    assert found["owner"] == FACTS["owner"]
    assert found["connection limit"] > 0
    assert found["comment"]
    assert found["grants"]
    assert found["settings"]


def test_application_can_write():
    with witness.LAB.connect(LIVE, user=FACTS["owner"]) as connection, connection.transaction(force_rollback=True):
        connection.execute("INSERT INTO companies (domain, name) VALUES ('molecule.example', 'Molecule')")


# --- what was set aside


def test_database_set_aside_holds_what_users_wrote(plan, manifest, bad_state):
    aside = plan["database"]["aside"]
    assert witness.oid(aside) == bad_state["oid"]
    assert witness.rows(aside) == bad_state["rows"]
    assert witness.revision(aside) == bad_state["revision"]
    assert bad_state["rows"]["public.audit_log"] > manifest["census"]["tables"]["public.audit_log"]["rows"]


def test_nothing_is_left_over_beside(plan):
    assert witness.oid(plan["database"]["incoming"]) is None


# --- journal and lock


def test_chain_of_hashes_is_whole(journal):
    previous = ""
    for number, entry in enumerate(journal, start=1):
        content = {name: value for name, value in entry.items() if name != "hash"}
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert entry["seq"] == number
        assert entry["previous"] == previous
        assert entry["hash"] == hashlib.sha256(canonical.encode()).hexdigest(), f"entry {number}"
        previous = entry["hash"]


def test_journal_says_that_it_succeeded(journal, plan):
    assert [journal[0]["event"], journal[-1]["event"]] == ["opened", "closed"]
    assert journal[-1]["data"]["outcome"] == "succeeded"
    assert {entry["event"] for entry in journal} == {"opened", "began", "done", "closed"}
    planned = [step["id"] for step in plan["steps"]]
    for event in ("began", "done"):
        steps = [entry["step"] for entry in journal if entry["event"] == event]
        assert steps == [*planned, "lost_writes"]  # what users wrote until the stop is counted when all is well again
    # Nobody was without service while the backup was loaded.
    assert planned.index("compare") < planned.index("stop") < planned.index("swap") < planned.index("start")


def test_plan_names_what_the_user_asked_for(plan, release_point, manifest):
    assert plan["reason"] == "The API answers 500 since 1.1.0"
    assert "method=restore" in plan["command"]
    assert plan["release_point"]["id"] == release_point["id"]
    assert plan["backup"]["name"] == manifest["backup"]
    assert plan["refusals"] == []


def test_lock_is_gone(host):
    assert not host.file(str(STATE / "lock")).exists


# --- the report


def test_report_json(report, run_dir, plan):
    assert report["run"] == run_dir.name
    assert report["outcome"] == "succeeded"
    assert report["status"] == "Resolved"
    assert report["set_aside"] == plan["database"]["aside"]
    assert 0 < report["outage_s"] < report["elapsed_s"] < report["target_s"]
    assert report["checks"]
    assert all(check["ok"] for check in report["checks"])
    assert all(step["status"] == "done" for step in report["timeline"])


def test_report_has_the_fields_of_the_template(host, run_dir, plan):
    text = host.file(str(run_dir / "report.md")).content_string
    title = re.match(r"## Rollback Report - (\d{4}-\d\d-\d\d \d\d:\d\d)", text)
    assert title
    datetime.strptime(title.group(1), "%Y-%m-%d %H:%M")  # noqa: DTZ007 - only whether it is a time
    said = dict(re.findall(r"^- \*\*(.+?)\*\*: (.+)$", text, re.MULTILINE))
    assert said["Issue"] == "The API answers 500 since 1.1.0"
    assert said["Severity"].lower() == "high"
    assert said["Rollback Method"] == "Database Restore"
    assert "target 15" in said["Rollback Time"]
    assert said["Status"] == "Resolved"
    assert {"Root Cause", "Prevention"} <= said.keys()
    assert f"undo.yml -e run={plan['run']}" in said["Undo"]


def test_report_html_needs_nothing_else(host, run_dir, plan):
    page = host.file(str(run_dir / "report.html")).content_string
    assert page.startswith("<!doctype html>")
    for words in ("Resolved", "Database Restore", "The API answers 500 since 1.1.0", plan["database"]["aside"]):
        assert words in page
    assert not re.search(r"(?:src|href)\s*=|url\(|@import|<script", page)


def test_reports_are_on_the_controller_too(host, run_dir):
    for kind in ("md", "json", "html"):
        copy = witness.EPHEMERAL / "reports" / f"{run_dir.name}.{kind}"
        assert copy.read_text() == host.file(str(run_dir / f"report.{kind}")).content_string


# --- secrets


def test_no_password_was_written_anywhere():
    passwords = [FACTS["owner_password"].encode(), FACTS["operator_password"].encode()]
    places = [Path(FACTS["state_dir"]), Path(FACTS["backup_dir"]), witness.EPHEMERAL / "reports"]
    files = [path for place in places for path in place.rglob("*") if path.is_file()]
    assert len(files) >= 8  # ledger, journal, three reports twice, backup and manifest
    telling = [str(path) for path in files if any(password in path.read_bytes() for password in passwords)]
    assert telling == []


@pytest.mark.parametrize("place", ["state_dir", "backup_dir"])
def test_state_is_nobody_elses_to_read(host, place):
    for path in Path(FACTS[place]).rglob("*"):
        assert not host.file(str(path)).mode & 0o007, path
