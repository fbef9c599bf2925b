"""Whether pods follow a template, and in the pods' own words why not."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional

from ansible.module_utils.rollback.runtimes.kubernetes_api import Api
from ansible.module_utils.rollback.runtimes.kubernetes_workload import DAEMON_SET, DEPLOYMENT, STATEFUL_SET, Workload

# What a container that waits for one of these does not come out of without help, or not within a rollback's time.
_HOPELESS = {
    "CrashLoopBackOff",
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImageNeverPull",
    "ErrImagePull",
    "ImageInspectError",
    "ImagePullBackOff",
    "InvalidImageName",
    "RunContainerError",
}


def complete(workload: Workload) -> bool:
    """As `kubectl rollout status` judges it."""
    now, status = workload.now, workload.now.get("status") or {}
    if not workload.observed:
        return False
    count = {name: int(status.get(name) or 0) for name in (*_COUNTS, "readyReplicas")}
    if workload.named.kind == DAEMON_SET:
        wished = count["desiredNumberScheduled"]
        return count["updatedNumberScheduled"] >= wished and count["numberAvailable"] >= wished
    if workload.named.kind == DEPLOYMENT:
        return (
            count["updatedReplicas"] >= workload.replicas
            and count["replicas"] <= count["updatedReplicas"] <= count["availableReplicas"]
        )
    return (
        status.get("currentRevision") == status.get("updateRevision")
        and count["readyReplicas"] >= workload.replicas
        and (not now["spec"].get("minReadySeconds") or count["availableReplicas"] >= workload.replicas)
    )


_COUNTS = (
    "replicas",
    "updatedReplicas",
    "availableReplicas",
    "desiredNumberScheduled",
    "updatedNumberScheduled",
    "numberAvailable",
)


def hopeless(workload: Workload) -> bool:
    """Whether waiting any longer is in vain, as far as a pod of the present revision or the controller says so."""
    conditions = _conditions(workload.now)
    if (conditions.get("Progressing") or {}).get("reason") == "ProgressDeadlineExceeded" and workload.observed:
        return True
    return any(
        waiting.get("reason") in _HOPELESS for pod in workload.pods_of(workload.present) for waiting in _waiting(pod)
    )


def why_not(api: Api, workload: Workload) -> str:
    """One sentence, from whoever knows best: a pod of the present revision, its controller, or the events."""
    for pod in workload.pods_of(workload.present):
        said = _trouble(pod)
        if said:
            return f"{workload.named.words}: pod {pod['metadata']['name']} {said}"
    conditions = _conditions(workload.now)
    for name, wanted in (("ReplicaFailure", "True"), ("Progressing", "False")):
        condition = conditions.get(name) or {}
        if condition.get("status") == wanted:
            return f"{workload.named.words}: {condition.get('reason')}: {_sentence(condition.get('message'))}"
    if workload.named.kind != DEPLOYMENT:
        uid = workload.now["metadata"]["uid"]
        path = f"/api/v1/namespaces/{workload.named.namespace}/events"
        events = api.list(path, fieldSelector=f"involvedObject.uid={uid},type=Warning")
        if events:
            last = max(events, key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""))
            return f"{workload.named.words}: {last.get('reason')}: {_sentence(last.get('message'))}"
    status = workload.now.get("status") or {}
    ready = int(status.get("numberReady" if workload.named.kind == DAEMON_SET else "readyReplicas") or 0)
    return f"{workload.named.words}: {ready} of {workload.replicas} pods are ready"


def in_the_way(workload: Workload) -> List[Dict[str, Any]]:
    """Broken pods of another revision that an ordered StatefulSet waits for, though they never become ready."""
    spec, status = workload.now["spec"], workload.now.get("status") or {}
    if workload.named.kind != STATEFUL_SET or spec.get("podManagementPolicy", "OrderedReady") != "OrderedReady":
        return []
    if not workload.observed or not status.get("updateRevision"):
        return []
    return [
        pod
        for pod in workload.pods
        if (pod["metadata"].get("labels") or {}).get("controller-revision-hash") != status["updateRevision"]
        and not pod["metadata"].get("deletionTimestamp")
        and not _ready(pod)
    ]


def _trouble(pod: Mapping[str, Any]) -> str:
    """Empty where the pod is well, or on its way."""
    status = pod.get("status") or {}
    for waiting in _waiting(pod):
        if waiting.get("reason") not in (None, "ContainerCreating", "PodInitializing"):
            ended = waiting.get("ended") or {}
            code = f" (exit code {ended['exitCode']})" if "exitCode" in ended else ""
            message = ended.get("message") or waiting.get("message")
            return f"says {waiting['reason']}{code}{f': {_sentence(message)}' if message else ''}"
    conditions = _conditions(pod)
    scheduled = conditions.get("PodScheduled") or {}
    if scheduled.get("status") == "False":
        return f"is not scheduled ({scheduled.get('reason')}): {_sentence(scheduled.get('message'))}"
    if status.get("phase") == "Failed":
        return f"failed ({status.get('reason') or 'no reason given'}): {_sentence(status.get('message'))}"
    if status.get("phase") == "Running" and not _ready(pod):
        return f"runs and is not ready: {_sentence((conditions.get('Ready') or {}).get('message'))}"
    return ""


def _waiting(pod: Mapping[str, Any]) -> List[Dict[str, Any]]:
    status = pod.get("status") or {}
    found = []
    for one in [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]:
        waiting = (one.get("state") or {}).get("waiting")
        if waiting:
            found.append({**waiting, "ended": (one.get("lastState") or {}).get("terminated")})
    return found


def _ready(pod: Mapping[str, Any]) -> bool:
    return (_conditions(pod).get("Ready") or {}).get("status") == "True"


def _conditions(thing: Mapping[str, Any]) -> Dict[str, Dict[str, Any]]:
    return {one["type"]: dict(one) for one in (thing.get("status") or {}).get("conditions") or ()}


def _sentence(message: Optional[str]) -> str:
    return " ".join((message or "it does not say why").split()).rstrip(".")
