"""What hangs on dropped tables and columns: made again by the undo where the upgrade does not make it, or named."""

from __future__ import annotations

import pytest
from down_and_up import SCHEMA
from servers import OWNER

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.migrations.operations import COLUMN, TABLE, Loss
from ansible.module_utils.rollback.postgres import attached, salvage, since

pytestmark = pytest.mark.slow

UP = "CREATE TABLE refunds (id integer PRIMARY KEY, code text); ALTER TABLE orders ADD COLUMN note text"
BEFORE = [
    "CREATE TABLE orders (id integer PRIMARY KEY, v text)",
    UP,
    "INSERT INTO orders SELECT g, 'v' || g, 'n' || g FROM generate_series(1, 5) g",
    "INSERT INTO refunds SELECT g, 'c' || g FROM generate_series(1, 5) g",
    "CREATE FUNCTION quiet() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
]
DOWN = "DROP TABLE refunds; ALTER TABLE orders DROP COLUMN note CASCADE"
LOSSES = [Loss(TABLE, "public", "refunds"), Loss(COLUMN, "public", "orders", ("note",))]

# What somebody does by hand to the table, and to the column; %s is the one and the other.
BY_HAND = {
    "index": "CREATE INDEX by_hand ON refunds (lower(code)); CREATE INDEX \"By Hand\" ON orders (note, v) WHERE note <> ''",
    "unique index": "CREATE UNIQUE INDEX by_hand ON refunds (code); CREATE UNIQUE INDEX by_hand_2 ON orders (note) INCLUDE (v)",
    "check": "ALTER TABLE refunds ADD CONSTRAINT by_hand CHECK (code <> ''); ALTER TABLE orders ADD CONSTRAINT by_hand CHECK (note <> 'x')",
    "check not valid": "ALTER TABLE refunds ADD CONSTRAINT by_hand CHECK (code = 'c1') NOT VALID",
    "unique": "ALTER TABLE refunds ADD UNIQUE (code) DEFERRABLE; ALTER TABLE orders ADD UNIQUE (note)",
    "exclusion": "ALTER TABLE refunds ADD EXCLUDE USING btree (code WITH =)",
    "foreign key": "ALTER TABLE refunds ADD FOREIGN KEY (id) REFERENCES orders ON DELETE CASCADE",
    "default": "ALTER TABLE refunds ALTER code SET DEFAULT 'd'; ALTER TABLE orders ALTER note SET DEFAULT lower('N')",
    "not null": "ALTER TABLE refunds ALTER code SET NOT NULL; ALTER TABLE orders ALTER note SET NOT NULL",
    "statistics target": "ALTER TABLE refunds ALTER code SET STATISTICS 500; ALTER TABLE orders ALTER note SET STATISTICS 0",
    "options": "ALTER TABLE refunds ALTER code SET (n_distinct = -0.5); ALTER TABLE orders ALTER note SET (n_distinct = 3)",
    "storage": "ALTER TABLE refunds ALTER code SET STORAGE EXTERNAL; ALTER TABLE orders ALTER note SET STORAGE PLAIN",
    "compression": "ALTER TABLE refunds ALTER code SET COMPRESSION pglz",
    "parameters": "ALTER TABLE refunds SET (fillfactor = 70, autovacuum_enabled = false, toast.autovacuum_enabled = false)",
    "unlogged": "ALTER TABLE refunds SET UNLOGGED",
    "cluster": "ALTER TABLE refunds CLUSTER ON refunds_pkey",
    "replica identity": "ALTER TABLE refunds REPLICA IDENTITY FULL",
    "replica identity by index": "ALTER TABLE refunds ALTER code SET NOT NULL; CREATE UNIQUE INDEX by_hand ON refunds (code);"
    " ALTER TABLE refunds REPLICA IDENTITY USING INDEX by_hand",
    "statistics": "CREATE STATISTICS by_hand ON id, code FROM refunds; CREATE STATISTICS by_hand_2 (ndistinct) ON v, note FROM orders",
    "trigger": "CREATE TRIGGER by_hand BEFORE UPDATE ON refunds FOR EACH ROW EXECUTE FUNCTION quiet();"
    " CREATE TRIGGER by_hand BEFORE UPDATE OF note ON orders FOR EACH ROW EXECUTE FUNCTION quiet()",
    "trigger that is disabled": "CREATE TRIGGER by_hand BEFORE UPDATE ON refunds FOR EACH ROW EXECUTE FUNCTION quiet();"
    " ALTER TABLE refunds DISABLE TRIGGER by_hand",
    "rule": "CREATE RULE by_hand AS ON DELETE TO refunds DO INSTEAD NOTHING",
    "policy": "CREATE POLICY by_hand ON refunds FOR SELECT USING (code <> 'c1'); ALTER TABLE refunds ENABLE ROW LEVEL SECURITY;"
    " CREATE POLICY by_hand ON orders AS RESTRICTIVE FOR INSERT TO CURRENT_USER WITH CHECK (note = 'n')",
    "comments": "COMMENT ON TABLE refunds IS 'it''s'; COMMENT ON COLUMN refunds.code IS E'a\\\\b\\n'; COMMENT ON COLUMN orders.note IS 'note';"
    " COMMENT ON INDEX refunds_pkey IS 'key'; COMMENT ON CONSTRAINT refunds_pkey ON refunds IS 'constraint'",
    "column": 'ALTER TABLE refunds ADD COLUMN by_hand text COLLATE "C" NOT NULL DEFAULT \'precious\', ADD COLUMN "By Hand" numeric(10,2)[];'
    ' UPDATE refunds SET by_hand = id, "By Hand" = ARRAY[id / 3.0]',
    "serial": 'ALTER TABLE refunds ADD COLUMN number serial; CREATE SEQUENCE "By %s" AS smallint INCREMENT -2 MAXVALUE -1 CYCLE OWNED BY orders.note;'
    " SELECT nextval('\"By %s\"')",
    "type": 'ALTER TABLE refunds ALTER id TYPE bigint, ALTER code TYPE varchar(500) COLLATE "C"; UPDATE refunds SET id = 5000000000 + id;'
    " ALTER TABLE orders ALTER note TYPE varchar(7)",
    "dropped": "ALTER TABLE refunds DROP CONSTRAINT refunds_pkey, ALTER id DROP NOT NULL",
    "generated columns": "ALTER TABLE refunds ADD COLUMN twice integer GENERATED ALWAYS AS (id * 2) STORED,"
    " ADD COLUMN number integer GENERATED ALWAYS AS IDENTITY, ADD COLUMN other integer GENERATED BY DEFAULT AS IDENTITY (START 100)",
}


