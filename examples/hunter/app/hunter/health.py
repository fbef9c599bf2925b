"""Is the process alive, has it started, and does the database fit this code?"""

from __future__ import annotations

from functools import cache
from threading import Event

from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from fastapi import APIRouter
from fastapi.responses import JSONResponse
from sqlalchemy.exc import SQLAlchemyError

from hunter import __version__
from hunter.config import RELEASE_DIR
from hunter.db import engine

router = APIRouter(prefix="/healthz")
started = Event()


@cache
def expected_heads() -> frozenset[str]:
    """The heads of the migrations this release was shipped with."""
    config = Config(RELEASE_DIR / "alembic.ini")
    config.set_main_option("script_location", str(RELEASE_DIR / "migrations").replace("%", "%%"))
    return frozenset(ScriptDirectory.from_config(config).get_heads())


def why_not_ready() -> str | None:
    try:
        with engine().connect() as connection:
            found = frozenset(MigrationContext.configure(connection).get_current_heads())
    except SQLAlchemyError as error:
        # The class only: the text of a connection error may name hosts and users.
        return f"database not reachable ({type(error).__name__})"
    if found != expected_heads():
        return f"database is at revision {_listed(found)}, this release needs {_listed(expected_heads())}"
    return None


def _listed(revisions: frozenset[str]) -> str:
    return ", ".join(sorted(revisions)) or "none"


def _answer(reason: str | None) -> JSONResponse:
    if reason is None:
        return JSONResponse({"status": "ok", "version": __version__})
    return JSONResponse({"status": "unavailable", "version": __version__, "reason": reason}, status_code=503)


@router.get("/live")
def live() -> JSONResponse:
    return _answer(None)


@router.get("/ready")
def ready() -> JSONResponse:
    return _answer(why_not_ready())


@router.get("/startup")
def startup() -> JSONResponse:
    """Red until the first time everything fitted, green ever after: a later outage is readiness's business."""
    if not started.is_set():
        if reason := why_not_ready():
            return _answer(reason)
        started.set()
    return _answer(None)
