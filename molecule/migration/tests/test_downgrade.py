"""Of the database host and the application after a downgrade. Numbers come from what prepare.yml kept, and from the server."""

from __future__ import annotations

import json
import sys
import urllib.request
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "default"))

import witness

testinfra_hosts = ["ansible://database"]

FACTS = witness.LAB.facts
LIVE = FACTS["database"]
STATE = Path(FACTS["state_dir"]) / "local"


@pytest.fixture(scope="module")
def bad_state():
    return json.loads(witness.BAD_STATE.read_text())


@pytest.fixture(scope="module")
def journal(host):
    """Of the only run on record."""
    (name,) = host.file(str(STATE / "runs")).listdir()
    lines = host.file(str(STATE / "runs" / name / "journal.jsonl")).content_string.splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def salvage(journal):
    return journal[0]["data"]["plan"]["migration"]["salvage"]


def test_the_revision_is_the_release_points(host, bad_state):
    (line,) = host.file(str(STATE / "ledger.jsonl")).content_string.splitlines()
    assert witness.revision(LIVE) == json.loads(line)["alembic_heads"]
    assert witness.revision(LIVE) != bad_state["revision"]


def test_no_row_went_that_is_not_kept(bad_state, salvage):
    found = witness.rows(LIVE)
    gone = {"public.calls", "public.campaigns"}
    live = {name: rows for name, rows in found.items() if not name.startswith("rollback_salvage_")}
    assert live == {name: rows for name, rows in bad_state["rows"].items() if name not in gone}
    kept = [rows for name, rows in found.items() if name.startswith(f"{salvage}.")]
    assert {bad_state["rows"][name] for name in gone} <= set(kept)
    with witness.LAB.connect() as connection:
        query = "SELECT count(*) FROM information_schema.columns WHERE table_name = 'leads' AND column_name = 'phone'"
        assert connection.execute(f"{query} AND table_schema = 'public'").fetchone() == (0,)


def test_the_journal_has_each_revision_and_ends_well(journal):
    assert journal[-1]["data"]["outcome"] == "succeeded"
    done = [entry["step"] for entry in journal if entry["event"] == "done"]
    downs = [step for step in done if step.startswith("down ")]
    assert downs == ["down 19b7f60c3d42", "down 7e4d21c9a058", "down b83f5e02d6ca"]
    assert (
        done.index("stop") < done.index("salvage") < done.index(downs[0]) < done.index("start") < done.index("verify")
    )


@pytest.mark.parametrize("path", ["/healthz/ready", "/api/v1/leads", "/api/v1/scan?domain=example.com"])
def test_users_are_answered_by_the_good_version(path):
    with urllib.request.urlopen(FACTS["api_url"] + path, timeout=10) as answer:  # noqa: S310 - our own server
        assert (answer.status, answer.headers["X-App-Version"]) == (200, "1.0.0")
