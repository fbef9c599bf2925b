"""Cases of docs/edge-cases.md that no other file shows: dumps by other hands, and what restores like to lose."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from clients import Clients
from place import remake_checksums
from pooler import in_front_of
from servers import OWNER, READER, Awkward

from ansible.module_utils.rollback.backups import create, proof
from ansible.module_utils.rollback.backups import manifest as manifests
from ansible.module_utils.rollback.backups.proof import Terms
from ansible.module_utils.rollback.census import DEFAULT_VERSION_TABLE
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.journal import Journal, NoJournal
from ansible.module_utils.rollback.postgres import beside, in_place, restore

pytestmark = [pytest.mark.postgres]

INTO, ASIDE = "awkward__restore_20261122T031500Z", "awkward__before_20261122T031500Z"
one_version_tells = pytest.mark.parametrize("awkward", ["postgres"], indirect=True)


def back_up(awkward: Awkward, directory: Path, **more: Any) -> Path:
    request = create.Request(directory, "awkward", "v1", "test", "1", **more)
    return directory / create.create(awkward.server, awkward.tools, request).backup


def bring_back(awkward: Awkward, backup: Path, jobs: int = 2) -> restore.Restored:
    request = restore.Request(live="awkward", into=INTO, backup=backup, jobs=jobs)
    with awkward.server.connect() as connection:
        return restore.beside(awkward.server, connection, awkward.tools, request, NoJournal())


def dumped_by_hand(awkward: Awkward, to: Path, *options: str) -> Path:
    """What somebody's own pg_dump leaves."""
    argv = [awkward.tools.path("pg_dump"), f"--dbname={awkward.server.conninfo('awkward')}", f"--file={to}", *options]
    subprocess.run(argv, env=awkward.server.environment(), check=True)
    return to


# Getting and reading the backup ----------------------------------------------------------------------------------


@one_version_tells
def test_a_dump_that_would_go_to_the_original_database_is_refused(awkward, tmp_path):
    """psql would leave the database it was given empty, and run everything against the one that is live."""
    with awkward.database():
        plain = dumped_by_hand(awkward, tmp_path / "created.sql", "--create")
        archive = dumped_by_hand(awkward, tmp_path / "created.dump", "--create", "--format=custom")
    with pytest.raises(RollbackError, match=r"reaches commands to psql: \\connect awkward"):
        proof.read_whole(plain, DEFAULT_VERSION_TABLE, awkward.tools)
    # An archive holds the same words, and they count only where pg_restore is asked to create: it never is.
    assert proof.read_whole(archive, DEFAULT_VERSION_TABLE, awkward.tools).found == {}


@one_version_tells
def test_rows_that_are_left_to_the_restore_are_counted_before_the_swap(awkward, tmp_path):
    """Where the checksums are right, the rows of an archive are read once: while they are loaded."""
    with awkward.database():
        with awkward.as_superuser("awkward") as connection:
            connection.execute("SELECT lo_unlink(4242)")  # archives with large objects are read whole, rows included
        backup = back_up(awkward, tmp_path)
        dumped_by_hand(awkward, backup, "--format=custom", "--exclude-table-data=public.child")
        remake_checksums(backup)
        assert proof.prove(backup, DEFAULT_VERSION_TABLE, awkward.tools, Terms(rows=False)).manifest
        with pytest.raises(RollbackError, match=r"What was restored is not what was backed up: .*public\.child"):
            bring_back(awkward, backup)
        backup.write_bytes(backup.read_bytes()[:-2000])
        remake_checksums(backup)
        with pytest.raises(RollbackError, match="cannot be read to its end"):
            proof.prove(backup, DEFAULT_VERSION_TABLE, awkward.tools, Terms(rows=False))


