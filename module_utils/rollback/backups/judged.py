"""Backups without a manifest: what their content says of itself, and nothing more.

What a content cannot say is whether rows are missing, whether a value is what it was, and which environment it is of.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Dict, List, Tuple

from ansible.module_utils.rollback import clock
from ansible.module_utils.rollback.backups import dump_reader, files, names, wrappings
from ansible.module_utils.rollback.backups.dump_reader import DumpFacts
from ansible.module_utils.rollback.backups.manifest import Manifest
from ansible.module_utils.rollback.backups.names import PLAIN
from ansible.module_utils.rollback.census import Census, Table
from ansible.module_utils.rollback.postgres import client_tools
from ansible.module_utils.rollback.postgres.client_tools import ClientTools

# Bytes of a database per byte of its dump as text, indexes included: with many narrow indexes it is more.
_PER_BYTE_OF_TEXT = 2
_DATABASE = re.compile(r"^;\s+dbname: (.*)$", re.MULTILINE)
_VERSION = re.compile(r"^;\s+Dumped from database version: (\S+)", re.MULTILINE)


def manifest_of(backup: Path, facts: DumpFacts, tools: ClientTools) -> Manifest:
    """A manifest made of what was read."""
    contents = wrappings.look(backup)
    database, version = _said_by_archive(backup, tools) if contents.format != PLAIN else ("", facts.server_version)
    named = names.parse(backup.name)
    return Manifest(
        backup=backup.name,
        format=contents.format,
        compression=contents.compression,
        environment="",
        created_at=clock.iso(named.taken_at) if named else "",
        seconds=0.0,
        client_version=facts.client_version,
        application_version="",
        files=files.checksums(backup),
        census=Census(
            database=database,
            database_oid=0,
            server_version=version,
            system_identifier="",
            bytes=facts.bytes * _PER_BYTE_OF_TEXT,
            stats_reset=None,
            alembic_heads=facts.alembic_heads,
            tables={name: Table(rows=rows, oid=0) for name, rows in facts.rows.items()},
            sequences=dict(facts.sequences),
        ),
    )


def heads(backup: Path, version_table: str, tools: ClientTools) -> List[str]:
    """The Alembic revisions that a dump holds. Raises RollbackError where it cannot be read."""
    schema, _, table = version_table.rpartition(".")
    only = ("--data-only", f"--table={table}", *([f"--schema={schema}"] if schema else []))
    with (
        wrappings.unwrapped(backup) as readable,
        files.open_as_sql(readable, *files.sniff(readable), tools, *only) as dump,
    ):
        return dump_reader.read(files.blocks(dump), version_table).alembic_heads or []


def _said_by_archive(backup: Path, tools: ClientTools) -> Tuple[str, str]:
    """Name of the database and version of its server, by the table of contents."""
    with wrappings.unwrapped(backup) as readable:
        done = subprocess.run([tools.path("pg_restore"), "--list", str(readable)], capture_output=True, check=False)
    if done.returncode != 0:
        raise wrappings.unreadable(backup, client_tools.failure("pg_restore", done.returncode, done.stderr))
    said = done.stdout.decode(errors="replace")
    found: Dict[str, str] = {}
    for name, pattern in (("database", _DATABASE), ("version", _VERSION)):
        match = pattern.search(said)
        found[name] = match.group(1) if match else ""
    return found["database"], found["version"]
