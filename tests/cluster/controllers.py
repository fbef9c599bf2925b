"""What works behind the emulated API: Deployments, ReplicaSets, StatefulSets, DaemonSets, and pods that become what their image says.

An image says it in its name: `…-dead` crashes, `…-missing` cannot be pulled, `…-sick` runs and is never ready, any other is ready after a
moment. `local-…` is known to no registry, so its pods tell no digest. A tag stands for one digest, until `tags` of the store says another;
nodes have nothing cached, and pull policies mean nothing.

Limits: surge and unavailability of a Deployment are as by default, and nothing else of a strategy is read but `OnDelete` and `partition`,
which stop an update; `maxUnavailable` of a DaemonSet is one; hashes are not Kubernetes' own; a namespace's annotation `emulator/pods` stands
for its quota; back-offs are counted in tenths of seconds. As on the real one: a Deployment that was out of time stays so until something
moves, revisions are numbered anew when they come back, history is cut when a rollout is complete, and an ordered StatefulSet waits for
broken pods.
"""

from __future__ import annotations

import copy
import datetime
import hashlib
import json
import math
import re
import threading
import time
from typing import Any

TICK_S = 0.05
READY_AFTER_S = 0.15
NODES = ("node-1", "node-2")
REVISION = "deployment.kubernetes.io/revision"
TEMPLATE_DEFAULTS: dict[str, Any] = {
    "dnsPolicy": "ClusterFirst",
    "restartPolicy": "Always",
    "schedulerName": "default-scheduler",
    "securityContext": {},
    "terminationGracePeriodSeconds": 30,
}
HASH, REVISION_HASH = "pod-template-hash", "controller-revision-hash"


def now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def digest(image: str, tags: dict[str, str]) -> str:
    """Of a name that a registry knows."""
    if "@" in image:
        return image.partition("@")[2]
    return "sha256:" + hashlib.sha256(tags.get(image, image).encode()).hexdigest()


def with_defaults(thing: dict[str, Any]) -> dict[str, Any]:
    """The defaults that rollouts depend on."""
    thing = copy.deepcopy(thing)
    kind, spec = thing.get("kind"), thing.get("spec")
    if kind in ("Deployment", "StatefulSet", "DaemonSet"):
        spec.setdefault("revisionHistoryLimit", 10)
        template = spec["template"] = without_null(spec["template"])
        template.setdefault("metadata", {})
        for name, value in TEMPLATE_DEFAULTS.items():
            template["spec"].setdefault(name, copy.deepcopy(value))
        for container in [*template["spec"]["containers"], *template["spec"].get("initContainers", ())]:
            container.setdefault("imagePullPolicy", "IfNotPresent")
            container.setdefault("resources", {})
    if kind in ("Deployment", "StatefulSet"):
        spec.setdefault("replicas", 1)
    if kind == "Deployment":
        spec.setdefault("progressDeadlineSeconds", 600)
        spec.setdefault("strategy", {"type": "RollingUpdate"})
    if kind == "StatefulSet":
        spec.setdefault("podManagementPolicy", "OrderedReady")
    if kind in ("StatefulSet", "DaemonSet"):
        spec.setdefault("updateStrategy", {"type": "RollingUpdate"})
    return thing


def without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_null(inner) for name, inner in value.items() if inner is not None}
    return [without_null(inner) for inner in value] if isinstance(value, list) else value


def run(store: Any, ended: threading.Event) -> None:
    while not ended.wait(TICK_S):
        with store.lock:
            for thing in store.list("deployments"):
                deployment(store, thing)
            for thing in store.list("replicasets"):
                replica_set(store, thing)
            for thing in store.list("statefulsets"):
                stateful_set(store, thing)
            for thing in store.list("daemonsets"):
                daemon_set(store, thing)
            for thing in store.list("pods"):
                pod(store, thing)


# --- pods


