"""How fast is a restore from a snapshot: against psql, which loads a plain dump of the same data. See README.md."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import ways
from database import NAME, OWNER, Bench, running
from project import names, snapshot
from restore_outage import missed, say, size_of
from ways import ASIDE, Timed, in_child

BARS = {"snapshot_vs_psql": 0.2}  # at most


def measure(bench: Bench, size: int) -> dict[str, float]:
    """A snapshot and a dump of one state, then the restore of each. All of ours counts, and of psql's way the load."""
    bench.fill(size)
    plain = bench.back_up(names.PLAIN)
    bench.settle()
    taken = snapshot.take(
        bench.server, snapshot.Request(bench.backups, NAME, "v1.1.0", "local", "1.0.0", application_role=OWNER)
    )
    say(
        f"PostgreSQL {bench.facts['postgres_version']}, database {bench.bytes() / 1e6:,.0f} MB, {plain.census.rows:,} rows;"
        f" the snapshot was taken in {taken.seconds:.1f} s"
    )
    bench.release_badly()
    bench.settle()
    ours = in_child(restored, bench, bench.backups / taken.backup)
    say(f"ours: {ours.total:.2f} s ({', '.join(f'{part} {seconds:.2f}' for part, seconds in ours.parts.items())})")
    bench.drop(ASIDE)
    bench.settle()
    psql = in_child(ways.psql, bench, bench.backups / plain.backup)
    say(f"psql: {psql.total:.1f} s")
    return {
        "snapshot_vs_psql": ours.total / psql.total,
        "snapshot_s": ours.total,
        "psql_s": psql.total,
        "taken_s": taken.seconds,
        **{f"snapshot_{part}_s": seconds for part, seconds in ours.parts.items()},
    }


def restored(bench: Bench, path: Path) -> Timed:
    """What the playbook does on the database host."""
    timed, oid = ways.from_snapshot(bench, path)
    timed.parts.update(ways.swap_in(bench, oid, snapshot.read(path).snapshot).parts)
    return timed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=size_of, default="1GB", help="of all tables, without indexes (%(default)s)")
    parser.add_argument("--postgres-bin", type=Path, help="another PostgreSQL than that of the virtual environment")
    arguments = parser.parse_args()
    with running(arguments.postgres_bin) as bench:
        figures = measure(bench, arguments.size)
    found = missed(figures, BARS)
    for sentence in found:
        say(f"MISSED: {sentence}.")
    print(json.dumps({name: round(figure, 4) for name, figure in figures.items()}))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
