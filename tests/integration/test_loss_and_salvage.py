"""What a downgrade takes away, counted and kept aside on real servers, and what comes back is what was there."""

from __future__ import annotations

import pytest
from down_and_up import NAME, SCHEMA
from servers import OPERATOR, OWNER

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.migration_lines import counted as counted_words
from ansible.module_utils.rollback.migration_lines import what
from ansible.module_utils.rollback.migrations.operations import COLUMN, ROWS, TABLE, VALUES, Loss
from ansible.module_utils.rollback.postgres import census, loss, salvage, vanished

pytestmark = pytest.mark.slow

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
TABLES = [Loss(TABLE, "public", 'Odd "Names" Şİ'), Loss(TABLE, "public", "child"), Loss(TABLE, "public", "keyless")]


def test_whole_tables_come_back_with_types_that_were_dropped(database):
    database.owner(UPGRADE, FILL)
    before = database.everything()
    saved = database.save(TABLES)
    assert {entry["table"]: entry["rows"] for entry in saved} == {'Odd "Names" Şİ': 202, "child": 50, "keyless": 4}
    database.owner(DOWNGRADE, UPGRADE)
    assert [entry["gone"] for entry in database.bring_back()] == [0, 0, 0]
    database.forget()
    assert database.everything() == before


def test_columns_come_back_to_the_rows_that_are_still_there(database):
    database.owner("CREATE TABLE t (a integer, b text, note text, PRIMARY KEY (a, b))")
    add = "CREATE TYPE mood AS ENUM ('so so', 'fine'); ALTER TABLE t ADD COLUMN m mood DEFAULT 'fine', ADD COLUMN phone text"
    database.owner(
        add,
        "INSERT INTO t SELECT g, 'b', 'n', 'so so', 'p' || g FROM generate_series(1, 20) g",
        "UPDATE t SET m = NULL WHERE a = 3",
    )
    (saved,) = database.save([Loss(COLUMN, "public", "t", ("m",)), Loss(COLUMN, "public", "t", ("phone",))])
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
    before = database.everything()
    database.save([Loss(VALUES, "public", "t", ("v",)), Loss(ROWS, "public", "t")])
    database.owner("DELETE FROM t WHERE id > 7", "ALTER TABLE t ALTER COLUMN v TYPE varchar(4) USING left(v, 4)")
    database.owner("ALTER TABLE t ALTER COLUMN v TYPE varchar(40)")
    database.bring_back()
    database.forget()
    assert database.everything() == before


def test_what_the_upgrade_seeds_gives_way_to_what_was_kept(database):
    make = (
        "CREATE TABLE seeds (id integer PRIMARY KEY, t text); INSERT INTO seeds VALUES (1, 'default'), (2, 'default')"
    )
    database.owner(
        make,
        "UPDATE seeds SET t = 'mine' WHERE id = 1; DELETE FROM seeds WHERE id = 2; INSERT INTO seeds VALUES (3, 'mine')",
    )
    before = database.everything()
    database.save([Loss(TABLE, "public", "seeds")])
    database.owner("DROP TABLE seeds", make)
    database.bring_back()
    database.forget()
    assert database.everything() == before


def test_triggers_of_the_application_do_not_run_again(database):
    database.owner(
        "CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.at = now(); RETURN NEW; END $$",
        "CREATE TABLE t (id integer PRIMARY KEY, phone text, at timestamptz)",
        "INSERT INTO t VALUES (1, 'p', '2020-01-01')",
        "CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION stamp()",
    )
    before = database.everything()
    database.save([Loss(COLUMN, "public", "t", ("phone",))])
    database.owner("ALTER TABLE t DROP COLUMN phone", "ALTER TABLE t ADD COLUMN phone text")
    database.bring_back()
    database.forget()
    with database.operator() as connection:
        query = "SELECT phone, at::date::text, (SELECT tgenabled::text FROM pg_trigger WHERE tgname = 'stamp') FROM t"
        assert connection.execute(query).fetchone() == ("p", "2020-01-01", "O")
    assert database.everything()["settings"] == before["settings"]


