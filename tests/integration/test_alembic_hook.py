"""What the hook asks and guards, inside of a real Alembic with every driver, without a playbook around it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from matrix import DRIVERS
from test_world_matrix import pooler
from worlds import World, with_project, world

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.migrations import command
from ansible.module_utils.rollback.migrations.command import Limits
from ansible.module_utils.rollback.postgres import application_sessions

pytestmark = [pytest.mark.postgres, pytest.mark.pgbouncer, pytest.mark.slow]

TABLES = """
def upgrade():
    op.create_table("orders", sa.Column("id", sa.Integer, primary_key=True), sa.Column("v", sa.Text), sa.Column("w", sa.Text))
    op.create_table("hidden", sa.Column("id", sa.Integer, primary_key=True))
    op.create_table("settings", sa.Column("name", sa.Text), sa.Column("setting", sa.Text))
    op.execute("INSERT INTO orders SELECT g, g FROM generate_series(1, 5) g")
def downgrade():
    op.execute("INSERT INTO settings SELECT name, setting FROM pg_settings WHERE name ~ 'timeout|application_name'")
    {does}
"""
# What a step does, and what nobody had said of it.
UNFORESEEN = {
    'op.drop_table("hidden")': "table {schema}.hidden",
    'op.drop_column("orders", "w")': "column {schema}.orders.w",
    'op.execute("DELETE FROM orders WHERE id > 2")': "3 rows of {schema}.orders",
    'op.execute("UPDATE orders SET v = 1")': "5 rows of {schema}.orders",
    'op.execute("TRUNCATE orders")': "the rows of {schema}.orders, which was emptied or rewritten",
}
NOTHING = {"tables": [], "columns": [], "rows": [], "named": {"tables": [], "columns": [], "rows": []}}


@pytest.fixture(params=DRIVERS)
def made(request: pytest.FixtureRequest, bare_server: dict[str, Any]) -> Iterator[World]:
    with world(f"hook_{request.param}", bare_server) as found:
        with_project(found, found.url(request.param))
        yield found


def run(made: World, *arguments: str, environment: dict[str, str] | None = None, **task: Any) -> command.Ended:
    given = {
        "do": "run",
        "settings": Limits(3, 77).settings("rollback of mine"),
        "expected": [],
        "foreseen": {},
        **task,
    }
    place = command.Place(directory=str(made.project.directory))
    return command.run(place, ["alembic"], list(arguments), environment or made.project.environment, Limits(), given)


def asked(made: World, **options: Any) -> list[dict[str, Any]]:
    ended = run(made, "current", do="ask", **options)
    assert ended.outcome == command.DONE, ended.sentence
    return command.sessions(ended.output)


def step(made: World, does: str) -> None:
    made.project.revision("a1", None, TABLES.format(does=does))
    made.project.alembic("upgrade", "head")


def rows(made: World, query: str) -> list[tuple]:
    with made.superuser() as connection:
        return connection.execute(query).fetchall()


def test_it_reports_what_the_session_sees_and_leaves_nothing_behind(made):
    step(made, "pass")
    env = made.project.directory / "migrations" / "env.py"
    env.write_text(
        env.read_text().replace(
            "    context.configure(connection=connection)",
            '    connection.execute(text("CREATE TABLE left_behind (id int)"))\n    connection.commit()\n'
            "    context.configure(connection=connection)",
        )
    )
    (found,) = asked(made)
    assert found["database"] == made.database
    assert (found["role"], found["version_schema"], found["version_table"]) == (made.role, "public", "alembic_version")
    assert (found["schemas"], found["pooling"], found["replica"]) == (["public"], "none", False)
    assert rows(made, "SELECT to_regclass('left_behind')") == [(None,)]


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_it_finds_a_pooler(made, bare_server, mode):
    step(made, "pass")
    with pooler(bare_server, mode, made.role) as port:
        environment = {"DATABASE_URL": made.project.url.replace(f":{made.port}/", f":{port}/")}
        (found,) = asked(made, environment=environment)
        assert found["pooling"] == mode


def test_the_limits_hold_where_the_migration_runs(made):
    step(made, 'op.drop_table("hidden")')
    ended = run(made, "downgrade", "base")
    assert ended.outcome == command.DONE, ended.sentence
    settings = dict(rows(made, "SELECT name, setting FROM settings"))
    assert (settings["lock_timeout"], settings["statement_timeout"]) == ("3000", "77000")
    assert settings["application_name"] == "rollback of mine"


@pytest.mark.parametrize(("does", "lost"), UNFORESEEN.items(), ids=[does.split('"')[0] for does in UNFORESEEN])
def test_what_was_not_foreseen_is_rolled_back(made, does, lost):
    step(made, does)
    ended = run(made, "downgrade", "base", foreseen=NOTHING)
    assert ended.outcome == command.FAILED
    assert f"It took away what was not foreseen: {lost.format(schema='public')}" in ended.sentence
    assert rows(made, "SELECT version_num FROM alembic_version") == [("a1",)]
    assert rows(made, "SELECT count(*), count(DISTINCT v) FROM orders") == [(5, 5)]
    assert rows(made, "SELECT to_regclass('hidden') IS NOT NULL") == [(True,)]


# A trigger takes rows away more than a second before the step ends: at its commit the server's own counters begin anew.
FORGETS = """
CREATE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM settings; RETURN NULL; END $$;
CREATE TRIGGER forget AFTER UPDATE ON orders FOR EACH STATEMENT EXECUTE FUNCTION forget();
"""
COMMITS = """
    with op.get_context().autocommit_block():
        op.execute("SELECT pg_sleep(1.1)")
        op.execute("UPDATE orders SET v = 1")
        op.execute("SELECT pg_sleep(1.1)")
        op.execute("INSERT INTO hidden VALUES (1)")
