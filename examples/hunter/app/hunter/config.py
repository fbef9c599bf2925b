"""Settings, all from the environment: nothing secret in a file of the release or in argv."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path

RELEASE_DIR = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Settings:
    database_url: str
    host: str
    port: int
    poll_seconds: float


def load() -> Settings:
    try:
        database_url = os.environ["DATABASE_URL"]
    except KeyError:
        raise SystemExit("DATABASE_URL is not set: postgresql+psycopg://user:password@host/database") from None
    return Settings(
        database_url=database_url,
        host=os.environ.get("HOST", "127.0.0.1"),
        port=int(os.environ.get("PORT", "8000")),
        poll_seconds=float(os.environ.get("POLL_SECONDS", "0.5")),
    )


def configure_logging() -> None:
    # UTC with a date, so that "since the rollback began" can be read from the log of any host.
    logging.Formatter.converter = time.gmtime
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s %(message)s",
        datefmt="%Y-%m-%dT%H:%M:%S",
    )
    # Readiness asks Alembic for the revision at every probe, and Alembic talks about it.
    logging.getLogger("alembic").setLevel(logging.WARNING)
