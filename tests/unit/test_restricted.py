"""What psql is given of a dump: nothing in it may be a command to psql, and no row may change."""

import pytest
from made_up import DUMP

from ansible.module_utils.rollback.backups import restricted
from ansible.module_utils.rollback.backups.preamble import NO_TIMEOUTS

OLD, NEW = (15, 13), (18, 4)
ROWS = b"COPY public.t (a) FROM stdin;\n\\restrict abc\n\\unrestrict abc\n\\.\n"


@pytest.mark.parametrize(
    ("version", "known"),
    [((15, 13), False), ((15, 14), True), ((16, 9), False), ((17, 6), True), ((12, 22), False), ((18, 0), True), ((19,), True)],
)  # fmt: skip
def test_which_psql_knows_restrict(version, known):
    assert restricted.known_to(version) is known


def test_an_old_psql_gets_the_dump_without_what_it_does_not_know():
    dump = DUMP.replace(b"COPY", b"\\restrict abc\nCOPY", 1) + b"\\unrestrict abc\n"
    assert b"".join(restricted.lines([dump], OLD)) == NO_TIMEOUTS + DUMP


def test_a_timeout_that_only_newer_servers_know_is_left_out_and_switched_off_where_it_is_known():
    known, newer = b"SET statement_timeout = 0;\n", b"SET transaction_timeout = 0;\nSET future_timeout = 0;\n"
    inside = b"COMMENT ON TABLE t IS '\n" + newer + b"';\n"
    assert b"".join(restricted.lines([known + newer + inside], OLD)) == NO_TIMEOUTS + known + inside
    assert b"'transaction_timeout'" in NO_TIMEOUTS


def test_the_number_that_a_server_gives_to_each_column_is_left_out():
    numbered = b"ALTER TABLE ONLY public.t ALTER COLUMN a SET (pg_attver=22);\n"
    inside = b"COMMENT ON TABLE t IS '\n" + numbered + b"';\n"
    assert b"".join(restricted.lines([DUMP + numbered + inside], OLD)) == NO_TIMEOUTS + DUMP + inside


def test_a_new_psql_is_restricted_by_a_key_of_ours_and_not_by_the_dumps():
    dump = b"\\restrict abc\n" + DUMP + b"\\unrestrict abc\n\\! id\n"
    first, *middle, last = restricted.lines([dump], NEW)
    assert first.startswith(b"\\restrict ")
    assert last == first.replace(b"\\restrict", b"\\unrestrict")
    assert b"".join(middle) == NO_TIMEOUTS + DUMP + b"\\! id\n"
    assert next(restricted.lines([dump], NEW)) != first


def test_rows_and_strings_that_look_like_it_stay():
    dump = DUMP + ROWS + b"SELECT '\n\\restrict abc\n';\n"
    assert b"".join(restricted.lines([dump], OLD)) == NO_TIMEOUTS + dump


def test_event_triggers_come_last_since_they_would_fire_at_what_follows():
    trigger = b"CREATE EVENT TRIGGER e ON sql_drop\n   EXECUTE FUNCTION f();\n"
    comment = b"COMMENT ON EVENT TRIGGER e IS 'a\nb';\n"
    rest = b"REFRESH MATERIALIZED VIEW v;\nSELECT '\nCREATE EVENT TRIGGER e';\n"
    assert (
        b"".join(restricted.lines([DUMP + trigger + comment + rest], OLD))
        == NO_TIMEOUTS + DUMP + rest + trigger + comment
    )


def test_what_clean_drops_is_left_out_before_the_first_entry_and_nowhere_else():
    drops = (
        b'ALTER TABLE ONLY public.t DROP CONSTRAINT t_pkey;\nDROP TABLE public.t;\nDROP SCHEMA "public.";\n'
        b"ALTER TABLE public.t ALTER COLUMN id DROP DEFAULT;\nSELECT pg_catalog.lo_unlink('42');\n"
        b"CREATE OR REPLACE VIEW public.v AS\nSELECT\n    NULL::integer AS id;\n"
    )
    public = b"DROP SCHEMA public;\nDROP SCHEMA IF EXISTS public;\n"
    strange = b'DROP TABLE "a;\n\\restrict b";\nDROP TABLE a; SELECT 1;\n'
    entry = b"-- Name: t; Type: TABLE; Schema: public; Owner: -\n"
    given = drops + public + strange + entry + drops
    assert b"".join(restricted.lines([given], OLD)) == NO_TIMEOUTS + public + strange + entry + drops
