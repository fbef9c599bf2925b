import multiprocessing
import os
import socket
import subprocess
import sys

import pytest

from ansible.module_utils.rollback import clock, controller


def lock(**changes):
    return {"host": socket.gethostname(), "boot": clock.boot_id(), "pid": os.getpid(), **changes}


@pytest.fixture
def ended():
    """The id of a process that has ended and been waited for."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_process_that_runs_is_alive_and_one_that_ended_is_dead(ended):
    assert controller.verdict(lock()) == "alive"
    assert controller.verdict(lock(pid=str(os.getpid()))) == "alive"
    assert controller.verdict(lock(pid=ended)) == "dead"


def test_a_process_of_another_user_is_alive(monkeypatch):
    monkeypatch.setattr(controller.os, "kill", lambda pid, signal: (_ for _ in ()).throw(PermissionError))
    assert controller.verdict(lock()) == "alive"


def test_before_the_last_boot_everything_is_dead():
    assert controller.verdict(lock(boot="another")) == "dead"


def test_of_another_controller_nothing_is_known(ended):
    assert controller.verdict(lock(host="another", pid=ended)) == "unknown"
    assert controller.verdict(lock(host="another", boot="another")) == "unknown"


def tell(queue):
    queue.put(controller.this_process("ada"))


def test_a_task_names_the_process_that_drives_it_and_not_its_own():
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    task = context.Process(target=tell, args=(queue,))
    task.start()
    told = queue.get(timeout=10)
    task.join()
    assert told == {"who": "ada", "host": socket.gethostname(), "pid": os.getpid(), "boot": clock.boot_id()}


def test_a_user_without_a_name_is_a_number(monkeypatch):
    monkeypatch.setattr(controller.getpass, "getuser", lambda: (_ for _ in ()).throw(KeyError("uid")))
    assert controller.this_process()["who"] == f"uid {os.getuid()}"
