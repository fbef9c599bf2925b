"""A backup is code: what a dump says besides what pg_dump would say, and besides what belongs to one database.

pg_dump writes few kinds of statements. All others are refused by their kind unless they are allowed, and so are those of
its own that reach the server, its files, its programs, its roles, or another database.
"""

from __future__ import annotations

import re
from typing import Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Set

from ansible.module_utils.rollback.backups import preamble
from ansible.module_utils.rollback.backups.script import ESCAPED, MARK, NAME, RESTRICT, STRING, WORD, Script, Token
from ansible.module_utils.rollback.backups.statements import (
    INSERT_INTO,
    Inserted,
    attached,
    inserted,
    table_of,
    takes_rows,
    words_of,
)
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.words import listed

PSQL, ENCODING = "psql", "encoding"
PROGRAMS, FILES, SERVER, ROLES, DATABASES = "programs", "files", "server", "roles", "databases"
LANGUAGES, TRIGGERS, ELSEWHERE, STATEMENTS = "languages", "event_triggers", "elsewhere", "statements"
# What each kind is, in the words of a refusal.
KINDS = {
    PSQL: "commands to psql",
    ENCODING: "strings that cannot be told from statements",
    PROGRAMS: "programs that the server would run",
    FILES: "files of the server",
    SERVER: "commands to the whole server",
    ROLES: "roles of the server",
    DATABASES: "other databases",
    LANGUAGES: "functions in languages that reach the host",
    TRIGGERS: "event triggers",
    ELSEWHERE: "connections to other servers",
    STATEMENTS: "statements that pg_dump does not write",
}
# psql's commands do nothing that a restore needs; and where strings cannot be read, nothing else can be found.
NEVER = (PSQL, ENCODING)
ALLOWABLE = tuple(kind for kind in KINDS if kind not in NEVER)

_FUNCTIONS = {
    name: kind
    for kind, names in {
        FILES: "pg_read_file pg_read_binary_file pg_ls_dir pg_ls_logdir pg_ls_waldir pg_ls_tmpdir pg_ls_archive_statusdir"
        " pg_stat_file lo_import lo_export pg_file_read pg_file_write pg_file_sync pg_file_rename pg_file_unlink pg_logdir_ls",
        SERVER: "pg_reload_conf pg_terminate_backend pg_cancel_backend pg_rotate_logfile pg_promote pg_switch_wal"
        " pg_drop_replication_slot pg_create_logical_replication_slot pg_create_physical_replication_slot",
        STATEMENTS: "query_to_xml query_to_xmlschema query_to_xml_and_xmlschema",
    }.items()
    for name in names.split()
}
_DBLINK = "dblink"
_EXTENSIONS = {"dblink": ELSEWHERE, "file_fdw": FILES, "adminpack": FILES}
_HOST_LANGUAGES = {"c", "internal"}  # and those that end in u
_SERVER_WIDE = {
    **dict.fromkeys(("system", "tablespace", "parameter"), SERVER),
    **dict.fromkeys(("role", "user", "group", "owned"), ROLES),
    "database": DATABASES,
}
_SAYS_OF = {"grant", "revoke", "comment", "security"}
_DDL = {"create", "alter", "drop"}
_SESSION = preamble.SETTINGS | {"session", "role"}
# In these a byte of a letter may look like a backslash. Without underscores and such, as PostgreSQL compares their names.
_ENCODINGS = {"sjis", "shiftjis", "shiftjis2004", "mskanji", "big5", "gbk", "uhc", "gb18030", "johab", "windows932", "win932",
              "windows936", "win936", "windows949", "win949", "windows950", "win950"}  # fmt: skip
# Functions that pg_dump calls: sequences, large objects, statistics.
_CALLED = {"setval", "set_config", "lo_create", "lo_open", "lowrite", "lo_close", "lo_unlink", "pg_restore_relation_stats",
           "pg_restore_attribute_stats"}  # fmt: skip
_IN_CALLS = {"true", "false", "null", "pg_catalog", "from", "where", "oid", "pg_largeobject_metadata", "integer", "real",
             "text", "boolean", "bigint", "name", "pg_lsn", "xid", "smallint", "double", "precision"}  # fmt: skip
_IN_ROWS = {"null", "true", "false", "default", "b", "x", "on", "conflict", "do", "nothing", "values"}
_PG_DUMP_SAYS = {"set", "reset", "create", "alter", "drop", "comment", "grant", "revoke", "security", "insert", "refresh",
                 "begin", "start", "commit", "select", "copy"}  # fmt: skip