def owned(store: Any, plural: str, owner: dict[str, Any]) -> list[dict[str, Any]]:
    uid, namespace = owner["metadata"]["uid"], owner["metadata"]["namespace"]
    return [
        one
        for one in store.list(plural, namespace)
        if any(reference["uid"] == uid for reference in one["metadata"].get("ownerReferences", ()))
    ]


def reference(kind: str, owner: dict[str, Any]) -> dict[str, Any]:
    metadata = owner["metadata"]
    return {"apiVersion": "apps/v1", "kind": kind, "name": metadata["name"], "uid": metadata["uid"], "controller": True}


def new_pod(
    store: Any, kind: str, owner: dict[str, Any], template: dict[str, Any], labels: dict[str, str], name: str = ""
) -> str:
    """Why it could not be made; empty where it was. Without a `name` it gets one of its owner's with some digits."""
    namespace = owner["metadata"]["namespace"]
    name = name or store.free_name("pods", namespace, f"{owner['metadata']['name']}-")
    annotations = store.get("namespaces", "", namespace)["metadata"].get("annotations") or {}
    quota = annotations.get("emulator/pods")
    used = len(store.list("pods", namespace))
    if quota is not None and used >= int(quota):
        return f'pods "{name}" is forbidden: exceeded quota: pods, requested: pods=1, used: pods={used}, limited: pods={quota}'
    metadata = {
        "name": name,
        "labels": {**(template["metadata"].get("labels") or {}), **labels},
        "annotations": template["metadata"].get("annotations") or {},
        "ownerReferences": [reference(kind, owner)],
    }
    content = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": copy.deepcopy(template["spec"]),
        "status": {"phase": "Pending", "conditions": []},
    }
    made = store.create("pods", namespace, content)
    containers = template["spec"]["containers"]
    made["status"].update(
        born=time.monotonic(), pulls={one["image"]: digest(one["image"], store.tags) for one in containers}
    )
    return ""


def pod(store: Any, thing: dict[str, Any]) -> None:
    age = time.monotonic() - thing["status"].get("born", 0)
    if thing["metadata"].get("deletionTimestamp"):
        if time.monotonic() > thing["status"]["ends"]:
            store.delete("pods", thing)
        return
    status = {**thing["status"], **state_of(thing, age)}
    if status != thing["status"]:
        store.update("pods", thing, status=status)


def state_of(thing: dict[str, Any], age: float) -> dict[str, Any]:
    spec = thing["spec"]
    wanted = {k: v for k, v in (spec.get("nodeSelector") or {}).items() if (k, v) != ("kubernetes.io/os", "linux")}
    if wanted:
        message = f"0/{len(NODES)} nodes are available: {len(NODES)} node(s) didn't match Pod's node affinity/selector."
        return {"phase": "Pending", "conditions": [condition("PodScheduled", "False", "Unschedulable", message)]}
    found = [container_state(container, age, thing["status"]["pulls"]) for container in spec["containers"]]
    ready = all(one["ready"] for one in found)
    unready = [one["name"] for one in found if not one["ready"]]
    message = "" if ready else f"containers with unready status: [{' '.join(unready)}]"
    conditions = [
        condition("PodScheduled", "True", "", ""),
        condition("Ready", str(ready), "" if ready else "ContainersNotReady", message),
    ]
    phase = "Running" if all("waiting" not in one["state"] for one in found) else "Pending"
    return {"phase": phase, "conditions": conditions, "containerStatuses": found}


