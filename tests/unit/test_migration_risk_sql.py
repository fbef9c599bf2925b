import pytest
from migration_bodies import words

from ansible.module_utils.rollback.migrations.sql_risk import judge_sql

# A statement; the lock it takes, with + for a scan of the table and ! for writing it anew; what it takes away.
STATEMENTS = [
    ("DROP TABLE a", "ACCESS EXCLUSIVE", ["table a"]),
    ("DROP TABLE IF EXISTS s.a, public.b", "ACCESS EXCLUSIVE", ["table s.a", "table public.b"]),
    ("TRUNCATE a", "ACCESS EXCLUSIVE", ["rows a"]),
    ("DELETE FROM a", "ROW EXCLUSIVE", ["rows a"]),
    ("DELETE FROM a USING b WHERE a.x = b.x", "ROW EXCLUSIVE", ["rows a"]),
    ("UPDATE a SET x = 1, y = coalesce(y, 2), z = z", "ROW EXCLUSIVE", ["values a.x", "values a.y"]),
    ("UPDATE a SET x = x", "ROW EXCLUSIVE", []),
    ("UPDATE a SET x = 1 WHERE x IS NULL AND y > 2", "ROW EXCLUSIVE", ["values a.x"]),
    ("UPDATE a SET x = 1 WHERE x IS NULL OR y > 2", "ROW EXCLUSIVE", ["values a.x"]),
    ("UPDATE a SET (x, y) = (SELECT 1, 2)", "ROW EXCLUSIVE", ["values a.x", "values a.y"]),
    ("INSERT INTO a VALUES (1)", "ROW EXCLUSIVE", []),
    ("INSERT INTO a VALUES (1) ON CONFLICT (x) DO UPDATE SET y = 2", "ROW EXCLUSIVE", ["values a.y"]),
    ("INSERT INTO a VALUES (1) ON CONFLICT DO NOTHING", "ROW EXCLUSIVE", []),
    ("MERGE INTO a USING b ON a.x = b.x WHEN MATCHED THEN DELETE", "ROW EXCLUSIVE", ["rows a"]),
    ("ALTER TABLE a DROP COLUMN x", "ACCESS EXCLUSIVE", ["column a.x"]),
    ("ALTER TABLE a ADD COLUMN x int", "ACCESS EXCLUSIVE", []),
    ("ALTER TABLE a ADD COLUMN x timestamptz NOT NULL DEFAULT now()", "ACCESS EXCLUSIVE", []),
    ("ALTER TABLE a ADD COLUMN x uuid DEFAULT gen_random_uuid()", "ACCESS EXCLUSIVE!", []),
    ("ALTER TABLE a ADD COLUMN x bigserial", "ACCESS EXCLUSIVE!", []),
    ("ALTER TABLE a ADD COLUMN x int GENERATED ALWAYS AS (y + 1) STORED", "ACCESS EXCLUSIVE!", []),
    ("ALTER TABLE a ALTER COLUMN x SET NOT NULL", "ACCESS EXCLUSIVE+", []),
    ("ALTER TABLE a ALTER COLUMN x DROP NOT NULL", "ACCESS EXCLUSIVE", []),
    ("ALTER TABLE a ALTER COLUMN x TYPE text", "ACCESS EXCLUSIVE!", []),
    ("ALTER TABLE a ALTER COLUMN x TYPE int USING length(x)", "ACCESS EXCLUSIVE!", ["values a.x"]),
    ("ALTER TABLE a ALTER COLUMN x TYPE mood USING x::text::mood", "ACCESS EXCLUSIVE!", []),
    ("ALTER TABLE a ADD CONSTRAINT c CHECK (x > 0)", "ACCESS EXCLUSIVE+", []),
    ("ALTER TABLE a ADD CONSTRAINT c CHECK (x > 0) NOT VALID", "ACCESS EXCLUSIVE", []),
    ("ALTER TABLE a VALIDATE CONSTRAINT c", "SHARE UPDATE EXCLUSIVE+", []),
    ("ALTER TABLE a ADD CONSTRAINT c FOREIGN KEY (x) REFERENCES b (y)", "SHARE ROW EXCLUSIVE+", []),
    ("ALTER TABLE a ADD CONSTRAINT c UNIQUE (x)", "ACCESS EXCLUSIVE+", []),
    ("ALTER TABLE a ADD CONSTRAINT c UNIQUE USING INDEX i", "ACCESS EXCLUSIVE", []),
    ("ALTER TABLE a DROP CONSTRAINT c", "ACCESS EXCLUSIVE", []),
    ("ALTER TABLE a SET TABLESPACE t", "ACCESS EXCLUSIVE!", []),
    ("ALTER TABLE a DISABLE TRIGGER USER", "SHARE ROW EXCLUSIVE", []),
    ("ALTER TABLE a RENAME TO b", "ACCESS EXCLUSIVE", []),
    ("ALTER TABLE a RENAME COLUMN x TO y", "ACCESS EXCLUSIVE", []),
    ("ALTER INDEX i RENAME TO j", "SHARE UPDATE EXCLUSIVE", []),
    ("CREATE INDEX i ON a (x)", "SHARE+", []),
    ("CREATE TRIGGER t BEFORE INSERT ON a EXECUTE FUNCTION f()", "SHARE ROW EXCLUSIVE", []),
    ("DROP INDEX i", "ACCESS EXCLUSIVE", []),
    ("LOCK TABLE a IN SHARE MODE", "SHARE", []),
    ("CLUSTER a USING i", "ACCESS EXCLUSIVE!", []),
    ("COMMENT ON TABLE a IS 'x'", "", []),
    ("CREATE TABLE a (x int)", "", []),
    ("GRANT SELECT ON a TO b", "", []),
    ("SET LOCAL lock_timeout = '5s'", "", []),
    ("SELECT setval('s', 1)", "", []),
]


