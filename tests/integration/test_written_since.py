"""What users write on the older version between a downgrade and its undo, on real servers: none of it is overwritten."""

from __future__ import annotations

import pytest
from down_and_up import SCHEMA

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.migrations.operations import COLUMN, ROWS, TABLE, VALUES, Loss
from ansible.module_utils.rollback.postgres import salvage, since

pytestmark = pytest.mark.slow

EVERY_TYPE = """
CREATE TYPE mood AS ENUM ('so so', 'très bien'); CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE TYPE pair AS (a integer, b text);
CREATE TABLE "T ""x"" 5%" (
  a integer, "b B" text, m mood, p positive, c pair, ts text[], f double precision, at timestamptz, j jsonb, plain json, b bytea,
  n numeric, PRIMARY KEY (a, "b B"));
INSERT INTO "T ""x"" 5%" SELECT g, 'k', 'très bien', g, ROW(g, E'x\\ty "z", ş')::pair, ARRAY['a,b', NULL, ''], 1 / g::float8,
  '2026-01-01 00:00+00'::timestamptz + g * interval '1 second', jsonb_build_object('n', g), '{"b": 1,  "a": 2}',
  decode(md5(g::text), 'hex'), 'NaN' FROM generate_series(1, 20) g;
INSERT INTO "T ""x"" 5%" (a, "b B") VALUES (0, '');
"""
TYPED = ("m", "p", "c", "ts", "f", "at", "j", "plain", "b", "n")
TYPES = '"T ""x"" 5%"'
EMPTIED = f"UPDATE {TYPES} SET {', '.join(f'{name} = NULL' for name in TYPED)}"


@pytest.mark.parametrize("kind", [VALUES, ROWS])
def test_without_writes_everything_comes_back(database, kind):
    database.owner(EVERY_TYPE)
    before = database.content()
    losses = [Loss(VALUES, "public", 'T "x" 5%', TYPED)] if kind == VALUES else [Loss(ROWS, "public", 'T "x" 5%')]
    database.down(losses, EMPTIED if kind == VALUES else f"DELETE FROM {TYPES} WHERE a > 5")
    assert database.compare() == []
    # The upgrade's own rewriting is nobody's write.
    assert database.up(f"UPDATE {TYPES} SET m = 'so so'" if kind == VALUES else "SELECT 1") == []
    assert database.content() == before


@pytest.mark.parametrize(
    ("column", "written"),
    [
        ("m", "so so"),
        ("p", "77"),
        ("c", "(1,user)"),
        ("ts", "{user}"),
        ("f", "0.1"),
        ("at", "2030-05-05 05:05:05.123456+00"),
        ("j", '{"user": null}'),
        ("plain", '{"user":   1}'),
        ("b", "\\x00ff"),
        ("n", "0.00"),
    ],
)
def test_a_value_of_any_type_that_users_wrote_stays(database, column, written):
    database.owner(EVERY_TYPE)
    database.down([Loss(VALUES, "public", 'T "x" 5%', TYPED)], EMPTIED)
    database.owner(f"UPDATE {TYPES} SET {column} = '{written}' WHERE (a, \"b B\") = (7, 'k')")
    assert database.compare() == [{"schema": "public", "table": 'T "x" 5%', "rows": 1, "dropped": False}]
    (conflict,) = database.up()
    assert (conflict["column"], conflict["key"], conflict["left"], conflict["written"], conflict["live"]) == (
        column,
        {"a": "7", "b B": "k"},
        None,
        written,
        True,
    )
    assert conflict["saved"] is not None
    assert database.rows(f"SELECT {column}::text FROM {TYPES} WHERE a = 7") == [(written,)]
    # The other columns of that row, and the same column of others, are as they were.
    others = " OR ".join(f"{name} IS NULL" for name in TYPED)
    assert database.rows(f"SELECT a FROM {TYPES} WHERE a > 0 AND ({others})") == []


