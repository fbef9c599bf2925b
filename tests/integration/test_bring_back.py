"""What was kept comes back into schemas of every kind: nothing that users or the upgrade wrote is lost for it, and each part is as it was."""

from __future__ import annotations

import pytest
from down_and_up import NAME, SCHEMA
from psycopg.sql import SQL
from servers import OWNER

from ansible.module_utils.rollback.migrations.operations import COLUMN, ROWS, TABLE, VALUES, Loss
from ansible.module_utils.rollback.postgres import salvage, since
from ansible.module_utils.rollback.postgres.copies import hashed

pytestmark = pytest.mark.slow

newest = pytest.mark.parametrize("awkward", ["postgres"], indirect=True)
with_contrib = pytest.mark.parametrize("awkward", ["postgres15"], indirect=True)


def change_places(database, unique):
    """Two rows have each other's value of a column that the downgrade drops, and that the upgrade fills and makes `unique`."""
    up = f"ALTER TABLE t ADD COLUMN place integer; UPDATE t SET place = id; {unique}"
    database.owner("CREATE TABLE t (id integer PRIMARY KEY)", "INSERT INTO t VALUES (1), (2)", up)
    database.owner("UPDATE t SET place = id + 10", "UPDATE t SET place = 3 - id")
    database.down([Loss(COLUMN, "public", "t", ("place",))], "ALTER TABLE t DROP COLUMN place CASCADE")
    database.up(up)
    assert database.rows("SELECT id, place FROM t ORDER BY 1") == [(1, 2), (2, 1)]


def test_what_the_upgrade_seeds_goes_only_where_nothing_refers_to_it_any_more(database):
    database.owner("CREATE TABLE users (id integer PRIMARY KEY)")
    up = """CREATE TABLE plans (id integer PRIMARY KEY, name text); INSERT INTO plans VALUES (1, 'default');
    ALTER TABLE users ADD COLUMN plan integer NOT NULL DEFAULT 1 REFERENCES plans ON DELETE CASCADE"""
    database.owner("INSERT INTO users VALUES (1), (2)", up)
    database.owner("INSERT INTO plans VALUES (2, 'b')", "UPDATE users SET plan = 2", "DELETE FROM plans WHERE id = 1")
    database.down(
        [Loss(TABLE, "public", "plans"), Loss(COLUMN, "public", "users", ("plan",))],
        "ALTER TABLE users DROP COLUMN plan",
        "DROP TABLE plans",
    )
    database.up(up)
    assert database.rows("SELECT * FROM users ORDER BY 1") == [(1, 2), (2, 2)]


def test_rows_that_the_upgrade_makes_under_another_key_stay_with_what_refers_to_them(database):
    database.owner(
        "CREATE TABLE roles (id serial PRIMARY KEY, name text NOT NULL)",
        "CREATE TABLE users (id integer PRIMARY KEY, role integer REFERENCES roles ON DELETE CASCADE)",
        "INSERT INTO roles (name) VALUES ('guest')",
        "INSERT INTO users VALUES (1, 1)",
    )
    database.down(
        [Loss(ROWS, "public", "roles"), Loss(VALUES, "public", "users", ("role",))],
        "UPDATE users SET role = NULL; DELETE FROM roles",
    )
    database.owner("INSERT INTO users VALUES (2, NULL)")
    database.up("INSERT INTO roles (name) VALUES ('guest')", "UPDATE users SET role = (SELECT max(id) FROM roles)")
    assert [r[0] for r in database.rows("SELECT id FROM users ORDER BY 1")] == [1, 2]


def test_rows_that_the_upgrade_makes_for_users_stay(database):
    database.owner(
        "CREATE TABLE users (id integer PRIMARY KEY)",
        "CREATE TABLE prefs (user_id integer PRIMARY KEY REFERENCES users, theme text NOT NULL)",
        "INSERT INTO users VALUES (1), (2)",
        "INSERT INTO prefs VALUES (1, 'dark'), (2, 'light')",
    )
    database.down([Loss(ROWS, "public", "prefs")], "DELETE FROM prefs WHERE theme = 'dark'")
    database.owner("INSERT INTO users VALUES (99)")
    database.up(
        "INSERT INTO prefs SELECT id, 'dark' FROM users u WHERE NOT EXISTS (SELECT FROM prefs WHERE user_id = u.id)"
    )
    assert database.rows("SELECT * FROM prefs ORDER BY 1") == [(1, "dark"), (2, "light"), (99, "dark")]


def test_rows_that_the_upgrade_moves_stay_beside_those_that_are_like_them(database):
    database.owner(
        "CREATE TABLE notes (id serial PRIMARY KEY, item integer, body text NOT NULL DEFAULT '')",
        "INSERT INTO notes (item, body) VALUES (7, 'saved')",
    )
    database.down(
        [Loss(ROWS, "public", "notes")], "DELETE FROM notes", "CREATE TABLE old_notes (item integer, body text)"
    )
    database.owner("INSERT INTO old_notes VALUES (7, 'written by a user')")
    database.up("INSERT INTO notes (item, body) SELECT item, body FROM old_notes", "DROP TABLE old_notes")
    assert database.rows("SELECT body FROM notes ORDER BY 1") == [("saved",), ("written by a user",)]


