"""What is gone is seen on a copy, on every server that is there, and the live database notices nothing."""

from __future__ import annotations

import pytest
from servers import OWNER

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.migrations.operations import COLUMN, ROWS, TABLE, VALUES
from ansible.module_utils.rollback.postgres import copy, vanished

COPY = "awkward__trial_20261122T031500Z"
# The rows of the database `awkward` are servers.py's own; these tables are what the cases below change.
MINE = """
CREATE SCHEMA mine;
CREATE TABLE mine.parent (id int PRIMARY KEY, name text, note text, empty text);
CREATE TABLE mine.child (id int PRIMARY KEY, of int REFERENCES mine.parent ON DELETE CASCADE, amount numeric(10, 4));
INSERT INTO mine.parent SELECT g, 'name ' || g, CASE WHEN g % 2 = 0 THEN 'note ' || g END FROM generate_series(1, 10) g;
INSERT INTO mine.child SELECT g, 1 + g % 10, g + 0.1234 FROM generate_series(1, 30) g;
"""


@pytest.fixture
def copied(awkward):
    with awkward.database() as live:
        with awkward.as_superuser(live) as connection:
            connection.execute(f"SET ROLE {OWNER}; {MINE}")
        before = awkward.content(live)
        assert copy.make(awkward.server, awkward.tools, live, COPY) > 0
        yield awkward
        assert awkward.content(live) == before


def gone_after(awkward, *statements):
    """What these statements take away from the copy, by table; `mine.parent` is `parent`."""
    with awkward.as_superuser(COPY) as connection:
        before = [
            vanished.Seen.from_dict(table.as_dict()) for table in vanished.look(connection, ["public.alembic_version"])
        ]
        for statement in statements:
            connection.execute(statement)
        found = vanished.since(before, vanished.look(connection, ["public.alembic_version"]))
    return {(gone.kind, gone.table, *gone.columns): gone.count for gone in found}


def test_a_copy_holds_the_same_and_goes_again(copied):
    then, live = copied.census(COPY), copied.census("awkward")
    assert {name: (table.rows, table.content) for name, table in then.tables.items()} == {
        name: (table.rows, table.content) for name, table in live.tables.items()
    }
    assert then.objects == live.objects
    assert copy.remove(copied.server, COPY) is True
    assert copy.remove(copied.server, COPY) is False
    assert COPY not in copied.place.databases()


def test_a_copy_is_made_anew_and_finds_names_as_the_database_does(copied):
    with copied.as_superuser(COPY) as connection:
        connection.execute("DROP TABLE mine.child")
    copy.make(copied.server, copied.tools, "awkward", COPY)
    assert "mine.child" in copied.census(COPY).tables
    assert copied.settings(COPY)["parameters"] == copied.settings("awkward")["parameters"] != []


def test_what_cannot_be_copied_leaves_nothing(copied):
    copy.remove(copied.server, COPY)
    with copied.as_superuser("awkward") as connection:
        connection.execute("CREATE TABLE mine.secret ()")
    try:
        with pytest.raises(RollbackError, match="permission denied for table secret"):
            copy.make(copied.server, copied.tools, "awkward", COPY)
    finally:
        with copied.as_superuser("awkward") as connection:
            connection.execute("DROP TABLE mine.secret")
    assert COPY not in copied.place.databases()


@pytest.mark.parametrize(
    ("statements", "gone"),
    [
        (["DROP TABLE mine.child"], {(TABLE, "child"): 30}),
        (["ALTER TABLE mine.parent DROP COLUMN note, DROP COLUMN empty"], {(COLUMN, "parent", "note"): 5}),
        (["DELETE FROM mine.parent WHERE id = 1"], {(ROWS, "parent"): 1, (ROWS, "child"): 3}),
        (["UPDATE mine.parent SET name = 'all alike'"], {(VALUES, "parent", "name"): 10}),
        (["ALTER TABLE mine.child ALTER amount TYPE numeric(10, 2)"], {(VALUES, "child", "amount"): 30}),
        # What moved, or is written in another type as before, is not gone.
        (["ALTER TABLE mine.child RENAME TO other", "ALTER TABLE mine.other RENAME amount TO sum"], {}),
        (["ALTER TABLE mine.child ALTER id TYPE bigint"], {}),
        (["CREATE TABLE mine.rest AS SELECT * FROM mine.child", "DROP TABLE mine.child"], {}),
        (
            [
                "ALTER TABLE mine.parent ADD called text",
                "UPDATE mine.parent SET called = name",
                "ALTER TABLE mine.parent DROP name",
            ],
            {},
        ),
        (["CREATE INDEX ON mine.child (amount)", "DROP TABLE IF EXISTS mine.nothing"], {}),
    ],
)
def test_what_is_gone_is_named_and_counted(copied, statements, gone):
    assert gone_after(copied, *statements) == gone
