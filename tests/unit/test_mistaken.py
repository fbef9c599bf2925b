"""Dumps as people make them: what can be read as pg_dump wrote it is, and of anything else one sentence says how to repair it.

Each command is run as the sentence has it, and must give the dump back.
"""

import bz2
import gzip
import io
import lzma
import re
import subprocess
import tarfile
import zipfile
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import DUMP

from ansible.module_utils.rollback.backups import dump_reader, files, plain_text, proof
from ansible.module_utils.rollback.backups.mistaken import Source
from ansible.module_utils.rollback.backups.plain_text import PlainText
from ansible.module_utils.rollback.backups.proof import Terms
from ansible.module_utils.rollback.errors import RollbackError

VERSIONS = "public.alembic_version"
JUDGED = Terms(judge=True)
BOM = b"\xef\xbb\xbf"
TABLE = b"CREATE TABLE public.leads (\n    id bigint,\n    name text\n);\n\n"
FUNCTION = b"CREATE FUNCTION f() RETURNS text AS $$\r\n  SELECT 'x\r\n';\n$$ LANGUAGE sql;\n\n"
WHOLE = DUMP.replace(b"COPY", TABLE + FUNCTION + b"COPY", 1)
ARCHIVE = (
    b"PGDMP\x01\x0f\x00\x04\x08\x01" + b"\x00 SET client_encoding = 'UTF8';\n \xff\x00" + b"CREATE TABLE x (\n);\n" * 9
)
BEGINNING = b"-- Dumped by cron\n\n--\n-- of Mondays\n"


def crlf(text):
    return text.replace(b"\n", b"\r\n")


def utf16(text, encoding="utf-16-le", bom=b"\xff\xfe"):
    return bom + text.decode("latin-1").encode(encoding)


def zipped(text):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("dump.sql", text)
    return packed.getvalue()


def in_tar(name, text):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text))
    return packed.getvalue()


def read(path):
    backup_format, compression = files.sniff(path)
    with files.open_as_sql(path, backup_format, compression, None) as text:
        return b"".join(files.blocks(text))


# What is read ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize(
    ("content", "text"),
    [
        (WHOLE, WHOLE),
        (crlf(WHOLE), WHOLE),
        (BOM + WHOLE, WHOLE),
        (BOM + crlf(WHOLE), WHOLE),
        (BEGINNING + WHOLE, BEGINNING + WHOLE),
        (b"\n\n" + WHOLE, b"\n\n" + WHOLE),
        (crlf(BEGINNING + WHOLE), BEGINNING + WHOLE),
        (WHOLE + b"-- done\n", WHOLE + b"-- done\n"),
    ],
    ids=["as it is", "CR LF", "BOM", "BOM and CR LF", "comment", "blank lines", "comment and CR LF", "comment behind"],
)
def test_a_dump_is_read_as_pg_dump_wrote_it(tmp_path, pack, content, text):
    """Strings with a carriage return of their own keep that one."""
    path = tmp_path / "monday"
    path.write_bytes(pack(content))
    assert read(path) == text
    proven = proof.prove(path, VERSIONS, None, JUDGED)
    assert {name: table.rows for name, table in proven.manifest.census.tables.items()} == {"public.leads": 2}


def chunks(file, size):
    return iter(lambda: file.read(size), b"")


@given(st.lists(st.sampled_from([b"\n", b"\r", b"x", b"\\."])).map(b"".join), st.integers(1, 9))
def test_exactly_one_carriage_return_is_taken_before_each_line_feed_wherever_blocks_are_cut(text, size):
    text = b"--\n" + text
    for head in (len(b"--\r\n"), plain_text.HEAD):
        with mock.patch.object(plain_text, "HEAD", head):
            assert b"".join(chunks(PlainText(io.BytesIO(crlf(text)), Source("monday")), size)) == text
            assert b"".join(chunks(PlainText(io.BytesIO(text), Source("monday")), size)) == text
            assert PlainText(io.BytesIO(crlf(text)), Source("monday")).read() == text


@pytest.mark.parametrize("line", [2, 3, 90, 20_000])
def test_the_line_that_ends_otherwise_is_named(line):
    lines = [b"-- %d\r\n" % number for number in range(1, 30_000)]
    lines[line - 1] = lines[line - 1].replace(b"\r", b"")
    text = PlainText(io.BytesIO(b"".join(lines)), Source("monday.sql"))
    with pytest.raises(RollbackError, match=rf"line {line} .*sed -i 's/\\r\$//' monday\.sql"):
        b"".join(chunks(text, 1 << 16))


