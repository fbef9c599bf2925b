"""The Kubernetes runtime against an emulated API: what runs, where it can go, and going there, case by case."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile

import emulator
import kubernetes.client
import kubernetes_application
import pytest

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.runtimes import kubernetes_api, kubernetes_change

pytestmark = pytest.mark.kubectl

CANARY = {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "name": "api", "uid": "1", "controller": True}
GOOD, BAD, DEAD, MISSING, SICK = "1.0.0", "1.0.1", "1.0.2-dead", "1.0.3-missing", "1.0.4-sick"


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Emulated back-offs are short."""
    monkeypatch.setattr(kubernetes_change, "_PATIENCE_S", 1.0)
    monkeypatch.setattr(kubernetes_change, "_LOOK_EVERY_S", 0.1)


def bring(hunter, state, check_mode=False, **more):
    given = {
        "access": {"kubeconfig": str(hunter.kubeconfig)},
        "namespace": hunter.name,
        "workloads": [{"namespace": "", "container": "", **one} for one in hunter.workloads],
        "state": state,
        "wait_s": 20,
    }
    known = {name: option.get("default") for name, option in kubernetes_application.ARGUMENT_SPEC.items()}
    return kubernetes_application.bring({**known, **given, **more}, check_mode)


@pytest.fixture
def point(hunter):
    """What was recorded while 1.0.0 ran."""
    hunter.deploy(GOOD)
    found = bring(hunter, "look")["artifacts"]
    hunter.deploy(BAD)
    return found


def switched(hunter, point, version=GOOD, **more):
    return bring(hunter, "switched", version=version, target=point, **more)


def only(hunter, name):
    """The workload of that name alone, as the inventory would have it."""
    return [{"namespace": "", "container": "", **one} for one in hunter.workloads if one["name"] == name]


# --- what runs


def test_what_runs_is_seen_by_digest_in_all_namespaces(resting):
    found = bring(resting, "look")
    assert (found["running"], found["changed"], found["mixed"]) == (BAD, False, [])
    assert set(found["artifacts"]) == set(resting.parts(""))
    assert {image.partition("@sha256:")[0] for image in found["artifacts"].values()} == {f"{resting.repository}:{BAD}"}
    assert all(len(image.partition("@sha256:")[2]) == 64 for image in found["artifacts"].values())
    assert {GOOD, BAD} <= set(found["releases"])


def test_k15_pods_that_run_different_images_under_one_tag_are_named(hunter, cluster):
    _, store = cluster
    store.tags = {f"{hunter.repository}:{BAD}": "moved"}
    victim = hunter.get("pods")[0]["metadata"]["name"]
    hunter.kubectl("delete", "pod", victim, "--namespace", hunter.name)
    hunter.until(
        lambda: all(pod["status"]["phase"] == "Running" for pod in hunter.get("pods")) and len(hunter.get("pods")) == 4
    )
    found = bring(hunter, "look")
    (said,) = found["mixed"]
    assert f"run different images as {hunter.repository}:{BAD}: sha256:" in said
    assert said in found["notes"]


def test_workloads_of_different_versions_are_named(hunter):
    hunter.kubectl("set", "image", "deployment/api", f"hunter={hunter.repository}:{GOOD}", "--namespace", hunter.name)
    found = bring(hunter, "look")
    assert found["running"] == ""
    assert any(f"Workloads differ: Deployment {hunter.name}/api is {GOOD}" in note for note in found["notes"])


def test_the_version_may_be_a_label(resting):
    assert bring(resting, "look", version_label="hunter/config")["running"] == BAD


# --- there and back


def test_there_and_back_brings_whole_templates_and_twice_changes_nothing(hunter, point):
    """K4, K5: by revision of the image; asked again, nothing is rolled forward."""
    before = hunter.get("deployment", "api")
    done = switched(hunter, point)
    assert (done["running"], done["changed"], done["artifacts"]) == (GOOD, True, point)
    hunter.wait()
    assert {image.partition("@")[0] for image in hunter.images()} == {f"{hunter.repository}:{GOOD}"}
    after = hunter.get("deployment", "api")
    assert after["spec"]["template"]["metadata"]["annotations"]["hunter/config"] == GOOD
    assert after["metadata"]["annotations"]["kubernetes.io/change-cause"] == f"rollback to {GOOD}"
    assert before["metadata"]["annotations"].items() - after["metadata"]["annotations"].items() <= {
        ("deployment.kubernetes.io/revision", before["metadata"]["annotations"]["deployment.kubernetes.io/revision"])
    }
    there = hunter.specs()
    again = switched(hunter, point)
    assert (again["changed"], again["actions"], again["running"]) == (False, [], GOOD)
    assert hunter.specs() == there
    assert f"rollback to {GOOD}" in hunter.kubectl("rollout", "history", "deployment/api", "--namespace", hunter.name)