def container_state(container: dict[str, Any], age: float, pulls: dict[str, str]) -> dict[str, Any]:
    image = container["image"]
    found: dict[str, Any] = {
        "name": container["name"],
        "image": image,
        "imageID": "",
        "ready": False,
        "restartCount": 0,
    }
    if age < READY_AFTER_S:
        return {**found, "state": {"waiting": {"reason": "ContainerCreating"}}}
    if "-missing" in image:
        reason = "ErrImagePull" if age < 3 * READY_AFTER_S else "ImagePullBackOff"
        message = f'Back-off pulling image "{image}": ErrImagePull: {image}: not found'
        return {**found, "state": {"waiting": {"reason": reason, "message": message}}}
    repository = re.sub(r"(:[^/:@]*)?(@.*)?$", "", image)
    found["imageID"] = pulls[image] if repository.startswith("local-") else f"{repository}@{pulls[image]}"
    if "-dead" in image:
        ended = {"exitCode": 1, "reason": "Error", "message": "this version does not start\n"}
        waiting = {
            "reason": "CrashLoopBackOff",
            "message": f"back-off 10s restarting failed container={container['name']}",
        }
        return {**found, "restartCount": 2, "state": {"waiting": waiting}, "lastState": {"terminated": ended}}
    return {**found, "ready": "-sick" not in image, "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}


def condition(kind: str, status: str, reason: str, message: str) -> dict[str, Any]:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def end(store: Any, thing: dict[str, Any]) -> None:
    if not thing["metadata"].get("deletionTimestamp"):
        metadata = {**thing["metadata"], "deletionTimestamp": now()}
        conditions = [condition("Ready", "False", "PodTerminating", "")]
        status = {**thing["status"], "conditions": conditions, "ends": time.monotonic() + READY_AFTER_S}
        store.update("pods", thing, metadata=metadata, status=status)


def is_ready(thing: dict[str, Any]) -> bool:
    return any(one["type"] == "Ready" and one["status"] == "True" for one in thing["status"].get("conditions", ()))


def living(things: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for one in things if not one["metadata"].get("deletionTimestamp")]


# --- ReplicaSets and Deployments


def replica_set(store: Any, thing: dict[str, Any]) -> None:
    there, wished = living(owned(store, "pods", thing)), thing["spec"]["replicas"]
    problem = ""
    for _ in range(wished - len(there)):
        problem = new_pod(store, "ReplicaSet", thing, thing["spec"]["template"], {})
        if problem:
            break
    for one in sorted(there, key=is_ready)[: max(0, len(there) - wished)]:
        end(store, one)
    status = {
        "replicas": len(there),
        "readyReplicas": sum(map(is_ready, there)),
        "conditions": [condition("ReplicaFailure", "True", "FailedCreate", problem)] if problem else [],
    }
    if status != thing.get("status"):
        store.update("replicasets", thing, status=status)


def same(template: dict[str, Any]) -> str:
    """A template without the hash, as text."""
    found = copy.deepcopy(template)
    (found["metadata"].get("labels") or {}).pop(HASH, None)
    return json.dumps(found, sort_keys=True)


def number(thing: dict[str, Any]) -> int:
    return int((thing["metadata"].get("annotations") or {}).get(REVISION, 0))


def deployment(store: Any, thing: dict[str, Any]) -> None:
    sets = owned(store, "replicasets", thing)
    spec, metadata = thing["spec"], thing["metadata"]
    new = next((one for one in sets if same(one["spec"]["template"]) == same(spec["template"])), None)
    if not spec.get("paused"):
        new = brought_to_date(store, thing, sets, new)
        sets = owned(store, "replicasets", thing)
    old = [one for one in sets if new is None or one["metadata"]["uid"] != new["metadata"]["uid"]]
    if not spec.get("paused") and new is not None:
        scale(store, spec["replicas"], new, old)
        old = [store.get("replicasets", metadata["namespace"], one["metadata"]["name"]) for one in old]
        new = store.get("replicasets", metadata["namespace"], new["metadata"]["name"])
    status = deployment_status(thing, new, old)
    annotations = {**(metadata.get("annotations") or {}), **({REVISION: str(number(new))} if new else {})}
    changed = {**metadata, "annotations": annotations}
    current = store.get("deployments", metadata["namespace"], metadata["name"])
    if status != thing.get("status") or annotations != metadata.get("annotations"):
        store.update("deployments", current, status=status, metadata={**changed, "resourceVersion": None})
    if any(one["reason"] == "NewReplicaSetAvailable" for one in status["conditions"]):
        empty = sorted(
            (one for one in old if not one["spec"]["replicas"] and not owned(store, "pods", one)), key=number
        )
        for one in empty[: max(0, len(old) - spec["revisionHistoryLimit"])]:
            store.delete("replicasets", one)


def brought_to_date(
    store: Any, thing: dict[str, Any], sets: list[dict[str, Any]], new: dict[str, Any] | None
) -> dict[str, Any]:
    """The ReplicaSet of the present template, with the highest number, and the annotations of its Deployment."""
    last = max((number(one) for one in sets if new is None or one is not new), default=0)
    annotations = {
        name: value
        for name, value in (thing["metadata"].get("annotations") or {}).items()
        if name not in (REVISION, "kubectl.kubernetes.io/last-applied-configuration")
    }
    if new is not None:
        at = str(max(number(new), last + 1))
        wished = {**(new["metadata"].get("annotations") or {}), **annotations, REVISION: at}
        return store.update(
            "replicasets", new, metadata={**new["metadata"], "annotations": wished, "resourceVersion": None}
        )
    mark = hashlib.sha256(same(thing["spec"]["template"]).encode()).hexdigest()[:10]
    template = copy.deepcopy(thing["spec"]["template"])
    template["metadata"]["labels"] = {**template["metadata"].get("labels", {}), HASH: mark}
    content = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{thing['metadata']['name']}-{mark}",
            "labels": template["metadata"]["labels"],
            "annotations": {**annotations, REVISION: str(last + 1)},
            "ownerReferences": [reference("Deployment", thing)],
        },
        "spec": {"replicas": 0, "selector": thing["spec"]["selector"], "template": template},
        "status": {"replicas": 0, "readyReplicas": 0, "conditions": []},
    }
    return store.create("replicasets", thing["metadata"]["namespace"], content)


