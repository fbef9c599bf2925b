"""The file transfer protocol of SSH, version 3, over anything with `sendall` and `recv`: as much of it as backups need.

Reads and writes are pipelined: many are under way at the same time, each as large as the server allows. That is what
OpenSSH's own sftp does, and what a round trip per block cannot do. The protocol is draft-ietf-secsh-filexfer-02; `limits`,
`fsync` and `posix-rename` are OpenSSH's extensions of it.
"""

from __future__ import annotations

import struct
from collections import deque
from typing import Any, Callable, Deque, Dict, Iterator, List, NamedTuple, Optional, Tuple

_INIT, _VERSION, _OPEN, _CLOSE, _READ, _WRITE, _OPENDIR, _READDIR, _REMOVE, _MKDIR = 1, 2, 3, 4, 5, 6, 11, 12, 13, 14
_STAT, _RENAME, _STATUS, _HANDLE, _DATA, _NAME, _ATTRS, _EXTENDED, _EXTENDED_REPLY = (
    17,
    18,
    101,
    102,
    103,
    104,
    105,
    200,
    201,
)
_OK, _EOF, _NO_SUCH_FILE, _PERMISSION_DENIED = 0, 1, 2, 3
_READING, _WRITING, _CREATING, _EMPTYING = 0x01, 0x02, 0x08, 0x10
_HAS_SIZE, _HAS_OWNER, _HAS_PERMISSIONS, _HAS_TIMES, _HAS_MORE = 0x1, 0x2, 0x4, 0x8, 0x80000000
_DIRECTORY, _KINDS = 0o040000, 0o170000
_LIMITS, _FSYNC, _POSIX_RENAME = "limits@openssh.com", "fsync@openssh.com", "posix-rename@openssh.com"

_SURE_BLOCK = 32 * 1024  # every server takes and gives this much at once
_MOST_BLOCK = 255 * 1024
_UNDER_WAY = 8 * 1024 * 1024  # bytes asked for and not answered
_MOST_PACKET = 1024 * 1024  # far beyond what a server sends; a length above it is none


class Broken(Exception):
    """The connection has ended, or what comes over it is not this protocol."""


class Refused(Exception):
    """The server's own words for what it did not do."""


class Attributes(NamedTuple):
    bytes: int
    directory: bool
    modified_at: float


