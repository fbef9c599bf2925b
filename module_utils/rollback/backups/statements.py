"""What statements say of rows and tables: which take or hold rows, of which table, and which table a partition belongs to."""

from __future__ import annotations

from typing import List, NamedTuple, Sequence, Tuple

from ansible.module_utils.rollback.backups import identifiers
from ansible.module_utils.rollback.backups.script import ESCAPED, MARK, NAME, STRING, WORD, Token

INSERT_INTO = [Token(WORD, b"insert"), Token(WORD, b"into")]
_FROM_STDIN = [Token(WORD, b"from"), Token(WORD, b"stdin"), Token(MARK, b";")]


class Inserted(NamedTuple):
    """An INSERT of `rows` rows; `value` is the first string among them."""

    table: str
    rows: int
    value: str


def takes_rows(tokens: Sequence[Token]) -> bool:
    """Whether this is COPY name (columns) FROM stdin; and no more: rows come on the next line."""
    if tokens[0] != Token(WORD, b"copy") or list(tokens[-3:]) != _FROM_STDIN:
        return False
    return all(
        token.kind == NAME
        or (token.kind == WORD and token.text not in (b"from", b"to", b"program"))
        or token.text in b"().,"
        for token in tokens[1:-3]
    )


def inserted(tokens: Sequence[Token]) -> Inserted:
    """pg_dump writes a row as literals, so that every parenthesis behind VALUES that is in no other one begins a row."""
    rows, depth, values = 0, 0, False
    first = b""
    for token in tokens:
        if token.kind == MARK and values:
            rows += token.text == b"(" and depth == 0
        if token.kind == MARK:
            depth += (token.text == b"(") - (token.text == b")")
        elif token == Token(WORD, b"values"):
            values = True
        elif values and not first and token.kind in (STRING, ESCAPED):
            first = token.text
    return Inserted(table_of(tokens[1:]), rows or 1, first.decode(errors="replace"))  # DEFAULT VALUES has none


def table_of(tokens: Sequence[Token]) -> str:
    """The name of the table of a COPY or INSERT, as a census writes it."""
    return _name_before((b"(", b"from", b"values", b"overriding", b"default"), tokens[1:])


def _name_before(ends: Sequence[bytes], tokens: Sequence[Token]) -> str:
    name = ""
    for token in tokens:
        if token.text in ends and token.kind != NAME:
            break
        text = token.text.decode(errors="replace")
        name += identifiers.quoted(text) if token.kind == NAME else text
    return name


def attached(tokens: Sequence[Token], words: Sequence[str]) -> Tuple[str, str]:
    """The partition and the table of ALTER TABLE [ONLY] table ATTACH PARTITION partition; empty of anything else."""
    if words[:2] != ["alter", "table"] or "attach" not in words:
        return "", ""
    table = tokens[3:] if words[2] == "only" else tokens[2:]
    return (
        _name_before((b"for", b"default", b";"), tokens[words.index("attach") + 2 :]),
        _name_before((b"attach",), table),
    )


def words_of(tokens: Sequence[Token]) -> List[str]:
    """The words of a statement, lower case; empty in place of what is none."""
    return [token.text.decode(errors="replace") if token.kind == WORD else "" for token in tokens]