def test_a_value_that_users_removed_stays_removed(database):
    database.owner(
        "CREATE TABLE t (id integer PRIMARY KEY, v text)", "INSERT INTO t VALUES (1, 'long one'), (2, 'long two')"
    )
    database.down([Loss(VALUES, "public", "t", ("v",))], "UPDATE t SET v = left(v, 4)")
    database.owner("UPDATE t SET v = NULL WHERE id = 1")
    (conflict,) = database.up()
    assert (conflict["saved"], conflict["left"], conflict["written"]) == ("long one", "long", None)
    assert database.rows("SELECT * FROM t ORDER BY id") == [(1, None), (2, "long two")]


def test_what_the_upgrade_makes_of_a_users_value_stays(database):
    """States: the newer version knows more of them; going up translates them."""
    database.owner("CREATE TABLE t (id integer PRIMARY KEY, state text)")
    database.owner("INSERT INTO t VALUES (1, 'triaged'), (2, 'triaged'), (3, 'closed')")
    database.down([Loss(VALUES, "public", "t", ("state",))], "UPDATE t SET state = 'open' WHERE state = 'triaged'")
    database.owner("UPDATE t SET state = 'done' WHERE id = 2", "UPDATE t SET state = 'open' WHERE id = 3")
    found = database.up("UPDATE t SET state = CASE state WHEN 'done' THEN 'closed' ELSE 'new' END")
    assert [(one["key"]["id"], one["saved"], one["left"], one["written"]) for one in found] == [
        ("2", "triaged", "open", "done"),
        ("3", "closed", "closed", "open"),
    ]
    assert database.rows("SELECT * FROM t ORDER BY id") == [(1, "triaged"), (2, "closed"), (3, "new")]


def test_a_user_who_wrote_the_saved_value_again_is_no_conflict(database):
    database.owner("CREATE TABLE t (id integer PRIMARY KEY, v text)", "INSERT INTO t VALUES (1, 'saved')")
    database.down([Loss(VALUES, "public", "t", ("v",))], "UPDATE t SET v = ''")
    database.owner("UPDATE t SET v = 'saved'")
    assert database.up() == []
    assert database.rows("SELECT v FROM t") == [("saved",)]


def test_rows_that_users_deleted_or_put_in_their_place_stay_so(database):
    database.owner("CREATE TABLE t (id integer PRIMARY KEY, v text UNIQUE)")
    database.owner("INSERT INTO t SELECT g, 'v' || g FROM generate_series(1, 9) g")
    database.down([Loss(ROWS, "public", "t")], "DELETE FROM t WHERE id > 5")
    database.owner(
        "DELETE FROM t WHERE id = 1",
        "UPDATE t SET id = 100 WHERE id = 2",
        "UPDATE t SET v = 'user' WHERE id = 3",
        "INSERT INTO t VALUES (6, 'user 6'), (50, 'v7')",
        "INSERT INTO t VALUES (9, 'v9')",
    )
    found = database.up()
    assert [(one["key"]["id"], one["saved"]["v"], one["written"] and one["written"]["v"]) for one in found] == [
        ("1", "v1", None),
        ("2", "v2", None),
        ("6", "v6", "user 6"),
        ("7", "v7", None),
    ]
    assert database.rows("SELECT * FROM t ORDER BY id") == [
        (3, "user"),
        (4, "v4"),
        (5, "v5"),
        (6, "user 6"),
        (8, "v8"),
        (9, "v9"),
        (50, "v7"),
        (100, "v2"),
    ]


def test_a_row_in_the_place_of_a_deleted_one_gets_none_of_its_values(database):
    database.owner("CREATE TABLE t (id integer PRIMARY KEY, v text)", "INSERT INTO t VALUES (1, 'v1'), (2, 'v2')")
    database.down(
        [Loss(VALUES, "public", "t", ("v",)), Loss(ROWS, "public", "t")],
        "DELETE FROM t WHERE id = 1",
        "UPDATE t SET v = ''",
    )
    database.owner("INSERT INTO t VALUES (1, 'user')")
    assert {one["written"]["v"] if one["column"] == "" else one["written"] for one in database.up()} == {"user"}
    assert database.rows("SELECT * FROM t ORDER BY id") == [(1, "user"), (2, "v2")]


