"""How long a whole rollback of the application takes on 1 to 100 hosts, and where the time goes. See README.md."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from project import ROOT

sys.path[:0] = [str(ROOT / "tests" / "integration"), str(ROOT / "tests")]

from hosts import BAD, GOOD, Fleet, fleet  # noqa: E402 - not before their path is known
from place import Place  # noqa: E402
from secure_shell import SecureShell  # noqa: E402

SIZES = (1, 10, 50, 100)
# At most, each.
BARS = {"seconds_100": 240, "tasks_per_host": 8, "growth": 1.0}

# Many connections at once, and a line in the log for each command that comes through one.
SSHD = """
MaxStartups 500
MaxSessions 100
LogLevel VERBOSE
"""
COMMAND = "Starting session: command"

# The baseline: as many modules as a rollback may run, and none of them does anything.
NO_OP = [
    {
        "name": "Do nothing",
        "hosts": "app",
        "gather_facts": False,
        "tasks": [{"name": "Do nothing", "ansible.builtin.ping": {}}] * BARS["tasks_per_host"],
    }
]


@dataclass(frozen=True)
class Run:
    """Of one command: its seconds, those of the controller's processors, and how many commands ran on the hosts.

    `stages` has the name of each play with its two kinds of seconds.
    """

    seconds: float
    cpu: float
    commands: int
    stages: list[tuple[str, float, float]]


class Lab:
    """A database with a release point, and an sshd through which application hosts are reached."""

    def __init__(self, place: Place) -> None:
        self.place = place
        place.lab.up()
        self.shell = SecureShell(place.home / "ssh", SSHD)

    def begin(self) -> None:
        self.place.lab.deploy(GOOD)
        self.place.lab.fill(2_000)
        self.place.must("playbooks/backup.yml", next=BAD)
        self.place.must("playbooks/record_release.yml")

    def roll_back(self, hosts: Fleet) -> Run:
        given = {"method": "app", "reason": "a benchmark", "rollback_report_dir": ""}
        return self._run(self.place.command("rollback.yml", "-i", str(hosts.inventory), **given))

    def do_nothing(self, hosts: Fleet) -> Run:
        playbook = hosts.directory / "no_op.json"
        playbook.write_text(json.dumps(NO_OP))
        return self._run(self.place.command(str(playbook), "-i", str(hosts.inventory)))

    def _run(self, command: list[str]) -> Run:
        """With no connection open yet. Ends the benchmark where the command fails."""
        self.shell.cut()
        self.shell.start()
        log, times = self.shell.home / "log", self.place.home / "stages.json"
        before = log.read_text().count(COMMAND)
        plugins = f"{ROOT / 'callback_plugins'}:{ROOT / 'bench' / 'callbacks'}"
        environment = {
            **self.place.environment,
            "ANSIBLE_CALLBACK_PLUGINS": plugins,
            "ANSIBLE_CALLBACKS_ENABLED": "stage_times",
            "STAGE_TIMES": str(times),
        }
        with tempfile.TemporaryFile() as said:
            began = time.monotonic()
            process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said
            )
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.monotonic() - began
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                said.seek(0)
                sys.exit(said.read().decode())
        return Run(
            seconds,
            usage.ru_utime + usage.ru_stime,
            log.read_text().count(COMMAND) - before,
            [tuple(stage) for stage in json.loads(times.read_text())],
        )


@contextmanager
def laboratory() -> Iterator[Lab]:
    place = Place(Path(tempfile.mkdtemp(prefix="rollback-bench-")))
    try:
        lab = Lab(place)
        try:
            lab.begin()
            yield lab
        finally:
            lab.shell.cut()
    finally:
        place.lab.destroy()


def measure(lab: Lab, size: int, baseline: bool) -> tuple[Run, Run | None]:
    """A rollback of so many hosts, and by choice the baseline on them. Ends the benchmark where it is not what it says."""
    with fleet(lab.place, size, lab.shell.host_variables) as hosts:
        run = lab.roll_back(hosts)
        if set(hosts.versions().values()) != {GOOD}:
            sys.exit(f"Not every host was rolled back: {hosts.versions()}")
        return run, lab.do_nothing(hosts) if baseline else None


def stages_text(run: Run, size: int) -> str:
    """Where the time went; plays of the same name are the batches of one."""
    found: dict[str, tuple[float, float]] = {}
    for name, seconds, cpu in run.stages:
        before = found.get(name, (0.0, 0.0))
        found[name] = (before[0] + seconds, before[1] + cpu)
    lines = [f"Where the time of {size} hosts went:", f"  {'seconds':>8}  {'CPU':>6}  stage"]
    lines += [
        f"  {seconds:8.1f}  {cpu:6.1f}  {name}" for name, (seconds, cpu) in found.items() if seconds > run.seconds / 100
    ]
    return "\n".join(lines)


def growth(runs: Mapping[int, Run]) -> float:
    """Seconds per host on the most hosts, of those on the next fewer: at most 1 where time grows at most linearly."""
    *_, fewer, most = sorted(runs)
    return (runs[most].seconds / most) / (runs[fewer].seconds / fewer)


def say(line: str) -> None:
    print(line, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[1, 10, 50, 100], help="two or more numbers of hosts (1 10 50 100)"
    )
    sizes = sorted(set(parser.parse_args().sizes))
    if len(sizes) < 2 or sizes[0] < 1:
        parser.error("say two or more numbers of hosts.")
    runs: dict[int, Run] = {}
    with laboratory() as lab:
        for size in sizes:
            runs[size], nothing = measure(lab, size, baseline=size == sizes[-1])
            run = runs[size]
            say(
                f"{size:4} hosts: {run.seconds:6.1f} s, {run.cpu / size:5.2f} CPU seconds of the controller and"
                f" {run.commands / size:.1f} commands per host"
            )
    most = runs[sizes[-1]]
    say(
        f"{BARS['tasks_per_host']} modules that do nothing on {sizes[-1]} hosts: {nothing.seconds:.1f} s, {nothing.cpu / sizes[-1]:.2f} CPU seconds per host"
    )
    say(stages_text(most, sizes[-1]))
    figures = {
        **{f"seconds_{size}": run.seconds for size, run in runs.items()},
        **{f"cpu_per_host_{size}": run.cpu / size for size, run in runs.items()},
        "tasks_per_host": max(run.commands / size for size, run in runs.items()),
        "growth": growth(runs),
        "baseline_seconds": nothing.seconds,
        "baseline_ratio": most.seconds / nothing.seconds,
    }
    found = [
        f"{name} is {figures[name]:.2f}, at most {bar} is wanted"
        for name, bar in BARS.items()
        if figures.get(name, 0) > bar
    ]
    for sentence in found:
        say(f"MISSED: {sentence}.")
    print(json.dumps({name: round(figure, 3) for name, figure in figures.items()}))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
