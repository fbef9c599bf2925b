"""What a downgrade takes away, counted and kept aside on real servers, and what comes back is what was there."""

from __future__ import annotations

import pytest
from servers import OWNER

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.migrations.operations import COLUMN, ROWS, TABLE, VALUES, Loss
from ansible.module_utils.rollback.postgres import loss, salvage

pytestmark = pytest.mark.slow

SCHEMA = "rollback_salvage_20261122t031500z"

# What an upgrade makes; it is run again after the downgrade.
UPGRADE = """
CREATE TYPE mood AS ENUM ('so so', 'très bien');
CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE TYPE pair AS (a integer, b text);
CREATE TABLE "Odd ""Names"" Şİ" (
  "Id x" bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, m mood, ms mood[], p positive, c pair, ts text[], r int4range,
  n numeric, f double precision, at timestamptz, j jsonb, plain json, b bytea, twice integer GENERATED ALWAYS AS (p * 2) STORED);
CREATE TABLE child (id serial PRIMARY KEY, of bigint REFERENCES "Odd ""Names"" Şİ", above integer REFERENCES child, note text);
CREATE TABLE keyless (t text, n integer);
INSERT INTO keyless VALUES ('seed of the upgrade', 1);
GRANT SELECT ON child TO hunter_readonly;
"""
FILL = """
INSERT INTO "Odd ""Names"" Şİ" (m, ms, p, c, ts, r, n, f, at, j, plain, b)
  SELECT 'très bien', '{so so,très bien,NULL}', g, ROW(g, E'x\\ty "z", ş')::pair, ARRAY['a,b', NULL, ''], int4range(g, g + 5), 'NaN',
         '-Infinity', 'infinity', jsonb_build_object('n', g), '{"b": 1,  "a": 2}', decode(md5(g::text), 'hex')
  FROM generate_series(1, 200) g;
INSERT INTO "Odd ""Names"" Şİ" (p) VALUES (NULL), (7);
INSERT INTO child (of, above, note) SELECT 1 + g % 200, NULL, 'note ' || g FROM generate_series(1, 50) g;
UPDATE child SET above = 1 WHERE id > 40;
INSERT INTO keyless SELECT 'same', 2 FROM generate_series(1, 3);
SELECT nextval('child_id_seq');
"""
DOWNGRADE = 'DROP TABLE keyless; DROP TABLE child; DROP TABLE "Odd ""Names"" Şİ"; DROP TYPE pair; DROP TYPE mood; DROP DOMAIN positive'
TABLES = [Loss(TABLE, "", 'Odd "Names" Şİ'), Loss(TABLE, "", "child"), Loss(TABLE, "public", "keyless")]


@pytest.fixture
def database(awkward):
    """An empty database of the application's, and a way to be the application in it."""
    with awkward.as_superuser() as connection:
        connection.execute(f"CREATE DATABASE awkward_small OWNER {OWNER} TEMPLATE template0")
    try:
        yield Database(awkward)
    finally:
        with awkward.as_superuser() as connection:
            connection.execute("DROP DATABASE awkward_small WITH (FORCE)")


class Database:
    def __init__(self, awkward):
        self.awkward = awkward

    def owner(self, *statements):
        with self.awkward.as_superuser("awkward_small") as connection:
            connection.execute(f"SET ROLE {OWNER}")
            for statement in statements:
                connection.execute(statement)

    def operator(self):
        return self.awkward.server.connect("awkward_small")

    def save(self, losses):
        with self.operator() as connection:
            return salvage.save(connection, SCHEMA, losses)

    def bring_back(self):
        with self.operator() as connection:
            return salvage.bring_back(connection, SCHEMA)

    def forget(self):
        with self.operator() as connection:
            assert salvage.drop(connection, SCHEMA)

    def content(self):
        return self.awkward.content("awkward_small")


def test_whole_tables_come_back_with_types_that_were_dropped(database):
    database.owner(UPGRADE, FILL)
    before = database.content()
    saved = database.save(TABLES)
    assert {entry["table"]: entry["rows"] for entry in saved} == {'Odd "Names" Şİ': 202, "child": 50, "keyless": 4}
    database.owner(DOWNGRADE, UPGRADE)
    assert [entry["gone"] for entry in database.bring_back()] == [0, 0, 0]
    database.forget()
    assert database.content() == before


