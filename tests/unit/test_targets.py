import pytest
from made_up import BACKUP, RUN, backup, finished_run, point

from ansible.module_utils.rollback import ledger, targets
from ansible.module_utils.rollback.backups import manifest as manifests
from ansible.module_utils.rollback.errors import RollbackError


@pytest.fixture
def environment(tmp_path):
    directory = tmp_path / "state" / "production"
    ledger.append(directory, point())
    return directory


@pytest.fixture
def backups(tmp_path):
    directory = tmp_path / "backups"
    directory.mkdir()
    backup(directory)
    return directory


def target(environment, backups, running=("1.1.0",), **named):
    return targets.for_restore(environment, backups, "production", "hunter", list(running), **named)


def test_by_itself_it_is_the_previous_release_and_its_backup(environment, backups):
    found = target(environment, backups)
    assert (found.release_point.version, found.backup.name) == ("1.0.0", BACKUP)
    assert found.as_dict()["backup"]["path"] == str(backups / BACKUP)


def test_a_release_may_be_named_though_several_versions_run(environment, backups):
    assert target(environment, backups, running=("1.0.0", "1.1.0"), release="1.0.0").release_point.id == point().id


@pytest.mark.parametrize(
    ("running", "why"), [((), "no version is running"), (("1.0.0", "1.1.0"), "different versions run: 1.0.0, 1.1.0")]
)
def test_where_the_running_version_cannot_be_told_it_asks(environment, backups, running, why):
    with pytest.raises(RollbackError, match=f"{why}.*-e release="):
        target(environment, backups, running=running)


def test_a_backup_named_by_hand_brings_the_newest_release_point_that_names_it(environment, backups):
    ledger.append(environment, point(id="again"))
    assert target(environment, backups, backup=BACKUP).release_point.id == "again"
    assert target(environment, backups, backup=str(backups / BACKUP), release=point().id).release_point.id == point().id


def test_a_backup_of_no_release_point_is_one_by_its_manifest(environment, backups):
    other = "backup_nightly_20261121_030000.sql"
    backup(backups, other, application_version="0.9.0")
    found = target(environment, backups, backup=other).release_point
    assert (found.id, found.version, found.alembic_heads, found.verified) == (
        f"backup:{other}",
        "0.9.0",
        ["aaa"],
        False,
    )


def test_a_backup_that_does_not_know_its_version_needs_a_release(environment, backups):
    other = "backup_nightly_20261121_030000.sql"
    backup(backups, other, application_version="")
    with pytest.raises(RollbackError, match="does not say which version"):
        target(environment, backups, backup=other)
    assert target(environment, backups, backup=other, release="1.0.0").backup.name == other


def test_a_backup_of_another_environment_is_refused_by_name(environment, backups):
    backup(backups, "backup_x_20261121_030000.sql", environment="staging")
    with pytest.raises(RollbackError, match="cannot be restored here: it is of environment staging, not production"):
        target(environment, backups, backup="backup_x_20261121_030000.sql")


def test_a_release_point_without_backup_or_whose_backup_is_gone_is_refused(environment, backups):
    ledger.append(environment, point("1.0.5", backup=""))
    with pytest.raises(RollbackError, match=r"Release point 1\.0\.5-.* has no backup"):
        target(environment, backups)
    (backups / BACKUP).unlink()
    with pytest.raises(RollbackError, match=f"There is no backup {BACKUP}"):
        target(environment, backups, release="1.0.0")


def test_without_a_ledger_it_offers_the_newest_fit_backup(tmp_path, backups):
    backup(backups, "backup_old_20251122_030100.sql", created_at="2025-11-22T03:01:00.000Z")
    with pytest.raises(RollbackError, match=rf"holds backups of this database.*-e backup={BACKUP}"):
        target(tmp_path / "nothing", backups)
    with pytest.raises(RollbackError, match=r"holds no backup of this database.*Check rollback_backup_dir"):
        target(tmp_path / "nothing", tmp_path / "nowhere")


def test_the_last_successful_run_says_where_we_are(environment):
    points = ledger.read(environment)
    assert targets.last_rollback(environment, points) is None
    finished_run(environment, plan={"release_point": {"id": point().id}})
    finished_run(environment, "20261122T041500Z-restore", outcome="put_back", plan={"release_point": {"id": "another"}})
    assert targets.last_rollback(environment, points) == point().id


def test_a_release_recorded_since_asks_anew(environment):
    finished_run(environment, plan={"release_point": {"id": point().id}})
    later = [point("1.2.0", recorded_at="2999-01-01T00:00:00.000Z")]
    assert targets.last_rollback(environment, later) is None


def test_an_undo_takes_back_that_we_went_back(environment):
    finished_run(environment, plan={"release_point": {"id": point().id}})
    finished_run(environment, "20261122T041500Z-undo", plan={"release_point": {}, "undoes": RUN})
    assert targets.last_rollback(environment, ledger.read(environment)) is None


def test_the_same_command_does_not_go_back_twice(environment, backups):
    finished_run(environment, plan={"release_point": {"id": point().id}})
    with pytest.raises(RollbackError, match="already went back to release point"):
        target(environment, backups, running=("1.0.0",))


def unproven(backups, heads=("aaa",)):
    """The backup, without its manifest; its content has these revisions."""
    manifests.path_for(backups / BACKUP).unlink()
    return {"backup": BACKUP, "heads_of": lambda path: list(heads) if path == backups / BACKUP else []}


def test_a_backup_without_a_manifest_fits_the_release_point_of_its_revision(environment, backups):
    found = target(environment, backups, **unproven(backups))
    assert (found.release_point.id, found.backup.alembic_heads) == (point().id, ["aaa"])


def test_what_a_backup_without_a_manifest_fits_may_be_said(environment, backups):
    named = unproven(backups, heads=["zzz"])
    assert target(environment, backups, release="1.0.0", **named).release_point.id == point().id
    found = target(environment, backups, version="0.9.0", **named).release_point
    assert (found.version, found.alembic_heads) == ("0.9.0", ["zzz"])
    assert "-e version" in found.recorded_by


@pytest.mark.parametrize("heads", [["zzz"], []])
def test_a_backup_without_a_manifest_that_fits_nothing_known_asks(environment, backups, heads):
    with pytest.raises(RollbackError, match=r"no release point is at its revision.*-e version=.*-e release="):
        target(environment, backups, **unproven(backups, heads))


def test_a_backup_without_a_manifest_is_never_taken_unless_it_is_named(environment, backups):
    unproven(backups)
    with pytest.raises(RollbackError, match="cannot be restored here: it has no manifest"):
        target(environment, backups)


def test_a_version_without_release_point_is_a_target_of_the_application_alone(environment):
    """Which schema it fits is still to be found, so it says none."""
    found = targets.for_app(environment, ["1.1.0"], version="0.9.0")
    assert (found.id, found.version, found.alembic_heads, found.image_digests) == ("version:0.9.0", "0.9.0", [], {})
    assert targets.for_app(environment, ["1.1.0"], version="1.0.0").id == point().id
    with pytest.raises(RollbackError, match=r"There is no release point 0\.9\.0"):
        targets.for_app(environment, ["1.1.0"], release="0.9.0")


def test_base_is_a_place_to_go_back_to_and_not_the_lack_of_one(environment):
    with pytest.raises(RollbackError, match=r"No release point is at revision base.*-e version="):
        targets.for_migration(environment, [], heads=[])
    assert targets.for_migration(environment, [], heads=[], version="0.1.0").id == "revision:base"
    assert targets.for_migration(environment, ["1.1.0"]).version == "1.0.0"
