"""What the server lacks for a dump, its room, its identity: asked of real servers, and nothing is changed by asking."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import real_parts
from servers import OPERATOR, OWNER, Awkward

from ansible.module_utils.rollback.backups import create, proof
from ansible.module_utils.rollback.backups.requirements import Requirements
from ansible.module_utils.rollback.census import DEFAULT_VERSION_TABLE
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.journal import NoJournal
from ansible.module_utils.rollback.postgres import beside, census, client_tools, lacking, marker, restore, room, swap
from ansible.module_utils.rollback.postgres.client_tools import ClientTools
from ansible.module_utils.rollback.postgres.server import Server

pytestmark = [pytest.mark.postgres]

INTO, ASIDE = "awkward__restore_20261122T031500Z", "awkward__before_20261122T031500Z"
GIB = 2**30
STAYS = """SELECT (SELECT count(*) FROM pg_collation), (SELECT count(*) FROM pg_extension),
                  (SELECT string_agg(name || setting, ',' ORDER BY name) FROM pg_settings WHERE source IN ('database', 'session'))"""


def lacks(awkward: Awkward, needs: Requirements) -> list[str]:
    """What the operator is told, with proof that asking left nothing behind."""
    with awkward.server.connect("awkward") as connection:
        before = connection.execute(STAYS).fetchone()
        found = lacking.find(connection, needs)
        assert connection.execute(STAYS).fetchone() == before
    return found


def back_up(awkward: Awkward, directory: Path, tools: ClientTools | None = None, backup_format: str = "custom") -> Path:
    request = create.Request(directory, "awkward", "v1", "test", "1", format=backup_format)
    return directory / create.create(awkward.server, tools or awkward.tools, request).backup


def newest_tools() -> ClientTools:
    return client_tools.find(18, str(real_parts.find("postgres").place))


# What it lacks ---------------------------------------------------------------------------------------------------


def test_a_dump_of_this_database_lacks_nothing(awkward, tmp_path):
    with awkward.database():
        needs = proof.prove(back_up(awkward, tmp_path), DEFAULT_VERSION_TABLE, awkward.tools).needs
        assert (needs.owners, "hunter_readonly" in needs.roles) == ({OWNER}, True)
        assert ("client_encoding", "UTF8") in needs.settings
        assert lacks(awkward, needs) == []


LACKS = [
    (Requirements(roles={'no "such', OWNER}), 'The dump names roles that the server lacks: no "such. Create them'),
    (Requirements(owners={"gone", OWNER}), "The dump names roles that the server lacks: gone."),
    (Requirements(owners={"postgres"}), "belong to roles that the operator's role may not act as: postgres."),
    (Requirements(extensions={"no such", "plpgsql"}), "needs extensions that the server lacks: no such."),
    (Requirements(languages={"c", "sql"}), "languages that only a superuser may use: c."),
    (Requirements(owners={OWNER}, switches_user=True), "(SET SESSION AUTHORIZATION), which only a superuser may."),
    (
        Requirements(collations={"public.far": {"provider": "libc", "locale": "xx_XX.utf8"}}),
        "cannot make collations of the dump: public.far (The operating system could not find any locale data",
    ),
    (Requirements(settings={("no_such_setting", "on"), ("my.own", "x")}), "refuses: no_such_setting = on (unrecog"),
    (
        Requirements(settings={("default_table_access_method", "columnar")}),
        "default_table_access_method = columnar",
    ),
    (Requirements(settings={("default_tablespace", "Fast")}), "tablespaces that the server lacks: Fast."),
]


def test_what_the_server_lacks_is_one_sentence(awkward):
    with awkward.database():
        for needs, sentence in LACKS:
            (said,) = lacks(awkward, needs)
            assert sentence in said


def test_a_superuser_lacks_no_right(awkward):
    needs = Requirements(owners={"postgres"}, languages={"c"}, extensions={"plpgsql"}, switches_user=True)
    with awkward.database(), awkward.as_superuser("awkward") as connection:
        assert lacking.find(connection, needs) == []


def test_what_is_there_is_not_lacking(awkward):
    needs = Requirements(
        collations={"public.plain": {"provider": "libc", "locale": "C"}},
        settings={("default_tablespace", ""), ("xmloption", "content"), ("default_with_oids", "false")},
    )
    with awkward.database():
        assert lacks(awkward, needs) == []


def test_extensions_that_only_a_superuser_may_create(awkward):
    """Told by what the server itself says of each: with contrib there is one that is not trusted, and some that are."""
    with awkward.database(), awkward.as_superuser() as connection:
        there = dict(
            connection.execute(
                "SELECT name, superuser AND NOT trusted FROM pg_available_extension_versions WHERE name <> 'plpgsql'"
            ).fetchall()
        )
        found = " ".join(lacks(awkward, Requirements(extensions=set(there))))
        if any(there.values()):
            assert "may not create extensions that the dump needs" in found
        else:
            assert found == ""


def test_an_encoding_that_cannot_be_converted_is_found(awkward):
    with awkward.database():
        with awkward.as_superuser() as connection:
            connection.execute(
                f"CREATE DATABASE awkward_latin OWNER {OWNER} TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'"
                + (" LOCALE_PROVIDER libc" if connection.info.server_version >= 150000 else "")
            )
        with awkward.server.connect("awkward_latin") as connection:
            assert lacking.find(connection, Requirements(settings={("client_encoding", "UTF8")})) == []
            (said,) = lacking.find(connection, Requirements(settings={("client_encoding", "EUC_JP")}))
    assert "(Conversion between EUC_JP and LATIN1 is not supported)" in said


@pytest.mark.parametrize("backup_format", ["plain", "custom"])
def test_a_dump_of_newer_tools_than_the_server_loads_without_the_timeouts_that_the_server_lacks(
    awkward, tmp_path, backup_format
):
    tools = newest_tools()
    with awkward.database():
        backup = back_up(awkward, tmp_path, tools, backup_format)
        manifest = proof.prove(backup, DEFAULT_VERSION_TABLE, tools)
        assert lacks(awkward, manifest.needs) == []
        with awkward.server.connect() as connection:
            request = restore.Request(live="awkward", into=INTO, backup=backup, manifest=manifest.manifest)
            restore.beside(awkward.server, connection, tools, request, NoJournal())


def test_an_archive_that_is_too_new_for_the_tools_is_told_from_a_damaged_one(awkward, tmp_path):
    with awkward.database():
        backup = back_up(awkward, tmp_path, newest_tools())
        if awkward.tools.version[0] >= 17:
            assert proof.prove(backup, DEFAULT_VERSION_TABLE, awkward.tools).manifest.backup == backup.name
            return
        with pytest.raises(RollbackError, match=r"unsupported version .* in file header.*set rollback_client_bin_dir"):
            proof.prove(backup, DEFAULT_VERSION_TABLE, awkward.tools)


# Room ------------------------------------------------------------------------------------------------------------


def test_room_that_cannot_be_seen_is_a_warning_with_what_is_needed(awkward):
    """The operator may not see where the data is, and PostgreSQL has no function for free space."""
    with awkward.database(), awkward.server.connect("awkward") as connection:
        refusals, (warning,) = room.for_second_database(connection, 2 * GIB)
        _, (lost,) = room.for_second_database(connection, 2 * GIB, "/no such directory")
    assert refusals == []
    assert "Room on the server cannot be seen from here: 2.4 GiB are needed. Set rollback_data_dir" in warning
    assert "/no such directory: No such file or directory" in lost


def test_room_is_seen_where_the_directory_is_named_or_shown(awkward, tmp_path):
    with awkward.database():
        for server, data_dir in ((awkward.server.connect, str(tmp_path)), (awkward.as_superuser, "")):
            with server("awkward") as connection:
                assert room.for_second_database(connection, 1, data_dir) == ([], [])
                (refusal,), warnings = room.for_second_database(connection, 10**13, data_dir)
                assert (
                    "and a second database needs 10.5 TiB. Make room, or add -e rollback_restore_strategy=in_place."
                    in refusal
                )
                assert warnings == []


@contextmanager
def small_disk(directory: Path) -> Iterator[Path]:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m,mode=0777", "tmpfs", directory], check=True)
    try:
        yield directory
    finally:
        subprocess.run(["umount", directory], check=True)


@pytest.mark.tmpfs
def test_the_disk_of_the_databases_own_tablespace_is_asked(awkward):
    """Its place is no secret of PostgreSQL's, so the operator needs no further right."""
    home = awkward.place.home / "small"
    home.mkdir()
    with small_disk(home):
        try:
            space = home / "space"
            space.mkdir(mode=0o700)
            with awkward.as_superuser() as connection:
                data = Path(connection.execute("SHOW data_directory").fetchone()[0]).stat()
                os.chown(space, data.st_uid, data.st_gid)
                connection.execute(f"CREATE TABLESPACE small LOCATION '{space}'")
            with awkward.database():
                with awkward.as_superuser() as connection:
                    connection.execute("ALTER DATABASE awkward SET TABLESPACE small")
                with awkward.server.connect("awkward") as connection:
                    (refusal,), _ = room.for_second_database(connection, GIB)
                    (forbidden,) = lacking.find(
                        connection, Requirements(settings={("default_tablespace", "pg_global")})
                    )
            assert f"MiB free in {space}, and a second database needs 1.2 GiB. Make room" in refusal
            assert "may create nothing in tablespaces that the dump names: pg_global." in forbidden
        finally:
            with awkward.as_superuser() as connection:
                connection.execute("DROP TABLESPACE IF EXISTS small")


