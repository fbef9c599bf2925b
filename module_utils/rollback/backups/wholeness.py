"""What a dump lacks that a whole database has, by name: as its own content shows it, and as backups of the same revision do."""

from __future__ import annotations

import hashlib
import string
from pathlib import Path
from typing import Iterable, List, Sequence, Set

from ansible.module_utils.rollback.backups import catalog, contents
from ansible.module_utils.rollback.backups import manifest as manifests
from ansible.module_utils.rollback.backups.contents import Contents
from ansible.module_utils.rollback.backups.dump_reader import DumpFacts
from ansible.module_utils.rollback.backups.manifest import Manifest
from ansible.module_utils.rollback.census import Census
from ansible.module_utils.rollback.words import amount, listed

_NUMBER = string.digits + "_"
_MOST = 8  # names in one sentence
# What a dump creates and a census lists, in the order in which it is named. pg_dump creates neither of the last line.
_KINDS = ("schema", "extension", "type", "relation", "column", "function", "constraint", "index", "trigger", "policy")
_ALWAYS_THERE = {"schema public", "extension plpgsql"}
# pg_dump leaves these to the parent of a partition.
_OF_PARENTS = ("column", "constraint", "trigger")
_PARTS_OF_A_RELATION = (*_OF_PARENTS, "policy")
# A census has their number as a definition, of which it keeps the hash.
_LARGE_OBJECTS, _NO_LARGE_OBJECTS = "large objects", hashlib.sha256(b"0").hexdigest()[:12]


def lacks(facts: DumpFacts, others: Sequence[Manifest]) -> List[str]:
    """Sentences; empty where nothing is missing that can be seen. `others` are manifests of the same environment.

    Fewer rows than in another backup are no lack: rows may have been deleted.
    """
    without_rows = _without_rows(facts)
    return [
        *_rows_lacking(facts, without_rows),
        *_orphans(facts),
        *_sequences_lacking(facts),
        *_views_lacking(facts.contents),
        *_large_objects_lacking(facts.contents),
        *_hidden(facts),
        *_others_have(facts, set(without_rows), [other.census for other in others]),
    ]


def others(backup: Path, database: str, environment: str) -> List[Manifest]:
    """The manifests of this environment's backups in the directory of `backup`."""
    fit = [entry for entry in catalog.read(backup.parent, database, environment) if not entry.reason]
    found = [manifests.read(Path(entry.path)) for entry in fit]
    return [manifest for manifest in found if manifest]


def _without_rows(facts: DumpFacts) -> List[str]:
    """Tables that are created, and whose rows are not there, not even as none."""
    found = facts.contents
    if facts.inserts and not found.announced:
        return []  # INSERTs without pg_dump's headings: an empty table does not occur
    announced = found.announced if facts.inserts else set()
    return sorted(
        name
        for name, plain in found.tables.items()
        if plain not in announced and not any(each in facts.rows for each in _with_ancestors(name, found))
    )


def _rows_lacking(facts: DumpFacts, lacking: Sequence[str]) -> List[str]:
    if lacking and not facts.rows:
        return [
            f"The dump creates {amount(len(lacking), 'table')} ({listed(lacking, _MOST)}) and holds no rows of any:"
            " it was made with --schema-only, or its rows were left out."
        ]
    unlogged = [name for name in lacking if name in facts.contents.unlogged]
    return [
        *_created_without(
            [name for name in lacking if name not in unlogged], "holds no rows of {} (--exclude-table-data)"
        ),
        *_created_without(unlogged, "holds no rows of {} (--no-unlogged-table-data, or dumped from a standby)"),
    ]


def _created_without(names: Sequence[str], what: str) -> List[str]:
    if not names:
        return []
    return [f"The dump creates {listed(names, _MOST)} and {what.format('it' if len(names) == 1 else 'them')}."]


def _orphans(facts: DumpFacts) -> List[str]:
    """Rows of tables that are not created. With extensions, they may be an extension's."""
    found = facts.contents
    created = {contents.split(name)[1] for name in found.objects if name.startswith("relation ")}
    orphans = sorted(set(facts.rows) - created)
    sentences = []
    if orphans and not any(name.startswith("extension ") for name in found.objects):
        sentences.append(f"The dump holds rows of {listed(orphans, _MOST)} and creates no such table (--data-only).")
    unmade = sorted(found.large_objects_filled - found.large_objects, key=_by_number)
    if unmade:
        sentences.append(f"The dump holds data of large objects that it does not create: {listed(unmade, _MOST)}.")
    return sentences