def test_a_key_that_users_wrote_in_another_form_is_the_same_key(database):
    database.owner("CREATE TABLE t (id numeric PRIMARY KEY, v text)", "INSERT INTO t VALUES (1.0, 'saved')")
    database.down([Loss(ROWS, "public", "t")], "DELETE FROM t")
    database.owner("INSERT INTO t VALUES (1, 'user')")
    database.up()
    assert database.rows("SELECT v FROM t") == [("user",)]


def test_a_sequence_that_the_upgrade_took_further_stays_there(database):
    up = "CREATE TABLE customers (id serial PRIMARY KEY, name text)"
    database.owner(up, "INSERT INTO customers (name) VALUES ('a'), ('b')")
    database.down(
        [Loss(TABLE, "public", "customers")],
        "CREATE TABLE clients (id serial PRIMARY KEY, name text); INSERT INTO clients (name) SELECT name FROM customers ORDER BY id",
        "DROP TABLE customers",
    )
    database.owner("INSERT INTO clients (name) VALUES ('new')")
    database.up(
        up, "INSERT INTO customers SELECT * FROM clients", "SELECT setval('customers_id_seq', 3)", "DROP TABLE clients"
    )
    database.owner("INSERT INTO customers (name) VALUES ('next')")


def with_deferred_reference(database):
    """A table with a trigger, and a reference that is checked at the end of a transaction; returns what adds that."""
    up = "ALTER TABLE t ADD COLUMN p integer REFERENCES parent DEFERRABLE INITIALLY DEFERRED"
    database.owner(
        "CREATE TABLE parent (id integer PRIMARY KEY)",
        "CREATE TABLE t (id integer PRIMARY KEY)",
        up,
        "INSERT INTO parent VALUES (1); INSERT INTO t VALUES (1, 1)",
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "CREATE TRIGGER f BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f()",
    )
    return up


def test_deferred_foreign_keys_stop_no_trigger_from_firing_again(database):
    up = with_deferred_reference(database)
    database.down([Loss(COLUMN, "public", "t", ("p",))], "ALTER TABLE t DROP COLUMN p")
    database.up(up)
    assert database.rows("SELECT * FROM t") == [(1, 1)]


def test_nor_rows_from_changing_places(database):
    up = """ALTER TABLE t ADD COLUMN place integer, ADD COLUMN p integer REFERENCES parent DEFERRABLE INITIALLY DEFERRED;
    UPDATE t SET place = id; ALTER TABLE t ADD UNIQUE (place)"""
    database.owner(
        "CREATE TABLE parent (id integer PRIMARY KEY)",
        "CREATE TABLE t (id integer PRIMARY KEY)",
        "INSERT INTO parent VALUES (1); INSERT INTO t VALUES (1), (2)",
        up,
        "UPDATE t SET place = id + 10, p = 1",
        "UPDATE t SET place = 3 - id",
    )
    database.down([Loss(COLUMN, "public", "t", ("place", "p"))], "ALTER TABLE t DROP COLUMN p, DROP COLUMN place")
    database.up(up)
    assert database.rows("SELECT * FROM t ORDER BY 1") == [(1, 2, 1), (2, 1, 1)]


def test_a_constraint_that_was_in_the_way_keeps_its_storage_parameters(database):
    change_places(database, "ALTER TABLE t ADD CONSTRAINT u UNIQUE (place) WITH (fillfactor = 50)")
    assert database.rows("SELECT reloptions FROM pg_class WHERE relname = 'u'") == [(["fillfactor=50"],)]


def test_an_identity_that_only_the_server_writes_comes_back(database):
    up = "CREATE TABLE t (code text PRIMARY KEY, num integer GENERATED ALWAYS AS IDENTITY)"
    database.owner(up, "INSERT INTO t VALUES ('a'), ('b')")
    database.down([Loss(TABLE, "public", "t")], "DROP TABLE t")
    database.up(up)
    assert database.rows("SELECT * FROM t ORDER BY 1") == [("a", 1), ("b", 2)]


def test_rows_come_back_under_a_deferrable_constraint(database):
    database.owner(
        "CREATE TABLE t (id integer PRIMARY KEY, v text UNIQUE DEFERRABLE)", "INSERT INTO t VALUES (1, 'a'), (2, 'b')"
    )
    database.down([Loss(ROWS, "public", "t")], "DELETE FROM t")
    database.owner("INSERT INTO t VALUES (50, 'a')")
    database.up()
    assert database.rows("SELECT * FROM t ORDER BY 1") == [(2, "b"), (50, "a")]


def test_one_row_that_is_refused_keeps_no_other_from_coming_back(database):
    database.owner(
        "CREATE TABLE t (id integer PRIMARY KEY, v text UNIQUE, n text)",
        "INSERT INTO t VALUES (1, 'a', 'mine'), (2, 'b', 'mine')",
    )
    database.down([Loss(ROWS, "public", "t")], "DELETE FROM t")
    database.owner("INSERT INTO t VALUES (50, 'b', 'user')")
    database.up("INSERT INTO t VALUES (1, 'a', 'seed')")
    assert database.rows("SELECT * FROM t ORDER BY 1") == [(1, "a", "mine"), (50, "b", "user")]


