"""An application on Kubernetes: which images its workloads run, and whether they can go to others."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Dict, List, Mapping, Optional, Sequence

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.runtimes import (
    kubernetes_goal,
    kubernetes_owners,
    kubernetes_rights,
    kubernetes_workload,
)
from ansible.module_utils.rollback.runtimes.kubernetes_api import Api
from ansible.module_utils.rollback.runtimes.kubernetes_goal import Goal
from ansible.module_utils.rollback.runtimes.kubernetes_workload import Named, Workload
from ansible.module_utils.rollback.words import listed


@dataclass(frozen=True)
class Application:
    """`suspended` are owners that do not reconcile now, `version_label` is the label of pods that names the version (empty: the
    image's tag does), `wait_s` is for how long pods may take to become ready, or to end."""

    api: Api
    workloads: List[Named]
    cluster_uid: str = ""
    suspended: List[str] = field(default_factory=list)
    version_label: str = ""
    wait_s: float = 180

    def read(self) -> List[Workload]:
        return [kubernetes_workload.read(self.api, named) for named in self.workloads]

    def goal(self, workload: Workload, image: str, version: str) -> Optional[Goal]:
        return kubernetes_goal.goal(workload, image, version, self.version_label)


@dataclass(frozen=True)
class State:
    """`running` is the version, empty where workloads differ; `artifacts` are images by workload. `notes` are for whoever reads the
    plan, `mixed` says which pods of one workload run different images, `migrates` which containers migrate when they start."""

    running: str
    releases: List[str]
    artifacts: Dict[str, str]
    changed: bool = False
    actions: List[str] = field(default_factory=list)
    problems: List[str] = field(default_factory=list)
    target: Dict[str, str] = field(default_factory=dict)
    notes: List[str] = field(default_factory=list)
    mixed: List[str] = field(default_factory=list)
    migrates: List[str] = field(default_factory=list)

    def as_dict(self) -> Dict[str, Any]:
        return asdict(self)


def look(application: Application) -> State:
    """What runs. Raises RollbackError where that may not be seen, or where it is another cluster."""
    _refuse_what_may_not_be(application)
    return state(application, application.read())


def ready(application: Application, version: str, wanted: Mapping[str, str]) -> State:
    """Whether the application can go to `version`: `problems` say why not, `target` is each workload's image."""
    _refuse_what_may_not_be(application)
    workloads = application.read()
    found = state(application, workloads)
    lacking = kubernetes_rights.lacking(application.api, kubernetes_rights.to_change(application.workloads))
    problems, target = [lacking] if lacking else [], {}
    notes, moving, migrates = list(found.notes), False, []
    for workload in workloads:
        words, part = workload.named.words, workload.named.part
        problems += kubernetes_owners.problems(workload, application.suspended)
        if not lacking:
            notes += kubernetes_owners.notes(workload, _autoscalers(application.api, workload.named.namespace))
        image = wanted.get(part) or kubernetes_goal.found_by_version(workload, version, application.version_label)
        if not image:
            problems.append(
                f"Nothing says which image {words} has in version {version}: the release point does not, and no revision of it is of that version."
                " Name the release point with -e release=<id>, or deploy that version again."
            )
            continue
        target[part] = image
        goal = application.goal(workload, image, version)
        if goal:
            moving = True
            notes.append(f"{words} gets {goal.words}.")
            containers = kubernetes_goal.migrating(goal.template)
            migrates += [f"Container {name} of {words} runs alembic upgrade when it starts." for name in containers]
    if moving:
        notes.append("Pod templates alone go back: ConfigMaps, Secrets, Services and replicas stay as they are.")
    return replace(found, problems=problems, target=target, notes=notes, migrates=migrates)


def state(application: Application, workloads: List[Workload], actions: Sequence[str] = ()) -> State:
    """What these workloads are, after `actions`."""
    label = application.version_label
    versions = {one.named.words: one.version(one.template, label) for one in workloads}
    releases = {one.version(revision.template, label) for one in workloads for revision in one.revisions}
    mixed = [_mixed(one) for one in workloads if len(one.digests(one.present)) > 1]
    differ = len(set(versions.values())) > 1
    return State(
        running="" if differ else next(iter(versions.values())),
        releases=sorted(releases - {""}),
        artifacts={one.named.part: one.artifact for one in workloads},
        changed=bool(actions),
        actions=list(actions),
        notes=[f"Workloads differ: {listed(f'{words} is {version}' for words, version in versions.items())}."] * differ
        + mixed,
        mixed=mixed,
    )


def _mixed(workload: Workload) -> str:
    """One tag, several images: nodes that had pulled it at different times."""
    runs: Dict[str, List[str]] = {}
    for pod in workload.pods_of(workload.present):
        for digest in replace(workload, pods=[pod]).digests(workload.present):
            runs.setdefault(digest, []).append(str(pod["metadata"]["name"]))
    said = "; ".join(f"{digest[:19]}… in {listed(pods)}" for digest, pods in sorted(runs.items()))
    return f"Pods of {workload.named.words} run different images as {workload.image}: {said}."


def _refuse_what_may_not_be(application: Application) -> None:
    rights = kubernetes_rights.to_look(application.workloads, bool(application.cluster_uid))
    lacking = kubernetes_rights.lacking(application.api, rights)
    if lacking:
        raise RollbackError(lacking)
    if not application.cluster_uid:
        return
    uid = ((application.api.get("/api/v1/namespaces/kube-system") or {}).get("metadata") or {}).get("uid", "")
    if uid != application.cluster_uid:
        raise RollbackError(
            f"This is another cluster: its namespace kube-system has uid {uid or 'none'}, not {application.cluster_uid}.",
            "Check the context, and app_rollback_kubernetes_cluster_uid.",
        )


def _autoscalers(api: Api, namespace: str) -> List[Dict[str, Any]]:
    return api.list(f"/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers")
