"""Plain dumps over several connections: the same database as psql makes of them, on every server that is there."""

from __future__ import annotations

import gzip
import re
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import real_parts
import zstandard
from place import Place
from servers import OWNER, Awkward

from ansible.module_utils.rollback.backups import plain_sections, proof
from ansible.module_utils.rollback.backups.dump_text import Text
from ansible.module_utils.rollback.census import DEFAULT_VERSION_TABLE
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.postgres import beside, parallel_load
from ansible.module_utils.rollback.postgres.client_tools import ClientTools

INTO, BY_PSQL = "awkward__restore_parallel", "awkward__restore_psql"

LINKED = Path(__file__).with_name("linked.sql").read_text()


@dataclass(frozen=True)
class Source:
    """A server with a database that is hard to load in parallel, and a plain dump of it."""

    awkward: Awkward
    dump: bytes


@pytest.fixture(scope="module")
def source(awkward) -> Iterator[Source]:
    with awkward.database(), tempfile.TemporaryDirectory() as directory:
        with awkward.as_superuser("awkward") as connection:
            connection.execute(f"SET search_path = public; SET ROLE {OWNER}")
            connection.execute(LINKED)
        yield Source(awkward, dump(awkward, Path(directory)).read_bytes())


@pytest.fixture
def awkward_dump(source, tmp_path) -> Path:
    """A copy of the dump, to be awkward_dump."""
    path = tmp_path / "awkward.sql"
    path.write_bytes(source.dump)
    return path


def header(name: str, kind: str) -> bytes:
    return f"\n--\n-- Name: {name}; Type: {kind}; Schema: public; Owner: {OWNER}\n--\n\n".encode()


def dump(
    awkward: Awkward, directory: Path, *options: str, database: str = "awkward", tools: ClientTools | None = None
) -> Path:
    path = directory / f"{database}.sql"
    where = awkward.place.facts
    argv = [
        (tools or awkward.tools).path("pg_dump"),
        f"--host={where['socket_dir']}",
        f"--port={where['port']}",
        "--username=postgres",
    ]
    subprocess.run([*argv, f"--file={path}", *options, database], check=True)
    return path


def load(awkward: Awkward, path: Path, into: str = INTO, jobs: int = 3) -> None:
    with awkward.server.connect() as connection:
        beside.create(connection, "awkward", into)
    beside.load(awkward.server, awkward.tools, path, into, jobs)


def load_by_psql(awkward: Awkward, path: Path) -> None:
    """As it loads what is not pg_dump's own output."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plain_sections, "can_be_cut", lambda blocks: False)
        load(awkward, path, BY_PSQL)


def text(awkward: Awkward, directory: Path, database: str) -> list[str]:
    """The lines of a dump of `database`; rows sorted, since several connections write them in any order."""
    said = dump(awkward, directory, database=database).read_text()
    return sorted(line for line in said.splitlines() if not re.match(r"\\(un)?restrict ", line)) + re.findall(
        r"^-- Name: .*", said, re.M
    )


def sessions_of(awkward: Awkward, database: str) -> int:
    """Clients that are still there after a moment: PostgreSQL sees a little later that one has gone."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND backend_type = 'client backend'"
    with awkward.as_superuser() as connection:
        for _ in range(50):
            (found,) = connection.execute(query, [database]).fetchone()
            if not found:
                break
            time.sleep(0.1)
        return found


def pack(path: Path, compression: str) -> Path:
    if compression == "none":
        return path
    packed = path.with_name(f"{path.name}.{compression}")
    content = path.read_bytes()
    packed.write_bytes(gzip.compress(content, 1) if compression == "gzip" else zstandard.compress(content))
    return packed


@pytest.fixture
def loaded_in_parallel(monkeypatch) -> list[str]:
    """The databases that were loaded over several connections."""
    loaded: list[str] = []
    real = parallel_load.load

    def load(server, database, *how):
        loaded.append(database)
        return real(server, database, *how)

    monkeypatch.setattr(parallel_load, "load", load)
    return loaded


def test_it_is_the_database_that_psql_makes(awkward, awkward_dump, tmp_path, loaded_in_parallel):
    load_by_psql(awkward, awkward_dump)
    assert loaded_in_parallel == []
    expected, content = text(awkward, tmp_path, BY_PSQL), awkward.content(BY_PSQL)
    for compression in ("none", "gzip", "zstd"):
        load(awkward, pack(awkward_dump, compression))
        assert loaded_in_parallel.pop() == INTO
        assert text(awkward, tmp_path, INTO) == expected, compression
        assert sessions_of(awkward, INTO) == 0
    assert awkward.content(INTO) == content
    with awkward.as_superuser(INTO) as connection:
        assert connection.execute("SELECT count(*) FROM pg_constraint WHERE NOT convalidated").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM pg_index WHERE NOT indisvalid").fetchone() == (0,)
        found = connection.execute("SELECT length(lo_get(4243)), (SELECT count(*) FROM keyed)").fetchone()
        assert found == (1_200_000, 50_000)


