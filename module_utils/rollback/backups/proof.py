"""Proving a backup: nothing is restored of which a byte is not as it was written, or a statement was not read first."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Collection, Dict, List, NamedTuple, Optional, Sequence

from ansible.module_utils.rollback.backups import (
    archive_reader,
    dump_reader,
    files,
    judged,
    mistaken,
    scan,
    signature,
    wholeness,
    wrappings,
)
from ansible.module_utils.rollback.backups import manifest as manifests
from ansible.module_utils.rollback.backups.archive_reader import UnknownArchive
from ansible.module_utils.rollback.backups.dump_reader import DumpFacts
from ansible.module_utils.rollback.backups.manifest import Manifest
from ansible.module_utils.rollback.backups.mistaken import Source
from ansible.module_utils.rollback.backups.requirements import Requirements
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.postgres.client_tools import ClientTools
from ansible.module_utils.rollback.words import listed

CHOOSE_ANOTHER = "Choose another backup."


class Proof(NamedTuple):
    """What a proven backup holds, and what it needs of a server. With `judged`, only its content says the former.

    `lacks` says of one that was judged what a whole database has and it has not, in sentences.
    """

    manifest: Manifest
    needs: Requirements
    judged: bool
    lacks: Sequence[str] = ()


class Terms(NamedTuple):
    """`allow` names kinds of statements that are meant (scan.ALLOWABLE), `keyring` the keys by one of which it must be signed.

    `judge` says whether a backup without a manifest may be judged from its content, `database` and `environment` whose
    other backups in its directory it is compared with then. Without `rows`, those of an archive whose
    checksums are right are left to whoever counts them once they are restored.
    """

    allow: Collection[str] = ()
    keyring: Sequence[str] = ()
    judge: bool = False
    rows: bool = True
    database: str = ""
    environment: str = ""


PLAIN_TERMS = Terms()


def read_whole(backup: Path, version_table: str, tools: ClientTools, allow: Collection[str] = ()) -> DumpFacts:
    """Read the dump to its end. Raises RollbackError where it is cut, damaged, or says more than restores one database.

    `allow` names kinds of that (scan.ALLOWABLE) which are meant.
    """
    with wrappings.unwrapped(backup) as readable:
        facts = _read(readable, version_table, tools)
    _check(backup, facts, allow)
    return facts


def _read(backup: Path, version_table: str, tools: ClientTools, *options: str) -> DumpFacts:
    with files.open_as_sql(backup, *files.sniff(backup), tools, *options) as dump:
        return dump_reader.read(files.blocks(dump), version_table)


def _read_by_tables(backup: Path, version_table: str, tools: ClientTools) -> DumpFacts:
    """The same facts, from rows that are read several tables at a time, where the format allows that."""
    try:
        tables = archive_reader.read_rows(backup, version_table)
    except UnknownArchive:
        return _read(backup, version_table, tools)
    except wrappings.DAMAGE as error:
        raise wrappings.unreadable(backup, error) from error
    facts = _read_statements(backup, version_table, tools)
    for table in tables:
        facts.bytes += table.bytes
        for name, rows in table.rows.items():
            facts.rows[name] = facts.rows.get(name, 0) + rows
        facts.through_root.update(table.through_root)
        if table.alembic_heads is not None:
            facts.alembic_heads = table.alembic_heads
    facts.rows_counted = True
    dump_reader.settle(facts)
    return facts


def _read_statements(backup: Path, version_table: str, tools: ClientTools) -> DumpFacts:
    """What an archive does besides loading rows; all of it, where its rows may be statements too."""
    try:
        statements = archive_reader.statements(backup)
    except UnknownArchive:
        return _read(backup, version_table, tools)
    except wrappings.DAMAGE as error:
        raise wrappings.unreadable(backup, error) from error
    facts = _read(backup, version_table, tools, "--schema-only")
    facts.rows_counted = False
    # What pg_restore leaves out of a schema may be statements too: it executes whatever an archive gives for a sequence.
    scanner = scan.Scanner(facts.found, facts.contents.note)
    for statement in statements:
        scanner.text(statement)
        facts.contents.note_entry(statement)
        dump_reader.note_sequence(statement, facts)
    return facts


def _check(backup: Path, facts: DumpFacts, allow: Collection[str]) -> None:
    if facts.message:
        raise mistaken.message_inside(_source(backup), *facts.message)
    if not facts.recognised:
        raise RollbackError(f"The file {backup.name} is not recognisable as a dump made by pg_dump.", CHOOSE_ANOTHER)
    if facts.behind:
        raise mistaken.behind_the_end(_source(backup), *facts.behind)
    if not facts.complete:
        raise RollbackError(
            f"The backup {backup.name} is truncated: it does not end with the line that pg_dump writes last.",
            CHOOSE_ANOTHER,
        )
    scan.refuse(backup.name, facts.found, allow)


def _source(backup: Path) -> Source:
    contents = wrappings.look(backup)
    return Source(backup.name, contents.compression, contents.bundled)


def prove(backup: Path, version_table: str, tools: ClientTools, terms: Terms = PLAIN_TERMS) -> Proof:
    """Check `backup` against its manifest: every checksum, and every row by a full read where the terms want it.

    One without a manifest is judged from its content, where the terms say so. Raises RollbackError with the first thing that is wrong.
    """
    wrappings.look(backup)
    if terms.keyring:
        signature.require(backup, terms.keyring)
    manifest = manifests.read(backup)
    if manifest is None and not terms.judge:
        raise RollbackError(
            f"The backup {backup.name} has no manifest beside it, so nothing says what it should hold.",
            "Choose a backup made by playbooks/backup.yml, or name this one with -e backup=<name>: it is judged from its content then.",
        )
    reads = _read_by_tables if terms.rows or manifest is None else _read_statements
    with ThreadPoolExecutor(1) as beside:  # hashing leaves Python free to read, so the file comes from the disk once
        checksums = beside.submit(files.checksums, backup)
        try:
            with wrappings.unwrapped(backup) as readable:
                facts = reads(readable, version_table, tools)
            _check(backup, facts, terms.allow)
        finally:  # what reading stumbles over is seldom as plain as that the file is damaged
            if manifest:
                _compare_files(backup, manifest, checksums.result())
    if manifest is None:
        if facts.rows and not facts.makes_tables and not facts.needs.extensions:
            raise mistaken.only_rows(backup.name)
        lacks = wholeness.lacks(facts, wholeness.others(backup, terms.database, terms.environment))
        return Proof(judged.manifest_of(backup, facts, tools), facts.needs, judged=True, lacks=lacks)
    problems = contradictions(manifest, facts) if facts.rows_counted else []
    if problems:
        raise RollbackError(
            f"The backup {backup.name} is not what its manifest says: {listed(problems, 3)}.", CHOOSE_ANOTHER
        )
    return Proof(manifest, facts.needs, judged=False)


def contradictions(manifest: Manifest, facts: DumpFacts) -> List[str]:
    """Where the dump's own content differs from what was counted when it was made."""
    problems = []
    expected: Dict[str, int] = {name: table.rows for name, table in manifest.census.tables.items()}
    unsaid = 0 if facts.inserts else None
    for name in sorted(expected.keys() | facts.rows.keys()):
        found = facts.rows.get(name, unsaid)
        if expected.get(name) != found:
            problems.append(f"{name} has {_rows(found)} instead of {_rows(expected.get(name))}")
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
