"""How fast is a plain dump loaded: ours against psql, and against pg_restore on a custom dump of the same data. See README.md."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path

import ways
from database import Bench, running
from project import names
from restore_outage import missed, say, size_of
from ways import INTO, JOBS, Timed, in_child

BARS = {"plain_vs_psql": 0.9, "plain_vs_pg_restore": 1.1}  # at most, each
OURS, PSQL, PG_RESTORE = "ours", "psql", f"pg_restore -j{JOBS}"
MORE_CORES = 8


def measure(bench: Bench, size: int, rounds: int, compressions: list[str]) -> dict[str, float]:
    """Every way in turn, `rounds` times; of each the fastest load counts."""
    bench.fill(size)
    plain, custom = bench.back_up(names.PLAIN), bench.back_up(names.CUSTOM)
    packed = {kind: bench.backups / bench.back_up(names.PLAIN, kind).backup for kind in compressions}
    say(
        f"PostgreSQL {bench.facts['postgres_version']}, database {bench.bytes() / 1e6:,.0f} MB, {plain.census.rows:,} rows,"
        f" plain dump {plain.bytes / 1e6:,.0f} MB"
    )
    every = [
        (PSQL, ways.psql, bench.backups / plain.backup),
        (OURS, restored, bench.backups / plain.backup),
        (PG_RESTORE, ways.pg_restore, bench.backups / custom.backup),
        *((f"{OURS}, {kind}", restored, path) for kind, path in packed.items()),
    ]
    best: dict[str, Timed] = {}
    for number in range(rounds):
        # Backwards every other time: a machine that grows slower or faster meanwhile favours nobody.
        for name, way, backup in every if number % 2 == 0 else reversed(every):
            bench.settle()
            timed = in_child(way, bench, backup)
            bench.drop(INTO)
            if name not in best or loading(timed) < loading(best[name]):
                best[name] = timed
            say(f"{name}, round {number + 1}: {loading(timed):.1f} s {told(timed)}")
    ours = loading(best[OURS])
    return {
        "plain_vs_psql": ours / loading(best[PSQL]),
        "plain_vs_pg_restore": ours / loading(best[PG_RESTORE]),
        "whole_vs_psql": best[OURS].total / loading(best[PSQL]),
        **{f"{kind}_vs_psql": loading(best[f"{OURS}, {kind}"]) / loading(best[PSQL]) for kind in packed},
        **{f"{name.split()[0]}_s": loading(best[name]) for name in (OURS, PSQL, PG_RESTORE)},
        **shares(best[OURS]),
        **{
            f"{kind}_{name}": share
            for kind in packed
            for name, share in shares(best[f"{OURS}, {kind}"]).items()
            if name == "serial_share"
        },
    }


def restored(bench: Bench, backup: Path) -> Timed:
    """Ours: what the playbook does before it swaps, of which the load is compared."""
    timed, _ = ways.restore_beside(bench, backup)
    return timed


def loading(timed: Timed) -> float:
    """Seconds until the rows are in a new database, with their indexes and keys."""
    return timed.parts["create"] + timed.parts["load"]


def shares(timed: Timed) -> dict[str, float]:
    """The share of the load that is done by one at a time, and what that would make of the load on more cores.

    There every core has its own connection, rows are read no faster, and no index is built faster than the longest took here.
    """
    load = timed.told["load"]
    on_more = (
        load["alone_s"]
        + max(load["reading_s"], load["rows_s"] * JOBS / MORE_CORES)
        + max(load["longest_build_s"], load["builds_s"] * JOBS / MORE_CORES)
    )
    return {
        "serial_share": (load["alone_s"] + load["reading_s"]) / timed.parts["load"],
        f"computed_{MORE_CORES}_cores_s": on_more,
    }


def told(timed: Timed) -> str:
    load: Mapping[str, float] = timed.told.get("load", {})
    return ", ".join(f"{name.removesuffix('_s').replace('_', ' ')} {seconds:.1f}" for name, seconds in load.items())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=size_of, default="1GB", help="of all tables, without indexes (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each way is measured (%(default)s)")
    parser.add_argument(
        "--compressed", nargs="*", choices=[names.GZIP, names.ZSTD], default=[], help="measure such plain dumps too"
    )
    parser.add_argument("--postgres-bin", type=Path, help="another PostgreSQL than that of the virtual environment")
    arguments = parser.parse_args()
    with running(arguments.postgres_bin) as bench:
        figures = measure(bench, arguments.size, arguments.rounds, arguments.compressed)
    found = missed(figures, BARS)
    for sentence in found:
        say(f"MISSED: {sentence}.")
    print(json.dumps({name: round(figure, 4) for name, figure in figures.items()}))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
