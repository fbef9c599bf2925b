"""The engine and its sessions."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session

from hunter import __version__, config


@cache
def engine() -> Engine:
    # pre_ping: a connection that died while it lay in the pool (failover, restore, restart) costs no request.
    return create_engine(
        config.load().database_url,
        pool_pre_ping=True,
        pool_size=5,
        max_overflow=5,
        pool_timeout=5,
        connect_args={"connect_timeout": 5, "application_name": f"hunter {__version__}"},
    )


def session() -> Iterator[Session]:
    """One session per request; FastAPI closes it."""
    with Session(engine()) as opened:
        yield opened
