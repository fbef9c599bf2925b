"""Which tables a loss means, for the sessions of an application."""

from __future__ import annotations

import pytest

from ansible.module_utils.rollback.migrations.operations import COLUMN, ROWS, TABLE, Loss
from ansible.module_utils.rollback.postgres import resolved_names

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


@pytest.fixture(scope="module")
def connection(awkward):
    with awkward.database() as name, awkward.as_superuser(name) as connection:
        for schema in ("shop", "tenant_a", "tenant_b", "tenant"):
            connection.execute(f"CREATE SCHEMA {schema}; CREATE TABLE {schema}.orders (id integer)")
        connection.execute("CREATE TABLE public.orders (id integer); CREATE TABLE shop.only (id integer)")
        connection.execute("CREATE VIEW tenant_a.shown AS SELECT 1 AS id; CREATE TABLE tenant_b.shown (id integer)")
        yield connection


def session(*schemas, **translate):
    return {"schemas": list(schemas), "search_path": ", ".join(schemas), "translate": translate.get("translate", {})}


@pytest.mark.parametrize(
    ("loss", "sessions", "found"),
    [
        (Loss(TABLE, "", "orders"), [session("shop", "public")], ["shop"]),
        (Loss(TABLE, "", "orders"), [session("public")], ["public"]),
        (Loss(TABLE, "", "orders"), [session("tenant_a"), session("tenant_b")], ["tenant_a", "tenant_b"]),
        (Loss(TABLE, "shop", "orders"), [session("public")], ["shop"]),
        (Loss(TABLE, "", "orders"), [session("public", translate={"": "tenant_a"})], ["public", "tenant_a"]),
        (
            Loss(TABLE, "tenant", "orders"),
            [session("public", translate={"tenant": "tenant_a"})],
            ["tenant", "tenant_a"],
        ),
        (Loss(TABLE, "tenant", "orders"), [session("public", translate={"tenant": ""})], ["tenant", "public"]),
        # What exists nowhere is lost nowhere.
        (Loss(TABLE, "", "nowhere"), [session("public")], []),
    ],
)
def test_a_name_means_what_the_session_finds(connection, loss, sessions, found):
    resolved, unresolved = resolved_names.resolve(connection, [loss], sessions)
    assert ([one.schema for one in resolved], unresolved) == (found, [])


@pytest.mark.parametrize(
    ("loss", "path", "said"),
    [
        (Loss(TABLE, "", "only"), ["public"], "finds no table of that name, which is in schema shop"),
        (Loss(COLUMN, "gone", "only", ("id",)), ["public"], "gone.only"),
        (Loss(ROWS, "", "shown"), ["tenant_a", "tenant_b"], "writes through tenant_a.shown, which is not a table"),
    ],
)
def test_what_may_mean_another_table_is_never_nothing(connection, loss, path, said):
    _, unresolved = resolved_names.resolve(connection, [loss], [session(*path)])
    assert said in " ".join(unresolved)
