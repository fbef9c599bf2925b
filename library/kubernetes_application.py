#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: kubernetes_application
short_description: See, stop, start or switch an application on Kubernetes
description:
  - Deployments, StatefulSets and DaemonSets go to a version together, and back together where one of them does not become ready.
  - A revision is found by the image that it runs, never by its number or as "the one before", so that asking twice changes nothing
    the second time. Where no revision has it, the image is set in the present template.
  - Pod templates alone are moved, and replicas to stop and start. What is not named stays as it is.
options:
  access:
    description: How the cluster is reached, in the options of C(kubernetes.core); what is not said is taken from the environment as there.
    type: dict
    default: {}
    suboptions:
      kubeconfig:
        description: Path of a kubeconfig file, or its content.
        type: raw
      context:
        description: Context of that file.
        type: str
      host:
        description: URL of the API.
        type: str
      api_key:
        description: Token.
        type: str
      username:
        description: User name, for basic authentication.
        type: str
      password:
        description: Its password.
        type: str
      validate_certs:
        description: Whether the certificate of the API is verified.
        type: bool
      ca_cert:
        description: File with the certificate authority of the API.
        type: path
      client_cert:
        description: File with a client certificate.
        type: path
      client_key:
        description: File with its key.
        type: path
      proxy:
        description: URL of a proxy.
        type: str
      no_proxy:
        description: Hosts that are reached without it.
        type: str
      impersonate_user:
        description: User to act as.
        type: str
      impersonate_groups:
        description: Groups to act as.
        type: list
        elements: str
  workloads:
    description: The workloads that belong to the application; never that of its database.
    type: list
    elements: dict
    required: true
    suboptions:
      kind:
        description: Its kind.
        type: str
        choices: [Deployment, StatefulSet, DaemonSet]
        default: Deployment
      name:
        description: Its name.
        type: str
        required: true
      namespace:
        description: Its namespace; empty takes O(namespace).
        type: str
        default: ""
      container:
        description: The container that holds the application. Empty takes the one that kubectl would, by annotation or as the first.
        type: str
        default: ""
  namespace:
    description: Namespace of those that do not name one.
    type: str
    default: ""
  cluster_uid:
    description: Uid of the namespace kube-system, by which a cluster is known. Empty does not ask.
    type: str
    default: ""
  suspended:
    description: GitOps that keeps the workloads as Git says, and is paused.
    type: list
    elements: str
    choices: [argocd, flux]
    default: []
  version_label:
    description: Label of the pods that names the version. Empty takes the tag of the image, or else C(app.kubernetes.io/version).
    type: str
    default: ""
  state:
    description:
      - V(look) and V(ready) change nothing; V(ready) says whether the application can go to O(version).
      - V(stopped) leaves no pod, V(started) brings them up on O(target) with the replicas of before.
      - V(switched) does nothing where O(target) runs, and puts back what ran where O(target) does not become ready.
    type: str
    choices: [look, ready, stopped, started, switched]
    default: look
  version:
    description: Version to be ready for, or to bring up.
    type: str
    default: ""
  wanted:
    description: Workload → image, as the ledger has it, for O(state=ready). Others are found by O(version) among the revisions.
    type: dict
    default: {}
  target:
    description: Workload → image, as O(state=ready) returns it.
    type: dict
    default: {}
  wait_s:
    description: Seconds within which pods must be ready, or gone.
    type: float
    default: 180
attributes:
  check_mode:
    support: full
    description: Nothing is changed; RV(actions) tell what would be done.
requirements: [kubernetes 24.2 or newer, on the host]
author: [The Rollback authors]
"""

EXAMPLES = r"""
- name: Switch to 1.0.0
  kubernetes_application:
    access: {context: production}
    namespace: hunter
    workloads:
      - {name: api}
      - {kind: StatefulSet, name: worker}
    state: switched
    version: 1.0.0
    target:
      hunter/deployment/api: registry.example.org/hunter:1.0.0@sha256:1f0e…
      hunter/statefulset/worker: registry.example.org/hunter:1.0.0@sha256:1f0e…
"""

RETURN = r"""
running:
  description: The version that runs; empty where workloads differ.
  returned: success
  type: str