def test_what_users_wrote_where_only_the_older_version_has_a_place_is_kept_aside(database):
    newer = "ALTER TABLE t ADD COLUMN phone text"
    database.owner(
        "CREATE TABLE t (id integer PRIMARY KEY, note text)", "INSERT INTO t VALUES (1, 'a'), (2, 'b')", newer
    )
    database.owner("UPDATE t SET phone = 'p' || id")
    database.down(
        [Loss(COLUMN, "public", "t", ("phone",))],
        "ALTER TABLE t DROP COLUMN phone, ADD COLUMN fax text",
        "CREATE TABLE faxes (id serial PRIMARY KEY, number text); INSERT INTO faxes (number) VALUES ('left')",
        "CREATE TABLE heap (a text); INSERT INTO heap VALUES ('same'), ('same')",
    )
    database.owner(
        "UPDATE t SET fax = 'f1' WHERE id = 1",
        "INSERT INTO faxes (number) VALUES ('user')",
        "INSERT INTO heap VALUES ('same'), (NULL)",
    )
    compared = {one["table"]: (one["rows"], one["dropped"]) for one in database.compare()}
    assert compared == {"t": (1, True), "faxes": (1, True), "heap": (2, True)}
    found = database.up("DROP TABLE faxes, heap", "ALTER TABLE t DROP COLUMN fax", newer)
    assert {(one["table"], str(one["written"]), one["live"]) for one in found} == {
        ("public.t", "{'fax': 'f1'}", False),
        ("public.faxes", "{'id': '2', 'number': 'user'}", False),
        ("public.heap", "{'a': 'same'}", False),
        ("public.heap", "{'a': None}", False),
    }
    assert database.rows("SELECT id, phone FROM t ORDER BY id") == [(1, "p1"), (2, "p2")]


def test_what_the_upgrade_does_not_drop_is_not_listed(database):
    database.owner("CREATE TABLE t (id integer PRIMARY KEY, v text)", "INSERT INTO t VALUES (1, 'v')")
    database.down(
        [Loss(VALUES, "public", "t", ("v",))], "UPDATE t SET v = ''", "CREATE TABLE stays (id integer PRIMARY KEY)"
    )
    database.owner("INSERT INTO stays VALUES (1)")
    assert database.up() == []
    assert database.rows("SELECT * FROM stays") == [(1,)]


def test_columns_that_the_upgrade_makes_of_a_users_value_stay(database):
    """A name in two columns, which the older version has in one."""
    database.owner("CREATE TABLE t (id integer PRIMARY KEY, first text, last text, mood text DEFAULT 'fine')")
    database.owner(
        "INSERT INTO t VALUES (1, 'Ada', 'Love lace', 'bad'), (2, 'Alan', 'Turing', 'bad'), (3, 'G', NULL, 'bad')"
    )
    database.down(
        [Loss(COLUMN, "public", "t", ("first", "last", "mood"))],
        "ALTER TABLE t ADD COLUMN name text",
        "UPDATE t SET name = concat_ws(' ', first, last)",
        "ALTER TABLE t DROP COLUMN first, DROP COLUMN last, DROP COLUMN mood",
    )
    database.owner("UPDATE t SET name = 'Alan Mathison' WHERE id = 2")
    found = database.up(
        "ALTER TABLE t ADD COLUMN first text, ADD COLUMN last text, ADD COLUMN mood text DEFAULT 'fine'",
        "UPDATE t SET first = split_part(name, ' ', 1), last = nullif(split_part(name, ' ', 2), '')",
        "ALTER TABLE t DROP COLUMN name",
    )
    assert database.rows("SELECT first, last, mood FROM t ORDER BY id") == [
        ("Ada", "Love lace", "bad"),
        ("Alan", "Mathison", "bad"),
        ("G", None, "bad"),
    ]
    assert ("last", "Turing", {"name": "Alan Mathison"}) in [
        (one["column"], one["saved"], one["written"]) for one in found if one["live"]
    ]


