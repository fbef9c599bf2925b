"""The Molecule scenarios, as `molecule test` runs them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


# What a scenario with containers needs.
ENGINE = [pytest.mark.docker, pytest.mark.compose, pytest.mark.registry, pytest.mark.debootstrap]


@pytest.mark.molecule
@pytest.mark.postgres
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "scenario",
    [  # the longest first
        pytest.param("app_compose", marks=ENGINE),
        pytest.param("restore_remote", marks=[pytest.mark.sshd, pytest.mark.nightly]),
        pytest.param("app_kubernetes", marks=pytest.mark.kubectl),
        "migration",
        "default",
    ],
)
def test_the_scenario(scenario):
    # Not below pytest's own directory: every run of pytest closes that to the user as whom PostgreSQL runs.
    ephemeral = tempfile.mkdtemp(prefix="rollback-molecule-")
    bin_dir = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{bin_dir}{os.pathsep}{os.environ['PATH']}",
        "LC_ALL": "C.UTF-8",
        "MOLECULE_EPHEMERAL_DIRECTORY": ephemeral,
    }
    # Pytest's own variables would reach the verifier's pytest.
    for name in [name for name in environment if name.startswith("PYTEST_")]:
        del environment[name]
    molecule = [str(bin_dir / "molecule")]
    usual = {"cwd": ROOT, "env": environment, "stdin": subprocess.DEVNULL, "text": True}
    try:
        done = subprocess.run(
            [*molecule, "test", "--scenario-name", scenario],
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            **usual,
        )
        assert done.returncode == 0, done.stdout[-20_000:]
        assert " passed" in done.stdout
    finally:
        subprocess.run([*molecule, "destroy", "--scenario-name", scenario], check=False, capture_output=True, **usual)
        shutil.rmtree(ephemeral, ignore_errors=True)
