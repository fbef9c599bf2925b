"""What a dump needs of the server it is loaded into: roles, extensions, locales, rights and settings.

It is read from the dump's own statements, which pg_dump always begins at the start of a line.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Dict, List, Set, Tuple

from ansible.module_utils.rollback.backups import preamble

_STARTS = (
    b"ALTER ",
    b"CREATE ",
    b"GRANT ",
    b"REVOKE ",
    b"SET ",
    b"RESET ",
    b"SECURITY ",
    b"    LANGUAGE ",
    b"    SET ",
)
# A name or string that goes on in the next line is `open`; what cannot be told apart from it is left out.
_TOKENS = re.compile(r"""(?P<part>"(?:[^"]|"")*"|'(?:[^']|'')*'|[^\s"'(),;=.]+|[(),;=.])|(?P<open>["'].*)""", re.DOTALL)
_ENDS_OF_ROLES = {";", "WITH", "USING", "GRANTED", "CASCADE"}
_PUBLIC = "PUBLIC"  # everybody; a role of that name cannot be
# What PostgreSQL lets superusers alone create, by how its statement begins.
BASE_TYPE, BINARY_CAST, BUILT_IN_CAST = "base type", "cast without function", "cast between built-in types"
EVERYTHING_PUBLISHED, LEAKPROOF, SUPPORT = "publication of all tables", "leakproof function", "function with support"
SUBSCRIPTION, LANGUAGE = "subscription", "language"
_RESTRICTED = (
    ("EVENT", "TRIGGER"), ("ACCESS", "METHOD"), ("OPERATOR", "CLASS"), ("OPERATOR", "FAMILY"),
    ("FOREIGN", "DATA", "WRAPPER"), ("TEXT", "SEARCH", "PARSER"), ("TEXT", "SEARCH", "TEMPLATE"),
)  # fmt: skip
_END_OF_NAME = {
    "(",
    ";",
    "AS",
    "ON",
    "TYPE",
    "USING",
    "FOR",
    "HANDLER",
    "VALIDATOR",
    "OPTIONS",
    "DEFAULT",
    "CONNECTION",
}


@dataclass
class Requirements:
    """`owners` own or granted something, so whoever loads the dump acts as them; `roles` are merely named.

    `collations` maps a collation to its options, `settings` holds (name, value), and `switches_user` says whether the dump
    changes its session's user for anything else than a grant. `restricted` holds (kind, name) of what superusers alone may
    create, such as ("event trigger", "guard"). `function_settings` are names that functions set, `wrappers` the foreign-data
    wrappers that servers use, and `label_providers` those of security labels. Names are without quotes.
    """

    owners: Set[str] = field(default_factory=set)
    roles: Set[str] = field(default_factory=set)
    extensions: Set[str] = field(default_factory=set)
    languages: Set[str] = field(default_factory=set)
    collations: Dict[str, Dict[str, str]] = field(default_factory=dict)
    settings: Set[Tuple[str, str]] = field(default_factory=set)
    switches_user: bool = False
    restricted: Set[Tuple[str, str]] = field(default_factory=set)
    function_settings: Set[str] = field(default_factory=set)
    wrappers: Set[str] = field(default_factory=set)
    label_providers: Set[str] = field(default_factory=set)


class RequirementsReader:
    """Is fed a dump's lines outside of COPY, and notes in `found` what they need."""

    def __init__(self, found: Requirements) -> None:
        self._found = found
        self._begun = b""  # a statement whose last name goes on in the next line
        self._routine = ""  # the function that was created last
        self._as_another = False

    def feed(self, line: bytes, in_name: bool = False) -> None:
        """`in_name` where `line` begins inside a quoted name; lines that begin inside anything else are not for us."""
        statement = self._begun + line if in_name else line
        self._begun = b""
        if not statement.startswith(_STARTS):
            return
        words: List[str] = []
        for found in _TOKENS.finditer(statement.decode(errors="replace")):
            if found.lastgroup == "open":
                if found.group().startswith('"'):
                    self._begun = statement
                    return
                break  # a string: nothing that we look for comes after one
            words.append(found.group())
        with suppress(IndexError):  # a statement that breaks off says nothing; that the dump does is found elsewhere
            self._note_user(words)
            if words[0] == "CREATE" and words[1] in ("FUNCTION", "PROCEDURE"):
                self._routine = _joined(words[2:])
            if words[0] == "LANGUAGE":
                _note_routine(words, self._routine, self._found)
            elif words[0] == "SET" and statement[:1] == b" ":
                self._found.function_settings.add("".join(words[1 : words.index("TO")]) if "TO" in words else words[1])
            else:
                _note(words, self._found)

    def _note_user(self, words: List[str]) -> None:
        if words[1:3] == ["SESSION", "AUTHORIZATION"]:
            self._as_another = words[0] == "SET" and words[3] != "DEFAULT"
        elif self._as_another and words[0] in ("CREATE", "ALTER"):
            self._found.switches_user = True


