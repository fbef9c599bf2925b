"""A backup is code: what reaches beyond its database is found, wherever it stands, and what only looks like it is not."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible.module_utils.rollback.backups import dump_reader, scan
from ansible.module_utils.rollback.errors import RollbackError

END = b"\n--\n-- PostgreSQL database dump complete\n--\n\n"


def found(body):
    """Kinds of what is found in a dump."""
    return set(dump_reader.read([body + END], "public.alembic_version").found)


PLANTED = {
    "psql": [
        rb"\! id",
        rb"\connect other",
        rb"\copy t FROM PROGRAM 'id'",
        rb"\i /etc/passwd",
        rb"\o |id",
        rb"\set x `id`",
        rb"\gexec",
        rb"SELECT 1 \g |id",
        rb"SELECT 1; \! id",
    ],
    "programs": [b"COPY t FROM PROGRAM 'id';", b"COPY t (a, b) TO PROGRAM 'id';", b"copy (SELECT 1)\nto\nprogram $$id$$;"],
    "files": [
        b"COPY t FROM '/etc/passwd';",
        b"COPY t TO E'/tmp/x';",
        b"SELECT pg_read_file('/etc/passwd');",
        b"SELECT pg_catalog.\"pg_read_binary_file\"('/etc/passwd');",
        b"CREATE TABLE t (a text DEFAULT pg_ls_dir('/'));",
        b"CREATE VIEW v AS SELECT lo_import('/etc/passwd') AS x;",
        b"CREATE EXTENSION IF NOT EXISTS file_fdw WITH SCHEMA public;",
    ],
    "server": [
        b"ALTER SYSTEM SET archive_command = 'id';",
        b"alter/* */system reset all;",
        b"LOAD 'x';",
        b"CREATE TABLESPACE x LOCATION '/x';",
        b"SELECT pg_reload_conf();",
        b"GRANT SET ON PARAMETER log_statement TO x;",
    ],
    "roles": [
        b"ALTER ROLE hunter SUPERUSER;",
        b"CREATE ROLE x SUPERUSER LOGIN;",
        b"CREATE USER x;",
        b"DROP GROUP x;",
        b"GRANT postgres TO hunter;",
        b"DROP OWNED BY x;",
        b"COMMENT ON ROLE x IS 'y';",
    ],
    "databases": [
        b"DROP DATABASE other;",
        b"CREATE DATABASE other;",
        b"ALTER DATABASE other RENAME TO x;",
        b"GRANT ALL ON DATABASE other TO x;",
        b"COMMENT ON DATABASE other IS 'x';",
    ],
    "languages": [
        b"CREATE FUNCTION f() RETURNS text LANGUAGE plpython3u AS $$ x $$;",
        b"CREATE FUNCTION f() RETURNS integer\n    LANGUAGE c\n    AS '$libdir/x', 'y';",
        b"CREATE OR REPLACE PROCEDURE f() AS 'x' LANGUAGE 'plperlu';",
        b"CREATE EXTENSION plpython3u;",
        b"CREATE OR REPLACE PROCEDURAL LANGUAGE plperlu;",
    ],
    "event_triggers": [b"CREATE EVENT TRIGGER x ON ddl_command_start EXECUTE FUNCTION f();"],
    "elsewhere": [
        b"CREATE EXTENSION dblink;",
        b"SELECT dblink_connect('host=x');",
        b"CREATE SUBSCRIPTION s CONNECTION 'host=x' PUBLICATION p;",
        b"ALTER SUBSCRIPTION s ENABLE;",
    ],
    "statements": [
        b"DO $$ BEGIN PERFORM 1; END $$;",
        b"SELECT 1;",
        b"SELECT public.f();",
        b"SELECT pg_catalog.setval('x', f(1), true);",
        b"SELECT pg_catalog.set_config('work_mem', '1GB', false);",
        b"CALL f();",
        b"UPDATE t SET a = 1;",
        b"DELETE FROM t;",
        b"TRUNCATE t;",
        b"INSERT INTO t SELECT * FROM u;",
        b"INSERT INTO t VALUES (1, f(2));",
        b"WITH x AS (SELECT 1) SELECT * FROM x;",
        b"EXECUTE x;",
        b"NOTIFY x;",
        b"SET work_mem = '1GB';",
        b"VACUUM;",
        b"COPY t FROM stdin WITH (FORMAT csv);",
        b"COPY t FROM stdin; COPY u FROM stdin;\n\\.\n",
        b"SELECT U&\"\\0061\"('x');",
        b"CREATE FUNCTION f() RETURNS text LANGUAGE sql AS E'SELECT \\x31';",
    ],
    "encoding": [
        b"SET standard_conforming_strings = off;",
        b"SET client_encoding = 'SJIS';",
        b"SET client_encoding TO \"Shift_JIS_2004\";",
        b"SELECT pg_catalog.set_config('standard_conforming_strings', 'off', false);",
    ],
}  # fmt: skip
IN_BODIES = {
    b"COPY t FROM PROGRAM 'id';": "programs",
    b"ALTER SYSTEM SET x = 'y';": "server",
    b"PERFORM pg_read_file('/etc/passwd');": "files",
    b"IF true THEN ALTER ROLE x SUPERUSER; END IF;": "roles",
    b"EXECUTE 'COPY t FROM PROGRAM ' || quote_literal(x);": "programs",
    b"EXECUTE format('ALTER ROLE %I SUPERUSER', x);": "roles",
    b"PERFORM dblink_exec('host=x', 'y');": "elsewhere",
    b"PERFORM query_to_xml('SELECT 1', true, true, '');": "statements",
}

# What pg_dump writes, and what only looks like more.
INNOCENT = [
    b"SET statement_timeout = 0;\nSET client_encoding = 'UTF8';\nSET standard_conforming_strings = on;\n",
    b"SELECT pg_catalog.set_config('search_path', '', false);\n",
    b"SELECT pg_catalog.setval('public.leads_id_seq', 42, true);\n",
    b"SELECT pg_catalog.lo_create('4242');\nBEGIN;\nSELECT pg_catalog.lo_open('4242', 131072);\n"
    b"SELECT pg_catalog.lowrite(0, '\\x00');\nSELECT pg_catalog.lo_close(0);\nCOMMIT;\n",
    b"SELECT * FROM pg_catalog.pg_restore_relation_stats(\n\t'version', '180000'::integer,\n\t'relpages', '1'::integer\n);\n",
    b"CREATE TABLE public.users (id integer NOT NULL, role text, \"database\" text, system boolean);\n",
    b"ALTER TABLE ONLY public.users ADD CONSTRAINT x CHECK ((role = 'ALTER SYSTEM; DROP DATABASE x'::text));\n",
    b"CREATE USER MAPPING FOR PUBLIC SERVER s;\n",
    b"CREATE SUBSCRIPTION s CONNECTION 'host=x' PUBLICATION p WITH (connect = false, slot_name = 's');\n",
    b"GRANT SELECT,INSERT ON TABLE public.users TO hunter WITH GRANT OPTION;\n",
    b"REVOKE ALL ON FUNCTION pg_catalog.pg_read_file(text) FROM PUBLIC;\n",
    b"SET SESSION AUTHORIZATION hunter;\nRESET SESSION AUTHORIZATION;\n",
    b"CREATE RULE r AS ON INSERT TO public.users DO ALSO (SELECT 1; SELECT 2);\n",
    b"CREATE FUNCTION public.f() RETURNS integer\n    LANGUAGE sql\n    BEGIN ATOMIC\n SELECT CASE WHEN true THEN 1 ELSE 2 END;\n"
    b" SELECT 2;\nEND;\n",
    b"CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN -- ALTER SYSTEM;\n RAISE NOTICE 'no COPY t FROM PROGRAM'; END $$;\n",
    b"REFRESH MATERIALIZED VIEW public.totals;\n",
    b"INSERT INTO public.users (id, role) OVERRIDING SYSTEM VALUE VALUES (1, 'ALTER SYSTEM'), (-2.5, NULL), (3, B'1');\n",
    b"CREATE EXTENSION IF NOT EXISTS hstore WITH SCHEMA public;\nCOMMENT ON EXTENSION hstore IS 'x';\n",
    b"ALTER EVENT TRIGGER x OWNER TO y;\n",
    b"\\restrict abc\n\\unrestrict abc\n",
]  # fmt: skip


@pytest.mark.parametrize(("kind", "statement"), [(kind, each) for kind, every in PLANTED.items() for each in every])
def test_what_reaches_further_is_found_by_its_kind(kind, statement):
    assert kind in found(statement + b"\n")


@pytest.mark.parametrize(("statement", "kind"), IN_BODIES.items())
@pytest.mark.parametrize(
    "around",
    [
        b"CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $_$\nBEGIN\n  %s\nEND $_$;\n",
        b"DO $$ BEGIN %s END $$;\n",
    ],
)
def test_the_bodies_of_functions_are_read_too(around, statement, kind):
    assert kind in found(around % statement)


@pytest.mark.parametrize("statement", INNOCENT)
def test_what_pg_dump_writes_is_no_finding(statement):
    assert found(statement) == set()


def test_the_older_way_to_write_a_body_is_read_as_what_it_means():
    assert found(b"CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'COPY t FROM PROGRAM ''id''';\n") == {"programs"}


# Where a statement only looks like one. Each takes the text to hide and hides it well.
HIDDEN = {
    "string": lambda text: b"COMMENT ON TABLE t IS '%s';\n" % text.replace(b"'", b"''"),
    "escaped string": lambda text: b"COMMENT ON TABLE t IS E'%s';\n" % text.replace(b"\\", b"\\\\").replace(b"'", b"\\'"),
    "string in two": lambda text: b"COMMENT ON TABLE t IS E'x'\n  '%s';\n" % text.replace(b"\\", b"\\\\").replace(b"'", b"\\'"),
    "dollars": lambda text: b"COMMENT ON TABLE t IS $hide$%s$hide$;\n" % text,
    "name": lambda text: b"CREATE TABLE \"%s\" (a integer);\n" % text.replace(b'"', b'""'),
    "comment": lambda text: b"/* /* nested */ ' %s */\n" % text.replace(b"*/", b"").replace(b"/*", b""),
    "line comment": lambda text: b"-- ' %s\n" % text.replace(b"\n", b" ").replace(b"\r", b" "),
    "row": lambda text: b"COPY public.t (a) FROM stdin;\n%s\n\\.\n" % text.replace(b"\\", b"\\\\").replace(b"\n", b"\\n"),
}  # fmt: skip
PIECES = st.sampled_from(sorted(each for every in PLANTED.values() for each in every))
NOISE = st.lists(
    st.sampled_from([b"'", b'"', b"$$", b"$a$", b"--", b"/*", b"*/", b"\\", b"\\.", b"E'", b";", b"(", b"\n", b" x "]), max_size=6
).map(b"".join)  # fmt: skip
INNOCENTS = st.one_of(
    st.sampled_from(INNOCENT),
    st.builds(
        lambda hide, before, piece, after: HIDDEN[hide](before + piece + after), st.sampled_from(sorted(HIDDEN)), NOISE, PIECES, NOISE
    ),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(INNOCENTS, max_size=8))
def test_it_finds_nothing_in_strings_names_comments_and_rows(parts):
    assert found(b"".join(parts)) == set()


@settings(max_examples=500, deadline=None)
@given(
    st.lists(INNOCENTS, max_size=5),
    st.sampled_from([(kind, each) for kind, every in sorted(PLANTED.items()) for each in every]),
    st.lists(INNOCENTS, max_size=5),
)
def test_it_never_misses_what_was_planted_among_them(before, planted, after):
    kind, statement = planted
    assert kind in found(b"".join(before) + statement + b"\n" + b"".join(after))


@pytest.mark.parametrize(
    "trick",
    [
        b"-- a comment that a carriage return ends\r\\! id\n",
        b"/* /* */ ' */ \\! id --'\n",
        b"COMMENT ON TABLE t IS E'a'\n'\\''; \\! id --'\n",
        b"COMMENT ON TABLE t IS E'a' -- more\n\n '\\''; \\! id --'\n",
        b"CREATE TABLE a$b$ (c int); \\! id\n",
        b"CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; END; \\! id\n",
    ],
)
def test_tricks_by_which_a_lexer_loses_its_place_hide_nothing(trick):
    assert "psql" in found(trick)


def test_a_string_that_does_not_end_is_found_since_it_swallows_what_comes_after():
    assert found(b"COMMENT ON TABLE t IS 'x;\nALTER SYSTEM RESET ALL;\n") == {"statements"}
    scanner = scan.Scanner()
    scanner.text(b"COMMENT ON TABLE t IS '")
    scanner.text(b"'; ALTER SYSTEM RESET ALL; --'")
    assert set(scanner.found) == {"statements"}


def test_what_is_found_is_refused_by_the_worst_of_it_unless_it_is_allowed():
    facts = {"roles": ["ALTER ROLE x"], "programs": ["COPY t FROM PROGRAM '…'"]}
    with pytest.raises(RollbackError) as refused:
        scan.refuse("monday.sql", facts, [])
    assert refused.value.message == (
        "The backup monday.sql reaches programs that the server would run: COPY t FROM PROGRAM '…' (and roles of the server)."
    )
    assert refused.value.hint.endswith("rollback_backup_allow: [programs, roles].")
    with pytest.raises(RollbackError, match="roles of the server"):
        scan.refuse("monday.sql", facts, ["programs"])
    scan.refuse("monday.sql", facts, ["programs", "roles"])


def test_commands_to_psql_cannot_be_allowed():
    with pytest.raises(RollbackError, match=r"commands to psql: \\! id"):
        scan.refuse("monday.sql", {"psql": ["\\! id"]}, scan.KINDS)


def test_what_is_shown_of_a_statement_holds_nothing_of_its_strings():
    facts = dump_reader.read([b"ALTER ROLE x PASSWORD 'secret';\n"], "public.alembic_version")
    assert facts.found == {"roles": ["ALTER ROLE X PASSWORD '…'"]}


WORDS = st.sampled_from(
    b"create alter drop grant set select copy insert values from to on role database function language as begin atomic end"
    b" do execute pg_catalog setval user mapping extension subscription to program stdin ( ) ; , . = ' \" $$ E' -- /* */ \\ u&".split()
)


@given(st.lists(WORDS | st.binary(max_size=3)), st.sampled_from([b" ", b"\n", b""]))
def test_whatever_a_dump_says_is_judged_without_an_error(words, between):
    assert found(between.join(words)) <= set(scan.KINDS)


@pytest.mark.parametrize(
    "values",
    [
        "1e-07",
        "1.5e+30, -1.5E-300",
        ".5, 5., -42",
        "B'101', X'1f'",
        "'NaN', 'Infinity', NULL, true, DEFAULT",
        "'a\nb;\n--'",
    ],
)
def test_rows_of_any_kind_of_number_are_rows(values):
    facts = dump_reader.read(
        [b"INSERT INTO public.t VALUES (%s), (%s);\n" % ((values.encode(),) * 2) + END], "public.v"
    )
    assert (facts.found, facts.rows) == ({}, {"public.t": 2})


@pytest.mark.parametrize("values", ["1e", "e-07", "1e-07y", "1efoo(1)", "1e+pg_sleep(9)"])
def test_what_only_begins_like_a_number_is_none(values):
    assert "statements" in found(b"INSERT INTO public.t VALUES (%s);\n" % values.encode())


@pytest.mark.parametrize(
    ("setting", "kinds"),
    [(b"transaction_timeout = 0", set()), (b"future_timeout = 0", set()), (b"archive_command = 'id'", {"statements"})],
)
def test_timeouts_of_newer_versions_of_pg_dump_are_its_own(setting, kinds):
    facts = dump_reader.read([b"SET " + setting + b";\n" + END], "public.v")
    assert (set(facts.found), bool(facts.needs.settings)) == (kinds, bool(kinds))


def test_a_comment_that_a_carriage_return_ends_is_not_pg_dumps():
    assert found(b"-- x\rCOPY public.t (a) FROM stdin;\nDROP DATABASE app;\n/*\n\\.\n*/\n;\n") == {"statements"}
    assert found(b"-- x\r\nCOMMENT ON TABLE t IS '\n-- x\ry\n';\n") == set()
