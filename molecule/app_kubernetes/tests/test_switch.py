"""Of the application and its cluster after the rollback. Numbers come from what converge.yml noted, and from kubectl."""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from kubernetes_place import Place

testinfra_hosts = ["ansible://database"]

PLACE = Place(os.environ["HUNTER_HOME"])
HUNTER = PLACE.hunter
STATE = Path(PLACE.lab.facts["state_dir"]) / "local"


@pytest.fixture(scope="module")
def plan(host):
    """Of the only run on record: neither --check nor the second time left one."""
    (name,) = host.file(str(STATE / "runs")).listdir()
    lines = host.file(str(STATE / "runs" / name / "journal.jsonl")).content_string.splitlines()
    assert json.loads(lines[-1])["data"]["outcome"] == "succeeded"
    return json.loads(lines[0])["data"]["plan"]


def test_the_check_and_the_second_time_changed_nothing():
    before_check, before, after = PLACE.noted()
    assert before_check == before
    assert after != before
    assert PLACE.look() == after


def test_every_workload_runs_the_image_that_was_recorded(host, plan):
    (line,) = host.file(str(STATE / "ledger.jsonl")).content_string.splitlines()
    recorded = json.loads(line)["image_digests"]
    assert set(recorded) == set(HUNTER.parts(""))
    assert plan["application"]["artifacts_to"] == {"hunter-1": recorded}
    assert {image.partition("@")[0] for image in HUNTER.images()} == {f"{HUNTER.repository}:1.0.0"}


def test_the_whole_template_came_back_and_replicas_stayed():
    for workload in HUNTER.workloads:
        found = HUNTER.get(workload["kind"].lower(), workload["name"], workload.get("namespace", ""))
        assert found["spec"]["template"]["metadata"]["annotations"]["hunter/config"] == "1.0.0"
        assert found["metadata"]["annotations"]["kubernetes.io/change-cause"] == "rollback to 1.0.0"
        assert found["spec"].get("replicas", 2) == 2


def test_kubectl_sees_a_finished_rollout_with_its_cause():
    HUNTER.wait()
    for workload in ("deployment/api", "statefulset/worker"):
        history = HUNTER.kubectl("rollout", "history", workload, "--namespace", HUNTER.name)
        assert "rollback to 1.0.0" in history


@pytest.mark.parametrize("path", ["/healthz/ready", "/api/v1/leads"])
def test_users_are_answered_by_the_good_version(path):
    with urllib.request.urlopen(PLACE.facts["url"] + path, timeout=10) as answer:  # noqa: S310 - our own server
        assert (answer.status, answer.headers["X-App-Version"]) == (200, "1.0.0")
