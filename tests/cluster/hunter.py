"""Hunter on Kubernetes, as its deployment pipeline would bring it there: with kubectl."""

from __future__ import annotations

import json
import os
import subprocess
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

REPOSITORY = os.environ.get("HUNTER_REPOSITORY", "registry.example/hunter")


class Hunter:
    """In the namespaces `name` and `name`-agents of the cluster of `kubeconfig`."""

    def __init__(self, kubeconfig: Path, name: str = "", repository: str = REPOSITORY) -> None:
        self.kubeconfig, self.repository = kubeconfig, repository
        self.name = name or f"hunter-{uuid.uuid4().hex[:8]}"
        self.agents = f"{self.name}-agents"

    @property
    def workloads(self) -> list[dict[str, str]]:
        """As the inventory names them."""
        return [
            {"kind": "Deployment", "name": "api"},
            {"kind": "StatefulSet", "name": "worker"},
            {"kind": "DaemonSet", "name": "agent", "namespace": self.agents},
        ]

    def parts(self, image: str) -> dict[str, str]:
        return dict.fromkeys(
            [f"{self.name}/deployment/api", f"{self.name}/statefulset/worker", f"{self.agents}/daemonset/agent"], image
        )

    # What a pipeline does -----------------------------------------------------------------------------------------

    def kubectl(self, *arguments: str, content: Any = None) -> str:
        done = subprocess.run(
            ["kubectl", "--kubeconfig", str(self.kubeconfig), *arguments],
            input=json.dumps(content) if content is not None else "",
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"kubectl {arguments}: {done.stderr}"
        return done.stdout

    def apply(self, *things: dict[str, Any]) -> None:
        content = {"apiVersion": "v1", "kind": "List", "items": list(things)}
        self.kubectl("apply", "--validate=false", "--filename", "-", content=content)

    def make(self) -> None:
        self.apply(
            *(
                {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
                for name in (self.name, self.agents)
            )
        )

    def manifest(self, kind: str, name: str, version: str, **spec: Any) -> dict[str, Any]:
        """`spec` goes beside the template, `template` into that of pods, `metadata` into that of the workload."""
        labels = {"app": name}
        image = f"{self.repository}:{version}"
        pod = {
            "terminationGracePeriodSeconds": 1,
            "containers": [{"name": "hunter", "image": image}],
            **spec.pop("template", {}),
        }
        metadata = {
            "name": name,
            "namespace": self.agents if kind == "DaemonSet" else self.name,
            **spec.pop("metadata", {}),
        }
        template = {"metadata": {"labels": labels, "annotations": {"hunter/config": version}}, "spec": pod}
        usual: dict[str, Any] = {"selector": {"matchLabels": labels}, "template": template}
        if kind != "DaemonSet":
            usual["replicas"] = 2
        if kind == "StatefulSet":
            usual["serviceName"] = name
        return {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": {**usual, **spec}}

    def deploy(self, version: str, wait: bool = True) -> None:
        kinds = {"api": "Deployment", "worker": "StatefulSet", "agent": "DaemonSet"}
        self.apply(*(self.manifest(kind, name, version) for name, kind in kinds.items()))
        if wait:
            self.wait()

    def wait(self) -> None:
        def status(where: tuple[str, str, str]) -> None:
            kind, name, namespace = where
            self.kubectl("rollout", "status", f"{kind}/{name}", "--namespace", namespace, "--timeout=60s")

        with ThreadPoolExecutor() as pool:
            list(pool.map(status, self._all()))

    # What is there ------------------------------------------------------------------------------------------------

    def _all(self) -> list[tuple[str, str, str]]:
        return [(one["kind"].lower(), one["name"], one.get("namespace", self.name)) for one in self.workloads]

    def get(self, kind: str, name: str = "", namespace: str = "") -> Any:
        found = json.loads(
            self.kubectl("get", kind, *filter(None, [name]), "--namespace", namespace or self.name, "--output", "json")
        )
        return found if name else found["items"]

    def images(self) -> set[str]:
        """Of every container of every pod that does not end."""
        pods = [pod for namespace in (self.name, self.agents) for pod in self.get("pods", namespace=namespace)]
        return {
            container["image"]
            for pod in pods
            if not pod["metadata"].get("deletionTimestamp")
            for container in pod["spec"]["containers"]
        }

    def specs(self) -> list[Any]:
        """Equal before and after whatever must change nothing."""
        found = [self.get(*where) for where in self._all()]
        return [(one["metadata"]["generation"], one["metadata"].get("annotations"), one["spec"]) for one in found]

    def until(self, said: Any, seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while not said():
            assert time.monotonic() < deadline, "it did not come to pass"
            time.sleep(0.1)

    def close(self) -> None:
        self.kubectl("delete", "namespace", self.name, self.agents, "--ignore-not-found", "--wait=false")
