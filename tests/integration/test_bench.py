"""The benchmarks still run, and measure something. How fast it is they say on a machine that is at rest, not here."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"
PARTS = ("prove", "create", "load", "settings", "analyse", "compare", "swap")

pytestmark = [pytest.mark.slow, pytest.mark.nightly, pytest.mark.postgres]


def measured(bench, *options):
    """The line of JSON that a benchmark ends with. It may well miss its bars here (exit code 1), but not break off."""
    done = subprocess.run(
        [sys.executable, BENCH / f"{bench}.py", *options],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    assert ("MISSED" in done.stdout) == bool(done.returncode)
    return json.loads(done.stdout.splitlines()[-1])


def figures(*options, bench="restore_outage"):
    return measured(bench, "--size", "10MB", *options)


def test_the_trial_of_a_backup_is_measured():
    found = figures("--rounds", "1", bench="backup")
    assert found["trial_s"] > 0
    assert found["trial_ratio"] == pytest.approx(found["trial_s"] / found["alone_s"], rel=0.01)


def test_the_outage_of_every_way_is_measured():
    found = figures("--rounds", "1")
    assert {"outage_ratio", "total_ratio", "custom_ratio"} <= found.keys()
    assert found["outage_baseline_s"] > 0.1
    assert found["outage_s"] > 0
    assert all(found[f"{kind}_{part}_s"] > 0 for kind in ("plain", "custom") for part in PARTS)
    parts = sum(found[f"plain_{part}_s"] for part in PARTS)
    assert found["total_ratio"] == pytest.approx(parts / found["total_baseline_s"], rel=0.01)


def test_every_write_of_a_crowd_is_found_again():
    found = figures("--clients", "12")
    assert found["served_again_s"] >= 0
    assert found["acknowledged_writes"] > 0
    assert (found["wrong_answers"], found["unaccounted_writes"]) == (0, 0)
    assert found["lost_writes"] == found["reported_lost_writes"] > 0


def test_a_plain_dump_is_loaded_every_way():
    found = figures("--rounds", "1", "--compressed", "gzip", "zstd", bench="plain_restore")
    assert found["plain_vs_psql"] == pytest.approx(found["ours_s"] / found["psql_s"], rel=0.01)
    assert found["plain_vs_pg_restore"] == pytest.approx(found["ours_s"] / found["pg_restore_s"], rel=0.01)
    assert 0 < found["serial_share"] < 1
    assert 0 < found["gzip_serial_share"] < 1
    assert 0 < found["zstd_serial_share"] < 1
    assert 0 < found["computed_8_cores_s"] < found["ours_s"]


def test_the_defaults_of_a_load_are_compared_with_others():
    found = figures("--rounds", "1", bench="load_defaults")
    assert found["default_s"] > 0
    assert all(ratio > 0 for ratio in found.values())
    assert {
        "default_vs_pg_restore",
        "four_connections_vs_default",
        "commits_that_never_wait_vs_default",
    } <= found.keys()


def test_a_snapshot_is_restored():
    found = figures(bench="snapshot_restore")
    parts = sum(found[f"snapshot_{part}_s"] for part in ("prove", "settings", "compare", "swap"))
    assert found["snapshot_vs_psql"] == pytest.approx(parts / found["psql_s"], rel=0.01)
    assert found["taken_s"] > 0


def test_a_size_that_is_none_is_refused():
    done = subprocess.run(
        [sys.executable, BENCH / "restore_outage.py", "--size", "much"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, "much is no size" in done.stderr) == (2, True)


@pytest.mark.sshd
@pytest.mark.timeout(900)
def test_a_fleet_is_rolled_back_with_few_commands_on_each_host():
    found = measured("fleet", "--sizes", "1", "3")
    assert found["seconds_3"] > 0
    assert found["baseline_seconds"] > 0
    assert found["growth"] > 0
    assert 2 <= found["tasks_per_host"] <= 8


def test_a_fleet_of_one_says_nothing_about_growth():
    done = subprocess.run(
        [sys.executable, BENCH / "fleet.py", "--sizes", "1"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, "two or more numbers of hosts" in done.stderr) == (2, True)


@pytest.mark.sshd
def test_fetching_is_measured_over_sftp_and_s3():
    done = subprocess.run(
        [sys.executable, BENCH / "fetch.py", "--size", "20MB", "--rounds", "1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["sftp_ratio"] == pytest.approx(found["sftp_ours_s"] / found["sftp_theirs_s"], rel=0.01)
    assert found["s3_ratio"] == pytest.approx(found["s3_ours_s"] / found["s3_theirs_s"], rel=0.01)
    assert 0 < found["peak_mb"] < 150