"""


def test_what_a_step_has_committed_is_not_said_to_be_rolled_back(made):
    step(made, COMMITS)
    with made.superuser() as connection:
        connection.execute(f"SET ROLE {made.role}")
        connection.execute(FORGETS)
    foreseen = {**NOTHING, "rows": [["public", "orders"], ["public", "hidden"]]}
    ended = run(made, "downgrade", "base", foreseen=foreseen)
    assert ended.outcome == command.FAILED
    assert re.search(r"not foreseen: \d+ rows of public\.settings\. The revision commits by itself", ended.sentence)
    assert rows(made, "SELECT count(*) FROM settings") == [(0,)]


def test_what_was_foreseen_goes(made):
    step(made, "; ".join(UNFORESEEN))
    foreseen = {
        "tables": [["public", "hidden"]],
        "columns": [["public", "orders", "w"]],
        "rows": [["public", "orders"]],
        "named": {"tables": [], "columns": [], "rows": []},
    }
    ended = run(made, "downgrade", "base", foreseen=foreseen)
    assert ended.outcome == command.DONE, ended.sentence


def test_another_session_than_the_planned_one_migrates_nothing(made):
    step(made, 'op.drop_table("hidden")')
    with made.superuser() as connection:
        connection.execute("CREATE SCHEMA shop")
        connection.execute(f"ALTER ROLE {made.role} SET search_path = shop, public")
    ended = run(made, "downgrade", "base", expected=[{"search_path": '"$user", public'}])
    assert ended.outcome == command.FAILED
    assert "for which this run was not planned" in ended.sentence
    assert rows(made, "SELECT to_regclass('public.hidden') IS NOT NULL") == [(True,)]


def test_a_connection_that_commits_each_statement_migrates_nothing(made):
    step(made, 'op.drop_table("hidden")')
    env = made.project.directory / "migrations" / "env.py"
    env.write_text(
        env.read_text().replace(
            "    context.configure(connection=connection)",
            '    connection = connection.execution_options(isolation_level="AUTOCOMMIT")\n'
            "    context.configure(connection=connection)",
        )
    )
    (found,) = asked(made)
    assert found["autocommit"] is True
    ended = run(made, "downgrade", "base", foreseen=NOTHING)
    assert "commits each statement by itself" in ended.sentence
    assert rows(made, "SELECT to_regclass('public.hidden') IS NOT NULL") == [(True,)]


def test_where_nobody_counts_what_is_written_nothing_migrates(made):
    step(made, 'op.execute("DELETE FROM orders")')
    with made.superuser() as connection:
        connection.execute(f"ALTER ROLE {made.role} SET track_counts = off")
    (found,) = asked(made)
    assert found["counts"] == "off"
    ended = run(made, "downgrade", "base", foreseen=NOTHING)
    assert "track_counts is off" in ended.sentence
    with (
        made.superuser() as connection,
        pytest.raises(RollbackError, match=r"track_counts is off for Alembic's session"),
    ):
        application_sessions.check(connection, [found], "public.alembic_version")


def test_a_name_means_the_first_table_that_the_session_finds(made):
    step(made, 'op.drop_table("hidden")')
    with made.superuser() as connection:
        connection.execute(f"CREATE SCHEMA shop AUTHORIZATION {made.role}")
        connection.execute("CREATE VIEW shop.hidden AS SELECT 1 AS id")
        connection.execute(f"ALTER ROLE {made.role} SET search_path = shop, public")
    named = {"tables": ["hidden"], "columns": [], "rows": ["orders"]}
    foreseen = {**NOTHING, "tables": [["shop", "hidden"]]}
    ended = run(made, "downgrade", "base", foreseen=foreseen)
    assert ended.outcome == command.FAILED  # it is a view, and PostgreSQL says so
    with made.superuser() as connection:
        connection.execute("DROP VIEW shop.hidden")
    ended = run(made, "downgrade", "base", foreseen=foreseen)
    assert "table public.hidden" in ended.sentence
    ended = run(made, "downgrade", "base", foreseen={**NOTHING, "named": named})
    assert ended.outcome == command.DONE, ended.sentence


def test_each_tenant_is_reported_and_watched(bare_server):
    with world("hook_tenants", bare_server) as made:
        tenants = ["tenant_a", "tenant_b"]
        with_project(made, made.url("psycopg"), tenants)
        with made.superuser() as connection:
            for tenant in tenants:
                connection.execute(f"CREATE SCHEMA {tenant} AUTHORIZATION {made.role}")
        step(made, 'op.drop_table("hidden")')
        assert [found["version_schema"] for found in asked(made)] == tenants
        ended = run(made, "downgrade", "base", foreseen={**NOTHING, "tables": [["tenant_a", "hidden"]]})
        assert "table tenant_b.hidden" in ended.sentence
        assert rows(made, "SELECT to_regclass('tenant_b.hidden') IS NOT NULL") == [(True,)]
