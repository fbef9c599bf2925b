"""The entries of an archive, of which pg_restore words all but the rows: the same as when pg_restore says it all, in its order."""

import subprocess
from pathlib import Path

import pytest
from servers import OWNER

from ansible.module_utils.rollback.backups import archive_entries, files, plain_sections
from ansible.module_utils.rollback.backups.archive_reader import UnknownArchive
from ansible.module_utils.rollback.backups.names import CUSTOM, NONE
from ansible.module_utils.rollback.backups.plain_sections import ACL, TABLE_DATA
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.postgres import beside

INTO = "awkward__restore_entries"
LINKED = Path(__file__).with_name("linked.sql").read_text()
# A table elsewhere comes last, and an index that is not: what was in force for the one must not be so for the other.
ELSEWHERE = """
CREATE TABLE zz_elsewhere (a int) TABLESPACE elsewhere;
INSERT INTO zz_elsewhere VALUES (1);
CREATE INDEX zz_here ON zz_elsewhere (a);
CREATE INDEX zz_there ON big (n) TABLESPACE elsewhere;
GRANT SELECT ON zz_elsewhere TO rollback;
REVOKE INSERT ON zz_elsewhere FROM hunter;
CREATE TABLE zz_wide AS SELECT repeat('x', 999) AS x FROM generate_series(1, 9000);
SELECT lo_unlink(oid) FROM pg_largeobject_metadata;
"""


@pytest.fixture(scope="module")
def tablespace(awkward):
    with awkward.as_superuser() as connection:
        connection.execute("SET allow_in_place_tablespaces = on")
        connection.execute("CREATE TABLESPACE elsewhere LOCATION ''")
        connection.execute(f"GRANT CREATE ON TABLESPACE elsewhere TO {OWNER}, rollback")
        yield
        connection.execute("DROP TABLESPACE elsewhere")


@pytest.fixture(scope="module")
def archives(awkward, tablespace, tmp_path_factory):
    """One database, packed and not; and how many bytes the rows of its widest table are."""
    directory = tmp_path_factory.mktemp("archives")
    with awkward.database():
        with awkward.as_superuser("awkward") as connection:
            connection.execute(f"SET search_path = public; SET ROLE {OWNER}")
            connection.execute(LINKED + ELSEWHERE)
        yield {
            options: dumped(awkward, directory / str(number), *options)
            for number, options in enumerate([(), ("--compress=0",), ("--schema-only",), ("--inserts",)])
        }


def dumped(awkward, path, *options):
    argv = [awkward.tools.path("pg_dump"), f"--dbname={awkward.server.conninfo('awkward')}", "--format=custom"]
    subprocess.run([*argv, f"--file={path}", *options], env=awkward.server.environment(), check=True)
    return path


def said(entries):
    """What each entry does, in order. The settings that open a text are said once more where another text begins."""
    found = [
        (entry.kind, entry.name, entry.sql, entry.settings, b"".join(entry.rows or ()))
        for entry in entries
        if entry.kind
    ]
    rows = [(name, sql, rows) for kind, name, sql, _, rows in found if kind == TABLE_DATA]
    return rows, [(kind, name, sql, sorted(settings)) for kind, name, sql, settings, _ in found if kind != TABLE_DATA], [
        kind for kind, *_ in found
    ]  # fmt: skip


def contents(awkward, database):
    """All but what belongs to the database itself, and is set after a load."""
    return {name: found for name, found in awkward.content(database).items() if name != "settings"}


@pytest.mark.parametrize("options", [(), ("--compress=0",)], ids=["packed", "not packed"])
def test_they_are_those_of_pg_restore(awkward, archives, options):
    with files.open_as_sql(archives[options], CUSTOM, NONE, awkward.tools) as text:
        rows, others, _ = said(plain_sections.entries(files.blocks(text)))
    with archive_entries.opened(archives[options], awkward.tools, iter) as entries:
        own_rows, own_others, kinds = said(entries)
    assert own_rows == rows
    assert [entry[:3] for entry in own_others] == [entry[:3] for entry in others]
    first, last = kinds.index(TABLE_DATA), len(kinds) - 1 - kinds[::-1].index(TABLE_DATA)
    assert set(kinds[first : last + 1]) == {TABLE_DATA}
    assert {"TABLE", "FUNCTION"} <= set(kinds[:first])
    assert {ACL, "INDEX", "CONSTRAINT", "FK CONSTRAINT", "SEQUENCE SET"} <= set(kinds[last:])
    assert ACL not in kinds[:first]


@pytest.mark.parametrize("jobs", [1, 3])
def test_what_is_elsewhere_comes_back_there(awkward, archives, jobs):
    where = "SELECT relname, reltablespace FROM pg_class WHERE relname ~ '^zz|^big' ORDER BY 1"
    with awkward.server.connect() as connection:
        beside.create(connection, "awkward", INTO)
        beside.load(awkward.server, awkward.tools, archives[()], INTO, jobs)
        with awkward.as_superuser("awkward") as live, awkward.as_superuser(INTO) as restored:
            expected = live.execute(where).fetchall()
            assert restored.execute(where).fetchall() == expected
            assert {name for name, tablespace in expected if tablespace} == {"zz_elsewhere", "zz_there"}
        assert contents(awkward, INTO) == contents(awkward, "awkward")
        beside.drop(connection, INTO)


@pytest.mark.parametrize("options", [("--schema-only",), ("--inserts",)], ids=" ".join)
def test_archives_without_rows_to_copy(awkward, archives, options):
    path = archives[options]
    if options == ("--inserts",):
        with pytest.raises(UnknownArchive), archive_entries.opened(path, awkward.tools, iter):
            pass
    with awkward.server.connect() as connection:
        beside.create(connection, "awkward", INTO)
        beside.load(awkward.server, awkward.tools, path, INTO, 2)
        found, expected = contents(awkward, INTO), contents(awkward, "awkward")
        assert list(found["tables"]) == list(expected["tables"])
        for content in (found, expected):
            del content["objects"]["populated materialized views"]  # rows, too
        assert found["objects"] == expected["objects"]
        assert (found["tables"] == expected["tables"]) is (options == ("--inserts",))
        beside.drop(connection, INTO)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("options", [(), ("--compress=0",)], ids=["packed", "not packed"])
def test_damage_among_the_rows_stops_the_load_and_is_told_as_such(awkward, archives, tmp_path, options, share):
    whole = archives[options].read_bytes()
    damaged = tmp_path / "damaged"
    damaged.write_bytes(whole[: int(len(whole) * share)])
    with awkward.server.connect() as connection:
        beside.create(connection, "awkward", INTO)
        with pytest.raises(RollbackError, match=r"The backup damaged cannot be read to its end"):
            beside.load(awkward.server, awkward.tools, damaged, INTO, 2)
        beside.drop(connection, INTO)


def test_what_fails_here_is_no_damage_of_the_backup(awkward, archives, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "not there"))
    with awkward.server.connect() as connection:
        beside.create(connection, "awkward", INTO)
        with pytest.raises(FileNotFoundError):
            beside.load(awkward.server, awkward.tools, archives[()], INTO, 2)
        beside.drop(connection, INTO)


def test_long_rows_are_unpacked_a_little_at_a_time(awkward, archives):
    """They are packed a thousand times smaller here."""
    with archive_entries.opened(archives[()], awkward.tools, iter) as entries:
        sizes = [len(block) for entry in entries for block in entry.rows or () if entry.table == b"public.zz_wide"]
    assert sum(sizes) == 9_000_000
    assert max(sizes) < 1.1 * 1024 * 1024
