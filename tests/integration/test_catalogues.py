"""docs/objects.md says what happens to every kind of object and setting that the servers here have."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

every_version = pytest.mark.parametrize("awkward", ["postgres", "postgres16", "postgres15"], indirect=True)

PAGE = (Path(__file__).parents[2] / "docs" / "objects.md").read_text()
OLDEST, NEWEST = 14, 18
CELL = r" ?([^|]*?) ?\|"
# `pg_am` | access methods | 15 | dumped | …; `pg_database.datname` | 15–16 | carried over | …
CATALOGUE = re.compile(rf"^\| `(pg_\w+)` \|{CELL}{CELL}{CELL}{CELL}$", re.MULTILINE)
SETTING = re.compile(rf"^\| `(pg_\w+\.\w+)` \|{CELL}{CELL}{CELL}$", re.MULTILINE)
ELSEWHERE = re.compile(rf"^\| ([^|]+) \|{CELL}{CELL}$", re.MULTILINE)


def section(heading: str) -> str:
    return PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]


CATALOGUES = CATALOGUE.findall(section("Catalogues"))
SETTINGS = SETTING.findall(section("Settings and flags"))
OTHERS = ELSEWHERE.findall(section("In no catalogue"))[1:]
WORDS = {word for word, _ in re.findall(rf"^\| ([a-z -]+) \|{CELL}$", PAGE.split("\n## ")[0], re.MULTILINE)} - {"word"}


def existed(versions: str, major: int) -> bool:
    """Whether `versions` ("15–", "15–16", "–14" or nothing, which means all) covers `major`."""
    first, _, last = versions.partition("–")
    return int(first or OLDEST) <= major <= int(last or NEWEST)


@pytest.fixture(scope="module")
def of_server(awkward):
    """The server's major version, and the columns of each of its catalogues."""
    with awkward.as_superuser() as connection:
        columns = connection.execute(
            "SELECT c.relname, array_agg(a.attname::text) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
            " WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped GROUP BY 1"
        ).fetchall()
        return connection.info.server_version // 10000, dict(columns)


@every_version
def test_every_catalogue_of_the_server_has_a_row(of_server):
    major, columns = of_server
    documented = {name for name, _, since, *_ in CATALOGUES if existed(f"{since}–", major)}
    new, gone = sorted(columns.keys() - documented), sorted(documented - columns.keys())
    assert not new, (
        f"docs/objects.md does not list {new} of PostgreSQL {major}. Find out whether pg_dump writes what they hold, so that the"
        " round trip compares it. Where not, carry it over (postgres/settings.py) or say that it is not brought back. Then add the rows."
    )
    assert not gone, f"docs/objects.md lists {gone}, which PostgreSQL {major} lacks: correct the name, or `since`."


@every_version
def test_every_column_of_pg_database_has_a_row_and_every_flag_exists(of_server):
    major, columns = of_server
    documented = {name for name, versions, *_ in SETTINGS if existed(versions, major)}
    there = {f"{catalogue}.{column}" for catalogue, names in columns.items() for column in names}
    new = sorted({name for name in there if name.startswith("pg_database.")} - documented)
    gone = sorted(documented - there)
    assert not new, (
        f"docs/objects.md does not list {new} of PostgreSQL {major}. Where it may be set, carry it over (postgres/settings.py,"
        " or `properties` of postgres/beside.py). Then add the rows."
    )
    assert not gone, f"docs/objects.md lists {gone}, which PostgreSQL {major} lacks: correct the name, or `in`."


def test_every_row_is_read_once():
    first_cells = {line.split("|")[1].strip() for line in PAGE.splitlines() if line.startswith("| ")}
    times = Counter(name for name, *_ in [*CATALOGUES, *SETTINGS])
    assert [name for name, count in times.items() if count > 1] == []
    read = {*(f"`{name}`" for name in times), *WORDS, *(name for name, *_ in OTHERS)}
    assert sorted(first_cells - read) == ["catalogue", "setting", "what", "word"]


def test_what_happens_is_said_in_words_that_the_page_explains():
    rows = [*CATALOGUES, *SETTINGS, *OTHERS]
    assert {row[0]: row[-2] for row in rows if not set(row[-2].split(", ")) <= WORDS} == {}
