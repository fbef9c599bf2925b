"""What does it cost to try each backup: loading its schema, some rows, and checking rules, against the backup alone. See README.md."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from database import Bench, running
from project import create, names
from restore_outage import say, size_of

from ansible.module_utils.rollback.postgres import round_trip

# Seconds, and a share of the backup alone, that the trial may add.
BAR_S, BAR_SHARE = 2.0, 0.02
# Everything that a backup does for the trial.
TRIAL = ((create, "dump_schema"), (round_trip, "look_at_rows"), (round_trip, "run"))


def measure(bench: Bench, size: int, rounds: int) -> dict[str, float]:
    bench.fill(size)
    say(f"PostgreSQL {bench.facts['postgres_version']}, database {bench.bytes() / 1e6:,.0f} MB")
    best: dict[str, float] = {}
    for number in range(rounds):
        bench.settle()
        spent: dict[str, float] = {}
        for module, name in TRIAL:
            setattr(module, name, timed(getattr(module, name), name, spent))
        began = time.monotonic()
        manifest = bench.back_up(names.CUSTOM)
        total = time.monotonic() - began
        for module, name in TRIAL:
            setattr(module, name, getattr(module, name).__wrapped__)
        (bench.backups / manifest.backup).unlink()
        extra = sum(spent.values())
        said = ", ".join(f"{name} {seconds:.2f}" for name, seconds in spent.items())
        say(f"round {number + 1}: {total:.1f} s, of which the trial {extra:.2f} s ({said})")
        if not best or extra < best["trial_s"]:
            best = {"trial_s": extra, "alone_s": total - extra}
    allowed = BAR_S + BAR_SHARE * best["alone_s"]
    return {
        **best,
        "allowed_s": allowed,
        "trial_ratio": best["trial_s"] / best["alone_s"],
        "trial_vs_allowed": best["trial_s"] / allowed,
    }


def timed(function: Callable[..., Any], name: str, spent: dict[str, float]) -> Callable[..., Any]:
    def call(*given: Any, **named: Any) -> Any:
        began = time.monotonic()
        try:
            return function(*given, **named)
        finally:
            spent[name] = spent.get(name, 0.0) + time.monotonic() - began

    call.__wrapped__ = function  # type: ignore[attr-defined]
    return call


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=size_of, default="1GB", help="of all tables, without indexes (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="how often it is measured (%(default)s)")
    parser.add_argument("--postgres-bin", type=Path, help="another PostgreSQL than that of the virtual environment")
    arguments = parser.parse_args()
    with running(arguments.postgres_bin) as bench:
        figures = measure(bench, arguments.size, arguments.rounds)
    missed = figures["trial_vs_allowed"] > 1
    if missed:
        say(f"MISSED: the trial adds {figures['trial_s']:.2f} s, and may add {figures['allowed_s']:.2f} s.")
    print(json.dumps({name: round(figure, 4) for name, figure in figures.items()}))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
