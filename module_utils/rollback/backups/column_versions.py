"""The number that a server from PostgreSQL 15.20 on gives to each column, as an option that nobody set: `pg_attver`.

Its own pg_dump leaves it out. Any other one writes it into the dump, where it says nothing of the database, differs with each
load, and stops a server that does not know it. So whoever reads a dump takes it out first.
"""

from __future__ import annotations

import re

_NAME = rb'(?:"(?:[^"]|"")+"|[^\s".(;]+)'
_OPTION = rb"[a-z_]+=[^\s,();]+"
_SETS = (
    rb"(?P<sets>ALTER (?:FOREIGN )?TABLE ONLY (?:%(name)s\.)?%(name)s ALTER COLUMN %(name)s SET \()"
    rb"(?P<options>%(option)s(?:, %(option)s)*)(?P<end>\);\n)"
) % {b"name": _NAME, b"option": _OPTION}
_STATEMENT = re.compile(_SETS)
_IN_DEFINITION = re.compile(rb"(?m)^" + _SETS)
_NUMBER = re.compile(rb"pg_attver=\d+")


def removed(statement: bytes) -> bytes:
    """Return one statement without it: empty where it says nothing else."""
    said = _STATEMENT.fullmatch(statement) if b"pg_attver=" in statement else None
    return _without(said) if said else statement


def removed_from_definition(statements: bytes) -> bytes:
    """Return the statements that define a table without it, each of which begins a line."""
    return _IN_DEFINITION.sub(_without, statements) if b"pg_attver=" in statements else statements


def _without(said: "re.Match[bytes]") -> bytes:
    options = [option for option in said["options"].split(b", ") if not _NUMBER.fullmatch(option)]
    return said["sets"] + b", ".join(options) + said["end"] if options else b""
