"""Killing what takes part in a run, at the moment when its journal says that it has come somewhere."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psutil
from place import REASON, ROOT, Place

from ansible.module_utils.rollback.journal import Journal

# For what takes seconds where nothing else goes on: a machine of CI may be ten times as slow, and a test must not fail for it.
PATIENCE_S = 600


def newest_run(place: Place) -> str:
    return max((path.name for path in (place.environment_dir / "runs").iterdir()), default="")


@contextmanager
def started(
    place: Place, playbook: str = "rollback.yml", *options: str, **variables: object
) -> Iterator[subprocess.Popen]:
    """The main job in a session of its own, so that all of it can be killed; nothing of it outlives the block."""
    given = {"method": "restore", "reason": REASON, **variables} if playbook == "rollback.yml" else variables
    log = (place.home / "killed.log").open("a")
    process = subprocess.Popen(
        place.command(playbook, *options, **given),
        cwd=ROOT,
        env=place.environment,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        log.close()


def wait_for(place: Place, process: subprocess.Popen, event: str, step: str, before: int = 0) -> int:
    """Until the newest run's journal has one more entry of this kind than `before`; returns how many there are."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        found = count(place, event, step)
        if found > before:
            return found
        assert process.poll() is None, f"the run ended before {event} {step}: {(place.home / 'killed.log').read_text()}"
        time.sleep(0.005)
    raise AssertionError(f"{event} {step} never came")


def count(place: Place, event: str, step: str) -> int:
    """How often this entry stands in the journal of the newest run."""
    runs = place.environment_dir / "runs"
    if not runs.exists():
        return 0
    entries = Journal(runs / newest_run(place)).entries()
    return sum(1 for entry in entries if (entry.event, entry.step) == (event, step))


def kill_controller_at(place: Place, event: str, step: str, resumed: bool = False, **variables: object) -> None:
    """Start the main job and kill its controller (SIGKILL) as soon as the journal has this entry."""
    known = newest_run(place) if (place.environment_dir / "runs").exists() else ""
    before = count(place, event, step) if resumed else 0
    with started(place, **variables) as process:
        while not resumed and (not (place.environment_dir / "runs").exists() or newest_run(place) == known):
            assert process.poll() is None, (place.home / "killed.log").read_text()
            time.sleep(0.005)
        wait_for(place, process, event, step, before)


def modules(place: Place, name: str) -> list[psutil.Process]:
    """The processes that run module `name` for this place."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            ours = process.environ().get("HUNTER_HOME") == str(place.home)
            if ours and any(f"AnsiballZ_{name}.py" in word for word in process.cmdline()):
                found.append(process)
    return found


def kill_module_at(place: Place, controller: subprocess.Popen, name: str, first: str, step: str) -> None:
    """Kill module `name` as soon as it begins `step`. It is looked for while at its `first`: some steps are over sooner."""
    wait_for(place, controller, "began", first)
    victims = modules(place, name)
    assert victims, f"no process runs {name}"
    wait_for(place, controller, "began", step)
    for process in victims:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def kill_whoever_is_connected(place: Place) -> None:
    """The module that has a session of the operator's: one that is piped into Python has no name in the list of processes."""
    with place.lab.connect("postgres") as connection:
        query = "SELECT client_port FROM pg_stat_activity WHERE application_name = 'rollback'"
        ports = {port for (port,) in connection.execute(query)}
    victims = {at.pid for at in psutil.net_connections("tcp") if at.laddr.port in ports and at.pid}
    assert victims, "no module is connected"
    for pid in victims:
        psutil.Process(pid).kill()


def kill_postgres(place: Place) -> None:
    """All of the server at once, as if its machine lost power; its keeper starts it again."""
    postmaster = psutil.Process(place.lab.status()["pids"]["postgres"])
    family = [postmaster, *postmaster.children(recursive=True)]
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come"
        time.sleep(0.1)
