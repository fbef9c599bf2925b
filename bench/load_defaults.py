"""How many connections, and which settings, load an archive the fastest: the defaults against what else could be. See README.md."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import ways
from database import Bench, running
from project import names
from restore_outage import size_of
from ways import INTO, Timed, in_child

from ansible.module_utils.rollback.postgres import load_settings, parallel_load

PG_RESTORE, DEFAULT = "pg_restore -j2", "default"
# What is changed of the default, by name: connections, and settings of their sessions.
OTHERS: dict[str, tuple[int, dict[str, str]]] = {
    "one connection": (1, {}),
    "four connections": (4, {}),
    "two workers for each index": (2, {"max_parallel_maintenance_workers": "2"}),
    "64 MB for each index": (2, {"maintenance_work_mem": "64MB"}),
    "256 MB for each index": (2, {"maintenance_work_mem": "256MB"}),
    "commits that never wait": (2, {"synchronous_commit": "off"}),
    "commits that always wait": (2, {"synchronous_commit": "local"}),
}


def changed(bench: Bench, backup: Path, jobs: int, settings: dict[str, str]) -> Timed:
    """Ours, with other settings; in a process of its own, so nothing has to be put back."""
    usual = load_settings.load_settings
    parallel_load.load_settings = lambda sessions: list({**dict(usual(sessions)), **settings}.items())
    if "maintenance_work_mem" in settings:
        parallel_load.memory_of_sort = lambda size, sessions: settings["maintenance_work_mem"]
    if "synchronous_commit" in settings:
        parallel_load._Session.wait = lambda session, for_disk: None
    ways.JOBS = jobs
    timed, _ = ways.restore_beside(bench, backup)
    return timed


def measure(bench: Bench, size: int, rounds: int) -> dict[str, float]:
    """Seconds until rows, indexes and keys are there; of each way the fastest round counts."""
    bench.fill(size)
    backup = bench.backups / bench.back_up(names.CUSTOM).backup
    ours = {DEFAULT: (ways.JOBS, {}), **OTHERS}
    best: dict[str, float] = {}
    for number in range(rounds):
        order = [PG_RESTORE, *ours]
        # Backwards every other time: a machine that grows slower or faster meanwhile favours nobody.
        for name in order if number % 2 == 0 else reversed(order):
            bench.settle()
            if name == PG_RESTORE:
                timed = in_child(ways.pg_restore, bench, backup)
            else:
                timed = in_child(changed, bench, backup, *ours[name])
                bench.drop(INTO)
            seconds = timed.parts["create"] + timed.parts["load"]
            best[name] = min(best.get(name, seconds), seconds)
            print(f"round {number + 1}, {name}: {seconds:.1f} s", flush=True)
    return best


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=size_of, default="1GB", help="of all tables, without indexes (%(default)s)")
    parser.add_argument("--rounds", type=int, default=2, help="how often each way is measured (%(default)s)")
    arguments = parser.parse_args()
    with running() as bench:
        best = measure(bench, arguments.size, arguments.rounds)
    figures = {"default_s": best[DEFAULT], "default_vs_pg_restore": best[DEFAULT] / best[PG_RESTORE]}
    for name in OTHERS:
        print(f"{name}: {best[name] / best[DEFAULT]:.2f} of the default's time")
        figures[f"{name.replace(' ', '_')}_vs_default"] = best[name] / best[DEFAULT]
    print(json.dumps({name: round(figure, 3) for name, figure in figures.items()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