@pytest.mark.parametrize("kind", [ROWS, TABLE])
def test_rows_change_places_with_what_the_upgrade_seeds(database, kind):
    make = "CREATE TABLE t (id integer PRIMARY KEY, place integer UNIQUE)"
    seed = "INSERT INTO t VALUES (1, 1), (2, 2)"
    database.owner(make, seed, "UPDATE t SET place = place + 10", "UPDATE t SET place = 3 - id")
    database.down([Loss(kind, "public", "t")], "DELETE FROM t" if kind == ROWS else "DROP TABLE t")
    database.up(*([seed] if kind == ROWS else [make, seed]))
    assert database.rows("SELECT * FROM t ORDER BY 1") == [(1, 2), (2, 1)]


def test_a_row_that_overlaps_a_users_one_stays_aside(database):
    database.owner(
        "CREATE TABLE t (id integer PRIMARY KEY, r int4range, EXCLUDE USING gist (r WITH &&))",
        "INSERT INTO t VALUES (1, '[1,5)'), (2, '[5,9)')",
    )
    database.down([Loss(ROWS, "public", "t")], "DELETE FROM t")
    database.owner("INSERT INTO t VALUES (50, '[2,3)')")
    database.up()
    assert database.rows("SELECT id FROM t ORDER BY 1") == [(2,), (50,)]


def test_a_column_may_be_called_as_ours_is(database):
    up = "CREATE TABLE t (id integer PRIMARY KEY, col integer, p integer REFERENCES parent)"
    database.owner(
        "CREATE TABLE parent (id integer PRIMARY KEY)",
        up,
        "INSERT INTO parent VALUES (1)",
        "INSERT INTO t VALUES (1, 2, 1)",
    )
    database.down([Loss(TABLE, "public", "t")], "DROP TABLE t")
    database.up(up)
    assert database.rows("SELECT * FROM t") == [(1, 2, 1)]


def test_a_reference_in_another_form_is_no_orphan(database):
    up = "CREATE TABLE t (id numeric PRIMARY KEY, p numeric REFERENCES t)"
    database.owner(up, "INSERT INTO t VALUES (1.0, NULL), (2, 1)")
    database.down([Loss(TABLE, "public", "t")], "DROP TABLE t")
    database.up(up)
    assert len(database.rows("SELECT * FROM t")) == 2


def test_partitions_that_are_made_again_have_their_triggers(database):
    up = """CREATE TABLE t (id integer PRIMARY KEY) PARTITION BY LIST (id); CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1);
    CREATE TRIGGER f BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f()"""
    database.owner(
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        up,
        "CREATE TABLE t2 PARTITION OF t FOR VALUES IN (2)",
        "INSERT INTO t VALUES (1), (2)",
    )
    q = "SELECT tgrelid::regclass::text, tgenabled::text FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1"
    before = database.rows(q)
    database.down([Loss(TABLE, "public", "t")], "DROP TABLE t")
    database.up(up)
    assert database.rows(q) == before


def test_privileges_on_columns_and_sequences_come_back(database):
    up = "CREATE TABLE t (id serial PRIMARY KEY, a text)"
    database.owner(
        up,
        "GRANT SELECT, INSERT ON t TO PUBLIC",
        "GRANT USAGE ON t_id_seq TO PUBLIC",
        "GRANT UPDATE (a) ON t TO PUBLIC",
    )
    q = "SELECT relname::text, relacl::text FROM pg_class WHERE relname IN ('t', 't_id_seq')"
    q += " UNION ALL SELECT attname, attacl::text FROM pg_attribute WHERE attrelid = 't'::regclass AND attacl IS NOT NULL ORDER BY 1"
    before = database.rows(q)
    database.down([Loss(TABLE, "public", "t")], "DROP TABLE t")
    database.up(up)
    assert database.rows(q) == before


def test_an_orphan_in_a_circle_takes_along_those_that_refer_to_it(database):
    up = """CREATE TABLE teams (id integer PRIMARY KEY, lead integer);
    CREATE TABLE people (id integer PRIMARY KEY, team integer REFERENCES teams, city integer REFERENCES cities);
    ALTER TABLE teams ADD FOREIGN KEY (lead) REFERENCES people"""
    database.owner(
        "CREATE TABLE cities (id integer PRIMARY KEY)",
        up,
        "INSERT INTO cities VALUES (1), (2)",
        "INSERT INTO teams VALUES (1), (2)",
        "INSERT INTO people VALUES (1, 1, 1), (2, 2, 2)",
        "UPDATE teams SET lead = id",
    )
    database.down([Loss(TABLE, "public", "teams"), Loss(TABLE, "public", "people")], "DROP TABLE teams, people CASCADE")
    database.owner("DELETE FROM cities WHERE id = 1")
    database.up(up)
    assert database.rows("SELECT id FROM teams") == [(2,)]