def lost(operations):
    return {
        (loss.kind, loss.name, column)
        for done in operations
        for loss in done.losses
        for column in loss.columns or ("",)
    }


@pytest.mark.parametrize(("sql", "lock", "losses"), STATEMENTS, ids=[sql for sql, _, _ in STATEMENTS])
def test_lock_work_and_loss_of_a_statement(sql, lock, losses):
    operations = judge_sql(sql)
    assert lost(operations) == words(*losses)
    assert {f"{done.lock}{'+' * done.scans}{'!' * done.rewrites}" for done in operations} == {lock}
    assert {done.risk for done in operations} <= ({"lossy"} if losses else {"safe"}) | (
        {"safe"} if len(operations) > 1 else set()
    )


@pytest.mark.parametrize(
    ("sql", "lock"),
    [
        ("CREATE INDEX CONCURRENTLY i ON a (x)", "SHARE UPDATE EXCLUSIVE"),
        ("DROP INDEX CONCURRENTLY i", "SHARE UPDATE EXCLUSIVE"),
        ("REINDEX TABLE CONCURRENTLY a", "SHARE UPDATE EXCLUSIVE"),
        ("ALTER TABLE a DETACH PARTITION b CONCURRENTLY", "SHARE UPDATE EXCLUSIVE"),
        ("VACUUM a", "SHARE UPDATE EXCLUSIVE"),
        ("ALTER TYPE t ADD VALUE 'x'", ""),
        ("CREATE DATABASE d", ""),
        ("ALTER SYSTEM SET work_mem = '1MB'", ""),
    ],
)
def test_what_refuses_to_run_in_a_transaction(sql, lock):
    (done,) = judge_sql(sql)
    assert (done.transactional, done.lock, done.risk) == (False, lock, "safe")


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TYPE mood CASCADE",
        "DROP SCHEMA s CASCADE",
        "DROP EXTENSION hstore CASCADE",
        "DROP OWNED BY somebody",
        "DROP DATABASE d",
        "CALL tidy()",
        "SELECT tidy()",
        "DO $$ BEGIN EXECUTE 'DROP TABLE ' || (SELECT 'x'); END $$",
        "SELEC 1",
    ],
)
def test_what_only_the_database_can_tell_is_unknown(sql):
    assert [done.risk for done in judge_sql(sql)] == ["unknown"]


