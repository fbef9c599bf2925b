"""What the Kubernetes runtime makes of objects as the API gives them: made-up ones, so that each case is one line."""

from __future__ import annotations

import json
import threading

import pytest

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.runtimes import (
    kubernetes_api,
    kubernetes_change,
    kubernetes_goal,
    kubernetes_rollout,
    kubernetes_workload,
)
from ansible.module_utils.rollback.runtimes.kubernetes_workload import Named, Revision, Workload

ONE, TWO = ("@sha256:" + digit * 64 for digit in "12")


SET = "the present template with another image, since no revision has it"


def template(image, **spec):
    return {"metadata": {"labels": {"app": "api"}}, "spec": {"containers": [{"name": "api", "image": image}], **spec}}


def pod(image_id, mark, name="api-1"):
    status = {"containerStatuses": [{"name": "api", "imageID": image_id}]}
    return {"metadata": {"name": name, "labels": {"pod-template-hash": mark}}, "status": status}


def workload(image, *revisions, pods=(), annotations=None, kind="Deployment", **spec):
    """It has `image` now; `revisions` are the images of those that there are, the newest first, and the first is the present one."""
    now = {
        "metadata": {"generation": 4, "annotations": annotations or {}},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "api"}}, "template": template(image), **spec},
        "status": {"observedGeneration": 4},
    }
    kept = [Revision(len(revisions) - place, one, template(one)) for place, one in enumerate(revisions)]
    return Workload(Named(kind, "hunter", "api"), now, kept, list(pods))


def image_of(goal):
    return goal.template["spec"]["containers"][0]["image"]


@pytest.mark.parametrize(
    ("has", "wanted"),
    [
        (workload("hunter:1.0.0"), "hunter:1.0.0"),
        (workload("hunter:1.0.0" + ONE), "hunter:1.0.0"),
        (workload("hunter:1.0.0" + ONE), "hunter:1.0.0" + ONE),
        (workload("mirror/hunter" + ONE), "hunter:1.0.0" + ONE),
        (workload("hunter:1.0.0", "hunter:1.0.0", pods=[pod("x/hunter" + ONE, "hunter:1.0.0")]), "hunter:1.0.0" + ONE),
        (
            workload("hunter:1.0.0", annotations={"rollback/stopped": json.dumps({"image": "hunter:1.0.0" + ONE})}),
            "hunter:1.0.0" + ONE,
        ),
    ],
)
def test_what_runs_already_is_no_goal(has, wanted):
    assert kubernetes_goal.goal(has, wanted, "1.0.0", "") is None


@pytest.mark.parametrize(
    ("has", "wanted", "image", "words"),
    [
        # The digest is known, by the template or by pods that are left of it: as it was.
        (workload("h:2", "h:2", "h:1" + ONE), "h:1" + ONE, "h:1" + ONE, "revision 1"),
        (workload("h:2", "h:2", "h:1", pods=[pod("r/h" + ONE, "h:1")]), "h:1" + ONE, "h:1", "revision 1"),
        # Only the tag is: pinned, since it may have moved.
        (workload("h:2", "h:2", "h:1"), "h:1" + ONE, "h:1" + ONE, "revision 1, with the image pinned by digest"),
        # The newest of several, and never one whose digest is another.
        (workload("h:2", "h:2", "h:1" + ONE, "h:0", "h:1" + ONE), "h:1" + ONE, "h:1" + ONE, "revision 3"),
        (workload("h:2", "h:2", "h:1" + TWO), "h:1" + ONE, "h:1" + ONE, SET),
        (workload("h:2", "h:2", "h:1", pods=[pod("r/h" + TWO, "h:1")]), "h:1" + ONE, "h:1" + ONE, SET),
        # No digest anywhere: by name.
        (workload("h:2", "h:2", "h:1"), "h:1", "h:1", "revision 1"),
        # The tag of now has moved since it was recorded.
        (workload("h:1", "h:1", pods=[pod("r/h" + TWO, "h:1")]), "h:1" + ONE, "h:1" + ONE, SET),
        (workload("h:2"), "h:1" + ONE, "h:1" + ONE, SET),
    ],
)  # fmt: skip
def test_where_a_workload_goes(has, wanted, image, words):
    goal = kubernetes_goal.goal(has, wanted, "1", "")
    assert (image_of(goal), goal.words) == (image, words)