def test_one_value_that_is_taken_keeps_no_others_from_changing_places(database):
    up = "ALTER TABLE t ADD COLUMN place integer; UPDATE t SET place = id; ALTER TABLE t ADD UNIQUE (place)"
    database.owner(
        "CREATE TABLE t (id integer PRIMARY KEY)",
        "INSERT INTO t VALUES (1), (2), (3)",
        up,
        "UPDATE t SET place = place + 10",
        "UPDATE t SET place = CASE id WHEN 1 THEN 2 WHEN 2 THEN 1 ELSE 50 END",
    )
    database.down([Loss(COLUMN, "public", "t", ("place",))], "ALTER TABLE t DROP COLUMN place")
    database.owner("INSERT INTO t VALUES (50)")
    database.up(up)
    assert database.rows("SELECT * FROM t ORDER BY 1") == [(1, 2), (2, 1), (3, 3), (50, 50)]


def test_rules_do_not_run_again(database):
    up = "CREATE TABLE t (id integer PRIMARY KEY, v text); CREATE RULE r AS ON INSERT TO t DO ALSO INSERT INTO log VALUES (NEW.id)"
    database.owner("CREATE TABLE log (id integer)", up, "INSERT INTO t VALUES (1, 'a')")
    database.down([Loss(TABLE, "public", "t")], "DROP TABLE t")
    database.up(up)
    assert database.rows("SELECT * FROM t") == [(1, "a")]


def test_a_partial_index_says_nothing_of_other_rows(database):
    up = "CREATE TABLE customers (id integer PRIMARY KEY, email text, gone boolean); CREATE UNIQUE INDEX ON customers (email) WHERE NOT gone"
    database.owner(up, "INSERT INTO customers VALUES (1, 'a', true)")
    database.down(
        [Loss(TABLE, "public", "customers")],
        "CREATE TABLE clients (id integer PRIMARY KEY, email text); INSERT INTO clients SELECT id, email FROM customers WHERE NOT gone; DROP TABLE customers",
    )
    database.owner("INSERT INTO clients VALUES (9, 'a')")
    database.up(up, "INSERT INTO customers SELECT id, email, false FROM clients; DROP TABLE clients")
    assert database.rows("SELECT id FROM customers ORDER BY 1") == [(1,), (9,)]


def test_values_come_back_early_under_deferred_foreign_keys(database):
    up = with_deferred_reference(database)
    database.down([Loss(COLUMN, "public", "t", ("p",), "r1")], "ALTER TABLE t DROP COLUMN p")
    with database.operator() as c:
        since.note_now(c, SCHEMA)
    database.owner(up)
    with database.operator() as c:
        salvage.bring_back_early(c, SCHEMA, ["r1"])


@with_contrib
@pytest.mark.parametrize("kind", [ROWS, TABLE])
@pytest.mark.parametrize("writes", [False, True])
def test_keys_of_a_type_of_its_own_are_equal_as_it_says(database, kind, writes):
    with database.awkward.as_superuser(NAME) as c:
        c.execute("CREATE EXTENSION citext SCHEMA public")
    up = "CREATE TABLE p (n citext PRIMARY KEY, v text); CREATE TABLE c (id integer PRIMARY KEY, n citext REFERENCES p)"
    database.owner(up, "INSERT INTO p VALUES ('Foo', 'saved')", "INSERT INTO c VALUES (1, 'FOO')")
    database.down(
        [Loss(kind, "public", "p"), Loss(kind, "public", "c")],
        "DELETE FROM c; DELETE FROM p" if kind == ROWS else "DROP TABLE c, p",
    )
    if writes and kind == ROWS:
        database.owner("INSERT INTO p VALUES ('foo', 'user')")
    database.up(*([] if kind == ROWS else [up]))
    assert len(database.rows("SELECT * FROM c")) == 1
    assert database.rows("SELECT v FROM p") == [("user" if writes and kind == ROWS else "saved",)]


@pytest.mark.parametrize(
    ("extra", "part"),
    [("", (False, False)), ("CLUSTER ON u", (True, False)), ("REPLICA IDENTITY USING INDEX u", (False, True))],
)
def test_an_index_that_was_in_the_way_keeps_its_part(database, extra, part):
    more = "ALTER TABLE t ALTER COLUMN place SET NOT NULL; ALTER TABLE t ADD CONSTRAINT u UNIQUE (place)"
    change_places(database, f"{more}; ALTER TABLE t {extra}" if extra else more)
    query = "SELECT indisclustered, indisreplident FROM pg_index WHERE indexrelid = 'u'::regclass"
    assert database.rows(query) == [part]


def test_an_index_that_was_in_the_way_keeps_its_statistics(database):
    more = "CREATE UNIQUE INDEX u ON t ((place + 0)) WITH (fillfactor = 50); ALTER INDEX u ALTER COLUMN 1 SET STATISTICS 500"
    change_places(database, more)
    assert database.rows("SELECT reloptions FROM pg_class WHERE relname = 'u'") == [(["fillfactor=50"],)]
    assert database.rows("SELECT attstattarget FROM pg_attribute WHERE attrelid = 'u'::regclass") == [(500,)]


def test_many_rows_that_the_upgrade_seeds_again_come_back(database):
    """Without an index each would be looked up among all others."""
    make = "INSERT INTO t SELECT g, '{}' FROM generate_series({}, 40000) g"
    database.owner("CREATE TABLE t (id integer PRIMARY KEY, v text NOT NULL)", make.format("mine", 1))
    database.down([Loss(ROWS, "public", "t")], "DELETE FROM t WHERE id > 20000")
    database.up(make.format("seed", 20001))
    assert database.rows("SELECT v, count(*) FROM t GROUP BY 1") == [("mine", 40000)]


