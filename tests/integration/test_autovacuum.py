"""While large tables are loaded, autovacuum leaves them alone; afterwards each has the settings that it had."""

import subprocess

import pytest
from servers import OWNER

from ansible.module_utils.rollback.postgres import autovacuum, beside

INTO = "awkward__restore_quiet"
LARGE = "SELECT n, repeat('x', 600) AS x FROM generate_series(1, 4000) n"
TABLES = f"""
CREATE TABLE plain AS {LARGE};
CREATE TABLE "It's $1 and ""more"" (ş" WITH (fillfactor = 70, toast.autovacuum_enabled = off, autovacuum_vacuum_threshold = 9) AS {LARGE};
CREATE TABLE "a$t$b$t" AS {LARGE};
CREATE TABLE "$tt" AS {LARGE};
CREATE TABLE own_off WITH (autovacuum_enabled = off) AS {LARGE};
CREATE TABLE own_on WITH (autovacuum_enabled = on, fillfactor = 70) AS {LARGE};
CREATE TABLE parted (n int, x text) PARTITION BY HASH (n);
CREATE TABLE part_0 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE part_1 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 1) WITH (fillfactor = 70);
INSERT INTO parted {LARGE};
CREATE TABLE small AS SELECT 1 AS n;
"""
OPTIONS = "SELECT relname, reloptions FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') ORDER BY 1"
QUIET = {"plain", 'It\'s $1 and "more" (ş', "a$t$b$t", "$tt"}


@pytest.mark.parametrize(
    ("options", "quiet"),
    [
        ((), QUIET | {"part_0", "part_1"}),
        (("--format=custom",), QUIET | {"part_0", "part_1"}),
        (("--load-via-partition-root",), QUIET),
    ],
    ids=["plain", "custom", "through the root"],
)
def test_it_is_kept_away_and_let_back(awkward, tmp_path, monkeypatch, options, quiet):
    found = {}

    def let_back(connection, table):
        found.update(dict(connection.execute(OPTIONS).fetchall()) if not found else {})
        real(connection, table)

    real = autovacuum.let_back
    monkeypatch.setattr(autovacuum, "let_back", let_back)
    path = tmp_path / "backup"
    with awkward.database(), awkward.server.connect() as server:
        with awkward.as_superuser("awkward") as connection:
            connection.execute(f"SET ROLE {OWNER}; DROP SCHEMA public CASCADE; CREATE SCHEMA public; {TABLES}")
            expected = dict(connection.execute(OPTIONS).fetchall())
        argv = [awkward.tools.path("pg_dump"), f"--dbname={awkward.server.conninfo('awkward')}", f"--file={path}"]
        subprocess.run([*argv, *options], env=awkward.server.environment(), check=True)
        beside.create(server, "awkward", INTO)
        beside.load(awkward.server, awkward.tools, path, INTO, 2)
        with awkward.as_superuser(INTO) as connection:
            assert dict(connection.execute(OPTIONS).fetchall()) == expected
        beside.drop(server, INTO)
    for table, settings in expected.items():
        assert found[table] == ([*(settings or []), "autovacuum_enabled=off"] if table in quiet else settings), table


def test_a_table_of_somebody_else_stays_as_it_is(awkward):
    with awkward.database(), awkward.as_superuser("awkward") as connection:
        connection.execute("CREATE TABLE public.theirs (a int); GRANT USAGE ON SCHEMA public TO rollback")
        with awkward.server.connect("awkward") as operator:
            assert autovacuum.keep_away(operator, b"public.theirs") is False
        assert autovacuum.keep_away(connection, b"public.theirs") is True
        assert autovacuum.keep_away(connection, b"public.theirs") is False


@pytest.mark.parametrize("awkward", ["postgres", "postgres16"], indirect=True)
def test_it_is_let_back_before_a_table_goes_to_a_role_whose_rights_the_operator_does_not_inherit(awkward, tmp_path):
    path = tmp_path / "backup"
    with awkward.database(), awkward.as_superuser() as connection:
        connection.execute("CREATE ROLE distant; GRANT distant TO rollback WITH INHERIT FALSE, SET TRUE")
        try:
            with awkward.as_superuser("awkward") as inside:
                inside.execute(f"DROP SCHEMA public CASCADE; CREATE SCHEMA public AUTHORIZATION {OWNER}")
                inside.execute("SET search_path = public")
                inside.execute("GRANT CREATE, USAGE ON SCHEMA public TO distant")
                inside.execute(f"CREATE TABLE t AS {LARGE}; CREATE INDEX ON t (n); ALTER TABLE t OWNER TO distant")
                expected = inside.execute(OPTIONS).fetchall()
            where = f"host={awkward.place.facts['socket_dir']} port={awkward.place.facts['port']} user=postgres dbname=awkward"
            subprocess.run([awkward.tools.path("pg_dump"), f"--dbname={where}", f"--file={path}"], check=True)
            with awkward.server.connect() as server:
                beside.create(server, "awkward", INTO)
                beside.load(awkward.server, awkward.tools, path, INTO, 2)
                with awkward.as_superuser(INTO) as inside:
                    assert inside.execute(OPTIONS).fetchall() == expected
                    owner = inside.execute(
                        "SELECT relowner::regrole::text FROM pg_class WHERE relname = 't'"
                    ).fetchone()
                    assert owner == ("distant",)
                beside.drop(server, INTO)
        finally:
            with awkward.as_superuser("awkward") as inside:
                inside.execute("DROP OWNED BY distant")
            connection.execute("DROP ROLE distant")
