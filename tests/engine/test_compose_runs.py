"""`-e method=app` from the playbooks, with Compose underneath: recorded by digest, gone back to by digest, and undone."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import engine
import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))
from place import ROOT, Place

pytestmark = [*engine.PARTS, pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(600)]

GOOD, BAD, SICK = "1.0.0", "1.0.1", "1.0.2-sick"
QUICK = {"method": "app", "assess_rounds": 1, "verify_successes": 1, "verify_interval_s": 0.1}


class Run:
    """Hunter's database, and the small application in containers beside it."""

    def __init__(self, place: Place, project: engine.Project) -> None:
        self.place, self.project = place, project
        self.inventory = place.home / "compose"
        (self.inventory / "group_vars").mkdir(parents=True)
        groups = (ROOT / "inventories" / "local" / "group_vars" / "all.yml").read_text()
        (self.inventory / "group_vars" / "all.yml").write_text(groups)
        host = {
            "rollback_base_url": f"http://127.0.0.1:{project.port}",
            "rollback_health_endpoints": [{"path": "/"}],
            "rollback_endpoints": [],
            "app_rollback_runtime": "compose",
            "app_rollback_path": str(project.directory),
            "app_rollback_compose_project": project.name,
            "app_rollback_compose_services": ["api", "worker"],
        }
        children = {"app": {"hosts": {"docker-1": host}}, "database": {"hosts": {"hunter-db": {}}}}
        (self.inventory / "hosts.yml").write_text(yaml.safe_dump({"all": {"children": children}}))

    def play(self, playbook: str, *options: str, **variables: object):
        return self.place.run(playbook, "-i", str(self.inventory), *options, **variables)

    def must(self, playbook: str, *options: str, **variables: object):
        answer = self.play(playbook, *options, **variables)
        assert answer.code == 0, answer.output
        return answer


@pytest.fixture(scope="module")
def place():
    found = Place(Path(tempfile.mkdtemp(prefix="rollback-place-")))
    try:
        found.lab.up()
        found.lab.deploy(GOOD)
        yield found
    finally:
        found.lab.destroy()


@pytest.fixture
def run(place, project):
    """1.0.0 was recorded when it ran; now 1.0.1 does."""
    found = Run(place, project)
    project.up(GOOD)
    found.must("playbooks/backup.yml", next=BAD)
    found.must("playbooks/record_release.yml")
    project.up(BAD)
    yield found
    for path in sorted(found.inventory.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    found.inventory.rmdir()


def test_back_by_digest_and_undone(run, images):
    """The tag has moved since, and the image was pruned: what comes back is what was recorded."""
    engine.docker("tag", images.digests[SICK], f"{images.repository}:{GOOD}")
    try:
        assert "Switch Hunter from 1.0.1 to 1.0.0" in run.must("rollback.yml", **QUICK)
        assert run.project.answers() == GOOD
        run.must(
            "undo.yml",
            run=run.place.report()["run"],
            **{name: value for name, value in QUICK.items() if name != "method"},
        )
        assert run.project.answers() == BAD
    finally:
        engine.docker("tag", images.digests[GOOD], f"{images.repository}:{GOOD}")


@pytest.mark.nightly  # by day the Molecule scenario shows that nothing changes
def test_the_check_and_the_second_time_change_nothing_and_say_so(run):
    before = run.project.containers()
    assert "Switch Hunter from 1.0.1 to 1.0.0" in run.must("rollback.yml", "--check", **QUICK)
    assert run.project.containers() == before
    run.must("rollback.yml", **QUICK)
    there = run.project.containers()
    assert "nothing to do" in run.must("rollback.yml", **QUICK)
    assert run.project.containers() == there


def test_what_answers_badly_is_put_back_and_what_cannot_be_had_is_refused(run, images):
    ledger = next(run.place.environment_dir.glob("ledger.jsonl"))
    good = ledger.read_text()
    try:
        ledger.write_text(good.replace(images.digests[GOOD], "127.0.0.1:1/app@sha256:" + "0" * 64))
        before = run.project.containers()
        refused = run.play("rollback.yml", **QUICK)
        assert refused.code != 0
        assert "docker-1: 127.0.0.1:1/app@sha256:" in refused, refused.output
        assert "is not on this host, and cannot be had" in refused
        assert run.project.containers() == before
        ledger.write_text(good.replace(images.digests[GOOD], images.digests[SICK]))
        sick = run.play("rollback.yml", app_rollback_command_timeout_s=6, **QUICK)
        assert sick.code != 0
        assert "What ran before was put back" in sick, sick.output
        assert (run.place.report()["outcome"], run.project.answers()) == ("put_back", BAD)
    finally:
        ledger.write_text(good)