def scale(store: Any, wished: int, new: dict[str, Any], old: list[dict[str, Any]]) -> None:
    surge, unavailable = math.ceil(wished / 4), wished // 4
    others = sum(one["spec"]["replicas"] for one in old)
    to = min(wished, max(new["spec"]["replicas"], wished + surge - others))
    if to != new["spec"]["replicas"]:
        store.update("replicasets", new, spec={**new["spec"], "replicas": to})
    available = sum(one["status"]["readyReplicas"] for one in [new, *old])
    spare = available - (wished - unavailable)
    for one in sorted(old, key=number):
        ready, has = one["status"]["readyReplicas"], one["spec"]["replicas"]
        kept = ready - min(max(spare, 0), ready)  # what is not ready goes in any case
        spare -= ready - kept
        if kept < has:
            store.update("replicasets", one, spec={**one["spec"], "replicas": kept})


def deployment_status(thing: dict[str, Any], new: dict[str, Any] | None, old: list[dict[str, Any]]) -> dict[str, Any]:
    sets = [*([new] if new else []), *old]
    before = thing.get("status") or {}
    total = {name: sum(one["status"].get(name, 0) for one in sets) for name in ("replicas", "readyReplicas")}
    updated = new["status"]["replicas"] if new else 0
    wished = thing["spec"]["replicas"]
    available = total["readyReplicas"]
    complete = bool(new) and updated == total["replicas"] == wished == available
    progress = progressing(thing, before, complete, (updated, available))
    problem = next((c for one in sets for c in one["status"]["conditions"] if c["type"] == "ReplicaFailure"), None)
    return {
        "observedGeneration": thing["metadata"]["generation"],
        "replicas": total["replicas"],
        "updatedReplicas": updated,
        "readyReplicas": available,
        "availableReplicas": available,
        "unavailableReplicas": max(0, wished - available),
        "moved": progress.pop("moved"),
        "seen": [updated, available],
        "conditions": [
            condition("Available", str(available >= wished - wished // 4), "", ""),
            progress,
            *([problem] if problem else []),
        ],
    }


def progressing(thing: dict[str, Any], before: dict[str, Any], complete: bool, seen: tuple[int, int]) -> dict[str, Any]:
    """The condition, with the moment at which something last moved. One that is out of time stays so until then."""
    name = thing["metadata"]["name"]
    last = next((one for one in before.get("conditions", ()) if one["type"] == "Progressing"), {})
    moved = before.get("moved", 0)
    if complete:
        done = condition(
            "Progressing", "True", "NewReplicaSetAvailable", f'ReplicaSet of "{name}" has successfully progressed.'
        )
        return {**done, "moved": time.monotonic() if last.get("reason") != "NewReplicaSetAvailable" else moved}
    started = last.get("reason") in (None, "NewReplicaSetAvailable")
    if started or any(new > old for new, old in zip(seen, before.get("seen", (0, 0)), strict=True)):
        going = condition("Progressing", "True", "ReplicaSetUpdated", f'ReplicaSet of "{name}" is progressing.')
        return {**going, "moved": time.monotonic()}
    if thing["spec"].get("paused"):
        return {
            **condition("Progressing", "Unknown", "DeploymentPaused", "Deployment is paused"),
            "moved": time.monotonic(),
        }
    if time.monotonic() - moved > thing["spec"]["progressDeadlineSeconds"]:
        late = condition(
            "Progressing", "False", "ProgressDeadlineExceeded", f'ReplicaSet of "{name}" has timed out progressing.'
        )
        return {**late, "moved": moved}
    return {**last, "moved": moved}


# --- StatefulSets and DaemonSets


def controller_revision(store: Any, kind: str, thing: dict[str, Any]) -> dict[str, Any]:
    """That of the present template, with the highest number; revisions beyond the limit go."""
    there = owned(store, "controllerrevisions", thing)
    data = {"spec": {"template": {**copy.deepcopy(thing["spec"]["template"]), "$patch": "replace"}}}
    last = max((one["revision"] for one in there), default=0)
    found = next((one for one in there if one["data"] == data), None)
    if found:
        if found["revision"] < last:
            found = store.update("controllerrevisions", found, revision=last + 1)
    else:
        mark = hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:9]
        label = REVISION_HASH if kind == "DaemonSet" else "controller.kubernetes.io/hash"
        content = {
            "apiVersion": "apps/v1",
            "kind": "ControllerRevision",
            "metadata": {
                "name": f"{thing['metadata']['name']}-{mark}",
                "labels": {**thing["spec"]["template"]["metadata"].get("labels", {}), label: mark},
                "annotations": dict(thing["metadata"].get("annotations") or {}),
                "ownerReferences": [reference(kind, thing)],
            },
            "data": data,
            "revision": last + 1,
        }
        found = store.create("controllerrevisions", thing["metadata"]["namespace"], content)
    used = {one["metadata"]["labels"].get(REVISION_HASH) for one in owned(store, "pods", thing)}
    old = sorted(
        (one for one in owned(store, "controllerrevisions", thing) if one["revision"] != found["revision"]),
        key=lambda one: one["revision"],
    )
    unused = [one for one in old if mark_of(kind, one) not in used]
    for one in unused[: max(0, len(unused) - thing["spec"]["revisionHistoryLimit"])]:
        store.delete("controllerrevisions", one)
    return found


def mark_of(kind: str, revision: dict[str, Any]) -> str:
    """The label of pods of a revision."""
    return revision["metadata"]["name"] if kind == "StatefulSet" else revision["metadata"]["labels"][REVISION_HASH]


def failed(store: Any, kind: str, thing: dict[str, Any], problem: str) -> None:
    metadata = thing["metadata"]
    if store.get("events", metadata["namespace"], f"{metadata['name']}.failed") is None:
        content = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{metadata['name']}.failed"},
            "involvedObject": {"kind": kind, "name": metadata["name"], "uid": metadata["uid"]},
            "reason": "FailedCreate",
            "type": "Warning",
            "message": f"create Pod failed error: {problem}",
            "lastTimestamp": now(),
        }
        store.create("events", metadata["namespace"], content)