@newest
def test_a_reference_that_is_not_enforced_makes_no_orphan(database):
    up = "CREATE TABLE t (id integer PRIMARY KEY, p integer, CONSTRAINT f FOREIGN KEY (p) REFERENCES parent NOT ENFORCED)"
    database.owner("CREATE TABLE parent (id integer PRIMARY KEY)", up, "INSERT INTO t VALUES (1, 77)")
    database.down([Loss(TABLE, "public", "t")], "DROP TABLE t")
    database.up(up)
    assert database.rows("SELECT * FROM t") == [(1, 77)]


@newest
def test_nor_does_it_in_a_circle(database):
    up = """CREATE TABLE a (id integer PRIMARY KEY, b integer); CREATE TABLE b (id integer PRIMARY KEY, a integer REFERENCES a);
    ALTER TABLE a ADD CONSTRAINT f FOREIGN KEY (b) REFERENCES b NOT ENFORCED"""
    database.owner(up, "INSERT INTO a VALUES (1, 77), (2, 1)", "INSERT INTO b VALUES (1, 1)")
    q = "SELECT conname::text, conenforced, convalidated, condeferrable FROM pg_constraint WHERE contype = 'f' ORDER BY 1"
    before = database.rows(q)
    database.down([Loss(TABLE, "public", "a"), Loss(TABLE, "public", "b")], "DROP TABLE a, b CASCADE")
    database.up(up)
    assert database.rows(q) == before
    assert database.rows("SELECT * FROM a ORDER BY 1") == [(1, 77), (2, 1)]


@newest
def test_a_key_without_overlaps_is_no_key_to_look_up_by(database):
    up = "CREATE TABLE t (id int4range, at daterange, v text, PRIMARY KEY (id, at WITHOUT OVERLAPS))"
    database.owner(up, "INSERT INTO t VALUES ('[1,2)', '[2020-01-01,2021-01-01)', 'a')")
    database.down([Loss(TABLE, "public", "t")], "DROP TABLE t")
    database.up(up)
    assert database.rows("SELECT v FROM t") == [("a",)]


@newest
def test_a_reference_by_period_makes_no_orphan(database):
    up = "CREATE TABLE c (id integer PRIMARY KEY, p int4range, at daterange, FOREIGN KEY (p, PERIOD at) REFERENCES t (id, PERIOD at))"
    database.owner(
        "CREATE TABLE t (id int4range, at daterange, v text, PRIMARY KEY (id, at WITHOUT OVERLAPS))",
        up,
        "INSERT INTO t VALUES ('[1,2)', '[2020-01-01,2021-01-01)', 'a')",
        "INSERT INTO c VALUES (1, '[1,2)', '[2020-02-01,2020-03-01)')",
    )
    database.down([Loss(TABLE, "public", "c")], "DROP TABLE c")
    database.up(up)
    assert database.rows("SELECT id FROM c") == [(1,)]


def test_a_materialized_view_of_a_view_is_refreshed(database):
    up = "ALTER TABLE t ADD COLUMN v text; CREATE VIEW w AS SELECT v FROM t; CREATE MATERIALIZED VIEW m AS SELECT v FROM w"
    database.owner("CREATE TABLE t (id integer PRIMARY KEY)", "INSERT INTO t VALUES (1)", up, "UPDATE t SET v = 'a'")
    database.down(
        [Loss(COLUMN, "public", "t", ("v",))], "DROP MATERIALIZED VIEW m; DROP VIEW w; ALTER TABLE t DROP COLUMN v"
    )
    database.up(up)
    assert database.rows("SELECT v FROM m") == [("a",)]


def test_copies_are_compared_whole_whatever_a_column_is_called(database):
    with database.operator() as connection:
        one, other = (hashed(connection, SQL(query)) for query in ("SELECT 1 AS t, 2 AS x", "SELECT 1 AS t, 3 AS x"))
    assert one != other


def test_rows_that_are_alike_stay(database):
    """Rows whose likeness is no sign of being the same."""
    database.owner(
        "CREATE TABLE votes (id serial PRIMARY KEY, option integer NOT NULL)",
        "INSERT INTO votes (option) VALUES (1), (1), (2)",
    )
    database.down([Loss(ROWS, "public", "votes")], "CREATE TABLE old (option integer)", "DELETE FROM votes")
    database.owner("INSERT INTO old VALUES (1)")
    database.up("INSERT INTO votes (option) SELECT option FROM old; DROP TABLE old")
    assert database.rows("SELECT option, count(*) FROM votes GROUP BY 1 ORDER BY 1") == [(1, 3), (2, 1)]


def test_rows_of_a_table_that_inherits_stay(database):
    up = "CREATE TABLE p (id integer, v text); CREATE TABLE c () INHERITS (p); INSERT INTO c SELECT id, 'c' FROM keep"
    database.owner(
        "CREATE TABLE keep (id integer PRIMARY KEY)",
        "INSERT INTO keep VALUES (1), (2)",
        "CREATE TABLE p (id integer, v text); INSERT INTO p VALUES (7, 'p')",
    )
    database.down([Loss(TABLE, "public", "p")], "DROP TABLE p")
    database.up(up)
    assert database.rows("SELECT id, v FROM p ORDER BY 1") == [(1, "c"), (2, "c"), (7, "p")]


