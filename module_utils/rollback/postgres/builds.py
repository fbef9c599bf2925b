"""Which index builds and foreign keys may run at the same time: told by the locks that PostgreSQL takes for them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import groupby
from typing import AbstractSet, Dict, FrozenSet, Iterable, List, Mapping, Optional, Sequence, Set, Tuple

from ansible.module_utils.rollback.backups.plain_sections import NAME, QUALIFIED_NAME, Entry

_NAMES = {b"name": NAME, b"table": QUALIFIED_NAME}
# As pg_dump writes them, and nothing else: whatever looks otherwise keeps the file's order.
_UNIQUE = b"CREATE UNIQUE INDEX "
_INDEX = re.compile(rb"CREATE (?:UNIQUE )?INDEX %(name)s ON (?:ONLY )?(?P<table>%(table)s) USING " % _NAMES)
_CONSTRAINT = rb"ALTER TABLE ONLY (?P<table>%(table)s)\n    ADD CONSTRAINT (?P<constraint>%(name)s) " % _NAMES
_KEY = re.compile(_CONSTRAINT + rb"(?:PRIMARY KEY|UNIQUE|EXCLUDE) ")
_COLUMNS = rb"(?P<columns>%(name)s(?:, %(name)s)*)" % _NAMES
_PLAIN_KEY = re.compile(_CONSTRAINT + rb"(?P<kind>PRIMARY KEY|UNIQUE) \(" + _COLUMNS + rb"\);\n")
_FOREIGN_KEY = re.compile(
    _CONSTRAINT + rb"FOREIGN KEY \([^()]*\) REFERENCES (?P<to>%(table)s)\((?P<rest>.*);\n" % _NAMES
)
_POINTED_TO = re.compile(_COLUMNS + rb"\)")
_ANY: FrozenSet[bytes] = frozenset()  # every index has these columns
_PARTITIONED = re.compile(
    rb"CREATE (?:UNLOGGED )?TABLE (?P<table>%(table)s)(?: OF %(table)s)?(?: \(.*\))?\nPARTITION BY " % _NAMES, re.DOTALL
)
_PARTITION = re.compile(rb"ALTER TABLE ONLY %(table)s ATTACH PARTITION (?P<heir>%(table)s) " % _NAMES)
_HEIR = re.compile(rb"CREATE (?:UNLOGGED )?TABLE (?P<heir>%(table)s) \(.*\)\nINHERITS \(" % _NAMES, re.DOTALL)
# What a foreign key may point to, before foreign keys are declared; that takes no time and both tables, so it comes before all
# else that takes long: a validation lets the indexes of the other table be built beside it.
_INDEXES_OF_KEYS, _KEYS, _FOREIGN_KEYS, _ALL_ELSE = range(4)
_BTREE = re.compile(_INDEX.pattern + rb"btree ")
_PLAIN_BTREE = re.compile(rb"btree \([^()]*\)")
_WORD = re.compile(rb'"(?:[^"]|"")+"|\w+')
# An index on text takes about three times as long as one on numbers, in as many rows.
_OF_WIDE = 3


@dataclass(frozen=True)
class Build:
    """A statement that takes long. It has the tables in `alone` to itself, shares `shared` with other builds, and `reads` others.

    Those of a table come stage by stage; within a stage they need nothing of each other. `sorts` are the bytes in the dump of
    the table that a B-tree is built for, as far as they are many.
    """

    entry: Entry
    statement: bytes
    alone: FrozenSet[bytes] = frozenset()
    shared: FrozenSet[bytes] = frozenset()
    reads: FrozenSet[bytes] = frozenset()
    stage: int = _INDEXES_OF_KEYS
    sorts: int = 0


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
        return [Build(entry, statement, shared=frozenset([plain_name(index["table"])]), stage=_ALL_ELSE)]
    if key:
        return _builds_of_key(entry, statement, plain_name(key["table"]), partitioned | heirs)
    if not foreign:
        return []
    table, to = plain_name(foreign["table"]), plain_name(foreign["to"])
    both = frozenset([table, to])
    if b" NOT " in foreign["rest"]:
        return [Build(entry, statement, alone=both, stage=_FOREIGN_KEYS)]
    if to in partitioned:
        return [Build(entry, statement, alone=both, stage=_ALL_ELSE)]
    declare = statement[: foreign.end("rest")] + b" NOT VALID;\n"
    validate = b"ALTER TABLE ONLY %s VALIDATE CONSTRAINT %s;\n" % (foreign["table"], foreign["constraint"])
    return [
        Build(entry, declare, alone=both, stage=_FOREIGN_KEYS),
        Build(entry, validate, alone=frozenset([table]), reads=frozenset([to]), stage=_ALL_ELSE),
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
    builds = list(builds)
    keys = _pointed_to(builds)

    def size(build: Build) -> int:
        return sum(sizes.get(table, 0) for table in build.alone | build.shared | build.reads)

    def order(build: Build) -> Tuple[int, int]:
        return build.stage, -size(build) * (_OF_WIDE if _is_wide(build, wide) else 1)

    known = [
        replace(build, stage=_stage(build, keys), sorts=size(build) if _BTREE.match(build.statement) else 0)
        for build in builds
    ]
    return sorted(known, key=order)


def _pointed_to(builds: Iterable[Build]) -> Dict[bytes, Set[FrozenSet[bytes]]]:
    """By table, the columns that each foreign key among `builds` points to."""
    keys: Dict[bytes, Set[FrozenSet[bytes]]] = {}
    for foreign in filter(None, (_FOREIGN_KEY.match(build.statement) for build in builds)):
        columns = _POINTED_TO.match(foreign["rest"])
        keys.setdefault(plain_name(foreign["to"]), set()).add(_names(columns["columns"]) if columns else _ANY)
    return keys


def _stage(build: Build, keys: Mapping[bytes, AbstractSet[FrozenSet[bytes]]]) -> int:
    """A foreign key may also point to a unique index that is no key's."""
    index = _INDEX.match(build.statement)
    if index and build.statement.startswith(_UNIQUE):
        columns = _names(build.statement[index.end() :])
        if any(needed <= columns for needed in keys.get(plain_name(index["table"]), ())):
            return _INDEXES_OF_KEYS
    return build.stage


def _names(columns: bytes) -> FrozenSet[bytes]:
    return frozenset(word.replace(b'"', b"") for word in _WORD.findall(columns))


def _is_wide(build: Build, wide: Mapping[bytes, AbstractSet[bytes]]) -> bool:
    """Whether an index compares such values, or what an expression makes, or is no B-tree."""
    index = _INDEX.match(build.statement)
    if not index:
        return False
    columns = build.statement[index.end() :]
    return not _PLAIN_BTREE.match(columns) or bool(_names(columns) & wide.get(plain_name(index["table"]), set()))


def startable(waiting: Sequence[Build], running: Iterable[Build]) -> Optional[Build]:
    """The first of `waiting`, which is `in_order`, that waits for no lock, nor for an earlier stage of its tables."""
    alone: Set[bytes] = set()
    shared: Set[bytes] = set()
    before = list(running)
    for _, of_stage in groupby(waiting, lambda build: build.stage):
        for build in before:
            alone |= build.alone
            shared |= build.shared
        before = list(of_stage)
        for build in before:
            if not (build.alone & alone or build.alone & shared or build.shared & alone):
                return build
    return None
