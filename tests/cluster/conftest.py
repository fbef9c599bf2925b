"""One emulated cluster for all tests of a worker; a namespace of its own for each test."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import emulator
from hunter import Hunter


@pytest.fixture(scope="session")
def cluster() -> Iterator[tuple[Path, emulator.Store]]:
    """Its kubeconfig, and the store behind it."""
    with tempfile.TemporaryDirectory(prefix="rollback-cluster-") as directory:
        kubeconfig = Path(directory) / "kubeconfig"
        with emulator.running(kubeconfig) as store:
            yield kubeconfig, store


@pytest.fixture
def hunter(cluster: tuple[Path, emulator.Store]) -> Iterator[Hunter]:
    """Hunter 1.0.1, which was 1.0.0 before: a Deployment and a StatefulSet, and a DaemonSet in a namespace of its own."""
    kubeconfig, store = cluster
    yield from deployed(kubeconfig)
    store.deny, store.tags = [], {}


@pytest.fixture(scope="session")
def resting(cluster: tuple[Path, emulator.Store]) -> Iterator[Hunter]:
    """The same for tests that change nothing."""
    yield from deployed(cluster[0])


def deployed(kubeconfig: Path) -> Iterator[Hunter]:
    found = Hunter(kubeconfig)
    try:
        found.make()
        found.deploy("1.0.0")
        found.deploy("1.0.1")
        yield found
    finally:
        found.close()
