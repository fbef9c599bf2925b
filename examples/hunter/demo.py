"""`make demo`: Hunter is deployed and recorded, a bad release breaks it, and the main job brings it back.

Everything happens in a throwaway place (`lab.py`) below `.demo`; nothing is left running.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from lab import Lab, LabError

ROOT = Path(__file__).resolve().parents[2]
ROLLBACK = ["rollback.yml", "-e", "method=restore", "-e", "reason=The API answers 500 since 1.1.0"]


def main() -> int:
    parser = argparse.ArgumentParser(description="Break the example application and roll it back.")
    parser.add_argument("--rows", type=int, default=220_000, help="rows of sample data (%(default)s)")
    parser.add_argument("--keep", action="store_true", help="leave it running, to look around and to try undo.yml")
    options = parser.parse_args()
    lab = Lab(ROOT / ".demo", say=lambda line: print(f"  {line}", flush=True))
    began = time.monotonic()
    try:
        lab.destroy()
        play(lab, options.rows)
        summary(lab, time.monotonic() - began)
    except (LabError, DemoError, subprocess.CalledProcessError) as error:
        print(f"\nThe demo failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130
    finally:
        if options.keep:
            print(f"\nIt is still running. Stop it with: {lab_command('destroy')}")
        else:
            lab.down()
    return 0


class DemoError(Exception):
    """The demo did not show what it promises."""


def play(lab: Lab, rows: int) -> None:
    """The story, with the commands that a user would type."""
    chapter("1. A good day: Hunter 1.0.0 serves, with its data")
    lab.up()
    lab.deploy("1.0.0")
    lab.fill(rows)

    chapter("2. Before the next deployment: a proven backup, and a release point to return to")
    ansible(lab, ["playbooks/backup.yml", "-e", "next=1.1.0"])
    ansible(lab, ["playbooks/record_release.yml"])

    chapter("3. A bad day: 1.1.0 is deployed; its migration destroys data, its API fails, users go on writing")
    lab.deploy("1.1.0")
    lab.use()

    chapter("4. The rollback")
    ansible(lab, ROLLBACK)

    chapter("5. Was it true?")
    check(lab)


def check(lab: Lab) -> None:
    """Count both databases ourselves, and compare with what backup and report say."""
    report = last_report(lab)
    manifest = json.loads(Path(report["plan"]["backup"]["path"] + ".manifest.json").read_text())
    expected = {name: table["rows"] for name, table in manifest["census"]["tables"].items()}
    found = count(lab, report["plan"]["database"]["name"], list(expected))
    if found != expected:
        raise DemoError(f"the rows are {found}, the release point's are {expected}")
    print(f"  {sum(found.values()):,} rows in {len(found)} tables: each table as in the release point.")
    newer = {row["table"]: row["now"] for row in report["plan"]["forecast"] if row["now"] is not None}
    kept = count(lab, report["set_aside"], list(newer))
    if kept != newer:
        raise DemoError(f"the database set aside holds {kept}, not {newer}")
    print(
        f"  {report['set_aside']} holds what users wrote since: {kept['public.audit_log'] - expected['public.audit_log']} more audit entries, for one."
    )


def summary(lab: Lab, seconds: float) -> None:
    report = last_report(lab)
    chapter("In words")
    said = {
        "What was wrong": report["plan"]["evidence"],
        "What was done": [
            "the backup was restored beside the live database, compared with its manifest, and swapped in;",
            f"{report['outage']} without service, of which the database was closed for {report['closed_s'] * 1000:.0f} ms",
        ],
        "Time": [f"{report['elapsed']} from the command to verified service; the target is {report['target']}"],
        "Set aside": [f"database {report['set_aside']}, with everything that users wrote to 1.1.0"],
        "Report": [f"reports/{report['run']}.html (also .md and .json)"],
        "To undo it": [f"{lab_command('up')}   (while it is stopped)", f".venv/bin/{report['next']}"],
        "The whole demo": [f"{seconds:.0f} s"],
    }
    for name, lines in said.items():
        for index, line in enumerate(lines):
            print(f"  {name if index == 0 else '':16}{line}")


def ansible(lab: Lab, arguments: list[str]) -> None:
    """Run ansible-playbook as a user would, in front of their eyes. Raises CalledProcessError where it fails."""
    shown = " ".join(
        argument if " " not in argument else f"{argument.partition('=')[0]}='{argument.partition('=')[2]}'"
        for argument in arguments
    )
    print(f"\n$ ansible-playbook {shown}", flush=True)
    playbook = str(Path(sys.executable).with_name("ansible-playbook"))
    environment = {
        **os.environ,
        "HUNTER_HOME": str(lab.home),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    subprocess.run([playbook, *arguments], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, check=True)


def last_report(lab: Lab) -> dict:
    runs = sorted(Path(lab.facts["state_dir"], "local", "runs").glob("*-restore"))
    return json.loads((runs[-1] / "report.json").read_text())


def count(lab: Lab, database: str, tables: list[str]) -> dict[str, int]:
    with lab.connect(database) as connection:
        return {table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables}


def lab_command(name: str) -> str:
    return f".venv/bin/python examples/hunter/lab.py {name}"


def chapter(title: str) -> None:
    print(f"\n\033[1m{title}\033[0m" if sys.stdout.isatty() else f"\n{title}\n{'-' * len(title)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
