"""What pg_dump leaves out without an error message, on every server that is there."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import psycopg
import pytest
from servers import OWNER, Awkward

from ansible.module_utils.rollback.postgres import census, left_out

FOREIGN = f"""
CREATE FOREIGN DATA WRAPPER wrapper;
CREATE SERVER elsewhere FOREIGN DATA WRAPPER wrapper;
ALTER SERVER elsewhere OWNER TO {OWNER};
CREATE USER MAPPING FOR {OWNER} SERVER elsewhere OPTIONS (password 'one');
CREATE USER MAPPING FOR PUBLIC SERVER elsewhere OPTIONS (password 'two')
"""
TABLES = """
CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE child (id int REFERENCES parent);
CREATE TABLE sound (id int REFERENCES parent);
CREATE TABLE years (year int) PARTITION BY LIST (year);
CREATE TABLE year_1 PARTITION OF years FOR VALUES IN (1);
CREATE TABLE year_2 PARTITION OF years FOR VALUES IN (2)
"""
ADDED = """
CREATE INDEX kept_id ON kept (id);
CREATE POLICY mine ON kept;
CREATE RULE quiet AS ON DELETE TO kept DO INSTEAD NOTHING;
ALTER TABLE kept ADD note text CHECK (note <> '')
"""


@pytest.fixture
def databases(awkward) -> Iterator[Awkward]:
    """An empty `awkward_live`, and `awkward_loaded` to load its dump into."""
    with awkward.database(), awkward.as_superuser() as connection:
        for name in ("awkward_live", "awkward_loaded"):
            connection.execute(f"CREATE DATABASE {name} OWNER {OWNER} TEMPLATE template0")
        try:
            yield awkward
        finally:
            connection.execute("ALTER DATABASE awkward_live IS_TEMPLATE false")


def found(connection: psycopg.Connection) -> list[str]:
    with census.snapshot(connection):
        return left_out.find(connection)


def load(awkward: Awkward) -> None:
    """Dump `awkward_live` as the superuser and load it, with PostgreSQL's own programs."""
    facts = awkward.place.facts
    as_superuser = f"host={facts['socket_dir']} port={facts['port']} user=postgres"
    pg_dump, psql = (awkward.tools.path(name) for name in ("pg_dump", "psql"))
    dump = subprocess.run([pg_dump, f"{as_superuser} dbname=awkward_live"], capture_output=True, check=True).stdout
    target = f"{as_superuser} dbname=awkward_loaded"
    subprocess.run(
        [psql, "-qX", "-v", "ON_ERROR_STOP=1", target], input=dump, check=True, capture_output=True, timeout=60
    )


def half_detach(awkward: Awkward) -> None:
    """Begin to detach a partition while a transaction reads it, and give up."""
    with awkward.as_superuser("awkward_live") as reader, awkward.as_superuser("awkward_live") as connection:
        reader.execute("BEGIN")
        reader.execute("SELECT FROM years")
        connection.execute("SET lock_timeout = '300ms'; SET statement_timeout = '300ms'")
        with pytest.raises((psycopg.errors.QueryCanceled, psycopg.errors.LockNotAvailable)):
            connection.execute("ALTER TABLE years DETACH PARTITION year_2 CONCURRENTLY")


def test_what_no_dump_holds_is_named_and_really_does_not_come_back(databases):
    with databases.as_superuser("awkward_live") as connection:
        connection.execute(TABLES)
        assert found(connection) == []
        connection.execute("ALTER TABLE child DISABLE TRIGGER ALL")
        half_detach(databases)
        connection.execute("ALTER DATABASE awkward_live IS_TEMPLATE true")
        said = found(connection)
    assert [sentence.split(". ")[0] for sentence in said] == [
        "Triggers that enforce constraints are disabled, or set to REPLICA or ALWAYS, which no dump keeps:"
        " child_id_fkey of public.child",
        "Partitions are half detached, and a restore attaches them again: public.year_2 of public.years",
        "awkward_live is a template; a restored one is not",
    ]
    load(databases)
    with databases.as_superuser("awkward_loaded") as connection:
        assert found(connection) == []


def test_options_that_the_operator_may_not_see_are_named(databases):
    with databases.as_superuser("awkward_live") as connection:
        connection.execute(FOREIGN)
        assert found(connection) == []  # it sees all of them
    with databases.server.connect("awkward_live") as connection:
        (said,) = found(connection)
    assert f"user mappings ({OWNER} on elsewhere)" in said


def test_a_table_that_was_added_to_an_extension_by_hand_is_named(databases):
    with databases.as_superuser("awkward_live") as connection:
        connection.execute("CREATE TABLE kept (id int PRIMARY KEY); ALTER EXTENSION plpgsql ADD TABLE kept")
        live = left_out.extensions(connection)
    load(databases)
    with databases.as_superuser("awkward_loaded") as connection:
        assert connection.execute("SELECT to_regclass('kept')").fetchone() == (None,)
        loaded = left_out.extensions(connection)
    (said,) = left_out.added_by_hand(live, loaded)
    assert "to the extension plpgsql by hand: table public.kept. " in said
    assert left_out.added_by_hand(loaded, loaded) == []
    newer = {"plpgsql": live["plpgsql"]._replace(version="2.0")}
    assert left_out.added_by_hand(newer, loaded) == []


def test_what_was_added_to_a_table_of_an_extension_is_named(databases):
    with databases.as_superuser("awkward_live") as connection:
        connection.execute("CREATE TABLE kept (id int); ALTER EXTENSION plpgsql ADD TABLE kept")
        as_installed = left_out.extensions(connection)
        connection.execute(ADDED)
        (said,) = left_out.added_by_hand(left_out.extensions(connection), as_installed)
    assert (
        "by hand: index public.kept_id, policy mine on public.kept, rule quiet on public.kept,"
        " table column public.kept.note, table constraint kept_note_check on public.kept. "
    ) in said
