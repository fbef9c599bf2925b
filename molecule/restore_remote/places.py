"""`up` starts an SFTP server and an S3 service that go on until `down`, and writes how they are reached into places.json."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "integration")]
EPHEMERAL = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
FACTS = EPHEMERAL / "places.json"
WITHIN_S = 120


def serve() -> None:
    from stores import S3Service, SftpServer

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    servers = []
    try:
        servers += [SftpServer(EPHEMERAL / "sftp"), S3Service()]
        sftp, s3 = servers
        facts = {"pid": os.getpid(), "sftp": sftp.source(), "s3": s3.source()}
        FACTS.with_suffix(".new").write_text(json.dumps(facts))
        FACTS.with_suffix(".new").rename(FACTS)
        while True:
            signal.pause()
    finally:
        for server in servers:
            server.stop()


def up() -> None:
    with (EPHEMERAL / "places.log").open("w") as log:
        subprocess.Popen([sys.executable, __file__, "serve"], start_new_session=True, stdout=log, stderr=log)
    for _ in range(WITHIN_S * 10):
        if FACTS.exists():
            return
        time.sleep(0.1)
    sys.exit((EPHEMERAL / "places.log").read_text())


def down() -> None:
    if FACTS.exists():
        pid = json.loads(FACTS.read_text())["pid"]
        command = Path(f"/proc/{pid}/cmdline")
        if command.exists() and str(Path(__file__)).encode() in command.read_bytes():
            os.kill(pid, signal.SIGTERM)
            with suppress(ProcessLookupError):
                for _ in range(200):
                    os.kill(pid, 0)
                    time.sleep(0.05)
        FACTS.unlink()


if __name__ == "__main__":
    {"serve": serve, "up": up, "down": down}[sys.argv[1]]()
