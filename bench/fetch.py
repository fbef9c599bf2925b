#!/usr/bin/env python3
"""Fetching a backup: over SFTP against OpenSSH's sftp, over S3 against `aws s3 cp`, from the same servers on this machine.

Ours proves what it brings by a SHA-256 and flushes it to disk; theirs do neither. Both are processes of their own, started
alternately; the fastest of the rounds counts. The last line is JSON; exit code 1 where a bar is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "unit")]

import project  # noqa: E402, F401 - gives the project's code the names that it has on a host
import real_parts  # noqa: E402
from made_up import manifest  # noqa: E402

from ansible.module_utils.rollback.backups import files  # noqa: E402
from ansible.module_utils.rollback.backups import manifest as manifests  # noqa: E402

NAME = "backup_bench_20261122_030100.dump"
BAR, MEMORY_BAR_MB = 1.1, 150
AWS = ROOT / ".tools" / "awscli"
UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9}

OURS = """
import json, sys
from pathlib import Path
import ansible.module_utils
ansible.module_utils.__path__.append(sys.argv[1])
from ansible.module_utils.rollback.backups import fetch, sources
from ansible.module_utils.rollback.progress import Progress
(source,) = sources.opened([json.loads(sys.argv[2])])
fetch.fetch(source, sys.argv[3], Path(sys.argv[4]), Progress(""))
"""
SSHD = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {home}/host_key
AuthorizedKeysFile {home}/user_key.pub
PidFile none
StrictModes no
PermitRootLogin prohibit-password
PasswordAuthentication no
UsePAM no
Subsystem sftp internal-sftp
"""


