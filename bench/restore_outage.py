"""For how long is a database away while it is restored: the plan page's commands against ours, in one run. See README.md."""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import ways
from crowd import QUESTION, Crowd
from database import MARKERS, NAME, Bench, running
from project import Manifest, census, forecast, names
from watch import Watch, ask
from ways import ASIDE, Timed, in_child

UNITS = {"KB": 1000, "MB": 1000**2, "GB": 1000**3}
# At most, each.
OUTAGE_BARS = {"outage_s": 1.0, "outage_ratio": 1 / 30, "total_ratio": 1.0, "custom_ratio": 1.15}
CROWD_BARS = {"served_again_s": 2.0, "wrong_answers": 0, "unaccounted_writes": 0}
PLAN_PAGE, OURS_PLAIN, OURS_CUSTOM, PG_RESTORE = "plan page (psql)", "ours, plain", "ours, custom", "pg_restore -j2"
SECONDS_AFTER_SWAP = 3.0


def measure_outage(bench: Bench, size: int, rounds: int) -> dict[str, float]:
    """Every way in turn, `rounds` times, each while one client asks. Of each way the fastest total counts.

    Of the outages the longest of ours counts, and the shortest of the plan page.
    """
    plain, custom, whole = prepare(bench, size)
    best: dict[str, Timed] = {}
    outage: dict[str, float] = {}
    worst_for_us = {PLAN_PAGE: min}
    for number in range(rounds):
        order = [
            (OURS_PLAIN, ways.ours, plain),
            (PLAN_PAGE, ways.plan_page, plain),
            (OURS_CUSTOM, ways.ours, custom),
            (PG_RESTORE, ways.pg_restore, custom),
        ]
        # Backwards every other time: a machine that grows slower or faster meanwhile favours nobody.
        for name, way, backup in order if number % 2 == 0 else reversed(order):
            bench.settle()
            with Watch(bench.application_dsn, whole) as watch:
                timed = in_child(way, bench, backup)
            away = watch.outage(timed.began, timed.ended)
            outage[name] = worst_for_us.get(name, max)(outage.get(name, away), away)
            if name not in best or timed.total < best[name].total:
                best[name] = timed
            say(f"{name}, round {number + 1}: {timed.total:.1f} s, without an answer {away:.2f} s")
            if way is not ways.pg_restore:  # the live database is the restored one
                bench.drop(ASIDE)
                bench.release_badly()
    print(table(best, outage))
    ours = max(outage[OURS_PLAIN], outage[OURS_CUSTOM])
    return {
        "outage_s": ours,
        "outage_baseline_s": outage[PLAN_PAGE],
        "outage_ratio": ours / outage[PLAN_PAGE],
        "total_s": best[OURS_PLAIN].total,
        "total_baseline_s": best[PLAN_PAGE].total,
        "total_ratio": best[OURS_PLAIN].total / best[PLAN_PAGE].total,
        "custom_s": best[OURS_CUSTOM].total,
        "custom_baseline_s": best[PG_RESTORE].total,
        "custom_ratio": best[OURS_CUSTOM].total / best[PG_RESTORE].total,
        **{f"plain_{part}_s": seconds for part, seconds in best[OURS_PLAIN].parts.items()},
        **{f"custom_{part}_s": seconds for part, seconds in best[OURS_CUSTOM].parts.items()},
    }


def prepare(bench: Bench, size: int) -> tuple[Path, Path, frozenset[tuple[str, int, int]]]:
    """A database and its two backups, then the bad release. Also what a client may be told: all of the old state or of the new."""
    began = time.monotonic()
    bench.fill(size)
    with bench.as_superuser(NAME) as connection:
        restored = ask(connection)
    plain, custom = bench.back_up(names.PLAIN), bench.back_up(names.CUSTOM)
    bench.release_badly()
    with bench.as_superuser(NAME) as connection:
        old = ask(connection)
    say(
        f"PostgreSQL {bench.facts['postgres_version']}, database {bench.bytes() / 1e6:,.0f} MB, {plain.census.rows:,} rows,"
        f" plain dump {plain.bytes / 1e6:,.0f} MB, custom {custom.bytes / 1e6:,.0f} MB ({time.monotonic() - began:.0f} s)"
    )
    return bench.backups / plain.backup, bench.backups / custom.backup, frozenset({restored, old})