def test_a_revision_whose_digest_is_known_comes_back_as_it_was(hunter):
    """Nothing is pinned, and the ReplicaSet of before serves again."""
    pinned = f"{hunter.repository}:{GOOD}@sha256:" + "1" * 64
    image = {"template": {"containers": [{"name": "hunter", "image": pinned}]}}
    hunter.apply(hunter.manifest("Deployment", "api", GOOD, **image))
    hunter.wait()
    sets = {one["metadata"]["name"] for one in hunter.get("replicasets")}
    hunter.deploy(BAD)
    done = switched(hunter, {f"{hunter.name}/deployment/api": pinned}, workloads=only(hunter, "api"))
    (action,) = done["actions"]
    assert "to revision " in action
    assert "pinned" not in action
    assert {one["metadata"]["name"] for one in hunter.get("replicasets")} == sets
    assert hunter.get("deployment", "api")["spec"]["template"]["spec"]["containers"][0]["image"] == pinned


def test_a_tag_that_has_moved_since_is_not_believed(hunter, point, cluster):
    _, store = cluster
    store.tags = {f"{hunter.repository}:{GOOD}": "moved"}
    assert switched(hunter, point)["artifacts"] == point
    running = {
        status["imageID"].partition("@")[2]
        for pod in hunter.get("pods")
        for status in pod["status"]["containerStatuses"]
    }
    assert running == {image.partition("@")[2] for image in point.values()}


@pytest.mark.parametrize("name", ["api", "worker", "agent"])
def test_k1_without_a_history_the_image_is_set(hunter, point, name):
    """K2: and that is no silent success."""
    (one,) = only(hunter, name)
    hunter.apply(hunter.manifest(one["kind"], name, BAD, revisionHistoryLimit=0))
    kept = "replicasets" if name == "api" else "controllerrevisions"

    def mine():
        return [
            item for item in hunter.get(kept, namespace=one["namespace"]) if item["metadata"]["name"].startswith(name)
        ]

    hunter.until(lambda: len(mine()) == 1)
    target = {part: image for part, image in point.items() if part.endswith(f"/{name}")}
    ready = bring(hunter, "ready", version=GOOD, wanted=point, workloads=only(hunter, name))
    assert any("since no revision has it" in note for note in ready["notes"])
    done = switched(hunter, target, workloads=only(hunter, name))
    assert (done["changed"], done["artifacts"]) == (True, target)
    template = hunter.get(one["kind"].lower(), name, one["namespace"])["spec"]["template"]
    assert template["metadata"]["annotations"]["hunter/config"] == BAD
    assert switched(hunter, target, workloads=only(hunter, name))["changed"] is False


def test_a_version_is_found_among_the_revisions_where_the_ledger_has_no_image(hunter):
    found = bring(hunter, "ready", version=GOOD)
    assert (found["problems"], set(found["target"].values())) == ([], {f"{hunter.repository}:{GOOD}"})
    assert switched(hunter, found["target"])["running"] == GOOD


def test_images_that_no_registry_knows_go_by_their_tag(hunter):
    hunter.repository = "local-hunter"
    hunter.deploy(GOOD)
    point = bring(hunter, "look")["artifacts"]
    assert set(point.values()) == {f"local-hunter:{GOOD}"}
    hunter.deploy(BAD)
    done = switched(hunter, point)
    assert done["artifacts"] == point
    assert "pinned" not in " ".join(done["actions"])
    assert switched(hunter, point)["changed"] is False


def test_an_init_container_of_the_same_image_goes_along(hunter, point):
    migrate = {
        "name": "migrate",
        "image": f"{hunter.repository}:{BAD}",
        "command": ["sh", "-c", "alembic upgrade head"],
    }
    containers = [{"name": "proxy", "image": "proxy:1"}, {"name": "hunter", "image": f"{hunter.repository}:{BAD}"}]
    more = {"template": {"initContainers": [migrate], "containers": containers}, "revisionHistoryLimit": 0}
    hunter.apply(hunter.manifest("Deployment", "api", BAD, **more))
    hunter.wait()
    hunter.until(lambda: len(hunter.get("replicasets")) == 1)
    workloads = [{"kind": "Deployment", "name": "api", "namespace": "", "container": "hunter"}]
    ready = bring(hunter, "ready", version=GOOD, wanted=point, workloads=workloads)
    assert ready["migrates"] == [
        f"Container migrate of Deployment {hunter.name}/api runs alembic upgrade when it starts."
    ]  # K13
    switched(hunter, ready["target"], workloads=workloads)
    spec = hunter.get("deployment", "api")["spec"]["template"]["spec"]
    good = ready["target"][f"{hunter.name}/deployment/api"]
    images = {one["name"]: one["image"] for one in [*spec["initContainers"], *spec["containers"]]}
    assert images == {"migrate": good, "proxy": "proxy:1", "hunter": good}


