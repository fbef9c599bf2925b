"""Bad input: one clear sentence, an exit code that is not zero, and nothing changed, to the last byte."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest
from place import REASON, Place, change_manifest, copy_backup, remake_checksums

from ansible.module_utils.rollback import clock

pytestmark = [pytest.mark.postgres]


def refuses(place: Place, sentence: str, **variables: object) -> None:
    """Run the main job, expect this sentence, and compare everything before and after."""
    before = place.fingerprint()
    answer = place.run("rollback.yml", **{"method": "restore", "reason": REASON, **variables})
    assert answer.code != 0
    assert sentence in answer, answer.output
    assert "Traceback" not in answer, answer.output
    assert place.fingerprint() == before


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A backup directory of the test's own, for copies of the good backup to spoil."""
    return tmp_path


def test_unknown_method(bad_day):
    refuses(
        bad_day,
        "Unknown method restor. Say -e method=app or -e method=migration or -e method=restore.",
        method="restor",
    )


@pytest.mark.nightly
def test_a_method_in_capitals_is_no_method(bad_day):
    refuses(bad_day, "Unknown method Restore.", method="Restore")


def test_unknown_variable(bad_day):
    refuses(bad_day, "Nothing reads the variable reasn. Did you mean reason?", reasn="typo")


@pytest.mark.nightly
def test_unknown_severity(bad_day):
    refuses(bad_day, "Unknown severity terrible. Say critical, high, medium or low.", severity="terrible")


def test_no_release_point_and_no_backup(bad_day, tmp_path):
    (tmp_path / "backups").mkdir()
    refuses(
        bad_day,
        f"No backup found: no release point is recorded for this environment, and {tmp_path}/backups holds no backup of this database.",
        rollback_state_dir=str(tmp_path / "state"),
        rollback_backup_dir=str(tmp_path / "backups"),
    )


def test_the_backup_of_the_release_point_is_gone(bad_day, tmp_path):
    refuses(bad_day, "There is no backup of this database at all.", rollback_backup_dir=str(tmp_path))


def test_named_backup_absent(bad_day):
    refuses(
        bad_day,
        f"There is no backup monday.dump in {bad_day.backups}. There are: backup_pre_v1.1.0_",
        backup="monday.dump",
    )


@pytest.mark.nightly
def test_empty_file(bad_day, elsewhere):
    (elsewhere / "empty.sql").touch()
    refuses(
        bad_day,
        "empty.sql cannot be restored here: The backup empty.sql is empty (0 bytes).",
        rollback_backup_dir=str(elsewhere),
        backup="empty.sql",
    )


@pytest.mark.nightly
def test_truncated_custom_dump_by_its_size(bad_day, elsewhere):
    spoilt = copy_backup(bad_day.backup(), elsewhere / "backup_cut_20260101_000000.dump")
    os.truncate(spoilt, spoilt.stat().st_size - 1000)
    refuses(bad_day, "it is damaged: it has", rollback_backup_dir=str(elsewhere), backup=spoilt.name)


def test_truncated_custom_dump_whose_manifest_agrees(bad_day, elsewhere):
    """Listing it would succeed: the table of contents is at the front. Only reading it whole finds the cut."""
    spoilt = copy_backup(bad_day.backup(), elsewhere / "backup_cut_20260101_000000.dump")
    os.truncate(spoilt, spoilt.stat().st_size * 3 // 4)
    remake_checksums(spoilt)
    refuses(bad_day, "cannot be read to its end", rollback_backup_dir=str(elsewhere), backup=spoilt.name)


@pytest.mark.parametrize("share", [0.4, 0.999], ids=["inside the data", "before the last line"])
@pytest.mark.nightly
def test_truncated_plain_dump_whose_manifest_agrees(bad_day, elsewhere, share):
    """psql would load it with exit code 0: it is cut at the end of a line."""
    answer = bad_day.must(
        "playbooks/backup.yml", backup_format="plain", backup_compression="none", rollback_backup_dir=str(elsewhere)
    )
    assert "read it back" in answer
    spoilt = next(elsewhere.glob("*.sql"))
    content = spoilt.read_bytes()
    spoilt.write_bytes(content[: content.rindex(b"\n", 0, int(len(content) * share)) + 1])
    remake_checksums(spoilt)
    refuses(
        bad_day,
        f"The backup {spoilt.name} is truncated: it does not end with the line that pg_dump writes last.",
        rollback_backup_dir=str(elsewhere),
        backup=spoilt.name,
        release="1.0.0",
    )


@pytest.mark.nightly
def test_one_flipped_bit(bad_day, elsewhere):
    spoilt = copy_backup(bad_day.backup(), elsewhere / "backup_bit_20260101_000000.dump")
    content = bytearray(spoilt.read_bytes())
    content[len(content) // 2] ^= 0x10
    spoilt.write_bytes(content)
    refuses(bad_day, "the checksum of", rollback_backup_dir=str(elsewhere), backup=spoilt.name)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"database": "billing"}, "it is of database billing, not hunter."),
        ({"environment": "production"}, "it is of environment production, not local."),
    ],
)
@pytest.mark.nightly
def test_backup_of_something_else(bad_day, elsewhere, change, sentence):
    other = copy_backup(bad_day.backup(), elsewhere / "backup_other_20260101_000000.dump")
    change_manifest(other, **change)
    refuses(bad_day, sentence, rollback_backup_dir=str(elsewhere), backup=other.name)