_ROUTINES = {"function", "procedure"}
_NOTHING, _OPENED, _ENDED = Token(MARK, b""), Token(MARK, b"("), Token(MARK, b";")
_MAKES = (Token(WORD, b"create"), Token(WORD, b"alter"))
_CONNECTS_NOT = (Token(WORD, b"connect"), Token(MARK, b"="), Token(WORD, b"false"))


_MADE_WITH_CREATE = (
    "It was made with pg_dump --create: delete what makes the database and connects to it"
    r" (sed -i '1,/^\\connect /{/^\\connect /d;/^[A-Z]* DATABASE /d}' on the text), or choose another backup."
)


class Finding(NamedTuple):
    kind: str
    words: str


class Scanner:
    """Is fed the lines of a dump that are no rows, and keeps in `found` what it refuses, by kind.

    `inserted` has the INSERTs that ended on the last line, `partitions` the table of each partition that was attached, and
    `makes_tables` says whether there was a CREATE TABLE. `note` is called with every statement.
    """

    def __init__(
        self, found: Optional[Dict[str, List[str]]] = None, note: Optional[Callable[[List[Token]], None]] = None
    ) -> None:
        self.found: Dict[str, List[str]] = {} if found is None else found
        self.script = Script(self._judge)
        self.inserted: List[Inserted] = []
        self.partitions: Dict[str, str] = {}
        self.makes_tables = False
        self._tell = note
        self._copied: List[str] = []

    def feed(self, line: bytes) -> str:
        """The table of a COPY that ended on this line, whose rows come next; empty where none did."""
        self._copied, self.inserted = [], []
        if line.startswith(b"--") and b"\r" in line.rstrip() and not self.script.inside:
            self._note(Finding(STATEMENTS, "a comment that a carriage return ends"))
        command = self.script.meta_command(line)
        if command and not RESTRICT.match(command):
            self._note(Finding(PSQL, _shown(command)))
        if b"\0" in line:
            self._note(Finding(STATEMENTS, "a zero byte"))
        if len(self._copied) > 1:
            self._note(Finding(STATEMENTS, "several COPY on one line"))
        return self._copied[0] if self._copied else ""

    def finish(self) -> None:
        """A string or statement that is left open would swallow what comes after it."""
        if not self.script.between_statements:
            self._note(Finding(STATEMENTS, "one that does not end"))
        self.script.finish()

    def text(self, text: bytes) -> None:
        """A definition of an archive, which must be whole by itself."""
        for line in text.splitlines(keepends=True):
            self.feed(line)
        self.finish()
        self.script = Script(self._judge)

    def _judge(self, tokens: List[Token]) -> None:
        if self._tell:
            self._tell(tokens)
        if tokens and takes_rows(tokens):
            self._copied.append(table_of(tokens))
            return
        if tokens[:2] == INSERT_INTO:
            self.inserted.append(inserted(tokens))
        if tokens and tokens[0] in _MAKES:
            words = words_of(tokens)
            self.makes_tables = self.makes_tables or (words[0] == "create" and "table" in words[1:3])
            partition, table = attached(tokens, words)
            if partition:
                self.partitions[partition] = table
        for finding in judge(tokens):
            self._note(finding)

    def _note(self, finding: Finding) -> None:
        words = self.found.setdefault(finding.kind, [])
        if finding.words not in words:
            words.append(finding.words)


def refuse(name: str, found: Dict[str, List[str]], allowed: Iterable[str]) -> None:
    """Raises RollbackError where `found` has a kind that is not among the `allowed` ones."""
    refused = {kind: words for kind, words in found.items() if kind in NEVER or kind not in allowed}
    for kind, words in sorted(refused.items(), key=lambda each: list(KINDS).index(each[0])):
        others = [KINDS[other] for other in refused if other != kind]
        besides = f" (and {listed(others)})" if others else ""
        way_out = (
            _MADE_WITH_CREATE
            if kind == PSQL and all(each.startswith("\\connect ") for each in words)
            else "It was made by hand, or tampered with; choose another backup."
            if kind == PSQL
            else "Choose another backup, such as one made with pg_dump --encoding=UTF8."
            if kind == ENCODING
            else f"Choose another backup, or allow it where that is meant: rollback_backup_allow: [{', '.join(sorted(refused))}]."
        )
        raise RollbackError(f"The backup {name} reaches {KINDS[kind]}: {listed(words, 3)}{besides}.", way_out)


def judge(tokens: Sequence[Token]) -> List[Finding]:
    """What one statement reaches beyond its own database, and whether pg_dump writes such statements at all."""
    words = words_of(tokens)
    if not any(words):
        return []
    found = list(_reaching(tokens, words))
    if not found and not _is_of_pg_dump(tokens, words):
        found.append(Finding(STATEMENTS, _said(tokens)))
    if words[0] == "set" or (words[0] == "select" and "set_config" in words):
        found += _settings(tokens, words)
    return found


