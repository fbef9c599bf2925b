"""Stands in for the way in to the application: answers with the version that its ready pods run, as they would.

Emulated pods answer nobody, so their readiness is asked of the API, every moment, with kubectl. Of 1.0.1, `/api/v1/leads` answers 500:
that is the bad release. Without a ready pod, or with different versions, it says 503.

As a program: `front.py <kubeconfig> <namespace> <file for its URL>`; it ends with SIGTERM.
"""

from __future__ import annotations

import http.server
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

LOOK_EVERY_S = 0.3
BROKEN = {"1.0.1": ["/api/v1/leads"]}


class Front:
    def __init__(self, kubeconfig: str, namespace: str) -> None:
        self.kubectl = ["kubectl", "--kubeconfig", kubeconfig, "--namespace", namespace]
        self.version = ""

    def look(self) -> str:
        """The version of every ready pod; empty where there is none, or several."""
        done = subprocess.run(
            [*self.kubectl, "get", "pods", "--selector=app=api", "--output=json"], capture_output=True, check=False
        )
        pods = json.loads(done.stdout)["items"] if done.returncode == 0 else []
        images = {
            pod["spec"]["containers"][0]["image"]
            for pod in pods
            if not pod["metadata"].get("deletionTimestamp")
            and any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions", ()))
        }
        versions = {image.partition("@")[0].rpartition(":")[2] for image in images}
        return versions.pop() if len(versions) == 1 else ""

    def keep_looking(self) -> None:
        while True:
            self.version = self.look()
            time.sleep(LOOK_EVERY_S)


class Handler(http.server.BaseHTTPRequestHandler):
    front: Front

    def do_GET(self) -> None:
        version = self.front.version
        broken = self.path.split("?")[0] in BROKEN.get(version, ())
        self.send_response(503 if not version else 500 if broken else 200)
        self.send_header("X-App-Version", version)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def main() -> None:
    kubeconfig, namespace, place = sys.argv[1:]
    front = Front(kubeconfig, namespace)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"front": front}))
    threading.Thread(target=front.keep_looking, daemon=True).start()
    Path(place).write_text(f"http://127.0.0.1:{server.server_address[1]}")
    server.serve_forever()


if __name__ == "__main__":
    main()
