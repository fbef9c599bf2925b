"""Hunter in containers, from the playbooks: a schema that nobody recorded, a downgrade in the new image, and a restore."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import engine
import images
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))
from containers import Containers
from place import Answer, Place

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.migrations import sources

pytestmark = [*engine.PARTS, pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(1200)]

GOOD, BAD = "1.0.0", "1.2.0"
INVENTORY = ["-i", "inventories/local", "-i", "examples/hunter/containers.yml"]
QUICK = {"assess_rounds": 1, "verify_successes": 1, "verify_interval_s": 0.1, "reason": "the API answers 500"}


class Hunter:
    """The containers, and the project's playbooks pointed at them."""

    def __init__(self, home: Path) -> None:
        self.place = Place(home)
        self.containers = Containers(home)

    def play(self, playbook: str, *options: str, **variables: object) -> Answer:
        return self.place.run(playbook, *INVENTORY, *options, **variables)

    def must(self, playbook: str, *options: str, **variables: object) -> Answer:
        answer = self.play(playbook, *options, **variables)
        assert answer.code == 0, answer.output
        return answer

    def revision(self) -> list[str]:
        with self.place.lab.connect() as connection:
            return [name for (name,) in connection.execute("SELECT version_num FROM alembic_version")]

    def answers(self) -> str | None:
        return self.place.lab.status()["answers"]


@pytest.fixture(scope="module")
def hunter() -> Iterator[Hunter]:
    """1.0.0 was backed up and recorded; 1.2.0 runs, has migrated, and users have written."""
    found = Hunter(Path(tempfile.mkdtemp(prefix="rollback-place-")))
    try:
        found.containers.up([GOOD, BAD])
        found.containers.deploy(GOOD)
        found.containers.fill(2_000)
        found.must("playbooks/backup.yml", next=BAD)
        found.must("playbooks/record_release.yml")
        found.containers.deploy(BAD)
        found.place.lab.use(20)
        found.place.wait_for_worker()
        yield found
    finally:
        found.containers.destroy()


@pytest.mark.nightly
def test_a_version_that_was_never_recorded_is_judged_by_what_its_image_says(hunter):
    """Its label names its heads; without the label they are read from its migrations, without starting it."""
    ledger = hunter.place.environment_dir / "ledger.jsonl"
    recorded = ledger.read_text()
    ledger.unlink()
    before = hunter.containers.containers()
    try:
        labelled = hunter.play("rollback.yml", "--check", method="app", version=GOOD, **QUICK)
        images.build(hunter.containers.facts["repository"], GOOD, labels=False, tag="0.9.0")
        plain = hunter.play(
            "rollback.yml", "--check", method="app", version="0.9.0", rollback_wants_own_head=False, **QUICK
        )
        unknown = hunter.play("rollback.yml", "--check", method="app", version="0.0.1", **QUICK)
    finally:
        ledger.write_text(recorded)
    assert "Hunter 1.0.0 serves only on revision d6a0985c3e1f (rollback_wants_own_head)" in labelled, labelled.output
    assert "Take the migrations back too, with -e method=migration." in labelled
    assert plain.code == 0, plain.output
    assert "The schema stays 3 revisions ahead of Hunter 0.9.0; they only add to it." in plain, plain.output
    assert "0.0.1 is not on this host, and cannot be had" in unknown, unknown.output
    assert hunter.containers.containers() == before


def test_migrations_of_an_image_that_is_not_here_are_had_from_its_registry(hunter):
    """As on a host that only reaches the cluster, where the nodes alone have it."""
    repository = hunter.containers.facts["repository"]
    unknown = f"{repository}:0.8.0"
    name = images.build(repository, GOOD, tag="0.8.0")
    images.docker("image", "rm", unknown)
    for told in (unknown, f"{unknown}@{name.partition('@')[2]}"):
        assert len(sources.fetch(sources.IMAGE, told, "").versions) > 2
        images.docker("image", "rm", told)
    with pytest.raises(
        RollbackError, match=r"The migrations cannot be had: docker pull --quiet .*:0\.0\.1: .*not found"
    ):
        sources.fetch(sources.IMAGE, f"{repository}:0.0.1", "")


def test_a_downgrade_runs_in_the_new_image_though_that_version_is_dead(hunter):
    """And up again: the scripts are in the image that is not the running one by then."""
    newest = hunter.revision()
    # It does not start any more, and its entrypoint would migrate.
    hunter.containers.compose("stop", "api", "worker")
    down = hunter.play("rollback.yml", method="migration", **QUICK)
    assert down.code == 0, down.output
    assert (hunter.revision(), hunter.answers()) == (["d6a0985c3e1f"], GOOD)
    assert "HUNTER_VERSION=1.0.0\n" in (hunter.containers.directory / ".env").read_text()
    undone = hunter.play("undo.yml", run=hunter.place.report()["run"], **{**QUICK, "reason": "it was not that"})
    assert undone.code == 0, undone.output
    assert (hunter.revision(), hunter.answers()) == (newest, BAD)


def test_a_restore_brings_back_data_schema_and_image(hunter):
    restored = hunter.play("rollback.yml", method="restore", **QUICK)
    assert restored.code == 0, restored.output
    assert (hunter.revision(), hunter.answers()) == (["d6a0985c3e1f"], GOOD)
    again = hunter.play("rollback.yml", method="app", release=GOOD, **QUICK)
    assert again.code == 0, again.output
    assert "Every host runs that version already, so there is nothing to do." in again