class Client:
    """One session. Not for several threads."""

    def __init__(self, wire: Any) -> None:
        self._wire, self._number = wire, 0
        self._receive_into = getattr(wire, "recv_into", None)
        self._buffer = bytearray(_MOST_PACKET)
        self._send(_INIT, struct.pack(">I", 3))
        kind, packet = self._packet()
        if kind != _VERSION:
            raise Broken("what answers is no SFTP server")
        self._extensions = set(_extensions(packet))
        self._block = self._limit()

    def attributes(self, path: str) -> Attributes:
        """Raises FileNotFoundError."""
        return _attributes(_Fields(self._ask(_STAT, _ATTRS, _text(path))))

    def list(self, path: str) -> Iterator[Tuple[str, Attributes]]:
        """Everything in a directory, its links followed by nobody. Raises FileNotFoundError."""
        handle = _Fields(self._ask(_OPENDIR, _HANDLE, _text(path))).take()
        try:
            while True:
                fields = self._entries(handle)
                if fields is None:
                    return
                for _ in range(fields.integer()):
                    name = fields.take().decode(errors="surrogateescape")
                    fields.take()  # the line that `ls -l` would print
                    found = _attributes(fields)
                    if name not in (".", ".."):
                        yield name, found
        finally:
            self._ask(_CLOSE, _STATUS, _bytes(handle))

    def read(
        self, path: str, start: int, size: int, sink: Callable[[int, memoryview], None], room: Callable[[int], bool]
    ) -> None:
        """Hand bytes `start` to `size` to `sink`. Raises FileNotFoundError, and EOFError where the file is shorter."""
        handle = self._open(path, _READING)
        asked: Dict[int, Tuple[int, int]] = {}
        again: List[Tuple[int, int]] = []
        held, position = 0, start
        while position < size or again or asked:
            while (position < size or again) and held < _UNDER_WAY:
                offset, length = again[-1] if again else (position, min(self._block, size - position))
                if not room(offset + length):
                    break
                if again:
                    again.pop()
                else:
                    position += length
                asked[self._begin(_READ, _bytes(handle) + struct.pack(">QI", offset, length))] = offset, length
                held += length
            kind, packet = self._packet()
            number, came = struct.unpack_from(">II", packet)
            if number not in asked:
                raise Broken("an answer to nothing that was asked")
            offset, length = asked.pop(number)
            held -= length
            if kind != _DATA:
                if came == _EOF:
                    raise EOFError(path)
                raise _refusal(kind, packet, path)
            if not 0 < came <= length or len(packet) < 8 + came:
                raise Broken("a block of a wrong length")
            sink(offset, packet[8 : 8 + came])
            if came < length:
                again.append((offset + came, length - came))
        self._ask(_CLOSE, _STATUS, _bytes(handle))

    def write(self, path: str, blocks: Callable[[int], bytes], mode: int = 0o640) -> int:
        """Make or replace the file with what `blocks(at most so many bytes)` gives until it gives nothing; returns its size.

        It is on the server's disk afterwards where the server can promise that.
        """
        handle = self._open(path, _WRITING | _CREATING | _EMPTYING, struct.pack(">II", _HAS_PERMISSIONS, mode))
        under_way: Deque[int] = deque()
        position = held = 0
        while True:
            block = blocks(self._block)
            while under_way and (not block or held + len(block) > _UNDER_WAY):
                held -= self._written(under_way.popleft(), path)
            if not block:
                break
            self._begin(_WRITE, _bytes(handle) + struct.pack(">Q", position) + _bytes(block))
            under_way.append(len(block))
            position, held = position + len(block), held + len(block)
        if _FSYNC in self._extensions:
            self._ask(_EXTENDED, _STATUS, _text(_FSYNC) + _bytes(handle))
        self._ask(_CLOSE, _STATUS, _bytes(handle))
        return position

    def rename(self, old: str, new: str) -> None:
        """`new` is replaced in one go where the server can do that."""
        if _POSIX_RENAME in self._extensions:
            self._ask(_EXTENDED, _STATUS, _text(_POSIX_RENAME) + _text(old) + _text(new))
        else:
            self.remove(new)
            self._ask(_RENAME, _STATUS, _text(old) + _text(new))

    def remove(self, path: str) -> None:
        try:
            self._ask(_REMOVE, _STATUS, _text(path))
        except FileNotFoundError:
            pass

    def make_directory(self, path: str) -> None:
        """It may be there already."""
        try:
            if self.attributes(path).directory:
                return
        except FileNotFoundError:
            self._ask(_MKDIR, _STATUS, _text(path) + struct.pack(">II", _HAS_PERMISSIONS, 0o750))

    def _open(self, path: str, how: int, attributes: bytes = b"\0\0\0\0") -> bytes:
        return _Fields(self._ask(_OPEN, _HANDLE, _text(path) + struct.pack(">I", how) + attributes)).take()

    def _entries(self, handle: bytes) -> Optional["_Fields"]:
        number = self._begin(_READDIR, _bytes(handle))
        kind, packet = self._answer(number)
        if kind == _NAME:
            return _Fields(packet)
        if kind == _STATUS and _Fields(packet).integer() == _EOF:
            return None
        raise _refusal(kind, packet, "the directory")

    def _written(self, length: int, path: str) -> int:
        kind, packet = self._packet()
        if kind != _STATUS or struct.unpack_from(">I", packet, 4)[0] != _OK:
            raise _refusal(kind, packet, path)
        return length

    def _limit(self) -> int:
        """The largest block that the server reads and writes at once."""
        if _LIMITS not in self._extensions:
            return _SURE_BLOCK
        fields = _Fields(self._ask(_EXTENDED, _EXTENDED_REPLY, _text(_LIMITS)))
        _, reading, writing = fields.long(), fields.long(), fields.long()
        return max(_SURE_BLOCK, min(reading or _SURE_BLOCK, writing or _SURE_BLOCK, _MOST_BLOCK))

    def _ask(self, kind: int, wanted: int, content: bytes) -> bytes:
        """Send one request and wait for its answer, which is returned without its number."""
        answered, packet = self._answer(self._begin(kind, content))
        if answered != wanted or (answered == _STATUS and _Fields(packet).integer() != _OK):
            raise _refusal(
                answered,
                b"\0\0\0\0" + packet,
                content[4 : 4 + struct.unpack_from(">I", content)[0]].decode(errors="replace"),
            )
        return packet

    def _answer(self, number: int) -> Tuple[int, bytes]:
        kind, packet = self._packet()
        if len(packet) < 4 or struct.unpack_from(">I", packet)[0] != number:
            raise Broken("an answer to nothing that was asked")
        return kind, bytes(packet[4:])

    def _begin(self, kind: int, content: bytes) -> int:
        self._number = (self._number + 1) % 2**32
        self._send(kind, struct.pack(">I", self._number) + content)
        return self._number

    def _send(self, kind: int, content: bytes) -> None:
        try:
            self._wire.sendall(struct.pack(">IB", len(content) + 1, kind) + content)
        except OSError as error:
            raise Broken(str(error.strerror or error)) from error

    def _packet(self) -> Tuple[int, memoryview]:
        """Kind and content of the next packet; the content is good until the one after it."""
        head = self._exactly(5)
        length, kind = struct.unpack(">IB", head)
        if not 1 <= length <= _MOST_PACKET:
            raise Broken("what answers is no SFTP server")
        return kind, self._exactly(length - 1)

    def _exactly(self, count: int) -> memoryview:
        view, have = memoryview(self._buffer)[:count], 0
        try:
            while have < count:
                if self._receive_into:
                    came = self._receive_into(view[have:])
                else:
                    piece = self._wire.recv(count - have)
                    came = len(piece)
                    view[have : have + came] = piece
                if not came:
                    raise Broken("the connection was closed")
                have += came
        except OSError as error:
            raise Broken(str(error.strerror or "it does not answer any more")) from error
        return view