# Identity --------------------------------------------------------------------------------------------------------


def test_the_marker_is_left_once_behind_the_comment_that_is_there(awkward):
    with awkward.database(), awkward.server.connect() as connection:
        assert marker.read(connection, "awkward") == ""
        assert marker.write(connection, "awkward", "production", check=True) is True
        assert awkward.settings("awkward")["comment"] == "it's the awkward one"
        assert marker.write(connection, "awkward", "production") is True
        assert marker.write(connection, "awkward", "production") is False
        assert marker.read(connection, "awkward") == "production"
        assert awkward.settings("awkward")["comment"] == "it's the awkward one [rollback environment: production]"
        with pytest.raises(
            RollbackError, match=r"carries the marker of environment production, and this run is for staging\. Check"
        ):
            marker.write(connection, "awkward", "staging")
        assert marker.read(connection, "awkward") == "production"


def test_a_marker_needs_the_owners_right(awkward):
    with awkward.database():
        with awkward.as_superuser() as connection:
            connection.execute("ALTER DATABASE awkward OWNER TO postgres")
        with awkward.server.connect() as connection, pytest.raises(RollbackError, match=r"must be owner of database"):
            marker.write(connection, "awkward", "production")
        assert awkward.settings("awkward")["comment"] == "it's the awkward one"