def test_what_users_chose_of_the_upgrades_seed_stays(database):
    """Seed of the upgrade that was deleted before, referred to by a user's new row with SET NULL."""
    up = """CREATE TABLE plans (id integer PRIMARY KEY); INSERT INTO plans VALUES (1);
    ALTER TABLE users ADD COLUMN plan integer DEFAULT 1 REFERENCES plans ON DELETE SET NULL"""
    database.owner("CREATE TABLE users (id integer PRIMARY KEY)", "INSERT INTO users VALUES (1)", up)
    database.owner("INSERT INTO plans VALUES (2)", "UPDATE users SET plan = 2", "DELETE FROM plans WHERE id = 1")
    database.down(
        [Loss(TABLE, "public", "plans"), Loss(COLUMN, "public", "users", ("plan",))],
        "ALTER TABLE users DROP COLUMN plan",
        "DROP TABLE plans",
    )
    database.owner("INSERT INTO users VALUES (5)")
    database.up(up)
    assert database.rows("SELECT * FROM users ORDER BY 1") == [(1, 2), (5, 1)]


def test_a_seed_goes_once_its_referrers_have_their_own_values(database):
    """The same with a plain reference: can the undo go through at all?"""
    up = """CREATE TABLE plans (id integer PRIMARY KEY); INSERT INTO plans VALUES (1);
    ALTER TABLE users ADD COLUMN plan integer NOT NULL DEFAULT 1 REFERENCES plans"""
    database.owner("CREATE TABLE users (id integer PRIMARY KEY)", "INSERT INTO users VALUES (1)", up)
    database.owner("INSERT INTO plans VALUES (2)", "UPDATE users SET plan = 2", "DELETE FROM plans WHERE id = 1")
    database.down(
        [Loss(TABLE, "public", "plans"), Loss(COLUMN, "public", "users", ("plan",))],
        "ALTER TABLE users DROP COLUMN plan",
        "DROP TABLE plans",
    )
    database.up(up)
    assert database.rows("SELECT * FROM users ORDER BY 1") == [(1, 2)]


def test_values_with_which_users_changed_places_stand_again(database):
    database.owner(
        "CREATE TABLE t (id integer PRIMARY KEY, v text UNIQUE)", "INSERT INTO t VALUES (1, 'a long'), (2, 'b long')"
    )
    database.down([Loss(VALUES, "public", "t", ("v",))], "UPDATE t SET v = left(v, 1)")
    database.owner("UPDATE t SET v = v || 'x'", "UPDATE t SET v = CASE id WHEN 1 THEN 'b' ELSE 'a' END")
    with database.operator() as c:
        since.note_now(c, SCHEMA)
    # The undo that fails sets the saved values, and the way down shortens them again.
    database.owner(
        "UPDATE t SET v = v || 'x'",
        "UPDATE t SET v = CASE id WHEN 1 THEN 'a long' ELSE 'b long' END",
        "UPDATE t SET v = left(v, 1)",
    )
    with database.operator() as c:
        since.write_again(c, SCHEMA)
    assert database.rows("SELECT * FROM t ORDER BY 1") == [(1, "b"), (2, "a")]


def test_an_index_that_was_in_the_way_keeps_its_tablespace(database):
    with database.awkward.as_superuser(NAME) as connection:
        connection.execute("SET allow_in_place_tablespaces = on")
        connection.execute(f"CREATE TABLESPACE ts OWNER {OWNER} LOCATION ''")
    try:
        change_places(database, "CREATE UNIQUE INDEX u ON t (place) TABLESPACE ts")
        assert database.rows("SELECT reltablespace <> 0 FROM pg_class WHERE relname = 'u'") == [(True,)]
    finally:
        database.owner("DROP TABLE t")
        with database.awkward.as_superuser(NAME) as connection:
            connection.execute("DROP TABLESPACE ts")


def test_a_circle_with_partitions_comes_back(database):
    up = """CREATE TABLE a (id integer PRIMARY KEY, b integer) PARTITION BY LIST (id); CREATE TABLE a1 PARTITION OF a FOR VALUES IN (1, 2);
    CREATE TABLE b (id integer PRIMARY KEY, a integer REFERENCES a);
    ALTER TABLE a ADD CONSTRAINT "F %s" FOREIGN KEY (b) REFERENCES b"""
    database.owner(up, "INSERT INTO a VALUES (1), (2)", "INSERT INTO b VALUES (1, 1), (2, 2)", "UPDATE a SET b = id")
    q = "SELECT conrelid::regclass::text, confrelid::regclass::text, convalidated, condeferrable, condeferred FROM pg_constraint"
    q += " WHERE contype = 'f' ORDER BY 1, 2"
    q2 = "SELECT tgrelid::regclass::text, tgconstrrelid::regclass::text, tgtype, tgdeferrable, tginitdeferred FROM pg_trigger ORDER BY 1, 2, 3"
    before = database.rows(q), database.rows(q2)
    database.down([Loss(TABLE, "public", "a"), Loss(TABLE, "public", "b")], "DROP TABLE a, b CASCADE")
    database.up(up)
    assert database.rows("SELECT * FROM a ORDER BY 1") == [(1, 1), (2, 2)]
    assert (database.rows(q), database.rows(q2)) == before


