"""Proving a backup: nothing is restored that was not first read from its first byte to its last."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Optional

from ansible.module_utils.rollback.backups import dump_reader, files
from ansible.module_utils.rollback.backups import manifest as manifests
from ansible.module_utils.rollback.backups.dump_reader import DumpFacts
from ansible.module_utils.rollback.backups.manifest import Manifest
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.postgres.client_tools import ClientTools
from ansible.module_utils.rollback.words import listed

CHOOSE_ANOTHER = "Choose another backup."


def read_whole(backup: Path, version_table: str, tools: ClientTools) -> DumpFacts:
    """Read the dump to its end. Raises RollbackError where it is cut, damaged, or would do more than restore one database."""
    backup_format, compression = files.sniff(backup)
    with files.open_as_sql(backup, backup_format, compression, tools) as lines:
        facts = dump_reader.read(lines, version_table)
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
    return facts


def prove(backup: Path, version_table: str, tools: ClientTools) -> Manifest:
    """Check `backup` against its manifest: every checksum, and every row by a full read.

    Returns the manifest. Raises RollbackError with the first thing that is wrong.
    """
    files.sniff(backup)
    manifest = manifests.read(backup)
    if manifest is None:
        raise RollbackError(
            f"The backup {backup.name} has no manifest beside it, so nothing says what it should hold.",
            "Choose a backup made by playbooks/backup.yml.",
        )
    _compare_files(backup, manifest, files.checksums(backup))
    problems = contradictions(manifest, read_whole(backup, version_table, tools))
    if problems:
        raise RollbackError(
            f"The backup {backup.name} is not what its manifest says: {listed(problems, 3)}.", CHOOSE_ANOTHER
        )
    return manifest


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