def test_the_version_label_goes_along_unless_pods_are_selected_by_it():
    has = workload("h:2")
    has.now["spec"]["template"]["metadata"]["labels"].update({"version": "2", "app": "2"})
    labels = kubernetes_goal.goal(has, "h:1", "1", "version").template["metadata"]["labels"]
    assert labels == {"version": "1", "app": "2"}
    assert kubernetes_goal.goal(has, "h:1", "1", "app").template["metadata"]["labels"]["app"] == "2"


@pytest.mark.parametrize(
    ("image", "labels", "label", "version"),
    [
        ("h:1.0.0", {}, "", "1.0.0"),
        ("registry:5000/h:1.0.0" + ONE, {}, "", "1.0.0"),
        ("registry:5000/h" + ONE, {"app.kubernetes.io/version": "1.0.0"}, "", "1.0.0"),
        ("h:latest", {"release": "1.0.0"}, "release", "1.0.0"),
        ("h:1.0.0", {}, "release", ""),
        ("h", {}, "", ""),
    ],
)
def test_the_version_of_a_template(image, labels, label, version):
    found = template(image)
    found["metadata"]["labels"] = labels
    assert workload(image).version(found, label) == version


def test_templates_are_compared_without_what_controllers_and_servers_add():
    bare = template("h:1")
    dressed = {
        **template("h:1"),
        "$patch": "replace",
        "metadata": {"creationTimestamp": None, "labels": {"app": "api", "pod-template-hash": "x"}},
    }
    assert kubernetes_workload.plain(dressed) == kubernetes_workload.plain(bare)


@pytest.mark.parametrize(
    ("has", "observed", "present"),
    [
        (template("h:1"), 4, "h:1"),
        (template("h:1", schedulerName="default-scheduler"), 4, "h:1"),
        (template("h:1", schedulerName="default-scheduler"), 3, None),
        (template("h:2"), 4, None),
    ],
)
def test_the_present_revision_may_lack_defaults_of_a_newer_server(has, observed, present):
    found = workload("h:1", "h:1", "h:0")
    found.now["spec"]["template"] = has
    found.now["status"]["observedGeneration"] = observed
    assert (found.present and found.present.mark) == present


def test_a_daemon_is_stopped_and_comes_back_without_a_trace():
    before = template("h:1", nodeSelector={"disk": "fast"})
    stopped = kubernetes_goal.nowhere(before)
    assert kubernetes_goal.is_nowhere(stopped)
    assert kubernetes_goal.somewhere(stopped) == before
    assert kubernetes_goal.somewhere(kubernetes_goal.nowhere(template("h:1"))) == template("h:1")


@pytest.mark.parametrize(
    ("selector", "query"),
    [
        ({"matchLabels": {"b": "2", "a": "1"}}, "a=1,b=2"),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1", "2"]}]}, "a in (1,2)"),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, "a notin (1)"),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}, {"key": "b", "operator": "DoesNotExist"}]}, "a,!b"),
    ],
)
def test_selectors_in_the_words_of_a_query(selector, query):
    assert kubernetes_workload.selector_of({"spec": {"selector": selector}}) == query


DONE = {"replicas": 2, "updatedReplicas": 2, "availableReplicas": 2, "readyReplicas": 2}