def size_of(text: str) -> int:
    number, unit = text[:-2], text[-2:].upper()
    if not number.isdigit() or unit not in UNITS:
        raise argparse.ArgumentTypeError(f"{text} is no size, such as 1GB or 100MB")
    return int(number) * UNITS[unit]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def measured(argv: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Seconds, and peak memory in MB: of the process, or of the largest that it started."""
    began = time.monotonic()
    process = subprocess.Popen(argv, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{argv[0]} … ended with exit code {process.returncode}.")
    return time.monotonic() - began, usage.ru_maxrss / 1024


def compared(
    ours: list[str], theirs: list[str], into: Path, rounds: int, environment: dict[str, str]
) -> dict[str, float]:
    """The fastest of each, and our largest peak. What came is compared with what was there the first time."""
    ours_s, theirs_s, peak = [], [], 0.0
    for _ in range(rounds):
        for directory in (into / "ours", into / "theirs"):
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir()
        os.sync()  # what one has left to write is not the other's
        seconds, memory = measured(ours, environment)
        ours_s.append(seconds)
        peak = max(peak, memory)
        os.sync()
        theirs_s.append(measured(theirs, environment)[0])
    if files.checksums(into / "ours" / NAME) != files.checksums(into / "theirs" / NAME):
        sys.exit("What the two have brought differs.")
    return {"ours_s": min(ours_s), "theirs_s": min(theirs_s), "ratio": min(ours_s) / min(theirs_s), "peak_mb": peak}


def over_sftp(home: Path, rounds: int) -> dict[str, float]:
    port = free_port()
    for name in ("host_key", "user_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", home / name], check=True)
    (home / "known_hosts").write_text(
        f"[127.0.0.1]:{port} {' '.join((home / 'host_key.pub').read_text().split()[:2])}\n"
    )
    (home / "sshd_config").write_text(SSHD.format(port=port, home=home))
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    sshd = real_parts.find("sshd")
    if not sshd:
        sys.exit("OpenSSH's server is missing (apt-get install openssh-server).")
    server = subprocess.Popen([sshd.place, "-D", "-f", home / "sshd_config"], stdin=subprocess.DEVNULL)
    try:
        wait_for(port)
        source = {
            "name": "bench", "kind": "sftp", "host": "127.0.0.1", "port": port, "path": str(home / "bucket"),
            "key_file": str(home / "user_key"), "known_hosts": str(home / "known_hosts"),
        }  # fmt: skip
        ours = [sys.executable, "-c", OURS, str(ROOT / "module_utils"), json.dumps(source), NAME, str(home / "ours")]
        theirs = [
            "sftp", "-q", "-P", str(port), "-i", str(home / "user_key"), "-o", f"UserKnownHostsFile={home}/known_hosts",
            "-o", "IdentitiesOnly=yes", f"127.0.0.1:{home}/bucket/{NAME}", str(home / "theirs" / NAME),
        ]  # fmt: skip
        return compared(ours, theirs, home, rounds, dict(os.environ))
    finally:
        server.terminate()
        server.wait()


def over_s3(home: Path, rounds: int) -> dict[str, float]:
    if not (AWS / "bin" / "aws").exists():
        venv.create(AWS, with_pip=True)
        subprocess.run([AWS / "bin" / "python", "-m", "pip", "install", "--quiet", "awscli"], check=True)
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, ROOT / "bench" / "object_server.py", home, str(port)], stdin=subprocess.DEVNULL
    )
    environment = {
        **os.environ, "AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }  # fmt: skip
    try:
        wait_for(port)
        endpoint = f"http://127.0.0.1:{port}"
        source = {"name": "bench", "kind": "s3", "bucket": "bucket", "endpoint": endpoint, "path_style": True}
        ours = [sys.executable, "-c", OURS, str(ROOT / "module_utils"), json.dumps(source), NAME, str(home / "ours")]
        theirs = [
            str(AWS / "bin" / "aws"), "--endpoint-url", endpoint, "s3", "cp", "--quiet", f"s3://bucket/{NAME}", str(home / "theirs" / NAME),
        ]  # fmt: skip
        return compared(ours, theirs, home, rounds, environment)
    finally:
        server.terminate()
        server.wait()


def wait_for(port: int) -> None:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    sys.exit(f"Nothing listens on port {port}.")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=size_of, default=size_of("1GB"), help="size of the backup (1GB)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is run; the fastest counts (%(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        (home / "bucket").mkdir()
        path = home / "bucket" / NAME
        with path.open("wb") as file:
            for start in range(0, options.size, 2**20):
                file.write(os.urandom(min(2**20, options.size - start)))
        manifests.write(path, manifest(NAME, format="custom", files=files.checksums(path)))
        results = {"sftp": over_sftp(home, options.rounds), "s3": over_s3(home, options.rounds)}
    peak = max(result["peak_mb"] for result in results.values())
    print(f"{options.size / 10**6:.0f} MB, fastest of {options.rounds}:")
    for (kind, result), baseline in zip(results.items(), ("sftp", "aws s3 cp"), strict=True):
        missed = "" if result["ratio"] <= BAR else "MISSED"
        print(
            f"  {kind:5} ours {result['ours_s']:6.2f} s, {baseline} {result['theirs_s']:6.2f} s,"
            f" ratio {result['ratio']:5.3f} (at most {BAR}) {missed}".rstrip()
        )
    print(f"  peak  {peak:.0f} MB (at most {MEMORY_BAR_MB}) {'' if peak <= MEMORY_BAR_MB else 'MISSED'}".rstrip())
    figures = {
        "sftp_ratio": round(results["sftp"]["ratio"], 3),
        "s3_ratio": round(results["s3"]["ratio"], 3),
        "peak_mb": round(peak, 1),
    }
    figures |= {
        f"{kind}_{side}": round(result[side], 3) for kind, result in results.items() for side in ("ours_s", "theirs_s")
    }
    print(json.dumps(figures))
    return 0 if max(figures["sftp_ratio"], figures["s3_ratio"]) <= BAR and peak <= MEMORY_BAR_MB else 1


if __name__ == "__main__":
    sys.exit(main())