def test_triggers_fire_as_they_did(database):
    database.owner(
        "CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$",
        "CREATE TABLE t (id integer PRIMARY KEY, phone text) PARTITION BY LIST (id)",
        "CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1); INSERT INTO t VALUES (1, 'p')",
        *(
            f'CREATE TRIGGER "{name} %x" BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION stop()'
            for name in ("on", "off", "replica", "always", "off below")
        ),
        'ALTER TABLE t DISABLE TRIGGER "off %x", ENABLE REPLICA TRIGGER "replica %x", ENABLE ALWAYS TRIGGER "always %x"',
        'ALTER TABLE t1 DISABLE TRIGGER "off below %x"',
    )
    states = (
        "SELECT tgrelid::regclass::text, tgname, tgenabled::text FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1, 2"
    )
    with database.operator() as connection:
        before = connection.execute(states).fetchall()
        assert {state for *_, state in before} == {"O", "D", "R", "A"}
    database.save([Loss(COLUMN, "public", "t", ("phone",))])
    database.owner("ALTER TABLE t DROP COLUMN phone", "ALTER TABLE t ADD COLUMN phone text")
    database.bring_back()
    with database.operator() as connection:
        assert connection.execute(states).fetchall() == before
        assert connection.execute("SELECT phone FROM t").fetchone() == ("p",)


@pytest.mark.parametrize("how", ["", "DEFERRABLE", "DEFERRABLE INITIALLY DEFERRED"])
def test_tables_that_refer_to_each_other_come_back(database, how):
    make = f"""
    CREATE TABLE teams (id integer PRIMARY KEY, lead integer NOT NULL);
    CREATE TABLE people (id integer PRIMARY KEY, team integer NOT NULL REFERENCES teams {how}, boss integer REFERENCES people);
    ALTER TABLE teams ADD CONSTRAINT "lead % fk" FOREIGN KEY (lead) REFERENCES people {how};
    CREATE TABLE badges (id integer PRIMARY KEY, of integer REFERENCES people)"""
    fill = """
    BEGIN; ALTER TABLE teams ALTER CONSTRAINT "lead % fk" DEFERRABLE INITIALLY DEFERRED;
    INSERT INTO teams VALUES (1, 1), (2, 3); INSERT INTO people VALUES (1, 1, 2), (2, 1, 1), (3, 2, 1);
    INSERT INTO badges VALUES (1, 3); SET CONSTRAINTS ALL IMMEDIATE;
    ALTER TABLE teams ALTER CONSTRAINT "lead % fk" NOT DEFERRABLE; COMMIT"""
    database.owner(make, fill, f'ALTER TABLE teams ALTER CONSTRAINT "lead % fk" {how or "NOT DEFERRABLE"}')
    constraints = (
        "SELECT conname, condeferrable, condeferred, convalidated FROM pg_constraint WHERE contype = 'f' ORDER BY 1"
    )
    with database.operator() as connection:
        before = database.everything(), connection.execute(constraints).fetchall()
    database.save([Loss(TABLE, "public", name) for name in ("badges", "people", "teams")])
    database.owner("ALTER TABLE teams DROP COLUMN lead; DROP TABLE badges; DROP TABLE people; DROP TABLE teams", make)
    database.bring_back()
    database.forget()
    with database.operator() as connection:
        assert (database.everything(), connection.execute(constraints).fetchall()) == before


