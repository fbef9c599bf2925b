"""Every way in which an application finds its tables, with every driver, direct and through a pooler: nothing is lost, or nothing begun."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from matrix import CELLS, DONE, SHORT, Cell
from pooler import running
from test_worlds import filled
from worlds import PASSWORD, World, world

pytestmark = [pytest.mark.postgres, pytest.mark.pgbouncer, pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(900)]

POOLER = """\
[databases]
* = host=127.0.0.1 port={server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = plain
auth_file = {users}
pool_mode = {mode}
"""
# How a setting of the session's beginning is written for each driver: in its URL, or as an argument of its connect().
IN_URL = {"psycopg": "?options=-csearch_path%3Dshop", "psycopg2": "?options=-csearch_path%3Dshop"}
AS_ARGUMENT = {"asyncpg": "server_settings", "pg8000": "startup_params"}
TENANTS = ["tenant_a", "tenant_b", "tenant_c"]


@contextmanager
def pooler(bare_server: dict[str, Any], mode: str, role: str) -> Iterator[int]:
    """The port of a PgBouncer in front of every database of the server."""
    settings = POOLER.format(server=bare_server["port"], port="{port}", users="{users}", mode=mode)
    with running(settings, [(role, PASSWORD)]) as (port, _):
        yield port


def settle(made: World, way: str) -> None:
    """Schemas, and what makes the application find them."""
    made.schemas = {
        "public": ["public"],
        "user": [made.role],
        "tenants": TENANTS,
    }.get(way, ["shop"])
    with made.superuser() as connection:
        for schema in made.schemas:
            connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
            connection.execute(f'GRANT ALL ON SCHEMA "{schema}" TO {made.role}')
        if way == "role":
            connection.execute(f"ALTER ROLE {made.role} SET search_path = shop, public")
        if way == "database":
            connection.execute(f"ALTER DATABASE {made.database} SET search_path = shop, public")


def url_of(made: World, cell: Cell, port: int) -> str:
    return made.url(cell.driver, port, IN_URL.get(cell.driver, "") if cell.way == "startup" else "")


def play(cell: Cell, bare_server: dict[str, Any]) -> None:
    name = str(cell).replace("-", "_")
    with world(name, bare_server) as made:
        settle(made, cell.way)
        arguments = {}
        if cell.way == "startup" and cell.driver in AS_ARGUMENT:
            arguments = {"connect_args": {AS_ARGUMENT[cell.driver]: {"search_path": "shop"}}}
        # The schema is made without the pooler: how it came to be is not what is tried.
        filled(made, url_of(made, cell, made.port), TENANTS if cell.way == "tenants" else None, **arguments)
        before = made.content()
        if cell.pool == "direct":
            back_and_forth(cell, made, before)
            return
        with pooler(bare_server, cell.pool, made.role) as port:
            inventory = made.home / "inventory.yml"
            inventory.write_text(inventory.read_text().replace(f"127.0.0.1:{made.port}/", f"127.0.0.1:{port}/"))
            back_and_forth(cell, made, before)


def back_and_forth(cell: Cell, made: World, before: dict[str, Any]) -> None:
    down = made.roll_back()
    if cell.ends != DONE:
        assert down.code != 0, down.output
        assert (made.stops(), made.runs()) == (0, "1.1.0"), down.output
        assert "pool" in down or "unsupported startup parameter" in down, down.output
        assert made.content() == before
        return
    assert down.code == 0, down.output
    assert made.runs() == "1.0.0"
    for schema in made.schemas:
        assert f"{schema}.orders: note" in down, down.output
        assert f"{schema}.refunds" in down, down.output
    up = made.undo()
    assert up.code == 0, up.output
    assert made.content() == before
    assert made.runs() == "1.1.0"


@pytest.mark.parametrize("cell", SHORT, ids=str)
def test_nothing_is_lost_or_nothing_begun(cell, bare_server):
    play(cell, bare_server)


@pytest.mark.nightly
@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell not in SHORT], ids=str)
def test_nor_in_any_other_world(cell, bare_server):
    play(cell, bare_server)