def test_k6_k7_replicas_and_what_scales_them_are_left_alone(hunter, point):
    hunter.kubectl("scale", "deployment/api", "--replicas=3", "--namespace", hunter.name)
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "api"}
    metadata = {"name": "api-scaler", "namespace": hunter.name}
    spec = {"scaleTargetRef": target, "minReplicas": 3, "maxReplicas": 9}
    hunter.apply(
        {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": metadata, "spec": spec}
    )
    found = bring(hunter, "ready", version=GOOD, wanted=point)
    assert (
        f"The number of replicas of Deployment {hunter.name}/api stays with autoscaler api-scaler, which rests while it is stopped."
        in found["notes"]
    )
    assert "Pod templates alone go back: ConfigMaps, Secrets, Services and replicas stay as they are." in found["notes"]
    switched(hunter, point)
    assert hunter.get("deployment", "api")["spec"]["replicas"] == 3


def test_check_mode_changes_nothing(hunter, point):
    before = hunter.specs()
    for state in ("switched", "started", "stopped"):
        assert bring(hunter, state, check_mode=True, version=GOOD, target=point)["changed"] is True
    assert hunter.specs() == before


# --- what does not become ready


@pytest.mark.parametrize(
    ("version", "said"),
    [
        (DEAD, "says CrashLoopBackOff (exit code 1): this version does not start"),
        (MISSING, "says ImagePullBackOff: Back-off pulling image"),
        (SICK, "Not ready within 4.0 s"),
    ],
)
def test_k9_what_does_not_become_ready_is_put_back_with_the_pods_own_reason(hunter, version, said):
    before = [spec["template"] for *_, spec in hunter.specs()]
    target = hunter.parts(f"{hunter.repository}:{version}")
    with pytest.raises(RollbackError) as failed:
        switched(hunter, target, version, wait_s=4)
    assert said in str(failed.value), str(failed.value)
    assert "What ran before was put back." in str(failed.value)
    assert [spec["template"] for *_, spec in hunter.specs()] == before
    hunter.wait()
    assert bring(hunter, "look")["running"] == BAD


def test_all_are_put_back_where_one_of_them_does_not_become_ready(hunter, point):
    before = [spec["template"] for *_, spec in hunter.specs()]
    target = {**point, f"{hunter.agents}/daemonset/agent": f"{hunter.repository}:{DEAD}"}
    with pytest.raises(RollbackError, match=f"DaemonSet {hunter.agents}/agent: pod agent-.* says CrashLoopBackOff"):
        switched(hunter, target)
    assert [spec["template"] for *_, spec in hunter.specs()] == before
    hunter.wait()


def test_from_a_release_that_never_became_ready(hunter, point):
    """The common case: what runs is broken, and its rollout out of time, which it stays until something moves."""
    hunter.deploy(MISSING, wait=False)
    patch = {"spec": {"progressDeadlineSeconds": 1}}
    hunter.kubectl("patch", "deployment", "api", "--namespace", hunter.name, "--patch", json.dumps(patch))
    hunter.until(lambda: "ProgressDeadlineExceeded" in json.dumps(hunter.get("deployment", "api")["status"]))
    assert switched(hunter, point)["running"] == GOOD
    hunter.wait()


def test_k8_broken_pods_that_an_ordered_stateful_set_waits_for_are_deleted(hunter, point):
    hunter.deploy(DEAD, wait=False)
    hunter.until(
        lambda: any(
            not status["ready"] and status["restartCount"]
            for pod in hunter.get("pods")
            if pod["metadata"]["name"].startswith("worker")
            for status in pod["status"].get("containerStatuses", ())
        )
    )
    assert switched(hunter, point)["running"] == GOOD
    hunter.wait()


def test_k16_a_quota_that_is_used_up_is_told(hunter):
    pods = len(hunter.get("pods"))
    hunter.kubectl("annotate", "namespace", hunter.name, f"emulator/pods={pods}")
    with pytest.raises(RollbackError, match=r"api: FailedCreate: .*exceeded quota.*What ran before was put back"):
        switched(hunter, hunter.parts(f"{hunter.repository}:1.0.9"), "1.0.9", workloads=only(hunter, "api"), wait_s=2)
    hunter.kubectl("annotate", "namespace", hunter.name, f"emulator/pods={pods - 1}", "--overwrite")
    with pytest.raises(RollbackError, match=r"worker: FailedCreate: .*exceeded quota"):
        switched(
            hunter, hunter.parts(f"{hunter.repository}:1.0.9"), "1.0.9", workloads=only(hunter, "worker"), wait_s=2
        )


def test_a_pod_that_no_node_takes_is_told(hunter):
    spec = {"template": {"nodeSelector": {"disk": "fast"}}}
    hunter.apply(hunter.manifest("Deployment", "api", "1.0.9", **spec))
    hunter.apply(hunter.manifest("Deployment", "api", BAD))
    with pytest.raises(RollbackError, match=r"is not scheduled \(Unschedulable\): 0/2 nodes are available"):
        switched(hunter, hunter.parts(f"{hunter.repository}:1.0.9"), "1.0.9", workloads=only(hunter, "api"), wait_s=2)


# --- stop and start


def test_stopped_leaves_no_pod_and_started_has_the_replicas_of_before(hunter, point):
    before = hunter.specs()
    hunter.kubectl("scale", "deployment/api", "--replicas=3", "--namespace", hunter.name)
    assert len(bring(hunter, "stopped")["actions"]) == 3
    assert hunter.images() == set()
    assert bring(hunter, "stopped")["changed"] is False
    assert bring(hunter, "look")["artifacts"] == {
        part: image.replace(GOOD, BAD) for part, image in bring(hunter, "look")["artifacts"].items()
    }
    done = bring(hunter, "started", version=GOOD, target=point)
    assert (done["running"], done["artifacts"]) == (GOOD, point)
    hunter.wait()
    assert hunter.get("deployment", "api")["spec"]["replicas"] == 3
    assert "rollback/stopped" not in json.dumps([*hunter.specs(), before])


def test_what_was_stopped_comes_up_again_as_it_was(hunter):
    before = [spec for *_, spec in hunter.specs()]
    point = bring(hunter, "look")["artifacts"]
    bring(hunter, "stopped")
    assert bring(hunter, "started", version=BAD, target=point)["artifacts"] == point
    assert [spec for *_, spec in hunter.specs()] == before
    assert bring(hunter, "started", version=BAD, target=point)["changed"] is False


def test_what_somebody_has_scaled_to_nothing_stays_so(hunter):
    hunter.kubectl("scale", "deployment/api", "--replicas=0", "--namespace", hunter.name)
    point = bring(hunter, "look")["artifacts"]
    bring(hunter, "stopped")
    bring(hunter, "started", version=BAD, target=point)
    assert hunter.get("deployment", "api")["spec"]["replicas"] == 0


# --- what is refused


def problems(hunter, **more):
    return " ".join(bring(hunter, "ready", version=GOOD, **more)["problems"])


def test_k3_a_paused_deployment_is_refused(hunter):
    hunter.kubectl("rollout", "pause", "deployment/api", "--namespace", hunter.name)
    assert f"is paused. Resume it with `kubectl rollout resume deployment/api --namespace {hunter.name}`." in problems(
        hunter
    )


@pytest.mark.parametrize(
    ("name", "more", "said"),
    [
        ("api", {"metadata": {"annotations": {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:x/api"}}}, "argocd app set shop"),
        ("api", {"metadata": {"labels": {"kustomize.toolkit.fluxcd.io/name": "shop"}}}, "flux suspend kustomization shop"),
        ("api", {"metadata": {"labels": {"helm.toolkit.fluxcd.io/name": "shop"}}}, "flux suspend helmrelease shop"),
        ("api", {"metadata": {"annotations": {"rollout.argoproj.io/revision": "1"}}}, "kubectl argo rollouts undo"),
        ("api", {"metadata": {"ownerReferences": [CANARY]}}, "is controlled by Canary api"),
        ("worker", {"updateStrategy": {"type": "OnDelete"}}, "only when somebody deletes them (OnDelete)"),
        ("worker", {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}}, "(partition)"),
        ("agent", {"updateStrategy": {"type": "OnDelete"}}, "only when somebody deletes them (OnDelete)"),
    ],
)  # fmt: skip
def test_k10_k17_whoever_would_undo_it_is_named_with_the_way_out(hunter, name, more, said):
    (one,) = only(hunter, name)
    hunter.apply(hunter.manifest(one["kind"], name, BAD, **more))
    assert said in problems(hunter)


def test_gitops_that_was_suspended_is_no_reason(hunter):
    metadata = {"annotations": {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:x/api"}}
    hunter.apply(hunter.manifest("Deployment", "api", BAD, metadata=metadata))
    assert problems(hunter, suspended=["argocd"]) == ""


def test_k11_helm_is_told_of(hunter):
    metadata = {"annotations": {"meta.helm.sh/release-name": "shop"}}
    hunter.apply(hunter.manifest("Deployment", "api", BAD, metadata=metadata))
    found = bring(hunter, "ready", version=GOOD)
    assert found["problems"] == []
    assert any("belongs to Helm release shop" in note for note in found["notes"])


def test_k18_another_cluster_is_refused(resting):
    uid = resting.get("namespace", "kube-system")["metadata"]["uid"]
    assert bring(resting, "look", cluster_uid=uid)["running"] == BAD
    with pytest.raises(
        RollbackError, match=f"This is another cluster: its namespace kube-system has uid {uid}, not 0-0"
    ):
        bring(resting, "look", cluster_uid="0-0")


def test_rights_that_are_lacking_are_listed_before_anything_is_changed(resting, cluster):
    _, store = cluster
    store.deny = [{"verb": "patch", "resource": "deployments"}, {"verb": "delete", "resource": "pods"}]
    before = resting.specs()
    assert (
        f"does not give these rights: patch deployments.apps api in namespace {resting.name}; delete pods in namespace {resting.name}."
        in problems(resting)
    )
    store.deny = [{"verb": "list", "resource": "replicasets", "namespace": resting.name}]
    with pytest.raises(RollbackError, match=f"these rights: list replicasets.apps in namespace {resting.name}"):
        bring(resting, "look")
    store.deny = []
    assert resting.specs() == before


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"workloads": []}, "The workloads of the application, or their namespaces, are not named."),
        ({"namespace": ""}, "The workloads of the application, or their namespaces, are not named."),
        ({"namespace": "nowhere"}, "There is no Deployment api in namespace nowhere, or no such namespace."),
        ({"workloads": [{"kind": "Deployment", "name": "mailer", "namespace": "", "container": ""}]}, "There is no Deployment mailer"),
        ({"workloads": [{"kind": "Deployment", "name": "api", "namespace": "", "container": "proxy"}]}, "has no container proxy (it has hunter)"),
        ({"version": "9.9.9"}, "Nothing says which image"),
        ({"access": {"kubeconfig": "/nowhere"}}, "No way into the cluster is known"),
        ({"access": {"host": "http://127.0.0.1:1", "api_key": "x"}}, "The Kubernetes API at http://127.0.0.1:1 cannot be reached"),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence(resting, more, said, monkeypatch, tmp_path):
    # In a process of its own, as a module has it, no other kubeconfig was read before; and kubernetes.core remembers
    # in the temporary directory what it once saw of an address.
    monkeypatch.setattr(kubernetes.client.Configuration, "_default", None)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    try:
        told = " ".join(bring(resting, "ready", **{"version": GOOD, **more})["problems"])
    except RollbackError as refused:
        told = str(refused)
    assert said in told


def test_an_api_that_vanishes_is_named(resting, tmp_path):
    kubeconfig = tmp_path / "kubeconfig"
    with subprocess.Popen([sys.executable, emulator.__file__, str(kubeconfig)]) as cluster:
        try:
            resting.until(lambda: kubeconfig.exists() and kubeconfig.read_text())
            api = kubernetes_api.connect({"kubeconfig": str(kubeconfig)})
        finally:
            cluster.kill()
    with pytest.raises(
        RollbackError, match=r"^The Kubernetes API at http://127\.0\.0\.1:\d+ cannot be reached: .*refused"
    ):
        api.get("/api/v1/namespaces/nowhere")


def test_a_context_that_is_not_there_is_told(resting):
    with pytest.raises(
        RollbackError, match=r"No way into the cluster is known: .*moon.*Check app_rollback_kubernetes_access"
    ):
        bring(resting, "look", access={"kubeconfig": str(resting.kubeconfig), "context": "moon"})


def test_a_deployment_in_between_is_not_written_over(hunter, point, monkeypatch):
    """Somebody deploys after it was looked at."""
    real = kubernetes_change.Application.goal

    def slow(self, workload, image, version):
        found = real(self, workload, image, version)
        if workload.named.name == "api" and found:
            hunter.kubectl(
                "set", "image", "deployment/api", f"hunter={hunter.repository}:1.0.9", "--namespace", hunter.name
            )
        return found

    monkeypatch.setattr(kubernetes_change.Application, "goal", slow)
    with pytest.raises(RollbackError, match="was changed by somebody else meanwhile"):
        switched(hunter, point, workloads=only(hunter, "api"))
