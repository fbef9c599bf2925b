import bz2
import gzip
import io
import lzma
import tarfile

import pytest
import zstandard
from made_up import DUMP

from ansible.module_utils.rollback.backups import files, wrappings
from ansible.module_utils.rollback.backups.names import (
    BZIP2,
    CUSTOM,
    DIRECTORY,
    GZIP,
    NONE,
    PLAIN,
    SNAPSHOT,
    TAR,
    XZ,
    ZSTD,
)
from ansible.module_utils.rollback.errors import RollbackError

ZSTANDARD = zstandard.ZstdCompressor().compress(DUMP)
CUSTOM_HEAD, TAR_HEAD = (b"PGDMP\x01\x0f\x00\x04\x08" + bytes([kind]) for kind in (1, 3))
DIRECTORY_HEAD = TAR_HEAD  # pg_dump writes the same


def tar(*members, kind=tarfile.REGTYPE):
    """A tar archive of (name, content)."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.type, member.size = kind, len(content) if kind == tarfile.REGTYPE else 0
            member.linkname = "/etc/passwd" if kind == tarfile.SYMTYPE else ""
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (DUMP, (PLAIN, NONE)),
        (DUMP.replace(b"\n", b"\r\n"), (PLAIN, NONE)),
        (gzip.compress(DUMP, mtime=0), (PLAIN, GZIP)),
        (ZSTANDARD, (PLAIN, ZSTD)),
        (b"PGDMP\x01\x0e\x00", (CUSTOM, NONE)),
        (b'{"snapshot": "hunter__snapshot_20261122T030100Z", "oid": 1, "system_identifier": "7"}', (SNAPSHOT, NONE)),
        (lzma.compress(DUMP), (PLAIN, XZ)),
        (bz2.compress(DUMP), (PLAIN, BZIP2)),
        (gzip.compress(CUSTOM_HEAD, mtime=0), (CUSTOM, GZIP)),
        (tar(("toc.dat", TAR_HEAD), ("1.dat", b"1")), (TAR, NONE)),
        (lzma.compress(tar(("toc.dat", TAR_HEAD))), (TAR, XZ)),
        (tar(("monday/1.dat", b"1"), ("monday/toc.dat", DIRECTORY_HEAD)), (DIRECTORY, NONE)),
        (bz2.compress(tar(("monday/1.dat", b"1"), ("monday/toc.dat", DIRECTORY_HEAD))), (DIRECTORY, BZIP2)),
        (tar(("hunter.sql", DUMP)), (PLAIN, NONE)),
        (gzip.compress(tar(("hunter.dump", CUSTOM_HEAD)), mtime=0), (CUSTOM, GZIP)),
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
        (tar(("diary", b"dear diary")), "is not recognisable as a dump"),
        (tar(), "nothing but zero bytes"),
        (lzma.compress(DUMP)[:40], "cannot be read to its end"),
        (bz2.compress(DUMP)[:40], "cannot be read to its end"),
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
    path.write_bytes(gzip.compress(DUMP * 3000)[:-9])
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
    monkeypatch.setattr(wrappings, "zstandard", None)
    with pytest.raises(RollbackError, match=r"zstandard is not installed here"):
        files.sniff(tmp_path / "x")


# Unpacking -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (gzip.compress(CUSTOM_HEAD * 9, mtime=0), CUSTOM_HEAD * 9),
        (tar(("x/y/hunter.sql", DUMP)), DUMP),
        (lzma.compress(tar(("toc.dat", TAR_HEAD))), tar(("toc.dat", TAR_HEAD))),
    ],
)
def test_what_is_wrapped_is_unpacked_for_as_long_as_it_is_read(tmp_path, content, expected):
    backup = tmp_path / "monday"
    backup.write_bytes(content)
    with wrappings.unwrapped(backup) as readable:
        assert (readable.name, readable.read_bytes()) == ("monday", expected)
    assert list(tmp_path.iterdir()) == [backup]


def test_a_directory_in_a_tar_archive_is_unpacked_into_one_directory(tmp_path):
    backup = tmp_path / "monday.tar"
    backup.write_bytes(tar(("a/b/toc.dat", DIRECTORY_HEAD), ("a/b/1.dat", b"one")))
    with wrappings.unwrapped(backup) as readable:
        assert sorted(path.name for path in readable.iterdir()) == ["1.dat", "toc.dat"]
        assert files.sniff(readable) == (DIRECTORY, NONE)


@pytest.mark.parametrize("content", [DUMP, gzip.compress(DUMP), CUSTOM_HEAD, tar(("toc.dat", TAR_HEAD))])
def test_what_its_tools_can_read_is_left_where_it_is(tmp_path, content):
    backup = tmp_path / "monday"
    backup.write_bytes(content)
    with wrappings.unwrapped(backup) as readable:
        assert readable == backup


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (tar(("x/toc.dat", DIRECTORY_HEAD), ("../../etc/cron.d/x", b"x")), "no plain file inside of it"),
        (tar(("/tmp/toc.dat", DIRECTORY_HEAD)), "no plain file inside of it"),
        (tar(("x/toc.dat", DIRECTORY_HEAD)) [:1024] + tar(("1.dat", b""), kind=tarfile.SYMTYPE), "no plain file inside of it"),
        (tar(("x/toc.dat", DIRECTORY_HEAD)) [:1024] + tar(("1.dat", b""), kind=tarfile.LNKTYPE), "no plain file inside of it"),
        (tar(("x/toc.dat", DIRECTORY_HEAD)) [:1024] + tar(("1.dat", b""), kind=tarfile.FIFOTYPE), "no plain file inside of it"),
        (tar(("a.sql", DUMP), ("b.sql", DUMP)), "holds more than one dump: a.sql and b.sql"),
        (tar(("a/toc.dat", DIRECTORY_HEAD), ("b/toc.dat", DIRECTORY_HEAD)), "holds more than one dump"),
        (tar(("a/toc.dat", DIRECTORY_HEAD), ("a/toc.dat", DIRECTORY_HEAD)), "holds more than one dump"),
        (gzip.compress(tar(("a.sql", DUMP * 999)), mtime=0)[:-20], "cannot be read to its end"),
        (tar(("a.sql", DUMP * 99))[:9000], "cannot be read to its end"),
    ],
)  # fmt: skip
def test_a_tar_archive_that_would_do_more_than_hold_a_dump_is_refused(tmp_path, content, why):
    backup = tmp_path / "inside" / "monday.tar"
    backup.parent.mkdir()
    backup.write_bytes(content)
    with pytest.raises(RollbackError, match=why), wrappings.unwrapped(backup):
        pass
    assert list(tmp_path.rglob("*")) == [backup.parent, backup]


def test_what_unpacks_to_more_than_there_is_room_for_is_refused_in_time(tmp_path, monkeypatch):
    backup = tmp_path / "bomb"
    backup.write_bytes(bz2.compress(CUSTOM_HEAD + bytes(50_000_000)))
    disk = wrappings.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(wrappings.shutil, "disk_usage", lambda path: disk._replace(free=wrappings._SPARE + 10_000_000))
    with pytest.raises(RollbackError, match=r"bomb unpacks to more than that.*Make room"), wrappings.unwrapped(backup):
        pass
    assert backup.stat().st_size < 10_000
    assert list(tmp_path.iterdir()) == [backup]


def test_what_a_process_that_died_has_unpacked_is_removed_and_what_another_reads_is_not(tmp_path):
    (tmp_path / ".unpacked-left").mkdir()
    (tmp_path / ".unpacked-left" / "monday").write_bytes(DUMP)
    backup = tmp_path / "monday"
    backup.write_bytes(tar(("a.sql", DUMP)))
    with wrappings.unwrapped(backup) as first, wrappings.unwrapped(backup) as second:
        assert first != second
        assert first.read_bytes() == second.read_bytes() == DUMP
        assert not (tmp_path / ".unpacked-left").exists()
