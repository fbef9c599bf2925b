"""The schema of a backup without its rows, as a plain dump that loads in a moment."""

from __future__ import annotations

from pathlib import Path

from ansible.module_utils.rollback.backups import files, plain_sections, wrappings
from ansible.module_utils.rollback.backups.dump_text import END_MARKER
from ansible.module_utils.rollback.backups.names import PLAIN
from ansible.module_utils.rollback.backups.plain_sections import NotAsDumped
from ansible.module_utils.rollback.postgres.client_tools import ClientTools

_OPENING = b"--\n-- PostgreSQL database dump\n--\n\n"
_DATA = {plain_sections.TABLE_DATA, "SEQUENCE SET", "BLOB", "BLOBS", "LARGE OBJECT"}


def write(backup: Path, tools: ClientTools, target: Path) -> bool:
    """Write the schema of `backup` to `target`; False where the dump cannot be cut into pg_dump's entries.

    Raises RollbackError where the backup cannot be read.
    """
    with wrappings.unwrapped(backup) as readable, target.open("wb") as out:
        backup_format, compression = files.sniff(readable)
        if backup_format != PLAIN:
            with files.open_as_sql(readable, backup_format, compression, tools, "--schema-only") as dump:
                out.writelines(files.blocks(dump))
            return True
        try:
            with files.open_as_sql(readable, backup_format, compression, tools) as dump:
                out.write(_OPENING)
                for entry in plain_sections.entries(files.blocks(dump)):
                    if entry.rows is not None:
                        for _ in entry.rows:
                            pass
                    elif entry.kind in _DATA:
                        continue
                    else:
                        if entry.kind:
                            out.write(
                                b"-- Name: %s; Type: %s; Schema: -; Owner: -\n"
                                % (_plain(entry.name), entry.kind.encode())
                            )
                        out.writelines([*entry.settings, *entry.statements])
                out.write(b"\n--\n%s\n--\n" % END_MARKER)
        except NotAsDumped:
            return False
        except EOFError as error:
            raise wrappings.unreadable(backup, error) from error
    return True


def _plain(name: str) -> bytes:
    """A name for a comment: one line, and nothing that could end it."""
    return name.replace("\r", " ").replace("\n", " ").encode()