def _reaching(tokens: Sequence[Token], words: Sequence[str]) -> Iterator[Finding]:
    """Findings anywhere in a statement, or in the body of a function: whoever names these things reaches them."""
    begins = True
    for place, word in enumerate(words):
        following = tokens[place + 1] if place + 1 < len(tokens) else _NOTHING
        if begins and word in _DDL:
            yield from _ddl(tokens, words, place)
        elif begins and word in _SAYS_OF:
            yield from _said_of(tokens, words, place)
        elif begins and word == "load" and following.kind in (STRING, ESCAPED):
            yield Finding(SERVER, _said(tokens[place:]))
        elif word == "copy" and (begins or "execute" in words):
            yield from _copy(tokens, words, place)
        elif tokens[place].kind in (WORD, NAME) and following == _OPENED and words[0] not in ("revoke", "comment"):
            yield from _call(tokens[place].text.decode(errors="replace").lower())
        begins = tokens[place] == _ENDED or word in ("begin", "then", "else", "loop", "atomic")
    if _is_routine(words) or words[:1] == ["do"]:
        yield from _bodies(tokens, words)
    if "execute" in words:
        for token in tokens:
            if token.kind in (STRING, ESCAPED):
                yield from _inside(token.text)
    for place, token in enumerate(tokens[:-2]):
        if token == Token(WORD, b"u") and tokens[place + 1] == Token(MARK, b"&") and tokens[place + 2].kind == NAME:
            yield Finding(STATEMENTS, "a name in Unicode escapes")


def _ddl(tokens: Sequence[Token], words: Sequence[str], place: int) -> Iterator[Finding]:
    verb, what = words[place], [word for word in words[place + 1 : place + 6] if word] + [""]
    said = _said(tokens[place:])
    if what[0] in _SERVER_WIDE and what[:2] != ["user", "mapping"]:
        yield Finding(_SERVER_WIDE[what[0]], said)
    elif what[:2] == ["event", "trigger"] and verb == "create":
        yield Finding(TRIGGERS, said)
    elif what[0] == "subscription" and _connects(verb, tokens, words):
        yield Finding(ELSEWHERE, said)
    elif what[0] == "extension" and verb == "create":
        name = _first_name(tokens[place + 2 :], skip={"if", "not", "exists"})
        if name in _EXTENSIONS or _is_of_the_host(name):
            yield Finding(_EXTENSIONS.get(name, LANGUAGES), said)
    elif verb == "create" and (_ROUTINES & set(what[:3]) or _is_language(what)):
        for at in [at for at, word in enumerate(words) if word == "language" and at > place]:
            if _is_of_the_host(_first_name(tokens[at + 1 :], skip=set())):
                yield Finding(LANGUAGES, said)


def _said_of(tokens: Sequence[Token], words: Sequence[str], place: int) -> Iterator[Finding]:
    """GRANT, REVOKE, COMMENT and SECURITY LABEL on what is no part of the database; and GRANT role TO …, which has no ON."""
    until = words.index("to", place) if words[place] == "grant" and "to" in words[place:] else len(words)
    if "on" in words[place:until]:
        on = words[words.index("on", place) + 1 :][:1]
        for kind in [_SERVER_WIDE[what] for what in on if what in _SERVER_WIDE]:
            yield Finding(kind, _said(tokens[place:]))
    elif words[place] == "grant":
        yield Finding(ROLES, _said(tokens[place:]))


def _connects(verb: str, tokens: Sequence[Token], words: Sequence[str]) -> bool:
    """Whether a subscription would reach its publisher: pg_dump writes it so that it does not."""
    if verb == "create":
        return not any(tuple(tokens[at : at + 3]) == _CONNECTS_NOT for at in range(len(tokens)))
    return verb == "alter" and bool({"connection", "enable", "refresh"} & set(words))


def _is_language(what: Sequence[str]) -> bool:
    return "language" in what and set(what[: what.index("language")]) <= {"or", "replace", "trusted", "procedural"}


def _copy(tokens: Sequence[Token], words: Sequence[str], place: int) -> Iterator[Finding]:
    for at in range(place + 1, len(tokens)):
        if tokens[at] == Token(MARK, b";"):
            return
        if words[at] in ("from", "to") and at + 1 < len(tokens):
            if words[at + 1] == "program":
                yield Finding(PROGRAMS, _said(tokens[place:]))
            elif tokens[at + 1].kind in (STRING, ESCAPED):
                yield Finding(FILES, _said(tokens[place:]))