@pytest.mark.parametrize("options", [["--rows-per-insert=1000"], ["--inserts", "--format=custom"]], ids=" ".join)
def test_rows_as_insert_statements_are_loaded_as_they_come(awkward, source, tmp_path, loaded_in_parallel, options):
    path = dump(awkward, tmp_path, *options)
    load(awkward, path)
    assert loaded_in_parallel == [INTO]
    assert awkward.content(INTO)["tables"] == awkward.content("awkward")["tables"]


@pytest.mark.parametrize(
    "options",
    [
        ["--clean", "--if-exists"],
        ["--no-owner", "--no-privileges"],
        ["--quote-all-identifiers"],
        ["--load-via-partition-root"],
        ["--disable-triggers", "--no-comments", "--no-tablespaces", "--no-security-labels"],
        ["--no-toast-compression", "--no-publications", "--no-subscriptions"],
        ["--exclude-table-data=*"],
    ],
    ids=" ".join,
)
def test_dumps_as_people_make_them(awkward, source, tmp_path, options):
    path = dump(awkward, tmp_path, *options)
    proof.prove(path, DEFAULT_VERSION_TABLE, awkward.tools, proof.Terms(judge=True))
    load_by_psql(awkward, path)
    load(awkward, path)
    assert text(awkward, tmp_path, INTO) == text(awkward, tmp_path, BY_PSQL)


@pytest.mark.parametrize("awkward", ["postgres"], indirect=True)  # the first that dumps them
@pytest.mark.parametrize("options", [[], ["--format=custom"]], ids=["plain", "custom"])
def test_statistics_are_loaded_with_the_rest(awkward, source, tmp_path, loaded_in_parallel, monkeypatch, options):
    built = []
    real = parallel_load.builds.in_order

    def in_order(*given):
        found = real(*given)
        built.append(len(found))
        return found

    monkeypatch.setattr(parallel_load.builds, "in_order", in_order)
    by_psql = []
    monkeypatch.setattr(beside, "_feed", lambda *given: by_psql.append(given))
    other = "awkward_statistics"
    with awkward.as_superuser() as connection:
        connection.execute(f"CREATE DATABASE {other} OWNER {OWNER} TEMPLATE template0")
        try:
            with awkward.as_superuser(other) as inside:
                inside.execute(
                    f"SET ROLE {OWNER}; CREATE TABLE t (a int PRIMARY KEY, b int UNIQUE); CREATE INDEX ON t ((a + b))"
                )
                inside.execute(
                    "INSERT INTO t SELECT i, i FROM generate_series(1, 999) i; GRANT SELECT ON t TO rollback; ANALYZE"
                )
            expected = text(awkward, tmp_path, other)
            load(awkward, dump(awkward, tmp_path, "--statistics", *options, database=other))
        finally:
            connection.execute(f"DROP DATABASE {other}")
    assert (loaded_in_parallel, by_psql) == ([INTO], [])
    assert built == [5]  # two keys, of two steps each, and an index
    assert text(awkward, tmp_path, INTO) == expected


@pytest.mark.parametrize(
    "options",
    [["--schema=public"], ["--schema=public", "--inserts"], ["--schema=public", "--format=custom"]],
    ids=" ".join,
)  # fmt: skip
def test_a_dump_of_the_schema_public_alone_may_create_it(awkward, source, tmp_path, options):
    """A new database has that schema already."""
    alone = "awkward_public"
    with awkward.as_superuser() as connection:
        connection.execute(f"CREATE DATABASE {alone} OWNER {OWNER} TEMPLATE template0")
        try:
            with awkward.as_superuser(alone) as inside:
                inside.execute(f"SET ROLE {OWNER}")
                inside.execute("CREATE TABLE t (a int PRIMARY KEY, b text)")
                inside.execute("INSERT INTO t SELECT i, i FROM generate_series(1, 99) i")
            expected = text(awkward, tmp_path, alone)
            path = dump(awkward, tmp_path, *options, database=alone)
        finally:
            connection.execute(f"DROP DATABASE {alone}")
    for jobs in (1, 3):
        load(awkward, path, INTO, jobs)
        assert text(awkward, tmp_path, INTO) == expected


@pytest.mark.parametrize("option", ["--use-set-session-authorization", "--create"])
def test_what_reaches_beyond_one_session_goes_to_psql(awkward, source, tmp_path, loaded_in_parallel, option):
    """Which refuses both here: one becomes another user, the other creates the live database."""
    with pytest.raises(RollbackError, match="psql failed"):
        load(awkward, dump(awkward, tmp_path, option))
    assert loaded_in_parallel == []


