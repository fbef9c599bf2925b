"""Who owns and may do what after a load, and what must not happen while it goes on: grants, extensions, event triggers."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from servers import OPERATOR, OWNER, Awkward

from ansible.module_utils.rollback.backups import plain_sections, proof
from ansible.module_utils.rollback.backups.requirements import Requirements
from ansible.module_utils.rollback.census import DEFAULT_VERSION_TABLE
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.postgres import beside, event_triggers, extensions, lacking
from ansible.module_utils.rollback.postgres.server import Server

pytestmark = [pytest.mark.postgres]

INTO = "awkward__restore_rights"
one_version_tells = pytest.mark.parametrize("awkward", ["postgres"], indirect=True)
with_contrib = pytest.mark.parametrize("awkward", ["postgres15"], indirect=True)
each_way_to_silence = pytest.mark.parametrize("awkward", ["postgres", "postgres15"], indirect=True)


@contextmanager
def database(awkward: Awkward, script: str, role: str = OWNER) -> Iterator[None]:
    """A small `awkward` that `role` filled; whatever was restored of it is dropped too."""
    with awkward.as_superuser() as connection:
        for name in ("awkward", INTO):
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE awkward OWNER {OWNER} TEMPLATE template0")
        try:
            with awkward.as_superuser("awkward") as inside:
                inside.execute(f"SET ROLE {role}; {script}")
            yield
        finally:
            for name in ("awkward", INTO):
                connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def dumped(awkward: Awkward, to: Path, *options: str) -> Path:
    where = awkward.place.facts
    argv = [
        awkward.tools.path("pg_dump"),
        f"--host={where['socket_dir']}",
        f"--port={where['port']}",
        "--username=postgres",
    ]
    subprocess.run([*argv, f"--file={to}", *options, "awkward"], check=True)
    return to


def as_postgres(awkward: Awkward) -> Server:
    where = awkward.place.facts
    return Server.of(f"host={where['socket_dir']} port={where['port']} user=postgres")


def load(awkward: Awkward, backup: Path, jobs: int = 2, server: Server | None = None, known=None) -> None:
    server = server or awkward.server
    with server.connect() as connection:
        beside.create(connection, "awkward", INTO)
    beside.load(server, awkward.tools, backup, INTO, jobs, known)


def rows(awkward: Awkward, name: str, query: str) -> list[tuple]:
    with awkward.as_superuser(name) as connection:
        return connection.execute(query).fetchall()


@contextmanager
def roles(awkward: Awkward, *names: str, member: str = OPERATOR) -> Iterator[None]:
    with awkward.as_superuser() as connection:
        for name in names:
            connection.execute(f"CREATE ROLE {name}; GRANT {name} TO {member}")
        try:
            yield
        finally:
            for name in names:
                connection.execute(f"DROP ROLE {name}")


# Grants ----------------------------------------------------------------------------------------------------------

CHAIN = """
CREATE SCHEMA sales; GRANT USAGE ON SCHEMA sales TO link_a WITH GRANT OPTION;
CREATE TABLE sales.t (a int PRIMARY KEY, b int); INSERT INTO sales.t SELECT i, i FROM generate_series(1, 50) i;
CREATE VIEW sales.v AS SELECT a FROM sales.t;
GRANT SELECT, UPDATE ON sales.t TO link_a WITH GRANT OPTION;
GRANT SELECT ON sales.v TO link_a WITH GRANT OPTION;
GRANT SELECT (a) ON sales.t TO link_a WITH GRANT OPTION;
SET ROLE link_a;
GRANT USAGE ON SCHEMA sales TO link_b WITH GRANT OPTION;
GRANT SELECT ON sales.t TO link_b WITH GRANT OPTION; GRANT SELECT ON sales.v TO link_b WITH GRANT OPTION;
GRANT SELECT (a) ON sales.t TO link_b WITH GRANT OPTION;
SET ROLE link_b;
GRANT USAGE ON SCHEMA sales TO link_c; GRANT SELECT ON sales.t TO link_c; GRANT SELECT ON sales.v TO link_c;
GRANT SELECT (a) ON sales.t TO link_c;
"""
PRIVILEGES = """
SELECT relname, relacl::text FROM pg_class WHERE relname IN ('t', 'v') UNION ALL
SELECT nspname, nspacl::text FROM pg_namespace WHERE nspname = 'sales' UNION ALL
SELECT attname, attacl::text FROM pg_attribute WHERE attacl IS NOT NULL AND attrelid = 'sales.t'::regclass ORDER BY 1"""


@one_version_tells
@pytest.mark.parametrize("backup_format", ["plain", "custom"])
def test_grants_by_grantees_come_back_each_time_and_to_an_operator_who_is_no_superuser(
    awkward, tmp_path, backup_format
):
    with roles(awkward, "link_a", "link_b", "link_c"), database(awkward, CHAIN):
        backup = dumped(awkward, tmp_path / "backup", f"--format={backup_format}")
        needs = proof.prove(backup, DEFAULT_VERSION_TABLE, awkward.tools, proof.Terms(judge=True)).needs
        with awkward.server.connect("awkward") as connection:
            assert lacking.find(connection, needs) == []
        expected = rows(awkward, "awkward", PRIVILEGES)
        for _ in range(12):
            load(awkward, backup, jobs=4)
            assert rows(awkward, INTO, PRIVILEGES) == expected


OWNED = """
CREATE SCHEMA work; GRANT USAGE, CREATE ON SCHEMA work TO link_a; GRANT USAGE ON SCHEMA work TO link_b; GRANT USAGE, CREATE ON SCHEMA public TO link_b;
SET ROLE link_a;
CREATE TABLE work.t (a serial PRIMARY KEY, b int); INSERT INTO work.t (b) VALUES (1), (2); GRANT SELECT ON work.t TO link_b;
CREATE TABLE work.kept (a int); INSERT INTO work.kept VALUES (1); REVOKE DELETE, TRUNCATE ON work.kept FROM link_a;
CREATE FUNCTION work.f() RETURNS int LANGUAGE sql AS 'SELECT 1';
SET ROLE link_b;
CREATE TABLE public.u (a int PRIMARY KEY); CREATE VIEW public.v AS SELECT * FROM work.t;
CREATE MATERIALIZED VIEW public.m AS SELECT * FROM public.v;
"""
OWNERS = """
SELECT relname, relowner::regrole::text, relacl::text FROM pg_class WHERE relowner::regrole::text LIKE 'link%' UNION ALL
SELECT proname, proowner::regrole::text, proacl::text FROM pg_proc WHERE proname = 'f' ORDER BY 1"""


@one_version_tells
@pytest.mark.parametrize("jobs", [1, 3])
def test_owners_come_back_who_may_create_in_a_schema_only_by_a_grant(awkward, tmp_path, jobs):
    """pg_dump gives them their things first, and the right to have them last: that is enough for superusers alone."""
    with roles(awkward, "link_a", "link_b"), database(awkward, OWNED):
        load(awkward, dumped(awkward, tmp_path / "backup"), jobs)
        assert rows(awkward, INTO, OWNERS) == rows(awkward, "awkward", OWNERS)
        assert rows(awkward, INTO, "SELECT a, b FROM public.m ORDER BY 1") == [(1, 1), (2, 2)]


def test_grants_come_back_in_whatever_order_they_are(awkward, tmp_path):
    """In the ACL of PostgreSQL, and so in the dump, one may stand before that which it depends on."""
    with roles(awkward, "link_a", "link_b", "link_c"), database(awkward, CHAIN):
        expected = [(name, sorted(acl.strip("{}").split(","))) for name, acl in rows(awkward, "awkward", PRIVILEGES)]
        backup = dumped(awkward, tmp_path / "backup")
        text = backup.read_bytes()
        begins, ends = (
            text.index(b"-- Name: SCHEMA sales; Type: ACL"),
            text.index(b"-- PostgreSQL database dump complete"),
        )
        assert text.count(b"SET SESSION AUTHORIZATION ") > 6
        backup.write_bytes(text[:begins] + reversed_grants(text[begins:ends]) + text[ends:])
        load(awkward, backup, jobs=4)
        found = [(name, sorted(acl.strip("{}").split(","))) for name, acl in rows(awkward, INTO, PRIVILEGES)]
        assert found == expected


def reversed_grants(text: bytes) -> bytes:
    """ACL entries in reverse, and the grants of each too."""
    entries = [entry for entry in text.split(b"-- Name: ") if entry.strip(b"-\n")]
    turned = []
    for entry in reversed(entries):
        head, _, body = entry.partition(b"\n")
        grants, block = [], b""
        for line in body.splitlines(keepends=True):
            if line.startswith((b"SET ", b"GRANT ", b"RESET ", b"REVOKE ")):
                block += line
                if b"SET SESSION" not in block or line.startswith(b"RESET"):
                    grants.append(block)
                    block = b""
        turned.append(b"-- Name: " + head + b"\n--\n\n" + b"".join(reversed(grants)) + b"\n--\n")
    return b"".join(turned)


@one_version_tells
def test_a_grant_that_postgresql_only_warns_of_is_not_lost_silently(awkward, tmp_path):
    with roles(awkward, "link_a", "link_b"), database(awkward, "CREATE TABLE t (a int)"):
        backup = dumped(awkward, tmp_path / "backup")
        lost = (
            b"-- Name: TABLE t; Type: ACL; Schema: public; Owner: x\n--\n\nGRANT SELECT ON TABLE public.t TO link_a;\n"
            b"SET SESSION AUTHORIZATION link_a;\nGRANT SELECT ON TABLE public.t TO link_b;\nRESET SESSION AUTHORIZATION;\n\n--\n"
        )
        end = b"-- PostgreSQL database dump complete"
        backup.write_bytes(backup.read_bytes().replace(end, lost + end))
        with pytest.raises(
            RollbackError, match=r'Loading acl public\.TABLE t failed: no privileges were granted for "t"'
        ):
            load(awkward, backup)


@one_version_tells
def test_an_entry_that_leaves_the_session_as_another_user_is_not_pg_dumps(awkward, tmp_path):
    with roles(awkward, "link_a"), database(awkward, "CREATE TABLE t (a int)"):
        backup = dumped(awkward, tmp_path / "backup")
        left = b"-- Name: TABLE t; Type: ACL; Schema: public; Owner: x\n--\n\nSET SESSION AUTHORIZATION link_a;\n\n--\n"
        end = b"-- PostgreSQL database dump complete"
        backup.write_bytes(backup.read_bytes().replace(end, left + end))
        with pytest.raises(RollbackError, match=r"psql failed.*permission denied to set session authorization"):
            load(awkward, backup)


# Extensions ------------------------------------------------------------------------------------------------------

EXTENDED = """
CREATE SCHEMA tools; CREATE EXTENSION citext; CREATE EXTENSION hstore WITH SCHEMA tools VERSION '1.4';
CREATE EXTENSION cube;
COMMENT ON EXTENSION citext IS 'ours';
CREATE TABLE t (id int PRIMARY KEY, v citext, h tools.hstore); INSERT INTO t VALUES (1, 'A', 'a=>1')
"""


@with_contrib
@pytest.mark.parametrize("jobs", [1, 3])
def test_extensions_come_back_to_their_owner_schema_and_version(awkward, tmp_path, jobs):
    with database(awkward, EXTENDED):
        backup = dumped(awkward, tmp_path / "backup", "--format=custom")
        with awkward.server.connect("awkward") as connection:
            known = extensions.read(connection)
        assert known["hstore"] == extensions.Extension("hstore", OWNER, "1.4", "tools")
        load(awkward, backup, jobs, known=known)
        with awkward.server.connect(INTO) as connection:
            found = extensions.read(connection)
        assert (found, extensions.changes(known, found)) == (known, [])
        with awkward.as_superuser(INTO) as connection:
            connection.execute(f"SET ROLE {OWNER}; ALTER EXTENSION hstore UPDATE; DROP EXTENSION citext CASCADE")


@with_contrib
def test_an_extension_that_cannot_come_back_as_it_was_comes_back_as_it_can_and_is_reported(awkward, tmp_path):
    with database(awkward, "CREATE EXTENSION citext"):
        backup = dumped(awkward, tmp_path / "backup")
        with awkward.server.connect("awkward") as connection:
            now = extensions.read(connection)["citext"]
        known = {"citext": replace(now, version="0.9", owner="postgres")}
        load(awkward, backup, known=known)
        with awkward.server.connect(INTO) as connection:
            found = extensions.read(connection)
        assert extensions.changes(known, found) == [
            f"The extension citext came back in version {now.version} instead of 0.9.",
            f"The extension citext belongs to {OPERATOR} instead of postgres, who can no longer run ALTER EXTENSION citext.",
        ]


ALLOWED = "session_preload_libraries = 'pgextwlist'"


@with_contrib
@pytest.mark.extensions15
def test_an_extension_on_an_allow_list_is_tried_and_loads(awkward, tmp_path):
    needs = Requirements(extensions={"pg_stat_statements", "pageinspect"})
    with awkward.as_superuser() as connection:
        connection.execute(f"ALTER ROLE {OPERATOR} SET {ALLOWED}")
        connection.execute(f"ALTER ROLE {OPERATOR} SET extwlist.extensions = 'pg_stat_statements'")
        try:
            with database(awkward, "CREATE EXTENSION pg_stat_statements", "postgres"):
                with awkward.server.connect("awkward") as operator:
                    before = extensions.read(operator)
                    (said,) = lacking.find(operator, needs)
                    assert extensions.read(operator) == before
                assert "may not create extensions that the dump needs: pageinspect (" in said
                assert "pg_stat_statements" not in said
                with awkward.server.connect() as operator:
                    assert "pg_stat_statements" not in extensions.read(operator)
                load(awkward, dumped(awkward, tmp_path / "backup"), known=before)
                with awkward.server.connect(INTO) as operator:
                    assert "pg_stat_statements" in extensions.read(operator)
        finally:
            connection.execute(f"ALTER ROLE {OPERATOR} RESET ALL")


# What is refused before anything is touched ----------------------------------------------------------------------

NEED_A_SUPERUSER = [
    ("CREATE OPERATOR FAMILY public.f USING btree", "operator family public.f"),
    ("CREATE TYPE public.base", "base type public.base"),
    ("CREATE TEXT SEARCH TEMPLATE public.tpl (LEXIZE = dsimple_lexize)", "text search template public.tpl"),
    ("CREATE FOREIGN DATA WRAPPER far", "foreign data wrapper far"),
    ("CREATE ACCESS METHOD other TYPE INDEX HANDLER bthandler", "access method other"),
    ("CREATE TYPE public.e AS ENUM ('a'); CREATE CAST (public.e AS xml) WITH INOUT", ""),
    ("CREATE CAST (xml AS pg_lsn) WITH INOUT", "cast between built-in types xml AS pg_lsn"),
    ("CREATE PUBLICATION p FOR ALL TABLES", "publication of all tables p"),
    ("CREATE PUBLICATION p FOR TABLES IN SCHEMA public", "publication of all tables p"),
    ("CREATE TABLE x (a int); CREATE PUBLICATION p FOR TABLE x", ""),
    ("CREATE FUNCTION public.f() RETURNS int LANGUAGE sql LEAKPROOF AS 'SELECT 1'", "leakproof function public.f"),
    ("CREATE FUNCTION public.f() RETURNS int LANGUAGE sql SET log_statement TO 'none' AS 'SELECT 1'", "log_statement"),
    ("CREATE FUNCTION public.f() RETURNS int LANGUAGE sql SET work_mem TO '1MB' AS 'SELECT 1'", ""),
    ("CREATE FUNCTION public.f() RETURNS int LANGUAGE sql SET my.own TO 'x' AS 'SELECT 1'", "my.own"),
    (
        "CREATE FUNCTION public.f() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';"
        " CREATE EVENT TRIGGER guard ON sql_drop EXECUTE FUNCTION public.f()",
        "event trigger guard",
    ),
    ("CREATE SERVER far FOREIGN DATA WRAPPER given", "wrappers that the operator's role may not use: given"),
]


@one_version_tells
@pytest.mark.parametrize(
    ("statements", "named"), NEED_A_SUPERUSER, ids=[statements[:60] for statements, _ in NEED_A_SUPERUSER]
)
def test_what_is_refused_before_a_load_is_what_fails_in_it(awkward, tmp_path, statements, named):
    given = "CREATE FOREIGN DATA WRAPPER given; " if "given" in statements else ""
    with database(awkward, given + statements, "postgres"):
        backup = dumped(awkward, tmp_path / "backup", "--no-owner")
        terms = proof.Terms(judge=True, allow=["server", "statements", "event_triggers"])
        needs = proof.prove(backup, DEFAULT_VERSION_TABLE, awkward.tools, terms).needs
        with awkward.server.connect("awkward") as connection:
            said = lacking.find(connection, needs)
        if not named:
            assert said == []
            load(awkward, backup)
            return
        assert any(named in sentence for sentence in said), said
        with pytest.raises(RollbackError, match=r"permission denied|must be superuser|must be owner|only superuser"):
            load(awkward, backup)
        with awkward.as_superuser("awkward") as connection:
            assert lacking.find(connection, needs) == []


@one_version_tells
def test_labels_of_a_provider_that_is_not_loaded_are_refused_to_superusers_too(awkward):
    with database(awkward, ""), awkward.as_superuser("awkward") as connection:
        (said,) = lacking.find(connection, Requirements(label_providers={"anon"}))
        assert 'anon (security label provider "anon" is not loaded)' in said


# Event triggers --------------------------------------------------------------------------------------------------

WATCHED = """
CREATE TABLE log (tag text);
CREATE TABLE t (a int PRIMARY KEY); INSERT INTO t VALUES (1);
CREATE MATERIALIZED VIEW m AS SELECT a FROM t;
CREATE FUNCTION note() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.log VALUES (tg_tag); END $$;
CREATE FUNCTION seen() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.log VALUES ('row'); RETURN new; END $$;
CREATE TRIGGER seen AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION seen(); ALTER TABLE t ENABLE ALWAYS TRIGGER seen;
CREATE RULE doubled AS ON INSERT TO t DO ALSO INSERT INTO log VALUES ('rule');
CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION note();
CREATE EVENT TRIGGER always ON ddl_command_end EXECUTE FUNCTION note(); ALTER EVENT TRIGGER always ENABLE ALWAYS;
CREATE EVENT TRIGGER never ON ddl_command_end EXECUTE FUNCTION note(); ALTER EVENT TRIGGER never DISABLE;
COMMENT ON EVENT TRIGGER watch IS 'notes it';
CREATE TABLE last (a int);
"""
STATES = "SELECT evtname, evtenabled, obj_description(oid, 'pg_event_trigger') FROM pg_event_trigger ORDER BY 1"
LOGGED = "SELECT tag FROM log"


@each_way_to_silence
@pytest.mark.parametrize("options", [[], ["--format=custom"], ["--inserts"], ["by psql"]], ids=str)
def test_no_trigger_fires_while_a_dump_loads(awkward, tmp_path, monkeypatch, options):
    if options == ["by psql"]:
        options = []
        monkeypatch.setattr(plain_sections, "can_be_cut", lambda blocks: False)
    with database(awkward, WATCHED, "postgres"):
        expected = rows(awkward, "awkward", LOGGED)
        assert expected  # or they never fire
        load(awkward, dumped(awkward, tmp_path / "backup", *options), 2, as_postgres(awkward))
        assert rows(awkward, INTO, LOGGED) == expected
        assert rows(awkward, INTO, STATES) == rows(awkward, "awkward", STATES)


@each_way_to_silence
def test_event_triggers_are_quiet_for_as_long_as_it_is_asked_for(awkward):
    with database(awkward, WATCHED, "postgres"), as_postgres(awkward).connect("awkward") as connection:
        expected, states = rows(awkward, "awkward", LOGGED), rows(awkward, "awkward", STATES)
        with event_triggers.event_triggers_off(connection) as off:
            connection.execute(f"ALTER TABLE t OWNER TO {OWNER}")
        assert (off, rows(awkward, "awkward", LOGGED), rows(awkward, "awkward", STATES)) == (True, expected, states)
        connection.execute("ALTER TABLE t OWNER TO postgres")
        assert rows(awkward, "awkward", LOGGED) != expected
        with awkward.server.connect("awkward") as operator, event_triggers.event_triggers_off(operator) as off:
            assert off is False


@one_version_tells
def test_planner_statistics_are_collected_without_firing_at_the_login(awkward):
    login = """
    CREATE TABLE log (tag text);
    CREATE FUNCTION note() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.log VALUES (tg_event); END $$;
    CREATE EVENT TRIGGER came ON login EXECUTE FUNCTION note()"""
    with database(awkward, login, "postgres"):
        beside.analyse(as_postgres(awkward), awkward.tools, "awkward", 2)
        query = "SELECT count(*) FROM log"
        first, second = (rows(awkward, "awkward", query)[0][0] for _ in range(2))
        assert (first, second) == (1, 2)  # those of this test alone


# What an empty database has that the original had not --------------------------------------------------------------


def test_hash_partitions_of_an_enum_load_through_their_root(awkward, tmp_path):
    script = """
    CREATE TYPE tiny AS ENUM ('a', 'b', 'c');
    CREATE TABLE eh (k tiny, v int) PARTITION BY HASH (k);
    CREATE TABLE eh0 PARTITION OF eh FOR VALUES WITH (MODULUS 2, REMAINDER 0);
    CREATE TABLE eh1 PARTITION OF eh FOR VALUES WITH (MODULUS 2, REMAINDER 1);
    INSERT INTO eh SELECT (ARRAY['a', 'b', 'c'])[1 + i % 3]::tiny, i FROM generate_series(1, 300000) i;
    ALTER TABLE eh ADD PRIMARY KEY (k, v)"""
    content = "SELECT k::text, count(*), sum(v) FROM eh GROUP BY 1 ORDER BY 1"
    with database(awkward, script):
        for backup_format in ("plain", "directory"):
            load(awkward, dumped(awkward, tmp_path / backup_format, f"--format={backup_format}"), 3)
            assert rows(awkward, INTO, content) == rows(awkward, "awkward", content)


@one_version_tells
def test_a_database_without_public_comes_back_without_it(awkward, tmp_path):
    with database(awkward, "CREATE SCHEMA app; CREATE TABLE app.t (a int); DROP SCHEMA public"):
        load(awkward, dumped(awkward, tmp_path / "backup", "--format=custom"))
        with awkward.server.connect(INTO) as connection:
            assert (beside.drop_public(connection), beside.drop_public(connection)) == (True, False)
            connection.execute("CREATE SCHEMA public; CREATE TABLE public.x (a int)")
            with pytest.raises(
                RollbackError, match="cannot be dropped: cannot drop schema public because other objects"
            ):
                beside.drop_public(connection)