@one_version_tells
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--table=public.child"], r"has no data instead of 2,000 rows"),
        (["--exclude-table-data=public.child"], r"public\.child has no data instead of 300 rows"),
        (["--schema-only"], r"has no data instead of"),
    ],
    ids=["one table", "without the rows of a table", "without rows"],
)
def test_a_dump_that_leaves_things_out_is_not_what_the_manifest_says(awkward, tmp_path, options, sentence):
    with awkward.database():
        backup = back_up(awkward, tmp_path)
        dumped_by_hand(awkward, backup, "--format=custom", *options)
        remake_checksums(backup)
        with pytest.raises(RollbackError, match=sentence):
            proof.prove(backup, DEFAULT_VERSION_TABLE, awkward.tools)
        manifests.path_for(backup).unlink()
        with pytest.raises(RollbackError, match="has no manifest beside it"):
            proof.prove(backup, DEFAULT_VERSION_TABLE, awkward.tools)


@one_version_tells
def test_a_backup_for_which_there_is_no_room_is_not_begun(awkward, tmp_path):
    with awkward.database(), pytest.raises(RollbackError, match=r"free, and the dump may need .*Make room"):
        back_up(awkward, tmp_path / "backups", room=2**50)
    assert list((tmp_path / "backups").iterdir()) == []


# Restoring -------------------------------------------------------------------------------------------------------


@one_version_tells
@pytest.mark.parametrize("jobs", [1, 2], ids=["by one connection", "by several"])
def test_a_plain_dump_with_one_bad_statement_is_an_error_and_leaves_nothing(awkward, tmp_path, jobs):
    """psql by itself goes on after an error, and ends with exit code 0."""
    with awkward.database():
        backup = back_up(awkward, tmp_path, format="plain", compression="none")
        text = backup.read_text()
        spoilt = text.replace("USING btree (line) WHERE", "USING btree (nowhere) WHERE")
        assert spoilt != text
        backup.write_text(spoilt)
        before = awkward.place.databases()
        with pytest.raises(RollbackError, match='column "nowhere" does not exist'):
            bring_back(awkward, backup, jobs)
        assert awkward.place.databases() == before


@one_version_tells
def test_what_is_live_stays_as_it_is_and_what_came_later_is_not_restored(awkward, tmp_path):
    with awkward.database():
        backup = back_up(awkward, tmp_path)
        with awkward.as_superuser("awkward") as connection:
            connection.execute("SET search_path = public; CREATE TABLE later (child integer REFERENCES child)")
            connection.execute("INSERT INTO public.later SELECT id FROM public.child LIMIT 5")
        live = awkward.content("awkward")
        bring_back(awkward, backup)
        assert awkward.content("awkward") == live
        restored = awkward.content(INTO)
        assert (restored["tables"]["public.child"], "public.later" in restored["tables"]) == (
            live["tables"]["public.child"],
            False,
        )


@one_version_tells
def test_a_session_on_template1_does_not_stop_a_restore(awkward, tmp_path):
    """CREATE DATABASE copies template1 where nothing else is said, and cannot while somebody is connected to it."""
    with awkward.database():
        backup = back_up(awkward, tmp_path)
        with awkward.as_superuser("template1"):
            assert bring_back(awkward, backup).changed


EXTRAS = f"""
SET search_path = public;
SET ROLE {OWNER};
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO {READER};
CREATE UNLOGGED TABLE cached AS SELECT n FROM generate_series(1, 7) n;
GRANT SELECT ON LARGE OBJECT 4242 TO {READER};
CREATE PUBLICATION feed FOR TABLE child;
"""
KEPT = {
    "default privileges": "SELECT defaclrole::regrole, defaclnamespace::regnamespace, defaclobjtype, defaclacl FROM pg_default_acl",
    "unlogged rows": "SELECT c.relpersistence, count(*) FROM cached, pg_class c WHERE c.relname = 'cached' GROUP BY 1",
    "large objects": "SELECT oid, lomowner::regrole, lomacl FROM pg_largeobject_metadata",
    "materialized view": "SELECT lines FROM totals",
    "publication": "SELECT pubname, schemaname, tablename FROM pg_publication_tables",
}