def _note(words: List[str], found: Requirements) -> None:
    if words[0] == "SET":
        _note_setting(words[1:], found)
    elif words[0] == "CREATE":
        _note_created(words[1:], found)
        _note_restricted(words[1:], found)
    elif words[:3] == ["SECURITY", "LABEL", "FOR"]:
        found.label_providers.add(_name(words[3]))
    elif words[:3] == ["ALTER", "DEFAULT", "PRIVILEGES"]:
        found.owners.update(_roles_after("ROLE", words)[:1])
        found.roles.update(_grantees(words))
    elif words[0] in ("GRANT", "REVOKE"):
        found.roles.update(_grantees(words))
    elif words[-4:-2] == ["OWNER", "TO"]:
        found.owners.add(_name(words[-2]))
    elif words[:2] == ["ALTER", "PUBLICATION"] and words[3:7] == ["ADD", "TABLES", "IN", "SCHEMA"]:
        found.restricted.add((EVERYTHING_PUBLISHED, _name(words[2])))


def _note_routine(words: List[str], routine: str, found: Requirements) -> None:
    """`LANGUAGE sql STABLE …`, the second line of a function."""
    found.languages.add(_name(words[1]))
    for word, kind in (("LEAKPROOF", LEAKPROOF), ("SUPPORT", SUPPORT)):
        if word in words[2:]:
            found.restricted.add((kind, routine))


def _note_restricted(words: List[str], found: Requirements) -> None:
    for start in _RESTRICTED:
        if tuple(words[: len(start)]) == start:
            found.restricted.add((" ".join(start).lower(), _joined(words[len(start) :])))
    if words[0] == "TYPE":
        name = _joined(words[1:])
        if words[1 + _name_length(words[1:])] in ("(", ";"):
            found.restricted.add((BASE_TYPE, name))
    elif words[:2] == ["CAST", "("]:
        types = words[2 : words.index("WITHOUT" if "WITHOUT" in words else "WITH") - 1]
        if "WITHOUT" in words:
            found.restricted.add((BINARY_CAST, " ".join(types)))
        elif not any(word == "." and types[place - 1] != "pg_catalog" for place, word in enumerate(types)):
            found.restricted.add((BUILT_IN_CAST, " ".join(types)))
    elif words[0] == "PUBLICATION" and words[2:5] == ["FOR", "ALL", "TABLES"]:
        found.restricted.add((EVERYTHING_PUBLISHED, _name(words[1])))
    elif words[0] == "SUBSCRIPTION":
        found.restricted.add((SUBSCRIPTION, _name(words[1])))
    elif words[0] == "SERVER" and "WRAPPER" in words:
        found.wrappers.update(_roles_after("WRAPPER", words)[:1])
    elif "LANGUAGE" in words[:4] and "HANDLER" in words:
        found.restricted.add((LANGUAGE, _roles_after("LANGUAGE", words)[0]))


def _note_setting(words: List[str], found: Requirements) -> None:
    if words[:2] == ["SESSION", "AUTHORIZATION"]:
        if words[2] != "DEFAULT":
            found.owners.add(_name(words[2]))
    elif "=" in words:
        middle = words.index("=")
        parts = [part for part in words[middle + 1 :] if part != ";"]
        name, value = "".join(words[:middle]), _name(parts[0]) if len(parts) == 1 else "".join(parts)
        if not preamble.is_left_out(name, value):
            found.settings.add((name, value))


def _note_created(words: List[str], found: Requirements) -> None:
    if words[0] == "EXTENSION":
        found.extensions.add(_name(words[4] if words[1:4] == ["IF", "NOT", "EXISTS"] else words[1]))
    elif words[0] == "COLLATION" and "(" in words:
        opened = words.index("(")
        found.collations["".join(words[1:opened])] = _options(words[opened + 1 :])
    elif words[0] == "POLICY":
        found.roles.update(_roles_after("TO", words))
    elif words[:3] == ["USER", "MAPPING", "FOR"] and words[3] != _PUBLIC:
        found.roles.add(_name(words[3]))
    elif "LANGUAGE" in words[:4] and "HANDLER" not in words and words[0] in ("OR", "TRUSTED", "PROCEDURAL", "LANGUAGE"):
        # Without a handler of its own, a language is an extension of the same name.
        found.extensions.update(_roles_after("LANGUAGE", words)[:1])


def _grantees(words: List[str]) -> List[str]:
    """Those at the end of GRANT … TO or REVOKE … FROM: the last such word, since names may be anything before it."""
    word = "TO" if "GRANT" in words and "REVOKE" not in words else "FROM"
    if word not in words:
        return []
    last = len(words) - 1 - words[::-1].index(word)
    return _roles_after(word, words[last:])


def _roles_after(word: str, words: List[str]) -> List[str]:
    """Names after the first `word`, up to where a list of roles ends."""
    names: List[str] = []
    if word not in words:
        return names
    for part in words[words.index(word) + 1 :]:
        if part in _ENDS_OF_ROLES:
            break
        if part not in (",", _PUBLIC):
            names.append(_name(part))
    return names


def _options(words: List[str]) -> Dict[str, str]:
    """`provider = libc, locale = 'tr_TR'` as a mapping."""
    return {
        words[place - 1]: _name(words[place + 1])
        for place, part in enumerate(words)
        if part == "=" and 0 < place < len(words) - 1
    }


def _name_length(words: List[str]) -> int:
    """How many of `words` are the name that they begin with."""
    return next((place for place, word in enumerate(words) if word in _END_OF_NAME), len(words))


def _joined(words: List[str]) -> str:
    """The name that `words` begin with, with its schema."""
    return "".join(_name(word) for word in words[: _name_length(words)])


def _name(part: str) -> str:
    """A quoted name or string without its quotes."""
    quote = part[:1]
    return part[1:-1].replace(quote * 2, quote) if quote in ("'", '"') else part
