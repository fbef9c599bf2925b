"""Backups that would not load are found when they are made, by name; and what PostgreSQL rewords is no difference."""

from __future__ import annotations

import json
import re

import pytest
from servers import OPERATOR, OWNER, Awkward

from ansible.module_utils.rollback.backups import create, tryout
from ansible.module_utils.rollback.backups import manifest as manifests
from ansible.module_utils.rollback.census import DEFAULT_VERSION_TABLE
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.journal import NoJournal
from ansible.module_utils.rollback.postgres import restore, round_trip

INTO = "awkward__restore_20261122T031500Z"
WAYS = {"whole": round_trip.WHOLE_BELOW, "schema and samples": 0}

# Each is what the application's owner made, and the sentence that names it.
WOULD_NOT_LOAD = {
    "a function in an index": (
        "CREATE TABLE cfg (v int); INSERT INTO cfg VALUES (1);"
        "CREATE FUNCTION scale() RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT max(v) FROM cfg';"
        "CREATE TABLE z (a int); INSERT INTO z VALUES (1); CREATE INDEX z_scaled ON z ((a + scale()))",
        'relation "cfg" does not exist.*scale',
    ),
    "a plpgsql function in a check": (
        "CREATE TABLE cfg (v int); INSERT INTO cfg VALUES (1);"
        "CREATE FUNCTION allowed(n int) RETURNS bool LANGUAGE plpgsql AS 'BEGIN RETURN EXISTS (SELECT FROM cfg WHERE v = n); END';"
        "CREATE TABLE z (a int CHECK (allowed(a))); INSERT INTO z VALUES (1)",
        r'relation "cfg" does not exist.*allowed',
    ),
    "a function in a generated column": (
        "CREATE TABLE cfg (v int); INSERT INTO cfg VALUES (1);"
        "CREATE FUNCTION scale(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN n + (SELECT max(v) FROM cfg); END';"
        "CREATE TABLE z (a int, b int GENERATED ALWAYS AS (scale(a)) STORED); INSERT INTO z VALUES (1)",
        r'relation "cfg" does not exist.*scale',
    ),
    "a function in a materialized view": (
        "CREATE TABLE cfg (v int); INSERT INTO cfg VALUES (1);"
        "CREATE FUNCTION scale() RETURNS int STABLE LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT max(v) FROM cfg); END';"
        "CREATE MATERIALIZED VIEW m AS SELECT scale() AS s",
        r'm.*relation "cfg" does not exist',
    ),
    "a check that time has made untrue": (
        "CREATE TABLE z (due timestamptz CHECK (due > now())); INSERT INTO z VALUES (now() + interval '50 ms'); SELECT pg_sleep(0.1)",
        r"z.*z_due_check|z_due_check.*z",
    ),
    "a check that reads another table": (
        "CREATE TABLE z2 (a int); INSERT INTO z2 VALUES (1);"
        "CREATE FUNCTION known(n int) RETURNS bool LANGUAGE sql AS 'SELECT EXISTS (SELECT FROM public.z2 WHERE a = n)';"
        "CREATE TABLE z1 (a int CHECK (known(a))); INSERT INTO z1 VALUES (1)",
        None,  # whether it loads depends on the order of the tables, so only a load decides
    ),
}
# Their statements have an empty search_path themselves there, and refuse.
REFUSED_SINCE_17 = ("a function in an index", "a function in a materialized view")
AS_SUPERUSER = {
    "orphans of a foreign key": (
        "CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child2 (p int REFERENCES parent);"
        "SET session_replication_role = replica; INSERT INTO child2 VALUES (7); RESET session_replication_role",
        "child2_p_fkey",
    ),
    "duplicates under a unique index": (
        "CREATE TABLE z (a int); CREATE UNIQUE INDEX z_a ON z (a); INSERT INTO z VALUES (1);"
        "UPDATE pg_index SET indisready = false, indislive = false WHERE indexrelid = 'z_a'::regclass;"
        "INSERT INTO z VALUES (1);"
        "UPDATE pg_index SET indisready = true, indislive = true WHERE indexrelid = 'z_a'::regclass",
        "z_a",
    ),
}


def back_up(awkward: Awkward, directory, **more):
    request = create.Request(directory, "awkward", "v1", "test", "1", application_role=OWNER, **more)
    return directory / create.create(awkward.server, awkward.tools, request).backup


def bring_back(awkward: Awkward, backup, **more):
    request = restore.Request(live="awkward", into=INTO, backup=backup, application_role=OWNER, **more)
    with awkward.server.connect() as connection:
        return restore.beside(awkward.server, connection, awkward.tools, request, NoJournal())


def as_owner(awkward: Awkward, statements: str) -> None:
    with awkward.as_superuser("awkward") as connection:
        connection.execute(f"SET ROLE {OWNER}; SET search_path = public")
        for statement in statements.split(";\n"):
            connection.execute(statement)