def test_a_block_is_read_whatever_its_conditions():
    block = """DO $$
    DECLARE r record;
    BEGIN
      IF EXISTS (SELECT 1 FROM t) THEN
        RAISE EXCEPTION 'in use';
      END IF;
      FOR r IN SELECT 1 LOOP DELETE FROM a; END LOOP;
      EXECUTE 'DROP TABLE b';
    END $$"""
    operations = judge_sql(block, "x.py", 10)
    assert [(done.kind, done.risk, done.line) for done in operations] == [
        ("refuses", "safe", 14),
        ("delete", "lossy", 16),
        ("select", "safe", 16),
        ("drop_table", "lossy", 17),
    ]
    assert "in use" in operations[0].reason


def test_the_output_of_alembic_itself_is_no_loss():
    text = """BEGIN;

-- Running downgrade r2 -> r1

ALTER TABLE t DROP COLUMN c;

UPDATE alembic_version SET version_num='r1' WHERE alembic_version.version_num = 'r2';

-- Running downgrade r1 ->

DROP TABLE t;

DELETE FROM alembic_version WHERE alembic_version.version_num = 'r1';

DROP TABLE alembic_version;

COMMIT;
"""
    operations = judge_sql(text)
    assert lost(operations) == words("column t.c", "table t")
    assert [(done.kind, done.line) for done in operations if done.risk == "lossy"] == [
        ("drop_column", 5),
        ("drop_table", 11),
    ]


def test_names_are_followed_from_statement_to_statement():
    text = "ALTER TABLE a RENAME TO b; ALTER TABLE b RENAME x TO y; ALTER TABLE b DROP COLUMN y; ALTER TABLE b SET SCHEMA s; DROP TABLE s.b"
    assert lost(judge_sql(text)) == words("column a.x", "table a")


@pytest.mark.parametrize(
    ("before", "after", "narrows", "rewrites"),
    [
        ("varchar(10)", "varchar(20)", False, False),
        ("varchar(20)", "varchar(10)", True, True),
        ("varchar(10)", "text", False, False),
        ("text", "varchar", False, False),
        ("varchar", "varchar(5)", True, True),
        ("uuid", "varchar(36)", False, True),
        ("uuid", "varchar(32)", True, True),
        ("integer", "text", False, True),
        ("text", "integer", True, True),
        ("smallint", "integer", False, True),
        ("bigint", "integer", True, True),
        ("integer", "double precision", False, True),
        ("bigint", "double precision", True, True),
        ("double precision", "real", True, True),
        ("numeric(10,2)", "numeric(12,2)", False, False),
        ("numeric(10,2)", "numeric(10,4)", True, True),
        ("numeric(10,2)", "numeric", False, False),
        ("numeric", "integer", True, True),
        ("integer", "numeric(10,0)", False, True),
        ("timestamp", "date", True, True),
        ("date", "timestamp", False, True),
        ("timestamp", "timestamp(3)", True, True),
        ("timestamptz", "timestamp", False, True),
        ("json", "jsonb", True, True),
        ("text[]", "text", False, True),
        ("text[]", "varchar(5)[]", True, True),
        ("boolean", "integer", False, True),
        ("mood", "text", False, True),
        ("mood", "varchar(20)", False, True),
        ("text", "mood", False, True),
        ("numeric", "whole", True, True),  # a domain, for all that is known
        ("timestamp", "whole", True, True),
        ("text", "name", True, True),
        ("varchar(20)", "name", False, True),
        ("jsonb", "json", False, True),
        ("bytea", "text", False, True),
        ("jsonb", "bytea", True, True),
    ],
)
def test_types_that_narrow_and_that_write_the_table_anew(before, after, narrows, rewrites):
    from ansible.module_utils.rollback.migrations import column_types, sql_risk

    found = column_types.change(sql_risk.parse_type(before), sql_risk.parse_type(after))
    assert (found.narrows, found.rewrites) == (narrows, rewrites), found.why
