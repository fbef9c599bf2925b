"""Files that are not quite a dump, or not at all: what each is, the line that shows it, and the command that repairs it."""

from __future__ import annotations

import re
import shlex
from typing import NamedTuple

from ansible.module_utils.rollback.backups.messages import MESSAGE, of_verbose, shown
from ansible.module_utils.rollback.backups.names import BZIP2, GZIP, NONE, XZ, ZSTD
from ansible.module_utils.rollback.errors import RollbackError

CHOOSE_ANOTHER = "Choose another backup."
_ARCHIVE = b"PGDMP"
_OF_PG_DUMP = (
    "Take the backup again with pg_dump --file, without a terminal (docker exec without -t) or shell in between."
)
_UNPACK = {GZIP: "gzip -dc", ZSTD: "zstd -dc", XZ: "xz -dc", BZIP2: "bzip2 -dc"}
_TERMINAL_MIN = 3  # line feeds of packed data that cannot all have come behind carriage returns by chance

# How files begin that are packed otherwise, and what unpacks them.
_PACKED = (
    (b"PK\x03\x04", "a zip archive", "unzip -p {} > {}.sql"),
    (b"PK\x05\x06", "an empty zip archive", ""),
    (b"\x04\x22\x4d\x18", "compressed with lz4", "lz4 -dc {} > {}.sql"),
    (b"\x02\x21\x4c\x18", "compressed with lz4", "lz4 -dc {} > {}.sql"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "7z x -so {} > {}.sql"),
    (b"Rar!\x1a\x07", "a RAR archive", "unrar p -inul {} > {}.sql"),
    (b"\x1f\x9d", "compressed with compress", "uncompress -c {} > {}.sql"),
    (b"\x89LZO", "compressed with lzop", "lzop -dc {} > {}.sql"),
    (b"LZIP", "compressed with lzip", "lzip -dc {} > {}.sql"),
    (b"\xff\x06\x00\x00sNaPpY", "compressed with snappy", "snzip -dc {} > {}.sql"),
    (b"-----BEGIN PGP MESSAGE", "encrypted", "gpg --decrypt {} > {}.sql"),
    (b"\x85\x02", "encrypted", "gpg --decrypt {} > {}.sql"),
    (b"\x85\x01", "encrypted", "gpg --decrypt {} > {}.sql"),
    (b"\x8c\x0d", "encrypted", "gpg --decrypt {} > {}.sql"),
    (b"\x84\x5e", "encrypted", "gpg --decrypt {} > {}.sql"),
    (b"age-encryption.org/", "encrypted with age", "age --decrypt --output {1}.sql {0}"),
    (b"-----BEGIN AGE ENCRYPTED", "encrypted with age", "age --decrypt --output {1}.sql {0}"),
    (b"Salted__", "encrypted with openssl enc", "openssl enc -d -in {} -out {}.sql, with the cipher that encrypted it"),
)
# What a text is that pg_dump did not write.
_TEXTS = (
    (re.compile(rb"-- (MySQL|MariaDB) dump|/\*!?M?!?\d*\\?- enable the sandbox|/\*!\d{5} SET"), "a dump of MySQL or MariaDB"),
    (re.compile(rb"PRAGMA foreign_keys|SQLite format 3"), "a database or dump of SQLite"),
    (re.compile(rb"<!DOCTYPE html|<html", re.IGNORECASE), "a web page: what fetched it was answered with an error or a login"),
    (re.compile(rb"<\?xml|<Error>"), "XML: what fetched it was probably answered with an error"),
    (re.compile(rb"[\[{]"), "JSON: what fetched it was probably answered with an error"),
    (re.compile(rb"version https://git-lfs"), "a pointer of Git LFS and not the file itself (git lfs pull)"),
    (re.compile(rb"#!"), "a script"),
    (MESSAGE, "a program's message: the dump failed"),
)  # fmt: skip
_CLUSTER = re.compile(rb"^-- PostgreSQL database cluster dump\s*$", re.MULTILINE)
_OPENING = re.compile(rb"^(?:--\r?\n)?-- PostgreSQL database dump\r?\n", re.MULTILINE)
_BOMS = ((b"\xff\xfe\x00\x00", "UTF-32"), (b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"), (b"-\x00-\x00", "UTF-16LE"),
         (b"\x00-\x00-", "UTF-16BE"))  # fmt: skip


class Source(NamedTuple):
    """A file as far as commands need to know: how its text is reached."""

    name: str
    compression: str = NONE
    bundled: bool = False

    def edited(self, script: str) -> str:
        """The command that applies sed's `script` to its text."""
        if self.compression == NONE and not self.bundled:
            return f"sed -i '{script}' {shlex.quote(self.name)}"
        return f"{unpacking(self)} | sed '{script}' > repaired.sql"


def unpacking(source: Source) -> str:
    """The command that writes the text of a packed file."""
    return f"{'tar -xOf' if source.bundled else _UNPACK[source.compression]} {shlex.quote(source.name)}"


def came_through_a_terminal(head: bytes) -> bool:
    """Whether the beginning of packed data has a carriage return before every line feed: nothing brings those back."""
    line_feeds = head.count(b"\n")
    least = 1 if head.startswith(_ARCHIVE) else _TERMINAL_MIN  # an archive says SET client_encoding at its beginning
    return line_feeds >= least and line_feeds == head.count(b"\r\n")


def through_terminal(source: Source) -> RollbackError:
    return RollbackError(
        f"The backup {source.name} was written through a terminal, which put a carriage return before every line feed:"
        " packed data does not survive that, it is damaged for good.",
        _OF_PG_DUMP,
    )


def mixed_line_ends(source: Source, line: int) -> RollbackError:
    return RollbackError(
        f"The backup {source.name} mixes line ends: those before line {line} differ from the one there.",
        f"Make them alike: {source.edited('s/' + chr(92) + 'r$//')}.",
    )


def message_inside(source: Source, line: int, text: bytes) -> RollbackError:
    said = f"Line {line} of the backup {source.name} is a program's message, not part of the dump: {shown(text)}"
    if of_verbose(text):
        return _verbose(said)
    return RollbackError(
        f"{said}.",
        f"If the dump itself did not fail, delete the line: {source.edited(f'{line}d')}.",
    )


def behind_the_end(source: Source, line: int, text: bytes) -> RollbackError:
    return RollbackError(
        f"The backup {source.name} goes on behind the dump's end, in line {line}: {shown(text)}.",
        f"If it is not part of the backup, cut it off: {source.edited(f'{line},$d')}.",
    )


def refusal(source: Source, head: bytes) -> RollbackError:
    """What to say of a file whose text begins with `head`, which is not a dump as it stands."""
    for magic, what, command in _PACKED:
        if head.startswith(magic):
            name = shlex.quote(source.name)
            return RollbackError(
                f"The backup {source.name} is {what}.",
                f"Unpack it: {command.format(name, name)}." if command else CHOOSE_ANOTHER,
            )
    for magic, encoding in _BOMS:
        if head.startswith(magic):
            return _wide(source, head, encoding)
    if head and not head.strip(b"\0"):
        return RollbackError(f"The backup {source.name} begins with nothing but zero bytes.", CHOOSE_ANOTHER)
    text = head[3:] if head.startswith(b"\xef\xbb\xbf") else head
    if not text.strip():
        return RollbackError(f"The backup {source.name} is empty: it begins with nothing but blanks.", CHOOSE_ANOTHER)
    if _CLUSTER.search(text):
        return _cluster(source, text)
    opening = _OPENING.search(text)
    if opening:
        return _beginning(source, text[: opening.start()], opening.group())
    archive = text.find(b"\n" + _ARCHIVE) + 1
    if text.startswith(_ARCHIVE) or (archive and head is not text):
        return RollbackError(f"The archive {source.name} was written as text: it is damaged for good.", _OF_PG_DUMP)
    if archive:
        return RollbackError(
            f"Line 1 of the backup {source.name} is not part of the archive that follows it: {_first(text)}.",
            f"Cut off what comes before it: tail -c +{archive + 1} {shlex.quote(source.name)} > repaired.dump.",
        )
    what = next((f": it is {what}" for pattern, what in _TEXTS if pattern.match(text.lstrip())), "")
    return RollbackError(
        f"The file {source.name} is not recognisable as a dump made by pg_dump{what}. It begins with: {_first(text)}.",
        CHOOSE_ANOTHER,
    )


def _beginning(source: Source, before: bytes, opening: bytes) -> RollbackError:
    lines = before.splitlines(keepends=True)
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.startswith(b"--"):
            said = f"Line {number} of the backup {source.name} is not part of the dump, which begins in line {len(lines) + 1}"
            said = f"{said}: {shown(line)}"
            if any(map(of_verbose, lines)):
                return _verbose(said)
            script = f"1,{len(lines)}d" if len(lines) > 1 else "1d"
            return RollbackError(f"{said}.", f"Delete what comes before it: {source.edited(script)}.")
    return mixed_line_ends(source, len(lines) + 1)


def only_rows(name: str) -> RollbackError:
    return RollbackError(
        f"The backup {name} has rows and makes no table (pg_dump --data-only): it does not restore a database.",
        CHOOSE_ANOTHER,
    )


def _verbose(said: str) -> RollbackError:
    return RollbackError(
        f"{said}. pg_dump --verbose has written such lines all over it, in the middle of others too.",
        "Take the backup again with its messages apart: pg_dump … 2> dump.log.",
    )


def _cluster(source: Source, text: bytes) -> RollbackError:
    line_ends = r"s/\r$//;" if text.partition(b"\n")[0].endswith(b"\r") else ""
    sed = rf"/^\\connect NAME\r*$/,/^-- PostgreSQL database dump complete/{{/^\\connect /d;{line_ends}p;}}"
    packed = source.compression != NONE or source.bundled
    read = f"{unpacking(source)} | sed -n '{sed}'" if packed else f"sed -n '{sed}' {shlex.quote(source.name)}"
    return RollbackError(
        f"The backup {source.name} is of a whole cluster (pg_dumpall), not of one database.",
        f"Take database NAME out of it: (echo '-- PostgreSQL database dump'; {read}) > NAME.sql; or take a backup with pg_dump.",
    )


def _wide(source: Source, head: bytes, encoding: str) -> RollbackError:
    if b"P\0G\0D\0M\0P" in head[:16]:
        return RollbackError(f"The archive {source.name} was written as text: it is damaged for good.", _OF_PG_DUMP)
    name = shlex.quote(source.name)
    return RollbackError(
        f"The backup {source.name} is text in {encoding}, as the > of PowerShell writes it.",
        f"Convert it: iconv -f {encoding} -t UTF-8 {name} > {name}.utf8.sql; where PowerShell has garbled letters beyond ASCII,"
        " take it again with pg_dump --file.",
    )


def _first(text: bytes) -> str:
    return shown(text.lstrip().splitlines()[0])
