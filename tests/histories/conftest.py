"""A throwaway PostgreSQL for all tests of a process, and the numbers that this directory is for, in the output of every run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import real_parts

sys.path.insert(0, str(Path(__file__).parent))
import forecasts
import throwaway


@pytest.fixture(scope="session")
def databases() -> Iterator[throwaway.Databases]:
    with throwaway.server() as made:
        yield made


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if shown := dict.fromkeys(text for text, _ in real_parts.recorded(terminalreporter, forecasts.SHOWN)):
        terminalreporter.section("forecasts")
        for text in shown:
            terminalreporter.write_line(text)