def measure_crowd(bench: Bench, size: int, clients: int) -> dict[str, float]:
    """Ours, while `clients` reconnect without pause around the swap."""
    bench.fill(size)
    manifest = bench.back_up(names.CUSTOM)
    new = (manifest.application_version, MARKERS)
    bench.release_badly()
    with bench.as_superuser(NAME) as connection:
        old = connection.execute(QUESTION).fetchone()
    say(f"PostgreSQL {bench.facts['postgres_version']}, database {bench.bytes() / 1e6:,.0f} MB, {clients} clients")
    _, oid = in_child(ways.restore_beside, bench, bench.backups / manifest.backup)
    with Crowd(bench.application_dsn, clients) as crowd:
        time.sleep(1)
        swapped = in_child(ways.swap_in, bench, oid)
        time.sleep(SECONDS_AFTER_SWAP)
    say(
        f"swap {swapped.total:.2f} s; {len(crowd.written):,} writes acknowledged; longest wait {crowd.longest_wait(swapped.ended):.2f} s"
    )
    return {
        "clients": clients,
        "swap_s": swapped.total,
        "served_again_s": crowd.served_again(swapped.ended, new),
        "longest_wait_s": crowd.longest_wait(swapped.ended),
        "wrong_answers": crowd.wrong_answers(old, new),
        "acknowledged_writes": len(crowd.written),
        **follow_writes(bench, crowd, manifest),
    }


def follow_writes(bench: Bench, crowd: Crowd, manifest: Manifest) -> dict[str, int]:
    """Where the clients' writes are now, and what the report would say of them."""
    with bench.as_superuser(ASIDE) as aside, bench.as_superuser(NAME) as live:
        set_aside, kept = (
            {row[0] for row in connection.execute("SELECT id FROM public.writes")} for connection in (aside, live)
        )
        with census.snapshot(aside):
            told = forecast.of_restore(census.take(aside), manifest.census)
    (of_writes,) = (entry for entry in told if entry.table == "public.writes")
    return {
        "lost_writes": len(set_aside - kept),
        "reported_lost_writes": (of_writes.now or 0) - (of_writes.then or 0),
        "unaccounted_writes": len(crowd.written - set_aside - kept),
    }


def missed(figures: Mapping[str, float], bars: Mapping[str, float]) -> list[str]:
    """The bars that were missed, in words."""
    found = [
        f"{name} is {figures[name]:.3f}, at most {bar:.3f} is wanted"
        for name, bar in bars.items()
        if figures[name] > bar
    ]
    if figures.get("lost_writes") != figures.get("reported_lost_writes"):
        found.append(f"{figures['lost_writes']} writes are lost, the report says {figures['reported_lost_writes']}")
    return found


def table(best: Mapping[str, Timed], outage: Mapping[str, float]) -> str:
    """Seconds of each part of each way."""
    parts = list(dict.fromkeys(part for timed in best.values() for part in timed.parts))
    columns = [PLAN_PAGE, OURS_PLAIN, PG_RESTORE, OURS_CUSTOM]
    lines = [["seconds", *columns]]
    lines += [
        [part, *(f"{best[way].parts[part]:.2f}" if part in best[way].parts else "" for way in columns)]
        for part in parts
    ]
    lines += [
        ["total", *(f"{best[way].total:.2f}" for way in columns)],
        ["outage", *(f"{outage[way]:.2f}" for way in columns)],
    ]
    return "\n".join("".join(f"{cell:>18}" for cell in line) for line in lines)


def size_of(text: str) -> int:
    found = re.fullmatch(r"(\d+)(KB|MB|GB)", text.upper())
    if not found:
        raise argparse.ArgumentTypeError(f"{text} is no size: say for example 100MB or 1GB.")
    return int(found[1]) * UNITS[found[2]]


def say(line: str) -> None:
    print(line, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=size_of, default="1GB", help="of all tables, without indexes (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each way is measured (%(default)s)")
    parser.add_argument(
        "--clients", type=int, default=0, help="measure a swap among so many clients instead, such as 200"
    )
    parser.add_argument("--postgres-bin", type=Path, help="another PostgreSQL than that of the virtual environment")
    arguments = parser.parse_args()
    with running(arguments.postgres_bin) as bench:
        if arguments.clients:
            figures, bars = measure_crowd(bench, arguments.size, arguments.clients), CROWD_BARS
        else:
            figures, bars = measure_outage(bench, arguments.size, arguments.rounds), OUTAGE_BARS
    found = missed(figures, bars)
    for sentence in found:
        say(f"MISSED: {sentence}.")
    print(json.dumps({name: round(figure, 4) for name, figure in figures.items()}))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
