"""Of the application after a restore: which release runs, and what users are answered."""

from __future__ import annotations

import json
import os
import urllib.request
from pathlib import Path

import pytest

testinfra_hosts = ["ansible://app"]

FACTS = json.loads((Path(os.environ["HUNTER_HOME"]) / "lab.json").read_text())


def test_current_release_is_the_good_one(host):
    current = host.file(f"{FACTS['app_dir']}/current")
    assert current.is_symlink
    assert host.file(current.linked_to) == host.file(f"{FACTS['app_dir']}/releases/1.0.0")


def test_every_process_runs(host):
    states = host.run(" ".join(FACTS["status_command"]))
    assert states.rc == 0, states.stdout
    for name in ("hunter:api", "hunter:worker", "postgres"):
        assert [line.split()[1] for line in states.stdout.splitlines() if line.startswith(f"{name} ")] == ["RUNNING"]


@pytest.mark.parametrize("path", ["/healthz/ready", "/api/v1/leads", "/api/v1/scan?domain=example.com"])
def test_users_are_answered_by_the_good_version(path):
    with urllib.request.urlopen(FACTS["api_url"] + path, timeout=10) as answer:  # noqa: S310 - our own server
        assert answer.status == 200
        assert answer.headers["X-App-Version"] == "1.0.0"
