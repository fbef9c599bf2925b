"""What a dump creates: its objects by kind and name, in the words of a census, noted while the dump is read.

A name is written as pg_dump and `format('%I.%I')` write it. What is not understood is not noted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Dict, List, NamedTuple, Sequence, Set, Tuple

from ansible.module_utils.rollback.backups.script import MARK, NAME, STRING, WORD, Token

# The comment above the rows of each table, even of an empty one whose rows would come as INSERT.
_DATA_OF = re.compile(rb"-- Data for Name: (.*); Type: TABLE DATA; Schema: (.*); Owner: ")
# Large objects, as the archives of PostgreSQL 17 and newer list them.
_NUMBERS = re.compile(rb"(?:\d+\n)+")
_SCHEMA = re.compile(r'(?:"(?:[^"]|"")*"|[^".])+\.')
_BEFORE_ARGUMENTS = re.compile(r'(?:"(?:[^"]|"")*"|[^"(])+')
_OPENED, _CLOSED, _COMMA, _DOT = (Token(MARK, mark) for mark in (b"(", b")", b",", b"."))
_BEFORE_A_KIND = {"or", "replace", "unlogged", "unique", "constraint", "foreign", "materialized", "recursive"}
_BEFORE_A_NAME = {"if", "not", "exists", "only"}
_ROUTINES = {"function", "procedure", "aggregate"}
_WITH_INDEX = {"primary", "unique", "exclude"}
_NO_COLUMN = {"constraint", "check", "primary", "unique", "foreign", "not", "like"}


class _Name(NamedTuple):
    """`shown` as a census writes it, `plain` without quotes, `end` where the tokens go on."""

    shown: str
    plain: str
    end: int


@dataclass
class Contents:
    """`objects` holds `kind name`, as the objects of a census; functions without their arguments.

    `tables` are those that hold rows of their own, with their name without quotes; `partition_of` has the table that one
    is a partition of, `heirs` are tables that inherit. `announced` are tables whose rows have a heading, which pg_dump
    gives empty ones, too.
    """

    objects: Set[str] = field(default_factory=set)
    tables: Dict[str, str] = field(default_factory=dict)
    unlogged: Set[str] = field(default_factory=set)
    partition_of: Dict[str, str] = field(default_factory=dict)
    heirs: Set[str] = field(default_factory=set)
    with_columns: Set[str] = field(default_factory=set)
    sequences: Set[str] = field(default_factory=set)
    views_with_rows: Set[str] = field(default_factory=set)
    refreshed: Set[str] = field(default_factory=set)
    large_objects: Set[str] = field(default_factory=set)
    large_objects_filled: Set[str] = field(default_factory=set)
    announced: Set[str] = field(default_factory=set)

    def note_line(self, line: bytes) -> None:
        """A line between statements."""
        found = _DATA_OF.match(line)
        if found:
            self.announced.add(f"{_text(found.group(2))}.{_text(found.group(1))}")

    def note_entry(self, definition: bytes) -> None:
        """The definition of an archive's entry that is no statement."""
        if _NUMBERS.fullmatch(definition):
            self.large_objects.update(_text(definition).split())

    def note(self, tokens: Sequence[Token]) -> None:
        """A statement of the dump."""
        words = [_text(token.text) if token.kind == WORD else "" for token in tokens]
        verb = words[0] if words else ""
        if verb == "create":
            self._created(tokens, words)
        elif words[:2] == ["alter", "table"]:
            self._altered(tokens, words)
        elif words[:3] == ["refresh", "materialized", "view"]:
            self.refreshed.add(_name(tokens, 3).shown)
        elif words[:2] == ["select", "pg_catalog"]:
            self._called(tokens, words)

    def _created(self, tokens: Sequence[Token], words: Sequence[str]) -> None:
        at = 1
        while words[at : at + 1] and words[at] in _BEFORE_A_KIND:
            at += 1
        before, kind = set(words[1:at]), words[at] if at < len(words) else ""
        name = _name(tokens, at + 1)
        if not name.shown:
            return
        if kind in ("table", "view", "sequence"):
            self.objects.add(f"relation {name.shown}")
        if kind == "table":
            self._table(tokens, words, name, before)
        elif kind == "view" and "materialized" in before:
            self.views_with_rows.add(name.shown)
        elif kind == "sequence":
            self.sequences.add(name.shown)
        elif kind in _ROUTINES:
            self.objects.add(f"function {name.shown}")
        elif kind == "domain":
            self.objects.add(f"type {name.shown}")
            self._constraints(tokens, words, name)
        elif kind in ("type", "schema", "extension"):
            self.objects.add(f"{kind} {name.shown}")
        elif kind in ("index", "trigger", "policy") and "on" in words[name.end :]:
            of = _name(tokens, words.index("on", name.end) + 1).shown
            self.objects.add(f"index {_beside(of, name.shown)}" if kind == "index" else f"{kind} {of}.{name.shown}")
            if kind == "trigger" and "constraint" in before:
                self.objects.add(f"constraint {of}.{name.shown}")

    def _table(self, tokens: Sequence[Token], words: Sequence[str], name: _Name, before: Set[str]) -> None:
        depths = _depths(tokens)
        after = [word if depth == 0 else "" for word, depth in zip(words, depths)][name.end :]  # behind the columns
        if "foreign" not in before and ("partition", "by") not in list(zip(after, after[1:])):
            self.tables[name.shown] = name.plain
            if "unlogged" in before:
                self.unlogged.add(name.shown)
        self._constraints(tokens, words, name)
        if "inherits" in after:
            self.heirs.add(name.shown)
        elif tokens[name.end : name.end + 1] == [_OPENED]:
            self.with_columns.add(name.shown)
            for at in range(name.end, len(tokens) - 1):
                begins = tokens[at] in (_OPENED, _COMMA) and depths[at + 1] == 1 and depths[at] <= 1
                if begins and tokens[at + 1].kind in (WORD, NAME) and words[at + 1] not in _NO_COLUMN:
                    self.objects.add(f"column {name.shown}.{_quoted(tokens[at + 1])}")
                if at > name.end and depths[at + 1] == 0:
                    return

    def _constraints(self, tokens: Sequence[Token], words: Sequence[str], name: _Name) -> None:
        for at in [at for at, word in enumerate(words) if word == "constraint" and at >= name.end]:
            if at + 1 < len(tokens):
                self.objects.add(f"constraint {name.shown}.{_quoted(tokens[at + 1])}")

    def _altered(self, tokens: Sequence[Token], words: Sequence[str]) -> None:
        name = _name(tokens, 2)
        after = list(words[name.end : name.end + 4])
        if after[:2] == ["attach", "partition"]:
            self.partition_of[_name(tokens, name.end + 2).shown] = name.shown
        elif after[:2] == ["add", "constraint"]:
            constraint = _name(tokens, name.end + 2)
            self.objects.add(f"constraint {name.shown}.{constraint.shown}")
            if _WITH_INDEX & set(words[constraint.end : constraint.end + 1]):
                self.objects.add(f"index {_beside(name.shown, constraint.shown)}")
        elif "identity" in words and ("sequence", "name") in list(zip(words, words[1:])):
            at = list(zip(words, words[1:])).index(("sequence", "name"))
            sequence = _name(tokens, at + 2).shown
            self.sequences.add(sequence)
            self.objects.add(f"relation {sequence}")

    def _called(self, tokens: Sequence[Token], words: Sequence[str]) -> None:
        strings = [_text(token.text) for token in tokens if token.kind == STRING][:1]
        if "lo_create" in words:
            self.large_objects.update(strings)
        if "lo_open" in words:
            self.large_objects_filled.update(strings)


