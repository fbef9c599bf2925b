"""A downgrade and its undo in other people's worlds: however tables are found, whatever driver and pooler are between."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from worlds import OPERATOR, PASSWORD, World, with_project, world

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(900)]

ORDERS = """
def upgrade():
    op.create_table("orders", sa.Column("id", sa.Integer, primary_key=True), sa.Column("v", sa.Text))
def downgrade():
    op.drop_table("orders")
"""
NOTES = """
def upgrade():
    op.add_column("orders", sa.Column("note", sa.Text))
    op.create_table("refunds", sa.Column("id", sa.Integer, primary_key=True))
def downgrade():
    op.drop_table("refunds")
    op.drop_column("orders", "note")
"""
# What the way up demands of rows whose values were taken away.
DEMANDED = """
def upgrade():
    op.alter_column("orders", "note", nullable=False)
def downgrade():
    op.alter_column("orders", "note", nullable=True)
"""


def filled(made: World, url: str, tenants: list[str] | None = None, **options: Any) -> None:
    """Three revisions with rows, in each schema."""
    project = with_project(made, url, tenants, **options)
    project.revision("a1", None, ORDERS)
    project.revision("b2", "a1", NOTES)
    project.revision("c3", "b2", DEMANDED)
    project.alembic("upgrade", "b2")
    with made.superuser() as connection:
        for number, schema in enumerate(made.schemas, start=1):
            connection.execute(
                f"INSERT INTO \"{schema}\".orders SELECT g, g, 'n' || g FROM generate_series(1, {number * 50}) g"
            )
            connection.execute(f'INSERT INTO "{schema}".refunds SELECT generate_series(1, {number * 12})')
    project.alembic("upgrade", "head")


def test_values_that_a_later_step_demands_come_back_in_time(bare_server):
    with world("demanded", bare_server) as made:
        filled(made, made.url("psycopg"))
        before = made.content()
        down = made.roll_back()
        assert down.code == 0, down.output
        assert "orders: note" in down
        up = made.undo()
        assert up.code == 0, up.output
        assert made.content() == before
        assert (made.runs(), made.stops()) == ("1.1.0", 2)


def is_as_before(made: World, before: dict[str, Any], answer: Any) -> None:
    """The run has failed, and left nothing behind but its report."""
    assert answer.code != 0, answer.output
    assert made.content() == before
    assert made.runs() == "1.1.0", answer.output


def test_a_way_back_that_fails_leads_down_again(bare_server):
    with world("failing", bare_server) as made:
        filled(made, made.url("psycopg"))
        before = made.content()
        assert made.roll_back().code == 0
        with made.superuser() as connection:
            connection.execute("INSERT INTO orders VALUES (1000, 'written by the old version')")
        old = made.content()
        up = made.undo()
        assert up.code != 0, up.output
        assert "contains null values" in up, up.output
        assert made.report()["outcome"] == "put_back", up.output
        assert made.runs() == "1.0.0"
        assert made.content()["tables"]["public.orders"] == old["tables"]["public.orders"]
        # The way out: whoever wrote that row says what is to become of it, and the same command leads up.
        with made.superuser() as connection:
            connection.execute("DELETE FROM orders WHERE id = 1000")
        again = made.undo()
        assert again.code == 0, again.output
        assert made.content() == before


TRIGGER = """
CREATE TABLE ledger AS SELECT generate_series(1, 12) AS id;
CREATE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM ledger; RETURN NULL; END $$;
ALTER TABLE ledger OWNER TO {role};
CREATE TRIGGER forget AFTER UPDATE ON orders FOR EACH STATEMENT EXECUTE FUNCTION forget();
"""
REWRITES = """
def upgrade():
    op.execute("UPDATE orders SET v = upper(v)")
def downgrade():
    op.execute("UPDATE orders SET v = lower(v)")
"""


def test_what_nobody_foresaw_is_rolled_back_before_it_is_lost(bare_server):
    with world("unforeseen", bare_server) as made:
        filled(made, made.url("psycopg"))
        made.project.revision("d4", "c3", REWRITES)
        made.project.alembic("upgrade", "head")
        with made.superuser() as connection:
            connection.execute(TRIGGER.format(role=made.role))
        before = made.content()
        answer = made.roll_back()
        assert "It took away what was not foreseen: 12 rows of public.ledger" in answer, answer.output
        assert made.report()["outcome"] == "put_back"
        is_as_before(made, before, answer)


# Half of it is committed before it fails.
IN_PART = """
def upgrade():
    op.add_column("orders", sa.Column("n", sa.Text))
def downgrade():
    with op.get_context().autocommit_block():
        op.drop_column("orders", "n")
    op.create_check_constraint("short", "orders", "length(v) < 2")
