"""Which rights are needed, and which of them the cluster does not give: asked before anything is changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Sequence

from ansible.module_utils.rollback.runtimes.kubernetes_api import Api
from ansible.module_utils.rollback.runtimes.kubernetes_workload import DEPLOYMENT, STATEFUL_SET, Named

_REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


@dataclass(frozen=True)
class Right:
    """`name` is that of the only object meant; empty means all of the namespace, and no `namespace` the cluster's own."""

    verb: str
    resource: str
    group: str = ""
    namespace: str = ""
    name: str = ""

    @property
    def words(self) -> str:
        where = f" in namespace {self.namespace}" if self.namespace else ""
        resource = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{self.verb} {resource}{f' {self.name}' if self.name else ''}{where}"


def to_look(workloads: Sequence[Named], cluster: bool) -> List[Right]:
    """To see what runs; with `cluster`, also which cluster it is."""
    found = [Right("get", "namespaces", name="kube-system")] if cluster else []
    for named in workloads:
        kept = "replicasets" if named.kind == DEPLOYMENT else "controllerrevisions"
        found += [
            Right("get", named.plural, "apps", named.namespace, named.name),
            Right("list", kept, "apps", named.namespace),
            Right("list", "pods", "", named.namespace),
        ]
    return list(dict.fromkeys(found))


def to_change(workloads: Sequence[Named]) -> List[Right]:
    """To stop, start and switch, and to say why what was started is not well."""
    found = []
    for named in workloads:
        found.append(Right("patch", named.plural, "apps", named.namespace, named.name))
        found.append(Right("list", "horizontalpodautoscalers", "autoscaling", named.namespace))
        if named.kind != DEPLOYMENT:
            found.append(Right("list", "events", "", named.namespace))
        if named.kind == STATEFUL_SET:
            found.append(Right("delete", "pods", "", named.namespace))
    return list(dict.fromkeys(found))


def lacking(api: Api, rights: Sequence[Right]) -> str:
    """One sentence on all that are not given; empty where none is."""
    missing = [right.words for right in rights if not _given(api, right)]
    if not missing:
        return ""
    return f"The cluster does not give these rights: {'; '.join(missing)}. docs/adopting.md has the role that does."


def _given(api: Api, right: Right) -> bool:
    attributes = {
        "verb": right.verb,
        "resource": right.resource,
        "group": right.group,
        "namespace": right.namespace,
        "name": right.name,
    }
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {name: value for name, value in attributes.items() if value}},
    }
    return bool((api.create(_REVIEW, review).get("status") or {}).get("allowed"))
