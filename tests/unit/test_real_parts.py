import sys
from pathlib import Path

import pytest
import real_parts
from real_parts import Found, Part

pytest_plugins = ["pytester"]

HERE = Part("here", "A part", "what is there", lambda: Found("1.2", Path("/opt")), "nothing to do")
GONE = Part("gone", "Another part", "what is not there", lambda: None, "apt-get install gone")

SUITE = """
    import pytest

    @pytest.fixture
    def server():
        raise AssertionError("a fixture was set up for a part that is missing")

    def test_plain(): pass

    @pytest.mark.here
    def test_with_what_is_there(): pass

    @pytest.mark.gone
    @pytest.mark.parametrize("n", [1, 2])
    def test_without(n, server): pass

    @pytest.mark.here
    @pytest.mark.gone
    def test_with_both(server): pass
"""


@pytest.fixture
def suite(pytester, monkeypatch):
    """A test suite of its own that needs one part that is there and one that is not."""
    monkeypatch.delenv(real_parts.REQUIRE_ALL, raising=False)
    source = Path(real_parts.__file__).read_text()
    pytester.makepyfile(real_parts=source)
    pytester.makeconftest("""
        from pathlib import Path
        import real_parts
        from real_parts import Found, Part
        pytest_plugins = ["real_parts"]
        real_parts.PARTS = (
            Part("here", "A part", "what is there", lambda: Found("1.2", Path("/opt")), "nothing to do"),
            Part("gone", "Another part", "what is not there", lambda: None, "apt-get install gone"),
        )
    """)
    pytester.makepyfile(test_suite=SUITE)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # the many plugins of our own suite cost seconds to load
    pytester.makeini("[pytest]\naddopts = --strict-markers -p no:cacheprovider\npythonpath = .\n")
    return lambda *arguments: pytester.runpytest_subprocess("-ra", "-p", "xdist", *arguments, timeout=60)


@pytest.mark.parametrize("arguments", [(), ("-n", "2")], ids=["one process", "xdist"])
def test_a_missing_part_leaves_out_its_tests_and_says_so(suite, arguments):
    result = suite(*arguments)
    assert result.ret == 0
    result.assert_outcomes(passed=2, skipped=3)
    result.stdout.fnmatch_lines(
        [
            "*= real parts =*",
            "present  A part 1.2 (2 tests): what is there",
            "MISSING  Another part, 3 tests left out: what is not there. To have it: apt-get install gone",
        ]
    )


@pytest.mark.parametrize("arguments", [(), ("-n", "2")], ids=["one process", "xdist"])
def test_a_missing_part_is_a_failure_where_all_are_required(suite, monkeypatch, arguments):
    monkeypatch.setenv(real_parts.REQUIRE_ALL, "1")
    result = suite(*arguments)
    assert result.ret == 1
    result.assert_outcomes(passed=2, errors=3)
    result.stdout.fnmatch_lines(["*Another part is missing (apt-get install gone); REQUIRE_ALL_PARTS is set*"])
    assert "a fixture was set up" not in result.stdout.str()


def test_a_run_that_needs_no_real_part_says_nothing_about_them(suite):
    result = suite("-k", "plain")
    result.assert_outcomes(passed=1, deselected=4)
    assert "real parts" not in result.stdout.str()


@pytest.mark.parametrize(
    ("value", "required"),
    [(None, False), ("", False), ("0", False), ("false", False), ("1", True), ("true", True), ("yes", True)],
)
def test_only_a_clear_yes_requires_all_parts(value, required):
    assert real_parts.all_required({} if value is None else {real_parts.REQUIRE_ALL: value}) is required


def test_the_summary_counts_a_test_once_and_knows_the_singular():
    asked = {"here": {"a"}, "gone": {"a", "b"}}
    found = {"here": HERE.detect(), "gone": None}.get
    assert real_parts.summary([HERE, GONE], asked, found) == [
        "present  A part 1.2 (1 test): what is there",
        "MISSING  Another part, 2 tests left out: what is not there. To have it: apt-get install gone",
    ]


def test_a_version_is_read_even_where_the_program_fails(tmp_path):
    shy = tmp_path / "shy"
    shy.write_text("#!/bin/sh\necho 'Shy_9.2p1, with friends' >&2\nexit 1\n")
    shy.chmod(0o755)
    assert real_parts.program([shy, "-V"], r"Shy_([\w.]+)") == Found("9.2p1", shy)


def test_a_program_that_hangs_counts_as_missing(monkeypatch):
    monkeypatch.setattr(real_parts, "ANSWER_WITHIN_S", 0.2)
    assert real_parts.program([sys.executable, "-c", "import time; time.sleep(60)"], "(.*)") is None


def test_a_client_without_its_engine_counts_as_missing(tmp_path, monkeypatch):
    docker = tmp_path / "docker"
    docker.write_text("#!/bin/sh\necho 'engine='\necho 'Cannot connect to the Docker daemon' >&2\nexit 1\n")
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(real_parts, "ADMIN_PATH", "")
    assert next(part for part in real_parts.PARTS if part.marker == "docker").detect() is None


def test_another_major_version_is_not_the_part(tmp_path):
    server = tmp_path / "postgres"
    server.write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 150.1'\n")
    server.chmod(0o755)
    assert real_parts.postgres_in(tmp_path, 15) is None
    assert real_parts.postgres_in(tmp_path, 150) == Found("150.1", tmp_path)


def test_every_row_has_a_marker_of_its_own():
    markers = [part.marker for part in real_parts.PARTS]
    assert len(set(markers)) == len(markers)