def test_rows_that_the_upgrade_moves_out_of_the_older_table_stay(database):
    newer = "CREATE TABLE customers (id integer PRIMARY KEY, name text, phone text)"
    database.owner(newer, "INSERT INTO customers SELECT g, 'n' || g, 'p' || g FROM generate_series(1, 4) g")
    database.down(
        [Loss(TABLE, "public", "customers")],
        "CREATE TABLE clients (id integer PRIMARY KEY, name text); INSERT INTO clients SELECT id, name FROM customers",
        "DROP TABLE customers",
    )
    database.owner(
        "INSERT INTO clients VALUES (9, 'new')",
        "UPDATE clients SET name = 'user' WHERE id = 2",
        "DELETE FROM clients WHERE id = 3",
    )
    found = database.up(newer, "INSERT INTO customers (id, name) SELECT id, name FROM clients", "DROP TABLE clients")
    assert database.rows("SELECT * FROM customers ORDER BY id") == [
        (1, "n1", "p1"),
        (2, "user", None),
        (4, "n4", "p4"),
        (9, "new", None),
    ]
    kept = {one["key"]["id"]: one["saved"] for one in found if one["live"]}
    assert kept == {
        "2": {"id": "2", "name": "n2", "phone": "p2"},
        "3": {"id": "3", "name": "n3", "phone": "p3"},
        "9": None,
    }


def test_a_table_that_the_upgrade_leaves_empty_comes_back_whole(database):
    newer = "CREATE TABLE calls (id integer PRIMARY KEY, note text)"
    database.owner(newer, "INSERT INTO calls VALUES (1, 'a'), (2, 'b')")
    database.down([Loss(TABLE, "public", "calls")], "DROP TABLE calls", "CREATE TABLE other (id integer PRIMARY KEY)")
    database.owner("INSERT INTO other VALUES (1), (7)")
    database.up(newer)
    assert database.rows("SELECT * FROM calls ORDER BY id") == [(1, "a"), (2, "b")]


def test_a_table_of_the_same_name_keeps_what_users_wrote_into_it(database):
    newer = "CREATE TABLE t (id integer PRIMARY KEY, v text, extra text)"
    database.owner(newer, "INSERT INTO t SELECT g, 'v', 'x' FROM generate_series(1, 4) g")
    older = "CREATE TABLE t2 (id integer PRIMARY KEY, v text); INSERT INTO t2 SELECT id, v FROM t; DROP TABLE t; ALTER TABLE t2 RENAME TO t"
    database.down([Loss(TABLE, "public", "t")], older)
    database.owner(
        "DELETE FROM t WHERE id = 1", "UPDATE t SET v = 'user' WHERE id = 2", "INSERT INTO t VALUES (9, 'new')"
    )
    found = database.up(
        "ALTER TABLE t RENAME TO t2", newer, "INSERT INTO t (id, v) SELECT id, v FROM t2; DROP TABLE t2"
    )
    assert database.rows("SELECT * FROM t ORDER BY id") == [
        (2, "user", None),
        (3, "v", "x"),
        (4, "v", "x"),
        (9, "new", None),
    ]
    assert [(one["key"]["id"], one["live"]) for one in found] == [("1", True), ("2", True), ("9", True)]


def test_a_unique_value_that_users_gave_to_another_row_stays_there(database):
    database.owner('CREATE TABLE t (id integer PRIMARY KEY, "100%s" text UNIQUE, v text)')
    database.owner("INSERT INTO t SELECT g, 'm' || g, 'v' || g FROM generate_series(1, 3) g")
    database.down([Loss(VALUES, "public", "t", ("100%s", "v"))], 'UPDATE t SET "100%s" = NULL, v = NULL')
    database.owner("INSERT INTO t VALUES (9, 'm1', 'user')")
    found = database.up()
    assert [(one["key"]["id"], one["column"], one["saved"]) for one in found] == [("1", "100%s", "m1")]
    assert database.rows("SELECT * FROM t ORDER BY id") == [
        (1, None, "v1"),
        (2, "m2", "v2"),
        (3, "m3", "v3"),
        (9, "m1", "user"),
    ]


