"""Every kind of definition and object survives backup, restore and undo, in every format, on every version."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import expressions
import fingerprint
import pytest
from corpus import Pack, packs
from ground import OWNER, Ground

from ansible.module_utils.rollback.backups import create
from ansible.module_utils.rollback.backups.names import FORMATS, GZIP, NONE, PLAIN
from ansible.module_utils.rollback.backups.scan import ALLOWABLE
from ansible.module_utils.rollback.journal import NoJournal
from ansible.module_utils.rollback.postgres import restore, swap
from ansible.module_utils.rollback.postgres.beside import oid_of


@dataclass(frozen=True)
class Live:
    """A pack's database: what it holds, and what PostgreSQL's own tools make of a dump of it."""

    ground: Ground
    pack: Pack
    name: str
    holds: Counter[str]
    after_round_trip: Counter[str]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "live" in metafunc.fixturenames:
        version = metafunc.cls.version
        here = [pack for pack in packs() if version in pack.versions]
        metafunc.parametrize(
            "live", [(pack, version) for pack in here], ids=[pack.name for pack in here], indirect=True
        )


@pytest.fixture(scope="class")
def live(request: pytest.FixtureRequest, server_of: Callable[[int], Ground]) -> Iterator[Live]:
    pack, version = request.param
    ground, name, trip = server_of(version), pack.name, f"{pack.name}__trip"
    try:
        ground.create(name)
        with ground.connect(name) as connection:
            pack.fill(connection, version)
        holds = of(ground, name)
        ground.round_trip(name, trip)
        yield Live(ground, pack, name, holds, of(ground, trip))
    finally:
        ground.drop(name, trip)


def agree(expected: Counter[str], found: Counter[str]) -> None:
    if different := fingerprint.differences(expected, found):
        pytest.fail("\n".join(different), pytrace=False)


def of(ground: Ground, database: str) -> Counter[str]:
    with ground.connect(database) as connection:
        return fingerprint.of(connection)


def outside(ground: Ground, database: str) -> tuple:
    with ground.connect(database) as connection:
        return fingerprint.outside(connection)


def survives_backup_restore_and_undo(live: Live, backup_format: str, tmp_path: Path) -> None:
    ground, server, tools = live.ground, live.ground.server(live.pack.superuser), live.ground.tools
    into, aside = f"{live.name}__restored", f"{live.name}__aside"
    wanted = create.Request(
        directory=tmp_path,
        database=live.name,
        label="v1",
        environment="test",
        application_version="1",
        format=backup_format,
        compression=NONE if backup_format == PLAIN else GZIP,
        application_role=OWNER,
        allow=ALLOWABLE,
    )
    try:
        backup = tmp_path / create.create(server, tools, wanted).backup
        with server.connect() as connection:
            request = restore.Request(live=live.name, into=into, backup=backup, application_role=OWNER)
            restore.beside(server, connection, tools, request, NoJournal())
            agree(live.after_round_trip, of(ground, into))
            assert outside(ground, into) == outside(ground, live.name)

            oids = oid_of(connection, live.name), oid_of(connection, into)
            swap.perform(connection, swap.Swap(live.name, into, aside, *oids))
            agree(live.after_round_trip, of(ground, live.name))
            swap.perform(connection, swap.Swap(live.name, aside, into, *reversed(oids)))
        agree(live.holds, of(ground, live.name))
    finally:
        ground.drop(into, aside)


class RoundTrips:
    """A class per version: pytest-xdist gives each to one process, which then starts one server for it."""

    version: int

    @pytest.mark.parametrize("backup_format", FORMATS)
    def test_a_pack_survives_backup_restore_and_undo(self, live: Live, backup_format: str, tmp_path: Path) -> None:
        survives_backup_restore_and_undo(live, backup_format, tmp_path)


@pytest.mark.postgres15
class TestPostgres15(RoundTrips):
    version = 15


@pytest.mark.postgres16
class TestPostgres16(RoundTrips):
    version = 16


@pytest.mark.postgres
class TestPostgres18(RoundTrips):
    version = 18


def test_the_corpus_is_not_shrinking() -> None:
    names = [(pack.name, kind.name) for pack in packs() for kind in pack.kinds]
    assert len(names) == len(set(names))
    assert len(names) >= 200
    assert expressions.count() >= 900