# What is refused, and repaired -------------------------------------------------------------------------------------

WARNING = b"pg_dump: warning: there are circular foreign-key constraints on this table:\npg_dump: detail: tree\n"
BANNER = b'Defaulted container "db" out of: db, sidecar\n'
MIDDLE = WHOLE.index(b"CREATE FUNCTION")
LINE = WHOLE.count(b"\n", 0, MIDDLE) + 1
CLUSTER = (
    b"--\n-- PostgreSQL database cluster dump\n--\n\nCREATE ROLE hunter;\n\n--\n-- Database \"shop\" dump\n--\n\n"
    b"-- PostgreSQL database dump\n--\nCREATE DATABASE shop;\n\n\\connect shop\n"
)  # fmt: skip
SHOP = WHOLE.partition(b"--\n\n")[2].rpartition(b"--\n\n")[0]
SED = "(?P<command>sed -i '[^']+' monday)"
TO_FILE = r"(?P<command>\S.* > (?P<to>\S+[^.;\s]))"


@pytest.mark.parametrize(
    ("content", "sentence", "command"),
    [
        (WARNING + WHOLE, "Line 1 .* begins in line 3: pg_dump: warning: there are circular", SED),
        (BANNER + WHOLE, 'Line 1 .* begins in line 2: Defaulted container "db"', SED),
        (b"Unable to use a TTY - input is not a terminal\n" + WHOLE, "Line 1 .*Unable to use a TTY", SED),
        (b"-- cron\nWarning: host key\n" + WHOLE, "Line 2 .* begins in line 3: Warning: host key", SED),
        (b"taking a backup \x1b[31m\n" + WHOLE, r"Line 1 .*taking a backup \?\[31m", SED),
        (BOM + BANNER + WHOLE, "Line 1 .*Defaulted", SED),
        (crlf(BANNER + WHOLE), "Line 1 .*Defaulted", SED),
        (WHOLE[:MIDDLE] + b"pg_dump: warning: x\n" + WHOLE[MIDDLE:], f"Line {LINE} .*message.*pg_dump: warning: x", SED),
        (WHOLE + b"command terminated with exit code 1\n", "Line .*message.*: command terminated with exit code 1", SED),
        (WHOLE + b"bye\n", "goes on behind the dump's end, in line .*: bye", SED),
        (b"-- cron\n" + crlf(WHOLE), "mixes line ends: those before line 2 ", SED),
        (crlf(WHOLE) + b"-- done\n", "mixes line ends: those before line", SED),
        (gzip.compress(BANNER + WHOLE), "Line 1 .*Defaulted", f"it: {TO_FILE}"),
        (in_tar("a.sql", BANNER + WHOLE), "Line 1 .*Defaulted", f"it: {TO_FILE}"),
        (utf16(crlf(WHOLE)), "is text in UTF-16, as the > of PowerShell writes it", f"it: {TO_FILE}"),
        (utf16(WHOLE, "utf-16-be", b"\xfe\xff"), "is text in UTF-16", f"it: {TO_FILE}"),
        (utf16(WHOLE, "utf-16-le", b""), "is text in UTF-16LE", f"it: {TO_FILE}"),
        (gzip.compress(gzip.compress(WHOLE)), "is compressed twice", f"once: {TO_FILE}"),
        (BANNER + ARCHIVE, "Line 1 .* is not part of the archive that follows it: Defaulted", f"it: {TO_FILE}"),
        (CLUSTER + SHOP + b"--\n\n", "whole cluster .pg_dumpall.", r"it: (?P<command>\(echo.* > (?P<to>NAME\.sql))"),
        (crlf(CLUSTER + SHOP + b"--\n\n"), "whole cluster", r"it: (?P<command>\(echo.* > (?P<to>NAME\.sql))"),
        (gzip.compress(CLUSTER + SHOP + b"--\n\n"), "whole cluster", r"it: (?P<command>\(echo.* > (?P<to>NAME\.sql))"),
    ],
)  # fmt: skip
def test_the_sentence_has_the_line_and_the_command_that_repairs(tmp_path, content, sentence, command):
    path = tmp_path / "monday"
    path.write_bytes(content)
    with pytest.raises(RollbackError, match=sentence) as refused:
        proof.prove(path, VERSIONS, None, JUDGED)
    assert str(refused.value).isprintable()
    found = re.search(command, refused.value.hint)
    assert found, refused.value.hint
    subprocess.run(
        ["/bin/sh", "-c", found["command"].replace("connect NAME", "connect shop")], cwd=tmp_path, check=True
    )
    repaired = tmp_path / found.groupdict().get("to", "monday")
    if content.endswith(ARCHIVE):
        assert repaired.read_bytes() == ARCHIVE
    else:
        assert proof.prove(repaired, VERSIONS, None, JUDGED).manifest.census.rows == 2
        assert SHOP in read(repaired) + b"\n"


