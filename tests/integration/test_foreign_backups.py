"""Backups by other hands: however they are wrapped they come back, judged from their content; and none runs code of its own."""

from __future__ import annotations

import bz2
import gzip
import lzma
import subprocess
import tarfile
from pathlib import Path

import pytest
from servers import Awkward

from ansible.module_utils.rollback.backups import create, judged, proof, scan
from ansible.module_utils.rollback.backups.proof import Terms
from ansible.module_utils.rollback.census import DEFAULT_VERSION_TABLE
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.journal import NoJournal
from ansible.module_utils.rollback.postgres import beside, restore

pytestmark = [pytest.mark.postgres]

INTO = "awkward__restore_20261122T031500Z"
JUDGED = Terms(judge=True)
one_version_tells = pytest.mark.parametrize("awkward", ["postgres"], indirect=True)


def dumped(awkward: Awkward, to: Path, *options: str) -> Path:
    argv = [awkward.tools.path("pg_dump"), f"--dbname={awkward.server.conninfo('awkward')}", f"--file={to}", *options]
    subprocess.run(argv, env=awkward.server.environment(), check=True)
    return to


def in_tar(path: Path, mode: str) -> bytes:
    packed = path.with_name("packed")
    with tarfile.open(packed, mode) as archive:
        archive.add(path, arcname=f"monday/{path.name}")
    return packed.read_bytes()


def wrapped(awkward: Awkward, directory: Path) -> dict[str, Path]:
    """One dump in each wrapping, under names that say nothing."""
    plain = dumped(awkward, directory / "plain").read_bytes()
    custom = dumped(awkward, directory / "custom", "--format=custom").read_bytes()
    contents = {
        "xz": lzma.compress(plain, preset=0),
        "bzip2": bz2.compress(plain),
        "gzip of an archive": gzip.compress(custom),
        "tar of a plain dump": in_tar(directory / "plain", "w"),
        "tar.xz of an archive": in_tar(directory / "custom", "w:xz"),
        "tar.gz of a directory": in_tar(dumped(awkward, directory / "dir", "--format=directory"), "w:gz"),
        "tar by pg_dump": dumped(awkward, directory / "tar", "--format=tar").read_bytes(),
        "tar by pg_dump in bzip2": bz2.compress((directory / "tar").read_bytes()),
    }
    paths = {}
    for number, (name, content) in enumerate(contents.items()):
        paths[name] = directory / f"backup_{number}"
        paths[name].write_bytes(content)
    return paths