def _sequences_lacking(facts: DumpFacts) -> List[str]:
    lacking = sorted(facts.contents.sequences - facts.sequences.keys())
    if not lacking:
        return []
    which = f"sequence {lacking[0]}" if len(lacking) == 1 else f"sequences {listed(lacking, _MOST)}"
    it = "it stands: it" if len(lacking) == 1 else "they stand: they"
    return [f"The dump creates {which} and does not say where {it} would begin anew."]


def _views_lacking(found: Contents) -> List[str]:
    return [
        f"The dump creates materialized view {name} and does not refresh it: it would be without rows."
        for name in sorted(found.views_with_rows - found.refreshed)
    ][:_MOST]


def _large_objects_lacking(found: Contents) -> List[str]:
    empty = sorted(found.large_objects - found.large_objects_filled, key=_by_number)
    if not empty:
        return []
    return [f"The dump creates {amount(len(empty), 'large object')} without content: {listed(empty, _MOST)}."]


def _hidden(facts: DumpFacts) -> List[str]:
    if ("row_security", "on") not in facts.needs.settings:
        return []
    return ["The dump was made with --enable-row-security: rows that policies hid from its maker are not in it."]


def _others_have(facts: DumpFacts, told: Set[str], censuses: Iterable[Census]) -> List[str]:
    """What every other backup of the same revision has, and this one does not."""
    heads = sorted(facts.alembic_heads or [])
    same = [census for census in censuses if heads and sorted(census.alembic_heads or []) == heads and census.objects]
    if not same:
        return []
    who = f"Every backup at revision {listed(heads)} that has a manifest ({len(same)})"
    missing = _missing(facts.contents, same)
    filled = set.intersection(*({name for name, table in each.tables.items() if table.rows} for each in same))
    empty = sorted(
        name
        for name in (filled & facts.contents.tables.keys()) - told
        if not any(facts.rows.get(each) for each in _with_ancestors(name, facts.contents))
    )
    return [
        *([f"{who} has what this dump does not create: {listed(missing, _MOST)}."] if missing else []),
        *([f"{who} has rows of {listed(empty, _MOST)}, and this dump has none."] if empty else []),
    ]


def _missing(found: Contents, same: Sequence[Census]) -> List[str]:
    common = set.intersection(*(set(census.objects) for census in same)) - _ALWAYS_THERE
    expected = {contents.split(name) for name in common}
    lacking = [(kind, name) for kind, name in expected if kind in _KINDS and f"{kind} {name}" not in found.objects]
    gone = [name for kind, name in lacking if kind == "relation"]
    children = found.heirs | found.partition_of.keys()
    lacking = [
        (kind, name)
        for kind, name in lacking
        if not (kind in _PARTS_OF_A_RELATION and _is_of(name, gone))
        and not (kind in _OF_PARENTS and _is_of(name, children))
        # A foreign key to a partitioned table has a numbered one for each partition, which pg_dump leaves to it.
        and not (kind == "constraint" and f"constraint {name.rstrip(_NUMBER)}" in found.objects)
        and (kind != "column" or _is_of(name, found.with_columns))
    ]
    named = [
        f"{_word(kind, name, same[0])} {name}"
        for kind, name in sorted(lacking, key=lambda each: (_KINDS.index(each[0]), each[1]))
    ]
    if not found.large_objects and all(
        census.objects.get(_LARGE_OBJECTS, _NO_LARGE_OBJECTS) != _NO_LARGE_OBJECTS for census in same
    ):
        named.append(_LARGE_OBJECTS)
    return named


def _is_of(name: str, relations: Iterable[str]) -> bool:
    return any(name.startswith(f"{relation}.") for relation in relations)


def _word(kind: str, name: str, census: Census) -> str:
    if kind != "relation":
        return kind
    return "table" if name in census.tables else "sequence" if name in census.sequences else kind


def _with_ancestors(name: str, found: Contents) -> List[str]:
    """A table and those that it is a partition of: rows may be loaded through the latter."""
    family = [name]
    while found.partition_of.get(family[-1], name) not in family:
        family.append(found.partition_of[family[-1]])
    return family


def _by_number(number: str) -> "tuple[int, str]":
    return (int(number) if number.isdigit() else 0, number)