@pytest.mark.parametrize("way", WAYS)
def test_what_would_not_load_is_named_when_it_is_backed_up(awkward, tmp_path, way, monkeypatch):
    monkeypatch.setattr(round_trip, "WHOLE_BELOW", WAYS[way])
    for kind, (statements, said) in WOULD_NOT_LOAD.items():
        if kind in REFUSED_SINCE_17 and awkward.tools.version[0] >= 17:
            continue
        with awkward.database():
            as_owner(awkward, statements)
            if said:
                with pytest.raises(RollbackError, match=f"would not load: .*{said}"):
                    back_up(awkward, tmp_path)
                assert list(tmp_path.iterdir()) == [], kind
            elif way != "whole":
                assert "Could not be decided" in "".join(manifests.read(back_up(awkward, tmp_path)).notes)
        assert not [name for name in awkward.place.databases() if name.startswith("awkward")], kind


@pytest.mark.parametrize("way", WAYS)
def test_rows_that_break_a_rule_are_named_when_they_are_backed_up(awkward, tmp_path, way, monkeypatch):
    monkeypatch.setattr(round_trip, "WHOLE_BELOW", WAYS[way])
    for kind, (statements, said) in AS_SUPERUSER.items():
        with awkward.database(), awkward.as_superuser("awkward") as connection:
            connection.execute(f"SET search_path = public; {statements}")
            connection.execute(
                f"DO $$ DECLARE t text; BEGIN FOR t IN SELECT tablename FROM pg_tables WHERE tableowner = 'postgres' AND schemaname = 'public'"
                f" LOOP EXECUTE format('ALTER TABLE public.%I OWNER TO {OWNER}', t); END LOOP; END $$"
            )
            with pytest.raises(RollbackError, match=f"would not load: .*{said}"):
                back_up(awkward, tmp_path)
            assert list(tmp_path.iterdir()) == [], kind


def test_an_invalid_index_is_said_and_left_out(awkward, tmp_path):
    with awkward.database():
        with awkward.as_superuser("awkward") as connection:
            connection.execute(
                f"SET search_path = public; SET ROLE {OWNER}; CREATE TABLE inv (a int); INSERT INTO inv VALUES (1), (1)"
            )
            with pytest.raises(Exception, match="could not create unique index"):
                connection.execute("CREATE UNIQUE INDEX CONCURRENTLY inv_u ON inv (a)")
        backup = back_up(awkward, tmp_path)
        assert "index public.inv_u" in "".join(manifests.read(backup).notes)
        assert bring_back(awkward, backup).changed


def test_a_backup_without_the_right_to_create_databases_is_not_called_tried(awkward, tmp_path):
    with awkward.database(), awkward.as_superuser() as connection:
        connection.execute(f"ALTER ROLE {OPERATOR} NOCREATEDB")
        try:
            manifest = manifests.read(back_up(awkward, tmp_path))
        finally:
            connection.execute(f"ALTER ROLE {OPERATOR} CREATEDB")
        assert (manifest.made_by, manifest.definitions) == ("", {})
        assert "was not tried" in "".join(manifest.notes)


def test_a_manifest_of_other_versions_is_worded_anew(awkward, tmp_path):
    with awkward.database():
        as_owner(awkward, "CREATE TABLE t (s varchar(9) CHECK (s IN ('a', 'b'))); INSERT INTO t VALUES ('a')")
        for backup_format in ("plain", "custom", "directory"):
            directory = tmp_path / backup_format
            backup = back_up(awkward, directory, format=backup_format)
            path = manifests.path_for(backup)
            content = json.loads(path.read_text())
            content.update(made_by="", definitions={})
            content["census"]["objects"]["constraint public.t.t_s_check"] = "as the live server words it"
            path.write_text(json.dumps(content))
            assert bring_back(awkward, backup).changed


def test_the_live_owner_owns_what_a_dump_without_owners_brings(awkward, tmp_path):
    """Else everything belongs to the operator, and the application may read nothing."""
    import subprocess

    from ansible.module_utils.rollback.backups import proof
    from ansible.module_utils.rollback.backups.proof import Terms
    from ansible.module_utils.rollback.postgres import access

    with awkward.database():
        dump = tmp_path / "people.sql"
        tools, server = awkward.tools, awkward.superuser
        subprocess.run(
            [tools.path("pg_dump"), f"--dbname={server.conninfo('awkward')}", "--no-owner", f"--file={dump}"],
            env=server.environment(),
            check=True,
        )
        judged = proof.prove(dump, "public.alembic_version", tools, Terms(judge=True)).manifest
        assert bring_back(awkward, dump, manifest=judged).changed
        with awkward.as_superuser("awkward") as live, awkward.as_superuser(INTO) as restored:
            assert access.lost(access.read(live, OWNER), access.read(restored, OWNER), OWNER) == []
            query = (
                "SELECT c.oid::regclass::text, relowner::regrole::text FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
                " WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' ORDER BY 1"
            )
            assert restored.execute(query).fetchall() == live.execute(query).fetchall()


