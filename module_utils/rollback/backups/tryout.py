"""Whether a database could be backed up and restored here, found in quiet times: a backup of it without its rows, tried and dropped."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Collection, List

from ansible.module_utils.rollback.backups import create, proof, scan
from ansible.module_utils.rollback.census import PUBLIC, hidden_rows
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.postgres import census, extensions, lacking, left_out, round_trip
from ansible.module_utils.rollback.postgres.catalog_queries import TABLES
from ansible.module_utils.rollback.postgres.client_tools import ClientTools
from ansible.module_utils.rollback.postgres.server import Server


@dataclass(frozen=True)
class Request:
    """`allow` is what a restore may load although it reaches beyond its database (scan.ALLOWABLE)."""

    database: str
    version_table: str
    allow: Collection[str] = ()


@dataclass
class Outcome:
    """`problems` would stop a restore, each with the way out; `notes` are good to know before one."""

    problems: List[str] = field(default_factory=list)
    notes: List[str] = field(default_factory=list)


def run(server: Server, tools: ClientTools, request: Request) -> Outcome:
    """Dump the schema, read it as a restore would, and load it with some rows into an empty database that is dropped."""
    found = Outcome()
    try:
        _find(server, tools, request, found)
    except RollbackError as error:
        found.problems.append(str(error))
    return found


def _find(server: Server, tools: ClientTools, request: Request, found: Outcome) -> None:
    """Note in `found` what is in the way. Raises RollbackError with what stops the trial itself."""
    with tempfile.TemporaryDirectory() as directory:
        dump = Path(directory) / "schema.dump"
        with server.connect(request.database) as connection, census.snapshot(connection):
            (exported,) = connection.execute("SELECT pg_export_snapshot()").fetchone() or ("",)
            create.dump_schema(server, tools, request.database, exported, dump)
            objects, installed = census.objects(connection), extensions.read(connection)
            found.notes += left_out.find(connection)
            hidden = [row[0] for row in connection.execute(TABLES, {"role": None}).fetchall() if row[-2]]
            if hidden:
                raise RollbackError(*hidden_rows(hidden))
            rows = round_trip.look_at_rows(connection, round_trip.BUDGET_S)
        facts = proof.read_whole(dump, request.version_table, tools, scan.ALLOWABLE)
        scan.refuse(f"of {request.database}", facts.found, request.allow)
        with server.connect(request.database) as connection:
            found.problems += lacking.find(connection, facts.needs)
        if found.problems:  # a load would only stop at the first of them
            return
        trial = round_trip.Request(
            request.database,
            request.database,
            dump,
            rows,
            extensions=installed,
            has_public=PUBLIC in objects,
            schema_only=True,
        )
        trip = round_trip.run(server, tools, trial)
    found.notes += [*(round_trip.not_loaded(objects, trip.objects) if trip.made_by else []), *trip.notes]
