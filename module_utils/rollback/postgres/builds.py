"""Which index builds and foreign keys may run at the same time: told by the locks that PostgreSQL takes for them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import AbstractSet, FrozenSet, Iterable, List, Mapping, Optional, Sequence, Set, Tuple

from ansible.module_utils.rollback.backups.plain_sections import NAME, QUALIFIED_NAME, Entry

_NAMES = {b"name": NAME, b"table": QUALIFIED_NAME}
# As pg_dump writes them, and nothing else: whatever looks otherwise keeps the file's order.
_INDEX = re.compile(rb"CREATE (?:UNIQUE )?INDEX %(name)s ON (?:ONLY )?(?P<table>%(table)s) USING " % _NAMES)
_CONSTRAINT = rb"ALTER TABLE ONLY (?P<table>%(table)s)\n    ADD CONSTRAINT (?P<constraint>%(name)s) " % _NAMES
_KEY = re.compile(_CONSTRAINT + rb"(?:PRIMARY KEY|UNIQUE|EXCLUDE) ")
_COLUMNS = rb"(?P<columns>%(name)s(?:, %(name)s)*)" % _NAMES
_PLAIN_KEY = re.compile(_CONSTRAINT + rb"(?P<kind>PRIMARY KEY|UNIQUE) \(" + _COLUMNS + rb"\);\n")
_FOREIGN_KEY = re.compile(
    _CONSTRAINT + rb"FOREIGN KEY \([^()]*\) REFERENCES (?P<to>%(table)s)\((?P<rest>.*);\n" % _NAMES
)
_PARTITIONED = re.compile(
    rb"CREATE (?:UNLOGGED )?TABLE (?P<table>%(table)s)(?: OF %(table)s)?(?: \(.*\))?\nPARTITION BY " % _NAMES, re.DOTALL
)
_PARTITION = re.compile(rb"ALTER TABLE ONLY %(table)s ATTACH PARTITION (?P<heir>%(table)s) " % _NAMES)
_HEIR = re.compile(rb"CREATE (?:UNLOGGED )?TABLE (?P<heir>%(table)s) \(.*\)\nINHERITS \(" % _NAMES, re.DOTALL)
_INDEXES, _KEYS, _FOREIGN_KEYS, _VALIDATIONS = range(4)
_PLAIN_BTREE = re.compile(rb"btree \([^()]*\)")
_WORD = re.compile(rb'"(?:[^"]|"")+"|\w+')
# An index on text takes about three times as long as one on numbers, in as many rows.
_OF_WIDE = 3


@dataclass(frozen=True)
class Build:
    """A statement that takes long. It has the tables in `alone` to itself, and shares `shared` with other builds.

    All builds of one stage that use a table are older than those of the next.
    """

    entry: Entry
    statement: bytes
    alone: FrozenSet[bytes] = frozenset()
    shared: FrozenSet[bytes] = frozenset()
    stage: int = _INDEXES


def builds_of(entry: Entry, partitioned: AbstractSet[bytes], heirs: AbstractSet[bytes] = frozenset()) -> List[Build]:
    """What builds `entry`'s first statement, where that can run beside others; else nothing.

    The index of a key is built beside the table's others, and then becomes the key: that needs the table and no time.
    A foreign key is declared first and validated then: the first needs both tables and no time, the second needs time,
    and of the other table no more than that it can be read. Servers before 18 do not validate all of one that points to
    a table in `partitioned` (plain names) that way. Of `heirs`, which are partitions or inherit, the key is built as it is said:
    in another way its NOT NULL would become their own, and outlive the one that they inherit.
    """
    statement = entry.statements[0]
    index, key, foreign = (pattern.match(statement) for pattern in (_INDEX, _KEY, _FOREIGN_KEY))
    if index:
        return [Build(entry, statement, shared=frozenset([plain_name(index["table"])]))]
    if key:
        return _builds_of_key(entry, statement, plain_name(key["table"]), partitioned | heirs)
    if not foreign:
        return []
    table, to = plain_name(foreign["table"]), plain_name(foreign["to"])
    both = frozenset([table, to])
    if to in partitioned or b" NOT " in foreign["rest"]:
        return [Build(entry, statement, alone=both, stage=_FOREIGN_KEYS)]
    declare = statement[: foreign.end("rest")] + b" NOT VALID;\n"
    validate = b"ALTER TABLE ONLY %s VALIDATE CONSTRAINT %s;\n" % (foreign["table"], foreign["constraint"])
    return [
        Build(entry, declare, alone=both, stage=_FOREIGN_KEYS),
        Build(entry, validate, alone=frozenset([table]), stage=_VALIDATIONS),
    ]


def _builds_of_key(entry: Entry, statement: bytes, table: bytes, whole: AbstractSet[bytes]) -> List[Build]:
    plain = _PLAIN_KEY.fullmatch(statement)
    if not plain or table in whole:
        return [Build(entry, statement, alone=frozenset([table]))]
    name, on = plain["constraint"], plain["table"]
    index = b"CREATE UNIQUE INDEX %s ON %s USING btree (%s);\n" % (name, on, plain["columns"])
    key = b"ALTER TABLE ONLY %s\n    ADD CONSTRAINT %s %s USING INDEX %s;\n" % (on, name, plain["kind"], name)
    return [
        Build(entry, index, shared=frozenset([table])),
        Build(entry, key, alone=frozenset([table]), stage=_KEYS),
    ]


def partitioned_table(entry: Entry) -> Optional[bytes]:
    """The plain name of the partitioned table that `entry` creates; None where it creates none."""
    found = _PARTITIONED.match(entry.statements[0])
    return plain_name(found["table"]) if found else None


def heir(entry: Entry) -> Optional[bytes]:
    """The plain name of the table that `entry` attaches as a partition, or creates as one that inherits; else None."""
    found = _PARTITION.match(entry.statements[0]) or _HEIR.match(entry.statements[0])
    return plain_name(found["heir"]) if found else None


def plain_name(table: bytes) -> bytes:
    """Without quotes: pg_dump and the server may not agree on which words need them."""
    return table.replace(b'"', b"")


def in_order(
    builds: Iterable[Build], sizes: Mapping[bytes, int], wide: Mapping[bytes, AbstractSet[bytes]]
) -> List[Build]:
    """One stage after the other, in each what takes longest first: so that nothing long is left when all else is done.

    `sizes` are those of tables, and `wide` their columns whose values vary in length, such as text.
    """

    def order(build: Build) -> Tuple[int, int]:
        size = max(sizes.get(table, 0) for table in build.alone | build.shared)
        return build.stage, -size * (_OF_WIDE if _is_wide(build, wide) else 1)

    return sorted(builds, key=order)


def _is_wide(build: Build, wide: Mapping[bytes, AbstractSet[bytes]]) -> bool:
    """Whether an index compares such values, or what an expression makes, or is no B-tree."""
    index = _INDEX.match(build.statement)
    if not index:
        return False
    columns = build.statement[index.end() :]
    words = {word.replace(b'"', b"") for word in _WORD.findall(columns)}
    return not _PLAIN_BTREE.match(columns) or bool(words & wide.get(plain_name(index["table"]), set()))


def startable(waiting: Sequence[Build], running: Iterable[Build]) -> Optional[Build]:
    """The first of `waiting` that neither waits for a lock nor overtakes another build of its tables."""
    alone: Set[bytes] = set()
    shared: Set[bytes] = set()
    for build in running:
        alone |= build.alone
        shared |= build.shared
    for build in waiting:
        if not (build.alone & (alone | shared) or build.shared & alone):
            return build
        alone |= build.alone
        shared |= build.shared
    return None