def _call(name: str) -> Iterator[Finding]:
    if name in _FUNCTIONS:
        yield Finding(_FUNCTIONS[name], f"{name}()")
    elif name == _DBLINK or name.startswith(_DBLINK + "_"):
        yield Finding(ELSEWHERE, f"{name}()")


def _bodies(tokens: Sequence[Token], words: Sequence[str]) -> Iterator[Finding]:
    for place, token in enumerate(tokens):
        is_body = words[0] == "do" or words[place - 1] == "as" or tokens[place - 1] == Token(MARK, b",")
        if token.kind == ESCAPED and is_body and b"\\" in token.text:
            yield Finding(STATEMENTS, "a function in escapes")
        elif token.kind == STRING and is_body:
            yield from _inside(token.text)


def _inside(text: bytes) -> Iterator[Finding]:
    """Findings in the body of a function, or in a string that one executes."""
    fragments: List[Finding] = []

    def note(tokens: List[Token]) -> None:
        fragments.extend(_reaching(tokens, words_of(tokens)))

    script = Script(note)
    for line in text.splitlines(keepends=True):
        script.meta_command(line)
    script.finish()
    return iter(fragments)


def _is_of_pg_dump(tokens: Sequence[Token], words: Sequence[str]) -> bool:
    if words[0] not in _PG_DUMP_SAYS or words[0] == "copy":
        return False
    words = [*words, "", "", "", ""]  # a statement may break off anywhere
    if words[0] == "set":
        return words[1] in _SESSION or bool(preamble.NEWER_TIMEOUT.fullmatch(words[1]))
    if words[0] == "refresh":
        return words[1:3] == ["materialized", "view"]
    if words[0] == "insert":
        return _is_row(tokens, words)
    if words[0] == "select":
        return _is_own_call(tokens, words)
    return True


def _is_row(tokens: Sequence[Token], words: Sequence[str]) -> bool:
    if "values" not in words:
        return False
    begin = words.index("values")
    calls = [
        at for at in range(begin + 1, len(tokens) - 1) if tokens[at].kind in (WORD, NAME) and _next(tokens, at) == b"("
    ]
    return all(word in _IN_ROWS for word in words[begin:] if word) and not [at for at in calls if words[at] != "values"]


def _is_own_call(tokens: Sequence[Token], words: Sequence[str]) -> bool:
    start = 2 if words[1] == "from" else 1
    if words[start] != "pg_catalog" or words[start + 2] not in _CALLED or _next(tokens, start + 2) != b"(":
        return False
    rest = range(start + 3, len(tokens))
    return all(words[at] in _IN_CALLS for at in rest if tokens[at].kind in (WORD, NAME)) and not any(
        _next(tokens, at) == b"(" for at in rest[:-1] if tokens[at].kind in (WORD, NAME)
    )


def _settings(tokens: Sequence[Token], words: Sequence[str]) -> List[Finding]:
    """Settings that change how strings are read; and set_config() of anything but the path on which names are looked for."""
    values = [token.text.decode(errors="replace").lower() for token in tokens if token.kind != MARK]
    said = _said(tokens)
    if "standard_conforming_strings" in values and not {"on", "true"} & set(values):
        return [Finding(ENCODING, said)]
    if {"client_encoding", "names"} & set(values) and {_plain(value) for value in values} & _ENCODINGS:
        return [Finding(ENCODING, said)]
    if words[0] == "select" and "search_path" not in values:
        return [Finding(STATEMENTS, said)]
    return []


def _is_routine(words: Sequence[str]) -> bool:
    return words[:1] == ["create"] and bool(_ROUTINES & set(words[1:4]))


def _is_of_the_host(name: str) -> bool:
    return name in _HOST_LANGUAGES or (name.startswith("pl") and name.endswith("u"))


def _first_name(tokens: Sequence[Token], skip: Set[str]) -> str:
    for token in tokens:
        text = token.text.decode(errors="replace").lower()
        if token.kind != MARK and not (token.kind == WORD and text in skip):
            return text
    return ""


def _next(tokens: Sequence[Token], place: int) -> bytes:
    following = tokens[place + 1] if place + 1 < len(tokens) else _NOTHING
    return following.text if following.kind == MARK else b""


def _said(tokens: Sequence[Token]) -> str:
    """The beginning of a statement, for people; of strings only that there is one, since they may hold secrets."""
    words = []
    for token in tokens[:8]:
        if token == Token(MARK, b";"):
            break
        words.append(
            {WORD: token.text.upper(), NAME: b'"%s"' % token.text, MARK: token.text}.get(token.kind, b"'\xe2\x80\xa6'")
        )
    return _shown(b" ".join(words))


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name)


def _shown(words: bytes) -> str:
    return words.decode(errors="replace")[:80]