"""


def test_what_a_step_has_committed_before_it_failed_is_put_back_however_often_it_is_tried(bare_server):
    with world("in_part", bare_server) as made:
        filled(made, made.url("psycopg"))
        made.project.revision("d4", "c3", IN_PART)
        made.project.alembic("upgrade", "head")
        with made.superuser() as connection:
            connection.execute("UPDATE orders SET n = v; COMMENT ON COLUMN orders.n IS 'by hand'")
        before = made.content()
        for _ in range(2):
            answer = made.roll_back()
            assert answer.code != 0
            assert "could not be taken back" in answer, answer.output
            assert made.report()["outcome"] == "put_back", answer.output
            is_as_before(made, before, answer)


# Nothing of it can be put back.
TABLE_IN_PART = IN_PART.replace('op.drop_column("orders", "n")', 'op.drop_table("refunds")').replace(
    'op.add_column("orders", sa.Column("n", sa.Text))', "pass"
)


def test_what_has_no_place_any_more_stays_kept_and_nothing_starts(bare_server):
    kept = "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relname ~ ' refunds$'"
    with world("no_place", bare_server) as made:
        filled(made, made.url("psycopg"))
        made.project.revision("d4", "c3", TABLE_IN_PART)
        made.project.alembic("upgrade", "head")
        for _ in range(2):
            answer = made.roll_back()
            assert made.report()["outcome"] == "incomplete", answer.output
            assert "table public.refunds is gone, and kept in schema" in answer, answer.output
            assert "is as it was" not in answer, answer.output
            assert made.runs() != "1.1.0", answer.output
            with made.superuser() as connection:
                ((schema, table),) = connection.execute(kept).fetchall()
                assert connection.execute(f'SELECT count(*) FROM "{schema}"."{table}"').fetchone() == (12,)


def test_a_commit_of_what_nobody_foresaw_starts_nothing(bare_server):
    with world("committed", bare_server) as made:
        filled(made, made.url("psycopg"))
        does = 'with op.get_context().autocommit_block():\n        op.execute("UPDATE orders SET v = lower(v)")'
        made.project.revision("d4", "c3", REWRITES.replace('op.execute("UPDATE orders SET v = lower(v)")', does))
        made.project.alembic("upgrade", "head")
        with made.superuser() as connection:
            connection.execute(TRIGGER.format(role=made.role))
        answer = made.roll_back()
        assert "12 rows of public.ledger. The revision commits by itself" in answer, answer.output
        assert made.report()["outcome"] == "incomplete", answer.output
        assert made.runs() is None


def test_an_undo_whose_rows_come_back_to_no_place_leads_down_again(bare_server):
    """Users work on with the old version; the next undo takes nothing of theirs for what the upgrade has made."""
    with world("placeless", bare_server) as made:
        filled(made, made.url("psycopg"))
        with made.superuser() as connection:
            connection.execute(
                "CREATE DOMAIN by_hand AS text; ALTER TABLE refunds ADD COLUMN by_hand by_hand DEFAULT 'x'"
            )
        assert made.roll_back().code == 0
        with made.superuser() as connection:
            connection.execute("DROP DOMAIN by_hand")
        old = public(made)
        up = made.undo()
        assert "by_hand has not come back with the upgrade" in up, up.output
        assert made.report()["outcome"] == "put_back", up.output
        assert made.runs() == "1.0.0", up.output
        assert public(made) == old
        with made.superuser() as connection:
            connection.execute("UPDATE orders SET v = 'users' WHERE id = 7; DELETE FROM orders WHERE id = 8")
            connection.execute("CREATE DOMAIN by_hand AS text")
        up = made.undo()
        assert up.code == 0, up.output
        assert made.runs() == "1.1.0"
        with made.superuser() as connection:
            found = connection.execute("SELECT id, v, note FROM orders WHERE id IN (7, 8)").fetchall()
            assert found == [(7, "users", "n7")]
            assert connection.execute("SELECT count(by_hand) FROM refunds").fetchone() == (12,)


def public(made: World) -> dict[str, Any]:
    return {name: rows for name, rows in made.content()["tables"].items() if name.startswith("public.")}


# Numbers that the way down sets back or drops, and what it does to no table.
NUMBERS = """
def upgrade():
    op.execute("CREATE SEQUENCE invoices; CREATE SEQUENCE letters INCREMENT BY -1")
    op.execute("ALTER TABLE tickets ALTER COLUMN number ADD GENERATED BY DEFAULT AS IDENTITY")
def downgrade():
    op.execute("ALTER TABLE tickets ALTER COLUMN number DROP IDENTITY")
    op.execute("ALTER SEQUENCE letters RESTART; DROP SEQUENCE invoices, letters")
