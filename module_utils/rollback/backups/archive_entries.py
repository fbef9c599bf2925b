"""An archive in pg_dump's custom format, as the entries that load it: rows by our own reader, all else as pg_restore words it.

What pg_restore unpacks comes through a pipe, a few KB at a time, and reading that slows the whole load.
"""

from __future__ import annotations

import tempfile
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Callable, Generator, Iterable, Iterator, List

from ansible.module_utils.rollback.backups import archive_reader, files, plain_sections, wrappings
from ansible.module_utils.rollback.backups.archive_reader import Block, Contents
from ansible.module_utils.rollback.backups.names import CUSTOM, NONE
from ansible.module_utils.rollback.backups.plain_sections import Entry
from ansible.module_utils.rollback.postgres.client_tools import ClientTools


@contextmanager
def opened(
    backup: Path, tools: ClientTools, schema: Callable[[Iterable[bytes]], Iterable[bytes]]
) -> Iterator[Iterator[Entry]]:
    """The entries in the order in which pg_restore executes them; what comes before the rows goes through `schema` first.

    The backup is one that `wrappings.unwrapped` gave. Raises UnknownArchive where only pg_restore can read it, RollbackError
    where it cannot be read, EOFError where it breaks off.
    """
    with _damage_told(backup):
        contents, blocks = archive_reader.read_contents(backup)
    with closing(_entries(backup, contents, blocks, tools, schema)) as entries:
        yield entries


def _entries(
    backup: Path,
    contents: Contents,
    blocks: List[Block],
    tools: ClientTools,
    schema: Callable[[Iterable[bytes]], Iterable[bytes]],
) -> Generator[Entry, None, None]:
    by_number = {block.number: block for block in blocks}
    yield from _by_pg_restore(backup, contents.before, tools, schema)
    for number in contents.copies:
        yield from plain_sections.entries(_rows(backup, contents, by_number[number]))
    yield from _by_pg_restore(backup, contents.after, tools, iter)


def _rows(backup: Path, contents: Contents, block: Block) -> Iterator[bytes]:
    with _damage_told(backup):
        yield from archive_reader.as_dump(backup, contents, block)


@contextmanager
def _damage_told(backup: Path) -> Iterator[None]:
    try:
        yield
    except wrappings.DAMAGE as error:
        raise wrappings.unreadable(backup, error) from error


def _by_pg_restore(
    backup: Path, numbers: List[int], tools: ClientTools, change: Callable[[Iterable[bytes]], Iterable[bytes]]
) -> Iterator[Entry]:
    with tempfile.NamedTemporaryFile("w", suffix=".list") as wanted:
        wanted.writelines(f"{number};\n" for number in numbers)
        wanted.flush()
        with files.open_as_sql(backup, CUSTOM, NONE, tools, f"--use-list={wanted.name}") as text:
            yield from plain_sections.entries(change(files.blocks(text)))