def test_what_shows_only_behind_the_first_rows_goes_to_psql_too(awkward, awkward_dump, tmp_path, loaded_in_parallel):
    """A dump that somebody has edited: from there on psql would be in another schema, and so would one connection of several."""
    content = awkward_dump.read_bytes()
    where = content.rindex(b"\n--\n-- Name: everything;")
    more = (
        header("more", "TABLE")
        + b"SET search_path = public;\nCREATE TABLE more (a int);\nINSERT INTO more VALUES (1);\n\n"
    )
    awkward_dump.write_bytes(content[:where] + more + content[where:])
    load_by_psql(awkward, awkward_dump)
    load(awkward, awkward_dump)
    assert loaded_in_parallel == [INTO]  # begun, and left to psql
    assert text(awkward, tmp_path, INTO) == text(awkward, tmp_path, BY_PSQL)
    assert awkward.content(INTO)["tables"]["public.more"][0] == 1


@pytest.mark.parametrize("awkward", ["postgres"], indirect=True)
@pytest.mark.parametrize("cause", [psycopg.errors.DeadlockDetected, psycopg.errors.UndefinedTable])
def test_what_may_be_of_several_connections_is_loaded_again_over_one(awkward, awkward_dump, monkeypatch, cause):
    real, asked = parallel_load.load, []

    def load_once(server, database, blocks, jobs, known):
        asked.append(jobs)
        real(server, database, blocks, jobs, known)
        if jobs > 1:
            raise RollbackError("Loading failed") from cause("they met")

    monkeypatch.setattr(parallel_load, "load", load_once)
    if cause is psycopg.errors.UndefinedTable:
        with pytest.raises(RollbackError, match="Loading failed"):
            load(awkward, awkward_dump)
        assert asked == [3]
        return
    load(awkward, awkward_dump)
    assert asked == [3, 1]
    assert awkward.content(INTO)["tables"] == awkward.content("awkward")["tables"]


@pytest.fixture(scope="module")
def newest() -> Iterator[Awkward]:
    """A server of the newest version that is there, to which the others' dumps go."""
    place = Place(Path(tempfile.mkdtemp(prefix="rollback-place-")), real_parts.find("postgres").place)
    try:
        place.lab.up()
        yield Awkward(place)
    finally:
        place.lab.destroy()


@pytest.mark.postgres
def test_dumps_of_other_servers_and_by_newer_pg_dump_load_as_psql_loads_them(
    awkward, source, newest, tmp_path, loaded_in_parallel
):
    with newest.as_superuser() as connection:
        connection.execute(f"CREATE DATABASE awkward OWNER {OWNER} TEMPLATE template0")
    try:
        for tools in (awkward.tools, newest.tools):
            path = dump(awkward, tmp_path, tools=tools)
            load(newest, path)
            # What a server from 15.20 on says of each column stops every other one's psql.
            path.write_bytes(re.sub(rb"(?m)^ALTER TABLE .* SET \(pg_attver=\d+\);\n", b"", path.read_bytes()))
            load_by_psql(newest, path)
            assert loaded_in_parallel.pop() == INTO
            assert text(newest, tmp_path, INTO) == text(newest, tmp_path, BY_PSQL)
            assert newest.content(INTO) == newest.content(BY_PSQL)
    finally:
        with newest.as_superuser() as connection:
            for name in ("awkward", INTO, BY_PSQL):
                connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


