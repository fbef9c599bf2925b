"""Hunter as images, and a registry to keep them in, where nothing can be pulled. See README.md.

The base image is made by debootstrap, Hunter's packages come from where pip finds them, the registry is Debian's
docker-registry. Needs a Docker engine, debootstrap and root for the base, docker-registry for `registry`.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

HERE = Path(__file__).resolve().parent
# Debian with Python and nginx. It stays on the engine, since it takes half a minute to make.
BASE = "rollback-lab/debian:bookworm"
BASE_PACKAGES = "python3,nginx-light"
BASE_PYTHON = "3.11"
PACKAGES = HERE.parents[1] / ".tools" / "hunter-packages"
BASE_VERSION = "1.0.0"
ADMIN_PATH = "/usr/sbin:/usr/local/sbin"  # a user's PATH on Debian lacks it
PATIENCE_S = 30.0


class ImageError(Exception):
    """One sentence for the person at the terminal."""


@dataclass(frozen=True)
class Registry:
    """`address` is host and port; `data` is where it keeps what was pushed."""

    address: str
    data: Path
    process: subprocess.Popen[bytes]


def docker(*arguments: object, cwd: Path | None = None, environment: Mapping[str, str] | None = None) -> str:
    """What the client prints. Raises ImageError with its last word."""
    argv = ["docker", *map(str, arguments)]
    return _run(argv, cwd=cwd, env={**os.environ, **(environment or {})})


def base_image() -> str:
    """Debian with Python and nginx, made where the engine does not have it yet."""
    if docker("image", "ls", "--quiet", BASE):
        return BASE
    with tempfile.TemporaryDirectory(prefix="rollback-base-") as directory:
        root = Path(directory) / "root"
        _run([_program("debootstrap"), "--variant=minbase", f"--include={BASE_PACKAGES}", "bookworm", str(root)])
        # What only apt needs; a third of the image.
        for path in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale"):
            shutil.rmtree(root / path, ignore_errors=True)
        with subprocess.Popen(["tar", "-C", str(root), "-c", "."], stdout=subprocess.PIPE) as packed:
            _run(["docker", "import", "-", BASE], stdin=packed.stdout)
    return BASE


def packages() -> Path:
    """Directory with Hunter's packages, for the Python of the base image."""
    requirements = HERE / "requirements.txt"
    found = PACKAGES / hashlib.sha256(requirements.read_bytes()).hexdigest()[:16]
    if found.exists():
        return found
    PACKAGES.mkdir(parents=True, exist_ok=True)
    machine = platform.machine()
    wheels = ["--only-binary=:all:", "--implementation=cp", f"--python-version={BASE_PYTHON}"]
    wheels += [f"--platform=manylinux_2_28_{machine}", f"--platform=manylinux2014_{machine}"]
    with tempfile.TemporaryDirectory(dir=PACKAGES) as directory:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--no-compile", "--no-deps"]
        _run([*pip, "--require-hashes", *wheels, "--target", f"{directory}/packages", "-r", str(requirements)])
        with contextlib.suppress(OSError):  # another process was faster
            (Path(directory) / "packages").rename(found)
    return found


