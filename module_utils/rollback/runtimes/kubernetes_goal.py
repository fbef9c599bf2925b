"""Which pod template a workload is to have, so that it runs an image: that of a revision, or the present one with the image set."""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from typing import Any, Dict, FrozenSet, List, Mapping, Optional

from ansible.module_utils.rollback.runtimes.kubernetes_workload import (
    DAEMON_SET,
    NOWHERE,
    Revision,
    Workload,
    digest_of,
    plain,
    same_name,
)

_MIGRATES = re.compile(r"\balembic\b.*\bupgrade\b", re.DOTALL)


@dataclass(frozen=True)
class Goal:
    """`words` say where the template comes from."""

    template: Dict[str, Any]
    words: str


def goal(workload: Workload, image: str, version: str, label: str) -> Optional[Goal]:
    """None where the workload has it already. A revision is found by the image, never by its number or by "the one before".

    A tag may have moved since: unless the template names the digest, or pods of that revision run it, it is pinned.
    """
    if _has(workload, image):
        return None
    for revision in workload.revisions:
        if (
            revision.template != workload.template
            and not is_nowhere(revision.template)
            and _fits(workload, revision, image)
        ):
            if not digest_of(image) or _known(workload, revision):
                return Goal(revision.template, f"revision {revision.number}")
            pinned = _with_image(workload, revision.template, image, version, "")
            return Goal(pinned, f"revision {revision.number}, with the image pinned by digest")
    template = _with_image(workload, _somewhere(workload), image, version, label)
    return Goal(template, "the present template with another image, since no revision has it")


def found_by_version(workload: Workload, version: str, label: str) -> str:
    """The image of the newest revision of that version, where no release point says it; empty where there is none."""
    if workload.version(workload.template, label) == version:
        return workload.artifact
    for revision in workload.revisions:
        if workload.version(revision.template, label) == version:
            image, digests = _image(workload, revision), workload.digests(revision)
            return f"{image}@{next(iter(digests))}" if len(digests) == 1 and not digest_of(image) else image
    return ""


def migrating(template: Mapping[str, Any]) -> List[str]:
    """Containers, init containers too, whose command takes the schema up before the application serves."""
    found = []
    for container in [*(template["spec"].get("initContainers") or ()), *template["spec"]["containers"]]:
        if _MIGRATES.search(" ".join([*(container.get("command") or ()), *(container.get("args") or ())])):
            found.append(str(container["name"]))
    return found


def _has(workload: Workload, image: str) -> bool:
    if is_nowhere(workload.template):
        return False
    runs = workload.artifact
    if digest_of(image):
        return digest_of(runs) == digest_of(image)
    return runs.partition("@")[0] == image


def _fits(workload: Workload, revision: Revision, image: str) -> bool:
    names = {container["name"] for container in revision.template["spec"]["containers"]}
    if workload.container(workload.template)["name"] not in names:
        return False
    has = _image(workload, revision)
    known = _known(workload, revision)
    if digest_of(image) and known:
        return known == {digest_of(image)}
    return has == image or same_name(has, image)


def _known(workload: Workload, revision: Revision) -> FrozenSet[str]:
    """Digests of what a revision runs: its template says it, or its pods, or what was noted when they were stopped."""
    has, noted = _image(workload, revision), str(workload.stopped.get("image", ""))
    said = digest_of(has) or (digest_of(noted) if noted.split("@")[0] == has else "")
    return frozenset({said}) if said else workload.digests(revision)


def _image(workload: Workload, revision: Revision) -> str:
    return str(workload.container(revision.template)["image"])


def _with_image(
    workload: Workload, template: Mapping[str, Any], image: str, version: str, label: str
) -> Dict[str, Any]:
    """The application's container, and each that shares its image, such as one that migrates beforehand."""
    changed = copy.deepcopy(dict(template))
    shared = workload.container(template)["image"]
    for container in [*(changed["spec"].get("initContainers") or ()), *changed["spec"]["containers"]]:
        if container["image"] == shared:
            container["image"] = image
    selected = workload.now["spec"]["selector"].get("matchLabels") or {}
    labels = changed["metadata"].get("labels") or {}
    if label in labels and label not in selected:
        labels[label] = version
    return changed


def is_nowhere(template: Mapping[str, Any]) -> bool:
    return NOWHERE.items() <= (template["spec"].get("nodeSelector") or {}).items()


def _somewhere(workload: Workload) -> Dict[str, Any]:
    """The present template, also where it is that of a daemon that was stopped."""
    return somewhere(workload.template) if workload.named.kind == DAEMON_SET else workload.template


def somewhere(template: Mapping[str, Any]) -> Dict[str, Any]:
    changed = plain(template)
    selector = {k: v for k, v in (changed["spec"].pop("nodeSelector", None) or {}).items() if k not in NOWHERE}
    if selector:
        changed["spec"]["nodeSelector"] = selector
    return changed


def nowhere(template: Mapping[str, Any]) -> Dict[str, Any]:
    changed = plain(template)
    changed["spec"]["nodeSelector"] = {**(changed["spec"].get("nodeSelector") or {}), **NOWHERE}
    return changed
