import pytest

from ansible.module_utils.rollback.backups import plain_sections
from ansible.module_utils.rollback.errors import RollbackError

HEAD = (
    b"--\n-- PostgreSQL database dump\n--\n\n\\restrict abc\n\n-- Dumped from database version 18.4\n\n"
    b"SET statement_timeout = 0;\nSET client_encoding = 'UTF8';\nSELECT pg_catalog.set_config('search_path', '', false);\n\n"
)
TAIL = b"\n--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict abc\n\n"


def header(name, kind, data=False):
    return b"--\n-- %sName: %s; Type: %s; Schema: public; Owner: hunter\n--\n\n" % (b"Data for " * data, name, kind)


TABLE = (
    header(b"leads", b"TABLE")
    + b"CREATE TABLE public.leads (\n    id bigint\n);\n\n\nALTER TABLE public.leads OWNER TO hunter;\n\n"
)
COPY = b"COPY public.leads (id) FROM stdin;\n"
ROWS = header(b"leads", b"TABLE DATA", True) + COPY + b"1\n2\n\\.\n\n\n"
INDEX = header(b"leads_id", b"INDEX") + b"CREATE INDEX leads_id ON public.leads USING btree (id);\n\n\n"


def read(body, head=HEAD, tail=TAIL, block=1 << 20):
    """(what, statements, settings, rows) of each entry, the dump given in blocks of `block` bytes."""
    dump = head + body + tail
    blocks = (dump[start : start + block] for start in range(0, len(dump), block))
    return [
        (str(entry), entry.statements, entry.settings, None if entry.rows is None else b"".join(entry.rows))
        for entry in plain_sections.entries(blocks)
    ]


def test_entries_come_in_the_files_order_without_comments_and_blank_lines():
    opening, table, rows, index = read(TABLE + ROWS + INDEX)
    assert opening[0] == "the dump's settings"
    assert len(opening[1]) == 3
    assert table[:2] == (
        "table public.leads",
        [b"CREATE TABLE public.leads (\n    id bigint\n);\n", b"ALTER TABLE public.leads OWNER TO hunter;\n"],
    )
    assert rows == ("table data public.leads", [COPY], (), b"1\n2\n")
    assert index[:2] == ("index public.leads_id", [b"CREATE INDEX leads_id ON public.leads USING btree (id);\n"])


# Data, strings and bodies of functions that look like what cuts a dump.
LOOKALIKE = INDEX + COPY + b"7\n\\\\.\n" + TAIL
FOOLING = (
    TABLE
    + header(b"leads", b"TABLE DATA", True)
    + COPY
    + LOOKALIKE.replace(b"\n\\unr", b"\n\\\\unr")
    + b"\\.\n\n"
    + header(b"f()", b"FUNCTION")
    + b"CREATE FUNCTION public.f() RETURNS text\n    LANGUAGE sql\n    AS $_$\n"
    + LOOKALIKE
    + b"$_$;\n"
    + header(b"TABLE leads", b"COMMENT")
    + b"COMMENT ON TABLE public.leads IS 'it''s\n"
    + LOOKALIKE
    + b"';\n"
    + header(b"empty", b"TABLE DATA", True)
    + b"COPY public.empty (a) FROM stdin;\n\\.\n\n"
    + header(b"two lines", b"TABLE DATA", True)
    + b'COPY public."two\nlines"  FROM stdin;\n\n\n\\.\n\n'
)


def test_text_that_looks_like_a_dump_cuts_nothing():
    found = read(FOOLING)
    assert [entry[0] for entry in found[1:]] == [
        "table public.leads",
        "table data public.leads",
        "function public.f()",
        "comment public.TABLE leads",
        "table data public.empty",
        "table data public.two lines",
    ]
    assert found[2][3] == LOOKALIKE.replace(b"\n\\unr", b"\n\\\\unr")
    assert found[3][1][0].endswith(b"$_$;\n")
    assert found[4][1][0].endswith(TAIL + b"';\n")
    assert (found[5][3], found[6][3]) == (b"", b"\n\n")


def test_blocks_may_be_cut_anywhere():
    whole = read(FOOLING)
    for block in [*range(1, 60), *range(60, 2000, 97)]:
        assert read(FOOLING, block=block) == whole, block


def test_rows_come_as_blocks_of_whole_lines():
    dump = iter(
        [HEAD + header(b"leads", b"TABLE DATA", True) + COPY + b"1\n2", b"2\n333", b"3", b"\n5\n\\", b".\n" + TAIL]
    )
    found = [list(entry.rows) for entry in plain_sections.entries(dump) if entry.rows is not None]
    assert found == [[b"1\n", b"22\n", b"3333\n5\n"]]


@pytest.mark.parametrize("value", [b"''", b"heap", b'"my space"'])
def test_settings_between_entries_are_in_force_from_there_on(value):
    setting = b"SET default_tablespace = %s;\n" % value
    other = b"SET default_table_access_method = heap;\n"
    _, table, rows, index, last = read(
        TABLE + setting + b"\n" + other + ROWS + INDEX + b"SET default_tablespace = '';\n" + INDEX
    )
    assert table[2] == ()
    assert rows[2] == index[2] == (setting, other)
    assert last[2] == (b"SET default_tablespace = '';\n", other)


