"""The main job, as a user types it: check, restore, prove, report; then undo it to the last byte."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import pytest
from place import REASON, Place

from ansible.module_utils.rollback.backups import manifest as manifests
from ansible.module_utils.rollback.journal import Journal

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


def answer_of(place: Place, path: str) -> tuple[int, str]:
    with urllib.request.urlopen(place.facts["api_url"] + path, timeout=5) as response:
        return response.status, response.headers["X-App-Version"]


def test_check_shows_the_plan_and_changes_nothing(place):
    before = place.fingerprint()
    answer = place.must("rollback.yml", "--check", method="restore", reason=REASON)
    assert place.fingerprint() == before
    for words in (
        "Plan of run",
        "Reason the API answers 500",
        "/api/v1/leads answered 500 (3 of 3, asked on hunter-1)",
        "Now Hunter 1.1.0, schema 4ac9d7180e3b",
        "Back to Hunter 1.0.0, schema d6a0985c3e1f",
        "verified",
        "read whole and proven just now",
        "table rows now rows then inserted updated deleted",
        "public.leads",
        "from here only the way back leads back",
        "Way back: ansible-playbook undo.yml -e run=",
        "This was --check. Nothing was changed",
    ):
        assert words in answer, answer.output


def test_restore_and_undo(place):
    bad = place.content("hunter")
    bad_oid = place.databases()["hunter"]
    manifest = manifests.read(place.backup())

    place.must("rollback.yml", method="restore", reason=REASON, severity="critical")

    report = place.report()
    assert (report["outcome"], report["status"], report["severity"]) == ("succeeded", "Resolved", "critical")
    assert answer_of(place, "/api/v1/leads?limit=1") == (200, "1.0.0")
    restored = place.census("hunter")
    assert {name: table.rows for name, table in restored.tables.items()} == {
        name: table.rows for name, table in manifest.census.tables.items()
    }
    assert restored.objects == manifest.census.objects
    assert restored.sequences == manifest.census.sequences
    assert all(check["ok"] for check in report["checks"])
    # What was live is the very database that is set aside now, to the last byte, with the settings that both have.
    assert place.databases()[report["set_aside"]] == bad_oid
    assert place.content(report["set_aside"]) == bad
    assert place.content("hunter")["settings"] == bad["settings"]
    assert not (place.environment_dir / "lock").exists()

    again = place.run("rollback.yml", method="restore", reason=REASON)
    assert again.code != 0
    assert "The last run already went back to release point 1.0.0-" in again

    place.must("undo.yml", run=report["run"])
    assert place.content("hunter") == bad
    assert place.databases()["hunter"] == bad_oid
    assert place.lab.status()["answers"] == "1.1.0"

    twice = place.run("undo.yml", run=report["run"])
    assert twice.code != 0
    assert f"Run {report['run']} was undone already" in twice


def test_the_report_fills_the_template_of_the_rollback_plan(place):
    run = next(path for path in (place.environment_dir / "runs").iterdir() if path.name.endswith("-restore"))
    markdown = (run / "report.md").read_text()
    for field in ("Issue", "Severity", "Rollback Method", "Rollback Time", "Root Cause", "Prevention", "Status"):
        assert f"**{field}**: " in markdown
    assert f"- **Issue**: {REASON}" in markdown
    assert "- **Status**: Resolved" in markdown
    assert "### Post-Rollback Actions" in markdown
    page = (run / "report.html").read_text()
    assert REASON in page
    assert "http-equiv" not in page
    assert "<script" not in page
    assert "src=" not in page
    for kind in ("md", "html", "json"):
        assert (place.reports / f"{run.name}.{kind}").read_bytes() == (run / f"report.{kind}").read_bytes()


def test_the_journal_tells_every_step_and_its_chain_is_whole(place):
    for directory in (place.environment_dir / "runs").iterdir():
        entries = Journal(directory).entries()
        assert entries[0].event == "opened"
        assert entries[-1].event == "closed"
        done = [entry.step for entry in entries if entry.event == "done"]
        planned = [step["id"] for step in entries[0].data["plan"]["steps"]]
        assert [step for step in done if step != "lost_writes"] == planned
        assert ("lost_writes" in done) == (entries[0].data["plan"]["method"] == "restore")


def test_no_secret_is_written_anywhere(place):
    """Neither into state, reports or backups, nor onto the terminal, however much is asked for."""
    facts = place.facts
    spoken = place.run("rollback.yml", "--check", "-vvv", method="restore", release="1.0.0").output
    assert "Plan of run" in spoken
    written = [
        path
        for directory in (facts["state_dir"], facts["backup_dir"], place.reports)
        for path in Path(directory).rglob("*")
        if path.is_file()
    ]
    assert written
    for secret in (facts["operator_password"], facts["owner_password"]):
        assert secret not in spoken
        assert not [path for path in written if secret.encode() in path.read_bytes()]


def test_a_journal_that_was_edited_is_not_believed(place):
    journal = next((place.environment_dir / "runs").iterdir()) / "journal.jsonl"
    original = journal.read_text()
    lines = original.splitlines()
    entry = json.loads(lines[-1])
    entry["data"]["outcome"] = "succeeded!"
    journal.write_text("\n".join([*lines[:-1], json.dumps(entry)]) + "\n")
    try:
        answer = place.run("rollback.yml", method="restore")
        assert answer.code != 0
        assert "is not what was written there: the chain of hashes breaks" in answer
    finally:
        journal.write_text(original)
