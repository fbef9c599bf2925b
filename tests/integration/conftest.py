"""Places that are expensive to make are made once: one for what must change nothing, one for each thing that changes it."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import real_parts

sys.path.insert(0, str(Path(__file__).parent))
from down_and_up import NAME, Database
from place import Place, made
from servers import OWNER, Awkward


@pytest.fixture(scope="session")
def bad_day() -> Iterator[Place]:
    """Hunter on the bad release, with a release point to go back to. Tests that use it must leave it as it is."""
    yield from made()


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """The same for one test file, which may change it."""
    yield from made()


@pytest.fixture(scope="module")
def bare_server() -> Iterator[dict[str, Any]]:
    """What is known of a server of the lab (see Lab.facts) that one test file has for itself; nothing is deployed on it."""
    place = Place(Path(tempfile.mkdtemp(prefix="rollback-place-")))
    try:
        place.lab.up()
        yield place.facts
    finally:
        place.lab.destroy()


@pytest.fixture(
    scope="session", params=["postgres", pytest.param("postgres16", marks=pytest.mark.nightly), "postgres15"]
)
def awkward(request: pytest.FixtureRequest) -> Iterator[Awkward]:
    """A bare server of the newest version, of the plan page's, and in the night of one between; Hunter is not deployed on it."""
    place = Place(Path(tempfile.mkdtemp(prefix="rollback-place-")), real_parts.find(request.param).place)
    try:
        place.lab.up()
        yield Awkward(place)
    finally:
        place.lab.destroy()


@pytest.fixture
def database(awkward: Awkward) -> Iterator[Database]:
    """A database with a name that needs quotes."""
    quoted = '"' + NAME.replace('"', '""') + '"'
    with awkward.as_superuser() as connection:
        connection.execute(f"CREATE DATABASE {quoted} OWNER {OWNER} TEMPLATE template0")
    try:
        yield Database(awkward)
    finally:
        with awkward.as_superuser() as connection:
            connection.execute(f"DROP DATABASE {quoted} WITH (FORCE)")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test on a server of one version needs that version."""
    for item in items:
        version = getattr(item, "callspec", None) and item.callspec.params.get("awkward")
        if version:
            item.add_marker(getattr(pytest.mark, version))
