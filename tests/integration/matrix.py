"""The worlds of the matrix, and how a downgrade ends in each: what test_world_matrix.py holds it to, and docs/worlds.md shows."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

WAYS = {
    "public": "`public`",
    "role": "`ALTER ROLE … SET search_path`",
    "user": '`"$user"`',
    "database": "`ALTER DATABASE … SET search_path`",
    "startup": "in the URL (`options`, or what the driver has for it)",
    "tenants": "three tenants, each with a schema",
}
DRIVERS = ("psycopg", "psycopg2", "asyncpg", "pg8000")
POOLS = {"direct": "direct", "session": "PgBouncer, session", "transaction": "PgBouncer, transaction"}

DONE, REFUSED = "back and forth, equal", "refused before the application stops"


@dataclass(frozen=True)
class Cell:
    way: str
    driver: str
    pool: str

    def __str__(self) -> str:
        return f"{self.way}-{self.driver}-{self.pool}"

    @property
    def ends(self) -> str:
        """PgBouncer passes no settings on at the beginning of a session, and in transaction mode none of a session hold."""
        if self.pool == "transaction" or (self.pool == "session" and self.way == "startup"):
            return REFUSED
        return DONE


CELLS = [Cell(*parts) for parts in itertools.product(WAYS, DRIVERS, POOLS)]
# One of each answer; the others are for the night.
SHORT = [
    Cell("tenants", "psycopg", "session"),
    Cell("startup", "asyncpg", "session"),
    Cell("public", "psycopg2", "transaction"),
]


def table() -> str:
    """As Markdown: a line for each way and driver, a column for each pool."""
    lines = ["| tables are found by | driver | " + " | ".join(POOLS.values()) + " |", "|---|---|" + "---|" * len(POOLS)]
    for way, driver in itertools.product(WAYS, DRIVERS):
        lines.append(f"| {WAYS[way]} | {driver} | " + " | ".join(Cell(way, driver, pool).ends for pool in POOLS) + " |")
    return "\n".join(lines)
