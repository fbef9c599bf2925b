"""Cuts a plain dump into pg_dump's own entries while it is read: the statements of one object, or the rows of one table."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Dict, Iterable, Iterator, List, Optional, Tuple

from ansible.module_utils.rollback.backups import column_versions
from ansible.module_utils.rollback.backups.dump_text import END_MARKER, HEADER, Text
from ansible.module_utils.rollback.backups.preamble import LEFT_OUT
from ansible.module_utils.rollback.backups.script import RESTRICT, Script, Token
from ansible.module_utils.rollback.backups.statements import takes_rows
from ansible.module_utils.rollback.errors import RollbackError

TABLE_DATA, COMMENT, ACL, EXTENSION = "TABLE DATA", "COMMENT", "ACL", "EXTENSION"
EVENT_TRIGGER, SECURITY_LABEL, STATISTICS_DATA = "EVENT TRIGGER", "SECURITY LABEL", "STATISTICS DATA"
NAME = rb'(?:"(?:[^"]|"")+"|[^\s".(;]+)'
QUALIFIED_NAME = rb"(?:%s\.)?%s" % (NAME, NAME)
_COPY = re.compile(rb"COPY (%s) (?:\(.*\))? ?FROM stdin;\s*" % QUALIFIED_NAME, re.DOTALL)
# Said between entries, and in force from there on. Neither can end a string, so no string can end with one of them.
_SETTING = re.compile(rb"SET (default_tablespace|default_table_access_method) = (?:''|%s);\s*" % NAME)
# Anything else that would change the session for what follows; pg_dump says such things only before the first entry.
_CHANGES_SESSION = re.compile(rb"(?:SET|RESET|BEGIN|START)\b|SELECT pg_catalog\.set_config\(", re.IGNORECASE)
# Around what one role granted to another: grants.py knows whether the session is given back.
_GRANTOR = re.compile(rb"(?:SET SESSION AUTHORIZATION %s|RESET SESSION AUTHORIZATION);\s*" % NAME)
_OPENING = re.compile(rb"SET \w+ = [^;]+;\s*|SELECT pg_catalog\.set_config\('search_path', '[^']*', false\);\s*")
# The same, or what --clean removes.
_OF_OPENING = re.compile(rb"%s|(?:DROP|ALTER) .*" % _OPENING.pattern, re.DOTALL)
# Data as statements, which come in pieces of so many or of so many bytes: large objects, between BEGIN and COMMIT, and rows
# as INSERT.
_LARGE_OBJECTS, _PIECE, _PIECE_BYTES = "BLOBS", 500, 16 << 20
_PUBLIC = re.compile(rb'CREATE SCHEMA (?:public|"public");')


def is_setting(statement: bytes) -> bool:
    """Whether a statement that opens a dump sets up the session, rather than doing something once."""
    return bool(_OPENING.fullmatch(statement))


class NotAsDumped(RollbackError):
    """What pg_dump would not have written there. psql may well read it."""


@dataclass(frozen=True)
class Entry:
    """One object. `kind` is pg_dump's word for it; it is empty for the settings that open a dump.

    `settings` are the SETs in force. With `rows`, the only statement is the COPY that takes them; they come as blocks
    of whole lines, and are to be read before the next entry.
    """

    name: str
    kind: str
    statements: List[bytes]
    settings: Tuple[bytes, ...] = ()
    table: bytes = b""
    rows: Optional[Iterator[bytes]] = None

    @property
    def sql(self) -> bytes:
        return b"".join(self.statements)

    def __str__(self) -> str:
        return f"{self.kind.lower()} {self.name}".strip() or "the dump's settings"


def can_be_cut(blocks: Iterable[bytes]) -> bool:
    """Whether this is pg_dump's own output: read up to the first rows."""
    try:
        for entry in entries(blocks):
            if entry.rows is not None or entry.kind == TABLE_DATA:
                return True
            if entry.kind == "" and not all(map(_OF_OPENING.fullmatch, entry.statements)):
                return False
    except RollbackError:
        return False
    return True