class _Fields:
    """Numbers and texts of a packet. What is too short is Broken."""

    def __init__(self, packet: bytes) -> None:
        self._packet, self._at = packet, 0

    def integer(self) -> int:
        return int(self._unpacked(">I", 4))

    def long(self) -> int:
        return int(self._unpacked(">Q", 8))

    def take(self) -> bytes:
        length = self.integer()
        self._at += length
        if self._at > len(self._packet):
            raise Broken("a packet that breaks off")
        return bytes(self._packet[self._at - length : self._at])

    def left(self) -> bool:
        return self._at < len(self._packet)

    def _unpacked(self, form: str, length: int) -> Any:
        try:
            (value,) = struct.unpack_from(form, self._packet, self._at)
        except struct.error as error:
            raise Broken("a packet that breaks off") from error
        self._at += length
        return value


def _attributes(fields: _Fields) -> Attributes:
    has = fields.integer()
    size = fields.long() if has & _HAS_SIZE else 0
    if has & _HAS_OWNER:
        fields.integer(), fields.integer()
    mode = fields.integer() if has & _HAS_PERMISSIONS else 0
    _, modified = (fields.integer(), fields.integer()) if has & _HAS_TIMES else (0, 0)
    for _ in range(fields.integer() if has & _HAS_MORE else 0):
        fields.take(), fields.take()
    return Attributes(size, mode & _KINDS == _DIRECTORY, float(modified))


def _extensions(packet: memoryview) -> Iterator[str]:
    fields = _Fields(bytes(packet))
    fields.integer()
    while fields.left():
        yield fields.take().decode(errors="replace")
        fields.take()


def _refusal(kind: int, packet: Any, what: str) -> Exception:
    """`packet` is a whole answer, its number included."""
    if kind != _STATUS:
        return Broken("an answer of another kind than was asked for")
    fields = _Fields(bytes(packet[4:]))
    code = fields.integer()
    said = fields.take().decode(errors="replace").strip() if fields.left() else f"error {code}"
    if code == _NO_SUCH_FILE:
        return FileNotFoundError(2, said, what)
    return Refused(f"{what}: {said}")


def _bytes(value: bytes) -> bytes:
    return struct.pack(">I", len(value)) + value


def _text(value: str) -> bytes:
    return _bytes(value.encode(errors="surrogateescape"))
