"""A Kubernetes API on loopback, with as much behind it as workloads need to be rolled out and rolled back.

It answers kubectl and the Python client: discovery, reading and writing, JSON, merge and strategic merge patches, conflicts,
selectors, watches, the scale subresource, and SelfSubjectAccessReview. Behind it work the controllers of controllers.py.

Limits, which a real control plane does not have: no authentication (whoever asks is `tester`, and may all but what `/emulator/deny`
lists); no admission, no schema (a field that does not exist is kept), few defaults; no server-side apply, no field managers, no
printed tables, no compaction of history (a watch sees every event since the emulator began); pods run nothing by themselves and have
no logs; `kubectl exec` has the limits of execution.py. Kinds are those in KINDS. What an image does is in its name, see controllers.py.

As a program: `emulator.py <kubeconfig to write>`, with the port that is free; it ends with SIGTERM.
"""

from __future__ import annotations

import contextlib
import copy
import http.server
import itertools
import json
import sys
import threading
import time
import urllib.parse
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import controllers
import execution
import patches

# Group and version → plural → kind, short names, whether it is of a namespace.
KINDS = {
    "v1": {
        "namespaces": ("Namespace", ["ns"], False),
        "pods": ("Pod", ["po"], True),
        "events": ("Event", ["ev"], True),
        "configmaps": ("ConfigMap", ["cm"], True),
    },
    "apps/v1": {
        "deployments": ("Deployment", ["deploy"], True),
        "replicasets": ("ReplicaSet", ["rs"], True),
        "statefulsets": ("StatefulSet", ["sts"], True),
        "daemonsets": ("DaemonSet", ["ds"], True),
        "controllerrevisions": ("ControllerRevision", [], True),
    },
    "autoscaling/v2": {"horizontalpodautoscalers": ("HorizontalPodAutoscaler", ["hpa"], True)},
    "authorization.k8s.io/v1": {"selfsubjectaccessreviews": ("SelfSubjectAccessReview", [], False)},
}
SCALABLE = ("deployments", "statefulsets", "replicasets")
VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]
USER = "tester"