releases:
  description: Versions of which there are revisions.
  returned: success
  type: list
  elements: str
artifacts:
  description: Workload → image that it runs, with tag and digest where its pods say it.
  returned: success
  type: dict
target:
  description: Workload → image of O(version), with O(state=ready).
  returned: success
  type: dict
problems:
  description: Why the application cannot go to O(version), in sentences with a way out, with O(state=ready).
  returned: success
  type: list
  elements: str
notes:
  description: What whoever reads the plan should know; which revision each workload gets, who else has a say over it.
  returned: success
  type: list
  elements: str
mixed:
  description: Which pods of one workload run different images under one name.
  returned: success
  type: list
  elements: str
migrates:
  description: Which containers of O(version) take the schema up when they start, with O(state=ready).
  returned: success
  type: list
  elements: str
actions:
  description: What was done, or in check mode would be, in words.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.rollback import module
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.runtimes import kubernetes, kubernetes_change
from ansible.module_utils.rollback.runtimes.kubernetes_api import connect
from ansible.module_utils.rollback.runtimes.kubernetes_workload import Named

ARGUMENT_SPEC = {
    "access": {
        "type": "dict",
        "default": {},
        "options": {
            "kubeconfig": {"type": "raw", "no_log": True},
            "context": {"type": "str"},
            "host": {"type": "str"},
            "api_key": {"type": "str", "no_log": True},
            "username": {"type": "str"},
            "password": {"type": "str", "no_log": True},
            "validate_certs": {"type": "bool"},
            "ca_cert": {"type": "path"},
            "client_cert": {"type": "path"},
            "client_key": {"type": "path"},
            "proxy": {"type": "str"},
            "no_proxy": {"type": "str"},
            "impersonate_user": {"type": "str"},
            "impersonate_groups": {"type": "list", "elements": "str"},
        },
    },
    "workloads": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "kind": {"type": "str", "choices": ["Deployment", "StatefulSet", "DaemonSet"], "default": "Deployment"},
            "name": {"type": "str", "required": True},
            "namespace": {"type": "str", "default": ""},
            "container": {"type": "str", "default": ""},
        },
    },
    "namespace": {"type": "str", "default": ""},
    "cluster_uid": {"type": "str", "default": ""},
    "suspended": {"type": "list", "elements": "str", "choices": ["argocd", "flux"], "default": []},
    "version_label": {"type": "str", "default": ""},
    "state": {"type": "str", "choices": ["look", "ready", "stopped", "started", "switched"], "default": "look"},
    "version": {"type": "str", "default": ""},
    "wanted": {"type": "dict", "default": {}},
    "target": {"type": "dict", "default": {}},
    "wait_s": {"type": "float", "default": 180},
}


def named(params):
    found = [
        Named(one["kind"], one["namespace"] or params["namespace"], one["name"], one["container"])
        for one in params["workloads"]
    ]
    if not found or not all(one.namespace for one in found):
        raise RollbackError(
            "The workloads of the application, or their namespaces, are not named.",
            "Set app_rollback_kubernetes_workloads and app_rollback_kubernetes_namespace.",
        )
    return found


def bring(params, check_mode):
    state, version, target = params["state"], params["version"], params["target"]
    if state not in ("look", "stopped") and not version:
        raise RollbackError(f"state={state} needs a version.")
    workloads = named(params)
    application = kubernetes.Application(
        api=connect(params["access"]),
        workloads=workloads,
        cluster_uid=params["cluster_uid"],
        suspended=params["suspended"],
        version_label=params["version_label"],
        wait_s=params["wait_s"],
    )
    if state == "ready":
        return kubernetes.ready(application, version, params["wanted"]).as_dict()
    found = kubernetes.look(application)
    if state == "look" or check_mode:
        changed = state != "look" and found.artifacts != target
        return {**found.as_dict(), "changed": changed, "actions": [f"would be {state}"] if changed else []}
    if state == "stopped":
        return kubernetes_change.stop(application).as_dict()
    return (kubernetes_change.start if state == "started" else kubernetes_change.switch)(
        application, version, target
    ).as_dict()


def main() -> None:
    module.run(ARGUMENT_SPEC, bring)


if __name__ == "__main__":
    main()
