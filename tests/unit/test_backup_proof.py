import gzip
import hashlib

import pytest
import zstandard
from made_up import BACKUP, DUMP, backup, census, manifest, table

from ansible.module_utils.rollback.backups import proof
from ansible.module_utils.rollback.errors import RollbackError

VERSIONS = "public.alembic_version"


def test_a_backup_that_holds_what_its_manifest_says_is_proven(tmp_path):
    assert proof.prove(backup(tmp_path), VERSIONS, None).manifest.backup == BACKUP


@pytest.mark.parametrize(
    ("content", "changes", "why"),
    [
        (DUMP.replace(b"2\tBob\n", b""), {}, "public.leads has 1 rows instead of 2 rows"),
        (DUMP, {"census": census(tables={})}, "public.leads has 2 rows instead of no data"),
        (
            DUMP,
            {"census": census(tables={"public.leads": table(), "public.users": table(0)})},
            "public.users has no data instead of 0 rows",
        ),
        (DUMP[: DUMP.index(b"--\n-- PostgreSQL database dump complete")], {}, "is truncated"),
        (
            DUMP.replace(b"COPY", b"\\connect hunter\nCOPY"),
            {},
            "reaches commands to psql: .connect hunter",
        ),
        (DUMP, {"files": {}}, f"has a file too many, {BACKUP}"),
        (
            DUMP,
            {"files": {BACKUP: {"sha256": "0" * 64, "bytes": len(DUMP)}}},
            f"the checksum of {BACKUP} is not the one",
        ),
        (
            DUMP,
            {"files": {BACKUP: {"sha256": "0" * 64, "bytes": 1}}},
            f"{BACKUP} has {len(DUMP)} bytes, its manifest says 1",
        ),
        (
            DUMP,
            {"files": {**manifest().files, "toc.dat": {"sha256": "0", "bytes": 1}}},
            "the checksum of|lacks the file toc.dat",
        ),
    ],
)
def test_what_is_not_as_the_manifest_says_is_named(tmp_path, content, changes, why):
    with pytest.raises(RollbackError, match=why):
        proof.prove(backup(tmp_path, content=content, **changes), VERSIONS, None)


def test_without_a_manifest_nothing_is_proven(tmp_path):
    (tmp_path / BACKUP).write_bytes(DUMP)
    with pytest.raises(RollbackError, match=r"has no manifest beside it.*playbooks/backup\.yml"):
        proof.prove(tmp_path / BACKUP, VERSIONS, None)


def test_another_revision_than_the_manifests_is_a_contradiction(tmp_path):
    version = b"COPY public.alembic_version (version_num) FROM stdin;\nbbb\n\\.\n"
    tables = {"public.leads": table(), VERSIONS: table(1)}
    path = backup(
        tmp_path,
        content=DUMP.replace(b"COPY public.leads", version + b"\nCOPY public.leads"),
        census=census(tables=tables),
    )
    with pytest.raises(RollbackError, match="its revision is bbb instead of aaa"):
        proof.prove(path, VERSIONS, None)


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.ZstdCompressor().compress])
def test_a_packed_dump_that_was_cut_is_refused_though_its_beginning_is_good(tmp_path, pack):
    rows = b"".join(
        b"%d\t%s\n" % (number, hashlib.sha256(b"%d" % number).hexdigest().encode()) for number in range(20_000)
    )
    whole = pack(DUMP.replace(b"1\tAda\n2\tBob\n", rows))
    with pytest.raises(RollbackError, match=r"is truncated|cannot be read to its end"):
        proof.prove(backup(tmp_path, content=whole[: len(whole) // 2]), VERSIONS, None)