def hung(database):
    """What the tables are and hold, in words that do not depend on the names of constraints' sequences."""
    with database.operator() as connection:
        connection.execute(since.SETTINGS.replace("LOCAL ", ""))
        oids = connection.execute(
            "SELECT 'public.refunds'::regclass::oid::bigint, 'public.orders'::regclass::oid::bigint"
        )
        described = [attached._of(connection, oid) for oid in oids.fetchone()]
    rows = [database.rows(f"SELECT to_jsonb(t) FROM {table} t ORDER BY id") for table in ("refunds", "orders")]
    return described, rows


@pytest.mark.parametrize("by_hand", BY_HAND.values(), ids=BY_HAND)
def test_what_was_made_by_hand_is_made_again(database, by_hand):
    database.owner(*BEFORE)
    plain = hung(database)
    database.owner(by_hand)
    before = hung(database)
    assert before != plain
    database.down(LOSSES, DOWN)
    notes = database.notes_of_up(UP)
    assert notes == [] if "DROP NOT NULL" not in by_hand else all("was dropped again" in note for note in notes)
    after = hung(database)
    assert after[1] == before[1]
    for table, was in zip(after[0], before[0], strict=True):
        assert [one for one in was if one not in table] == [one for one in table if one not in was] == []


def test_what_hung_on_partitions_comes_back(database):
    """The upgrade makes one of them, a scheduled job made the other."""
    up = "CREATE TABLE log (id integer, day date, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);"
    up += " CREATE TABLE log_1 PARTITION OF log FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')"
    database.owner(
        up,
        "CREATE TABLE log_2 PARTITION OF log FOR VALUES FROM ('2026-02-01') TO ('2026-03-01')",
        "INSERT INTO log VALUES (1, '2026-01-05'), (2, '2026-02-05')",
        "CREATE INDEX on_all ON log (day); CREATE INDEX on_one ON log_2 (id) WHERE id > 1; COMMENT ON TABLE log_1 IS 'one'",
        "ALTER TABLE log_2 SET (fillfactor = 50)",
    )

    def described():
        with database.operator() as connection:
            connection.execute(since.SETTINGS.replace("LOCAL ", ""))
            query = "SELECT oid::bigint FROM pg_class WHERE relname ~ '^log(_.)?$' ORDER BY relname"
            return [attached._of(connection, oid) for (oid,) in connection.execute(query).fetchall()]

    before = described()
    database.down([Loss(TABLE, "public", "log")], "DROP TABLE log")
    database.up(up)
    assert described() == before
    assert database.rows("SELECT count(*) FROM log_2") == [(1,)]