@pytest.mark.parametrize("jobs", [1, 2])
def test_whatever_it_is_wrapped_in_it_comes_back(awkward, tmp_path, jobs):
    with awkward.database():
        before = awkward.content("awkward")
        for name, backup in wrapped(awkward, tmp_path).items():
            shown = proof.prove(backup, DEFAULT_VERSION_TABLE, awkward.tools, JUDGED)
            assert (name, shown.judged, shown.manifest.census.alembic_heads) == (name, True, ["0123456789ab"])
            assert judged.heads(backup, DEFAULT_VERSION_TABLE, awkward.tools) == ["0123456789ab"]
            # A plain dump does not say of which database it is.
            plain = shown.manifest.format == "plain"
            assert shown.manifest.census.database == ("" if plain else "awkward")
            request = restore.Request("awkward", INTO, backup, jobs=jobs, manifest=shown.manifest)
            with awkward.server.connect() as connection:
                restored = restore.beside(awkward.server, connection, awkward.tools, request, NoJournal())
                assert awkward.content(INTO)["tables"] == before["tables"], name
                assert restored.rows == shown.manifest.census.rows
                beside.drop(connection, INTO)
        assert [path for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@one_version_tells
def test_counts_that_differ_from_the_content_are_no_success(awkward, tmp_path):
    """Somebody's trigger or rule, or a table that fills itself: what was restored is not what the dump holds."""
    with awkward.database():
        backup = dumped(awkward, tmp_path / "monday")
        shown = proof.prove(backup, DEFAULT_VERSION_TABLE, awkward.tools, JUDGED)
        backup.write_bytes(backup.read_bytes().replace(COPY + b"\n", COPY + b"\n301\t1\n"))
        request = restore.Request("awkward", INTO, backup, manifest=shown.manifest)
        with awkward.server.connect() as connection, pytest.raises(RollbackError, match=r"child has 301 rows, not 300"):
            restore.beside(awkward.server, connection, awkward.tools, request, NoJournal())


# Code in archives: their tables of contents hold statements, which pg_restore executes as they stand there ------------

SETVAL = b"SELECT pg_catalog.setval('public.child_id_seq', 300, true);"
COPY = b"COPY public.child (id, line) FROM stdin;"


def spoilt(archive: Path, said: bytes, instead: bytes) -> Path:
    """The archive with a statement of its table of contents replaced by one that is as long."""
    content = archive.read_bytes()
    assert content.count(said) == 1
    spoilt = archive.with_name("spoilt")
    spoilt.write_bytes(content.replace(said, instead + b" " * (len(said) - len(instead))))
    return spoilt


@pytest.mark.parametrize(
    ("said", "instead", "kind"),
    [
        (SETVAL, b"ALTER SYSTEM SET work_mem = '1GB';", "commands to the whole server: ALTER SYSTEM"),
        (SETVAL, b"COPY public.child FROM PROGRAM 'id';", "programs that the server would run: COPY"),
        (SETVAL, b"ALTER ROLE hunter SUPERUSER;", "roles of the server: ALTER ROLE HUNTER"),
        (
            SETVAL,
            b"COMMENT ON TABLE public.child IS '",
            "(commands to psql|statements that pg_dump does not write)",
        ),
    ],
)
@pytest.mark.parametrize("layout", ["custom", "tar"])
def test_a_statement_in_the_contents_of_an_archive_is_found(awkward, tmp_path, layout, said, instead, kind):
    with awkward.database():
        archive = dumped(awkward, tmp_path / "archive", f"--format={layout}")
    bad = spoilt_toc(archive, said, instead) if layout == "tar" else spoilt(archive, said, instead)
    with pytest.raises(RollbackError, match=f"reaches {kind}"):
        proof.prove(bad, DEFAULT_VERSION_TABLE, awkward.tools, JUDGED)


def spoilt_toc(archive: Path, said: bytes, instead: bytes) -> Path:
    """The same for the table of contents of a tar archive; the script that lies beside it for people stays as it is."""
    content = archive.read_bytes()
    at = content.index(said)
    spoilt = archive.with_name("spoilt")
    spoilt.write_bytes(content[:at] + instead.ljust(len(said)) + content[at + len(said) :])
    return spoilt


def test_a_program_in_place_of_the_rows_of_an_archive_is_found(awkward, tmp_path):
    with awkward.database():
        archive = dumped(awkward, tmp_path / "archive", "--format=custom")
    bad = spoilt(archive, COPY, b"COPY public.child FROM PROGRAM 'id';")
    with pytest.raises(RollbackError, match=r"cannot be read to its end|programs that the server would run"):
        proof.prove(bad, DEFAULT_VERSION_TABLE, awkward.tools, JUDGED)


@one_version_tells
def test_psql_obeys_nothing_in_a_dump_even_where_nobody_has_looked_at_it(awkward, tmp_path):
    """The last defence: psql is restricted by a key that the dump does not know."""
    ran = tmp_path / "ran"
    with awkward.database(), awkward.server.connect() as connection:
        plain = dumped(awkward, tmp_path / "monday.sql", "--inserts")
        text = plain.read_bytes()
        middle = text.index(b"INSERT INTO public.child")
        by_hand = b"SET search_path = public;\n\\! touch %s\n" % bytes(ran)  # with the first line it is psql's
        plain.write_bytes(text[:middle] + by_hand + text[middle:])
        beside.create(connection, "awkward", INTO)
        with pytest.raises(RollbackError, match="restricted"):
            beside.load(awkward.server, awkward.tools, plain, INTO, 1)
    assert not ran.exists()


@one_version_tells
def test_a_dump_of_insert_statements_loads_over_one_connection(awkward, tmp_path):
    with awkward.database(), awkward.server.connect() as connection:
        before = awkward.content("awkward")["tables"]
        plain = dumped(awkward, tmp_path / "monday.sql", "--inserts")
        assert b"\n\\restrict " in plain.read_bytes()
        assert proof.read_whole(plain, DEFAULT_VERSION_TABLE, awkward.tools).inserts
        beside.create(connection, "awkward", INTO)
        beside.load(awkward.server, awkward.tools, plain, INTO, 1)
        assert awkward.content(INTO)["tables"] == before


@pytest.mark.parametrize(
    "options",
    [
        ["--inserts"],
        ["--column-inserts", "--rows-per-insert=3", "--on-conflict-do-nothing"],
        ["--inserts", "--format=custom"],
    ],
    ids=" ".join,
)
def test_rows_that_are_insert_statements_are_judged_like_others(awkward, tmp_path, options):
    with awkward.database():
        copied = proof.prove(dumped(awkward, tmp_path / "a.sql"), DEFAULT_VERSION_TABLE, awkward.tools, JUDGED).manifest
        plain = dumped(awkward, tmp_path / "b", *options)
        inserted = proof.prove(plain, DEFAULT_VERSION_TABLE, awkward.tools, JUDGED).manifest
    assert {name: table.rows for name, table in inserted.census.tables.items()} == {
        name: table.rows for name, table in copied.census.tables.items() if table.rows
    }
    assert inserted.census.alembic_heads == copied.census.alembic_heads
    assert inserted.census.sequences == copied.census.sequences


@one_version_tells
@pytest.mark.timeout(120)
def test_a_tar_archive_is_walked_to_its_end_before_pg_restore_may_go_round_in_it_for_ever(awkward, tmp_path):
    with awkward.database():
        whole = dumped(awkward, tmp_path / "tar", "--format=tar").read_bytes()
    cut = tmp_path / "monday.tar"
    for share in range(1, 40):
        cut.write_bytes(whole[: len(whole) * share // 40])
        with pytest.raises(RollbackError, match=r"cannot be read to its end"):
            proof.read_whole(cut, DEFAULT_VERSION_TABLE, awkward.tools)


@one_version_tells
def test_what_a_database_itself_holds_is_told_when_it_is_backed_up(awkward, tmp_path):
    """In quiet times, and not when it has to be restored."""
    with awkward.database():
        with awkward.as_superuser("awkward") as connection:
            connection.execute(
                "CREATE FUNCTION public.watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';"
                "CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION public.watch()"
            )
        request = create.Request(tmp_path, "awkward", "v1", "test", "1")
        with pytest.raises(
            RollbackError, match=r"event triggers: CREATE EVENT TRIGGER .*rollback_backup_allow: \[event_triggers\]"
        ):
            create.create(awkward.server, awkward.tools, request)
        assert list(tmp_path.iterdir()) == []
        allowing = create.Request(tmp_path, "awkward", "v1", "test", "1", allow=scan.ALLOWABLE)
        with pytest.raises(
            RollbackError, match=r"would not load: .*watch"
        ):  # the operator may not create event triggers
            create.create(awkward.server, awkward.tools, allowing)
        assert list(tmp_path.iterdir()) == []
        backup = tmp_path / create.create(awkward.superuser, awkward.tools, allowing).backup
        with pytest.raises(RollbackError, match="event triggers"):
            proof.prove(backup, DEFAULT_VERSION_TABLE, awkward.tools)
        assert not proof.prove(backup, DEFAULT_VERSION_TABLE, awkward.tools, Terms(allow=["event_triggers"])).judged