"""


def test_undone_it_gives_out_no_number_twice_and_has_what_was_made_by_hand(bare_server):
    with world("numbers", bare_server) as made:
        filled(made, made.url("psycopg"))
        made.project.revision("d4", "c3", NUMBERS)
        with made.superuser() as connection:
            connection.execute(
                f"CREATE TABLE tickets (number integer NOT NULL); ALTER TABLE tickets OWNER TO {made.role}"
            )
        made.project.alembic("upgrade", "head")
        with made.superuser() as connection:
            connection.execute(
                "SELECT setval('invoices', 4711), setval('letters', -12), setval('tickets_number_seq', 88, false)"
            )
            connection.execute(
                "CREATE INDEX by_hand ON refunds (id DESC); ALTER TABLE refunds ADD COLUMN by_hand text DEFAULT 'x'"
            )
            connection.execute("CREATE MATERIALIZED VIEW shares AS SELECT id, 100 / length(v) AS share FROM orders")
        before = made.content()
        # Of a revision that takes only numbers away, nothing but their positions is kept.
        assert made.roll_back(revision="c3").code == 0
        assert made.undo().code == 0
        assert made.content() == before
        down = made.roll_back()
        assert down.code == 0, down.output
        with made.superuser() as connection:
            connection.execute("UPDATE orders SET v = '' WHERE id = 3")
        up = made.undo()
        assert up.code == 0, up.output
        assert "Materialized view public.shares is stale" in up, up.output
        with made.superuser() as connection:
            connection.execute("UPDATE orders SET v = '3' WHERE id = 3")
        assert made.content() == before


def test_tenants_that_are_not_alike_are_refused(bare_server):
    tenants = ["tenant_a", "tenant_b"]
    with world("tenants", bare_server) as made:
        made.schemas = [*tenants, "tenant_c"]
        with made.superuser() as connection:
            for schema in made.schemas:
                connection.execute(f"CREATE SCHEMA {schema} AUTHORIZATION {made.role}")
        filled(made, made.url("psycopg"), made.schemas)
        env = made.project.directory / "migrations" / "env.py"
        env.write_text(env.read_text().replace(", 'tenant_c'", ""))
        before = made.content()
        left_out = made.roll_back()
        assert "does not go through the schemas of tenant_c.alembic_version" in left_out, left_out.output
        is_as_before(made, before, left_out)
        with made.superuser() as connection:
            connection.execute("DROP SCHEMA tenant_c CASCADE")
            connection.execute("UPDATE tenant_b.alembic_version SET version_num = 'b2'")
        made.schemas = tenants
        before = made.content()
        apart = made.roll_back()
        assert "tenant_a.alembic_version is at c3" in apart, apart.output
        assert "tenant_b.alembic_version is at b2" in apart, apart.output
        is_as_before(made, before, apart)
        assert made.stops() == 0


@contextmanager
def open_transaction(made: World, role: str, statement: str) -> Iterator[psycopg.Connection]:
    with (
        psycopg.connect(
            host="127.0.0.1",
            port=made.port,
            user=role,
            password=PASSWORD,
            dbname=made.database,
            application_name="a tool",
        ) as connection,
        connection.transaction(force_rollback=True),
    ):
        connection.execute(statement)
        yield connection


def test_an_open_transaction_that_can_be_seen_is_refused_before_the_application_stops(bare_server):
    with world("idle", bare_server) as made:
        filled(made, made.url("psycopg"))
        before = made.content()
        with open_transaction(made, OPERATOR, f"SET ROLE {made.role}; SELECT count(*) FROM orders"):
            answer = made.roll_back()
        assert "leaves its transaction open" in answer, answer.output
        assert "pg_terminate_backend(" in answer
        assert made.stops() == 0
        is_as_before(made, before, answer)


@pytest.mark.parametrize(
    ("driver", "statement"),
    [("asyncpg", "SELECT count(*) FROM orders"), ("psycopg", "INSERT INTO orders VALUES (-1, 'x', 'y')")],
)
def test_one_that_could_be_the_applications_own_leads_back(bare_server, driver, statement):
    with world(f"blocked_{driver}_{statement[:6].lower()}", bare_server) as made:
        filled(made, made.url(driver))
        before = made.content()
        with open_transaction(made, made.role, statement):
            answer = made.roll_back()
        assert "a tool, idle in transaction" in answer, answer.output
        assert made.report()["outcome"] == "put_back"
        assert made.stops() == 1
        is_as_before(made, before, answer)


BANNER = """\
    print("Welcome to the shop")
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
    print("The shop is open; DROP TABLE refunds;")
"""


def test_another_database_than_the_planned_one_is_refused(bare_server):
    with world("elsewhere", bare_server) as made, world("wrong", bare_server) as other:
        filled(made, made.url("psycopg"))
        filled(other, other.url("psycopg"))
        inventory = made.home / "inventory.yml"
        inventory.write_text(
            re.sub(r"/{{\s+alembic_downgrade_database\s+}}", f"/{other.database}", inventory.read_text())
        )
        inventory.write_text(inventory.read_text().replace(made.role + ":", other.role + ":"))
        before = made.content()
        answer = made.roll_back()
        assert f"Alembic migrates database {other.database}" in answer, answer.output
        assert made.stops() == 0
        is_as_before(made, before, answer)


def test_a_banner_is_not_taken_for_sql(bare_server):
    with world("banner", bare_server) as made:
        filled(made, made.url("psycopg"), body=BANNER)
        answer = made.roll_back("--check")
        assert answer.code == 0, answer.output
        assert "say different things" not in answer, answer.output
