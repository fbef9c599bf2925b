"""The three ways in which a Kubernetes API takes a patch."""

from __future__ import annotations

import copy
from typing import Any

JSON, MERGE, STRATEGIC = (f"application/{kind}-patch+json" for kind in ("json", "merge", "strategic-merge"))

# Field → the key by which a strategic patch merges its list; other lists are replaced.
_KEYS = {
    "conditions": "type",
    "containers": "name",
    "env": "name",
    "imagePullSecrets": "name",
    "initContainers": "name",
    "ownerReferences": "uid",
    "ports": "containerPort",
    "volumeMounts": "mountPath",
    "volumes": "name",
}


class Refused(Exception):
    """A JSON patch whose test failed, or whose path does not exist."""


def apply(kind: str, now: Any, patch: Any) -> Any:
    now = copy.deepcopy(now)
    if kind == JSON:
        for operation in patch:
            now = _operation(now, operation)
        return now
    return _merge(now, patch) if kind == MERGE else _strategic(now, patch, "")


def _operation(now: Any, operation: dict) -> Any:
    *way, last = [word.replace("~1", "/").replace("~0", "~") for word in operation["path"].split("/")[1:]]
    place = now
    try:
        for word in way:
            place = place[int(word)] if isinstance(place, list) else place[word]
        if operation["op"] == "test":
            if place[last] != operation["value"]:
                raise Refused(f"testing value {operation['path']} failed: test failed")
        elif operation["op"] == "remove":
            del place[int(last) if isinstance(place, list) else last]
        elif isinstance(place, list):
            place[len(place) if last == "-" else int(last)] = operation["value"]
        else:
            if operation["op"] == "replace":
                place[last]
            place[last] = operation["value"]
    except (KeyError, IndexError, TypeError) as error:
        raise Refused(
            f"{operation['op']} operation does not apply: doc is missing path: {operation['path']}"
        ) from error
    return now


def _merge(now: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    now = dict(now) if isinstance(now, dict) else {}
    for name, value in patch.items():
        if value is None:
            now.pop(name, None)
        else:
            now[name] = _merge(now.get(name), value)
    return now


def _strategic(now: Any, patch: Any, field: str) -> Any:
    if isinstance(patch, list) and field in _KEYS and all(isinstance(item, dict) for item in patch):
        return _strategic_list(now or [], patch, _KEYS[field])
    if not isinstance(patch, dict):
        return patch
    if patch.get("$patch") == "replace":
        return {name: value for name, value in patch.items() if name != "$patch"}
    now = dict(now) if isinstance(now, dict) else {}
    if "$retainKeys" in patch:
        now = {name: value for name, value in now.items() if name in patch["$retainKeys"]}
    for name, value in patch.items():
        if name.startswith("$"):
            continue
        if value is None:
            now.pop(name, None)
        else:
            now[name] = _strategic(now.get(name), value, name)
    return now


def _strategic_list(now: list, patch: list, key: str) -> list:
    if any(item.get("$patch") == "replace" for item in patch):
        return [item for item in patch if "$patch" not in item]
    found = list(now)
    for item in patch:
        place = next((n for n, one in enumerate(found) if one.get(key) == item.get(key)), None)
        if item.get("$patch") == "delete":
            if place is not None:
                del found[place]
        elif place is None:
            found.append(_strategic({}, item, ""))
        else:
            found[place] = _strategic(found[place], item, "")
    return found
