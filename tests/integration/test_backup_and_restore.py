"""Backup, proof and restore of a database that is hard to get right: every format, on every server that is there."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from servers import OPERATOR, OWNER, READER, Awkward

from ansible.module_utils.rollback.backups import create, proof
from ansible.module_utils.rollback.backups.names import COMPRESSIONS, FORMATS
from ansible.module_utils.rollback.census import DEFAULT_VERSION_TABLE
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.journal import Journal, NoJournal, steps_of
from ansible.module_utils.rollback.postgres import census, restore
from ansible.module_utils.rollback.postgres.load_settings import as_options, load_settings

RUN = "20261122T031500Z-restore"
INTO = "awkward__restore_20261122T031500Z"


def back_up(awkward: Awkward, directory, backup_format: str = "custom", compression: str = "gzip", **more):
    request = create.Request(
        directory=directory,
        database="awkward",
        label="v1",
        environment="test",
        application_version="1",
        format=backup_format,
        compression=compression,
        application_role=OWNER,
        **more,
    )
    return directory / create.create(awkward.server, awkward.tools, request).backup


def writes_zstd(tools) -> bool:
    linked = subprocess.run(["ldd", tools.path("pg_dump")], capture_output=True, text=True, check=True).stdout
    return tools.version[0] >= 16 and "libzstd" in linked


def bring_back(awkward: Awkward, backup, journal=None):
    request = restore.Request(live="awkward", into=INTO, backup=backup, application_role=OWNER)
    with awkward.server.connect() as connection:
        return restore.beside(awkward.server, connection, awkward.tools, request, journal or NoJournal())


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("backup_format", FORMATS)
def test_what_comes_back_is_what_was_there(awkward, tmp_path, backup_format, compression):
    if backup_format != "plain" and compression == "zstd" and not writes_zstd(awkward.tools):
        # Older than 16, or built without it, as PyPI's are: refused in words, and nothing is left.
        with awkward.database(), pytest.raises(RollbackError, match=r"(?i)zstd"):
            back_up(awkward, tmp_path, backup_format, compression)
        assert list(tmp_path.iterdir()) == []
        return
    with awkward.database():
        before = awkward.content("awkward")
        backup = back_up(awkward, tmp_path, backup_format, compression)
        assert [path.name for path in tmp_path.iterdir() if "part" in path.name] == []
        proof.prove(backup, DEFAULT_VERSION_TABLE, awkward.tools)
        bring_back(awkward, backup)
        assert awkward.content(INTO) == before
        with awkward.as_superuser(INTO) as connection:
            assert connection.execute("SELECT lo_get(4242)").fetchone() == (b"a large object",)
            assert connection.execute("SELECT count(*) FROM pg_stats WHERE tablename = 'child'").fetchone()[0] > 0
            for column in ("datcollate", "datctype", "encoding", "datlocprovider"):
                query = f"SELECT count(DISTINCT {column}) FROM pg_database WHERE datname IN ('awkward', '{INTO}')"
                assert connection.execute(query).fetchone() == (1,), column


def test_sessions_of_client_programs_take_the_settings_of_a_load(awkward):
    """Also where the role has others of its own: without them an archive would load, only slower."""
    wanted = load_settings(2)
    shown = " || ' ' || ".join(f"current_setting('{name}')" for name, _ in wanted)
    argv = [awkward.tools.path("psql"), awkward.server.conninfo(), "--tuples-only", "--no-align", f"-cSELECT {shown}"]
    environment = {**awkward.server.environment(), "PGOPTIONS": as_options(wanted)}
    with awkward.as_superuser() as connection:
        connection.execute("ALTER ROLE rollback SET synchronous_commit = on")
        try:
            said = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True).stdout
        finally:
            connection.execute("ALTER ROLE rollback RESET synchronous_commit")
    assert said.split() == [value for _, value in wanted]


def test_writers_do_not_change_what_is_counted_and_dumped(awkward, tmp_path, monkeypatch):
    """Rows written between census and dump belong to neither: both see one snapshot."""
    with awkward.database():
        dump = create._dump

        def write_then_dump(*arguments):
            with awkward.as_superuser("awkward") as connection:
                connection.execute("INSERT INTO child (line) SELECT 1 FROM generate_series(1, 50)")
                connection.execute("DELETE FROM nothing")
            return dump(*arguments)

        monkeypatch.setattr(create, "_dump", write_then_dump)
        backup = back_up(awkward, tmp_path)
        manifest = proof.prove(backup, DEFAULT_VERSION_TABLE, awkward.tools).manifest
        assert manifest.census.tables["public.child"].rows == 300
        assert manifest.census.tables["public.nothing"].rows == 2
        assert bring_back(awkward, backup).rows == manifest.census.rows


@pytest.mark.parametrize("backup_format", FORMATS)
def test_bytes_that_are_no_text_come_back_from_a_database_without_an_encoding(awkward, tmp_path, backup_format):
    live, digest = "awkward_ascii", "SELECT count(*), md5(string_agg(md5(x), '' ORDER BY a)) FROM t"
    with awkward.as_superuser() as connection:
        connection.execute(f"CREATE DATABASE {live} OWNER {OWNER} TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'")
        try:
            with awkward.as_superuser(live) as inside:
                inside.execute(f"SET ROLE {OWNER}; CREATE TABLE t (a int PRIMARY KEY, x text CHECK (x <> ''))")
                inside.execute("CREATE INDEX ON t (x); CREATE MATERIALIZED VIEW m AS SELECT x FROM t")
                inside.execute(b"INSERT INTO t SELECT n, E'caf\\xe9 \\\\ ' || n FROM generate_series(1, 90000) n")
                expected = inside.execute(digest).fetchone()
            request = create.Request(tmp_path, live, "v1", "test", "1", backup_format, application_role=OWNER)
            backup = tmp_path / create.create(awkward.server, awkward.tools, request).backup
            proof.prove(backup, DEFAULT_VERSION_TABLE, awkward.tools)
            with awkward.server.connect() as operator:
                wanted = restore.Request(live, INTO, backup, application_role=OWNER)
                restore.beside(awkward.server, operator, awkward.tools, wanted, NoJournal())
            with awkward.as_superuser(INTO) as inside:
                assert inside.execute(digest).fetchone() == expected
        finally:
            connection.execute(f"DROP DATABASE IF EXISTS {INTO}")
            connection.execute(f"DROP DATABASE {live}")


@pytest.mark.parametrize("backup_format", FORMATS)
def test_two_backups_at_once_are_two_backups(awkward, tmp_path, backup_format):
    with awkward.database(), ThreadPoolExecutor(2) as threads:
        request = create.Request(tmp_path, "awkward", "v1", "test", "1", backup_format)
        made = list(threads.map(lambda _: create.create(awkward.server, awkward.tools, request), range(2)))
    names = {manifest.backup for manifest in made}
    assert len(names) == 2
    assert {path.name for path in tmp_path.iterdir()} == names | {f"{name}.manifest.json" for name in names}


def test_a_backup_that_fails_leaves_nothing_that_looks_like_one(awkward, tmp_path):
    with awkward.database():
        with awkward.as_superuser("awkward") as connection:
            connection.execute(f"ALTER TABLE child FORCE ROW LEVEL SECURITY; ALTER TABLE child OWNER TO {OWNER}")
        with pytest.raises(RollbackError, match=r"^Row-level security hides rows of public\.child from"):
            back_up(awkward, tmp_path)
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("remedy", "before"),
    [
        (f"ALTER ROLE {OPERATOR} BYPASSRLS", f"ALTER ROLE {OPERATOR} NOBYPASSRLS"),
        ("ALTER TABLE child NO FORCE ROW LEVEL SECURITY", "ALTER TABLE child FORCE ROW LEVEL SECURITY"),
    ],
)
def test_either_way_out_of_row_level_security_leads_to_a_backup_that_comes_back(awkward, tmp_path, remedy, before):
    """With BYPASSRLS, of a database without a materialized view of that table: its owner refreshes it, who is not let pass."""
    with awkward.database(), awkward.as_superuser("awkward") as connection:
        connection.execute("ALTER TABLE child FORCE ROW LEVEL SECURITY; DROP POLICY everyone ON child")
        if "BYPASSRLS" in remedy:
            connection.execute("DROP MATERIALIZED VIEW totals")
        with awkward.server.connect("awkward") as operator, census.snapshot(operator):
            partly = census.take(operator, partial=True)
        assert (partly.uncounted, partly.tables["public.child"].rows) == (["public.child"], 0)
        connection.execute(remedy)
        try:
            backup = back_up(awkward, tmp_path)
            bring_back(awkward, backup)
            with awkward.as_superuser(INTO) as restored:
                assert restored.execute("SELECT count(*) FROM child").fetchone() == (300,)
        finally:
            connection.execute(before)


def test_a_version_table_whose_rows_are_hidden_is_not_a_database_without_revision(awkward):
    with awkward.database(), awkward.as_superuser("awkward") as connection:
        connection.execute("ALTER TABLE alembic_version ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
        with (
            awkward.server.connect("awkward") as operator,
            pytest.raises(RollbackError, match=r"hides rows of public\.alembic_version"),
        ):
            census.heads(operator)


def test_a_version_table_with_capitals_is_found_as_it_is_written(awkward):
    with awkward.database(), awkward.as_superuser("awkward") as connection:
        connection.execute('CREATE SCHEMA "Meta"; CREATE TABLE "Meta"."Versions" (version_num text)')
        connection.execute('INSERT INTO "Meta"."Versions" VALUES (\'c3\')')
        assert census.heads(connection, "Meta.Versions") == ["c3"]
        assert census.heads(connection, "meta.versions") is None


def test_what_cannot_be_restored_is_dropped_again(awkward, tmp_path):
    with awkward.database():
        backup = back_up(awkward, tmp_path)
        before = awkward.place.databases()
        manifest = tmp_path / (backup.name + ".manifest.json")
        manifest.write_text(manifest.read_text().replace('"0123456789ab"', '"ba9876543210"'))
        journal = Journal(tmp_path / "run")
        with pytest.raises(
            RollbackError, match="What was restored is not what was backed up: the revision is 0123456789ab"
        ):
            bring_back(awkward, backup, journal)
        assert awkward.place.databases() == before
        assert [(step.name, step.status) for step in steps_of(journal.entries())][-1] == ("compare", "failed")


def test_a_later_attempt_keeps_what_was_compared_and_makes_anything_else_anew(awkward, tmp_path):
    with awkward.database():
        backup = back_up(awkward, tmp_path)
        journal = Journal(tmp_path / "run")
        first = bring_back(awkward, backup, journal)
        again = bring_back(awkward, backup, journal)
        assert (first.changed, again.changed, again.oid) == (True, False, first.oid)
        with awkward.as_superuser() as connection:
            connection.execute(f'DROP DATABASE "{INTO}"')
        anew = bring_back(awkward, backup, journal)
        assert anew.changed
        assert anew.oid != first.oid


def test_the_application_must_be_able_to_read_what_it_could(awkward, tmp_path):
    """Counts would be perfect: the operator may read everything. The application's own role is asked."""
    with awkward.database():
        request = create.Request(tmp_path, "awkward", "v1", "test", "1", application_role=READER)
        manifest = create.create(awkward.server, awkward.tools, request)
        lines = next(name for name in manifest.census.tables if "Lines" in name)
        assert manifest.census.tables[lines].readable is True
        assert manifest.census.tables["public.child"].readable is False