def test_what_cannot_be_made_again_is_named_with_its_statement(database):
    database.owner(*BEFORE)
    database.owner(
        "CREATE FUNCTION gone(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT $1'",
        "CREATE INDEX by_hand ON refunds (gone(code))",
        "CREATE VIEW reading AS SELECT note FROM orders",
    )
    database.down(LOSSES, f"{DOWN}; DROP FUNCTION gone")
    notes = database.notes_of_up(UP)
    with database.operator() as connection:
        assert salvage.bring_back(connection, SCHEMA).notes == notes
    assert len(notes) == 2
    assert (
        "public.refunds had the index by_hand, which could not be made again (function public.gone(text) does not exist"
        in notes[0]
    )
    assert "CREATE INDEX by_hand ON public.refunds USING btree (public.gone(code));" in notes[0]
    assert notes[1].startswith(
        "public.orders had the view public.reading, which is not made again by itself: CREATE VIEW"
    )


def test_what_is_made_again_calls_functions_with_the_rights_of_the_owner(database):
    """The application's owner may have written them for whoever comes with more rights."""
    database.owner(*BEFORE)
    database.owner(
        "CREATE TABLE callers (name text)",
        "CREATE FUNCTION calls(text) RETURNS boolean LANGUAGE plpgsql AS"
        " 'BEGIN BEGIN RESET ROLE; EXCEPTION WHEN OTHERS THEN NULL; END;"
        " INSERT INTO public.callers VALUES (current_user); RETURN true; END'",
        "ALTER TABLE refunds ADD CONSTRAINT by_hand CHECK (calls(code))",
        "TRUNCATE callers",
    )
    database.down(LOSSES, DOWN)
    assert database.notes_of_up(UP) == []
    assert database.rows("SELECT DISTINCT name FROM callers") == [(OWNER,)]


def test_what_users_write_after_an_undo_is_not_brought_back_once_more(database):
    database.owner(*BEFORE)
    database.down(LOSSES, DOWN)
    database.notes_of_up(UP)
    database.owner("DELETE FROM refunds WHERE id = 1", "UPDATE orders SET note = 'users' WHERE id = 2")
    with database.operator() as connection:
        assert salvage.is_finished(connection, SCHEMA)
        salvage.bring_back(connection, SCHEMA)
    assert database.rows("SELECT count(*) FROM refunds") == [(4,)]
    assert database.rows("SELECT note FROM orders WHERE id = 2") == [("users",)]


def test_what_was_restored_from_a_dump_is_worded_differently_and_the_same(database):
    """A check on varchar is another text once it was dumped and parsed again."""
    up = "CREATE TABLE refunds (id integer PRIMARY KEY, code varchar(9), CONSTRAINT c CHECK (code IN ('a', 'b')));"
    up += " CREATE INDEX i ON refunds (id) WHERE code IN ('a', 'b'); CREATE POLICY p ON refunds USING (code IN ('a', 'b'))"
    database.owner(up, "INSERT INTO refunds VALUES (1, 'a')")
    words = "SELECT pg_get_constraintdef(k.oid), pg_get_indexdef('i'::regclass), pg_get_expr(polqual, polrelid) FROM pg_constraint k, pg_policy"
    words += " WHERE conname = 'c'"
    ((check, index, policy),) = database.rows(words)
    database.owner(
        f"ALTER TABLE refunds DROP CONSTRAINT c; ALTER TABLE refunds ADD CONSTRAINT c {check}",
        f"DROP INDEX i; {index}; DROP POLICY p ON refunds; CREATE POLICY p ON refunds USING ({policy})",
    )
    assert database.rows(words) != [(check, index, policy)]
    before = database.rows(words)
    database.down([Loss(TABLE, "public", "refunds")], "DROP TABLE refunds")
    assert database.notes_of_up(up) == []
    assert database.rows(words) == before


def test_a_check_that_was_loosened_by_hand_under_its_name_stays_so(database):
    up = "CREATE TABLE refunds (id integer PRIMARY KEY, CONSTRAINT c CHECK (id < 10))"
    database.owner(
        up,
        "ALTER TABLE refunds DROP CONSTRAINT c, ADD CONSTRAINT c CHECK (id < 100)",
        "INSERT INTO refunds VALUES (50)",
    )
    database.down([Loss(TABLE, "public", "refunds")], "DROP TABLE refunds")
    assert database.up(up) == []
    assert database.rows("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'c'") == [
        ("CHECK ((id < 100))",)
    ]
    assert database.rows("SELECT id FROM refunds") == [(50,)]


