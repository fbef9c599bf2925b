"""Dumps as people make them, by each version of pg_dump, with options of any kind: they load, and hold what psql would load."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import real_parts
from servers import OWNER, Awkward

from ansible.module_utils.rollback.backups import create, proof
from ansible.module_utils.rollback.backups.proof import Terms
from ansible.module_utils.rollback.census import DEFAULT_VERSION_TABLE
from ansible.module_utils.rollback.journal import NoJournal
from ansible.module_utils.rollback.postgres import beside, client_tools, lacking, restore
from ansible.module_utils.rollback.postgres.client_tools import ClientTools

pytestmark = [
    pytest.mark.postgres15,
    pytest.mark.parametrize("awkward", ["postgres15"], indirect=True),
]

INTO = "awkward__restore_odd"
ODD = Path(__file__).with_name("odd_rows.sql").read_text()
# Which client writes it, how many connections load it, and the options.
CASES = [
    ("postgres15", 2, ["--load-via-partition-root"]),
    ("postgres16", 1, ["--quote-all-identifiers"]),
    ("postgres", 2, ["--quote-all-identifiers", "--load-via-partition-root"]),
    ("postgres15", 1, ["--inserts"]),
    ("postgres", 2, ["--column-inserts", "--rows-per-insert=3", "--on-conflict-do-nothing"]),
    ("postgres16", 1, ["--inserts", "--load-via-partition-root", "--quote-all-identifiers"]),
    ("postgres", 1, ["--clean"]),
    ("postgres16", 2, ["--clean", "--if-exists", "--quote-all-identifiers"]),
    ("postgres15", 2, ["--disable-dollar-quoting", "--no-comments", "--no-owner", "--no-privileges"]),
    ("postgres", 2, ["--format=custom", "--load-via-partition-root"]),
    ("postgres", 1, ["--format=tar", "--quote-all-identifiers"]),
]


@pytest.fixture(scope="module")
def source(awkward) -> Iterator[dict[str, Any]]:
    """The content of the database that is dumped."""
    with awkward.database():
        with awkward.as_superuser("awkward") as connection:
            connection.execute(f"SET search_path = public; SET ROLE {OWNER}")
            connection.execute(ODD)
        yield content(awkward, "awkward")


def content(awkward: Awkward, database: str) -> dict[str, Any]:
    """Rows and definitions; partitions by hash of an enum, which rows may change, as a whole."""
    found = awkward.content(database)
    tables = found["tables"]
    whole = sum(tables.pop(f"public.eh{number}")[0] for number in (0, 1))
    return {"tables": {**tables, "public.eh": whole}, "heads": found["heads"], "sequences": found["sequences"]}


def client(marker: str) -> ClientTools:
    return client_tools.find(15, str(real_parts.find(marker).place))


def dump(awkward: Awkward, tools: ClientTools, to: Path, *options: str) -> Path:
    argv = [tools.path("pg_dump"), f"--dbname={awkward.server.conninfo('awkward')}", f"--file={to}", *options]
    subprocess.run(argv, env=awkward.server.environment(), check=True)
    return to


def loaded(awkward: Awkward, tools: ClientTools, backup: Path, terms: Terms, jobs: int) -> dict[str, Any]:
    shown = proof.prove(backup, DEFAULT_VERSION_TABLE, tools, terms)
    request = restore.Request("awkward", INTO, backup, jobs=jobs, manifest=shown.manifest)
    with awkward.server.connect() as connection:
        assert lacking.find(connection, shown.needs) == []
        try:
            restore.beside(awkward.server, connection, tools, request, NoJournal())
            return content(awkward, INTO)
        finally:
            beside.drop(connection, INTO)


@pytest.mark.parametrize(
    ("marker", "jobs", "options"),
    [pytest.param(*case, marks=getattr(pytest.mark, case[0]), id=" ".join([case[0], *case[2]])) for case in CASES],
)
def test_a_dump_by_any_client_with_any_options_comes_back(awkward, source, tmp_path, marker, jobs, options):
    tools = client(marker)
    backup = dump(awkward, tools, tmp_path / "monday", *options)
    # An archive needs a pg_restore that is no older; a plain dump is loaded with the tools of the server's own version.
    archive = any(option.startswith("--format") for option in options)
    assert loaded(awkward, tools if archive else awkward.tools, backup, Terms(judge=True), jobs) == source


@pytest.mark.parametrize(("jobs", "options"), [(1, ["--inserts"]), (2, [])])
def test_what_came_through_a_terminal_loads_as_psql_loads_what_did_not(awkward, source, tmp_path, options, jobs):
    plain = dump(awkward, awkward.tools, tmp_path / "plain", *options)
    with awkward.server.connect() as connection:
        beside.create(connection, "awkward", INTO)
        argv = [
            awkward.tools.path("psql"),
            f"--dbname={awkward.server.conninfo(INTO)}",
            "--no-psqlrc",
            f"--file={plain}",
        ]
        subprocess.run(
            [*argv, "--set=ON_ERROR_STOP=1"], env=awkward.server.environment(), check=True, capture_output=True
        )
        by_psql = content(awkward, INTO)
        beside.drop(connection, INTO)
    mangled = tmp_path / "mangled"
    mangled.write_bytes(b"\xef\xbb\xbf-- by cron\r\n" + plain.read_bytes().replace(b"\n", b"\r\n"))
    assert loaded(awkward, awkward.tools, mangled, Terms(judge=True), jobs) == by_psql == source


def test_sections_that_were_dumped_apart_load_together(awkward, source, tmp_path):
    whole = tmp_path / "whole"
    for section in ("pre-data", "data", "post-data"):
        part = dump(awkward, awkward.tools, tmp_path / section, f"--section={section}")
        with whole.open("ab") as file:
            file.write(part.read_bytes())
    assert loaded(awkward, awkward.tools, whole, Terms(judge=True), 2) == source


@pytest.mark.parametrize("layout", ["plain", "custom", "directory"])
def test_a_backup_of_our_own_counts_partitions_by_hash_of_an_enum_right(awkward, source, layout):
    with tempfile.TemporaryDirectory() as directory:
        request = create.Request(Path(directory), "awkward", "odd", "test", "1.0.0", format=layout)
        made = create.create(awkward.server, awkward.tools, request)
        assert sum(made.census.tables[f"public.eh{number}"].rows for number in (0, 1)) == 90
        assert loaded(awkward, awkward.tools, Path(directory) / made.backup, Terms(), 2) == source
