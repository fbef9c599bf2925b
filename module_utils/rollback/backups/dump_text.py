"""The text of a plain dump: its lines, and the rows of a COPY.

Prover, scanner and loaders all read through this, so that nothing is a row to one of them and a statement to another.
"""

from __future__ import annotations

import re
from typing import Iterable, Iterator, Tuple

from ansible.module_utils.rollback.errors import RollbackError

END_OF_ROWS = b"\\.\n"
END_MARKER = b"-- PostgreSQL database dump complete"
# What pg_dump says above each of its entries.
HEADER = re.compile(
    rb"-- (?:(?P<data>Data for )|Statistics for )?Name: (?P<name>.*); Type: (?P<kind>[^;]+); Schema: (?P<schema>.*); Owner: "
)

_MARK = b"\n\\."
_HELD = len(_MARK)  # as much of the end may stand at the end of a block


class Text:
    """A dump as lines, and as the rows of a COPY, from blocks that may be cut anywhere.

    `lines` is the number of lines before the next one, as long as rows are skipped and not read.
    """

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = filter(None, blocks)
        self._block, self._at = b"", 0
        self.lines = 0

    def line(self) -> bytes:
        """The next line with its end, which the last one may lack. Empty where the dump has ended."""
        parts = []
        self.lines += 1
        while True:
            end = self._block.find(b"\n", self._at) + 1
            parts.append(self._block[self._at : end or None])
            self._at = end or len(self._block)
            if end or not self._next():
                return b"".join(parts)

    def rows(self) -> Iterator[bytes]:
        """The rows of a COPY as blocks of whole lines; the line that ends them is read too. Raises EOFError without it."""
        left = b"\n"  # the end of the line before
        while True:
            text = left + self._block[self._at :]
            end = _end_of_rows(text)
            if end >= 0:
                self._block, self._at = text, end + 1 + len(END_OF_ROWS)
            whole = end if end >= 0 else text.rfind(b"\n")
            if whole:
                yield text[1 : whole + 1]
            if end >= 0:
                return
            left = text[whole:]
            if not self._next():
                raise EOFError("it ends among the rows of a table")

    def skip_rows(self) -> Tuple[int, bool]:
        """Go behind the line that ends a COPY: how many rows came before it, and whether it came.

        Rows are most of a dump; whole blocks of them are counted at once, and only the line that ends them is looked for.
        """
        left, count = b"\n", -1  # the end of the line before, which is no row
        while True:
            text = left + self._block[self._at :]
            end = _end_of_rows(text)
            if end >= 0:
                self._block, self._at = text, end + 1 + len(END_OF_ROWS)
                count += text.count(b"\n", 0, end + 1)
                self.lines += count + 1
                return count, True
            left = text[-_HELD:]
            count += text.count(b"\n", 0, len(text) - len(left))
            if not self._next():
                return count + left.count(b"\n"), False

    def _next(self) -> bool:
        self._block, self._at = next(self._blocks, b""), 0
        return bool(self._block)


def _end_of_rows(text: bytes) -> int:
    """Where the line before the one that ends rows has its own end; -1 where that is not in `text`.

    pg_dump writes no row that begins with a backslash and a dot, and those who read such a one differ about what it is.
    """
    at = text.find(_MARK)
    if at < 0 or at + _HELD >= len(text):
        return -1
    if text[at + _HELD : at + _HELD + 1] != b"\n":
        raise RollbackError(
            "A line among the dump's rows begins with \\. and does not end there: its line ends are mixed, or it is damaged.",
            "Make all of its line ends alike (sed -i 's/\\r$//' on the file), or choose another backup.",
        )
    return at