@pytest.mark.parametrize(
    "unique",
    [
        'ALTER TABLE t ADD CONSTRAINT "one % place" UNIQUE (place)',
        'ALTER TABLE t ADD CONSTRAINT "one % place" UNIQUE (place, v)',
        'CREATE UNIQUE INDEX "one % place" ON t (place DESC) WHERE (place > 0)',
        'CREATE UNIQUE INDEX "one % place" ON t ((place + 0))',
        'ALTER TABLE t ADD CONSTRAINT "one % place" EXCLUDE USING btree (place WITH =)',
    ],
)
def test_rows_change_their_unique_values_with_each_other(database, unique):
    add = f"ALTER TABLE t ADD COLUMN place integer; UPDATE t SET place = id; ALTER TABLE t ALTER COLUMN place SET NOT NULL; {unique}"
    database.owner("CREATE TABLE t (id integer PRIMARY KEY, v text DEFAULT 'v')")
    database.owner("INSERT INTO t SELECT generate_series(1, 4)", add, "UPDATE t SET place = place + 10")
    database.owner("UPDATE t SET place = 5 - id", "COMMENT ON INDEX \"one % place\" IS 'kept'")
    before = database.everything()
    said = "SELECT pg_get_indexdef(i), obj_description(i) FROM CAST('public.\"one % place\"' AS regclass) i"
    with database.operator() as connection:
        index = connection.execute(said).fetchone()
    database.save([Loss(COLUMN, "public", "t", ("place",))])
    database.owner("ALTER TABLE t DROP COLUMN place", add, "COMMENT ON INDEX \"one % place\" IS 'kept'")
    database.bring_back()
    database.forget()
    assert database.everything() == before
    with database.operator() as connection:
        assert connection.execute(said).fetchone() == index