def test_a_setting_inside_a_string_is_none():
    body = (
        header(b"leads", b"COMMENT")
        + b"COMMENT ON TABLE public.leads IS 'x\nSET default_tablespace = here;\n';\n"
        + INDEX
    )
    _, comment, index = read(body)
    assert comment[1] == [b"COMMENT ON TABLE public.leads IS 'x\nSET default_tablespace = here;\n';\n"]
    assert index[2] == ()


def test_large_objects_come_in_pieces_of_bounded_size():
    line = b"SELECT pg_catalog.lowrite(0, '\\x%s');\n" % (b"00" * 16384)
    pieces = read(header(b"BLOBS", b"BLOBS", True) + b"BEGIN;\n" + line * 1200 + b"COMMIT;\n")[1:]
    assert b"".join(b"".join(piece[1]) for piece in pieces) == b"BEGIN;\n" + line * 1200 + b"COMMIT;\n"
    assert max(len(b"".join(piece[1])) for piece in pieces) < 20 * 2**20


@pytest.mark.parametrize(
    "body", [TABLE + ROWS + INDEX, TABLE + INDEX, b"", TABLE + header(b"e", b"TABLE DATA", True) + COPY + b"\\.\n"]
)
def test_what_pg_dump_wrote_can_be_cut(body):
    assert plain_sections.can_be_cut([HEAD + body + TAIL])


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (HEAD, b"\\connect other\n" + TABLE),
        (HEAD, TABLE + b"\\! id\n" + ROWS),
        (HEAD, TABLE + b"SET ROLE other;\n" + ROWS),
        (HEAD, TABLE + b"SET SESSION AUTHORIZATION 'hunter';\n" + ROWS),
        (HEAD, TABLE + b"reset session authorization;\n" + ROWS),
        (HEAD, TABLE + b"SELECT pg_catalog.set_config('search_path', 'public', false);\n" + ROWS),
        (HEAD + b"BEGIN;\n", TABLE + ROWS),
        (HEAD + b"CREATE TABLE public.by_hand (id int);\n", TABLE + ROWS),
        (HEAD + b"SET SESSION AUTHORIZATION 'hunter';\n", TABLE + ROWS),
    ],
)
def test_anything_else_cannot(head, body):
    assert not plain_sections.can_be_cut([head + body + TAIL])


def test_whether_it_can_be_cut_is_told_without_reading_the_rows():
    def blocks():
        yield HEAD + TABLE + header(b"leads", b"TABLE DATA", True) + COPY
        raise AssertionError("read on")

    assert plain_sections.can_be_cut(blocks())


@pytest.mark.parametrize(
    "cut",
    [
        HEAD + TABLE,
        HEAD + TABLE + ROWS + INDEX,
        (HEAD + TABLE + ROWS)[: -len(b"\\.\n\n\n")],
        (HEAD + TABLE + ROWS)[: -len(b"\n\\.\n\n\n")],
        HEAD + header(b"f()", b"FUNCTION") + b"CREATE FUNCTION f() AS $$\n" + TAIL,
        HEAD + header(b"f()", b"FUNCTION") + b"CREATE FUNCTION f()\n",
        HEAD,
    ],
)
def test_a_dump_that_breaks_off_is_an_error(cut):
    with pytest.raises(EOFError):
        read(b"", head=cut, tail=b"")


def test_a_command_to_psql_behind_the_rows_is_refused():
    with pytest.raises(RollbackError, match=r"a command of psql's own: \\connect other"):
        read(TABLE + ROWS + b"\\connect other\n" + INDEX)


@pytest.mark.parametrize(
    "statement",
    [
        b"SET search_path = public;\n",
        b"RESET ROLE;\n",
        b"BEGIN;\n",
        b"SELECT pg_catalog.set_config('role', 'x', false);\n",
    ],
)
def test_what_changes_the_session_behind_the_first_rows_is_not_pg_dumps(statement):
    with pytest.raises(plain_sections.NotAsDumped, match=r"Index public\.leads_id changes the session"):
        read(TABLE + ROWS + INDEX + statement)


def test_rows_that_come_as_statements_come_in_pieces(monkeypatch):
    monkeypatch.setattr(plain_sections, "_PIECE", 2)
    inserts = [b"INSERT INTO public.more VALUES (%d);\n" % number for number in range(5)]
    body = header(b"more", b"TABLE DATA", True) + b"".join(inserts)
    pieces = [statements for what, statements, _, _ in read(TABLE + body + INDEX) if what == "table data public.more"]
    assert pieces == [inserts[:2], inserts[2:4], inserts[4:]]
    monkeypatch.setattr(plain_sections, "_PIECE_BYTES", 1)
    assert len(read(TABLE + body)) == 2 + len(inserts)