def test_a_circle_with_a_reference_that_is_not_valid_comes_back(database):
    up = """CREATE TABLE a (id integer PRIMARY KEY, b integer); CREATE TABLE b (id integer PRIMARY KEY, a integer REFERENCES a);
    ALTER TABLE a ADD CONSTRAINT f FOREIGN KEY (b) REFERENCES b NOT VALID"""
    database.owner(up, "INSERT INTO a VALUES (1), (2)", "INSERT INTO b VALUES (1, 1), (2, 2)", "UPDATE a SET b = id")
    q = "SELECT conname::text, convalidated, condeferrable, condeferred FROM pg_constraint WHERE contype = 'f' ORDER BY 1"
    before = database.rows(q)
    database.down(
        [Loss(ROWS, "public", "a"), Loss(ROWS, "public", "b")],
        "ALTER TABLE a DROP CONSTRAINT f; DELETE FROM b; DELETE FROM a",
    )
    database.up("ALTER TABLE a ADD CONSTRAINT f FOREIGN KEY (b) REFERENCES b NOT VALID")
    assert database.rows("SELECT * FROM a ORDER BY 1") == [(1, 1), (2, 2)]
    assert database.rows(q) == before


@pytest.mark.parametrize(
    "u",
    [
        "UNIQUE NULLS NOT DISTINCT (place)",
        "UNIQUE (place) INCLUDE (id)",
        "UNIQUE (place) DEFERRABLE INITIALLY DEFERRED",
        "EXCLUDE USING gist (r WITH &&) WHERE (place > 0)",
    ],
)
def test_rows_change_places_under_each_kind_of_uniqueness(database, u):
    up = f"""ALTER TABLE "T %s" ADD COLUMN place integer, ADD COLUMN r int4range; UPDATE "T %s" SET place = id, r = int4range(id, id + 1);
    ALTER TABLE "T %s" ADD CONSTRAINT "U %(x)s" {u};
    COMMENT ON CONSTRAINT "U %(x)s" ON "T %s" IS 'it''s \\ 5%'"""
    database.owner(
        'CREATE TABLE "T %s" (id integer PRIMARY KEY)',
        'INSERT INTO "T %s" VALUES (1), (2)',
        up,
        'UPDATE "T %s" SET place = id + 10, r = int4range(id + 10, id + 11)',
        'UPDATE "T %s" SET place = 3 - id, r = int4range(3 - id, 4 - id)',
    )
    q = """SELECT pg_get_constraintdef(oid), obj_description(oid, 'pg_constraint') FROM pg_constraint WHERE contype IN ('u', 'x')"""
    before = database.rows(q)
    database.down(
        [Loss(COLUMN, "public", "T %s", ("place", "r"))],
        'ALTER TABLE "T %s" DROP COLUMN place CASCADE, DROP COLUMN r CASCADE',
    )
    database.up(up)
    assert database.rows('SELECT id, place FROM "T %s" ORDER BY 1') == [(1, 2), (2, 1)]
    assert database.rows(q) == before


def test_an_invalid_index_is_left_alone(database):
    """An index that CONCURRENTLY left invalid must not stop what else comes back."""
    up = "ALTER TABLE t ADD COLUMN place integer, ADD COLUMN other integer; UPDATE t SET place = id; ALTER TABLE t ADD UNIQUE (place)"
    database.owner(
        "CREATE TABLE t (id integer PRIMARY KEY)",
        "INSERT INTO t VALUES (1), (2)",
        up,
        "UPDATE t SET place = id + 10",
        "UPDATE t SET place = 3 - id, other = 7",
    )
    database.down(
        [Loss(COLUMN, "public", "t", ("place", "other"))], "ALTER TABLE t DROP COLUMN place, DROP COLUMN other"
    )
    with database.operator() as c:
        since.note_now(c, SCHEMA)
    database.owner(up)
    with database.awkward.as_superuser(NAME) as c:
        c.execute(
            "CREATE UNIQUE INDEX inv ON t (place); UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'inv'::regclass"
        )
    with database.operator() as c:
        salvage.bring_back(c, SCHEMA)
    assert database.rows("SELECT indisvalid FROM pg_index WHERE indexrelid = 'inv'::regclass") == [(False,)]


def test_a_table_comes_back_around_a_key_in_another_form(database):
    up = "CREATE TABLE t (id numeric PRIMARY KEY, v text)"
    database.owner(up, "INSERT INTO t VALUES (1.0, 'saved'), (2, 'b')")
    database.down([Loss(TABLE, "public", "t")], "CREATE TABLE o (id numeric PRIMARY KEY, v text); DROP TABLE t")
    database.owner("INSERT INTO o VALUES (1, 'user')")
    database.up(up, "INSERT INTO t SELECT * FROM o; DROP TABLE o")
    assert database.rows("SELECT v FROM t ORDER BY id") == [("user",), ("b",)]


