"""One process at a time works on the databases of a run; what dies gives way to the next."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from ansible.module_utils.rollback import worker
from ansible.module_utils.rollback.errors import RollbackError

# A module of the run that starts a client program, says so, and then works for long.
MODULE = """
import subprocess, sys, time
sys.path.insert(0, {root!r})
import ansible.module_utils
ansible.module_utils.__path__.append({utils!r})
from ansible.module_utils.rollback import worker
with worker.alone({run_dir!r}):
    client = subprocess.Popen(["sleep", "30"], pass_fds=worker.descriptors())
    print(client.pid, flush=True)
    time.sleep({works_for})
    client.kill()
    client.wait()
"""
UTILS = Path(__file__).parents[2] / "module_utils"


@pytest.fixture
def module(tmp_path):
    """Starts such a process; returns it and the pid of its client."""
    running = []

    def start(works_for: float) -> tuple[subprocess.Popen, int]:
        source = MODULE.format(root=str(UTILS.parent), utils=str(UTILS), run_dir=str(tmp_path), works_for=works_for)
        process = subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True)
        running.append(process)
        return process, int(process.stdout.readline())

    yield start
    for process in running:
        process.kill()
        process.wait()
        process.stdout.close()


def test_nobody_works_where_nothing_was_begun(tmp_path):
    assert not worker.is_busy(str(tmp_path))
    assert not worker.is_busy(str(tmp_path / "absent"))


def test_outside_a_run_nobody_else_is_there():
    with worker.alone(""):
        assert worker.descriptors() == ()


def test_the_one_who_works_is_seen_and_its_clients_inherit_the_lock(tmp_path):
    with worker.alone(str(tmp_path)):
        assert worker.is_busy(str(tmp_path))
        assert len(worker.descriptors()) == 1
    assert not worker.is_busy(str(tmp_path))
    assert worker.descriptors() == ()


def test_a_module_that_still_works_is_waited_for(tmp_path, module):
    process, _ = module(works_for=1.0)
    with worker.alone(str(tmp_path), evict=lambda: pytest.fail("its clients are not ended")):
        assert process.wait(5) == 0


def test_clients_of_a_dead_module_are_ended(tmp_path, module):
    process, client = module(works_for=60)
    process.kill()
    process.wait()
    asked = []

    def evict() -> None:
        asked.append(time.monotonic())
        subprocess.run(["kill", str(client)], check=True)

    with worker.alone(str(tmp_path), evict):
        assert len(asked) >= 1


def test_clients_that_do_not_end_are_told(tmp_path, module, monkeypatch):
    process, client = module(works_for=60)
    process.kill()
    process.wait()
    monkeypatch.setattr(worker, "CLIENTS_GRACE_S", 0.3)
    with (
        pytest.raises(RollbackError, match="Programs of an earlier attempt of this run still run"),
        worker.alone(str(tmp_path)),
    ):
        pass
    subprocess.run(["kill", str(client)], check=True)