def test_columns_come_back_to_the_rows_that_are_still_there(database):
    database.owner("CREATE TABLE t (a integer, b text, note text, PRIMARY KEY (a, b))")
    add = "CREATE TYPE mood AS ENUM ('so so', 'fine'); ALTER TABLE t ADD COLUMN m mood DEFAULT 'fine', ADD COLUMN phone text"
    database.owner(
        add,
        "INSERT INTO t SELECT g, 'b', 'n', 'so so', 'p' || g FROM generate_series(1, 20) g",
        "UPDATE t SET m = NULL WHERE a = 3",
    )
    (saved,) = database.save([Loss(COLUMN, "", "t", ("m",)), Loss(COLUMN, "", "t", ("phone",))])
    assert saved == {"kind": "column", "schema": "public", "table": "t", "columns": ["m", "phone"], "rows": 20}
    database.owner("ALTER TABLE t DROP COLUMN m, DROP COLUMN phone; DROP TYPE mood")
    database.owner(
        "DELETE FROM t WHERE a = 1",
        "INSERT INTO t VALUES (99, 'b', 'new')",
        "UPDATE t SET note = 'changed' WHERE a = 2",
    )
    database.owner(add)
    (back,) = database.bring_back()
    assert (back["rows"], back["gone"]) == (20, 1)
    with database.operator() as connection:
        found = connection.execute(
            "SELECT a, note, m::text, phone FROM t WHERE a IN (1, 2, 3, 99) ORDER BY a"
        ).fetchall()
    assert found == [(2, "changed", "so so", "p2"), (3, "n", None, "p3"), (99, "new", "fine", None)]


def test_values_that_were_overwritten_and_rows_that_were_deleted_come_back(database):
    database.owner(
        "CREATE TABLE t (id integer PRIMARY KEY, v varchar(40))",
        "INSERT INTO t SELECT g, 'long value ' || g FROM generate_series(1, 9) g",
    )
    before = database.content()
    database.save([Loss(VALUES, "", "t", ("v",)), Loss(ROWS, "", "t")])
    database.owner("DELETE FROM t WHERE id > 7", "ALTER TABLE t ALTER COLUMN v TYPE varchar(4) USING left(v, 4)")
    database.owner("ALTER TABLE t ALTER COLUMN v TYPE varchar(40)")
    database.bring_back()
    database.forget()
    assert database.content() == before


def test_what_the_upgrade_seeds_gives_way_to_what_was_kept(database):
    make = (
        "CREATE TABLE seeds (id integer PRIMARY KEY, t text); INSERT INTO seeds VALUES (1, 'default'), (2, 'default')"
    )
    database.owner(
        make,
        "UPDATE seeds SET t = 'mine' WHERE id = 1; DELETE FROM seeds WHERE id = 2; INSERT INTO seeds VALUES (3, 'mine')",
    )
    before = database.content()
    database.save([Loss(TABLE, "", "seeds")])
    database.owner("DROP TABLE seeds", make)
    database.bring_back()
    database.forget()
    assert database.content() == before


def test_triggers_of_the_application_do_not_run_again(database):
    database.owner(
        "CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.at = now(); RETURN NEW; END $$",
        "CREATE TABLE t (id integer PRIMARY KEY, phone text, at timestamptz)",
        "INSERT INTO t VALUES (1, 'p', '2020-01-01')",
        "CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION stamp()",
    )
    before = database.content()
    database.save([Loss(COLUMN, "", "t", ("phone",))])
    database.owner("ALTER TABLE t DROP COLUMN phone", "ALTER TABLE t ADD COLUMN phone text")
    database.bring_back()
    database.forget()
    with database.operator() as connection:
        query = "SELECT phone, at::date::text, (SELECT tgenabled::text FROM pg_trigger WHERE tgname = 'stamp') FROM t"
        assert connection.execute(query).fetchone() == ("p", "2020-01-01", "O")
    assert database.content()["settings"] == before["settings"]