def release(version: str, into: Path) -> Path:
    """The release directory of a version."""
    layers = [HERE / "app"] if version == BASE_VERSION else [HERE / "app", HERE / version]
    if not version[:1].isdigit() or not all(layer.is_dir() for layer in layers):
        raise ImageError(f"There is no Hunter {version}.")
    for layer in layers:
        shutil.copytree(layer, into, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    return into


def build(repository: str, version: str, push: bool = True, labels: bool = True, tag: str = "") -> str:
    """`repository:version`, or under another tag, built and pushed; returns it by digest, or by id where it is not pushed.

    Without `labels` it is an image that says neither its version nor its heads, as most of them are.
    """
    name = f"{repository}:{tag or version}"
    with tempfile.TemporaryDirectory(prefix="rollback-image-") as directory:
        context = Path(directory)
        copied = release(version, context / "release")
        shutil.copytree(packages(), context / "packages", copy_function=os.link if _same_disk(context) else shutil.copy)
        arguments = {"BASE": base_image()}
        if labels:
            arguments |= {"VERSION": version, "HEADS": ",".join(_heads(copied))}
        given = [word for key, value in arguments.items() for word in ("--build-arg", f"{key}={value}")]
        # The builder that every engine has; BuildKit's is a plugin that Debian does not bring.
        old = {"DOCKER_BUILDKIT": "0"}
        docker("build", "--quiet", "--tag", name, *given, "--file", HERE / "Dockerfile", context, environment=old)
    if not push:
        return docker("image", "inspect", "--format", "{{.Id}}", name)
    docker("push", "--quiet", name)
    return digest(name)


def digest(name: str) -> str:
    """`repository@sha256:…` of an image that was pushed as `name`."""
    repository = name.rpartition(":")[0]
    known = json.loads(docker("image", "inspect", "--format", "{{json .RepoDigests}}", name))
    return next(str(one) for one in known if one.startswith(f"{repository}@"))


def forget(*names: str) -> None:
    """Take images from the engine, as a prune does; what other tags keep stays."""
    for name in names:
        subprocess.run(["docker", "image", "rm", "--force", name], check=False, capture_output=True)


def forget_all(repository: str, *digests: str) -> None:
    """Every tag of a repository, and these digests."""
    forget(*docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", repository).split(), *digests)


@contextlib.contextmanager
def registry(user: str = "", password: str = "", data: Path | None = None) -> Iterator[Registry]:
    """A registry for as long as it lasts, see `start_registry`. `data` may be another one's."""
    with tempfile.TemporaryDirectory(prefix="rollback-registry-") as home:
        found = start_registry(Path(home), user, password, data)
        try:
            yield found
        finally:
            found.process.terminate()
            found.process.wait()


def start_registry(home: Path, user: str = "", password: str = "", data: Path | None = None) -> Registry:
    """A registry on loopback, which engines trust without TLS; it goes on after this program. With `user` it lets in nobody else."""
    home.mkdir(exist_ok=True)
    address, data = f"127.0.0.1:{free_port()}", data or home / "data"
    config: dict[str, Any] = {
        "version": "0.1",
        "storage": {"filesystem": {"rootdirectory": str(data)}, "delete": {"enabled": True}},
        "http": {"addr": address},
    }
    if user:
        import bcrypt

        known = home / "htpasswd"
        known.write_text(f"{user}:{bcrypt.hashpw(password.encode(), bcrypt.gensalt(rounds=4)).decode()}\n")
        config["auth"] = {"htpasswd": {"realm": "hunter", "path": str(known)}}
    (home / "config.yml").write_text(json.dumps(config))  # JSON is YAML
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [_program("docker-registry"), "serve", str(home / "config.yml")],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    _wait_for_registry(address)
    return Registry(address, data, process)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def bridge() -> str:
    """Address of this host on Docker's default bridge, to which containers resolve `host-gateway`."""
    option = '{{index .Options "com.docker.network.bridge.name"}}'
    name = docker("network", "inspect", "bridge", "--format", option)
    found = [entry.address for entry in psutil.net_if_addrs().get(name, []) if entry.family == socket.AF_INET]
    if not found:
        raise ImageError(f"Docker's bridge {name} has no address on this host.")
    return found[0]


def _wait_for_registry(address: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://{address}/v2/", timeout=2):
                return
        except urllib.error.HTTPError:  # it wants to know who asks
            return
        except OSError:
            time.sleep(0.05)
    raise ImageError(f"The registry on {address} does not answer.")


def _heads(directory: Path) -> list[str]:
    said = _run([sys.executable, "-m", "alembic", "heads"], cwd=directory)
    return [line.split()[0] for line in said.splitlines() if line.strip()]


def _same_disk(context: Path) -> bool:
    """Whether packages can be linked into a context instead of copied."""
    return context.stat().st_dev == PACKAGES.stat().st_dev


def _program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:{ADMIN_PATH}")
    if not found:
        raise ImageError(f"{name} is missing: apt-get install {name}.")
    return found


def _run(argv: list[str], cwd: Path | None = None, env: Mapping[str, str] | None = None, stdin: Any = None) -> str:
    done = subprocess.run(
        argv, cwd=cwd, env=env, stdin=stdin or subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines() or ["it said nothing"]
        raise ImageError(f"{' '.join(argv[:3])} … failed: {said[-1]}")
    return done.stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description="Hunter as an image.")
    parser.add_argument("version", help="such as 1.0.0")
    parser.add_argument("--repository", default="hunter", help="name without tag (%(default)s)")
    parser.add_argument("--push", action="store_true", help="to the registry that the name says")
    arguments = parser.parse_args()
    try:
        print(build(arguments.repository, arguments.version, arguments.push))
    except ImageError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