@pytest.mark.parametrize(
    ("kind", "status", "complete"),
    [
        ("Deployment", DONE, True),
        ("Deployment", {**DONE, "observedGeneration": 3}, False),
        ("Deployment", {**DONE, "updatedReplicas": 1}, False),
        ("Deployment", {**DONE, "replicas": 3}, False),
        ("Deployment", {**DONE, "availableReplicas": 1}, False),
        ("StatefulSet", {**DONE, "currentRevision": "b", "updateRevision": "b"}, True),
        ("StatefulSet", {**DONE, "currentRevision": "a", "updateRevision": "b"}, False),
        ("StatefulSet", {**DONE, "readyReplicas": 1, "currentRevision": "b", "updateRevision": "b"}, False),
        ("DaemonSet", {"desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 2}, True),
        ("DaemonSet", {"desiredNumberScheduled": 2, "updatedNumberScheduled": 1, "numberAvailable": 2}, False),
        ("DaemonSet", {"desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 1}, False),
        ("DaemonSet", {"desiredNumberScheduled": 0}, True),
    ],
)
def test_a_rollout_is_complete_as_kubectl_judges_it(kind, status, complete):
    found = workload("h:1", kind=kind)
    found.now["status"].update(status)
    assert kubernetes_rollout.complete(found) is complete


WAITING = {"name": "api", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}}}
CRASHED = {
    "name": "api",
    "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}},
    "lastState": {"terminated": {"exitCode": 3, "message": "no such table\n"}},
}
CREATING = {"name": "api", "state": {"waiting": {"reason": "ContainerCreating"}}}
UNREADY = [{"type": "Ready", "status": "False", "message": "containers with unready status: [api]"}]
NOWHERE = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/2 nodes"}]


@pytest.mark.parametrize(
    ("status", "said", "hopeless"),
    [
        ({"containerStatuses": [WAITING]}, "pod api-1 says ImagePullBackOff: Back-off pulling image", True),
        ({"initContainerStatuses": [CRASHED]}, "pod api-1 says CrashLoopBackOff (exit code 3): no such table", True),
        ({"conditions": NOWHERE}, "pod api-1 is not scheduled (Unschedulable): 0/2 nodes", False),
        ({"phase": "Failed", "reason": "Evicted", "message": "disk"}, "pod api-1 failed (Evicted): disk", False),
        (
            {"phase": "Running", "conditions": UNREADY},
            "pod api-1 runs and is not ready: containers with unready",
            False,
        ),
        ({"containerStatuses": [CREATING]}, "Deployment hunter/api: 0 of 2 pods are ready", False),
    ],
)
def test_why_a_rollout_is_not_complete_is_told_by_whoever_knows_best(status, said, hopeless):
    found = workload("h:1", "h:1", pods=[{**pod("", "h:1"), "status": status}])
    assert said in kubernetes_rollout.why_not(None, found)
    assert kubernetes_rollout.hopeless(found) is hopeless


def test_the_controllers_words_where_there_is_no_pod():
    found = workload("h:1", "h:1")
    found.now["status"]["conditions"] = [
        {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "timed out."},
        {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded  quota: pods"},
    ]
    assert kubernetes_rollout.why_not(None, found) == "Deployment hunter/api: FailedCreate: exceeded quota: pods"
    assert kubernetes_rollout.hopeless(found)


def test_a_patch_holds_for_the_spec_that_was_looked_at_and_names_only_what_changes():
    change = kubernetes_change.Change(
        template("h:1"), None, {"rollback/stopped": None, "kubernetes.io/change-cause": "x"}, ""
    )
    test, *rest = kubernetes_change._operations(workload("h:2", annotations={"rollback/stopped": "{}"}), change)
    assert test == {"op": "test", "path": "/metadata/generation", "value": 4}
    assert rest == [
        {"op": "replace", "path": "/spec/template", "value": template("h:1")},
        {"op": "remove", "path": "/metadata/annotations/rollback~1stopped"},
        {"op": "add", "path": "/metadata/annotations/kubernetes.io~1change-cause", "value": "x"},
    ]


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (401, {"message": "Unauthorized"}, "The cluster does not accept these credentials: Unauthorized."),
        (403, {"message": 'pods is forbidden: User "x" cannot list'}, "The cluster forbids it: pods is forbidden"),
        (500, "<html>", "The cluster refused: Internal Server Error."),
    ],
)
def test_the_apis_no_is_one_sentence(status, body, said):
    body = body if isinstance(body, str) else json.dumps(body)
    assert said in str(kubernetes_api._refused(status, body, "Internal Server Error"))


def test_a_container_that_is_not_there_is_told_with_those_that_are():
    with pytest.raises(RollbackError, match=r"Deployment hunter/api has no container web \(it has api\)"):
        _ = Workload(Named("Deployment", "hunter", "api", "web"), workload("h:1").now).image


def test_an_api_that_never_answers_is_given_up():
    with pytest.raises(RollbackError, match=r"did not answer within 0\.05 s"):
        kubernetes_api._within(0.05, threading.Event().wait)
