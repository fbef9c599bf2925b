"""Rows of an archive, read by our own reader: the same as pg_restore finds, and damage is seen."""

import subprocess
import zlib

import pytest
from servers import OWNER

from ansible.module_utils.rollback.backups import archive_reader, proof
from ansible.module_utils.rollback.backups.archive_reader import UnknownArchive
from ansible.module_utils.rollback.census import DEFAULT_VERSION_TABLE
from ansible.module_utils.rollback.errors import RollbackError

DAMAGE = (EOFError, zlib.error, UnknownArchive)
# More than one batch of packed bytes, so that a table is read in pieces.
FILLED = """
SELECT lo_unlink(4242);
CREATE TABLE filler AS SELECT n, sha512(n::text::bytea) AS noise, repeat('x', n % 90) AS text FROM generate_series(1, 9000) n"""


def dump(awkward, *options, stdout=subprocess.PIPE):
    argv = [
        awkward.tools.path("pg_dump"),
        f"--dbname={awkward.server.conninfo('awkward')}",
        "--format=custom",
        *options,
    ]
    return subprocess.run(argv, env=awkward.server.environment(), stdout=stdout, check=True).stdout


@pytest.fixture(scope="module")
def archives(awkward, tmp_path_factory):
    """Archives of one database, by how they were written. pg_dump cannot go back in a pipe, and only appends to `>`."""
    directory = tmp_path_factory.mktemp("archives")
    paths = {name: directory / name for name in ("packed", "not packed", "as a file", "by >", "of INSERTs")}
    with awkward.database():
        with awkward.as_superuser("awkward") as connection:
            connection.execute(f"SET search_path = public; SET ROLE {OWNER}; {FILLED}")
        paths["packed"].write_bytes(dump(awkward))
        paths["not packed"].write_bytes(dump(awkward, "--compress=0"))
        dump(awkward, f"--file={paths['as a file']}")
        with paths["by >"].open("wb") as out:
            dump(awkward, stdout=out)
        paths["of INSERTs"].write_bytes(dump(awkward, "--inserts"))
        yield paths


@pytest.mark.parametrize("name", ["packed", "not packed", "as a file", "by >"])
def test_it_finds_what_pg_restore_finds(awkward, archives, name):
    whole = proof.read_whole(archives[name], DEFAULT_VERSION_TABLE, awkward.tools)
    tables = archive_reader.read_rows(archives[name], DEFAULT_VERSION_TABLE)
    assert {table: rows for facts in tables for table, rows in facts.rows.items()} == whole.rows
    assert whole.rows["public.filler"] == 9000
    assert [facts.alembic_heads for facts in tables if facts.alembic_heads] == [whole.alembic_heads]
    together = proof._read_by_tables(archives[name], DEFAULT_VERSION_TABLE, awkward.tools)
    assert (together.rows, together.needs, together.complete) == (whole.rows, whole.needs, True)


def test_what_it_does_not_know_is_left_to_pg_restore(awkward, archives, tmp_path):
    for unknown in (archives["of INSERTs"], tmp_path):
        with pytest.raises(UnknownArchive):
            archive_reader.read_rows(unknown, DEFAULT_VERSION_TABLE)
    assert proof._read_by_tables(archives["of INSERTs"], DEFAULT_VERSION_TABLE, awkward.tools).inserts
    with awkward.as_superuser("awkward") as connection:
        connection.execute(f"SET ROLE {OWNER}; SELECT lo_from_bytea(4243, 'another')")
    with_objects = tmp_path / "objects"
    with_objects.write_bytes(dump(awkward))
    with pytest.raises(UnknownArchive):
        archive_reader.read_rows(with_objects, DEFAULT_VERSION_TABLE)
    assert proof._read_by_tables(with_objects, DEFAULT_VERSION_TABLE, awkward.tools).rows["public.filler"] == 9000


def test_rows_that_were_cut_off_or_changed_are_damage(archives, tmp_path):
    whole = archives["packed"].read_bytes()
    with archives["packed"].open("rb") as file:
        archive_reader._contents(archive_reader._Reader(file))
        begin = file.tell()
    damaged = tmp_path / "damaged"
    spread = range(begin, len(whole), (len(whole) - begin) // 60)
    for cut in spread:
        damaged.write_bytes(whole[:cut])
        with pytest.raises(DAMAGE):
            archive_reader.read_rows(damaged, DEFAULT_VERSION_TABLE)
    for position in spread:
        damaged.write_bytes(whole[:position] + bytes([whole[position] ^ 0x10]) + whole[position + 1 :])
        with pytest.raises(DAMAGE):
            archive_reader.read_rows(damaged, DEFAULT_VERSION_TABLE)


def test_a_length_below_nothing_is_damage(archives, tmp_path):
    """Going there and back again would never end."""
    whole, damaged = archives["not packed"].read_bytes(), tmp_path / "damaged"
    contents, blocks = archive_reader.read_contents(archives["not packed"])
    for block in blocks:
        damaged.write_bytes(whole[: block.position] + b"\x01" + whole[block.position + 1 :])  # the sign
        with pytest.raises(EOFError):
            archive_reader.read_rows(damaged, DEFAULT_VERSION_TABLE)
        with pytest.raises(EOFError):
            b"".join(archive_reader.as_dump(damaged, contents, block))


@pytest.mark.parametrize("integer_bytes", [0, 5, 36, 255])
def test_integers_of_another_size_are_of_an_unknown_archive(archives, tmp_path, integer_bytes):
    whole, damaged = archives["packed"].read_bytes(), tmp_path / "damaged"
    damaged.write_bytes(whole[:8] + bytes([integer_bytes]) + whole[9:])
    with pytest.raises(UnknownArchive):
        archive_reader.read_rows(damaged, DEFAULT_VERSION_TABLE)


def test_damage_is_told_as_such(awkward, archives, tmp_path):
    whole = archives["packed"].read_bytes()
    damaged = tmp_path / "damaged"
    damaged.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RollbackError, match=r"The backup damaged cannot be read to its end: .* choose another backup"):
        proof._read_by_tables(damaged, DEFAULT_VERSION_TABLE, awkward.tools)
