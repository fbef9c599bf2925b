"""One registry and one set of images for all tests of a worker; a project of its own for each test."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import engine


@dataclass(frozen=True)
class Images:
    """The repository in the registry, and its images by version, each by digest."""

    repository: str
    digests: dict[str, str]


@pytest.fixture(scope="session")
def images() -> Iterator[Images]:
    with engine.registry() as registry:
        repository = f"{registry.address}/app"
        digests = {version: engine.build(repository, version) for version in engine.VERSIONS}
        yield Images(repository, digests)
        for version in engine.VERSIONS:
            engine.forget(f"{repository}:{version}", digests[version])


@pytest.fixture
def project(images: Images, request: pytest.FixtureRequest) -> Iterator[engine.Project]:
    """A project that runs 1.0.1. A parameter says how it pins its version."""
    directory = Path(tempfile.mkdtemp(prefix="rollback-compose-"))
    found = engine.Project(directory, images.repository, images.digests, getattr(request, "param", "override"))
    try:
        found.up("1.0.1")
        yield found
    finally:
        found.close()
