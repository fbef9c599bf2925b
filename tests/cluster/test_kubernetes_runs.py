"""The real playbooks with Kubernetes underneath: recorded by digest, gone back to, undone, put back, refused."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))
sys.path.insert(0, str(Path(__file__).parents[2] / "molecule" / "app_kubernetes"))
import downgrades
import place as laboratory
from kubernetes_place import Place as Kubernetes

pytestmark = [pytest.mark.kubectl, pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(900)]

GOOD, BAD, DEAD = "1.0.0", "1.0.1", "1.0.2-dead"
QUICK = {"assess_rounds": 1, "verify_successes": 1, "verify_interval_s": 0.1}
APP = {"method": "app", **QUICK}


class Run:
    """Playbooks as a user types them, for the application on the cluster."""

    def __init__(self) -> None:
        self.laboratory = laboratory.Place(Path(tempfile.mkdtemp(prefix="rollback-place-")))
        self.kubernetes = Kubernetes(self.laboratory.home)

    def play(self, playbook: str, *options: str, **variables: object):
        inventories = ("-i", "inventories/local", "-i", "molecule/app_kubernetes/inventory/hosts.yml")
        return self.laboratory.run(playbook, *inventories, *options, **variables)

    def must(self, playbook: str, *options: str, **variables: object):
        answer = self.play(playbook, *options, **variables)
        assert answer.code == 0, answer.output
        return answer


@pytest.fixture(scope="module")
def place():
    found = Run()
    try:
        found.kubernetes.up()
        found.kubernetes.deploy(GOOD)
        found.must("playbooks/backup.yml", next=BAD)
        found.must("playbooks/record_release.yml")
        yield found
    finally:
        found.kubernetes.destroy()


@pytest.fixture
def run(place):
    """1.0.0 was recorded when it ran; now 1.0.1 does."""
    place.kubernetes.deploy(BAD)
    return place


def tells_the_plan(answer, hunter):
    for words in (
        "Switch Hunter from 1.0.1 to 1.0.0",
        "/api/v1/leads answered 500",
        f"Note: hunter-1: Deployment {hunter.name}/api gets revision ",
        "Note: hunter-1: Pod templates alone go back",
    ):
        assert words in answer, answer.output


def test_there_and_back_and_undone(run):
    hunter = run.kubernetes.hunter
    tells_the_plan(run.must("rollback.yml", **APP), hunter)
    assert {image.partition("@")[0] for image in hunter.images()} == {f"{hunter.repository}:{GOOD}"}
    run.must("undo.yml", run=run.laboratory.report()["run"], **QUICK)
    assert {image.partition("@")[0] for image in hunter.images()} == {f"{hunter.repository}:{BAD}"}


@pytest.mark.nightly  # by day the Molecule scenario shows that nothing changes
def test_the_check_and_the_second_time_change_nothing_and_say_so(run):
    before = run.kubernetes.look()
    tells_the_plan(run.must("rollback.yml", "--check", **APP), run.kubernetes.hunter)
    assert run.kubernetes.look() == before
    run.must("rollback.yml", **APP)
    there = run.kubernetes.look()
    assert "nothing to do" in run.must("rollback.yml", **APP)
    assert run.kubernetes.look() == there


def test_what_does_not_become_ready_is_put_back(run):
    ledger = run.laboratory.environment_dir / "ledger.jsonl"
    good, hunter = ledger.read_text(), run.kubernetes.hunter
    try:
        point = json.loads(good.splitlines()[-1])
        dead = hunter.parts(f"{hunter.repository}:{DEAD}")
        ledger.write_text(json.dumps({**point, "image_digests": dead}) + "\n")
        failed = run.play("rollback.yml", app_rollback_kubernetes_wait_s=5, **APP)
        assert failed.code != 0
        assert "says CrashLoopBackOff (exit code 1): this version does not start" in failed, failed.output
        assert "What ran before was put back" in failed
        assert run.laboratory.report()["outcome"] == "put_back"
        assert {image.partition("@")[0] for image in hunter.images()} == {f"{hunter.repository}:{BAD}"}
    finally:
        ledger.write_text(good)


def test_a_paused_deployment_and_another_cluster_are_refused_and_nothing_is_changed(run):
    hunter = run.kubernetes.hunter
    hunter.kubectl("rollout", "pause", "deployment/api", "--namespace", hunter.name)
    before = run.kubernetes.look()
    try:
        paused = run.play("rollback.yml", **APP)
        assert paused.code != 0
        assert "is paused. Resume it with `kubectl rollout resume deployment/api" in paused, paused.output
        other = run.play("rollback.yml", app_rollback_kubernetes_cluster_uid="0-0", **APP)
        assert other.code != 0
        assert "This is another cluster" in other, other.output
        assert run.kubernetes.look() == before
    finally:
        hunter.kubectl("rollout", "resume", "deployment/api", "--namespace", hunter.name)


def test_a_pod_that_is_stopped_beforehand_cannot_take_migrations_back(run):
    before = run.kubernetes.look()
    where = {"alembic_downgrade_place": "pod", "alembic_downgrade_place_name": "deployment/api"}
    refused = run.play("rollback.yml", **{**APP, "method": "migration", "revision": "-1"}, **where)
    assert refused.code != 0
    assert "The pods of deployment/api are stopped before the first migration is taken back" in refused, refused.output
    assert run.kubernetes.look() == before


def test_a_restore_stops_and_starts_the_workloads(run):
    """The data goes back too, with the replicas of before."""
    run.must("rollback.yml", method="restore", **QUICK)
    hunter = run.kubernetes.hunter
    assert {image.partition("@")[0] for image in hunter.images()} == {f"{hunter.repository}:{GOOD}"}
    assert hunter.get("deployment", "api")["spec"]["replicas"] == 2
    assert run.laboratory.report()["outcome"] == "succeeded"


def alembics_pod(run):
    """A workload that only waits: what a team keeps beside the application, in the version that is deployed."""
    hunter, image = run.kubernetes.hunter, f"{run.kubernetes.hunter.repository}:{downgrades.BAD}"
    variables = [{"name": "DATABASE_URL", "value": run.laboratory.lab.environment["DATABASE_URL"]}]
    containers = [{"name": "alembic", "image": image, "command": ["sleep", "infinity"], "env": variables}]
    hunter.apply(
        hunter.manifest("Deployment", "alembic", downgrades.BAD, replicas=1, template={"containers": containers})
    )
    hunter.kubectl("rollout", "status", "deployment/alembic", "--namespace", hunter.name, "--timeout=60s")
    return {
        "alembic_downgrade_place": "pod",
        "alembic_downgrade_place_name": "deployment/alembic",
        "alembic_downgrade_client": ["kubectl", "--kubeconfig", str(hunter.kubeconfig), "--namespace", hunter.name],
        "alembic_downgrade_directory": f"{run.laboratory.facts['app_dir']}/releases/{downgrades.BAD}",
        "alembic_downgrade_environment": {},  # the pod's own
    }


@pytest.mark.nightly
def test_migrations_are_taken_back_in_a_pod_and_undone_in_it(run):
    place, hunter = run.laboratory, run.kubernetes.hunter
    place.lab.deploy(downgrades.BAD)
    place.lab.use(20)
    place.wait_for_worker()
    place.lab.stop_hunter()  # from here on the application is the cluster's alone
    run.kubernetes.deploy(downgrades.BAD)
    migration = {"method": "migration", **downgrades.QUICK, **alembics_pod(run)}
    before, pods = place.content("hunter"), run.kubernetes.look()
    check = run.must("rollback.yml", "--check", **migration)
    assert f"Take back {downgrades.PHONES}" in check, check.output
    assert "ALTER TABLE leads DROP COLUMN phone" in check
    assert (place.content("hunter"), run.kubernetes.look()) == (before, pods)
    run.must("rollback.yml", **migration)
    assert place.census("hunter").alembic_heads == [downgrades.GOOD_HEAD]
    assert {image.partition("@")[0] for image in hunter.images()} == {
        f"{hunter.repository}:{GOOD}",
        f"{hunter.repository}:{downgrades.BAD}",
    }
    assert hunter.get("deployment", "api")["spec"]["replicas"] == 2
    run.must("undo.yml", run=place.report()["run"], **migration)
    assert place.content("hunter") == before
    assert {image.partition("@")[0] for image in hunter.images()} == {f"{hunter.repository}:{downgrades.BAD}"}
