"""Migration histories that nobody here wrote: wheels from PyPI, unpacked below .tools/histories, and a Python to run them.

Nothing of them is in this repository. The first call that needs a wheel downloads it; its checksum is pinned, so that the
truth measured with one machine's wheel holds for another's. The migrations run in an environment of their own, which
holds what they import (requirements.txt beside this file) and never sees our tools; the wheel itself is on the path.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
HOME = ROOT / ".tools" / "histories"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")


@dataclass(frozen=True)
class Wheel:
    """One row: a pinned wheel, where in it the migrations lie, and what the application wants to find when it is imported.

    Where the first migration is not the beginning of the schema, `models_at_base` (`module:Base`) or `sql_at_base` (a file
    beside this one) is. An application that makes its tables from `models_at_head` and never runs its oldest migrations
    is taken down from there. `environment` may name a directory for the application with `{home}`.
    """

    version: str
    sha256: str
    versions: str
    models_at_head: str = ""
    models_at_base: str = ""
    sql_at_base: str = ""
    driver: str = "psycopg2"
    environment: dict[str, str] = field(default_factory=dict)


WHEELS = {
    "mlflow": Wheel(
        "3.17.2",
        "4e44c03791beb518d8b0a40b0982d958c2634d902f46d67d7907c82107f21fac",
        "mlflow/store/db_migrations/versions",
        models_at_base="mlflow.store.tracking.dbmodels.initial_models:Base",
    ),
    "apache-airflow-core": Wheel(
        "3.3.2",
        "99258922bccec15be4700ff89f3c942b8acd93407e263c287ce863e671bb3c50",
        "airflow/migrations/versions",
        environment={"AIRFLOW_HOME": "{home}/airflow", "AIRFLOW__CORE__UNIT_TEST_MODE": "False"},
    ),
    "jupyterhub": Wheel(
        "6.1.1",
        "ae20ed7b3d7cef1dd5d51e28723fd53853d69f732e7a9e84a73136acab454248",
        "jupyterhub/alembic/versions",
        models_at_head="jupyterhub.orm:Base",
        sql_at_base="jupyterhub.sql",
    ),
    "optuna": Wheel(
        "5.0.0",
        "5fff892ae6baf4948c810c5b8635ec67e08efb0709b41cb73b14e30391d44720",
        "optuna/storages/_rdb/alembic/versions",
        models_at_head="optuna.storages._rdb.models:BaseModel",
    ),
    "prefect": Wheel(
        "3.8.8",
        "1ed2f23d07ce5198d2bf9bee0d03262717eac2727e1fa0c9ccb6024722f01a3b",
        "prefect/server/database/_migrations/versions/postgresql",
        driver="asyncpg",
        environment={"PREFECT_HOME": "{home}/prefect"},
    ),
    "argilla-server": Wheel(
        "2.8.0",
        "e21a5c979ef6536fca634dc957469daca8fb09440c39b2fbeefb223459cc61e0",
        "argilla_server/alembic/versions",
    ),
}


def history(name: str) -> Path:
    """The directory of the migrations of `name`, a key of WHEELS."""
    return source(name) / WHEELS[name].versions


def source(name: str) -> Path:
    """The directory that is to stand on the path for the migrations to import their own package: the unpacked wheel."""
    wheel = WHEELS[name]
    place = HOME / f"{name}-{wheel.version}"
    with _one_at_a_time():
        if not place.exists():
            with tempfile.TemporaryDirectory(dir=HOME) as temporary:
                whole = Path(temporary) / "whole"
                with zipfile.ZipFile(_download(name, wheel, Path(temporary))) as archive:
                    archive.extractall(whole)
                whole.rename(place)
    return place


def python(name: str) -> Path:
    """The Python in which the migrations of `name` run, with `environment(name)`. All of them share one."""
    source(name)
    interpreter = HOME / "venv" / "bin" / "python"
    stamp = HOME / "venv" / "installed"
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    with _one_at_a_time():
        if not (stamp.exists() and stamp.read_text() == wanted):
            shutil.rmtree(HOME / "venv", ignore_errors=True)
            venv.create(HOME / "venv", with_pip=True, symlinks=True)
            _pip(interpreter, "install", "--no-compile", "--no-deps", "--requirement", str(REQUIREMENTS))
            stamp.write_text(wanted)
    return interpreter


def environment(name: str) -> dict[str, str]:
    """The environment in which the migrations of `name` run: none of our variables but those any program needs."""
    own = {key: value.format(home=HOME / "homes") for key, value in WHEELS[name].environment.items()}
    kept = {key: os.environ[key] for key in ("HOME", "LANG", "LC_ALL", "TMPDIR", "TZ") if key in os.environ}
    path = f"{HOME / 'venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return {**kept, "PATH": path, "PYTHONPATH": str(source(name)), **own}


def _download(name: str, wheel: Wheel, directory: Path) -> Path:
    _pip(
        Path(sys.executable),
        *("download", "--no-deps", "--only-binary", ":all:", "--dest", str(directory), f"{name}=={wheel.version}"),
    )
    (path,) = directory.glob("*.whl")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != wheel.sha256:
        raise ValueError(f"{path.name} has the checksum {found}, and {wheel.sha256} was pinned in wheels.py.")
    return path


def _pip(interpreter: Path, *arguments: str) -> None:
    command = [interpreter, "-m", "pip", "--quiet", "--no-input", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    if done.returncode != 0:
        errors = [line for line in done.stderr.splitlines() if not line.startswith("WARNING")]
        raise RuntimeError("\n".join([f"pip {arguments[0]} failed.", *errors]))


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Test processes start together, and each finds the wheel missing."""
    HOME.mkdir(parents=True, exist_ok=True)
    with (HOME / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