def test_rows_that_differ_from_the_manifest(bad_day, elsewhere):
    """In place, nothing is dropped for them. A restore beside counts what it has loaded, see test_edge_cases.py."""
    other = copy_backup(bad_day.backup(), elsewhere / "backup_rows_20260101_000000.dump")
    manifest = json.loads(other.with_name(other.name + ".manifest.json").read_text())
    manifest["census"]["tables"]["public.leads"]["rows"] += 1
    change_manifest(other, tables=manifest["census"]["tables"])
    refuses(
        bad_day,
        "public.leads has",
        rollback_backup_dir=str(elsewhere),
        backup=other.name,
        rollback_restore_strategy="in_place",
    )


def test_database_unreachable(bad_day):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody else answers there
        port = taken.getsockname()[1]
        refuses(
            bad_day,
            "No connection to database hunter:",
            rollback_database_dsn=f"host=127.0.0.1 port={port} user=rollback connect_timeout=2",
        )


@pytest.mark.nightly
def test_wrong_password(bad_day):
    refuses(bad_day, 'password authentication failed for user "rollback"', rollback_database_password="guessed")


@pytest.mark.nightly
def test_unknown_database(bad_day):
    refuses(bad_day, 'database "nowhere" does not exist', rollback_database="nowhere")


def test_lock_held_by_another_run(bad_day):
    lock = bad_day.environment_dir / "lock"
    owner = {"run": "20260101T000000Z-restore", "who": "ayse", "since": "2026-01-01T00:00:00.000Z"}
    lock.write_text(json.dumps({**owner, "host": socket.gethostname(), "pid": os.getpid(), "boot": clock.boot_id()}))
    try:
        refuses(bad_day, "Environment local is locked by run 20260101T000000Z-restore, which ayse started")
    finally:
        lock.unlink()


def test_lock_of_a_controller_that_cannot_be_seen(bad_day):
    lock = bad_day.environment_dir / "lock"
    owner = {"run": "20260101T000000Z-restore", "who": "awx", "since": "2026-01-01T00:00:00.000Z"}
    lock.write_text(json.dumps({**owner, "host": "awx-job-17", "pid": 7, "boot": "elsewhere"}))
    try:
        refuses(bad_day, "if it is certainly dead, add -e take_over=20260101T000000Z-restore")
    finally:
        lock.unlink()


@pytest.mark.nightly
def test_unknown_release_point(bad_day):
    refuses(bad_day, "There is no release point 9.9.9. Known versions: 1.0.0.", release="9.9.9")


def test_protected_environment_without_confirmation(bad_day):
    refuses(
        bad_day,
        "Environment local is protected, and the confirmation is missing. To go on, add -e confirm=local.",
        rollback_protected=True,
    )


@pytest.mark.nightly
def test_protected_environment_with_the_wrong_confirmation(bad_day):
    refuses(
        bad_day,
        "the confirmation is 'production'. To go on, add -e confirm=local.",
        rollback_protected=True,
        confirm="production",
    )


@pytest.mark.nightly
def test_version_that_no_host_has(bad_day, elsewhere):
    other = copy_backup(bad_day.backup(), elsewhere / "backup_old_20260101_000000.dump")
    change_manifest(other, application_version="0.9.0")
    refuses(
        bad_day,
        "hunter-1: Version 0.9.0 is not among the releases.",
        rollback_backup_dir=str(elsewhere),
        backup=other.name,
    )


def test_a_role_that_the_server_lacks(bad_day):
    """Loading would stop at the first grant to it. Renamed, so that nothing of the place is lost."""
    with bad_day.lab.connect("postgres") as connection:
        connection.execute("ALTER ROLE hunter_readonly RENAME TO hunter_elsewhere")
        try:
            refuses(bad_day, "The dump names roles that the server lacks: hunter_readonly. Create them")
        finally:
            connection.execute("ALTER ROLE hunter_elsewhere RENAME TO hunter_readonly")


def test_a_database_that_carries_the_marker_of_another_environment(bad_day):
    """The inventory is right in itself, and the database is not the one it means."""
    with bad_day.lab.connect("postgres") as connection:
        (comment,) = connection.execute(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = 'hunter'"
        ).fetchone()
        assert comment.endswith(" [rollback environment: local]")
        try:
            connection.execute("COMMENT ON DATABASE hunter IS '[rollback environment: production]'")
            refuses(bad_day, "Database hunter carries the marker of environment production, and this run is for local.")
        finally:
            connection.execute(f"COMMENT ON DATABASE hunter IS '{comment}'")


def test_no_room_on_the_server_for_a_second_database(bad_day):
    """A file system without room is named in place of the server's own: /proc never has any."""
    refuses(
        bad_day,
        "The server has 0 B free in /proc, and a second database needs",
        rollback_data_dir="/proc",
    )


def test_inventory_without_a_database_host(bad_day, tmp_path):
    inventory = tmp_path / "hosts.yml"
    inventory.write_text("all: {children: {app: {hosts: {one: {}}}}}\n")
    before = bad_day.fingerprint()
    answer = bad_day.run("rollback.yml", "-i", str(inventory), method="restore", rollback_environment="local", rollback_application="Hunter",
                         rollback_database="hunter", rollback_database_dsn="host=127.0.0.1 user=rollback", rollback_base_url="http://127.0.0.1:1")  # fmt: skip
    assert answer.code != 0
    assert (
        "The inventory has 0 hosts in group database and 1 in group app; it needs exactly one and at least one."
        in answer
    )
    assert bad_day.fingerprint() == before


def test_undo_of_a_run_that_never_was(bad_day):
    before = bad_day.fingerprint()
    answer = bad_day.run("undo.yml", run="20260101T000000Z-restore")
    assert answer.code != 0
    assert "There is no run 20260101T000000Z-restore on record for environment local." in answer
    answer = bad_day.run("undo.yml")
    assert answer.code != 0
    assert "Say which run to undo with -e run=<id>" in answer
    assert bad_day.fingerprint() == before
