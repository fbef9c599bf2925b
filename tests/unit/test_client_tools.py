import pytest

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.postgres import client_tools
from ansible.module_utils.rollback.postgres.client_tools import ClientTools


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Makes a directory of tools that say a version; only such are found."""
    known = []
    monkeypatch.setattr(client_tools, "_usual_directories", lambda: known)

    def install(name, says, tools=client_tools.TOOLS):
        directory = tmp_path / name
        directory.mkdir()
        for tool in tools:
            (directory / tool).write_text(f"#!/bin/sh\n{says}\n")
            (directory / tool).chmod(0o755)
        known.append(str(directory))
        return str(directory)

    return install


def saying(version):
    return f"echo 'pg_dump (PostgreSQL) {version}'"


@pytest.mark.parametrize(("server", "found"), [(14, "15.18"), (15, "15.18"), (16, "18.4"), (18, "18.4")])
def test_the_oldest_that_fit_the_server_are_taken(installed, server, found):
    for version in ("18.4", "13.9", "15.18 (Debian 15.18-1.pgdg120+1)"):
        installed(version.replace(" ", "_"), saying(version))
    assert str(client_tools.find(server)) == found


def test_a_named_directory_is_the_only_one(installed):
    installed("15", saying("15.1"))
    named = installed("18", saying("18.4"))
    assert client_tools.find(15, named) == ClientTools(named, (18, 4))
    assert client_tools.find(15, named).path("psql") == f"{named}/psql"
    with pytest.raises(RollbackError, match="none found"):
        client_tools.find(15, "/nowhere")


@pytest.mark.parametrize(
    ("says", "tools"),
    [("exit 1", client_tools.TOOLS), ("echo hello", client_tools.TOOLS), (saying("18.4"), ("pg_dump", "psql"))],
)
def test_half_or_broken_tools_are_none(installed, says, tools):
    installed("x", says, tools)
    with pytest.raises(
        RollbackError,
        match=r"The server is PostgreSQL 15, and no client tools .*none found.*Install postgresql-client-15",
    ):
        client_tools.find(15)


def test_tools_that_are_too_old_are_named(installed):
    directory = installed("13", saying("13.9"))
    with pytest.raises(RollbackError, match=f"13.9 in {directory}"):
        client_tools.find(15)


@pytest.mark.parametrize("version", ["18beta1", "18devel", "18rc1"])
def test_versions_before_the_first_release_count(installed, version):
    installed("18", saying(version))
    assert client_tools.find(18).version == (18,)


@pytest.mark.parametrize(
    ("stderr", "said"),
    [
        (
            b"pg_restore: connecting\npg_restore: error: could not execute query: ERROR:  no room\npg_restore: error: next\nx error\n",
            "pg_restore: error: could not execute query: ERROR:  no room pg_restore: error: next",
        ),
        (b"psql: FATAL:  sorry, too many clients\n", "psql: FATAL:  sorry, too many clients"),
        (b"something odd\n\n", "something odd"),
        (b"", "it said nothing"),
        (b"\xff error\n", "\ufffd error"),
    ],
)
def test_a_failure_is_told_by_its_first_telling_lines(stderr, said):
    assert str(client_tools.failure("/usr/bin/pg_restore", 3, stderr)) == f"pg_restore failed with exit code 3: {said}"


def test_a_tool_that_fails_says_so_in_its_own_words(installed):
    directory = installed("x", "echo 'pg_dump: error: no such role' >&2; exit 7")
    with pytest.raises(RollbackError, match="pg_dump failed with exit code 7: pg_dump: error: no such role"):
        client_tools.run([f"{directory}/pg_dump"], {})