def test_privileges_that_were_revoked_by_hand_stay_revoked(database):
    database.owner(
        *BEFORE,
        "ALTER DEFAULT PRIVILEGES GRANT SELECT, DELETE ON TABLES TO hunter_readonly",
        "GRANT SELECT ON refunds TO hunter_readonly WITH GRANT OPTION",
    )
    query = "SELECT privilege_type, is_grantable FROM pg_class, aclexplode(relacl) WHERE relname = 'refunds' AND grantee <> relowner"
    before = database.rows(query)
    database.down(LOSSES, DOWN)
    database.up(UP, "GRANT SELECT, INSERT ON refunds TO PUBLIC")
    assert database.rows(query) == before == [("SELECT", True)]


def test_what_is_made_again_does_not_wait_for_deferred_constraints(database):
    up = UP + "; ALTER TABLE refunds ADD FOREIGN KEY (id) REFERENCES orders DEFERRABLE INITIALLY DEFERRED"
    database.owner(BEFORE[0], up, *BEFORE[2:], BY_HAND["policy"])
    before = hung(database)
    database.down(LOSSES, DOWN)
    database.up(up)
    assert hung(database)[0] == before[0]


def test_numbers_that_users_set_back_stay_where_no_revision_has_touched_them(database):
    database.owner(*BEFORE, 'CREATE SEQUENCE "100 %s"', "SELECT setval('\"100 %s\"', 500)", "CREATE SEQUENCE gone")
    database.down(LOSSES, DOWN)
    database.owner('ALTER SEQUENCE "100 %s" RESTART', "DROP SEQUENCE gone; CREATE TABLE gone (id integer)")
    database.up(UP)
    assert database.rows("SELECT nextval('\"100 %s\"')") == [(1,)]


def test_a_column_that_was_renamed_by_hand_comes_back_by_its_name_with_its_rows(database):
    up = "CREATE TABLE refunds (id integer PRIMARY KEY, code text NOT NULL)"
    database.owner(
        up, "INSERT INTO refunds VALUES (1, 'a'), (2, 'b')", "ALTER TABLE refunds RENAME COLUMN code TO number"
    )
    database.down([Loss(TABLE, "public", "refunds")], "DROP TABLE refunds")
    notes = database.notes_of_up(up)
    assert database.rows("SELECT id, number FROM refunds ORDER BY 1") == [(1, "a"), (2, "b")]
    assert any("column code, which it did not have before" in note for note in notes)


@pytest.mark.parametrize("increment", [1, -1, 3])
def test_sequences_go_on_where_they_were_and_never_back(database, increment):
    names = ["restarted", "made_anew", "further", "unused"]
    up = f"CREATE SEQUENCE made_anew INCREMENT {increment}"
    for name in ("restarted", "further", "unused"):
        database.owner(f"CREATE SEQUENCE {name} INCREMENT {increment}")
    database.owner(up, *(f"SELECT nextval('{name}') FROM generate_series(1, 5)" for name in names[:3]))
    database.down([], "ALTER SEQUENCE restarted RESTART", "DROP SEQUENCE made_anew")
    database.owner("SELECT nextval('further')", "SELECT nextval('unused')")
    database.up(up)
    positions = [database.rows(f"SELECT nextval('{name}')")[0][0] for name in names]
    first = -1 if increment < 0 else 1
    assert positions == [first + increment * turns for turns in (5, 5, 6, 1)]


def test_rows_that_a_check_would_refuse_come_back_where_it_was_never_validated(database):
    up = "CREATE TABLE refunds (id integer PRIMARY KEY, code text)"
    check = "ALTER TABLE refunds ADD CONSTRAINT short CHECK (length(code) < 3) NOT VALID"
    database.owner(up, "INSERT INTO refunds VALUES (1, 'long'), (2, 'ab')", check)
    query = "SELECT conname, convalidated, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'c'"
    before = database.rows(query)
    database.down([Loss(TABLE, "public", "refunds")], "DROP TABLE refunds")
    assert database.up(up, check) == []
    assert database.rows("SELECT * FROM refunds ORDER BY 1") == [(1, "long"), (2, "ab")]
    assert database.rows(query) == before


def test_what_is_put_back_after_a_step_that_committed_is_as_it_was(database):
    database.owner(*BEFORE, BY_HAND["index"], BY_HAND["comments"])
    before = hung(database)
    database.save(LOSSES)
    database.owner("ALTER TABLE orders DROP COLUMN note CASCADE")
    with database.operator() as connection:
        salvage.put_back(connection, SCHEMA)
        assert salvage.drop(connection, SCHEMA)
    assert hung(database) == before


def test_a_table_that_is_gone_is_not_put_back(database):
    database.owner(*BEFORE)
    database.save(LOSSES)
    database.owner("DROP TABLE refunds")
    with (
        database.operator() as connection,
        pytest.raises(RollbackError, match=r"table public\.refunds is gone, and kept"),
    ):
        salvage.put_back(connection, SCHEMA)