def test_keeping_it_again_replaces_what_a_cut_off_attempt_left(database):
    database.owner("CREATE TABLE t (id integer PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    database.save([Loss(TABLE, "", "t")])
    database.owner("INSERT INTO t VALUES (2)")
    (saved,) = database.save([Loss(TABLE, "", "t")])
    assert saved["rows"] == 2


def test_a_table_that_did_not_come_back_changes_nothing(database):
    database.owner(
        "CREATE TABLE a (id integer PRIMARY KEY); CREATE TABLE b (id integer PRIMARY KEY)", "INSERT INTO a VALUES (1)"
    )
    database.save([Loss(TABLE, "", "a"), Loss(TABLE, "", "b")])
    database.owner("DROP TABLE a; DROP TABLE b; CREATE TABLE a (id integer PRIMARY KEY)")
    before = database.content()
    with pytest.raises(RollbackError, match=r"Table public\.b has not come back with the upgrade"):
        database.bring_back()
    assert database.content() == before


def test_a_lock_that_is_not_to_be_had_is_told_with_who_has_it(database):
    database.owner("CREATE TABLE t (id integer PRIMARY KEY)")
    with database.awkward.place.lab.connect("awkward_small", user=OWNER) as other, other.transaction():
        other.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(
            RollbackError, match=r"A lock was not to be had within 5s: process \d+ \(hunter, .*\) locks t"
        ):
            database.save([Loss(TABLE, "", "t")])
    with database.operator() as connection:
        assert connection.execute("SELECT to_regnamespace(%s)", [SCHEMA]).fetchone() == (None,)


def test_a_schema_of_somebody_else_is_not_dropped(database):
    database.owner(f"CREATE SCHEMA {SCHEMA}")
    with database.operator() as connection, pytest.raises(RollbackError, match="was not made by a rollback"):
        salvage.drop(connection, SCHEMA)


def forecast(database, *losses, budget_s=10.0):
    with database.operator() as connection:
        return loss.forecast(connection, losses, budget_s)


def test_what_is_there_is_counted_and_what_is_not_is_left_out(database):
    database.owner(UPGRADE, FILL, 'CREATE VIEW moods AS SELECT m FROM "Odd ""Names"" Şİ"')
    counted = forecast(
        database,
        Loss(TABLE, "", 'Odd "Names" Şİ'),
        Loss(COLUMN, "", "child", ("above",)),
        Loss(COLUMN, "", "child", ("nowhere",)),
        Loss(TABLE, "", "nowhere"),
    )
    assert [(entry.table, entry.count, entry.exact, entry.savable) for entry in counted] == [
        ('Odd "Names" Şİ', 202, True, True),
        ("child", 10, True, True),
    ]
    assert counted[0].dependents == ["foreign key child_of_fkey of child", "view public.moods"]


def test_without_a_key_columns_cannot_be_kept_and_it_says_so(database):
    database.owner("CREATE TABLE t (a integer, b text)", "INSERT INTO t VALUES (1, 'x'), (2, NULL)")
    (counted,) = forecast(database, Loss(COLUMN, "", "t", ("b",)))
    assert (counted.count, counted.savable) == (1, False)
    assert counted.reason == "public.t has no other key by which its rows could be found again."
    assert database.save([Loss(COLUMN, "", "t", ("b",))]) == []


def test_what_is_lost_in_tables_that_inherit_cannot_be_kept_and_it_says_so(database):
    """Their rows have keys of their own, which may be the same, so they could not be told apart again."""
    database.owner("CREATE TABLE t (id integer PRIMARY KEY, v text); CREATE TABLE u () INHERITS (t)")
    database.owner("INSERT INTO t VALUES (1, 'x'); INSERT INTO u VALUES (1, 'y'), (2, 'z')")
    for lost in (Loss(COLUMN, "", "t", ("v",)), Loss(TABLE, "", "t")):
        (counted,) = forecast(database, lost)
        assert not counted.savable
        assert counted.reason == "other tables inherit from public.t, and lose the same without being kept."
        assert database.save([lost]) == []


PARTITIONED = """
CREATE TABLE p (id integer GENERATED BY DEFAULT AS IDENTITY, at date, v text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE p2 PARTITION OF p FOR VALUES FROM ('2026-02-01') TO ('2026-03-01') PARTITION BY RANGE (id);
CREATE TABLE p2a PARTITION OF p2 FOR VALUES FROM (1) TO (50);
CREATE TABLE p2d PARTITION OF p2 DEFAULT;
"""


def test_partitions_come_back_to_where_they_were(database):
    fill = "INSERT INTO p (at, v) SELECT date '2026-01-15' + (g % 40), 'v' || g FROM generate_series(1, 100) g"
    database.owner(PARTITIONED, fill)
    before = database.content()
    database.save([Loss(TABLE, "", "p")])
    database.owner("DROP TABLE p", PARTITIONED)
    database.bring_back()
    database.forget()
    assert database.content() == before


def test_rows_that_go_along_by_foreign_keys_are_counted_too(database):
    database.owner(
        "CREATE TABLE a (id integer PRIMARY KEY)",
        "CREATE TABLE b (id integer PRIMARY KEY, a integer REFERENCES a ON DELETE CASCADE)",
        "CREATE TABLE c (id integer PRIMARY KEY, b integer REFERENCES b ON DELETE SET NULL)",
        "INSERT INTO a VALUES (1); INSERT INTO b VALUES (1, 1), (2, 1); INSERT INTO c VALUES (1, 1), (2, NULL)",
    )
    counted = forecast(database, Loss(ROWS, "", "a"))
    assert [(entry.kind, entry.table, entry.columns, entry.count) for entry in counted] == [
        (ROWS, "a", (), 1),
        (ROWS, "b", (), 2),
        (VALUES, "c", ("b",), 1),
    ]


def test_what_cannot_be_counted_in_time_is_estimated_and_marked(database):
    fill = "INSERT INTO t SELECT g, CASE WHEN g % 2 = 0 THEN 'x' END FROM generate_series(1, 1000) g"
    database.owner("CREATE TABLE t (id integer PRIMARY KEY, v text)", fill)
    with database.awkward.as_superuser("awkward_small") as connection:
        connection.execute("ANALYZE t")
    (rows,) = forecast(database, Loss(TABLE, "", "t"), budget_s=0)
    (values,) = forecast(database, Loss(COLUMN, "", "t", ("v",)), budget_s=0)
    assert (rows.exact, rows.count, values.exact) == (False, 1000, False)
    assert 450 <= values.count <= 550


def test_a_partition_on_a_server_that_does_not_answer_is_no_rows_and_no_failure(database):
    with database.awkward.as_superuser("awkward_small") as connection:
        connection.execute("CREATE FOREIGN DATA WRAPPER nowhere; CREATE SERVER far FOREIGN DATA WRAPPER nowhere")
        connection.execute(f"GRANT USAGE ON FOREIGN SERVER far TO {OWNER}")
    database.owner("CREATE TABLE t (id integer) PARTITION BY LIST (id)")
    database.owner("CREATE FOREIGN TABLE t_1 PARTITION OF t FOR VALUES IN (1) SERVER far")
    (unknown,) = forecast(database, Loss(TABLE, "", "t"))
    assert (unknown.count, unknown.exact) == (None, False)
    assert "has no handler" in unknown.uncounted


def test_what_can_be_neither_counted_nor_estimated_has_no_number(database):
    database.owner("CREATE TABLE t (id integer PRIMARY KEY, v text)", "INSERT INTO t VALUES (1, 'x')")
    for wanted in (Loss(TABLE, "", "t"), Loss(COLUMN, "", "t", ("v",))):
        (unknown,) = forecast(database, wanted, budget_s=0)
        assert (unknown.count, unknown.exact) == (None, False)
        assert unknown.uncounted == "there was no time to count, and it was never analysed"
    database.owner(
        "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE t FORCE ROW LEVEL SECURITY",
        "CREATE POLICY one ON t USING (id = 2)",
    )
    for wanted in (Loss(TABLE, "", "t"), Loss(COLUMN, "", "t", ("v",)), Loss(ROWS, "", "t")):
        (hidden,) = forecast(database, wanted)
        assert (hidden.count, hidden.exact, hidden.savable) == (None, False, False)
        assert hidden.uncounted == "row-level security hides rows from the operator's role"
