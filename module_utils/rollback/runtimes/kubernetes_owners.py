"""Who else has a say over a workload: GitOps, Helm, operators and autoscalers. Some would undo a rollback, others should know of it."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence

from ansible.module_utils.rollback.runtimes.kubernetes_workload import DEPLOYMENT, STATEFUL_SET, Workload

ARGO_CD, FLUX = "argocd", "flux"
SUSPENDABLE = (ARGO_CD, FLUX)

# Label or annotation → whose it is.
_ARGO_CD = ("argocd.argoproj.io/tracking-id", "argocd.argoproj.io/instance")
_FLUX = ("kustomize.toolkit.fluxcd.io/name", "helm.toolkit.fluxcd.io/name")
_FLUX_AWAY = "kustomize.toolkit.fluxcd.io/reconcile"
_HELM = "meta.helm.sh/release-name"
_ROLLOUTS = "rollout.argoproj.io/"


def problems(workload: Workload, accepted: Sequence[str]) -> List[str]:
    """Why it must not be changed here, in sentences with a way out. `accepted` are owners whom the inventory says to have been stopped."""
    words, said = workload.named.words, []
    marks = _marks(workload)
    for reference in workload.now["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            owner = f"{reference['kind']} {reference['name']} ({reference['apiVersion']})"
            said.append(f"{words} is controlled by {owner}, which would put its template back. Roll back with that.")
    if any(mark.startswith(_ROLLOUTS) for mark in marks):
        said.append(
            f"{words} is managed by Argo Rollouts, which runs the pods itself. Roll back with `kubectl argo rollouts undo`."
        )
    if ARGO_CD not in accepted and (by := next((marks[name] for name in _ARGO_CD if name in marks), "")):
        application = by.split(":")[0]
        said.append(
            f"Argo CD keeps {words} as Git says (application {application}), and would undo this. Suspend it with"
            f" `argocd app set {application} --sync-policy none` and set app_rollback_kubernetes_suspended to [argocd], or revert in Git."
        )
    if (
        FLUX not in accepted
        and marks.get(_FLUX_AWAY) != "disabled"
        and (name := next((n for n in _FLUX if n in marks), ""))
    ):
        kind = "kustomization" if name.startswith("kustomize") else "helmrelease"
        said.append(
            f"Flux keeps {words} as Git says ({kind} {marks[name]}), and would undo this. Suspend it with"
            f" `flux suspend {kind} {marks[name]}` and set app_rollback_kubernetes_suspended to [flux], or revert in Git."
        )
    return [*said, *_unrollable(workload)]


def notes(workload: Workload, autoscalers: Sequence[Mapping[str, Any]]) -> List[str]:
    """What whoever reads the plan should know, and nobody has to act on beforehand."""
    words, marks, said = workload.named.words, _marks(workload), []
    for autoscaler in autoscalers:
        if scales(autoscaler, workload):
            name = autoscaler["metadata"]["name"]
            said.append(
                f"The number of replicas of {words} stays with autoscaler {name}, which rests while it is stopped."
            )
            if "scaledobject.keda.sh/name" in (autoscaler["metadata"].get("labels") or {}):
                said.append(
                    f"KEDA may start {words} again where a plan stops it: annotate its ScaledObject with autoscaling.keda.sh/paused=true."
                )
    if _HELM in marks:
        said.append(
            f"{words} belongs to Helm release {marks[_HELM]}, which does not learn of this: deploy the version that is wanted with Helm afterwards."
        )
    return said


def scales(autoscaler: Mapping[str, Any], workload: Workload) -> bool:
    target = autoscaler["spec"]["scaleTargetRef"]
    return (target["kind"], target["name"]) == (workload.named.kind, workload.named.name)


def _unrollable(workload: Workload) -> List[str]:
    """What the workload itself says that keeps its pods from following the template."""
    named, spec, said = workload.named, workload.now["spec"], []
    if named.kind == DEPLOYMENT and spec.get("paused"):
        said.append(f"{named.words} is paused. Resume it with `kubectl rollout resume {named.command}`.")
    strategy = spec.get("updateStrategy") or {}
    if strategy.get("type") == "OnDelete":
        said.append(
            f"{named.words} replaces pods only when somebody deletes them (OnDelete). Set its updateStrategy to RollingUpdate."
        )
    if named.kind == STATEFUL_SET and (strategy.get("rollingUpdate") or {}).get("partition"):
        said.append(f"{named.words} holds some of its pods back (partition). Set its partition to 0.")
    if workload.now["metadata"].get("deletionTimestamp"):
        said.append(f"{named.words} is being deleted. Deploy it anew.")
    return said


def _marks(workload: Workload) -> Dict[str, str]:
    metadata = workload.now["metadata"]
    return {**(metadata.get("labels") or {}), **(metadata.get("annotations") or {})}
