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
CREATE TABLE own_off WITH (autovacuum_enabled = off) AS {LARGE};
CREATE TABLE own_on WITH (autovacuum_enabled = on, fillfactor = 70) AS {LARGE};
CREATE TABLE parted (n int, x text) PARTITION BY HASH (n);
CREATE TABLE part_0 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE part_1 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 1) WITH (fillfactor = 70);
INSERT INTO parted {LARGE};
CREATE TABLE small AS SELECT 1 AS n;
"""
OPTIONS = "SELECT relname, reloptions FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') ORDER BY 1"
QUIET = {"plain", 'It\'s $1 and "more" (ş'}


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
