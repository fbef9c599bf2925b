"""Proving a backup: nothing is restored that was not first read from its first byte to its last."""

from __future__ import annotations

import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional

from ansible.module_utils.rollback.backups import archive_reader, dump_reader, files
from ansible.module_utils.rollback.backups import manifest as manifests
from ansible.module_utils.rollback.backups.archive_reader import UnknownArchive
from ansible.module_utils.rollback.backups.dump_reader import DumpFacts
from ansible.module_utils.rollback.backups.manifest import Manifest
from ansible.module_utils.rollback.backups.requirements import Requirements
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.postgres.client_tools import ClientTools
from ansible.module_utils.rollback.words import listed

CHOOSE_ANOTHER = "Choose another backup."


class Proof(NamedTuple):
    """What a proven backup holds, and what it needs of a server."""

    manifest: Manifest
    needs: Requirements


def read_whole(backup: Path, version_table: str, tools: ClientTools) -> DumpFacts:
    """Read the dump to its end. Raises RollbackError where it is cut, damaged, or would do more than restore one database."""
    facts = _read(backup, version_table, tools)
    _check(backup, facts)
    return facts


def _read(backup: Path, version_table: str, tools: ClientTools, *options: str) -> DumpFacts:
    with files.open_as_sql(backup, *files.sniff(backup), tools, *options) as dump:
        return dump_reader.read(files.blocks(dump), version_table)


def _read_by_tables(backup: Path, version_table: str, tools: ClientTools) -> DumpFacts:
    """The same facts but sequences, from rows that are read several tables at a time, where the format allows that."""
    try:
        tables = archive_reader.read_rows(backup, version_table)
    except UnknownArchive:
        return _read(backup, version_table, tools)
    except (OSError, EOFError, zlib.error) as error:
        raise files.unreadable(backup, error) from error
    facts = _read(backup, version_table, tools, "--schema-only")
    for table in tables:
        for name, rows in table.rows.items():
            facts.rows[name] = facts.rows.get(name, 0) + rows
        if table.alembic_heads is not None:
            facts.alembic_heads = table.alembic_heads
    return facts


def _check(backup: Path, facts: DumpFacts) -> None:
    if not facts.recognised:
        raise RollbackError(f"The file {backup.name} is not recognisable as a dump made by pg_dump.", CHOOSE_ANOTHER)
    if not facts.complete:
        raise RollbackError(
            f"The backup {backup.name} is truncated: it does not end with the line that pg_dump writes last.",
            CHOOSE_ANOTHER,
        )
    if facts.meta_commands:
        raise RollbackError(
            f"The backup {backup.name} holds psql commands that reach beyond one database: {listed(facts.meta_commands, 3)}.",
            "It was probably made with pg_dump --create; make one without, or choose another backup.",
        )


def prove(backup: Path, version_table: str, tools: ClientTools) -> Proof:
    """Check `backup` against its manifest: every checksum, and every row by a full read.

    Raises RollbackError with the first thing that is wrong.
    """
    files.sniff(backup)
    manifest = manifests.read(backup)
    if manifest is None:
        raise RollbackError(
            f"The backup {backup.name} has no manifest beside it, so nothing says what it should hold.",
            "Choose a backup made by playbooks/backup.yml.",
        )
    with ThreadPoolExecutor(1) as beside:  # hashing leaves Python free to read, so the file comes from the disk once
        checksums = beside.submit(files.checksums, backup)
        try:
            facts = _read_by_tables(backup, version_table, tools)
            _check(backup, facts)
        finally:  # what reading stumbles over is seldom as plain as that the file is damaged
            _compare_files(backup, manifest, checksums.result())
    problems = contradictions(manifest, facts)
    if problems:
        raise RollbackError(
            f"The backup {backup.name} is not what its manifest says: {listed(problems, 3)}.", CHOOSE_ANOTHER
        )
    return Proof(manifest, facts.needs)


def contradictions(manifest: Manifest, facts: DumpFacts) -> List[str]:
    """Where the dump's own content differs from what was counted when it was made."""
    problems = []
    expected: Dict[str, int] = {name: table.rows for name, table in manifest.census.tables.items()}
    for name in sorted(expected.keys() | facts.rows.keys()):
        if expected.get(name) != facts.rows.get(name):
            problems.append(f"{name} has {_rows(facts.rows.get(name))} instead of {_rows(expected.get(name))}")
    if facts.alembic_heads is not None and facts.alembic_heads != manifest.census.alembic_heads:
        problems.append(
            f"its revision is {listed(facts.alembic_heads)} instead of {listed(manifest.census.alembic_heads or ['none'])}"
        )
    return problems


def _compare_files(backup: Path, manifest: Manifest, found: Dict[str, Dict[str, Any]]) -> None:
    for name in sorted(manifest.files.keys() | found.keys()):
        expected, have = manifest.files.get(name), found.get(name)
        if expected is None or have is None:
            raise RollbackError(
                f"The backup {backup.name} {'lacks the file' if have is None else 'has a file too many,'} {name}.",
                CHOOSE_ANOTHER,
            )
        if have["bytes"] != expected["bytes"]:
            raise RollbackError(
                f"The backup {backup.name} is damaged: {name} has {have['bytes']:,} bytes, its manifest says {expected['bytes']:,}.",
                CHOOSE_ANOTHER,
            )
        if have["sha256"] != expected["sha256"]:
            raise RollbackError(
                f"The backup {backup.name} is damaged: the checksum of {name} is not the one in its manifest.",
                CHOOSE_ANOTHER,
            )


def _rows(count: Optional[int]) -> str:
    return "no data" if count is None else f"{count:,} rows"
