"""Servers that all tests of one process share, and databases that the tests of one pack share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import ground
from ground import Ground


@pytest.fixture(scope="session")
def server_of() -> Iterator[Callable[[int], Ground]]:
    """The server of a version, started when it is first asked for."""
    with ExitStack() as servers:
        yield cache(lambda major: servers.enter_context(ground.running(major)))
