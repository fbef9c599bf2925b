"""A plain dump as people make them, read as pg_dump wrote it: without a byte order mark, and with its own line ends.

A terminal (docker exec -t) and Windows put a carriage return before every line feed; so exactly one is taken away before each,
wherever it stands. Whoever reads a plain dump reads it through this.
"""

from __future__ import annotations

import io
import re
from typing import IO

from ansible.module_utils.rollback.backups import mistaken
from ansible.module_utils.rollback.backups.mistaken import Source

HEAD = 64 * 1024  # as much of a file as is inspected to tell what it is
_BOM = b"\xef\xbb\xbf"
_OPENING = b"-- PostgreSQL database dump"


def is_dump(head: bytes) -> bool:
    """Whether a file that begins with `head` is a plain dump: pg_dump's first line comes behind comments and blank lines only."""
    text = head[len(_BOM) :] if head.startswith(_BOM) else head
    ended = b"\r\n" if _has_carriage_returns(text) else b"\n"
    for line in text.splitlines(keepends=True):
        if line == _OPENING + ended:
            return True
        if line.strip() and not line.startswith(b"--"):
            return False
    return False


class PlainText(io.RawIOBase):
    """The text of a dump, from a `file` that is read for it; `source` is for the sentence with which mixed line ends are refused."""

    def __init__(self, file: IO[bytes], source: Source) -> None:
        self._file, self._source = file, source
        self._head = file.read(HEAD)
        if self._head.startswith(_BOM):
            self._head = self._head[len(_BOM) :]
        self._converts = _has_carriage_returns(self._head)
        self._lines, self._held = 0, b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """A block of the text: no more than `size` bytes; none where it has ended."""
        if not self._converts:
            return self._take(size)
        while True:
            taken = self._take(size - len(self._held) if size > 1 else size)
            block, self._held = self._held + taken, b""
            if size >= 0 and taken and block.endswith(b"\r"):  # its line feed may come with the next block
                block, self._held = block[:-1], b"\r"
            if block or not taken:
                return self._converted(block)

    def _take(self, size: int) -> bytes:
        if size < 0:
            taken, self._head = self._head + self._file.read(), b""
        elif self._head:
            taken, self._head = self._head[:size], self._head[size:]
        else:
            taken = self._file.read(size)
        return taken

    def _converted(self, block: bytes) -> bytes:
        line_feeds = block.count(b"\n")
        if line_feeds != block.count(b"\r\n"):
            bare = re.search(rb"(?<!\r)\n", block)
            before = block.count(b"\n", 0, bare.start()) if bare else 0
            raise mistaken.mixed_line_ends(self._source, self._lines + before + 1)
        self._lines += line_feeds
        return block.replace(b"\r\n", b"\n")


def _has_carriage_returns(text: bytes) -> bool:
    first, _, _ = text.partition(b"\n")
    return first.endswith(b"\r")
