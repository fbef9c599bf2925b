"""Reading the largest of the real histories against `alembic history` on the same files.

Ours parses it, builds the graph and finds the way from head to base. Reading a release as production does is measured
besides, through the entry of the module alembic_tree: a project whose environment holds the application and everything it
needs, with every module that the migrations reach. So is judging every step of that. All are processes of their own,
started alternately; Alembic's runs in the environment in which these migrations really run.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "histories"))

import wheels  # noqa: E402 - not before its path is known

NAME = "apache-airflow-core"
BAR = 0.2
# For reading the release, and for reading and judging it.
BAR_S, BAR_MB = 3.0, 300.0

OURS = """
import sys
from pathlib import Path
import ansible.module_utils
ansible.module_utils.__path__.append(sys.argv[1])
from ansible.module_utils.rollback.migrations import graph, scripts, tree
known = graph.Graph(scripts.parse(tree.read_versions(Path(sys.argv[2]), helpers=False)))
print(len(known.path_down(known.heads, "base")))
"""

READ = """
import sys
import ansible.module_utils
ansible.module_utils.__path__.append(sys.argv[1])
from ansible.module_utils.rollback.migrations import sources
print(len(sources.fetch(sources.DIRECTORY, "", sys.argv[2]).files))
"""

JUDGED = """
import sys
import ansible.module_utils
ansible.module_utils.__path__.append(sys.argv[1])
from ansible.module_utils.rollback.migrations import risk, scripts, sources
files = sources.fetch(sources.DIRECTORY, "", sys.argv[2])
print(len([risk.judge(script, files) for script in scripts.parse(files)]))
"""


def release(directory: Path) -> Path:
    """A release as it lies on a host: Alembic's configuration, and an environment that holds the application."""
    package, *inside = Path(wheels.WHEELS[NAME].versions).parent.parts
    (directory / "alembic.ini").write_text(f"[alembic]\nscript_location = {package}:{'/'.join(inside)}\n")
    (installed,) = wheels.python(NAME).parents[1].glob("lib/python*/site-packages")
    place = directory / "venv" / installed.parent.relative_to(installed.parents[2]) / installed.name
    for origin in (installed, wheels.source(NAME)):
        shutil.copytree(origin, place, copy_function=os.link, symlinks=True, dirs_exist_ok=True)
    return directory


def run(argv: list[str], environment: dict[str, str], directory: Path) -> tuple[float, float, str]:
    """Seconds, peak memory in MB, and what it printed."""
    began = time.monotonic()
    process = subprocess.Popen(argv, env=environment, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    said = process.stdout.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(argv[:3])} … ended with exit code {process.returncode}.")
    return time.monotonic() - began, usage.ru_maxrss / 1024, said


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="how often each is run; the fastest counts (%(default)s)")
    rounds = parser.parse_args().rounds
    versions = wheels.history(NAME)
    theirs_python = str(wheels.python(NAME))
    ours = [sys.executable, "-c", OURS, str(ROOT / "module_utils"), str(versions)]
    # Both may keep what Python compiles of their libraries, as everywhere.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    theirs = [theirs_python, "-m", "alembic", "history"]
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "alembic.ini").write_text(f"[alembic]\nscript_location = {versions.parent}\n")
        results = [
            (run(ours, environment, ROOT), run(theirs, wheels.environment(NAME), Path(directory)))
            for _ in range(rounds + 1)
        ][1:]  # the first one fills caches: of files, and of Alembic's compiled scripts
    (_, _, taken), (_, _, listed) = results[0]
    revisions = sum(1 for line in listed.splitlines() if " -> " in line)
    if int(taken) != revisions:
        sys.exit(f"Ours finds a way of {taken.strip()} revisions, alembic history lists {revisions}.")
    ours_s, theirs_s = (min(result[side][0] for result in results) for side in (0, 1))
    ours_mb, theirs_mb = (max(result[side][1] for result in results) for side in (0, 1))
    ratio = ours_s / theirs_s
    # Beside the wheels, since its files are links to theirs.
    with tempfile.TemporaryDirectory(dir=wheels.HOME) as directory:
        place = str(release(Path(directory)))
        read, judged = ([sys.executable, "-c", code, str(ROOT / "module_utils"), place] for code in (READ, JUDGED))
        run(read, environment, ROOT)  # fills the cache of files
        read_s, read_mb, files = run(read, environment, ROOT)
        judged_s, judged_mb, _ = run(judged, environment, ROOT)
    missed = [
        name
        for name, figure, bar in (
            ("ratio", ratio, BAR),
            ("read_s", read_s, BAR_S),
            ("read_peak_mb", read_mb, BAR_MB),
            ("judged_peak_mb", judged_mb, BAR_MB),
        )
        if figure > bar
    ]
    print(f"{NAME} {wheels.WHEELS[NAME].version}, {revisions} revisions, fastest of {rounds}:")
    print(f"  ours             {ours_s:6.2f} s  {ours_mb:6.0f} MB")
    print(f"  alembic history  {theirs_s:6.2f} s  {theirs_mb:6.0f} MB")
    print(
        f"  a release read   {read_s:6.2f} s  {read_mb:6.0f} MB  {int(files)} files (at most {BAR_S} s, {BAR_MB:.0f} MB)"
    )
    print(f"  … and judged     {judged_s:6.2f} s  {judged_mb:6.0f} MB")
    print(f"  ratio            {ratio:6.3f}    (at most {BAR})")
    if missed:
        print(f"  MISSED: {', '.join(missed)}")
    figures = {
        "history_ratio": round(ratio, 3),
        "peak_mb": round(ours_mb, 1),
        "ours_s": round(ours_s, 3),
        "theirs_s": round(theirs_s, 3),
        "theirs_peak_mb": round(theirs_mb, 1),
        "read_s": round(read_s, 3),
        "read_bar_s": BAR_S,
        "read_peak_mb": round(read_mb, 1),
        "peak_bar_mb": BAR_MB,
        "read_files": int(files),
        "judged_s": round(judged_s, 3),
        "judged_peak_mb": round(judged_mb, 1),
        "revisions": revisions,
    }
    print(json.dumps(figures))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
