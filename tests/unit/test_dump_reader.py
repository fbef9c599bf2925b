import pytest

from ansible.module_utils.rollback.backups import dump_reader
from ansible.module_utils.rollback.errors import RollbackError

HEAD = b"--\n-- PostgreSQL database dump\n--\n\n-- Dumped from database version 15.18 (Debian 15.18-1)\n-- Dumped by pg_dump version 18.4\n\n"
TAIL = b"\n--\n-- PostgreSQL database dump complete\n--\n\n"


def read(body, head=HEAD, tail=TAIL):
    return dump_reader.read((head + body + tail).splitlines(keepends=True), "public.alembic_version")


def test_a_whole_dump_is_recognised_with_its_versions():
    facts = read(b"SET statement_timeout = 0;\n")
    assert (facts.recognised, facts.complete, facts.server_version, facts.client_version) == (
        True,
        True,
        "15.18",
        "18.4",
    )
    assert (facts.rows, facts.found, facts.inserts, facts.alembic_heads) == ({}, {}, False, None)


@pytest.mark.parametrize(
    ("copy", "table", "rows"),
    [
        (b"COPY public.leads (id, name) FROM stdin;\n1\tAda\n2\tBob\n\\.\n", "public.leads", 2),
        (b"COPY public.leads (id) FROM stdin;\n\\.\n", "public.leads", 0),
        (b'COPY public."Order items" (id, "na(me") FROM stdin;\n1\tx\n\\.\n', 'public."Order items"', 1),
        (b'COPY "my.schema"."a""b" (id) FROM stdin;\n1\n\\.\n', '"my.schema"."a""b"', 1),
        (b"COPY public.nothing  FROM stdin;\n\n\n\n\\.\n", "public.nothing", 3),
        # Data that looks like SQL, like psql's commands, and like the end of COPY.
        (
            b"COPY public.notes (t) FROM stdin;\n\\\\connect other\n\\\\.\n\\N\n'\n$$\n-- PostgreSQL database dump complete\n\\.\n",
            "public.notes",
            6,
        ),
    ],
)
def test_rows_are_counted_up_to_the_end_of_copy(copy, table, rows):
    facts = read(copy)
    assert facts.rows == {table: rows}
    assert facts.complete
    assert not facts.found


@pytest.mark.parametrize("end", [b"\\.\r\n", b"\\.x\n", b"\\.\r", b"\\. \n"])
def test_a_line_that_only_looks_like_the_end_of_rows_is_refused(end):
    """psql takes some of them for the end, and the server others."""
    with pytest.raises(RollbackError, match=r"begins with \\\. and does not end there"):
        read(b"COPY public.leads (id) FROM stdin;\n1\n" + end + b"/*\n\\.\nDROP DATABASE app;\n*/\n")


def test_partitions_that_load_into_one_table_are_added_up():
    assert read(b"COPY public.t (a) FROM stdin;\n1\n\\.\n\nCOPY public.t (a) FROM stdin;\n2\n3\n\\.\n").rows == {
        "public.t": 3
    }


@pytest.mark.parametrize(("rows", "heads"), [(b"bbb\naaa\n", ["aaa", "bbb"]), (b"aaa\n", ["aaa"]), (b"", [])])
def test_the_revisions_are_read_from_the_version_table(rows, heads):
    assert read(b"COPY public.alembic_version (version_num) FROM stdin;\n" + rows + b"\\.\n").alembic_heads == heads
    assert read(b"COPY other.alembic_version (version_num) FROM stdin;\n" + rows + b"\\.\n").alembic_heads is None


@pytest.mark.parametrize(
    "cut",
    [
        HEAD + b"COPY public.leads (id) FROM stdin;\n1\n2\n",
        HEAD + b"COPY public.leads (id) FROM stdin;\n1\n2",
        HEAD + b"COPY public.leads (id) FROM stdin;\n1\n\\.\n",
        HEAD + b"COPY public.leads (id) FROM stdin;\n1\n-- PostgreSQL database dump complete\n",
        HEAD + b"CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$\n",
        HEAD,
        b"",
    ],
)
def test_a_dump_that_was_cut_is_never_complete(cut):
    assert not read(b"", head=cut, tail=b"").complete


def test_the_end_marker_inside_a_string_or_function_is_no_end():
    body = b"COMMENT ON TABLE t IS 'x\n-- PostgreSQL database dump complete\n';\n"
    assert not read(body, tail=b"").complete
    assert not read(
        b"CREATE FUNCTION f() RETURNS text AS $$\n-- PostgreSQL database dump complete\n$$;\n", tail=b""
    ).complete