def test_a_unique_value_of_a_table_that_users_gave_to_another_row_stays_there(database):
    newer = "CREATE TABLE customers (id integer PRIMARY KEY, mail text UNIQUE)"
    database.owner(newer, "INSERT INTO customers VALUES (1, 'a'), (2, 'b')")
    older = "CREATE TABLE clients (id integer PRIMARY KEY, mail text); INSERT INTO clients SELECT * FROM customers"
    database.down([Loss(TABLE, "public", "customers")], older, "DROP TABLE customers")
    database.owner("UPDATE clients SET mail = 'c' WHERE id = 1", "INSERT INTO clients VALUES (9, 'a')")
    database.owner("UPDATE clients SET mail = 'x' WHERE id = 2", "INSERT INTO clients VALUES (8, 'b')")
    database.up(newer, "INSERT INTO customers SELECT * FROM clients", "DROP TABLE clients")
    assert database.rows("SELECT * FROM customers ORDER BY id") == [(1, "c"), (2, "x"), (8, "b"), (9, "a")]


def test_rows_and_columns_that_refer_to_what_users_deleted_stay_aside(database):
    newer = """CREATE TABLE child (id integer PRIMARY KEY, of integer REFERENCES t, above integer REFERENCES child, note text);
    ALTER TABLE u ADD COLUMN of integer REFERENCES t, ADD COLUMN phone text"""
    database.owner("CREATE TABLE t (id integer PRIMARY KEY); CREATE TABLE u (id integer PRIMARY KEY)", newer)
    database.owner("INSERT INTO t VALUES (1), (2)", "INSERT INTO u VALUES (1, 1, 'p1'), (2, 2, 'p2')")
    database.owner(
        "INSERT INTO child VALUES (1, 1, NULL, 'a'), (2, 2, NULL, 'b'), (3, 1, 2, 'c'), (4, 1, 3, 'd'), (5, NULL, 1, 'e')"
    )
    database.down(
        [Loss(TABLE, "public", "child"), Loss(COLUMN, "public", "u", ("of", "phone"))],
        "DROP TABLE child; ALTER TABLE u DROP COLUMN of, DROP COLUMN phone",
    )
    database.owner("DELETE FROM t WHERE id = 2")
    found = database.up(newer)
    assert [(one["table"], one["key"]["id"], one["column"]) for one in found] == [
        ("public.child", "2", ""),
        ("public.child", "3", ""),
        ("public.child", "4", ""),
        ("public.u", "2", "of"),
    ]
    assert database.rows("SELECT id, note FROM child ORDER BY id") == [(1, "a"), (5, "e")]
    assert database.rows("SELECT id, of, phone FROM u ORDER BY id") == [(1, 1, "p1"), (2, None, "p2")]


def test_rows_of_a_table_without_a_key_are_kept_aside(database):
    """Which of its rows are whose cannot be told, so what was saved comes back whole, and what users wrote is listed."""
    newer = "CREATE TABLE t (v text, extra text)"
    database.owner(newer, "INSERT INTO t VALUES ('a', 'x'), ('a', 'x')")
    database.down(
        [Loss(TABLE, "public", "t")], "CREATE TABLE t2 AS SELECT v FROM t; DROP TABLE t; ALTER TABLE t2 RENAME TO t"
    )
    database.owner("INSERT INTO t VALUES ('user')")
    (kept,) = database.up("DROP TABLE t", newer)
    assert (kept["table"], kept["written"], kept["live"]) == ("public.t", {"v": "user"}, False)
    assert database.rows("SELECT * FROM t") == [("a", "x"), ("a", "x")]