class Failure(Exception):
    """An answer that is a Status."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason,
            "code": code,
        }


@dataclass(frozen=True)
class Place:
    """What a path means. `name` is empty for a list, `namespace` for all of them."""

    group_version: str
    plural: str
    namespace: str
    name: str
    subresource: str

    @property
    def group(self) -> str:
        return self.group_version.rpartition("/")[0]

    @property
    def words(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural


class Store:
    """Every object, and every event since the beginning; one lock for all."""

    def __init__(self) -> None:
        self.lock = threading.Condition()
        self.objects: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.events: list[tuple[int, str, str, dict[str, Any]]] = []
        self.deny: list[dict[str, str]] = []
        self.tags: dict[str, str] = {}
        self._version = 0

    def list(self, plural: str, namespace: str = "") -> list[dict[str, Any]]:
        return [
            one for (kind, where, _), one in sorted(self.objects.items()) if kind == plural and namespace in ("", where)
        ]

    def get(self, plural: str, namespace: str, name: str) -> dict[str, Any] | None:
        return self.objects.get((plural, namespace, name))

    def create(self, plural: str, namespace: str, content: dict[str, Any]) -> dict[str, Any]:
        metadata = content.setdefault("metadata", {})
        if not metadata.get("name"):
            metadata["name"] = self.free_name(plural, namespace, metadata["generateName"])
        if (plural, namespace, metadata["name"]) in self.objects:
            raise Failure(409, "AlreadyExists", f'{plural} "{metadata["name"]}" already exists')
        if namespace and ("namespaces", "", namespace) not in self.objects:
            raise Failure(404, "NotFound", f'namespaces "{namespace}" not found')
        metadata.update({"namespace": namespace} if namespace else {})
        metadata.update(uid=str(uuid.uuid4()), creationTimestamp=controllers.now(), generation=1)
        self._keep("ADDED", plural, namespace, content)
        return content

    def free_name(self, plural: str, namespace: str, prefix: str) -> str:
        """Five hexadecimal digits behind `prefix` that nothing of its kind has: chance gives some of them twice."""
        names = (prefix + uuid.uuid4().hex[:5] for _ in itertools.count())
        return next(name for name in names if (plural, namespace, name) not in self.objects)

    def replace(self, plural: str, namespace: str, content: dict[str, Any]) -> dict[str, Any]:
        """What differs from what is there; a change of the spec is a new generation."""
        old = self.objects[plural, namespace, content["metadata"]["name"]]
        wanted = content["metadata"].get("resourceVersion")
        if wanted and wanted != old["metadata"]["resourceVersion"]:
            raise Failure(
                409,
                "Conflict",
                f'Operation cannot be fulfilled on {plural} "{content["metadata"]["name"]}": the object has been modified;'
                " please apply your changes to the latest version and try again",
            )
        for name in ("uid", "creationTimestamp", "generation", "resourceVersion"):
            content["metadata"][name] = old["metadata"].get(name)
        if content == old:
            return old
        if content.get("spec") != old.get("spec"):
            content["metadata"]["generation"] = old["metadata"]["generation"] + 1
        self._keep("MODIFIED", plural, namespace, content)
        return content

    def update(self, plural: str, old: dict[str, Any], **parts: Any) -> dict[str, Any]:
        """As controllers do it."""
        return self.replace(
            plural, old["metadata"].get("namespace", ""), {**copy.deepcopy(old), **copy.deepcopy(parts)}
        )

    def delete(self, plural: str, thing: dict[str, Any]) -> None:
        namespace, name = thing["metadata"].get("namespace", ""), thing["metadata"]["name"]
        gone = self.objects.pop((plural, namespace, name), None)
        if gone:
            self._event("DELETED", plural, namespace, gone)
            uid = gone["metadata"]["uid"]
            for (kind, _, _), one in list(self.objects.items()):
                if any(owner["uid"] == uid for owner in one["metadata"].get("ownerReferences", ())):
                    self.delete(kind, one)
        if plural == "namespaces":
            for (kind, where, _), one in list(self.objects.items()):
                if where == name:
                    self.delete(kind, one)

    def may(self, verb: str, plural: str, namespace: str) -> bool:
        asked = {"verb": verb, "resource": plural, "namespace": namespace}
        return not any(all(asked[name] == value for name, value in rule.items()) for rule in self.deny)

    def _keep(self, event: str, plural: str, namespace: str, content: dict[str, Any]) -> None:
        self.objects[plural, namespace, content["metadata"]["name"]] = content
        self._event(event, plural, namespace, content)

    def _event(self, event: str, plural: str, namespace: str, content: dict[str, Any]) -> None:
        self._version += 1
        content["metadata"]["resourceVersion"] = str(self._version)
        self.events.append((self._version, event, plural, copy.deepcopy(content)))
        self.lock.notify_all()

    @property
    def version(self) -> str:
        return str(self._version)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    store: Store

    def handle_any(self) -> None:
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        length = int(self.headers.get("Content-Length") or 0)
        content = self.rfile.read(length)
        try:
            if "protobuf" in (self.headers["Content-Type"] or ""):
                raise Failure(
                    415, "UnsupportedMediaType", "the emulator reads JSON alone: use kubectl create -f or apply -f"
                )
            body = json.loads(content or "null")
            found = self._emulator(url.path, body) or self._discovery(url.path)
            if found is None:
                place = placed(url.path)
                verb = verb_of(self.command, place, query)
                self._refuse(verb, place)
                if verb == "watch":
                    self._watch(place, query)
                    return
                if place.subresource == "exec":
                    self._execute(place)
                    return
                with self.store.lock:
                    found = self._answer(verb, place, query, body)
                    # Whoever writes the answer must not see what controllers change meanwhile.
                    found = copy.deepcopy(found)
            self._send(201 if self.command == "POST" else 200, found)
        except Failure as failure:
            self._send(failure.status["code"], failure.status)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

    def log_message(self, *_: object) -> None:
        pass

    def _send(self, code: int, content: Any) -> None:
        body = json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _emulator(self, path: str, body: Any) -> dict[str, Any] | None:
        """What only an emulator has: rights that are not given, and tags that move."""
        if path not in ("/emulator/deny", "/emulator/tags"):
            return None
        with self.store.lock:
            setattr(self.store, path.rpartition("/")[2], body)
        return {"kind": "Status", "status": "Success"}

    def _discovery(self, path: str) -> dict[str, Any] | None:
        path = path.rstrip("/")
        if path == "/version":
            return {"major": "1", "minor": "36", "gitVersion": "v1.36.0-emulator", "platform": "linux/amd64"}
        if path == "/api":
            return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
        if path == "/apis":
            groups = [group_version.split("/") for group_version in KINDS if "/" in group_version]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [group_of(*group) for group in groups]}
        group_version = path.removeprefix("/api/").removeprefix("/apis/")
        if group_version not in KINDS:
            return None
        resources = []
        for plural, (kind, short, namespaced) in KINDS[group_version].items():
            described = {"name": plural, "singularName": kind.lower(), "namespaced": namespaced, "kind": kind}
            verbs = ["create"] if plural == "selfsubjectaccessreviews" else VERBS
            resources.append({**described, "verbs": verbs, "shortNames": short})
            if plural in SCALABLE:
                scale = {"name": f"{plural}/scale", "group": "autoscaling", "version": "v1", "kind": "Scale"}
                resources.append({**described, **scale, "verbs": ["get", "patch", "update"]})
        return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources}

    def _refuse(self, verb: str, place: Place) -> None:
        if place.plural != "selfsubjectaccessreviews" and not self.store.may(verb, place.plural, place.namespace):
            named = f' "{place.name}"' if place.name else ""
            raise Failure(
                403,
                "Forbidden",
                f'{place.words}{named} is forbidden: User "{USER}" cannot {verb} resource "{place.plural}" in API group'
                f' "{place.group}" in the namespace "{place.namespace}"',
            )

    def _answer(self, verb: str, place: Place, query: dict[str, str], body: Any) -> dict[str, Any]:
        store = self.store
        if place.plural == "selfsubjectaccessreviews":
            asked = body["spec"]["resourceAttributes"]
            allowed = store.may(asked["verb"], asked["resource"], asked.get("namespace", ""))
            return {**body, "status": {"allowed": allowed}}
        kind = KINDS[place.group_version][place.plural][0]
        if verb == "list":
            items = [one for one in store.list(place.plural, place.namespace) if selected(one, query)]
            for item in items:
                item.update(apiVersion=place.group_version, kind=kind)
            metadata = {"resourceVersion": store.version}
            return {"kind": f"{kind}List", "apiVersion": place.group_version, "metadata": metadata, "items": items}
        if verb == "create":
            return store.create(place.plural, place.namespace, controllers.with_defaults(body))
        now = store.get(place.plural, place.namespace, place.name)
        if now is None:
            raise Failure(404, "NotFound", f'{place.words} "{place.name}" not found')
        if place.subresource == "scale":
            return self._scale(verb, place, now, body)
        if verb == "get":
            return now
        if verb == "delete":
            return self._delete(place, now, body or {})
        return store.replace(place.plural, place.namespace, self._changed(verb, now, body))

    def _changed(self, verb: str, now: dict[str, Any], body: Any) -> dict[str, Any]:
        """The object after a write; its status is the controllers' alone."""
        if verb == "update":
            changed = controllers.with_defaults(body)
        else:
            try:
                changed = controllers.with_defaults(
                    patches.apply(self.headers["Content-Type"].split(";")[0], now, body)
                )
            except patches.Refused as refused:
                raise Failure(
                    422, "Invalid", f"the server rejected our request due to an error in our request: {refused}"
                ) from refused
            if changed["metadata"].get("resourceVersion") == now["metadata"]["resourceVersion"]:
                changed["metadata"] = {k: v for k, v in changed["metadata"].items() if k != "resourceVersion"}
        selector = (now.get("spec") or {}).get("selector")
        if selector and changed["spec"].get("selector") != selector:
            raise Failure(422, "Invalid", "spec.selector: Invalid value: field is immutable")
        return {**changed, **({"status": now["status"]} if "status" in now else {})}

    def _scale(self, verb: str, place: Place, now: dict[str, Any], body: Any) -> dict[str, Any]:
        if verb in ("patch", "update"):
            wished = {"spec": {"replicas": now["spec"]["replicas"]}}
            kind = self.headers["Content-Type"].split(";")[0]
            wished = body if verb == "update" else patches.apply(kind, wished, body)
            now = self.store.update(
                place.plural, now, spec={**now["spec"], "replicas": wished["spec"].get("replicas", 0)}
            )
        return {
            "kind": "Scale",
            "apiVersion": "autoscaling/v1",
            "metadata": {name: now["metadata"][name] for name in ("name", "namespace", "uid", "resourceVersion")},
            "spec": {"replicas": now["spec"]["replicas"]},
            "status": {"replicas": now.get("status", {}).get("replicas", 0)},
        }

    def _delete(self, place: Place, now: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
        wanted = (options.get("preconditions") or {}).get("uid")
        if wanted and wanted != now["metadata"]["uid"]:
            raise Failure(
                409, "Conflict", f'the UID in the precondition ({wanted}) does not match that of "{place.name}"'
            )
        if place.plural == "pods" and options.get("gracePeriodSeconds") != 0:
            controllers.end(self.store, now)
        else:
            self.store.delete(place.plural, now)
        return now

    def _execute(self, place: Place) -> None:
        with self.store.lock:
            pod = copy.deepcopy(self.store.get(place.plural, place.namespace, place.name))
        if pod is None:
            raise Failure(404, "NotFound", f'{place.words} "{place.name}" not found')
        if not controllers.is_ready(pod):
            raise Failure(500, "InternalError", "container not found")
        if execution.PROTOCOL not in (self.headers["Sec-WebSocket-Protocol"] or ""):
            raise Failure(400, "BadRequest", f"the emulator executes over WebSockets alone, as {execution.PROTOCOL}")
        execution.serve(self, pod)

    def _watch(self, place: Place, query: dict[str, str]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        kind = KINDS[place.group_version][place.plural][0]
        seen = int(query.get("resourceVersion") or 0)
        deadline = time.monotonic() + float(query.get("timeoutSeconds") or 60)
        with contextlib.suppress(OSError):
            while time.monotonic() < deadline:
                with self.store.lock:
                    new = [event for event in self.store.events if event[0] > seen]
                    if not new:
                        self.store.lock.wait(0.2)
                for number, event, plural, content in new:
                    seen = number
                    where = content["metadata"].get("namespace", "")
                    if plural == place.plural and place.namespace in ("", where) and selected(content, query):
                        thing = {**content, "kind": kind, "apiVersion": place.group_version}
                        line = json.dumps({"type": event, "object": thing}).encode() + b"\n"
                        self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
                        self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")


def group_of(group: str, version: str) -> dict[str, Any]:
    preferred = {"groupVersion": f"{group}/{version}", "version": version}
    return {"name": group, "versions": [preferred], "preferredVersion": preferred}


def placed(path: str) -> Place:
    words = [urllib.parse.unquote(word) for word in path.split("/") if word]
    if not words or words[0] not in ("api", "apis") or len(words) < 3:
        raise Failure(404, "NotFound", "the server could not find the requested resource")
    group_version, rest = (words[1], words[2:]) if words[0] == "api" else ("/".join(words[1:3]), words[3:])
    namespace = ""
    if rest[:1] == ["namespaces"] and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    if not rest or rest[0] not in KINDS.get(group_version, {}):
        raise Failure(404, "NotFound", "the server could not find the requested resource")
    return Place(group_version, rest[0], namespace, "".join(rest[1:2]), "".join(rest[2:3]))


def verb_of(method: str, place: Place, query: dict[str, str]) -> str:
    if method == "GET":
        if query.get("watch") in ("1", "true"):
            return "watch"
        return "get" if place.name else "list"
    return {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}[method]


def selected(thing: dict[str, Any], query: dict[str, str]) -> bool:
    labels = thing["metadata"].get("labels") or {}
    for term in filter(None, query.get("labelSelector", "").split(",")):
        name, _, value = term.replace("==", "=").partition("=")
        if labels.get(name.strip()) != value.strip():
            return False
    for term in filter(None, query.get("fieldSelector", "").split(",")):
        way, _, value = term.partition("=")
        place: Any = thing
        for word in way.split("."):
            place = (place or {}).get(word)
        if str(place) != value:
            return False
    return True


@contextlib.contextmanager
def running(kubeconfig: Path):
    """The store of an emulator that answers as `kubeconfig` says."""
    store = Store()
    with store.lock:
        for name in ("default", "kube-system"):
            store.create("namespaces", "", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"store": store}))
    server.daemon_threads = True
    at_work = threading.Event()
    workers = [
        threading.Thread(target=server.serve_forever, daemon=True),
        threading.Thread(target=controllers.run, args=(store, at_work), daemon=True),
    ]
    for worker in workers:
        worker.start()
    kubeconfig.write_text(json.dumps(config(f"http://127.0.0.1:{server.server_address[1]}")))
    try:
        yield store
    finally:
        at_work.set()
        server.shutdown()
        server.server_close()
        for worker in workers:
            worker.join()


def config(url: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "emulator", "cluster": {"server": url}}],
        "users": [{"name": USER, "user": {"token": "not-a-secret"}}],
        "contexts": [{"name": "emulator", "context": {"cluster": "emulator", "user": USER}}],
        "current-context": "emulator",
    }


def main() -> None:
    with running(Path(sys.argv[1])):
        threading.Event().wait()


if __name__ == "__main__":
    main()
