"""Backups on a real OpenSSH server: fetched, cut off, resumed, refused."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from stores import PASSPHRASE, Cutter, SftpServer, running

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
from made_up import BACKUP, DUMP, backup

from ansible.module_utils.rollback.backups import catalog, fetch, files, push, sources
from ansible.module_utils.rollback.backups import manifest as manifests
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.progress import FILE_NAME, Progress

pytestmark = pytest.mark.sshd
LARGE = 6 * 1024 * 1024


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(SftpServer(tmp_path_factory.mktemp("sftp") / "server")) as server:
        yield server


@pytest.fixture
def there(server):
    """The directory that the server shows, empty."""
    for path in server.directory.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return server.directory


def bring(source, directory, name=BACKUP, **options):
    (place,) = sources.opened([source])
    return fetch.fetch(place, name, directory, Progress(""), **options)


def content():
    return DUMP + os.urandom(LARGE)


def test_what_comes_is_what_was_there_and_it_comes_once(server, there, tmp_path):
    path = backup(there, content=content())
    fetched = bring(server.source(), tmp_path)
    assert (tmp_path / BACKUP).read_bytes() == path.read_bytes()
    assert manifests.path_for(tmp_path / BACKUP).read_bytes() == manifests.path_for(path).read_bytes()
    assert (fetched.changed, fetched.bytes) == (True, path.stat().st_size)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [BACKUP, f"{BACKUP}.manifest.json"]
    again = bring(server.source(port=1), tmp_path)  # nobody is there: nothing is asked
    assert (again.changed, again.bytes) == (False, 0)


def test_a_dump_in_the_directory_format_comes_with_all_its_files(server, there, tmp_path):
    name = "backup_nightly_20261122_030100.dir"
    (there / name).mkdir()
    for file in ("toc.dat", "3421.dat.gz", "blobs.toc"):
        (there / name / file).write_bytes(os.urandom(300_000))
    manifests.write(there / name, _manifest(there / name))
    bring(server.source(), tmp_path, name)
    assert files.checksums(tmp_path / name) == files.checksums(there / name)


@pytest.mark.parametrize("key", ["the key itself", "a key with a passphrase, by paramiko"])
def test_keys_come_as_text_and_are_on_no_disk(server, there, tmp_path, key):
    backup(there, content=content())
    if key == "the key itself":
        login = {"private_key": (server.home / "user_key").read_text().rstrip("\n")}
    else:
        login = {"private_key": (server.home / "locked_key").read_text(), "passphrase": PASSPHRASE}
    bring(server.source(key_file="", **login), tmp_path)
    assert (tmp_path / BACKUP).read_bytes() == (there / BACKUP).read_bytes()


def test_without_the_program_ssh_paramiko_does_it(server, there, tmp_path, monkeypatch):
    backup(there, content=content())
    monkeypatch.setenv("PATH", "/nowhere")
    bring(server.source(user="root" if os.geteuid() == 0 else ""), tmp_path)
    assert (tmp_path / BACKUP).read_bytes() == (there / BACKUP).read_bytes()


def test_a_server_that_is_not_known_is_refused_with_its_fingerprint_and_the_line_to_add(server, there, tmp_path):
    backup(there)
    empty = tmp_path / "known_hosts"
    empty.touch()
    with pytest.raises(RollbackError) as refused:
        bring(server.source(known_hosts=str(empty)), tmp_path)
    assert f"is not known: its fingerprint is {_fingerprint(server)}" in str(refused.value)
    assert f"add this line to {empty}: {server.line('host_key').strip()}" in str(refused.value)
    empty.write_text(str(refused.value).split(f"{empty}: ")[1] + "\n")  # as it says
    assert bring(server.source(known_hosts=str(empty)), tmp_path).changed


@pytest.mark.parametrize("path", ["/usr/bin:/bin", "/nowhere"], ids=["ssh", "paramiko"])
def test_a_server_whose_key_has_changed_is_refused(server, there, tmp_path, monkeypatch, path):
    backup(there)
    known = tmp_path / "known_hosts"
    known.write_text(server.line("user_key"))  # another key under its name
    monkeypatch.setenv("PATH", path)
    with pytest.raises(RollbackError, match=r"is not the one that .* has: its fingerprint is SHA256:") as refused:
        bring(server.source(known_hosts=str(known), user="root" if os.geteuid() == 0 else ""), tmp_path)
    assert _fingerprint(server) in str(refused.value)
    assert not (tmp_path / BACKUP).exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"key_file": "", "private_key": "not a key"},
        {"key_file": "", "password": "a-password-that-nobody-must-see"},
        {"key_file": "", "private_key": "", "passphrase": "a-password-that-nobody-must-see"},
    ],
    ids=["key", "password", "passphrase"],
)
def test_who_is_not_let_in_hears_so_and_no_secret_is_repeated(server, tmp_path, wrong, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with pytest.raises(RollbackError) as refused:
        bring(server.source(user="root", **wrong), tmp_path)
    assert "does not let us in" in str(refused.value) or "private key" in str(refused.value)
    assert "nobody-must-see" not in str(refused.value)


def test_a_connection_that_is_cut_goes_on_where_it_was(server, there, tmp_path):
    backup(there, content=content())
    with Cutter(server.port, after=2 * 1024 * 1024, times=3) as cutter:
        server.through(cutter.port)
        fetched = bring(server.source(port=cutter.port), tmp_path)
    assert (tmp_path / BACKUP).read_bytes() == (there / BACKUP).read_bytes()
    assert cutter.connections == 4
    assert cutter.carried < 2 * LARGE  # what had come did not come again
    assert fetched.changed


def test_a_fetch_that_was_killed_is_gone_on_with_and_what_is_there_is_hashed_again(server, there, tmp_path):
    path = backup(there, content=content())
    partial = tmp_path / f"{BACKUP}.part"
    partial.write_bytes(path.read_bytes()[: 4 * 1024 * 1024])
    fetched = bring(server.source(), tmp_path, window=1024 * 1024)
    assert fetched.bytes == path.stat().st_size - 3 * 1024 * 1024
    assert (tmp_path / BACKUP).read_bytes() == path.read_bytes()


def test_what_an_earlier_attempt_left_and_is_wrong_is_brought_anew(server, there, tmp_path):
    path = backup(there, content=content())
    (tmp_path / f"{BACKUP}.part").write_bytes(bytes(4 * 1024 * 1024))
    bring(server.source(), tmp_path, window=1024 * 1024)
    assert (tmp_path / BACKUP).read_bytes() == path.read_bytes()


def test_a_server_that_stays_away_is_an_error_and_what_came_stays(server, there, tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "_PAUSE_S", 0.01)
    path = backup(there, content=content())
    with Cutter(server.port, after=1024 * 1024, times=2, then=1) as cutter:
        server.through(cutter.port)
        with pytest.raises(RollbackError, match=r"broke off|does not let us in"):
            bring(server.source(port=cutter.port), tmp_path)
    assert cutter.connections == 2 + fetch._TRIES - 1  # the last cut among the first two counts too
    assert not (tmp_path / BACKUP).exists()
    came = (tmp_path / f"{BACKUP}.part").read_bytes()
    # How much of it arrived before the reset is the kernel's affair.
    assert came
    assert path.read_bytes().startswith(came)


def test_the_limit_is_kept_and_progress_is_told(server, there, tmp_path):
    backup(there, content=DUMP + bytes(2_000_000))
    run = tmp_path / "run"
    run.mkdir()
    (place,) = sources.opened([server.source(bytes_per_s=500_000)])
    began = time.monotonic()
    fetch.fetch(place, BACKUP, tmp_path, Progress(str(run)))
    assert 3 < time.monotonic() - began < 20
    assert re.search(r"fetch: [\d.]+ [KM]iB of 1\.9 MiB \(", (run / FILE_NAME).read_text())


def test_a_file_that_is_shorter_than_its_manifest_says_is_refused_before_it_is_brought(server, there, tmp_path):
    path = backup(there, content=content())
    os.truncate(path, 1_000_000)
    with pytest.raises(RollbackError, match=r"is damaged: .* has 1,000,000 bytes, its manifest says"):
        bring(server.source(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_file_under_the_right_name_is_refused_and_leaves_nothing(server, there, tmp_path):
    path = backup(there, content=content())
    path.write_bytes(os.urandom(path.stat().st_size))
    with pytest.raises(RollbackError, match=f"the checksum of {BACKUP} is not the one in its manifest"):
        bring(server.source(), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../../etc/cron.d/evil", "/etc/cron.d/evil", "toc.dat/../../../evil"])
def test_a_manifest_that_names_files_elsewhere_is_refused(server, there, tmp_path, name):
    path = there / "backup_nightly_20261122_030100.dir"
    path.mkdir()
    (path / "toc.dat").write_bytes(b"PGDMP")
    manifest = _manifest(path)
    manifest.files[name] = {"sha256": "0" * 64, "bytes": 5}
    manifests.write(path, manifest)
    with pytest.raises(RollbackError, match="names a file that is not its own"):
        bring(server.source(), tmp_path, path.name)
    assert list(tmp_path.iterdir()) == []


def test_without_room_it_is_not_begun(server, there, tmp_path, monkeypatch):
    backup(there, content=content())
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(RollbackError, match=r"has 1 B free, and fetching .* needs"):
        bring(server.source(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_check_mode_reads_the_manifest_and_brings_nothing(server, there, tmp_path):
    backup(there, content=content())
    fetched = bring(server.source(), tmp_path / "new", check_mode=True)
    assert fetched.actions == [f"would fetch {BACKUP} from sftp 127.0.0.1:{server.port}:{server.path}"]
    assert list(tmp_path.iterdir()) == []


def test_a_manifest_that_was_replaced_since_the_plan_is_refused(server, there, tmp_path):
    backup(there)
    with pytest.raises(RollbackError, match=r"is not the one that was planned"):
        bring(server.source(), tmp_path, planned="0" * 64)


def test_what_was_here_and_is_damaged_is_kept_beside(server, there, tmp_path):
    backup(there, content=content())
    (tmp_path / BACKUP).write_bytes(b"something else")
    bring(server.source(), tmp_path)
    assert (tmp_path / f"{BACKUP}.damaged").read_bytes() == b"something else"
    assert (tmp_path / BACKUP).read_bytes() == (there / BACKUP).read_bytes()


def test_the_catalogue_shows_what_is_there_and_why_it_is_none(server, there, tmp_path):
    backup(there)
    backup(there, "backup_of_staging_20261122_030100.sql", environment="staging")
    cut = backup(there, "backup_cut_20261122_030100.sql")
    os.truncate(cut, 10)
    manifests.path_for(backup(there, "backup_bare_20261122_030100.sql")).unlink()
    manifests.path_for(backup(there, "backup_odd_20261122_030100.sql")).write_bytes(b'{"backup": 7}')
    (there / "backup_x_20261122_030100.sql.part").touch()
    places = sources.opened([server.source(), server.source(name="away", port=1)])
    found = catalog.read_elsewhere(places, tmp_path, "hunter", "production")
    assert {candidate.name.split("_")[1]: candidate.reason for candidate in found.candidates} == {
        "pre": "",
        "of": "it is of environment staging, not production",
        "cut": f"it is damaged: it has 10 bytes, its manifest says {len(DUMP)}",
        "bare": "it has no manifest",
        "odd": next(c.reason for c in found.candidates if "odd" in c.name),
        "x": "it was never finished",
    }
    assert any("cannot be read" in candidate.reason for candidate in found.candidates)
    assert list(found.unreachable) == ["away"]
    assert "Connection refused" in found.unreachable["away"]


def test_a_copy_is_left_once_and_its_manifest_last(server, there, tmp_path):
    path = backup(tmp_path, content=content())
    places = sources.opened([server.source()])
    assert push.push(path, places, check_mode=True)[0].startswith("would leave")
    assert list(there.iterdir()) == []
    assert len(push.push(path, places)) == 1
    assert files.checksums(there / BACKUP) == files.checksums(path)
    assert manifests.path_for(there / BACKUP).read_bytes() == manifests.path_for(path).read_bytes()
    assert sorted(entry.name for entry in there.iterdir()) == [BACKUP, f"{BACKUP}.manifest.json"]
    assert push.push(path, places) == []


def test_a_signature_goes_along_and_comes_back(server, there, tmp_path):
    path = backup(tmp_path, content=content())
    manifests.path_for(path).with_name(f"{BACKUP}.manifest.json.asc").write_bytes(b"signed")
    push.push(path, sources.opened([server.source()]))
    bring(server.source(), tmp_path / "again")
    assert (tmp_path / "again" / f"{BACKUP}.manifest.json.asc").read_bytes() == b"signed"


def test_a_copy_that_cannot_be_left_is_named_and_the_others_are_left(server, there, tmp_path):
    path = backup(tmp_path, content=content())
    places = sources.opened([server.source(name="away", port=1), server.source()])
    with pytest.raises(RollbackError, match=r"was not left everywhere.*Connection refused.*left .*Run it again"):
        push.push(path, places)
    assert files.checksums(there / BACKUP) == files.checksums(path)


def test_another_backup_of_that_name_is_not_overwritten(server, there, tmp_path):
    path = backup(tmp_path, content=content())
    theirs = backup(there)
    with pytest.raises(RollbackError, match="has another backup called"):
        push.push(path, sources.opened([server.source()]))
    assert theirs.read_bytes() == DUMP


def _manifest(path):
    from made_up import manifest

    return manifest(path.name, format="directory", files=files.checksums(path))


def _fingerprint(server):
    said = subprocess.run(
        ["/usr/bin/ssh-keygen", "-l", "-f", server.home / "host_key.pub"], capture_output=True, text=True, check=True
    )
    return said.stdout.split()[1]
