"""Prints what docs/ says about the forecast over real histories, as Markdown.

.venv/bin/python tests/histories/table.py             verdicts per history, precision and recall
.venv/bin/python tests/histories/table.py --mistakes  every false alarm and every miss besides
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import ansible.module_utils

ansible.module_utils.__path__.append(str(Path(__file__).parents[2] / "module_utils"))
import forecasts  # noqa: E402
import truth  # noqa: E402
import wheels  # noqa: E402

from ansible.module_utils.rollback.migrations.operations import RISKS  # noqa: E402


def main(mistakes: bool) -> None:
    print("| history | taken back for real | steps | " + " | ".join(RISKS) + " | really lost data | tells nothing |")
    print("|---|---|--:|" + "--:|" * len(RISKS) + "--:|--:|")
    total: Counter[str] = Counter()
    for name, wheel in wheels.WHEELS.items():
        verdicts, really = forecasts.verdicts(name), truth.known(name) if wheel.measured else {}
        counts = Counter(verdict.risk for verdict in verdicts.values())
        counts["steps"] = len(verdicts)
        counts["known"] = len(really)
        counts["lost"] = sum(bool(found.get("vanished")) for found in really.values())
        counts["failed"] = sum("failed" in found for found in really.values())
        total += counts
        print(_row(f"{name} {wheel.version}", "yes" if wheel.measured else "no, judged only", counts))
    print(_row(f"all {len(wheels.WHEELS)}", f"{len(wheels.measured())} histories", total))
    print()
    scores = forecasts.score({name: truth.known(name) for name in wheels.measured()})
    print("| level | precision | recall | hits | false alarms | misses |\n|---|--:|--:|--:|--:|--:|")
    for level, score in scores:
        numbers = f"{len(score.hits)} | {len(score.alarms)} | {len(score.misses)}"
        print(f"| {level} | {score.precision:.3f} | {score.recall:.3f} | {numbers} |")
    if mistakes:
        for level, score in scores:
            print(f"\n{level}:", *[f"  false alarm: {one}" for one in score.alarms], sep="\n")
            print(*[f"  miss: {one}" for one in score.misses], sep="\n")


def _row(name: str, measured: str, counts: Counter[str]) -> str:
    numbers = [str(counts[key]) for key in ("steps", *RISKS)]
    really = [str(counts[key]) if counts["known"] else "–" for key in ("lost", "failed")]
    return f"| {name} | {measured} | " + " | ".join([*numbers, *really]) + " |"


if __name__ == "__main__":
    main("--mistakes" in sys.argv[1:])
