"""One registry and one set of images for all tests of a worker; a project of its own for each test."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import engine


@pytest.fixture(scope="session")
def open_registry() -> Iterator[engine.Registry]:
    with engine.registry() as found:
        yield found


@pytest.fixture(scope="session")
def images(open_registry: engine.Registry) -> Iterator[engine.Images]:
    repository = f"{open_registry.address}/app"
    digests = {version: engine.build(repository, version) for version in engine.VERSIONS}
    yield engine.Images(repository, digests)
    engine.forget_all(repository, *digests.values())


@pytest.fixture
def project(images: engine.Images, request: pytest.FixtureRequest) -> Iterator[engine.Project]:
    """A project that runs 1.0.1. A parameter says how it pins its version."""
    directory = Path(tempfile.mkdtemp(prefix="rollback-compose-"))
    found = engine.Project(directory, images.repository, images.digests, getattr(request, "param", "override"))
    try:
        if found.way == "git":
            found.write("1.0.0")  # its tag
        found.up("1.0.1")
        yield found
    finally:
        found.close()
