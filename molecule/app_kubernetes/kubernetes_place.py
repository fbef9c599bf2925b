"""A place for Hunter on Kubernetes: PostgreSQL of the laboratory, a cluster, and a way in to the application.

The cluster is the emulator of tests/cluster, unless HUNTER_KUBECONFIG names another one. There, two namespaces are made and removed again,
and HUNTER_REPOSITORY has images with the tags that README.md lists.

As a program: `kubernetes_place.py up | deploy <version> | seen | destroy`, in HUNTER_HOME.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CLUSTER = ROOT / "tests" / "cluster"
sys.path[:0] = [str(ROOT / "examples" / "hunter"), str(CLUSTER)]

from hunter import Hunter  # noqa: E402
from lab import Lab  # noqa: E402


class Place:
    """Every method can be repeated, also after an interruption."""

    def __init__(self, home: Path | str) -> None:
        self.lab = Lab(home)
        self.facts_file = self.lab.home / "cluster.json"
        self.seen_file = self.lab.home.parent / "seen.json"
        self._started: list[subprocess.Popen[bytes]] = []

    @property
    def facts(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.facts_file.read_text())
        return found

    @property
    def hunter(self) -> Hunter:
        facts = self.facts
        return Hunter(Path(facts["kubeconfig"]), facts["namespace"])

    def up(self) -> None:
        self.lab.up()
        if self.facts_file.exists():
            return
        given = os.environ.get("HUNTER_KUBECONFIG", "")
        pids = []
        kubeconfig = Path(given) if given else self.lab.home / "kubeconfig"
        if not given:
            pids.append(self._start("emulator.py", str(kubeconfig)))
            self._await(kubeconfig)
        hunter = Hunter(kubeconfig)
        url = self.lab.home / "front.url"
        facts = {"kubeconfig": str(kubeconfig), "namespace": hunter.name, "pids": pids, "url": ""}
        self.facts_file.write_text(json.dumps(facts))
        hunter.make()
        pids.append(self._start("front.py", str(kubeconfig), hunter.name, str(url)))
        self._await(url)
        uid = hunter.get("namespace", "kube-system")["metadata"]["uid"]
        more = {"url": url.read_text(), "workloads": hunter.workloads, "uid": uid, "pids": pids}
        self.facts_file.write_text(json.dumps({**facts, **more}))

    def deploy(self, version: str) -> None:
        """The schema is that of 1.0.0 in every version that is deployed here."""
        if not self.facts.get("schema"):
            self.lab.deploy("1.0.0")
            self.lab.fill(1000)
            self.facts_file.write_text(json.dumps({**self.facts, "schema": "1.0.0"}))
        self.hunter.deploy(version)

    def seen(self) -> None:
        """Note what is set and which pods there are, for the verifier."""
        self.seen_file.write_text(json.dumps([*self.noted(), self.look()]))

    def look(self) -> dict[str, Any]:
        hunter = self.hunter
        pods = [
            pod["metadata"]["uid"]
            for where in (hunter.name, hunter.agents)
            for pod in hunter.get("pods", namespace=where)
        ]
        return json.loads(json.dumps({"specs": hunter.specs(), "pods": sorted(pods)}))

    def noted(self) -> list[Any]:
        return json.loads(self.seen_file.read_text()) if self.seen_file.exists() else []

    def destroy(self) -> None:
        if self.facts_file.exists():
            with contextlib.suppress(AssertionError):  # the emulator may be gone already
                self.hunter.close()
            for pid in self.facts["pids"]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
            for process in self._started:
                process.wait()
        self.lab.destroy()
        self.seen_file.unlink(missing_ok=True)

    def _start(self, program: str, *arguments: str) -> int:
        with (self.lab.home / f"{program}.log").open("wb") as log:
            argv = [sys.executable, str(CLUSTER / program), *arguments]
            process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self._started.append(process)
        return process.pid

    def _await(self, file: Path) -> None:
        deadline = time.monotonic() + 60
        while not (file.exists() and file.read_text()):
            if time.monotonic() > deadline:
                sys.exit(f"{file} does not come to be; see the logs beside it.")
            time.sleep(0.1)


def main() -> None:
    place = Place(os.environ["HUNTER_HOME"])
    command, *arguments = sys.argv[1:]
    {"up": place.up, "deploy": place.deploy, "seen": place.seen, "destroy": place.destroy}[command](*arguments)


if __name__ == "__main__":
    main()