@pytest.mark.parametrize(
    ("body", "commands"),
    [
        (b"\\connect other\n", ["\\connect other"]),
        (b"\\! rm -rf /\n", ["\\! rm -rf /"]),
        (b"SELECT 1; \\! id\n", ["\\! id"]),
        (b"SELECT 'a' \\gexec\n", ["\\gexec"]),
        (b"\\restrict abc123XYZ\n\\unrestrict abc123XYZ\n", []),
        (b"\\restrict abc\\! id\n", ["\\restrict abc\\! id"]),
        # Backslashes that psql hands to the server, in strings, names, functions and comments.
        (b"ALTER TABLE t ALTER c SET DEFAULT '\\d+';\n", []),
        (b"SELECT 'first\n\\second\n';\n", []),
        (b"SELECT 'it''s\n\\x';\n", []),
        (b'CREATE TABLE "back\\slash" (c int);\n', []),
        (
            b"CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $_$\n  SELECT regexp_replace($1, '\\s', '');\n\\! id\n$_$;\n",
            [],
        ),
        (b"CREATE FUNCTION f() RETURNS text AS $$ SELECT '$x$\\'; $$;\n", []),
        (b"-- \\connect other\n", []),
        (b"/* \\connect\n\\! */\n", []),
        # Where those have ended, it is psql's again.
        (b"SELECT 'x'; /* y */ \\! id\n", ["\\! id"]),
        (b"CREATE FUNCTION f() RETURNS text AS $a$ $b$ $a$;\n\\! id\n", ["\\! id"]),
        (b"SELECT 'a\n b'; \\connect x\n", ["\\connect x"]),
        (b"SELECT '-- no comment'; \\! id\n", ["\\! id"]),
        # E'' strings: a backslash there keeps the next quote from ending them.
        (b"ALTER TABLE t ALTER c SET DEFAULT E'a\\\\b';\n", []),
        (b"SELECT E'it\\'s \\\\ so';\n", []),
        (b"SELECT E'over\n\\'two';\n", []),
        (b"SELECT E'\\'';\n\\! id\n", ["\\! id"]),
        (b"SELECT e'\\''; \\! id\n", ["\\! id"]),
        (b"SELECT E'x\\\\'; \\! id\n", ["\\! id"]),
        (b"SELECT somee'\\'; \\! id\n", ["\\! id"]),
        # A dollar inside a name opens nothing.
        (b"SELECT 1 AS a$b$; \\! id\n", ["\\! id"]),
        (b"SELECT $1$2; \\! id\n", ["\\! id"]),
    ],
)
def test_commands_to_psql_are_found_where_psql_would_see_them(body, commands):
    assert read(body).found.get("psql", []) == commands


def test_sequences_say_where_they_stand():
    said = (b"'public.leads_id_seq', 42, true", b"'public.\"O''x\"', 1, false", b"'public.down', -5, true")
    body = b"".join(b"SELECT pg_catalog.setval(%s);\n" % words for words in said)
    assert read(body).sequences == {"public.leads_id_seq": 42, 'public."O\'x"': None, "public.down": -5}


@pytest.mark.parametrize(
    ("inserts", "table", "rows"),
    [
        (b"INSERT INTO public.leads VALUES (1, 'Ada');\nINSERT INTO public.leads VALUES (2, NULL);\n", "public.leads", 2),
        (b"INSERT INTO public.leads VALUES\n\t(1, 'Ada (of (Lovelace'),\n\t(2, E'\\\\(');\n", "public.leads", 2),
        (b"INSERT INTO public.\"Order (items\" (id, \"values (\") VALUES (-1.5, DEFAULT);\n", 'public."Order (items"', 1),
        (b"INSERT INTO public.ids OVERRIDING SYSTEM VALUE VALUES (1) ON CONFLICT DO NOTHING;\n", "public.ids", 1),
        (b"INSERT INTO public.nothing DEFAULT VALUES;\nINSERT INTO public.nothing DEFAULT VALUES;\n", "public.nothing", 2),
        (b"INSERT INTO public.notes VALUES ('one\n\t(two),\nINSERT INTO public.x VALUES (1);\n');\n", "public.notes", 1),
    ],
)  # fmt: skip
def test_rows_that_are_insert_statements_are_counted(inserts, table, rows):
    facts = read(inserts)
    assert (facts.inserts, facts.rows, facts.complete, facts.found) == (True, {table: rows}, True, {})


def test_revisions_among_insert_statements_are_read():
    one = b"INSERT INTO public.alembic_version VALUES ('bbb');\n"
    other = b"INSERT INTO public.alembic_version (version_num) VALUES ('aaa');\n"
    assert read(one + other).alembic_heads == ["aaa", "bbb"]
    assert read(b"CREATE FUNCTION f() RETURNS void AS $$\nINSERT INTO public.x VALUES (1);\n$$;\n").rows == {}


@pytest.mark.parametrize("counts", [(2, 1, 0), (0, 2, 1), (0, 0, 0), (3, 0, 0)])
def test_rows_through_the_root_count_as_those_of_their_partition_also_where_it_is_empty(counts):
    parts = []
    for number, _ in enumerate(counts):
        attach = b"ALTER TABLE ONLY public.t ATTACH PARTITION public.t_%d FOR VALUES WITH (modulus 3, remainder %d);\n"
        parts.append(attach % (number, number))
    for number, count in enumerate(counts):
        header = b"-- Data for Name: t_%d; Type: TABLE DATA; Schema: public; Owner: a\n" % number
        parts += [header, b"COPY public.t (a) FROM stdin;\n", b"1\n" * count, b"\\.\n"]
    facts = dump_reader.read([b"".join(parts)], "public.alembic_version")
    assert facts.rows == {f"public.t_{number}": count for number, count in enumerate(counts)}