@pytest.mark.parametrize(
    ("content", "sentence", "way_out"),
    [
        (zipped(WHOLE), "is a zip archive", r"unzip -p monday > monday\.sql"),
        (b"\x04\x22\x4d\x18" + WHOLE, "compressed with lz4", r"lz4 -dc monday > monday\.sql"),
        (b"-----BEGIN PGP MESSAGE-----\n", "is encrypted", "gpg --decrypt monday"),
        (crlf(ARCHIVE), "written through a terminal.* damaged for good", "docker exec without -t"),
        (crlf(gzip.compress(bytes(range(256)) * 99 + b"\n" * 99)) + b"\r\n" * 3, "written through a terminal", "without -t"),
        (in_tar("toc.dat", crlf(ARCHIVE)), "written through a terminal", "without -t"),
        (utf16(ARCHIVE), "written as text: it is damaged for good", "pg_dump --file"),
        (BOM + ARCHIVE, "written as text: it is damaged for good", "pg_dump --file"),
        (b"pg_dump: last built-in OID is 16383\n" + WHOLE, "Line 1 .*--verbose has written such lines all over it", "2> dump.log"),
        (WHOLE[:MIDDLE] + b"pg_dump: creating TABLE x\n" + WHOLE[MIDDLE:], f"Line {LINE} .*--verbose", "2> dump.log"),
        (b"pg_dump: error: connection failed\n", "a program's message: the dump failed", "another"),
        (b"-- MySQL dump 10.13\n", "a dump of MySQL", "another"),
        (b"\n<!doctype html>\n", "a web page", "another"),
        (b"<?xml version='1.0'?><Error>", "XML", "another"),
        (b'{"message": "Not Found"}', 'JSON.*It begins with: {"message": "Not Found"}', "another"),
        (b"dear diary\x1b[2J\n", r"not recognisable as a dump made by pg_dump\. It begins with: dear diary\?\[2J", "another"),
        (b" \n\r\n", "nothing but blanks", "another"),
        (bytes(5000), "nothing but zero bytes", "another"),
        (in_tar("base/backup_label", b"START WAL"), "as pg_basebackup copies them", "pg_dump"),
        (re.sub(rb"CREATE TABLE [^;]*;\n", b"", WHOLE), "makes no table .pg_dump --data-only", "another"),
        (WHOLE.replace(TABLE, TABLE + b"CREATE DATABASE x;\n\\connect x\n"), r"commands to psql: \\connect x", "pg_dump --create: delete"),
    ],
)  # fmt: skip
def test_what_cannot_be_repaired_here_is_told_by_its_cause(tmp_path, content, sentence, way_out):
    path = tmp_path / "monday"
    path.write_bytes(content)
    with pytest.raises(RollbackError, match=sentence) as refused:
        proof.prove(path, VERSIONS, None, JUDGED)
    assert way_out in refused.value.hint.replace("\\", "") or re.search(way_out, refused.value.hint)
    assert str(refused.value).isprintable()


def test_words_of_messages_among_rows_and_strings_are_data():
    said = b"pg_dump: warning: x\nWARNING: y\n"
    strings = b"COMMENT ON TABLE t IS '\n" + said + b"';\nCOPY public.t (a) FROM stdin;\n" + said + b"\\.\n"
    assert dump_reader.read([strings], VERSIONS).message is None
    assert dump_reader.read([strings + said], VERSIONS).message == (9, b"pg_dump: warning: x\n")


def test_a_carriage_return_hides_no_statement_from_whoever_looks_for_the_beginning():
    assert not plain_text.is_dump(b"-- x\rDROP DATABASE app;\n-- PostgreSQL database dump\n")