def test_by_a_socket_all_goes_as_over_tcp_and_what_is_restored_carries_the_marker(awkward, tmp_path):
    facts = awkward.place.facts
    by_socket = Server.of(
        f"host={facts['socket_dir']} port={facts['port']} user={OPERATOR}", facts["operator_password"]
    )
    assert by_socket.where() == f"{facts['socket_dir']}:{facts['port']}"
    all_goes(awkward, by_socket, tmp_path)


def test_through_a_command_all_goes_as_over_tcp(awkward, tmp_path):
    """The command runs what it is given on this machine; tests/engine has the same with a container that no address leads to."""
    facts = awkward.place.facts
    dsn = f"host={facts['host']} port={facts['port']} user={OPERATOR}"
    through = Server.of(f"{dsn} through='env BY=command'", facts["operator_password"])
    assert through.where() == f"{facts['host']}:{facts['port']} through env BY=command"
    all_goes(awkward, through, tmp_path)


def all_goes(awkward, server: Server, directory: Path) -> None:
    """Marker, backup, restore and swap."""
    with awkward.database():
        with server.connect() as connection:
            marker.write(connection, "awkward", "production")
            live = beside.oid_of(connection, "awkward")
        before = awkward.content("awkward")
        request = create.Request(directory, "awkward", "v1", "production", "1")
        backup = directory / create.create(server, awkward.tools, request).backup
        with server.connect("awkward") as connection, census.snapshot(connection):
            assert census.take(connection).database == "awkward"
        with server.connect() as connection:
            restored = restore.beside(
                server, connection, awkward.tools, restore.Request("awkward", INTO, backup), NoJournal()
            )
            swap.perform(connection, swap.Swap("awkward", INTO, ASIDE, live, restored.oid))
            assert [marker.read(connection, name) for name in ("awkward", ASIDE)] == ["production", "production"]
        assert awkward.content("awkward") == before
