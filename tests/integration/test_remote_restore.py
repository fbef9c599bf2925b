"""Whole runs whose backup is elsewhere: planned from its manifest, fetched before anything stops, and cut off meanwhile."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from place import REASON, Place, made
from stores import KEYS, Cutter, S3Service, SftpServer, running

from ansible.module_utils.rollback import record
from ansible.module_utils.rollback.backups import manifest as manifests
from ansible.module_utils.rollback.backups import push, sources

# By day test_fetch_sftp.py and test_fetch_s3.py try the modules.
pytestmark = [pytest.mark.postgres, pytest.mark.sshd, pytest.mark.slow, pytest.mark.nightly, pytest.mark.timeout(1800)]
HIDDEN = "a-password-that-nobody-must-see"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(SftpServer(tmp_path_factory.mktemp("sftp") / "server")) as server:
        yield server


@pytest.fixture(scope="module")
def service():
    with running(S3Service()) as service:
        yield service


@pytest.fixture(scope="module")
def elsewhere(server, service):
    """Hunter on the bad release; the backup of its release point is on both servers, and not here any more."""
    for place in made():
        backup = place.backup()
        push.push(backup, sources.opened([server.source(), service.source()]))
        manifests.path_for(backup).rename(place.home / "its-manifest.json")
        backup.rename(place.home / "its-backup")
        yield place


def rolled(place: Place, *options: str, source: dict, **variables: object):
    return place.run(
        "rollback.yml", *options, method="restore", reason=REASON, rollback_backup_sources=[source], **variables
    )


def test_the_plan_says_where_the_backup_comes_from_and_changes_nothing(elsewhere, server):
    before = elsewhere.fingerprint()
    answer = rolled(elsewhere, "--check", source=server.source())
    assert answer.code == 0, answer.output
    assert (
        f"in sftp 127.0.0.1:{server.port}:{server.path}; its manifest was read, and it is proven as soon as it is here"
        in answer
    )
    assert "1. Fetch backup_pre_v1.1.0_" in answer
    assert elsewhere.fingerprint() == before


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"before": "yesterday"}, "yesterday is no time. Write it like 2026-11-22T03:15:00Z"),
        ({"before": "2020-01-01"}, "There is no backup of this database from before 2020-01-01. The oldest is of"),
        ({"before": "2020-01-01", "backup": "x.sql"}, "Both backup=x.sql and before=2020-01-01 are given."),
        ({"backup": "nowhere:x.sql"}, "There is no backup nowhere:x.sql in"),
        (
            {"rollback_backup_push": ["attic"]},
            "rollback_backup_push names attic, and rollback_backup_sources has offsite.",
        ),
    ],
)
def test_what_is_asked_for_wrongly_is_one_sentence(elsewhere, server, variables, sentence):
    before = elsewhere.fingerprint()
    answer = rolled(elsewhere, source=server.source(), **variables)
    assert answer.code != 0
    assert sentence in answer, answer.output
    assert "Traceback" not in answer
    assert elsewhere.fingerprint() == before


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"port": 1}, "Source offsite could not be asked: 127.0.0.1:1 does not let us in"),
        ({"kind": "ftp"}, "value of kind must be one of: local, sftp, s3"),
        ({"bucket": "x"}, "The source offsite of backups is of kind sftp, which has no bucket."),
        ({"host": ""}, "which needs host."),
        ({"name": "local"}, "names are unique, have neither / nor :, and local is taken."),
        ({"pasword": "x"}, "pasword"),
    ],
)
def test_a_source_that_is_said_wrongly_or_away_is_named(elsewhere, server, changes, sentence):
    answer = rolled(elsewhere, "--check", source=server.source(**changes))
    assert answer.code != 0
    assert sentence in answer, answer.output
    assert "Traceback" not in answer


def test_a_source_that_is_away_is_a_warning_where_another_has_the_backup(elsewhere, server, service):
    answer = elsewhere.must(
        "rollback.yml",
        "--check",
        method="restore",
        reason=REASON,
        backup="latest",
        rollback_backup_sources=[server.source(name="away", port=1), service.source()],
    )
    assert "Warning: Source away could not be asked" in answer
    assert "in s3://backups/hunter/" in answer


def test_no_secret_is_shown_or_written(elsewhere, server, service):
    answer = elsewhere.run(
        "rollback.yml",
        "-vvv",
        "--check",
        method="restore",
        reason=REASON,
        rollback_backup_sources=[server.source(name="away", key_file="", password=HIDDEN), service.source()],
    )
    assert "Plan of run" in answer
    assert HIDDEN not in answer.output
    assert KEYS["secret_key"] not in answer.output


def test_a_connection_that_stays_cut_puts_nothing_at_risk_and_the_same_command_goes_on(elsewhere, server, service):
    before = elsewhere.fingerprint()
    with Cutter(
        server.port, after=900_000, times=2, then=1
    ) as cutter:  # the first two look at the catalogue and the backup
        server.through(cutter.port)
        cut = rolled(elsewhere, source=server.source(port=cutter.port, bytes_per_s=3_000_000))
    assert cut.code != 0
    assert "Database hunter is as it was, and Hunter runs as before" in cut, cut.output
    now = elsewhere.fingerprint()
    assert {key: now[key] for key in ("databases", "hunter", "app", "processes")} == {
        key: before[key] for key in ("databases", "hunter", "app", "processes")
    }
    answer = rolled(elsewhere, source=server.source())
    assert answer.code == 0, answer.output
    report = elsewhere.report()
    kept = record.read(elsewhere.environment_dir, report["run"], "restore")
    steps = {step["name"]: step["status"] for step in kept["steps"]}
    assert report["outcome"] == "succeeded"
    assert [steps["fetch"], steps["prove"], steps["swap"]] == ["done", "done", "done"]
    assert (elsewhere.backups / elsewhere.backup().name).read_bytes() == (elsewhere.home / "its-backup").read_bytes()
    _search(Path(elsewhere.facts["state_dir"]), KEYS["secret_key"], HIDDEN)


def test_a_new_backup_is_left_in_both_places_and_fetched_from_the_bucket(elsewhere, server, service):
    """After the run above: 1.0.0 runs again."""
    answer = elsewhere.must(
        "playbooks/backup.yml",
        label="copied",
        rollback_backup_sources=[server.source(), service.source()],
        rollback_backup_push=["offsite", "archive"],
    )
    (name,) = (path.name for path in server.directory.glob("backup_copied_*.dump"))
    assert f"left {name} in sftp" in answer
    assert f"left {name} in s3://backups/hunter/" in answer
    assert {f"hunter/{name}", f"hunter/{name}.manifest.json"} <= set(service.keys())
    for path in elsewhere.backups.glob(f"{name}*"):
        path.unlink()
    shutil.rmtree(elsewhere.home / "reports", ignore_errors=True)
    restored = rolled(elsewhere, source=service.source(), backup=f"archive:{name}")
    assert restored.code == 0, restored.output
    assert elsewhere.report()["outcome"] == "succeeded"


def _search(directory: Path, *secrets: str) -> None:
    for path in directory.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not [secret for secret in secrets if secret.encode() in content], path
