import gzip

import pytest
import zstandard
from made_up import DUMP

from ansible.module_utils.rollback.backups import files
from ansible.module_utils.rollback.backups.names import CUSTOM, DIRECTORY, GZIP, NONE, PLAIN, SNAPSHOT, ZSTD
from ansible.module_utils.rollback.errors import RollbackError

ZSTANDARD = zstandard.ZstdCompressor().compress(DUMP)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (DUMP, (PLAIN, NONE)),
        (DUMP.replace(b"\n", b"\r\n"), (PLAIN, NONE)),
        (gzip.compress(DUMP, mtime=0), (PLAIN, GZIP)),
        (ZSTANDARD, (PLAIN, ZSTD)),
        (b"PGDMP\x01\x0e\x00", (CUSTOM, NONE)),
        (b'{"snapshot": "hunter__snapshot_20261122T030100Z", "oid": 1, "system_identifier": "7"}', (SNAPSHOT, NONE)),
    ],
)
@pytest.mark.parametrize("name", ["dump", "misleading.dump", "misleading.sql.gz", "misleading.zst"])
def test_the_content_says_what_a_backup_is_and_never_its_name(tmp_path, name, content, expected):
    (tmp_path / name).write_bytes(content)
    assert files.sniff(tmp_path / name) == expected


def test_a_directory_is_a_dump_by_its_table_of_contents(tmp_path):
    with pytest.raises(RollbackError, match=r"has no toc\.dat"):
        files.sniff(tmp_path)
    (tmp_path / "toc.dat").write_bytes(b"PGDMP")
    assert files.sniff(tmp_path) == (DIRECTORY, NONE)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", r"is empty \(0 bytes\)"),
        (b"dear diary", "is not recognisable as a dump"),
        (b"-- PostgreSQL database dump", "is not recognisable as a dump"),
        (gzip.compress(b"dear diary", mtime=0), "is not recognisable as a dump"),
        (gzip.compress(b"PGDMP", mtime=0), "is not recognisable as a dump"),
        (gzip.compress(DUMP, mtime=0)[:15], "cannot be read to its end"),
        (b"\x1f\x8bgarbage and more of it", "cannot be read to its end"),
        (ZSTANDARD[:4] + b"garbage and more of it", "cannot be read to its end"),
    ],
)
def test_what_is_no_dump_is_refused_by_its_content(tmp_path, content, why):
    path = tmp_path / "backup_x_20261122_031500.sql.gz"
    path.write_bytes(content)
    with pytest.raises(RollbackError, match=why):
        files.sniff(path)


def test_what_is_not_there_is_said_so(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    with pytest.raises(RollbackError, match="There is no backup"):
        files.sniff(tmp_path / "link")


def test_damage_behind_a_good_beginning_shows_at_the_end(tmp_path):
    path = tmp_path / "cut"
    path.write_bytes(gzip.compress(DUMP * 100)[:-9])
    backup_format, compression = files.sniff(path)
    cut = pytest.raises(RollbackError, match=r"cannot be read to its end: [^.]+\. It is truncated or damaged")
    with cut, files.open_as_sql(path, backup_format, compression, None) as sql:
        sql.read()


def test_every_file_of_a_directory_is_summed_up(tmp_path):
    (tmp_path / "toc.dat").write_bytes(b"abc")
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / "1.dat").write_bytes(b"")
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    found = files.checksums(tmp_path)
    assert found["blobs/1.dat"] == {"sha256": empty, "bytes": 0}
    assert found["toc.dat"]["bytes"] == 3
    assert files.total_bytes(tmp_path) == 3


def test_without_zstandard_it_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "x").write_bytes(ZSTANDARD)
    monkeypatch.setattr(files, "zstandard", None)
    with pytest.raises(RollbackError, match=r"zstandard is not installed here"):
        files.sniff(tmp_path / "x")
