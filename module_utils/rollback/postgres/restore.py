"""The restore beside the live database, as journaled steps that a later attempt of the same run can take up."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Union

from ansible.module_utils.rollback.backups import manifest as manifests
from ansible.module_utils.rollback.backups.manifest import Manifest
from ansible.module_utils.rollback.census import DEFAULT_VERSION_TABLE, Census, differences
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.journal import Journal, NoJournal, steps_of
from ansible.module_utils.rollback.postgres import beside as database
from ansible.module_utils.rollback.postgres import census, settings
from ansible.module_utils.rollback.postgres.client_tools import ClientTools
from ansible.module_utils.rollback.postgres.server import Server
from ansible.module_utils.rollback.words import amount, listed

if TYPE_CHECKING:
    import psycopg

AnyJournal = Union[Journal, NoJournal]


@dataclass(frozen=True)
class Request:
    live: str
    into: str
    backup: Path
    jobs: int = 2
    version_table: str = DEFAULT_VERSION_TABLE
    application_role: Optional[str] = None


@dataclass(frozen=True)
class Restored:
    changed: bool
    oid: int
    rows: int
    actions: List[str] = field(default_factory=list)

    def as_dict(self) -> Dict[str, Any]:
        return {"changed": self.changed, "oid": self.oid, "rows": self.rows, "actions": self.actions}


def beside(
    server: Server, connection: "psycopg.Connection[Any]", tools: ClientTools, request: Request, journal: AnyJournal
) -> Restored:
    """Create, load, set up, analyse and compare `request.into`. Raises RollbackError, and leaves no such database then."""
    manifest = manifests.read(request.backup)
    if manifest is None:
        raise RollbackError(f"The backup {request.backup.name} has no manifest beside it.", "Choose another backup.")
    kept = _already_compared(connection, request, journal)
    if kept:
        return kept
    try:
        with journal.step("create", database=request.into) as result:
            oid = result["oid"] = database.create(connection, request.live, request.into)
        with journal.step("load", backup=request.backup.name, jobs=request.jobs):
            database.load(server, tools, request.backup, request.into, request.jobs)
        with journal.step("settings") as result:
            result["carried_over"] = settings.carry_over(connection, request.live, request.into)
        with journal.step("analyse"):
            database.analyse(server, tools, request.into, request.jobs)
        with journal.step("compare") as result:
            found = _compare(server, request, manifest)
            result.update(oid=oid, rows=found.rows, tables=len(found.tables))
    except BaseException:
        if not connection.closed:
            database.drop(connection, request.into)
        raise
    return Restored(
        True,
        oid,
        found.rows,
        [
            f"restored {amount(found.rows, 'row')} in {amount(len(found.tables), 'table')} into {request.into}, equal to the manifest"
        ],
    )


def _already_compared(
    connection: "psycopg.Connection[Any]", request: Request, journal: AnyJournal
) -> Optional[Restored]:
    """The result of an earlier attempt of this run, where its database is still there, under either name."""
    if not isinstance(journal, Journal):
        return None
    compared = [step for step in steps_of(journal.entries()) if step.name == "compare" and step.status == "done"]
    if not compared:
        return None
    oid, rows = int(compared[0].data["oid"]), int(compared[0].data["rows"])
    if oid not in (database.oid_of(connection, request.into), database.oid_of(connection, request.live)):
        return None
    return Restored(False, oid, rows, ["an earlier attempt of this run restored and compared it"])


def _compare(server: Server, request: Request, manifest: Manifest) -> Census:
    with server.connect(request.into) as connection:
        with census.snapshot(connection):
            found = census.take(connection, request.version_table, request.application_role)
        problems = differences(manifest.census, found)
        if request.application_role:
            readable = [
                name for name, table in manifest.census.tables.items() if table.readable and name in found.tables
            ]
            problems += census.read_as(connection, request.application_role, readable)
    if problems:
        raise RollbackError(
            f"What was restored is not what was backed up: {listed(problems, 3)}.",
            "The live database is untouched. Choose another backup.",
        )
    return found