def _name(tokens: Sequence[Token], at: int) -> _Name:
    """The name at place `at`, with its schema where it has one; empty where there is none."""
    while at < len(tokens) and tokens[at].kind == WORD and _text(tokens[at].text) in _BEFORE_A_NAME:
        at += 1
    parts: List[Token] = []
    while at < len(tokens) and tokens[at].kind in (WORD, NAME):
        parts.append(tokens[at])
        at += 1
        if tokens[at : at + 1] != [_DOT]:
            break
        at += 1
    return _Name(".".join(map(_quoted, parts)), ".".join(_text(part.text) for part in parts), at)


def _depths(tokens: Sequence[Token]) -> List[int]:
    """In how many parentheses each token is; those that open or close count as outside of their own."""
    depths, depth = [], 0
    for token in tokens:
        depth -= token == _CLOSED
        depths.append(depth)
        depth += token == _OPENED
    return depths


def _beside(table: str, name: str) -> str:
    """`name` in the schema of `table`."""
    found = _SCHEMA.match(table)
    return found.group() + name if found else name


def split(object_name: str) -> Tuple[str, str]:
    """Kind and name of an object of a census, a function without its arguments."""
    kind, _, name = object_name.partition(" ")
    if kind == "function":
        found = _BEFORE_ARGUMENTS.match(name)
        name = found.group() if found else name
    return kind, name


def _quoted(token: Token) -> str:
    text = _text(token.text)
    return '"{}"'.format(text.replace('"', '""')) if token.kind == NAME else text


def _text(text: bytes) -> str:
    return text.decode(errors="replace")