def test_privileges_that_a_dump_lacks_are_lost_access(awkward, tmp_path):
    import subprocess

    from ansible.module_utils.rollback.backups import proof
    from ansible.module_utils.rollback.backups.proof import Terms

    with awkward.database():
        dump = tmp_path / "people.sql"
        tools, server = awkward.tools, awkward.superuser
        argv = [tools.path("pg_dump"), f"--dbname={server.conninfo('awkward')}", "--no-privileges", f"--file={dump}"]
        subprocess.run(argv, env=server.environment(), check=True)
        judged = proof.prove(dump, "public.alembic_version", tools, Terms(judge=True)).manifest
        request = restore.Request("awkward", INTO, dump, application_role="hunter_readonly", manifest=judged)
        with (
            awkward.server.connect() as connection,
            pytest.raises(RollbackError, match="hunter_readonly has lost access to"),
        ):
            restore.beside(awkward.server, connection, tools, request, NoJournal())
        assert INTO not in awkward.place.databases()


# Each loads, although the schema alone with some rows cannot tell.
LOADS = {
    "a domain's check that is not validated": (
        "CREATE DOMAIN d AS int; CREATE TABLE z (a d); INSERT INTO z VALUES (-1); ALTER DOMAIN d ADD CHECK (VALUE > 0) NOT VALID"
    ),
    "a check that divides by a count": (
        "CREATE TABLE y (a int); INSERT INTO y VALUES (1);"
        "CREATE FUNCTION n() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM public.y';"
        "CREATE TABLE z (a int CHECK (a / n() > 0)); INSERT INTO z VALUES (1)"
    ),
    "keys of other types": (
        "CREATE TABLE y (a char(5) PRIMARY KEY); INSERT INTO y VALUES ('ab');"
        "CREATE TABLE z (b text REFERENCES y (a)); INSERT INTO z VALUES ('ab   ')"
    ),
    "a trigger that raises": (
        "CREATE TABLE z (a int CHECK (a > 0)); INSERT INTO z VALUES (1);"
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no''; END';"
        "CREATE TRIGGER no BEFORE INSERT ON z FOR EACH ROW EXECUTE FUNCTION no()"
    ),
}
# In these a definition would be worded differently, or not be read at all.
SETTINGS = (
    "timezone = 'Asia/Tokyo'",
    "quote_all_identifiers = on",
    "bytea_output = escape",
    "standard_conforming_strings = off",
)


@pytest.mark.parametrize("way", WAYS)
def test_what_loads_is_not_refused(awkward, tmp_path, way, monkeypatch):
    monkeypatch.setattr(round_trip, "WHOLE_BELOW", WAYS[way])
    with awkward.database():
        for number, statements in enumerate(LOADS.values()):
            with awkward.as_superuser("awkward") as connection:
                connection.execute(f"SET ROLE {OWNER}; CREATE SCHEMA s{number}; SET search_path = s{number}")
                connection.execute(statements.replace("public.", f"s{number}."))
        assert bring_back(awkward, back_up(awkward, tmp_path)).changed


def test_settings_of_the_database_change_no_words(awkward, tmp_path):
    with awkward.database():
        as_owner(
            awkward,
            "CREATE TABLE p (at timestamptz, b bytea CHECK (b <> '\\x00ff')) PARTITION BY RANGE (at);"
            "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM ('2020-01-01 00:00+00') TO ('2021-01-01 00:00+00')",
        )
        with awkward.as_superuser() as connection:
            for setting in SETTINGS:
                connection.execute(f"ALTER DATABASE awkward SET {setting}")
        assert bring_back(awkward, back_up(awkward, tmp_path)).changed


def test_only_databases_of_our_own_making_are_cleared_away(awkward, tmp_path):
    ours, theirs = "awkward__load_0123abcd", "awkward__load_test"
    with awkward.database(), awkward.as_superuser() as connection:
        for name in (ours, theirs):
            connection.execute(f"CREATE DATABASE {name} OWNER {OWNER}")
        back_up(awkward, tmp_path)
        assert theirs in awkward.place.databases()
        assert ours not in awkward.place.databases()


def test_prepare_names_what_would_stop_a_restore(awkward):
    """The same is found without a backup, and nothing is left of looking."""
    request = tryout.Request("awkward", DEFAULT_VERSION_TABLE)
    with awkward.database():
        whole = tryout.run(awkward.server, awkward.tools, request)
        assert (whole.problems, whole.notes) == ([], [])
    for kind, (statements, said) in WOULD_NOT_LOAD.items():
        if said is None or (kind in REFUSED_SINCE_17 and awkward.tools.version[0] >= 17):
            continue
        with awkward.database():
            as_owner(awkward, statements)
            (problem,) = tryout.run(awkward.server, awkward.tools, request).problems
            assert re.search(said, problem), kind
    with awkward.database(), awkward.as_superuser("awkward") as connection:
        connection.execute("ALTER TABLE child FORCE ROW LEVEL SECURITY")
        (problem,) = tryout.run(awkward.server, awkward.tools, request).problems
        assert problem.startswith("Row-level security hides rows of public.child")
    assert not [name for name in awkward.place.databases() if name.startswith("awkward")]
