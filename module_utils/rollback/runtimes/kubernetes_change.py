"""Stopping, starting and switching an application on Kubernetes: all of its workloads together, or none.

Pod templates are moved, and replicas where it is stopped and started; nothing else is touched. What is waited for is waited for
here, with a deadline of our own: a Deployment's is ten minutes by default.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.runtimes import kubernetes_goal, kubernetes_rollout, kubernetes_workload
from ansible.module_utils.rollback.runtimes.kubernetes import Application, State, state
from ansible.module_utils.rollback.runtimes.kubernetes_api import ApiError
from ansible.module_utils.rollback.runtimes.kubernetes_workload import DAEMON_SET, STOPPED, Workload, digest_of
from ansible.module_utils.rollback.words import duration, listed

CHANGE_CAUSE = "kubernetes.io/change-cause"
_LOOK_EVERY_S = 0.5
# For how long pods may say that they are hopeless: a registry stumbles, and a first start may come too early.
_PATIENCE_S = 20.0
_ATTEMPTS = 5
_LOOK_AT = "See `kubectl get pods --namespace {}`, and the logs of what does not become ready."


@dataclass(frozen=True)
class Change:
    """What a workload gets; None leaves it as it is, and an annotation without a value goes. `words` say so to people."""

    template: Optional[Dict[str, Any]]
    replicas: Optional[int]
    annotations: Dict[str, Optional[str]]
    words: str


def stop(application: Application) -> State:
    """No pod is left when it returns: also one that is ending may still write."""
    actions = []
    for workload in application.read():
        change = _stopping(workload)
        if change:
            _apply(application, workload, change)
            actions.append(change.words)
    deadline = time.monotonic() + application.wait_s
    while True:
        workloads = application.read()
        left = [pod["metadata"]["name"] for workload in workloads for pod in _at_work(workload)]
        if not left:
            return state(application, workloads, actions)
        if time.monotonic() > deadline:
            raise RollbackError(
                f"After {duration(application.wait_s)} there are still the pods {listed(left)}.",
                "Look who starts them, or why they do not end (terminationGracePeriodSeconds, finalizers).",
            )
        time.sleep(_LOOK_EVERY_S)


def start(application: Application, version: str, target: Mapping[str, str]) -> State:
    """Bring every workload up on `target`, with the replicas that it had when it was stopped."""
    actions = _bring(application, application.read(), version, target)
    failure = _settle(application, kubernetes_rollout.complete) or _wrong(application, target)
    if failure:
        raise RollbackError(failure, _LOOK_AT.format(application.workloads[0].namespace))
    return state(application, application.read(), actions)


def switch(application: Application, version: str, target: Mapping[str, str]) -> State:
    """From what runs to `target`. Where one workload does not become ready, all get the templates of before, and RollbackError says so.

    Where nothing had to be changed, it is not judged either: whoever asks for what runs already gets that.
    """
    before = application.read()
    actions: List[str] = []
    try:
        actions = _bring(application, before, version, target)
        failure = _settle(application, kubernetes_rollout.complete) or _wrong(application, target)
        if failure and actions:
            raise RollbackError(failure, _LOOK_AT.format(before[0].named.namespace))
    except RollbackError as error:
        try:
            _put_back(application, before)
        except RollbackError as second:
            raise RollbackError(
                f"{error.message} Putting back what ran failed too: {second.message}", second.hint
            ) from error
        raise RollbackError(f"{error.message} What ran before was put back.", error.hint) from error
    return replace(state(application, application.read(), actions), notes=[failure] if failure else [])


def _bring(
    application: Application, workloads: Sequence[Workload], version: str, target: Mapping[str, str]
) -> List[str]:
    changes = [(one, _bringing(application, one, version, target.get(one.named.part, ""))) for one in workloads]
    for workload, change in changes:
        if change:
            _apply(application, workload, change)
    return [change.words for _, change in changes if change]


def _bringing(application: Application, workload: Workload, version: str, image: str) -> Optional[Change]:
    """To the template that runs `image`, and up again where a run has stopped it."""
    goal = application.goal(workload, image, version) if image else None
    template = goal.template if goal else None
    if not goal and kubernetes_goal.is_nowhere(workload.template):
        template = kubernetes_goal.somewhere(workload.template)
    replicas = workload.stopped.get("replicas") if not workload.replicas else None
    annotations: Dict[str, Optional[str]] = {STOPPED: None} if STOPPED in workload.annotations else {}
    if goal:
        annotations[CHANGE_CAUSE] = f"rollback to {version}"
    if template is None and replicas is None and not annotations:
        return None
    what = f"{goal.words} ({image})" if goal else "what it ran"
    up = f", with {replicas} replicas" if replicas else ""
    return Change(template, replicas, annotations, f"{workload.named.words} to {what}{up}")


def _stopping(workload: Workload) -> Optional[Change]:
    words = f"stopped {workload.named.words}"
    if workload.named.kind == DAEMON_SET:
        if kubernetes_goal.is_nowhere(workload.template):
            return None
        noted = json.dumps({"image": workload.artifact})
        return Change(kubernetes_goal.nowhere(workload.template), None, {STOPPED: noted}, words)
    if not workload.replicas:
        return None
    noted = json.dumps({"replicas": workload.replicas, "image": workload.artifact})
    return Change(None, 0, {STOPPED: noted}, words)


def _put_back(application: Application, before: Sequence[Workload]) -> None:
    """The templates of before, and waiting until as much runs as ran then."""
    was = {one.named.part: one for one in before}
    for current in application.read():
        then = was[current.named.part]
        kept = {name: then.annotations.get(name) for name in (STOPPED, CHANGE_CAUSE)}
        changed = {name: value for name, value in kept.items() if value != current.annotations.get(name)}
        template = then.template if then.template != current.template else None
        replicas = then.replicas if STOPPED in changed and then.named.kind != DAEMON_SET else None
        if template or changed:
            _apply(application, current, Change(template, replicas, changed, ""))
    failure = _settle(application, lambda current: _as_before(current, was[current.named.part]))
    if failure:
        raise RollbackError(failure, _LOOK_AT.format(before[0].named.namespace))


def _as_before(now: Workload, then: Workload) -> bool:
    """What was not ready then need not be it now, as long as it is the same again."""
    if kubernetes_rollout.complete(then):
        return kubernetes_rollout.complete(now)
    return now.artifact == then.artifact


def _apply(application: Application, workload: Workload, change: Change) -> None:
    """Raises RollbackError where somebody else changes the template at the same time."""
    for _ in range(_ATTEMPTS):
        try:
            application.api.patch(workload.named.path, _operations(workload, change))
            return
        except ApiError as error:
            now = kubernetes_workload.read(application.api, workload.named)
            if (
                error.status not in (409, 422)
                or now.now["metadata"]["generation"] == workload.now["metadata"]["generation"]
            ):
                raise
            if now.template != workload.template:
                break
            workload = now  # an autoscaler changes replicas whenever it likes
    raise RollbackError(
        f"{workload.named.words} was changed by somebody else meanwhile.", "Look who deploys, and try again."
    )


def _operations(workload: Workload, change: Change) -> List[Dict[str, Any]]:
    """A patch that holds only for the spec that was looked at."""
    metadata = workload.now["metadata"]
    found: List[Dict[str, Any]] = [{"op": "test", "path": "/metadata/generation", "value": metadata["generation"]}]
    if change.template is not None:
        found.append({"op": "replace", "path": "/spec/template", "value": change.template})
    if change.replicas is not None:
        found.append({"op": "replace", "path": "/spec/replicas", "value": change.replicas})
    there = workload.annotations
    if change.annotations and not there:
        found.append({"op": "add", "path": "/metadata/annotations", "value": {}})
    for name, value in change.annotations.items():
        path = f"/metadata/annotations/{name.replace('~', '~0').replace('/', '~1')}"
        if value is not None:
            found.append({"op": "add", "path": path, "value": value})
        elif name in there:
            found.append({"op": "remove", "path": path})
    return found


def _settle(application: Application, settled: Callable[[Workload], bool]) -> str:
    """Wait until every workload has; one sentence for each that has not in time, or never will."""
    deadline = time.monotonic() + application.wait_s
    hopeless_since: Dict[str, float] = {}
    while True:
        time.sleep(_LOOK_EVERY_S)
        try:
            workloads = application.read()
            for workload in workloads:
                for pod in kubernetes_rollout.in_the_way(workload):
                    path = f"/api/v1/namespaces/{workload.named.namespace}/pods/{pod['metadata']['name']}"
                    application.api.delete(path, pod["metadata"]["uid"])
        except ApiError:
            raise
        except RollbackError:  # out of reach for a moment
            if time.monotonic() > deadline:
                raise
            continue
        pending = [one for one in workloads if not settled(one)]
        if not pending:
            return ""
        now = time.monotonic()
        lost = [
            one
            for one in pending
            if kubernetes_rollout.hopeless(one) and now - hopeless_since.setdefault(one.named.part, now) > _PATIENCE_S
        ]
        if lost or now > deadline:
            said = "; ".join(kubernetes_rollout.why_not(application.api, one) for one in lost or pending)
            return f"{said}." if lost else f"Not ready within {duration(application.wait_s)}: {said}."


def _wrong(application: Application, target: Mapping[str, str]) -> str:
    """Which pods run another image than they were to: a tag in the template that has moved since."""
    for workload in application.read():
        wanted = digest_of(target.get(workload.named.part, ""))
        runs = workload.digests(workload.present)
        if wanted and not digest_of(workload.image) and runs and runs != {wanted}:
            return f"{workload.named.words} was to run {wanted[:19]}…, and {workload.image} is {listed(one[:19] + '…' for one in sorted(runs))} now."
    return ""


def _at_work(workload: Workload) -> List[Dict[str, Any]]:
    """Pods that have not ended."""
    return [pod for pod in workload.pods if (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")]