# What is changed in the dump, and what is said of it.
DAMAGE = {
    "a row": (
        rb"\n(40001)\t",
        rb"\nforty\t",
        'Loading table data public.big failed: invalid input syntax for type bigint: "forty"',
    ),
    "the first row": (
        rb"\n1\t(?=\\\\\.)",
        rb"\none\t",
        'Loading table data public.big failed: invalid input syntax for type bigint: "one"',
    ),
    "a key": (
        rb"\n40001\t",
        rb"\n40000\t",
        'Loading constraint public.big big_pkey failed: could not create unique index "big_pkey"',
    ),
    "a reference": (
        rb"(?m)^(\d+)\t(\d+)\t(\d+)\t\[5,6\)$",
        rb"\1\t999999\t\3\t[5,6)",
        'Loading fk constraint public.busy busy_big_id_fkey failed: insert or update on table "busy" violates foreign key constraint',
    ),
    "an index": (
        rb"USING btree \(n\);",
        rb"USING btree (m);",
        'Loading index public.big_n failed: column "m" does not exist',
    ),
    "a view": (
        rb"count\(\*\) AS count\n +FROM public.big b",
        rb"1/0 AS count FROM public.missing b",
        'Loading rule public.by_key _RETURN failed: relation "public.missing" does not exist',
    ),
    "a function": (
        rb"LANGUAGE sql",
        rb"LANGUAGE nothing",
        'Loading function public.known(text) failed: language "nothing" does not exist',
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_the_first_error_stops_everything(awkward, awkward_dump, damage):
    pattern, instead, said = DAMAGE[damage]
    changed, count = re.subn(pattern, instead, awkward_dump.read_bytes(), count=1)
    assert count == 1
    awkward_dump.write_bytes(changed)
    threads = threading.active_count()
    with pytest.raises(RollbackError, match=re.escape(said)):
        load(awkward, awkward_dump)
    assert sessions_of(awkward, INTO) == 0
    assert threading.active_count() == threads


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_a_dump_that_breaks_off_is_never_loaded_as_if_whole(awkward, awkward_dump, compression):
    content = awkward_dump.read_bytes()
    packed = awkward_dump.with_name("cut")
    for end in (content.index(b"\n40001\t") + 1, content.index(b"-- Name: big big_pkey")):
        awkward_dump.write_bytes(content[:end])
        packed = pack(awkward_dump, compression)
        with pytest.raises(RollbackError, match=r"cannot be read to its end.*truncated or damaged"):
            load(awkward, packed)
        assert sessions_of(awkward, INTO) == 0


def test_a_session_that_is_ended_from_outside_is_an_error(awkward, awkward_dump, monkeypatch):
    """As an administrator, or a server that shuts down, would do it in the middle of the rows."""
    real, ended = Text.rows, []
    query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND query ~ '^COPY public.big'"

    def rows(text):
        for block in real(text):
            yield block
            if not ended:
                with awkward.as_superuser() as connection:
                    ended.extend(connection.execute(query, [INTO]).fetchall())

    monkeypatch.setattr(Text, "rows", rows)
    with pytest.raises(RollbackError, match=r"Loading table data public.big failed"):
        load(awkward, awkward_dump)
    assert ended
    assert sessions_of(awkward, INTO) == 0


def test_timeouts_of_the_server_do_not_end_sessions_that_wait(awkward, awkward_dump):
    with awkward.as_superuser() as connection:
        connection.execute(
            "ALTER ROLE rollback SET idle_session_timeout = '3s'; ALTER ROLE rollback SET statement_timeout = '3s'"
        )
        try:
            content = awkward_dump.read_bytes()
            awkward_dump.write_bytes(
                content.replace(
                    b"\n--\n-- Name: everything;",
                    b"\n--\n-- Name: wait; Type: X; Schema: -; Owner: -\n--\n\nDO $$ BEGIN PERFORM pg_sleep(4); END $$;\n\n--\n-- Name: everything;",
                    1,
                )
            )
            load(awkward, awkward_dump)
            assert len(awkward.census(INTO).tables) == len(awkward.census("awkward").tables)
        finally:
            connection.execute("ALTER ROLE rollback RESET ALL")


# Two constraints that psql builds one after the other. Side by side, each has its table locked and asks for the other's.
CROSSED = """
CREATE TABLE a (r int4range); INSERT INTO a VALUES ('[1,2)');
CREATE TABLE b (r int4range); INSERT INTO b VALUES ('[1,2)');
CREATE FUNCTION ask_a(r int4range) RETURNS int4range IMMUTABLE LANGUAGE plpgsql AS
  $$ BEGIN PERFORM pg_sleep(0.3); PERFORM FROM public.a; RETURN r; END $$;
CREATE FUNCTION ask_b(r int4range) RETURNS int4range IMMUTABLE LANGUAGE plpgsql AS
  $$ BEGIN PERFORM pg_sleep(0.3); PERFORM FROM public.b; RETURN r; END $$;
ALTER TABLE a ADD EXCLUDE USING gist (ask_b(r) WITH &&);
ALTER TABLE b ADD EXCLUDE USING gist (ask_a(r) WITH &&);
"""


def test_builds_that_meet_in_a_deadlock_are_begun_again(awkward, source, tmp_path):
    with awkward.as_superuser() as connection:
        connection.execute(f"CREATE DATABASE awkward_crossed OWNER {OWNER} TEMPLATE template0")
    with awkward.as_superuser("awkward_crossed") as connection:
        connection.execute(f"SET search_path = public; SET ROLE {OWNER}")
        connection.execute(CROSSED)
    load(awkward, dump(awkward, tmp_path, database="awkward_crossed"))
    assert awkward.census(INTO).objects == awkward.census("awkward_crossed").objects
    assert sessions_of(awkward, INTO) == 0
    with awkward.as_superuser() as connection:
        query = "SELECT deadlocks FROM pg_stat_database WHERE datname = %s"
        assert connection.execute(query, [INTO]).fetchone() == (1,)
