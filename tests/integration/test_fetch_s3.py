"""Backups in a bucket: fetched in parts from an S3 service over HTTP, and what such a service does wrong."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from stores import KEYS, Fault, FaultyS3, S3Service, running

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
from made_up import BACKUP, DUMP, backup, manifest

from ansible.module_utils.rollback.backups import catalog, fetch, files, push, sources
from ansible.module_utils.rollback.backups import manifest as manifests
from ansible.module_utils.rollback.backups.sources import s3
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.progress import Progress

LARGE = 3 * 1024 * 1024


@pytest.fixture(scope="module")
def service():
    with running(S3Service()) as service:
        yield service


@pytest.fixture(autouse=True)
def quick(service, monkeypatch):
    """An empty bucket, small parts, short pauses, and no credentials but those that a test names."""
    service.empty()
    monkeypatch.setattr(s3, "_PART", 256 * 1024)
    monkeypatch.setattr(s3, "_PAUSE_S", 0.01)
    monkeypatch.setattr(fetch, "_PAUSE_S", 0.01)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")


@pytest.fixture
def there(service, tmp_path):
    """A backup in the bucket, and the directory in which the same lies."""
    directory = tmp_path / "there"
    directory.mkdir()
    backup(directory, content=DUMP + os.urandom(LARGE))
    service.put(directory)
    return directory


@pytest.fixture
def here(tmp_path):
    return tmp_path / "here"


def bring(source, directory, name=BACKUP, **options):
    (place,) = sources.opened([source])
    return fetch.fetch(place, name, directory, Progress(""), **options)


def of_data(method, path):
    return method == "GET" and path.endswith(BACKUP)


def test_what_comes_in_parts_is_what_was_there_and_it_comes_once(service, there, here):
    with FaultyS3(service) as faulty:
        fetched = bring(service.source(endpoint=faulty.endpoint), here)
        assert faulty.gets > 10
        asked = faulty.gets
        assert not bring(service.source(endpoint=faulty.endpoint), here).changed
        assert faulty.gets == asked
    assert files.checksums(here / BACKUP) == files.checksums(there / BACKUP)
    assert fetched.bytes == (there / BACKUP).stat().st_size
    assert sorted(path.name for path in here.iterdir()) == [BACKUP, f"{BACKUP}.manifest.json"]


def test_an_upload_in_parts_has_an_etag_that_is_no_md5_and_none_is_taken_for_one(service, there, here, monkeypatch):
    path = there / BACKUP
    path.write_bytes(DUMP + os.urandom(20 * 1024 * 1024))
    manifests.write(path, manifest(BACKUP, files=files.checksums(path)))
    service.put(there)
    assert "-" in service.client.head_object(Bucket="backups", Key=f"hunter/{BACKUP}")["ETag"]
    monkeypatch.undo()  # parts as large as they are
    bring(service.source(), here)
    assert files.checksums(here / BACKUP) == files.checksums(path)


@pytest.mark.parametrize("times", [1, 3])
def test_connections_that_are_reset_at_a_byte_go_on_there(service, there, here, times):
    with FaultyS3(service, Fault(of_data, reset_at=100_000, times=times)) as faulty:
        bring(service.source(endpoint=faulty.endpoint), here)
    assert files.checksums(here / BACKUP) == files.checksums(there / BACKUP)


def test_a_service_that_is_busy_is_asked_again(service, there, here):
    busy = [
        Fault(lambda method, path: True, status=503, code="SlowDown", times=2),
        Fault(of_data, status=503, code="SlowDown", times=6),
        Fault(of_data, status=500, code="InternalError", times=2),
    ]
    with FaultyS3(service, *busy) as faulty:
        bring(service.source(endpoint=faulty.endpoint), here)
    assert [fault.done for fault in busy] == [2, 6, 2]
    assert files.checksums(here / BACKUP) == files.checksums(there / BACKUP)


def test_a_service_that_stays_busy_is_an_error_and_the_backup_has_no_name(service, there, here, monkeypatch):
    monkeypatch.setattr(s3, "_TRIES", 2)
    monkeypatch.setattr(fetch, "_TRIES", 2)
    with (
        FaultyS3(service, Fault(of_data, status=503, code="SlowDown", times=10_000)) as faulty,
        pytest.raises(RollbackError, match=r"answers 503 \(SlowDown\)"),
    ):
        bring(service.source(endpoint=faulty.endpoint), here)
    assert not (here / BACKUP).exists()


def test_a_bit_that_was_flipped_on_the_way_is_found(service, there, here):
    with (
        FaultyS3(service, Fault(of_data, spoil=True)) as faulty,
        pytest.raises(RollbackError, match=r"the checksum of .* is not the one in its manifest"),
    ):
        bring(service.source(endpoint=faulty.endpoint), here)
    assert list(here.iterdir()) == []


def test_an_object_that_is_replaced_while_it_comes_is_noticed(service, there, here):
    wrong = Fault(
        lambda method, path: method == "HEAD" and path.endswith(BACKUP), headers={"ETag": '"0123"'}, times=100
    )
    with FaultyS3(service, wrong) as faulty, pytest.raises(RollbackError, match="was replaced while it was brought"):
        bring(service.source(endpoint=faulty.endpoint), here)


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (Fault(lambda method, path: True, status=403, code="AccessDenied", times=100), r"refuses .*: 403 \(AccessDenied\).*Check the cred"),
        (Fault(of_data, status=403, code="AccessDenied", times=100), r"refuses .*: 403 \(AccessDenied\)"),
        (Fault(lambda method, path: path.endswith("json"), status=404, code="NoSuchKey", times=100), "has no manifest beside it"),
        (Fault(lambda method, path: method == "HEAD", status=404, code="NoSuchKey", times=100), "lacks the file"),
    ],
)  # fmt: skip
def test_what_is_refused_or_missing_is_said_and_no_secret_is(service, there, here, fault, sentence):
    with FaultyS3(service, fault) as faulty, pytest.raises(RollbackError, match=sentence) as refused:
        bring(service.source(endpoint=faulty.endpoint), here)
    assert KEYS["secret_key"] not in str(refused.value)
    assert not (here / BACKUP).exists()


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"bucket": "no-such-bucket"}, "There is no bucket no-such-bucket"),
        ({"access_key": "", "secret_key": ""}, "There are no credentials for s3://backups/hunter/"),
        ({"profile": "nobody", "access_key": "", "secret_key": ""}, "cannot be asked: .*nobody"),
        ({"endpoint": "http://127.0.0.1:9"}, "does not answer"),
        ({"ca_file": "/nowhere/ca.pem", "endpoint": "https://127.0.0.1:9"}, "cannot be asked|does not answer"),
    ],
)
def test_a_place_that_is_said_wrongly_is_one_sentence(service, here, wrong, sentence, monkeypatch):
    monkeypatch.setattr(s3, "_TRIES", 1)
    monkeypatch.setattr(fetch, "_TRIES", 1)
    with pytest.raises(RollbackError, match=sentence):
        bring(service.source(**wrong), here)


def test_a_fetch_that_was_killed_is_gone_on_with(service, there, here):
    path = there / BACKUP
    here.mkdir()
    (here / f"{BACKUP}.part").write_bytes(path.read_bytes()[: 2 * 1024 * 1024] + bytes(300_000))
    fetched = bring(service.source(), here, window=1024 * 1024)
    assert fetched.bytes == path.stat().st_size - (2 * 1024 * 1024 + 300_000 - 1024 * 1024)
    assert files.checksums(here / BACKUP) == files.checksums(path)


def test_the_window_is_kept_however_late_a_part_comes(service, there, here):
    fault = Fault(of_data, reset_at=0, times=4)
    with FaultyS3(service, fault) as faulty:
        bring(service.source(endpoint=faulty.endpoint), here, window=512 * 1024)
    assert files.checksums(here / BACKUP) == files.checksums(there / BACKUP)


def test_a_dump_in_the_directory_format_goes_there_and_comes_back(service, tmp_path, here):
    path = tmp_path / "backup_nightly_20261122_030100.dir"
    path.mkdir()
    for file in ("toc.dat", "3421.dat.gz"):
        (path / file).write_bytes(os.urandom(300_000))
    manifests.write(path, manifest(path.name, format="directory", files=files.checksums(path)))
    assert len(push.push(path, sources.opened([service.source()]))) == 1
    bring(service.source(), here, path.name)
    assert files.checksums(here / path.name) == files.checksums(path)


def test_a_copy_is_left_once_in_parts(service, tmp_path):
    path = backup(tmp_path, content=DUMP + os.urandom(9 * 1024 * 1024))
    places = sources.opened([service.source()])
    assert len(push.push(path, places)) == 1
    assert sorted(service.keys()) == [f"hunter/{BACKUP}", f"hunter/{BACKUP}.manifest.json"]
    assert push.push(path, places) == []
    (found,) = catalog.read_elsewhere(places, tmp_path, "hunter", "production").candidates
    assert (found.name, found.reason, found.source, found.bytes) == (BACKUP, "", "archive", path.stat().st_size)


def test_the_usual_chain_is_asked_where_no_key_is_named(service, there, here, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert bring(service.source(access_key="", secret_key=""), here).changed
