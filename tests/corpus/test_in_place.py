"""Every pack of the corpus is restored in place: it comes back, or what was live stays. `make nightly`: each takes two loads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import fingerprint
import pytest
from corpus import Pack, packs
from ground import OWNER, Ground

from ansible.module_utils.rollback.backups import create
from ansible.module_utils.rollback.backups.scan import ALLOWABLE
from ansible.module_utils.rollback.journal import Journal
from ansible.module_utils.rollback.postgres import in_place, obstacles, restore
from ansible.module_utils.rollback.postgres.beside import oid_of

pytestmark = pytest.mark.nightly


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    version = metafunc.cls.version
    here = [pack for pack in packs() if version in pack.versions]
    metafunc.parametrize("pack", here, ids=[pack.name for pack in here])


def backup_request(pack: Pack, directory: Path, label: str) -> create.Request:
    return create.Request(
        directory=directory,
        database=pack.name,
        label=label,
        environment="test",
        application_version="1",
        application_role=OWNER,
        allow=ALLOWABLE,
    )


class InPlace:
    version: int

    def test_a_pack_comes_back_in_place(self, server_of: Callable[[int], Ground], pack: Pack, tmp_path: Path) -> None:
        ground, trip = server_of(self.version), f"{pack.name}__trip"
        server, tools, into, aside = (
            ground.server(pack.superuser),
            ground.tools,
            f"{pack.name}__into",
            f"{pack.name}__aside",
        )
        try:
            ground.create(pack.name)
            with ground.connect(pack.name) as connection:
                pack.fill(connection, self.version)
            ground.round_trip(pack.name, trip)
            backup = tmp_path / create.create(server, tools, backup_request(pack, tmp_path, "v1")).backup
            with server.connect() as connection:
                assert obstacles.find(connection, pack.name) == []
                request = in_place.Request(
                    restore=restore.Request(pack.name, into, backup, application_role=OWNER),
                    safety=backup_request(pack, tmp_path, "safety"),
                    aside=aside,
                    live_oid=oid_of(connection, pack.name),
                )
                replaced = in_place.perform(server, connection, tools, request, Journal(tmp_path / "run"))
                assert replaced.oid == oid_of(connection, pack.name) != request.live_oid
                assert (oid_of(connection, into), oid_of(connection, aside)) == (0, 0)
            with ground.connect(trip) as expected, ground.connect(pack.name) as found:
                different = fingerprint.differences(fingerprint.of(expected), fingerprint.of(found))
            assert different == []
        finally:
            ground.drop(pack.name, trip, into, aside)


@pytest.mark.postgres15
class TestPostgres15(InPlace):
    version = 15


@pytest.mark.postgres16
class TestPostgres16(InPlace):
    version = 16


@pytest.mark.postgres
class TestPostgres18(InPlace):
    version = 18