def test_keeping_it_again_replaces_what_a_cut_off_attempt_left(database):
    database.owner("CREATE TABLE t (id integer PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    database.save([Loss(TABLE, "public", "t")])
    database.owner("INSERT INTO t VALUES (2)")
    (saved,) = database.save([Loss(TABLE, "public", "t")])
    assert saved["rows"] == 2


def test_a_table_that_did_not_come_back_changes_nothing(database):
    database.owner(
        "CREATE TABLE a (id integer PRIMARY KEY); CREATE TABLE b (id integer PRIMARY KEY)", "INSERT INTO a VALUES (1)"
    )
    database.save([Loss(TABLE, "public", "a"), Loss(TABLE, "public", "b")])
    database.owner("DROP TABLE a; DROP TABLE b; CREATE TABLE a (id integer PRIMARY KEY)")
    before = database.everything()
    with pytest.raises(RollbackError, match=r"Table public\.b has not come back with the upgrade"):
        database.bring_back()
    assert database.everything() == before


def test_a_lock_that_is_not_to_be_had_is_told_with_who_has_it(database):
    database.owner("CREATE TABLE t (id integer PRIMARY KEY)")
    with database.awkward.place.lab.connect(NAME, user=OWNER) as other, other.transaction():
        other.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(
            RollbackError, match=r"A lock was not to be had within 5s: process \d+ \(hunter, .*\) locks t"
        ):
            database.save([Loss(TABLE, "public", "t")])
    with database.operator() as connection:
        assert connection.execute("SELECT to_regnamespace(%s)", [SCHEMA]).fetchone() == (None,)


def test_a_schema_of_somebody_else_is_not_dropped(database):
    database.owner(f"CREATE SCHEMA {SCHEMA}")
    with database.operator() as connection, pytest.raises(RollbackError, match="was not made by a rollback"):
        salvage.drop(connection, SCHEMA)


def forecast(database, *losses, budget_s=10.0):
    with database.operator() as connection:
        return loss.forecast(connection, losses, budget_s)


@pytest.mark.parametrize("columns", ["", "n integer GENERATED ALWAYS AS (1) STORED"])
def test_a_table_without_values_of_its_own_cannot_be_kept(database, columns):
    database.owner(f"CREATE TABLE hollow ({columns})", "INSERT INTO hollow DEFAULT VALUES")
    (counted,) = forecast(database, Loss(TABLE, "public", "hollow"))
    assert (counted.count, counted.savable) == (1, False)


def test_what_is_there_is_counted_and_what_is_not_is_left_out(database):
    database.owner(UPGRADE, FILL, 'CREATE VIEW moods AS SELECT m FROM "Odd ""Names"" Şİ"')
    counted = forecast(
        database,
        Loss(TABLE, "public", 'Odd "Names" Şİ'),
        Loss(COLUMN, "public", "child", ("above",)),
        Loss(COLUMN, "public", "child", ("nowhere",)),
        Loss(TABLE, "public", "nowhere"),
    )
    assert [(entry.table, entry.count, entry.exact, entry.savable) for entry in counted] == [
        ('Odd "Names" Şİ', 202, True, True),
        ("child", 10, True, True),
    ]
    assert counted[0].dependents == ["foreign key child_of_fkey of child", "view public.moods"]


def test_without_a_key_columns_cannot_be_kept_and_it_says_so(database):
    database.owner("CREATE TABLE t (a integer, b text)", "INSERT INTO t VALUES (1, 'x'), (2, NULL)")
    (counted,) = forecast(database, Loss(COLUMN, "public", "t", ("b",)))
    assert (counted.count, counted.savable) == (1, False)
    assert counted.reason == "public.t has no other key by which its rows could be found again."
    assert database.save([Loss(COLUMN, "public", "t", ("b",))]) == []


def test_what_is_lost_in_tables_that_inherit_cannot_be_kept_and_it_says_so(database):
    """Their rows have keys of their own, which may be the same, so they could not be told apart again."""
    database.owner("CREATE TABLE t (id integer PRIMARY KEY, v text); CREATE TABLE u () INHERITS (t)")
    database.owner("INSERT INTO t VALUES (1, 'x'); INSERT INTO u VALUES (1, 'y'), (2, 'z')")
    for lost in (Loss(COLUMN, "public", "t", ("v",)), Loss(TABLE, "public", "t")):
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
    before = database.everything()
    database.save([Loss(TABLE, "public", "p")])
    database.owner("DROP TABLE p", PARTITIONED)
    database.bring_back()
    database.forget()
    assert database.everything() == before


def test_partitions_that_go_along_with_their_parent_are_named_once(database):
    database.owner(PARTITIONED, "INSERT INTO p VALUES (1, '2026-01-15', 'x'), (2, '2026-02-02', 'y')")
    database.owner("CREATE TABLE apart PARTITION OF p FOR VALUES FROM ('2027-01-01') TO ('2028-01-01')")
    database.owner("INSERT INTO p VALUES (3, '2027-01-15', 'z')", "ALTER TABLE p DETACH PARTITION apart")
    database.owner("CREATE VIEW of_a_partition AS SELECT v FROM p2a")
    (counted,) = forecast(
        database, Loss(TABLE, "public", "p2"), Loss(TABLE, "public", "p"), Loss(COLUMN, "public", "p1", ("v",))
    )
    assert (counted.table, counted.count, counted.savable) == ("p", 2, True)
    assert counted.partitions == ["public.p1", "public.p2", "public.p2a", "public.p2d"]
    assert counted.dependents == ["view public.of_a_partition"]
    assert (
        what(counted.as_dict()) == "Table public.p with its 4 partitions public.p1, public.p2, public.p2a, public.p2d"
    )
    (alone,) = forecast(database, Loss(TABLE, "public", "apart"))
    assert (alone.count, alone.partitions) == (1, [])
    (values,) = forecast(database, Loss(VALUES, "public", "p", ("v",)))
    assert (values.count, values.partitions) == (2, [])


def test_many_partitions_are_named_with_an_end(database):
    parts = "; ".join(f"CREATE TABLE p_{n} PARTITION OF p FOR VALUES IN ({n})" for n in range(20))
    database.owner("CREATE TABLE p (id integer PRIMARY KEY) PARTITION BY LIST (id)", parts)
    (counted,) = forecast(database, Loss(TABLE, "public", "p"))
    assert "public.p_12 and 15 more" in what(counted.as_dict())


def test_partitions_that_the_upgrade_does_not_make_are_made_again(database):
    """Those that a scheduled job has added since, below any parent, and with the default one that came with the upgrade."""
    upgrade = "CREATE TABLE p (id integer, at date, v text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)"
    database.owner(
        upgrade,
        "CREATE TABLE pd PARTITION OF p DEFAULT",
        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')",
        "CREATE TABLE p2 PARTITION OF p FOR VALUES FROM ('2026-02-01') TO ('2026-03-01') PARTITION BY HASH (id)",
        "CREATE TABLE p2a PARTITION OF p2 FOR VALUES WITH (MODULUS 2, REMAINDER 0)",
        "CREATE TABLE p2b PARTITION OF p2 FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
        "INSERT INTO p SELECT g, date '2026-01-15' + (g % 60), 'v' || g FROM generate_series(1, 100) g",
    )
    before = database.everything()
    database.save([Loss(TABLE, "public", "p")])
    database.owner("DROP TABLE p", upgrade, "CREATE TABLE pd PARTITION OF p DEFAULT")
    database.bring_back()
    database.forget()
    assert database.everything() == before


def test_a_partition_that_was_detached_meanwhile_is_not_lost_and_not_overwritten(database):
    database.owner(PARTITIONED, "INSERT INTO p VALUES (1, '2026-01-15', 'x'), (2, '2026-02-02', 'y')")
    database.owner("ALTER TABLE p DETACH PARTITION p1")
    (saved,) = database.save([Loss(TABLE, "public", "p")])
    assert saved["rows"] == 1
    database.owner("DROP TABLE p", PARTITIONED.replace("p1 ", "p1_new "))
    database.bring_back()
    with database.operator() as connection:
        assert connection.execute("SELECT v FROM p").fetchall() == [("y",)]
        assert connection.execute("SELECT v FROM p1").fetchall() == [("x",)]


def test_rows_that_go_along_by_foreign_keys_are_counted_too(database):
    database.owner(
        "CREATE TABLE a (id integer PRIMARY KEY)",
        "CREATE TABLE b (id integer PRIMARY KEY, a integer REFERENCES a ON DELETE CASCADE)",
        "CREATE TABLE c (id integer PRIMARY KEY, b integer REFERENCES b ON DELETE SET NULL)",
        "INSERT INTO a VALUES (1); INSERT INTO b VALUES (1, 1), (2, 1); INSERT INTO c VALUES (1, 1), (2, NULL)",
    )
    counted = forecast(database, Loss(ROWS, "public", "a"))
    assert [(entry.kind, entry.table, entry.columns, entry.count) for entry in counted] == [
        (ROWS, "a", (), 1),
        (ROWS, "b", (), 2),
        (VALUES, "c", ("b",), 1),
    ]


def test_what_cannot_be_counted_in_time_is_estimated_and_marked(database):
    fill = "INSERT INTO t SELECT g, CASE WHEN g % 2 = 0 THEN 'x' END FROM generate_series(1, 1000) g"
    database.owner("CREATE TABLE t (id integer PRIMARY KEY, v text)", fill)
    with database.awkward.as_superuser(NAME) as connection:
        connection.execute("ANALYZE t")
    (rows,) = forecast(database, Loss(TABLE, "public", "t"), budget_s=0)
    (values,) = forecast(database, Loss(COLUMN, "public", "t", ("v",)), budget_s=0)
    assert (rows.exact, rows.count, values.exact) == (False, 1000, False)
    assert 450 <= values.count <= 550


def test_a_partition_on_a_server_that_does_not_answer_is_no_rows_and_no_failure(database):
    with database.awkward.as_superuser(NAME) as connection:
        connection.execute("CREATE FOREIGN DATA WRAPPER nowhere; CREATE SERVER far FOREIGN DATA WRAPPER nowhere")
        connection.execute(f"GRANT USAGE ON FOREIGN SERVER far TO {OWNER}")
    database.owner("CREATE TABLE t (id integer) PARTITION BY LIST (id)")
    database.owner("CREATE FOREIGN TABLE t_1 PARTITION OF t FOR VALUES IN (1) SERVER far")
    (unknown,) = forecast(database, Loss(TABLE, "public", "t"))
    assert (unknown.count, unknown.exact) == (None, False)
    assert "has no handler" in unknown.uncounted


def test_what_can_be_neither_counted_nor_estimated_has_no_number(database):
    database.owner("CREATE TABLE t (id integer PRIMARY KEY, v text)", "INSERT INTO t VALUES (1, 'x')")
    for wanted in (Loss(TABLE, "public", "t"), Loss(COLUMN, "public", "t", ("v",))):
        (unknown,) = forecast(database, wanted, budget_s=0)
        assert (unknown.count, unknown.exact) == (None, False)
        assert unknown.uncounted == "there was no time to count, and it was never analysed"
    database.owner(
        "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE t FORCE ROW LEVEL SECURITY",
        "CREATE POLICY one ON t USING (id = 2)",
    )
    for wanted in (Loss(TABLE, "public", "t"), Loss(COLUMN, "public", "t", ("v",)), Loss(ROWS, "public", "t")):
        (hidden,) = forecast(database, wanted)
        assert (hidden.count, hidden.exact, hidden.savable) == (None, False, False)
        assert hidden.uncounted == "row-level security hides rows from the operator's role"


RLS = """
CREATE TABLE t (id integer PRIMARY KEY, tenant text, v text);
INSERT INTO t SELECT g, 't' || g % 3, 'v' || g FROM generate_series(1, 300) g;
CREATE TABLE p (id integer PRIMARY KEY, tenant text, v text) PARTITION BY RANGE (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (1) TO (100); CREATE TABLE pd PARTITION OF p DEFAULT;
INSERT INTO p SELECT * FROM t;
CREATE TABLE open (id integer PRIMARY KEY); INSERT INTO open VALUES (1);
"""
POLICIES = "; ".join(
    f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;"
    f"CREATE POLICY per_tenant ON {name} USING (tenant = current_setting('app.tenant', true))"
    for name in ("t", "p", "p1")
)
OF_BOTH = [
    Loss(kind, "public", name, ("v",) * (kind in (COLUMN, VALUES)))
    for kind in (TABLE, COLUMN, ROWS, VALUES)
    for name in "tp"
]


def test_rows_that_policies_hide_are_no_number_anywhere(database):
    """FORCE makes the policies hold for the owner and for members of its role."""
    database.owner(RLS, POLICIES)
    for lost in OF_BOTH:
        (hidden,) = forecast(database, lost)
        assert (hidden.count, hidden.exact, hidden.savable) == (None, False, False)
        assert (
            counted_words(hidden.as_dict()) == "not countable (row-level security hides rows from the operator's role)"
        )
    with database.operator() as connection, census.snapshot(connection):
        found = census.take(connection, partial=True)
    # Of a partitioned table its partitions are counted, each by its own policies.
    assert found.uncounted == ["public.p1", "public.t"]
    assert found.rows == 201 + 1


@pytest.mark.parametrize("how", ["no FORCE", "BYPASSRLS"])
def test_rows_are_counted_where_no_policy_holds_for_the_operator(database, how):
    database.owner(RLS, POLICIES)
    if how == "no FORCE":
        database.owner("; ".join(f"ALTER TABLE {name} NO FORCE ROW LEVEL SECURITY" for name in ("t", "p", "p1")))
    with database.awkward.as_superuser() as superuser:
        superuser.execute(f"ALTER ROLE {OPERATOR} {'BYPASSRLS' if how == 'BYPASSRLS' else 'NOBYPASSRLS'}")
        try:
            for lost in OF_BOTH:
                (counted,) = forecast(database, lost)
                assert (counted.count, counted.exact, counted.savable) == (300, True, True)
            with database.operator() as connection, census.snapshot(connection):
                assert census.take(connection, partial=True).uncounted == []
        finally:
            superuser.execute(f"ALTER ROLE {OPERATOR} NOBYPASSRLS")


def test_a_trial_names_tables_into_which_it_cannot_look(database):
    database.owner(RLS, POLICIES)
    with database.operator() as connection:
        before = [
            vanished.Seen.from_dict(table.as_dict()) for table in vanished.look(connection, "public.alembic_version")
        ]
    assert [table.name for table in before if table.hidden] == ["t", "p"]
    database.owner("ALTER TABLE t DROP COLUMN v; DROP TABLE p; DELETE FROM open")
    with database.operator() as connection:
        gone = vanished.since(before, vanished.look(connection, "public.alembic_version"))
    assert [(one.kind, one.table, one.columns, one.count) for one in gone] == [
        (COLUMN, "t", ("v",), 0),
        (TABLE, "p", (), 0),
        (ROWS, "open", (), 1),
    ]
