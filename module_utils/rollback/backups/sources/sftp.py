"""Backups on a server that speaks SFTP."""

from __future__ import annotations

import posixpath
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Iterator, List, Optional

from ansible.module_utils.rollback.backups.names import PARTIAL_SUFFIX
from ansible.module_utils.rollback.backups.sources import sftp_protocol, ssh
from ansible.module_utils.rollback.backups.sources.source import (
    SMALL,
    Entry,
    Interrupted,
    Pace,
    Room,
    Sink,
    Source,
    Unreachable,
)
from ansible.module_utils.rollback.errors import RollbackError


class SftpSource(Source):
    def __init__(self, name: str, pace: Pace, login: ssh.Login, path: str) -> None:
        super().__init__(name, pace)
        self._login, self._path = login, path
        self._connection: Optional[ssh.Connection] = None
        self._client: Optional[sftp_protocol.Client] = None

    @property
    def where(self) -> str:
        return f"sftp {self._login.where}:{self._path}"

    def list(self) -> List[Entry]:
        with self._session() as client:
            try:
                return [
                    Entry(
                        name, self._total(client, self._at(name)) if found.directory else found.bytes, found.modified_at
                    )
                    for name, found in client.list(self._path)
                ]
            except FileNotFoundError as error:
                raise Unreachable(f"There is no directory {self._path} on {self._login.where}.") from error

    def read(self, name: str) -> bytes:
        path, pieces = self._at(name), bytearray()
        with self._session() as client:
            size = min(client.attributes(path).bytes, SMALL)
            pieces.extend(bytes(size))

            def keep(offset: int, block: memoryview) -> None:
                pieces[offset : offset + len(block)] = block

            client.read(path, 0, size, keep, lambda end: True)
        return bytes(pieces)

    def size(self, name: str) -> int:
        with self._session() as client:
            return client.attributes(self._at(name)).bytes

    def bring(self, name: str, start: int, size: int, sink: Sink, room: Room) -> None:
        def paced(offset: int, block: memoryview) -> None:
            self.pace.take(len(block))
            sink(offset, block)

        with self._session() as client:
            client.read(self._at(name), start, size, paced, room)

    def put(self, path: Path, name: str) -> None:
        target = self._at(name)
        with self._session() as client, path.open("rb") as file:
            if "/" in name:
                client.make_directory(posixpath.dirname(target))

            def blocks(most: int) -> bytes:
                block = file.read(most)
                self.pace.take(len(block))
                return block

            written = client.write(target + PARTIAL_SUFFIX, blocks)
            there = client.attributes(target + PARTIAL_SUFFIX).bytes
            if there != written:
                raise Interrupted(f"{self.where} has {there:,} bytes of {name}, and was sent {written:,}.")
            client.rename(target + PARTIAL_SUFFIX, target)

    def close(self) -> None:
        connection, self._connection, self._client = self._connection, None, None
        if connection:
            with suppress(OSError):
                connection.close()

    def _at(self, name: str) -> str:
        return posixpath.join(self._path, name)

    def _total(self, client: sftp_protocol.Client, path: str) -> int:
        return sum(
            self._total(client, posixpath.join(path, name)) if found.directory else found.bytes
            for name, found in list(client.list(path))
        )

    @contextmanager
    def _session(self) -> Iterator[sftp_protocol.Client]:
        """The open session, or a new one. What breaks it is Interrupted, and a new one is made next time."""
        try:
            yield self._opened()
        except sftp_protocol.Broken as error:
            said = self._last_words()
            self.close()
            raise Interrupted(f"The connection to {self._login.where} broke off: {said or error}.") from error
        except sftp_protocol.Refused as error:
            raise Unreachable(f"{self._login.where} refuses {error}.") from error

    def _opened(self) -> sftp_protocol.Client:
        if self._client is None:
            self._connection = ssh.connect(self._login)
            try:
                self._client = sftp_protocol.Client(self._connection.wire)
            except sftp_protocol.Broken as error:
                try:
                    said = self._last_words()
                finally:
                    self.close()
                raise Unreachable(f"{self._login.where} does not let us in: {said or error}.") from error
        return self._client

    def _last_words(self) -> str:
        try:
            return self._connection.last_words() if self._connection else ""
        except RollbackError:
            self.close()
            raise