def test_rows_that_come_as_statements_are_not_read_to_tell_whether_it_can_be_cut(monkeypatch):
    monkeypatch.setattr(plain_sections, "_PIECE", 1)

    def blocks():
        yield HEAD + TABLE + header(b"leads", b"TABLE DATA", True) + b"INSERT INTO public.leads VALUES (1);\n" * 2
        raise AssertionError("read on")

    assert plain_sections.can_be_cut(blocks())


def test_grants_by_other_roles_belong_to_their_entry():
    switch = [
        b'SET SESSION AUTHORIZATION "a b";\n',
        b"GRANT SELECT ON TABLE t TO c;\n",
        b"RESET SESSION AUTHORIZATION;\n",
    ]
    found = read(TABLE + header(b"TABLE leads", b"ACL") + b"".join(switch) + INDEX)
    assert found[2][:2] == ("acl public.TABLE leads", switch)


def test_what_clean_drops_is_said_once_and_settings_on_each_connection():
    opening = read(TABLE, HEAD + b"DROP TABLE IF EXISTS public.leads;\n")[0][1]
    assert [plain_sections.is_setting(statement) for statement in opening] == [True] * 3 + [False]
    assert plain_sections.can_be_cut([HEAD + b"DROP TABLE IF EXISTS public.leads;\n" + TABLE + ROWS + TAIL])


# Where the loader would see other statements than the scanner does -------------------------------------------------

HIDDEN = [
    # psql and the server end a comment at a carriage return.
    b"-- x\rCOPY public.leads (id) FROM stdin;\nDROP DATABASE app;\n/*\n\\.\n*/\n;\n",
    b"COPY public.leads (id) FROM stdin; SELECT 1;\n1\n\\.\n",
    b"SELECT 1; COPY public.leads (id) FROM stdin;\n1\n\\.\n",
    b"/* x */ COPY public.leads (id) FROM stdin;\n1\n\\.\n",
]


@pytest.mark.parametrize("body", HIDDEN)
def test_rows_that_do_not_come_as_pg_dump_writes_them_are_left_to_psql(body):
    with pytest.raises(plain_sections.NotAsDumped):
        read(TABLE + ROWS + body)


@pytest.mark.parametrize("end", [b"\\.\r\n", b"\\.\r", b"\\.x\n"])
@pytest.mark.parametrize("block", [1, 7, 1 << 20])
def test_a_line_that_only_looks_like_the_end_of_rows_is_refused_by_the_loader_too(end, block):
    with pytest.raises(RollbackError, match="does not end there"):
        read(
            TABLE + header(b"leads", b"TABLE DATA", True) + COPY + end + b"/*\n\\.\nDROP DATABASE app;\n-- */\n",
            block=block,
        )


def test_a_statement_ends_where_its_semicolon_is_and_not_where_a_comment_has_one():
    statement = b"COMMENT ON TABLE public.leads IS 'x' -- ;\nDROP DATABASE app;\n"
    body = b"CREATE FUNCTION f() RETURNS int\n    BEGIN ATOMIC\n SELECT 1;\n SELECT 2;\nEND;\n"
    _, comment, function = read(header(b"leads", b"COMMENT") + statement + header(b"f()", b"FUNCTION") + body)
    assert comment[1] == [statement]
    assert function[1] == [body]


def test_a_timeout_that_only_newer_servers_know_is_left_out():
    opening, table = read(b"SET transaction_timeout = 0;\n" + TABLE)
    assert b"transaction_timeout" not in b"".join(opening[1])
    assert b"statement_timeout" in b"".join(opening[1])
    assert table[0] == "table public.leads"


def test_the_number_that_a_server_gives_to_each_column_is_left_out_and_what_was_set_besides_stays():
    foreign = b"ALTER FOREIGN TABLE ONLY public.f ALTER COLUMN a SET (pg_attver=7);\n"
    alter = b'ALTER TABLE ONLY public."Sales;Data" ALTER COLUMN "b\nc" SET (%s);\n'
    said = [b"pg_attver=22", b"pg_attver=22, n_distinct=-0.5", b"n_distinct=5, pg_attver=1, n_distinct_inherited=7"]
    comment = b"COMMENT ON TABLE public.leads IS 'x\n" + alter % said[0] + b"';\n"
    _, table, *_ = read(TABLE + foreign + b"".join(alter % each for each in said) + comment)
    assert table[1][2:] == [alter % b"n_distinct=-0.5", alter % b"n_distinct=5, n_distinct_inherited=7", comment]


@pytest.mark.parametrize("name", [b"public", b'"public"'])
def test_a_dump_that_makes_public_is_told_with_quotes_and_without(name):
    dump = [
        HEAD
        + header(b"public", b"SCHEMA").replace(b"Schema: public", b"Schema: -")
        + b"CREATE SCHEMA %s;\n" % name
        + TAIL
    ]
    assert plain_sections.makes_public(dump)
    assert b"CREATE SCHEMA" not in b"".join(plain_sections.without_public(dump))
