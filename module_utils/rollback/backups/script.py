"""Reads SQL as psql reads it: where strings, names and comments begin and end, where a statement does, and what is psql's own.

It is fed whole lines. What differs from the rules of psql's lexer would let a statement hide from whoever checks a dump.
"""

from __future__ import annotations

import re
from typing import Callable, List, NamedTuple, Optional

WORD, NAME, STRING, ESCAPED, MARK = "word", "name", "string", "escaped", "mark"


class Token(NamedTuple):
    """`text` is lower case of a WORD, the content of a NAME or string, and the character of a MARK. ESCAPED is E''."""

    kind: str
    text: bytes


# Words count as a whole, and so do numbers such as 1e-07: the dollars in a$b$ open no string, and only in E'' does a
# backslash keep a quote from ending it.
_TOKENS = re.compile(
    rb"(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<escaped>[eE]')|(?P<word>[A-Za-z_\x80-\xff][\w$\x80-\xff]*)|(?P<quote>['\"])"
    rb"|(?P<dollar>\$(?:[A-Za-z_\x80-\xff][\w\x80-\xff]*)?\$)|(?P<line>--)|(?P<block>/\*)|(?P<backslash>\\)|(?P<mark>[();,.=&])"
)
# What newer versions of pg_dump put around a dump, so that psql obeys nothing in between.
RESTRICT = re.compile(rb"\\(un)?restrict [A-Za-z0-9]+\s*$")
_ESCAPED_END = re.compile(rb"(?:[^'\\]|\\.|'')*'(?!')", re.DOTALL)
_BLOCK_EDGE = re.compile(rb"/\*|\*/")
_LINE_END = re.compile(rb"[\r\n]")
_ROUTINE = ((b"create", b"function"), (b"create", b"procedure"), (b"create", b"or", b"replace"))
_SHORT = 1024  # as much of a string as is kept where it is no body of a function: rows as INSERT may be large
_NO_CONTINUATION, _SAME_LINE, _NEXT_LINE = range(3)


class Script:
    """`inside` is the token that began what the last line ended in; empty where that is nothing.

    `statement` is called with the tokens of each statement.
    """

    def __init__(self, statement: Optional[Callable[[List[Token]], None]] = None) -> None:
        self.inside = b""
        self._statement = statement
        self._tokens: List[Token] = []
        self._content: List[bytes] = []
        self._comments = 0  # they nest
        self._parentheses = 0
        self._begins = 0  # BEGIN ATOMIC and CASE, in the body of a function that is no string
        self._continues = _NO_CONTINUATION  # after E'': one that goes on in a later line is escaped too

    @property
    def between_statements(self) -> bool:
        return not self.inside and not self._tokens

    def meta_command(self, line: bytes) -> Optional[bytes]:
        """Read a line. Returns the command to psql that it holds, where there is one: the rest of the line belongs to it."""
        position = 0
        while True:
            if self.inside:
                end = self._end(line, position)
                if end < 0:
                    self._content.append(line[position:])
                    return None
                self._close(line[position:end])
                position = end
            found = _TOKENS.search(line, position)
            self._note_gap(line[position : found.start() if found else None], found)
            if not found:
                return None
            kind, token, position = found.lastgroup, found.group(), found.end()
            if kind == "backslash":
                return line[found.start() :].strip()
            if kind == "line":
                end_of_comment = _LINE_END.search(line, position)  # a carriage return ends it too
                if not end_of_comment:
                    return None
                position = end_of_comment.start()
            elif kind == "number":
                continue
            elif kind == "word":
                self._add(Token(WORD, token.lower()))
            elif kind == "mark":
                self._mark(token)
            else:
                if kind == "quote" and token == b"'" and self._continues == _NEXT_LINE:
                    token = b"E'"
                self._continues, self.inside, self._comments = _NO_CONTINUATION, token, 1

    def finish(self) -> None:
        """Hand over a statement that lacks its semicolon."""
        if self._tokens or self.inside:
            self._hand_over()

    def _end(self, line: bytes, position: int) -> int:
        """Where what we are in ends on this line; -1 where it goes on."""
        if self.inside in (b"e'", b"E'"):
            found = _ESCAPED_END.match(line, position)
            return found.end() if found else -1
        if self.inside == b"/*":
            for edge in _BLOCK_EDGE.finditer(line, position):
                self._comments += 1 if edge.group() == b"/*" else -1
                if not self._comments:
                    return edge.end()
            return -1
        end = line.find(self.inside, position)
        while end >= 0 and self.inside in (b"'", b'"') and line[end + 1 : end + 2] == self.inside:
            end = line.find(self.inside, end + 2)  # doubled, it stands for itself
        return end + len(self.inside) if end >= 0 else -1

    def _close(self, last: bytes) -> None:
        opened, self.inside = self.inside, b""
        if opened == b"/*":
            self._content = []
            return
        content = b"".join([*self._content, last])[: -len(opened if opened[:1] not in b"eE" else b"'")]
        self._content = []
        if opened in (b"'", b'"'):
            content = content.replace(opened * 2, opened)
        elif opened in (b"e'", b"E'"):
            self._continues = _SAME_LINE
        if not self._tokens or self._tokens[0].text != b"create":
            content = content[:_SHORT]
        self._add(Token(NAME if opened == b'"' else ESCAPED if opened[:1] in b"eE" else STRING, content))

    def _note_gap(self, gap: bytes, found: "Optional[re.Match[bytes]]") -> None:
        if self._continues == _NO_CONTINUATION:
            return
        if gap.strip() or (found and found.group() not in (b"'", b"--")):
            self._continues = _NO_CONTINUATION
        elif b"\n" in gap or b"\r" in gap or (found and found.group() == b"--"):
            self._continues = _NEXT_LINE  # a comment ends with its line

    def _mark(self, mark: bytes) -> None:
        if mark == b"(":
            self._parentheses += 1
        elif mark == b")":
            self._parentheses = max(0, self._parentheses - 1)
        self._add(Token(MARK, mark))
        if mark == b";" and not self._parentheses and not self._begins:
            self._hand_over()

    def _add(self, token: Token) -> None:
        self._tokens.append(token)
        if token.kind != WORD or self._parentheses or token.text not in (b"atomic", b"case", b"end"):
            return
        if token.text == b"end":
            self._begins = max(0, self._begins - 1)
        elif self._begins or (
            token.text == b"atomic" and self._tokens[-2:-1] == [Token(WORD, b"begin")] and self._is_routine()
        ):
            self._begins += 1

    def _is_routine(self) -> bool:
        words = tuple(token.text for token in self._tokens[:3])
        return any(words[: len(start)] == start for start in _ROUTINE)

    def _hand_over(self) -> None:
        if self._statement:
            self._statement(self._tokens)
        self._tokens, self._parentheses, self._begins = [], 0, 0