def test_a_table_that_was_renamed_is_followed(database):
    database.owner("CREATE TABLE t (id integer PRIMARY KEY, v text)", "INSERT INTO t VALUES (1, 'one'), (2, 'two')")
    database.down([Loss(VALUES, "public", "t", ("v",))], "UPDATE t SET v = ''")
    database.owner("UPDATE t SET v = 'user' WHERE id = 1", "ALTER TABLE t RENAME TO renamed")
    found = database.up("ALTER TABLE renamed RENAME TO t")
    assert [one["written"] for one in found] == ["user"]
    assert database.rows("SELECT v FROM t ORDER BY id") == [("user",), ("two",)]


def test_what_row_level_security_hides_is_not_compared_and_fails_nothing(database):
    database.owner("CREATE TABLE t (id integer PRIMARY KEY, v text)", "INSERT INTO t VALUES (1, 'one')")
    database.down(
        [Loss(VALUES, "public", "t", ("v",))],
        "UPDATE t SET v = ''",
        "CREATE TABLE hidden (id integer PRIMARY KEY); ALTER TABLE hidden ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
    )
    assert database.compare() == []
    assert database.up("DROP TABLE hidden") == []
    assert database.rows("SELECT v FROM t") == [("one",)]


def test_policies_that_came_meanwhile_are_no_reason_to_compare_with_nothing(database):
    database.owner("CREATE TABLE t (id integer PRIMARY KEY, v text)", "INSERT INTO t VALUES (1, 'one')")
    database.down([Loss(VALUES, "public", "t", ("v",))], "UPDATE t SET v = ''")
    database.owner("ALTER TABLE t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
    with pytest.raises(RollbackError, match=r"row-level security hides rows of public\.t"):
        database.compare()


def test_rows_of_partitions_are_compared_through_their_parent(database):
    parts = """CREATE TABLE p (id integer, at date, v text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
    CREATE TABLE p1 PARTITION OF p FOR VALUES FROM ('2026-01-01') TO ('2026-02-01'); CREATE TABLE pd PARTITION OF p DEFAULT"""
    database.owner(parts, "INSERT INTO p VALUES (1, '2026-01-05', 'one'), (2, '2027-01-01', 'two')")
    database.down([Loss(VALUES, "public", "p", ("v",))], "UPDATE p SET v = ''")
    database.owner("UPDATE pd SET v = 'user'")
    (conflict,) = database.up()
    assert (conflict["table"], conflict["written"]) == ("public.p", "user")
    assert database.rows("SELECT v FROM p ORDER BY id") == [("one",), ("user",)]


def test_what_was_left_is_recorded_once_and_what_is_there_now_anew(database):
    database.owner("CREATE TABLE t (id integer PRIMARY KEY, v text)", "INSERT INTO t VALUES (1, 'v')")
    database.down([Loss(VALUES, "public", "t", ("v",))], "UPDATE t SET v = ''")
    database.owner("UPDATE t SET v = 'user'")
    with database.operator() as connection:
        assert since.note_left(connection, SCHEMA) == []
        assert since.note_now(connection, SCHEMA) == since.note_now(connection, SCHEMA) == 1
    assert len(database.up()) == 1


def test_without_a_note_of_what_was_left_everything_comes_back(database):
    database.owner("CREATE TABLE t (id integer PRIMARY KEY, v text)", "INSERT INTO t VALUES (1, 'v')")
    with database.operator() as connection:
        salvage.save(connection, SCHEMA, [Loss(VALUES, "public", "t", ("v",))])
    database.owner("UPDATE t SET v = ''")
    assert database.up() == []
    assert database.rows("SELECT v FROM t") == [("v",)]


# In the middle of the way up ----------------------------------------------------------------------------------------------------


def test_a_table_that_has_the_name_for_a_while_is_not_written_to(database):
    """The usual swap: a new table is made, then the names change places."""
    database.owner("CREATE TABLE items_old (id integer PRIMARY KEY, v text)")
    database.owner("INSERT INTO items_old SELECT g, 'old' || g FROM generate_series(1, 5) g")
    database.owner("CREATE TABLE items (id integer PRIMARY KEY, v text)")
    database.owner("INSERT INTO items SELECT g, 'new' || g FROM generate_series(1, 9) g")
    before = database.content()
    losses = [Loss(TABLE, "public", "items", (), "e5")]
    database.down(losses, "DROP TABLE items", "ALTER TABLE items_old RENAME TO items")
    with database.operator() as connection:
        since.note_now(connection, SCHEMA)
    database.owner("CREATE TABLE items_v2 (id integer PRIMARY KEY, v text)")
    with database.operator() as connection:
        for rows in (False, True):
            assert salvage.bring_back_early(connection, SCHEMA, ["e5"], rows=rows) == []
    database.owner("ALTER TABLE items RENAME TO items_old", "ALTER TABLE items_v2 RENAME TO items")
    with database.operator() as connection:
        salvage.bring_back(connection, SCHEMA)
    assert database.content() == before


def test_nor_is_a_column_of_such_a_table(database):
    database.owner("CREATE TABLE t (id integer PRIMARY KEY, note text)", "INSERT INTO t VALUES (1, 'mine')")
    database.owner("CREATE TABLE other (id integer PRIMARY KEY, note text)", "INSERT INTO other VALUES (1, 'theirs')")
    database.down([Loss(COLUMN, "public", "t", ("note",), "e5")], "ALTER TABLE t DROP note")
    database.owner("ALTER TABLE t RENAME TO away", "ALTER TABLE other RENAME TO t")
    with database.operator() as connection:
        assert salvage.bring_back_early(connection, SCHEMA, ["e5"], rows=True) == []
    assert database.rows("SELECT note FROM t") == [("theirs",)]


def test_a_row_that_the_upgrade_makes_again_gets_back_what_users_had_made_of_it(database):
    database.owner("CREATE TABLE settings (key text PRIMARY KEY, value text)")
    database.owner("INSERT INTO settings VALUES ('theme', 'dark'), ('kept', 'a')")
    losses = [Loss(ROWS, "public", "settings")]
    database.down(losses, "DELETE FROM settings WHERE key = 'theme'")
    database.owner("UPDATE settings SET value = 'b' WHERE key = 'kept'")
    database.up("INSERT INTO settings VALUES ('theme', 'light')")
    assert database.rows("SELECT * FROM settings ORDER BY key") == [("kept", "b"), ("theme", "dark")]


def test_what_users_wrote_stands_again_after_an_undo_that_led_down_again(database):
    database.owner("CREATE TABLE orders (id integer PRIMARY KEY, v text)", "CREATE TABLE gifts (n integer PRIMARY KEY)")
    database.owner("INSERT INTO orders VALUES (1, 'paid'), (2, 'paid')", "INSERT INTO gifts VALUES (7)")
    losses = [Loss(VALUES, "public", "orders", ("v",)), Loss(TABLE, "public", "gifts")]
    down = ["UPDATE orders SET v = 'closed'", "DROP TABLE gifts", "CREATE TABLE gifts (id integer PRIMARY KEY, w text)"]
    database.down(losses, *down)
    database.owner("UPDATE orders SET v = 'open' WHERE id = 1", "INSERT INTO gifts VALUES (1, 'a'), (2, 'b')")
    written = database.content()
    with database.operator() as connection:
        since.note_now(connection, SCHEMA)
    database.owner("UPDATE orders SET v = 'paid'", "DROP TABLE gifts", "CREATE TABLE gifts (n integer PRIMARY KEY)")
    database.owner(*down)
    assert database.content() != written
    with database.operator() as connection:
        assert since.write_again(connection, SCHEMA) > 0
    assert database.content() == written


def test_what_went_though_no_revision_did_is_named_before_its_copy_is_dropped(database):
    database.owner("CREATE TABLE gifts (n integer PRIMARY KEY)", "INSERT INTO gifts SELECT generate_series(1, 20)")
    database.owner("CREATE TABLE t (id integer PRIMARY KEY, note text)", "INSERT INTO t VALUES (1, 'x')")
    with database.operator() as connection:
        salvage.save(connection, SCHEMA, [Loss(TABLE, "public", "gifts"), Loss(COLUMN, "public", "t", ("note",))])
        assert salvage.taken_in_part(connection, SCHEMA) == []
        for statement, gone in (
            ("UPDATE t SET note = 'y'", "public.t: 1 values of note"),
            ("DELETE FROM gifts WHERE n > 5", "15 rows of public.gifts"),
            ("INSERT INTO gifts SELECT generate_series(21, 40)", "15 rows of public.gifts"),
            ("DROP TABLE gifts", "table public.gifts"),
            ("ALTER TABLE t DROP note", "public.t: note"),
        ):
            database.owner(statement)
            assert gone in salvage.taken_in_part(connection, SCHEMA)
            with pytest.raises(RollbackError, match="is gone, and kept in schema"):
                salvage.save(
                    connection, SCHEMA, [Loss(TABLE, "public", "gifts"), Loss(COLUMN, "public", "t", ("note",))]
                )


def test_tables_that_refer_to_each_other_keep_what_users_wrote(database):
    older = "CREATE TABLE squads (id integer PRIMARY KEY, name text)"
    newer = """CREATE TABLE teams (id integer PRIMARY KEY, name text, lead integer);
    CREATE TABLE people (id integer PRIMARY KEY, team integer REFERENCES teams);
    ALTER TABLE teams ADD FOREIGN KEY (lead) REFERENCES people"""
    database.owner(newer, "INSERT INTO teams VALUES (1, 'a'), (2, 'b'); INSERT INTO people VALUES (1, 2), (2, 1)")
    database.owner("UPDATE teams SET lead = id")
    down = f"{older}; INSERT INTO squads SELECT id, name FROM teams; ALTER TABLE teams DROP COLUMN lead; DROP TABLE people; DROP TABLE teams"
    database.down([Loss(TABLE, "public", "teams"), Loss(TABLE, "public", "people")], down)
    database.owner("UPDATE squads SET name = 'user' WHERE id = 1")
    database.up(newer, "INSERT INTO teams SELECT id, name FROM squads; DROP TABLE squads")
    assert database.rows("SELECT * FROM teams ORDER BY id") == [(1, "user", None), (2, "b", 2)]
    assert database.rows("SELECT * FROM people ORDER BY id") == [(1, 2), (2, 1)]


def test_values_that_came_early_and_led_down_again_wait_for_a_step_that_fails(database):
    database.owner("CREATE TABLE t (id integer PRIMARY KEY, note text)", "INSERT INTO t VALUES (1, 'x')")
    database.down([Loss(COLUMN, "public", "t", ("note",), "e5")], "ALTER TABLE t DROP note")
    add, drop = "ALTER TABLE t ADD note text", "ALTER TABLE t DROP note"
    came = []
    for rows in (False, False, True, False):
        database.owner(add)
        with database.operator() as connection:
            salvage.begin_again(connection, SCHEMA)
            came.append(len(salvage.bring_back_early(connection, SCHEMA, ["e5"], rows=rows)))
        database.owner(drop)
    assert came == [1, 0, 1, 1]


def test_what_an_older_version_of_the_tool_has_kept_comes_back_too(database):
    database.owner("CREATE TABLE t (id integer PRIMARY KEY, note text)", "INSERT INTO t VALUES (1, 'x')")
    with database.operator() as connection:
        salvage.save(connection, SCHEMA, [Loss(COLUMN, "public", "t", ("note",), "e5")])
        connection.execute(
            f"ALTER TABLE {SCHEMA}.contents DROP back, DROP early; DROP TABLE {SCHEMA}.before;"
            f"UPDATE {SCHEMA}.contents SET content = content - 'due' - 'oid'"
        )
    database.owner("ALTER TABLE t DROP note", "ALTER TABLE t ADD note text")
    with database.operator() as connection:
        salvage.begin_again(connection, SCHEMA)
        assert since.note_now(connection, SCHEMA) == 0
        assert salvage.bring_back_early(connection, SCHEMA, ["e5"]) == []
        salvage.bring_back(connection, SCHEMA)
    assert database.rows("SELECT note FROM t") == [("x",)]