def test_a_row_that_an_expression_refuses_stays_aside(database):
    up = "CREATE TABLE t (id integer PRIMARY KEY, email text); CREATE UNIQUE INDEX ON t (lower(email))"
    database.owner(up, "INSERT INTO t VALUES (1, 'A'), (2, 'B')")
    database.down([Loss(TABLE, "public", "t")], "CREATE TABLE o (id integer PRIMARY KEY, email text); DROP TABLE t")
    database.owner("INSERT INTO o VALUES (9, 'a')")
    database.up(up, "INSERT INTO t SELECT * FROM o; DROP TABLE o")
    assert database.rows("SELECT id FROM t ORDER BY id") == [(2,), (9,)]


def test_a_sequence_goes_on_behind_what_the_upgrade_gave(database):
    up = "ALTER TABLE t ADD COLUMN num serial"
    database.owner("CREATE TABLE t (id integer PRIMARY KEY)", "INSERT INTO t VALUES (1), (2)", up)
    database.down([Loss(COLUMN, "public", "t", ("num",))], "ALTER TABLE t DROP COLUMN num")
    database.owner("INSERT INTO t VALUES (3)")
    database.up(up)
    database.owner("INSERT INTO t VALUES (4)")
    assert len({r[0] for r in database.rows("SELECT num FROM t")}) == 4


def test_a_role_that_is_gone_gets_nothing(database):
    up = "CREATE TABLE t (id integer PRIMARY KEY)"
    with database.awkward.as_superuser(NAME) as c:
        c.execute("CREATE ROLE reporter_tmp")
    try:
        database.owner(up, "GRANT SELECT ON t TO reporter_tmp", "INSERT INTO t VALUES (1)")
        database.down([Loss(TABLE, "public", "t")], "DROP TABLE t")
    finally:
        with database.awkward.as_superuser(NAME) as c:
            c.execute("DROP ROLE reporter_tmp")
    database.up(up)


def test_materialized_views_are_refreshed_in_their_order(database):
    up = "ALTER TABLE t ADD COLUMN v text; CREATE MATERIALIZED VIEW z AS SELECT v FROM t; CREATE MATERIALIZED VIEW a AS SELECT z.v FROM z, t"
    database.owner("CREATE TABLE t (id integer PRIMARY KEY)", "INSERT INTO t VALUES (1)", up, "UPDATE t SET v = 'a'")
    database.down(
        [Loss(COLUMN, "public", "t", ("v",))],
        "DROP MATERIALIZED VIEW a; DROP MATERIALIZED VIEW z; ALTER TABLE t DROP COLUMN v",
    )
    database.up(up)
    assert database.rows("SELECT v FROM a") == [("a",)]


def test_odd_names_types_and_composite_references_come_back(database):
    """FK on a UNIQUE column, kept rows with NULLs in a composite FK, uppercase and percent names, domain and enum keys."""
    up = """CREATE TYPE "E %" AS ENUM ('a''%', 'B "q"'); CREATE DOMAIN "D" AS integer;
    CREATE TABLE "P %s" ("K" "E %", "L ""x" "D", u integer UNIQUE, PRIMARY KEY ("K", "L ""x"));
    CREATE TABLE "C" (id "D" PRIMARY KEY, "K" "E %", "L ""x" "D", u integer REFERENCES "P %s" (u), FOREIGN KEY ("K", "L ""x") REFERENCES "P %s")"""
    fill = """INSERT INTO "P %s" VALUES ('a''%', 1, 5), ('B "q"', 1, NULL);
    INSERT INTO "C" VALUES (1, 'a''%', 1, 5), (2, NULL, 1, NULL), (3, 'B "q"', NULL, 5)"""
    database.owner(up, fill)
    before = database.content()
    database.down(
        [Loss(TABLE, "public", "C"), Loss(TABLE, "public", "P %s")],
        'DROP TABLE "C", "P %s"; DROP TYPE "E %"; DROP DOMAIN "D"',
    )
    assert database.up(up) == []
    assert database.content() == before


def test_a_seed_with_children_that_would_go_along_gives_way(database):
    """ON DELETE CASCADE inside the copies: the seed's children are copies themselves."""
    up = """CREATE TABLE p (id integer PRIMARY KEY); CREATE TABLE c (id integer PRIMARY KEY, p integer NOT NULL REFERENCES p ON DELETE CASCADE);
    INSERT INTO p VALUES (1); INSERT INTO c VALUES (1, 1)"""
    database.owner(up, "DELETE FROM p; INSERT INTO p VALUES (2); INSERT INTO c VALUES (1, 2)")
    before = database.content()
    database.down([Loss(TABLE, "public", "p"), Loss(TABLE, "public", "c")], "DROP TABLE c, p")
    assert database.up(up) == []
    assert database.content() == before


def test_nor_does_one_that_its_children_hold(database):
    up = """CREATE TABLE p (id integer PRIMARY KEY); CREATE TABLE c (id integer PRIMARY KEY, p integer NOT NULL REFERENCES p);
    INSERT INTO p VALUES (1); INSERT INTO c VALUES (1, 1)"""
    database.owner(up, "DELETE FROM c; DELETE FROM p; INSERT INTO p VALUES (2); INSERT INTO c VALUES (1, 2)")
    before = database.content()
    database.down([Loss(TABLE, "public", "p"), Loss(TABLE, "public", "c")], "DROP TABLE c, p")
    assert database.up(up) == []
    assert database.content() == before
