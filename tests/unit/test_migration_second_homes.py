"""What was copied elsewhere first is safe there only as long as that copy is."""

import pytest
from migration_bodies import judged, losses, words

from ansible.module_utils.rollback.migrations.operations import SAFE


def ran(*statements):
    return judged("\n".join(f"op.execute({statement!r})" for statement in statements))


@pytest.mark.parametrize(
    "statements",
    [
        ["CREATE TABLE b AS SELECT * FROM t", "DROP TABLE t"],
        ["CREATE TABLE b AS TABLE t", "DROP TABLE t"],
        ["INSERT INTO b SELECT * FROM t", "DELETE FROM t"],
        ["ALTER TABLE t ADD c text", "UPDATE t SET c = a::text", "ALTER TABLE t DROP a"],
    ],
)
def test_what_is_copied_as_it_is_takes_nothing_away(statements):
    assert ran(*statements).risk == SAFE


@pytest.mark.parametrize(
    "statements",
    [
        ["CREATE TABLE b AS TABLE t WITH NO DATA", "DROP TABLE t"],
        ["CREATE TEMP TABLE b AS SELECT * FROM t", "DROP TABLE t"],
        ["CREATE TABLE IF NOT EXISTS b AS SELECT * FROM t", "DROP TABLE t"],
        ["CREATE TABLE b AS SELECT * FROM t", "DROP TABLE t", "DROP TABLE b"],
        ["CREATE TABLE b AS SELECT * FROM t", "DROP TABLE t", "DELETE FROM b"],
        ["CREATE TABLE b AS SELECT * FROM t", "DROP TABLE t", "TRUNCATE b"],
        ["CREATE TABLE b AS SELECT * FROM t", "DROP TABLE t", "ALTER TABLE b RENAME TO c", "DROP TABLE c"],
        ["INSERT INTO b SELECT * FROM t ON CONFLICT DO NOTHING", "DROP TABLE t"],
    ],
)
def test_a_copy_that_is_none_or_does_not_last_saves_no_table(statements):
    assert "t" in {name for _, name, _ in losses(ran(*statements))}


@pytest.mark.parametrize(
    "statements",
    [
        ["ALTER TABLE t ADD c integer", "UPDATE t SET c = a::integer", "ALTER TABLE t DROP a"],
        ["ALTER TABLE t ADD c varchar(1)", "UPDATE t SET c = a::varchar(1)", "ALTER TABLE t DROP a"],
        ["ALTER TABLE t ADD c text", "UPDATE t SET c = a", "ALTER TABLE t DROP a", "ALTER TABLE t DROP c"],
        ["ALTER TABLE t ADD c text", "UPDATE t SET c = a", "ALTER TABLE t DROP a", "UPDATE t SET c = NULL"],
    ],
)
def test_nor_a_column(statements):
    assert words("column t.a") <= losses(ran(*statements)) or words("values t.a") <= losses(ran(*statements))


def test_another_table_that_exists_already_is_not_the_migrations_own():
    assert losses(ran("CREATE TABLE IF NOT EXISTS b AS SELECT 1", "DROP TABLE b")) == words("table b")


def test_truncate_cascade_names_only_what_it_knows():
    assert ran("TRUNCATE t CASCADE").risk == "unknown"
