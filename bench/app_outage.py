"""For how long is an application in containers away while it is rolled back: the plan page's commands against ours, in one run.
See README.md."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from compose_lab import GOOD, NAME, SERVICES, Containers, running
from project import ROOT, images
from visitor import Visitor

sys.path.insert(0, str(ROOT / "library"))
import compose_application

COLD, WARM, ROLLING = "cold", "warm", "rolling"
# At most, each.
BARS = {"outage_cold_ratio": 1 / 3, "outage_warm_ratio": 0.8, "rolling_failed": 0}
SECONDS_AFTER = 1.0
PATIENCE_ROLLING_S = 5.0


def plan_page(project: Containers) -> None:
    """Its Method 1: down, pull, up. The version is written where the project reads it, as there is no other way to say it."""
    project.compose("down")
    images.docker("pull", f"{project.repository}:{GOOD}")
    project.pin(GOOD)
    project.compose("up", "-d")


def ours(project: Containers, prestarted: tuple[str, ...] = ("api",), rolling: tuple[str, ...] = ()) -> None:
    """What the playbook runs on an application host: three calls of one module. Hunter may be started before its turn."""
    given = {
        **{name: option.get("default") for name, option in compose_application.ARGUMENT_SPEC.items()},
        "directory": str(project.directory),
        "project": NAME,
        "services": SERVICES,
        "pin": "env",
        "variable": "HUNTER_VERSION",
        "version": GOOD,
        "wait_s": 180,  # a busy machine must not be taken for a version that is not well
        "wanted": dict.fromkeys(SERVICES, project.digests[GOOD]),
        "prestarted": list(prestarted),
        "rolling": list(rolling),
        "proxy_reload": ["proxy", "nginx", "-s", "reload"] if rolling else [],
    }
    found = compose_application.bring({**given, "state": "ready"}, check_mode=False)
    if found["problems"]:
        sys.exit("\n".join(found["problems"]))
    for state in ("fetched", "switched"):
        compose_application.bring({**given, "state": state, "target": found["target"]}, check_mode=False)


def ours_not_prestarted(project: Containers) -> None:
    ours(project, prestarted=())


def ours_rolling(project: Containers) -> None:
    ours(project, rolling=("api",))


def visited(project: Containers, way: Callable[[Containers], None], patience_s: float = 1.0) -> tuple[float, Visitor]:
    """Seconds that a way takes, and who asked meanwhile. The way is a process of its own, as a module is."""
    with Visitor(project.port, patience_s) as visitor:
        time.sleep(SECONDS_AFTER)
        began = time.monotonic()
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as child:
            child.submit(way, project).result()
        took = time.monotonic() - began
        time.sleep(SECONDS_AFTER)
    return took, visitor


WAYS = (("plan page", plan_page), ("ours", ours), ("ours, not prestarted", ours_not_prestarted))


def measure(project: Containers, rounds: int) -> dict[str, float]:
    """Each way `rounds` times, in turn; of its outages the median counts."""
    outages: dict[str, list[float]] = {}
    failed = longest = asked = 0.0
    for number in range(1, rounds + 1):
        for image in (COLD, WARM):
            for name, way in WAYS:
                project.release_badly(good_is_here=image == WARM)
                took, visitor = visited(project, way)
                away = visitor.outage(GOOD)
                outages.setdefault(f"{name} {image}", []).append(away)
                say(f"round {number}, {image}, {name}: without an answer {away:.2f} s of {took:.2f} s")
        project.release_badly(behind_proxy=True)
        took, visitor = visited(project, ours_rolling, PATIENCE_ROLLING_S)
        away = visitor.longest_wait()
        visitor.outage(GOOD)  # or an error, where the good version does not answer
        failed += len(visitor.failed)
        asked += len(visitor.failed) + len(visitor.right)
        longest = max(longest, away)
        say(
            f"round {number}, {ROLLING}: {len(visitor.failed)} requests failed in {took:.2f} s, longest wait {away:.2f} s"
        )
        for _, reason in visitor.failed[:5]:
            say(f"  {reason}")
    middle = {name: statistics.median(found) for name, found in outages.items()}
    figures = {"rolling_failed": failed, "rolling_asked": asked, "rolling_longest_s": longest}
    for image in (COLD, WARM):
        figures |= {
            f"outage_{image}_s": middle[f"ours {image}"],
            f"outage_{image}_baseline_s": middle[f"plan page {image}"],
            f"outage_{image}_ratio": middle[f"ours {image}"] / middle[f"plan page {image}"],
            f"not_prestarted_{image}_ratio": middle[f"ours, not prestarted {image}"] / middle[f"plan page {image}"],
        }
    return figures


def say(line: str) -> None:
    print(line, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each way is measured (%(default)s)")
    rounds = parser.parse_args().rounds
    with running() as project:
        figures = measure(project, rounds)
    found = [
        f"{name} is {figures[name]:.3f}, at most {bar:.3f} is wanted"
        for name, bar in BARS.items()
        if figures[name] > bar
    ]
    for sentence in found:
        say(f"MISSED: {sentence}.")
    print(json.dumps({name: round(figure, 4) for name, figure in figures.items()}))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
