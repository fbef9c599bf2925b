"""A disk that fills up, a small tmpfs, in the middle of each thing that writes: the live database serves, and nothing half is left."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from kills import PATIENCE_S, newest_run, started, wait_for
from place import REASON, Place

from ansible.module_utils.rollback.backups import create
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.journal import Journal
from ansible.module_utils.rollback.postgres import client_tools
from ansible.module_utils.rollback.postgres.server import Server

pytestmark = [pytest.mark.postgres, pytest.mark.tmpfs, pytest.mark.slow, pytest.mark.timeout(3 * PATIENCE_S)]

QUICK = {"assess_rounds": 1, "verify_successes": 1, "verify_interval_s": 0.1}


@contextmanager
def small_disk(size: str) -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="rollback-disk-"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0755", "tmpfs", directory], check=True)
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", directory], check=True)
        directory.rmdir()


def fill(disk: Path, leave: int = 0) -> Path:
    """Take all room but `leave` bytes; deleting what is returned gives it back."""
    ballast = disk / "ballast"
    with ballast.open("wb") as file:
        while (room := shutil.disk_usage(disk).free - leave) > 0:
            file.write(b"\0" * min(room, 1 << 20))
            file.flush()
    return ballast


def fill_last_block(journal: Journal) -> None:
    """A full disk still takes what fits into the last block of a file: notes, until not even the shortest fits."""
    for padding in (1024, 256, 64, 0):
        with suppress(RollbackError):
            for _ in range(16):
                journal.append("noted", "filling", padding="x" * padding)


def serves(place: Place, version: str) -> None:
    """People can write."""
    assert place.lab.status()["answers"] == version
    assert set(place.lab.use(8)["POST /api/v1/leads"]) == {"201"}
    place.wait_for_worker()


def test_while_dumping(place):
    """The check of room passes: somebody else takes the room meanwhile."""
    facts = place.facts
    server = Server.of(f"host={facts['host']} port={facts['port']} user=rollback", facts["operator_password"])
    tools = client_tools.find(int(facts["postgres_version"].split(".")[0]), facts["postgres_bin"])
    with small_disk("8M") as disk:
        request = create.Request(disk / "backups", "hunter", "full", "local", "1.1.0", room=1)
        fill(disk, leave=200_000)
        for backup_format, compression in (("custom", "gzip"), ("plain", "none"), ("directory", "gzip")):
            with pytest.raises((RollbackError, OSError), match="No space left"):
                create.create(server, tools, replace(request, format=backup_format, compression=compression))
            assert list(request.directory.iterdir()) == []
    serves(place, "1.1.0")


def test_while_restoring(place):
    """The server's own disk has room for one database, not for two, and the look ahead was told of another disk."""
    with small_disk("64M") as disk:
        data = disk / "data"
        data.mkdir(mode=0o700)
        with place.lab.connect("postgres") as connection:
            (server_files,) = connection.execute("SHOW data_directory").fetchone()
            subprocess.run(["chown", f"--reference={server_files}", data], check=True)
            place.lab.stop_hunter()
            connection.execute(f"CREATE TABLESPACE small LOCATION '{data}'")
            connection.execute("GRANT CREATE ON TABLESPACE small TO rollback")
            connection.execute("ALTER DATABASE hunter SET TABLESPACE small")
            place.lab.start_hunter()
        try:
            before = place.content("hunter")
            ballast = fill(disk, leave=3_000_000)
            refused = place.run("rollback.yml", method="restore", reason=REASON, rollback_data_dir="")
            assert "a second database needs" in refused, refused.output
            failed = place.run("rollback.yml", method="restore", reason=REASON, rollback_data_dir="/", **QUICK)
            assert failed.code != 0
            assert "No space left on device" in failed, failed.output
            assert "Database hunter is as it was, and Hunter runs as before." in failed
            assert place.content("hunter") == before
            assert [name for name in place.databases() if name.startswith("hunter")] == ["hunter"]
            serves(place, "1.1.0")
        finally:
            ballast.unlink()
            with place.lab.connect("postgres") as connection:
                place.lab.stop_hunter()
                connection.execute("ALTER DATABASE hunter SET TABLESPACE pg_default")
                connection.execute("DROP TABLESPACE small")
                place.lab.start_hunter()


@pytest.mark.parametrize(("event", "step"), [("began", "load"), ("began", "stop"), ("done", "swap")])
def test_while_writing_the_journal(place, event, step):
    """Without its journal a run does nothing further; the version that fits the data is started, and the controller tells it.

    Where the machine is slow, a run that was about to stop the application is past the swap when the disk is full.
    """
    before = place.content("hunter")
    with small_disk("4M") as disk:
        state = disk / "state"
        shutil.copytree(place.facts["state_dir"], state, ignore=shutil.ignore_patterns("runs"))
        variables = {"rollback_state_dir": str(state), **QUICK}
        with elsewhere(place, state), started(place, **variables) as process:
            while not (state / "local" / "runs").exists():
                assert process.poll() is None, (place.home / "killed.log").read_text()
            wait_for(place, process, event, step)
            ballast = fill(disk)
            fill_last_block(Journal(state / "local" / "runs" / newest_run(place)))
            assert process.wait(PATIENCE_S) != 0
            said = (place.home / "killed.log").read_text()
            assert "No space left on device" in said
            assert "rollback.yml -e" in said.rpartition("Next")[2], "the next command is printed"
            restored = place.content("hunter") != before
            assert restored in {"load": [False], "stop": [False, True], "swap": [True]}[step]
            serves(place, "1.0.0" if restored else "1.1.0")
            ballast.unlink()
            run = newest_run(place)
            place.must("rollback.yml", method="restore", reason=REASON, **variables)
            report = place.report()
            assert report["outcome"] == "succeeded"
            assert report["run"] == run if restored else report["run"] >= run
        assert place.lab.status()["answers"] == "1.0.0"
        if restored:
            assert place.content(report["set_aside"]) == before
        place.must("undo.yml", run=report["run"], **variables)


@contextmanager
def elsewhere(place: Place, state: Path) -> Iterator[None]:
    """The place's helpers look for journals in `state` meanwhile."""
    facts = place.lab._facts_file
    whole = facts.read_text()
    facts.write_text(json.dumps({**json.loads(whole), "state_dir": str(state)}))
    try:
        yield
    finally:
        facts.write_text(whole)
