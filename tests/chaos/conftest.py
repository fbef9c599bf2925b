"""Each file has a place of its own, which its tests break in every way they can."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "integration")]

from place import Place, made  # noqa: E402


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """Hunter on the bad release, with a release point to go back to. Whatever broke, no password was written anywhere."""
    for there in made():
        yield there
        assert files_with_a_password(there) == []


def files_with_a_password(place: Place) -> list[Path]:
    """Journals, reports, progress, manifests, PostgreSQL's log and what commands printed, where a password stands in them."""
    secrets = [place.facts[name].encode() for name in ("operator_password", "owner_password")]
    places = [Path(place.facts["state_dir"]), place.backups, place.reports, Path(place.facts["log_dir"])]
    written = [path for directory in places for path in directory.rglob("*") if path.is_file()]
    printed = [path for path in [place.home / "killed.log", *Path.home().glob(".ansible_async/*")] if path.exists()]
    return [path for path in written + printed if any(secret in path.read_bytes() for secret in secrets)]
