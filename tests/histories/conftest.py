"""A throwaway PostgreSQL for all tests of this directory, and what is measured on it, measured once."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import throwaway


@pytest.fixture(scope="session")
def databases() -> Iterator[throwaway.Databases]:
    with throwaway.server() as made:
        yield made
