"""A place where Hunter runs, commands as a user types them, and fingerprints that show whether anything changed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.rollback.backups import files
from ansible.module_utils.rollback.backups import manifest as manifests
from ansible.module_utils.rollback.postgres import census, settings

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "examples" / "hunter"))
from lab import Lab  # noqa: E402

ROWS = 20_000
REASON = "the API answers 500"


def made(bad: str = "1.1.0") -> Iterator["Place"]:
    """A place on the day when version `bad` came, for as long as the caller needs it."""
    # Not below pytest's own directory: every run of pytest closes that to the user as whom PostgreSQL runs.
    place = Place(Path(tempfile.mkdtemp(prefix="rollback-place-")))
    try:
        place.begin(bad=bad)
        yield place
    finally:
        place.lab.destroy()


@dataclass(frozen=True)
class Answer:
    """What a command printed, and its exit code."""

    code: int
    output: str

    def __contains__(self, words: str) -> bool:
        """Whether the output has these words, wherever lines were broken."""
        return " ".join(words.split()) in " ".join(self.output.split())


class Place:
    """One laboratory, with the project's playbooks pointed at it."""

    def __init__(self, home: Path, postgres_bin: Path | None = None) -> None:
        self.home = home
        self.reports = home / "reports"
        self.lab = Lab(home, postgres_bin=postgres_bin, say=lambda line: None)

    def begin(self, rows: int = ROWS, bad: str = "1.1.0", **backup: object) -> None:
        """A good day, a proven backup, a release point; then the bad release, and users who write."""
        self.lab.up()
        self.lab.deploy("1.0.0")
        self.lab.fill(rows)
        self.must("playbooks/backup.yml", next=bad, **backup)
        self.must("playbooks/record_release.yml")
        self.lab.deploy(bad)
        self.lab.use(20)
        self.wait_for_worker()

    def wait_for_worker(self) -> None:
        """Until the second writer has nothing left to do: a fingerprint needs a database at rest."""
        with self.lab.connect() as connection:
            for _ in range(200):
                (waiting,) = connection.execute("SELECT count(*) FROM scan_jobs WHERE state = 'queued'").fetchone()
                if not waiting:
                    return
                time.sleep(0.1)
        raise AssertionError(f"the worker left {waiting} jobs undone")

    def command(self, playbook: str, *options: str, **variables: object) -> list[str]:
        given = {"rollback_report_dir": str(self.reports), **variables}
        said = [word for name, value in given.items() for word in ("-e", json.dumps({name: value}))]
        return [str(Path(sys.executable).with_name("ansible-playbook")), playbook, *options, *said]

    @property
    def environment(self) -> dict[str, str]:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return {**os.environ, "HUNTER_HOME": str(self.home), "PATH": path, "ANSIBLE_FORCE_COLOR": "0", "NO_COLOR": "1"}

    def run(self, playbook: str, *options: str, **variables: object) -> Answer:
        """Run a playbook with `variables` as -e, in the repository, as a user would."""
        done = subprocess.run(
            self.command(playbook, *options, **variables),
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return Answer(done.returncode, done.stdout)

    def must(self, playbook: str, *options: str, **variables: object) -> Answer:
        answer = self.run(playbook, *options, **variables)
        assert answer.code == 0, answer.output
        return answer

    # What is there -----------------------------------------------------------------------------------------------

    @property
    def facts(self) -> dict[str, Any]:
        return self.lab.facts

    @property
    def environment_dir(self) -> Path:
        return Path(self.facts["state_dir"]) / "local"

    @property
    def backups(self) -> Path:
        return Path(self.facts["backup_dir"])

    def backup(self) -> Path:
        """The backup of the release point."""
        return next(path for path in sorted(self.backups.iterdir()) if not path.name.endswith(".manifest.json"))

    def report(self) -> dict[str, Any]:
        """The report of the newest run."""
        newest = max((self.environment_dir / "runs").iterdir(), key=lambda path: path.name)
        return json.loads((newest / "report.json").read_text())

    def census(self, database: str) -> census.Census:
        """Everything in a database, every row hashed, seen by the superuser."""
        with self.lab.connect(database) as connection, census.snapshot(connection):
            return census.take(connection, content=True)

    def content(self, database: str) -> dict[str, Any]:
        """What two databases must share to be called the same: rows, sequences, objects, revision, and settings."""
        found = self.census(database)
        with self.lab.connect("postgres") as connection:
            outside = settings.read(connection, database).as_dict()
        return {
            "tables": {name: (table.rows, table.content) for name, table in found.tables.items()},
            "sequences": found.sequences,
            "objects": found.objects,
            "heads": found.alembic_heads,
            "settings": outside,
        }

    def databases(self) -> dict[str, int]:
        with self.lab.connect("postgres") as connection:
            return dict(connection.execute("SELECT datname, oid::int8 FROM pg_database").fetchall())

    def fingerprint(self) -> dict[str, Any]:
        """Databases, files and processes of the place: equal before and after whatever must change nothing."""
        return {
            "databases": self.databases(),
            "hunter": self.content("hunter"),
            "state": tree(Path(self.facts["state_dir"])),
            "backups": tree(self.backups),
            "app": tree(Path(self.facts["app_dir"])),
            "processes": self.lab.status()["pids"],
        }


def tree(directory: Path) -> dict[str, str]:
    """Every file below with the hash of its content, every link with its target."""
    found = {}
    for path in sorted(directory.rglob("*")):
        name = str(path.relative_to(directory))
        if "__pycache__" in name:
            continue
        if path.is_symlink():
            found[name] = str(path.readlink())
        elif path.is_file():
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        else:
            found[name] = "directory"
    return found


def copy_backup(backup: Path, to: Path, **changes: object) -> Path:
    """A copy of `backup` under the name `to`, whose manifest agrees with it, and says `changes` besides."""
    shutil.copytree(backup, to) if backup.is_dir() else shutil.copyfile(backup, to)
    content = json.loads(manifests.path_for(backup).read_text())
    content.update(backup=to.name)
    manifests.path_for(to).write_text(json.dumps(content))
    if changes:
        change_manifest(to, **changes)
    else:
        remake_checksums(to)
    return to


def change_manifest(backup: Path, **changes: object) -> None:
    path = manifests.path_for(backup)
    content = json.loads(path.read_text())
    for name, value in changes.items():
        (content["census"] if name in content["census"] else content)[name] = value
    path.write_text(json.dumps(content))
    remake_checksums(backup)


def remake_checksums(backup: Path) -> None:
    """Let the manifest agree with whatever the files are now: what is left to find the damage is reading them."""
    path = manifests.path_for(backup)
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "files": files.checksums(backup)}))