def stateful_set(store: Any, thing: dict[str, Any]) -> None:
    revision = controller_revision(store, "StatefulSet", thing)
    update = revision["metadata"]["name"]
    before = thing.get("status") or {}
    spec, name = thing["spec"], thing["metadata"]["name"]
    current = before.get("currentRevision") or update
    pods = {int(one["metadata"]["name"].rpartition("-")[2]): one for one in owned(store, "pods", thing)}
    ordered = spec["podManagementPolicy"] == "OrderedReady"
    waits = False
    for index in range(spec["replicas"]):
        if index not in pods:
            labels = {REVISION_HASH: update, "statefulset.kubernetes.io/pod-name": f"{name}-{index}"}
            problem = new_pod(store, "StatefulSet", thing, spec["template"], labels, f"{name}-{index}")
            if problem:
                failed(store, "StatefulSet", thing, problem)
            waits = True
        elif not is_ready(pods[index]):
            waits = True
        if waits and ordered:
            break
    for index in sorted(set(pods) - set(range(spec["replicas"])), reverse=True)[:1]:
        end(store, pods[index])
        waits = True
    strategy = spec["updateStrategy"]
    first = (strategy.get("rollingUpdate") or {}).get("partition", 0)
    if not (waits and ordered) and strategy["type"] == "RollingUpdate":
        for index in sorted(pods, reverse=True):
            if index >= first and pods[index]["metadata"]["labels"][REVISION_HASH] != update:
                end(store, pods[index])
                break
            if not is_ready(pods[index]):
                break
    there = living(owned(store, "pods", thing))
    updated = [one for one in there if one["metadata"]["labels"][REVISION_HASH] == update]
    ready = sum(map(is_ready, there))
    if len(updated) == len(there) == ready and not set(pods) - set(range(spec["replicas"])):
        current = update
    status = {
        "observedGeneration": thing["metadata"]["generation"],
        "replicas": len(there),
        "readyReplicas": ready,
        "availableReplicas": ready,
        "updatedReplicas": len(updated),
        "currentRevision": current,
        "updateRevision": update,
    }
    if status != before:
        store.update("statefulsets", thing, status=status)


