"""The benchmark of containers still runs. How long outages are it says on a machine that is at rest, not here."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench" / "app_outage.py"

pytestmark = [pytest.mark.docker, pytest.mark.postgres, pytest.mark.slow, pytest.mark.nightly, pytest.mark.timeout(900)]


def test_every_way_is_measured_and_rolling_fails_no_request():
    done = subprocess.run([sys.executable, BENCH, "--rounds", "1"], capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    assert ("MISSED" in done.stdout) == bool(done.returncode)
    found = json.loads(done.stdout.splitlines()[-1])
    for image in ("cold", "warm"):
        assert found[f"outage_{image}_s"] > 0.1
        assert found[f"outage_{image}_baseline_s"] > 0.1
    assert found["rolling_asked"] > 100
    assert found["rolling_failed"] == 0