def makes_public(blocks: Iterable[bytes]) -> bool:
    """Whether it creates the schema `public`, as `pg_dump --schema=public` does, and does not drop it before (`--clean`)."""
    with suppress(RollbackError, EOFError):
        for entry in entries(blocks):
            if entry.kind == "" and b"DROP SCHEMA " in entry.sql:
                return False
            if entry.kind == "SCHEMA" and entry.name == "public":
                return bool(_PUBLIC.search(entry.sql))
            if entry.rows is not None or entry.kind in ("TABLE", TABLE_DATA):
                return False
    return False


def without_public(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """A dump that `makes_public`, into a database that has it: what the dump leaves unsaid of its rights is as in a new database."""
    rest, head = iter(blocks), b""
    for block in rest:
        head += block
        found = _PUBLIC.search(head)
        if found:
            yield head[: found.start()] + head[found.end() :]
            yield from rest
            return
    yield head


def entries(blocks: Iterable[bytes]) -> Iterator[Entry]:
    """The entries in the file's order. Raises EOFError where the dump breaks off, NotAsDumped where it is not pg_dump's own."""
    copies: List[bool] = []  # for each statement, whether rows come next

    def note(tokens: List[Token]) -> None:
        copies.append(takes_rows(tokens))

    text, script = Text(blocks), Script(note)
    name, kind, complete = "", "", False
    settings: Dict[bytes, bytes] = {}
    statements: List[bytes] = []
    lines: List[bytes] = []  # of a statement that has begun
    size = 0  # bytes of `statements`

    def entry(said: List[bytes], table: bytes = b"", rows: Optional[Iterator[bytes]] = None) -> Entry:
        return Entry(name, kind, said, tuple(settings.values()), table, rows)

    for line in iter(text.line, b""):
        if not lines:
            if line.startswith(b"--") and b"\r" in line.rstrip():
                raise NotAsDumped("A comment holds a carriage return, which ends it.", "Choose another backup.")
            header = HEADER.match(line)
            if header:
                if statements:
                    yield entry(statements)
                statements, size, name, kind = [], 0, _name(header), header["kind"].decode(errors="replace")
                continue
            complete = complete or line.startswith(END_MARKER)
            if line.isspace() or line.startswith(b"--") or RESTRICT.match(line) or LEFT_OUT.fullmatch(line):
                continue
        if script.meta_command(line):
            raise RollbackError(
                f"The dump holds a command of psql's own: {line.decode(errors='replace').strip()}.",
                "Choose a backup that was made by playbooks/backup.yml.",
            )
        lines.append(line)
        if not script.between_statements:
            continue
        statement, lines = column_versions.removed(b"".join(lines)), []
        setting, copy = _SETTING.fullmatch(statement), _COPY.fullmatch(statement)
        if (copy or True in copies) and not (copy and copies == [True]):
            raise NotAsDumped("A COPY shares its lines with something else.", "Choose another backup.")
        copies.clear()
        if not statement:
            continue
        full = kind in (_LARGE_OBJECTS, TABLE_DATA) and (len(statements) >= _PIECE or size >= _PIECE_BYTES)
        if setting or copy or full:
            if statements:
                yield entry(statements)
            statements, size = [], 0
        if setting:
            settings[setting.group(1)] = statement
        elif copy:
            yield entry([statement], copy.group(1), text.rows())
        elif _changes_session(kind, statement):
            raise NotAsDumped(f"{kind.capitalize()} {name} changes the session.", "Choose another backup.")
        else:
            statements.append(statement)
            size += len(statement)
    if lines or not complete:
        raise EOFError("the line that pg_dump writes last is missing")
    if statements:
        yield entry(statements)


def _changes_session(kind: str, statement: bytes) -> bool:
    if kind in ("", _LARGE_OBJECTS) or (kind == ACL and _GRANTOR.fullmatch(statement)):
        return False
    return bool(_CHANGES_SESSION.match(statement))


def _name(header: "re.Match[bytes]") -> str:
    name, schema = (header[group].decode(errors="replace") for group in ("name", "schema"))
    return name if schema == "-" else f"{schema}.{name}"
