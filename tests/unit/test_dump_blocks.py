"""A dump is read in blocks; wherever they are cut, it says what reading line by line says."""

import io
import itertools
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ansible.module_utils.rollback.backups import dump_reader
from ansible.module_utils.rollback.backups.dump_reader import DumpFacts, Line
from ansible.module_utils.rollback.backups.requirements import RequirementsReader
from ansible.module_utils.rollback.backups.scan import Scanner
from ansible.module_utils.rollback.errors import RollbackError

VERSIONS = "public.alembic_version"
END = b"\n--\n-- PostgreSQL database dump complete\n--\n\n"

# Rows, halves of rows, and of what ends a COPY.
PIECES = st.sampled_from([b"\\.", b"\\", b".", b"\n", b"\r\n", b"\r", b"\\\\.\n", b"\\N\n", b"1\tAda\n", b"x" * 9])
ENDS = st.sampled_from([b"\n\\.\n", b"\\.\n", b"\n\\.\r\n", b"\n\\.\n\\.\n", b"\n\\.", b"\n", b""])
COPIES = st.builds(
    lambda table, pieces, end: b"COPY public.%s (id) FROM stdin;\n%s%s" % (table, b"".join(pieces), end),
    st.sampled_from([b"leads", b"users", b"alembic_version"]),
    st.lists(PIECES),
    ENDS,
)
STATEMENTS = st.sampled_from(
    [b"SELECT 'a\nb\\c';\n", b"\\connect x\n", b"\n", b"AS $$\nCOPY public.t (id) FROM stdin;\n$$;\n", b"'", END]
)
DUMPS = st.lists(COPIES | STATEMENTS).map(b"".join)


def by_lines(dump):
    facts = DumpFacts(bytes=len(dump))
    scanner, needs = Scanner(), RequirementsReader(facts.needs)
    facts.found = scanner.found
    lines = io.BytesIO(dump)
    for line in lines:
        number = dump[: lines.tell()].count(b"\n") + (not line.endswith(b"\n"))
        if scanner.script.between_statements:
            dump_reader._note(Line(number, line), facts)
        if scanner.script.inside in (b"", b'"'):
            needs.feed(line, in_name=bool(scanner.script.inside))
        table = scanner.feed(line)
        if table:
            rows = list(itertools.takewhile(lambda row: row != b"\\.\n", lines))
            if any(row.startswith(b"\\.") and len(row) > 2 for row in rows):
                raise RollbackError("a line that only looks like the end")
            ended = dump[: lines.tell()].endswith(b"\n\\.\n")
            rows = [row for row in rows if row.endswith(b"\n")]
            facts.rows[table] = facts.rows.get(table, 0) + len(rows)
            if table == VERSIONS:
                facts.alembic_heads = sorted(row.decode()[:-1] for row in rows)
            if not ended:
                return replace(facts, bytes=0)
    scanner.finish()
    return facts


def cut(dump, sizes):
    """`dump` in blocks of `sizes`, over and over."""
    file = io.BytesIO(dump)
    return itertools.takewhile(bool, (file.read(size) for size in itertools.cycle(sizes)))


@given(DUMPS, st.lists(st.integers(1, 12), min_size=1, max_size=5))
@example(b"COPY public.leads (id) FROM stdin;\n1\n\\.\n" + END, [1])
@example(b"COPY public.leads (id) FROM stdin;\r\n1\r\n\\.\r\n" + END, [4])
def test_it_does_not_matter_where_blocks_are_cut(dump, sizes):
    try:
        expected = by_lines(dump)
    except RollbackError:
        with pytest.raises(RollbackError, match="does not end there"):
            dump_reader.read(cut(dump, sizes), VERSIONS)
        return
    found = dump_reader.read(cut(dump, sizes), VERSIONS)
    assert found == replace(expected, bytes=found.bytes)
    assert found.bytes == len(dump) or not expected.bytes


def test_rows_of_many_blocks_are_counted_each_once():
    rows = b"".join(b"%d\tAda\n" % number for number in range(50_000))
    dump = b"COPY public.leads (id) FROM stdin;\n" + rows + b"\\.\n" + END
    for size in (997, 65_536, 1024 * 1024):
        facts = dump_reader.read(cut(dump, [size]), VERSIONS)
        assert (facts.rows, facts.complete) == ({"public.leads": 50_000}, True)


def test_empty_blocks_do_not_end_a_dump():
    dump = b"COPY public.leads (id) FROM stdin;\n1\n\\.\n" + END
    assert dump_reader.read([b"", dump[:20], b"", b"", dump[20:], b""], VERSIONS).complete
