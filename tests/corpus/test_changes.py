"""Whatever one definition of a restored database differs in, comparing it finds, and names what differs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import fingerprint
import pytest
from changes import CHANGES
from ground import MARKERS, Ground

from ansible.module_utils.rollback.backups import create
from ansible.module_utils.rollback.backups.manifest import Manifest
from ansible.module_utils.rollback.backups.scan import ALLOWABLE
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.journal import NoJournal
from ansible.module_utils.rollback.postgres import restore

VERSION = 18
LIVE, RESTORED, CHANGED = "changes", "changes__restored", "changes__changed"

pytestmark = getattr(pytest.mark, MARKERS[VERSION])


@dataclass(frozen=True)
class Good:
    """A good restore, and the manifest that it agrees with."""

    ground: Ground
    backup: Path
    manifest: Manifest
    holds: Counter[str]

    def compare(self, database: str) -> None:
        server, tools = self.ground.server(superuser=True), self.ground.tools
        restore.compare(server, tools, restore.Request(LIVE, database, self.backup), self.manifest)


@pytest.fixture(scope="module")
def good(server_of: Callable[[int], Ground], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Good]:
    ground, directory = server_of(VERSION), tmp_path_factory.mktemp("changes")
    server = ground.server(superuser=True)
    try:
        ground.create(LIVE)
        with ground.connect(LIVE) as connection:
            connection.execute(Path(__file__).with_name("changes.sql").read_text())
        wanted = create.Request(directory, LIVE, "v1", "test", "1", allow=ALLOWABLE)
        manifest = create.create(server, ground.tools, wanted)
        backup = directory / manifest.backup
        with server.connect() as connection:
            request = restore.Request(LIVE, RESTORED, backup)
            restore.beside(server, connection, ground.tools, request, NoJournal())
        with ground.connect(RESTORED) as connection:
            holds = fingerprint.of(connection)
        yield Good(ground, backup, manifest, holds)
    finally:
        ground.drop(LIVE, RESTORED)


@pytest.mark.parametrize(("kind", "change", "name"), CHANGES, ids=[kind for kind, _, _ in CHANGES])
def test_a_change_is_found_and_named(good: Good, kind: str, change: str, name: str) -> None:
    good.ground.create(CHANGED, template=RESTORED)
    try:
        with good.ground.connect(CHANGED) as connection:
            connection.execute("SET search_path = app")
            connection.execute(change)
            assert fingerprint.of(connection) != good.holds, f"{kind}: the corpus itself does not see it"
        with pytest.raises(RollbackError, match=re.escape(name)):
            good.compare(CHANGED)
    finally:
        good.ground.drop(CHANGED)


def test_an_equal_database_is_not_refused(good: Good) -> None:
    good.ground.create(CHANGED, template=RESTORED)
    try:
        good.compare(CHANGED)
    finally:
        good.ground.drop(CHANGED)


def test_the_changes_are_not_shrinking() -> None:
    assert len({kind for kind, _, _ in CHANGES}) == len(CHANGES) >= 130
