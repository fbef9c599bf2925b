"""Of the application and its engine after the rollback. Numbers come from what converge.yml noted, and from Docker itself."""

from __future__ import annotations

import json
import sys
import urllib.request
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

import seen

testinfra_hosts = ["ansible://database"]

FACTS = seen.PLACE.lab.facts
STATE = Path(FACTS["state_dir"]) / "local"
DIGEST = seen.PLACE.facts["images"]["1.0.0"]


@pytest.fixture(scope="module")
def plan(host):
    """Of the only run on record: neither --check nor the second time left one."""
    (name,) = host.file(str(STATE / "runs")).listdir()
    lines = host.file(str(STATE / "runs" / name / "journal.jsonl")).content_string.splitlines()
    assert json.loads(lines[-1])["data"]["outcome"] == "succeeded"
    return json.loads(lines[0])["data"]["plan"]


def test_the_check_and_the_second_time_changed_nothing():
    before_check, before, after = seen.noted()
    assert before_check == before
    assert after != before
    assert seen.PLACE.containers() == after


def test_every_service_runs_the_image_that_was_recorded(host, plan):
    (line,) = host.file(str(STATE / "ledger.jsonl")).content_string.splitlines()
    assert json.loads(line)["image_digests"] == {"api": DIGEST, "worker": DIGEST}
    assert plan["application"]["artifacts_to"] == {"hunter-1": {"api": DIGEST, "worker": DIGEST}}
    wanted = host.check_output("docker image inspect --format '{{.Id}}' %s", DIGEST)
    running = {
        name: host.check_output("docker inspect --format '{{.Image}}' %s", name) for name in seen.PLACE.containers()
    }
    assert set(running.values()) == {wanted}
    assert len(running) == 2


def test_the_next_deployment_goes_on_from_there(host):
    env = host.file(str(seen.PLACE.directory / ".env")).content_string
    assert "HUNTER_VERSION=1.0.0\n" in env
    before = seen.PLACE.containers()
    seen.PLACE.compose("up", "--detach", "--wait")
    assert seen.PLACE.containers() == before


def test_what_users_wrote_is_there():
    with seen.PLACE.lab.connect() as connection:
        (leads,) = connection.execute("SELECT count(*) FROM leads WHERE email LIKE 'user-%'").fetchone()
    assert leads == 40


@pytest.mark.parametrize("path", ["/healthz/ready", "/api/v1/leads", "/api/v1/scan?domain=example.com"])
def test_users_are_answered_by_the_good_version(path):
    with urllib.request.urlopen(FACTS["api_url"] + path, timeout=10) as answer:  # noqa: S310 - our own server
        assert (answer.status, answer.headers["X-App-Version"]) == (200, "1.0.0")