@pytest.mark.parametrize("backup_format", ["plain", "custom"])
def test_what_restores_like_to_lose_comes_back(awkward, tmp_path, backup_format):
    with awkward.database():
        with awkward.as_superuser("awkward") as connection:
            connection.execute(EXTRAS)
            before = found(connection)
            assert [name for name, rows in before.items() if not rows] == []
        bring_back(awkward, back_up(awkward, tmp_path, format=backup_format))
        with awkward.as_superuser(INTO) as connection:
            assert found(connection) == before
            # As the application: its rights, and a number that no row has yet.
            connection.execute(f"SET ROLE {OWNER}")
            assert connection.execute("INSERT INTO public.child (line) VALUES (1) RETURNING id").fetchone() == (301,)


@pytest.mark.parametrize("awkward", ["postgres15"], indirect=True)  # which has extensions that are trusted
def test_an_extension_comes_back_in_its_own_schema(awkward, tmp_path):
    where = "SELECT extnamespace::regnamespace::text, obj_description(oid) FROM pg_extension WHERE extname = 'hstore'"
    with awkward.database():
        with awkward.as_superuser("awkward") as connection:
            connection.execute('CREATE EXTENSION hstore SCHEMA "Sales Data"')
            connection.execute("CREATE TABLE public.pairs AS SELECT 'a=>1'::\"Sales Data\".hstore AS pair")
            connection.execute(f"ALTER TABLE public.pairs OWNER TO {OWNER}")
            before = connection.execute(where).fetchone()
        bring_back(awkward, back_up(awkward, tmp_path))
        with awkward.as_superuser(INTO) as connection:
            assert (connection.execute(where).fetchone(), before[0]) == (before, '"Sales Data"')


def found(connection: Any) -> dict[str, list[Any]]:
    connection.execute("SET search_path = public")
    return {name: connection.execute(query).fetchall() for name, query in KEPT.items()}


@one_version_tells
@pytest.mark.pgbouncer
def test_in_place_the_clients_of_a_pool_wait_and_are_served_by_what_was_restored(awkward, tmp_path):
    with awkward.database(), in_front_of(awkward.place, "awkward") as pooler:
        backup = back_up(awkward, tmp_path)
        with Clients(pooler.connect, 4) as clients, awkward.server.connect() as connection:
            request = replace(in_place_of(connection, backup), pools=[pooler.pool()])
            done = in_place.perform(awkward.server, connection, awkward.tools, request, Journal(tmp_path / "run"))
            assert clients.all_meet(done.oid, within=2)
        assert done.stuck_pools == []
        assert [name for name in awkward.place.databases() if name.startswith("awkward")] == ["awkward"]
        assert proof.prove(Path(done.safety), DEFAULT_VERSION_TABLE, awkward.tools).manifest.database == "awkward"


@one_version_tells
def test_in_place_a_slot_that_came_after_planning_stops_it_before_anything_is_dropped(awkward, tmp_path):
    """DROP DATABASE would drop an idle slot without a word."""
    with awkward.database():
        backup, before = back_up(awkward, tmp_path), awkward.content("awkward")
        with awkward.as_superuser("awkward") as superuser:
            superuser.execute("SELECT pg_create_logical_replication_slot('cdc', 'pgoutput')")
        with awkward.server.connect() as connection:
            request, journal = in_place_of(connection, backup), Journal(tmp_path / "run")
            with pytest.raises(RollbackError, match=r"^The database was not replaced\. Logical replication slots.*cdc"):
                in_place.perform(awkward.server, connection, awkward.tools, request, journal)
        with awkward.as_superuser("awkward") as superuser:
            superuser.execute("SELECT pg_drop_replication_slot('cdc')")
        assert awkward.content("awkward") == before
        assert [name for name in awkward.place.databases() if name.startswith("awkward")] == ["awkward"]


def in_place_of(connection: Any, backup: Path) -> in_place.Request:
    return in_place.Request(
        restore=restore.Request("awkward", INTO, backup),
        safety=create.Request(backup.parent / "safety", "awkward", "safety_1", "test", "1"),
        aside=ASIDE,
        live_oid=beside.oid_of(connection, "awkward"),
    )
