"""A workload as it is: its pod template, the revisions that its controller keeps, and what its pods really run."""

from __future__ import annotations

import copy
import json
import re
from dataclasses import dataclass, field
from typing import Any, Dict, FrozenSet, List, Mapping, Optional

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.runtimes.docker import repository_of, tag_of
from ansible.module_utils.rollback.runtimes.kubernetes_api import Api
from ansible.module_utils.rollback.words import listed

DEPLOYMENT, STATEFUL_SET, DAEMON_SET = "Deployment", "StatefulSet", "DaemonSet"
KINDS = (DEPLOYMENT, STATEFUL_SET, DAEMON_SET)

# Ours, on a workload that a run has stopped: how many replicas it had, and which image they ran.
STOPPED = "rollback/stopped"
# A daemon has no replicas. It is stopped by asking for nodes that do not exist.
NOWHERE = {"rollback/stopped": "true"}

VERSION_LABEL = "app.kubernetes.io/version"
_REVISION = "deployment.kubernetes.io/revision"
_HASH = "pod-template-hash"
_DIGEST = re.compile(r"@(sha256:[0-9a-f]{64})$")


@dataclass(frozen=True)
class Named:
    """A workload as the inventory names it. `container` is the one that holds the application; empty takes the first."""

    kind: str
    namespace: str
    name: str
    container: str = ""

    @property
    def part(self) -> str:
        """Its key among a release's images."""
        return f"{self.namespace}/{self.kind.lower()}/{self.name}"

    @property
    def words(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"

    @property
    def plural(self) -> str:
        return f"{self.kind.lower()}s"

    @property
    def path(self) -> str:
        return f"/apis/apps/v1/namespaces/{self.namespace}/{self.plural}/{self.name}"

    @property
    def command(self) -> str:
        """As kubectl is told it."""
        return f"{self.kind.lower()}/{self.name} --namespace {self.namespace}"


@dataclass(frozen=True)
class Revision:
    """`mark` is the label by which its pods are known."""

    number: int
    mark: str
    template: Dict[str, Any]


@dataclass(frozen=True)
class Workload:
    """`now` is the live object, `revisions` are the newest first, `pods` those of this workload alone."""

    named: Named
    now: Dict[str, Any]
    revisions: List[Revision] = field(default_factory=list)
    pods: List[Dict[str, Any]] = field(default_factory=list)

    @property
    def template(self) -> Dict[str, Any]:
        return plain(self.now["spec"]["template"])

    @property
    def annotations(self) -> Dict[str, str]:
        return dict(self.now["metadata"].get("annotations") or {})

    @property
    def image(self) -> str:
        return str(self.container(self.template)["image"])

    @property
    def replicas(self) -> int:
        """As wished; a daemon has as many as there are nodes for it."""
        if self.named.kind == DAEMON_SET:
            return int((self.now.get("status") or {}).get("desiredNumberScheduled") or 0)
        return int(self.now["spec"].get("replicas", 1))

    @property
    def stopped(self) -> Dict[str, Any]:
        """What was noted when a run stopped it; empty where none has."""
        try:
            return dict(json.loads(self.annotations.get(STOPPED, "{}")))
        except ValueError:
            return {}

    def container(self, template: Mapping[str, Any]) -> Dict[str, Any]:
        """The application's, of a template. Raises RollbackError where that has none of this name."""
        containers = template["spec"]["containers"]
        marked = (template["metadata"].get("annotations") or {}).get("kubectl.kubernetes.io/default-container")
        wanted = self.named.container or marked or containers[0]["name"]
        for container in containers:
            if container["name"] == wanted:
                return dict(container)
        names = listed(str(container["name"]) for container in containers)
        raise RollbackError(
            f"{self.named.words} has no container {wanted} (it has {names}).",
            "Check app_rollback_kubernetes_workloads.",
        )

    @property
    def present(self) -> Optional[Revision]:
        """The revision of the template as it is now: the one that equals it, or, where a newer server has more defaults than the one
        that kept it, the last one of its image."""
        for revision in self.revisions:
            if revision.template == self.template:
                return revision
        return self.revisions[0] if self.observed and self.revisions and self._same_image(self.revisions[0]) else None

    @property
    def observed(self) -> bool:
        """Whether its controller has seen the present spec."""
        status = self.now.get("status") or {}
        return int(status.get("observedGeneration") or 0) >= int(self.now["metadata"]["generation"])

    def _same_image(self, revision: Revision) -> bool:
        name = self.container(self.template)["name"]
        return any(
            one["name"] == name and one["image"] == self.image for one in revision.template["spec"]["containers"]
        )

    def pods_of(self, revision: Optional[Revision]) -> List[Dict[str, Any]]:
        label = _HASH if self.named.kind == DEPLOYMENT else "controller-revision-hash"
        return [
            pod for pod in self.pods if revision and (pod["metadata"].get("labels") or {}).get(label) == revision.mark
        ]

    def digests(self, revision: Optional[Revision]) -> FrozenSet[str]:
        """What the pods of a revision run, as far as they say so and a registry knows it."""
        name = self.container((revision or Revision(0, "", self.template)).template)["name"]
        found = {
            digest_of(str(status.get("imageID", "")))
            for pod in self.pods_of(revision)
            for status in (pod.get("status") or {}).get("containerStatuses") or ()
            if status["name"] == name
        }
        return frozenset(found - {""})

    @property
    def artifact(self) -> str:
        """The image that runs, by digest where that is known, with its tag."""
        noted = str(self.stopped.get("image", ""))
        if digest_of(self.image):
            return self.image
        if noted.split("@")[0] == self.image:
            return noted
        digests = self.digests(self.present)
        return f"{self.image}@{next(iter(digests))}" if len(digests) == 1 else self.image

    def version(self, template: Mapping[str, Any], label: str) -> str:
        """By the label that the inventory names, else by the tag of the image, else by the usual label."""
        metadata = template["metadata"]
        labels = {**(metadata.get("annotations") or {}), **(metadata.get("labels") or {})}
        if label:
            return str(labels.get(label, ""))
        return tag_of(str(self.container(template)["image"])) or str(labels.get(VERSION_LABEL, ""))


def read(api: Api, named: Named) -> Workload:
    """Raises RollbackError where there is no such workload."""
    now = api.get(named.path)
    if now is None:
        raise RollbackError(
            f"There is no {named.kind} {named.name} in namespace {named.namespace}, or no such namespace.",
            "Check app_rollback_kubernetes_workloads, and the context.",
        )
    selector = selector_of(now)
    uid = now["metadata"]["uid"]
    apps, core = (f"/{group}/namespaces/{named.namespace}" for group in ("apis/apps/v1", "api/v1"))
    kept = "replicasets" if named.kind == DEPLOYMENT else "controllerrevisions"
    revisions = [one for one in api.list(f"{apps}/{kept}", labelSelector=selector) if _owned(one, {uid})]
    owners = {uid, *(one["metadata"]["uid"] for one in revisions)}
    pods = [one for one in api.list(f"{core}/pods", labelSelector=selector) if _owned(one, owners)]
    found = sorted((_revision(named.kind, one) for one in revisions), key=lambda one: -one.number)
    return Workload(named, now, found, pods)


def selector_of(now: Mapping[str, Any]) -> str:
    """In the words of a query."""
    selector = now["spec"]["selector"]
    terms = [f"{label}={value}" for label, value in sorted((selector.get("matchLabels") or {}).items())]
    for term in selector.get("matchExpressions") or ():
        values = ",".join(term.get("values") or ())
        terms.append(
            {
                "In": f"{term['key']} in ({values})",
                "NotIn": f"{term['key']} notin ({values})",
                "Exists": f"{term['key']}",
                "DoesNotExist": f"!{term['key']}",
            }[term["operator"]]
        )
    return ",".join(terms)


def plain(template: Mapping[str, Any]) -> Dict[str, Any]:
    """A template by which two can be compared: without what controllers add, and what some servers write as null."""
    found = _without_null(copy.deepcopy(dict(template)))
    found.pop("$patch", None)
    found.setdefault("metadata", {})
    labels = found["metadata"].get("labels")
    if labels:
        labels.pop(_HASH, None)
    return dict(found)


def digest_of(reference: str) -> str:
    found = _DIGEST.search(reference)
    return found.group(1) if found else ""


def same_name(one: str, other: str) -> bool:
    """Repository and tag; a reference without a tag has no name to go by."""
    return bool(tag_of(one)) and (repository_of(one), tag_of(one)) == (repository_of(other), tag_of(other))


def _revision(kind: str, kept: Mapping[str, Any]) -> Revision:
    metadata = kept["metadata"]
    labels = metadata.get("labels") or {}
    if kind == DEPLOYMENT:
        number = int((metadata.get("annotations") or {}).get(_REVISION, 0))
        return Revision(number, str(labels.get(_HASH, "")), plain(kept["spec"]["template"]))
    mark = metadata["name"] if kind == STATEFUL_SET else labels.get("controller-revision-hash", "")
    return Revision(int(kept["revision"]), str(mark), plain(kept["data"]["spec"]["template"]))


def _owned(thing: Mapping[str, Any], owners: "set[str]") -> bool:
    references = thing["metadata"].get("ownerReferences") or ()
    return any(reference.get("controller") and reference["uid"] in owners for reference in references)


def _without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_null(inner) for key, inner in value.items() if inner is not None}
    return [_without_null(inner) for inner in value] if isinstance(value, list) else value
