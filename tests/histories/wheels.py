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
    is taken down from there. `naming` is its naming convention for constraints. `environment` may name a directory for the application with `{home}`.

    A wheel that is not `measured` is only judged: its migrations are read and never run, and only its Python is unpacked.
    `hollow` names packages of the application whose `__init__` would start all of it: their modules are imported without it.
    Where some are named, what the application imports and nobody installed is replaced by a stand-in (migrate.py).
    """

    version: str
    sha256: str
    versions: str
    models_at_head: str = ""
    models_at_base: str = ""
    sql_at_base: str = ""
    naming: str = ""
    driver: str = "psycopg2"
    environment: dict[str, str] = field(default_factory=dict)
    measured: bool = True
    hollow: tuple[str, ...] = ()


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
    "arize-phoenix": Wheel(
        "20.26.1",
        "dd318844cba1d7021d8accaa995b7f3716d559eab4afb549dfb1017dd51bab56",
        "phoenix/db/migrations/versions",
        hollow=("phoenix",),
    ),
    "bodhi-server": Wheel(
        "26.4.0",
        "65803c4fc5d8393ef3f972b183b1aa0f22a7855298daf0708052a56a8efa98d9",
        "bodhi/server/migrations/versions",
        models_at_head="bodhi.server.models:Base",
        hollow=("bodhi", "bodhi.server"),
    ),
    "buildbot": Wheel(
        "4.3.0",
        "5cd502825b1bbacda2ac0b24e6da5107dbbc2c54f80cd53100f85a5b2e30c400",
        "buildbot/db/migrations/versions",
        models_at_head="buildbot.db.model:Model",
        hollow=("buildbot", "buildbot.util"),
    ),
    "ckan": Wheel(
        "2.12.0",
        "3b41cb4860286813fbcd18c57341e96edba266e2e492aeea92c4e03ce9e2934e",
        "ckan/migration/versions",
    ),
    "conda-store-server": Wheel(
        "2025.2.2",
        "ea9bc3d61ec7f61f7ad6b1c28ae719dc06a9e36d04e22ff3bb869189a456784e",
        "conda_store_server/_internal/alembic/versions",
    ),
    "fractal-server": Wheel(
        "2.18.5",
        "750803f74b45306e8fd853a53d41e3a74cdb36bdb1750de6c0d6a222172e541a",
        "fractal_server/migrations/versions",
        naming="fractal_server.migrations.naming_convention:NAMING_CONVENTION",
    ),
    "anitya": Wheel(
        "2.3.0",
        "439b48d8111fd6eb51486ba35d00be59ac8d2c0add542ec45bad3970b0a976d6",
        "anitya/db/migrations/versions",
        models_at_head="anitya.db.models:Base",
        hollow=("anitya",),
    ),
    "langflow-base": Wheel(
        "1.13.0",
        "e15db23e16cf27d6d1ac8fcc5030cf25ad3a04356a9581862b4e97de739dd3a2",
        "langflow/alembic/versions",
        hollow=("langflow",),
    ),
    "open-webui": Wheel(
        "0.12.4",
        "02e9caba96234db3fa17a92e56163b3f7f2b8ca8227fa886b85c178d696483f6",
        "open_webui/migrations/versions",
        hollow=("open_webui", "open_webui.internal"),
    ),
    "ihatemoney": Wheel(
        "7.2.1",
        "19742d7c6d08ee5675b97beefc7c40f1e07fe8ee2124a1036f5679f20ff9e324",
        "ihatemoney/migrations/versions",
        hollow=("ihatemoney",),
    ),
    "manila": Wheel(
        "23.0.1",
        "3237549ee1dc3fc0846190db6e657a9cc4e56f220c95baa9f48cbd1c550536c6",
        "manila/db/migrations/alembic/versions",
        hollow=("manila",),
    ),
    "apache-superset": Wheel(
        "6.1.0",
        "4b5886b2d6389a32df790aeae2532ad72529bce1af93b6edf2d1b2a8bf658748",
        "superset/migrations/versions",
        measured=False,
    ),
    "dagster": Wheel(
        "1.13.29",
        "65f7bf2f52c0c1219cb1ca63a1f0f95a1af83d12e94ebec7598e47ee49889859",
        "dagster/_core/storage/alembic/versions",
        measured=False,
    ),
    "flexmeasures": Wheel(
        "1.0.1",
        "72dc8779344f908c19bb589d184394567f45a25dda3e3d8956f2e25036fd8386",
        "flexmeasures/data/migrations/versions",
        measured=False,
    ),
    "galaxy-data": Wheel(
        "26.1.2",
        "c2a6ae5002f410506328ec748c749c0cf066d7b341f48c5b653b76f825173bf9",
        "galaxy/model/migrations/alembic/versions_gxy",
        measured=False,
    ),
    "indico": Wheel(
        "3.2.9",
        "194d2e31ccaabd2b9af7809e67d60d942faee35a6b4de36f0c2c280a32ed84c3",
        "indico/migrations/versions",
        measured=False,
    ),
    "lemur": Wheel(
        "1.9.3",
        "22d5d8723b4b8617dd4d648a483fc352bbc34e90e7546b2d9ad8b40d753a8f7b",
        "lemur/migrations/versions",
        measured=False,
    ),
    "mailman": Wheel(
        "3.3.10",
        "0f63ed38efa938357074e993d6a9b2d81bedaab92f5b3ecdd519890259893f37",
        "mailman/database/alembic/versions",
        measured=False,
    ),
    "mistral": Wheel(
        "23.0.0",
        "6cd92af6e0b5850a794db65784fa340ce174fdba9227f67707fa8b8c36c35f1c",
        "mistral/db/sqlalchemy/migration/alembic_migrations/versions",
        measured=False,
    ),
    "octavia": Wheel(
        "19.0.0",
        "63e1396b940cab6d9e0fd8d3907bc74886a0e1cf77547cc4d8c7da5987fc961c",
        "octavia/db/migration/alembic_migrations/versions",
        measured=False,
    ),
    "privacyidea": Wheel(
        "3.14",
        "86a24cbffa8a7316eab93eb220b4d8710ea68af2390990d0dddd58d7bd6947b1",
        "privacyidea/migrations/versions",
        measured=False,
    ),
    "tiled": Wheel(
        "0.2.20",
        "4086fb9db00622e9da977874863461f2eca5af1058c289e245fb959cc0697b02",
        "tiled/catalog/migrations/versions",
        measured=False,
    ),
    "zenml": Wheel(
        "0.98.0",
        "801ffbe1821bd48dfc03c9fd5519f5a7d4387d86b3d48d08bd2057dfcde5ad30",
        "zenml/zen_stores/migrations/versions",
        measured=False,
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
                    names = archive.namelist()
                    archive.extractall(
                        whole, names if wheel.measured else [one for one in names if one.endswith(".py")]
                    )
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


def measured() -> list[str]:
    """The keys of WHEELS whose migrations are run as well as read."""
    return [name for name, wheel in WHEELS.items() if wheel.measured]


def environment(name: str) -> dict[str, str]:
    """The environment in which the migrations of `name` run: none of our variables but those any program needs."""
    own = {key: value.format(home=HOME / "homes") for key, value in WHEELS[name].environment.items()}
    kept = {key: os.environ[key] for key in ("HOME", "LANG", "LC_ALL", "TMPDIR", "TZ") if key in os.environ}
    path = f"{HOME / 'venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return {**kept, "PATH": path, "PYTHONPATH": str(source(name)), **own}


def _download(name: str, wheel: Wheel, directory: Path) -> Path:
    _pip(
        Path(sys.executable),
        *(
            "download",
            "--no-deps",
            "--only-binary",
            ":all:",
            "--ignore-requires-python",
            "--dest",
            str(directory),
            f"{name}=={wheel.version}",
        ),
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