def daemon_set(store: Any, thing: dict[str, Any]) -> None:
    revision = controller_revision(store, "DaemonSet", thing)
    mark = mark_of("DaemonSet", revision)
    template = thing["spec"]["template"]
    wanted = {
        k: v for k, v in (template["spec"].get("nodeSelector") or {}).items() if (k, v) != ("kubernetes.io/os", "linux")
    }
    nodes = () if wanted else NODES
    pods = {one["spec"]["nodeName"]: one for one in owned(store, "pods", thing)}
    for node in NODES:
        if node in nodes and node not in pods:
            placed = {**template, "spec": {**template["spec"], "nodeName": node}}
            problem = new_pod(store, "DaemonSet", thing, placed, {REVISION_HASH: mark})
            if problem:
                failed(store, "DaemonSet", thing, problem)
        elif node in pods and node not in nodes:
            end(store, pods[node])
    old = [one for one in pods.values() if one["metadata"]["labels"][REVISION_HASH] != mark]
    if nodes and thing["spec"]["updateStrategy"]["type"] == "RollingUpdate":
        unready = sum(not is_ready(one) for one in pods.values()) + len(nodes) - len(pods)
        for one in sorted(old, key=is_ready):
            if not is_ready(one) or unready < 1:
                end(store, one)
                break
    there = living(owned(store, "pods", thing))
    ready = sum(map(is_ready, there))
    status = {
        "observedGeneration": thing["metadata"]["generation"],
        "desiredNumberScheduled": len(nodes),
        "currentNumberScheduled": len(there),
        "updatedNumberScheduled": sum(one["metadata"]["labels"][REVISION_HASH] == mark for one in there),
        "numberReady": ready,
        "numberAvailable": ready,
    }
    if status != thing.get("status"):
        store.update("daemonsets", thing, status=status)
