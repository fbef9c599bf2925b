"""The Compose runtime on a real engine: what runs, what can be had, and switching between versions."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import signal
import tempfile
import threading
import time
import urllib.error
import urllib.request
from itertools import pairwise

import engine
import pytest
from calls import BAD, GOOD, SERVICES, bring, switched, target

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.runtimes.docker import Docker

pytestmark = [*engine.PARTS, pytest.mark.slow]


def test_what_runs_is_seen_by_digest(project):
    found = bring(project, "look")
    assert (found["running"], found["changed"]) == (BAD, False)
    assert found["artifacts"] == target(project, BAD)
    assert {GOOD, BAD} <= set(found["releases"])


@pytest.mark.parametrize("project", ["override", "env", "git"], indirect=True)
def test_there_and_back_leaves_the_store_alone_and_twice_changes_nothing(project):
    store = {name: made for name, made in project.containers().items() if "store" in name}
    done = switched(project)
    assert (done["running"], done["changed"], project.answers()) == (GOOD, True, GOOD)
    there = project.containers()
    again = switched(project)
    assert (again["changed"], again["running"]) == (False, GOOD)
    assert project.containers() == there
    # What the next deployment reads says so too: `up` changes nothing.
    project.compose("up", "--detach", "--wait", "--pull", "never")
    assert project.containers() == there
    assert switched(project, BAD)["running"] == project.answers() == BAD
    assert {name: made for name, made in project.containers().items() if "store" in name} == store


def test_check_mode_changes_nothing(project):
    before = project.containers()
    assert switched(project, check_mode=True)["changed"] is True
    assert project.containers() == before
    assert not (project.directory / "compose.override.yaml").exists()


@pytest.mark.parametrize("version", ["1.0.2-sick", "1.0.3-dead", "1.0.4-late"])
def test_a_version_that_does_not_become_healthy_is_put_back(project, version):
    with pytest.raises(RollbackError, match=r"is not well .*What ran before was put back\."):
        switched(project, version, wait_s=15)
    assert project.answers() == BAD
    assert bring(project, "look")["running"] == BAD
    assert not (project.directory / "compose.override.yaml").exists()


def test_an_image_that_was_pruned_is_had_from_the_registry_before_anything_stops(project):
    engine.forget(f"{project.repository}:{GOOD}", project.digests[GOOD])
    before = project.containers()
    found = bring(project, "ready", version=GOOD, wanted=target(project))
    assert (found["problems"], found["target"]) == ([], target(project))
    fetched = bring(project, "fetched", version=GOOD, target=target(project))
    assert fetched["actions"] == [f"pulled {project.digests[GOOD]}", f"tagged it {project.repository}:rollback-{GOOD}"]
    assert bring(project, "fetched", version=GOOD, target=target(project))["changed"] is False
    assert project.containers() == before
    assert switched(project)["running"] == GOOD
    engine.docker("tag", project.digests[GOOD], f"{project.repository}:{GOOD}")


def test_a_tag_is_found_where_the_ledger_has_no_digest(project):
    assert bring(project, "ready", version=GOOD)["target"] == target(project)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"services": ["api", "mailer"]}, "has no service mailer (it has api, store, worker)"),
        ({"directory": "/nowhere"}, "There is no directory /nowhere"),
        ({"client": ["/no/docker"]}, "There is no /no/docker here"),
        ({"client": ["docker", "--host", "tcp://127.0.0.1:1"]}, "Cannot connect to the Docker daemon"),
        (
            {"prestarted": ["mailer"]},
            "Service mailer is to be switched in a way of its own, and is none of the application's",
        ),
        (
            {"rolling": ["mailer"]},
            "Service mailer is to be switched in a way of its own, and is none of the application's",
        ),
        ({"pin": "env"}, "pin=env needs the name of the variable"),
    ],
)
def test_bad_input_is_one_sentence(project, more, said):
    with pytest.raises(RollbackError) as refused:
        bring(project, "ready", version=GOOD, **more)
    assert said in str(refused.value)


def test_a_compose_file_that_cannot_be_read_is_told(project):
    (project.directory / "compose.yaml").write_text("services: [")
    with pytest.raises(RollbackError, match="Compose cannot read the project"):
        bring(project, "look")


def test_an_override_of_somebody_else_is_not_written_over(project):
    (project.directory / "compose.override.yaml").write_text("services: {api: {environment: {MINE: '1'}}}\n")
    assert any(
        "was not written by a rollback" in problem for problem in bring(project, "ready", version=GOOD)["problems"]
    )


def test_a_service_of_the_bad_version_is_stopped_and_a_neighbour_is_not(project):
    image = f"{project.repository}:{BAD}"
    more = {
        "beat": {"image": image, "command": ["worker"]},
        "guest": {"image": engine.BASE, "command": ["sleep", "infinity"], "init": True},
    }
    project.up(BAD, more=more)
    project.write(BAD)  # the files of the good version know neither
    done = switched(project)
    assert f"stopped {project.name}-beat-1, whose service this version does not have" in done["actions"]
    running = {name.removeprefix(f"{project.name}-") for name in project.containers()}
    assert running == {"api-1", "worker-1", "store-1", "guest-1"}


def test_a_container_with_a_port_is_made_before_the_old_one_stops_and_keeps_its_name(project):
    done = switched(project)
    assert f"exchanged {project.name}-api-1" in done["actions"]
    exchanged = project.containers()
    assert [name for name in exchanged if "-api-" in name] == [f"{project.name}-api-1"]
    assert project.answers() == GOOD
    project.compose("up", "--detach", "--no-deps", "--pull", "never", "api")
    assert project.containers() == exchanged  # Compose takes it for its own, and for up to date


STARTS_IN_S = 3
SLOW = {"environment": {"STARTS_IN": str(STARTS_IN_S)}}


def test_what_may_start_before_its_turn_is_away_for_less_than_its_start_takes(project):
    networks = {"networks": {"default": {"aliases": ["front"]}, "back": None}}
    project.up(BAD, api={**SLOW, **networks}, networks={"back": None})
    with engine.asked(project) as moments:
        done = switched(project, prestarted=["api"])
    assert max(after - before for before, after in pairwise(moments)) < STARTS_IN_S
    assert f"exchanged {project.name}-api-1" in done["actions"]
    assert "api was started before the old one stopped" in done["actions"]
    assert (done["running"], project.answers()) == (GOOD, GOOD)
    assert project.reaches("worker", "front", 8000) == project.reaches("worker", "api", 8000) == GOOD
    assert f"rollback-prestart-{project.name}" not in engine.docker("network", "ls")
    there = project.containers()
    assert switched(project, prestarted=["api"])["changed"] is False
    project.compose("up", "--detach", "--pull", "never")
    assert project.containers() == there  # for Compose it is as it would have made it
    project.compose("restart", "--timeout", "1", "api")
    engine.until(lambda: project.answers() == GOOD, "its answer after a restart")


def test_what_gives_up_where_it_reaches_nothing_is_started_after_the_old_one(project):
    project.up(BAD, api={"environment": {"NEEDS": "store"}})
    done = switched(project, prestarted=["api"])
    assert "api could not be started before the old one stopped" in done["actions"]
    assert (done["running"], project.answers()) == (GOOD, GOOD)
    assert project.reaches("worker", "api", 8000) == GOOD


@pytest.mark.parametrize("dies_at", ["stop", "network connect --alias", "network disconnect rollback-prestart", "rm "])
def test_what_a_killed_run_has_started_before_its_turn_is_no_version_that_runs(project, dies_at, monkeypatch):
    """Before the old one stops, between the two, while the new one is connected, and after that."""

    def ask(docker, *arguments, **more):
        if " ".join(arguments).startswith(dies_at):
            os.kill(os.getpid(), signal.SIGKILL)
        return really_ask(docker, *arguments, **more)

    really_ask = Docker.ask
    with monkeypatch.context() as patch:
        patch.setattr(Docker, "ask", ask)
        child = multiprocessing.get_context("fork").Process(
            target=switched, args=(project,), kwargs={"prestarted": ["api"]}
        )
        child.start()
        child.join()
    assert child.exitcode == -signal.SIGKILL
    found = bring(project, "look")
    serves = dies_at in ("stop", "rm ") or "disconnect" in dies_at
    assert found["down"] is not serves
    if serves:
        assert found["running"] == (BAD if dies_at == "stop" else "")  # the worker has yet to follow
        assert project.answers() == (BAD if dies_at == "stop" else GOOD)
    assert (switched(project, prestarted=["api"])["running"], project.answers()) == (GOOD, GOOD)
    assert len([name for name in project.containers() if "-api-" in name]) == 1
    assert project.reaches("worker", "api", 8000) == GOOD
    assert f"rollback-prestart-{project.name}" not in engine.docker("network", "ls")


def test_a_sick_version_that_started_before_its_turn_is_put_back(project):
    with pytest.raises(RollbackError, match=r"is not well .*What ran before was put back\."):
        switched(project, "1.0.2-sick", prestarted=["api"], wait_s=15)
    assert (bring(project, "look")["running"], project.answers()) == (BAD, BAD)


def test_what_an_anonymous_volume_holds_is_handed_on(project):
    project.up(BAD, api={"volumes": ["/kept"]})
    engine.docker("exec", f"{project.name}-api-1", "touch", "/kept/this")
    done = switched(project)
    assert f"recreated {project.name}-api-1" in done["actions"]
    assert engine.docker("exec", f"{project.name}-api-1", "ls", "/kept").strip() == "this"


def test_stop_and_start(project):
    assert bring(project, "stopped")["changed"] is True
    assert {name.split("-")[-2] for name in project.containers()} == {"store"}
    assert bring(project, "stopped")["changed"] is False
    assert bring(project, "started", version=GOOD, target=target(project))["running"] == GOOD
    assert project.answers() == GOOD


def test_a_database_among_the_services_is_refused(project, images):
    store = f"{images.repository.split('/')[0]}/postgres:15"
    engine.docker("tag", engine.BASE, store)
    try:
        project.write(BAD, more={"db": {"image": store, "command": ["sleep", "infinity"]}})
        problems = bring(project, "ready", version=GOOD, services=[*SERVICES, "db"], wanted=target(project))["problems"]
    finally:
        engine.forget(store)
    assert any("Service db is a database by its image" in problem for problem in problems)


NGINX = """
daemon off;
events {}
http {
  access_log off;
  # Docker's own name server: nginx asks it again, and so learns of containers that come and go.
  resolver 127.0.0.11 valid=1s;
  server {
    listen 8000;
    location / {
      set $upstream api;
      proxy_pass http://$upstream:8000;
      proxy_connect_timeout 1s;
      proxy_next_upstream error timeout;
    }
  }
}
"""


@pytest.fixture
def behind_nginx(project):
    """The project with Debian's nginx in front of `api`, which has no port of its own on the host any more."""
    (project.directory / "nginx.conf").write_text(NGINX)
    proxy = {
        "image": engine.BASE,
        "command": ["nginx", "-c", "/etc/nginx/ours.conf"],
        "ports": [f"127.0.0.1:{project.port}:8000"],
        "volumes": ["./nginx.conf:/etc/nginx/ours.conf:ro"],
        "stop_grace_period": "1s",
    }
    project.compose("stop", "api")
    project.up(BAD, more={"proxy": proxy}, api={"ports": []})
    for _ in range(200):
        with contextlib.suppress(OSError):
            project.answers()
            break
        time.sleep(0.05)
    return project


@pytest.mark.parametrize("reload", [[], ["proxy", "nginx", "-s", "reload", "-c", "/etc/nginx/ours.conf"]])
def test_rolling_behind_nginx_fails_no_request(behind_nginx, reload):
    project = behind_nginx
    answers, stop = [], threading.Event()

    def ask():
        while not stop.is_set():
            try:
                answers.append(project.answers())
            except (urllib.error.URLError, OSError) as error:
                answers.append(str(error))
            time.sleep(0.01)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        done = switched(project, rolling=["api"], proxy_reload=reload)
        time.sleep(1.5)
    finally:
        stop.set()
        asking.join()
    assert done["running"] == GOOD
    assert set(answers) == {BAD, GOOD}
    assert answers[-1] == GOOD
    assert len([name for name in project.containers() if "-api-" in name]) == 1
    assert switched(project, rolling=["api"], proxy_reload=reload)["changed"] is False


def test_what_does_not_become_healthy_beside_is_taken_away_and_no_request_fails(behind_nginx):
    project = behind_nginx
    before = project.containers()
    with pytest.raises(RollbackError, match=r"is not well .*What ran before was put back\."):
        switched(project, "1.0.2-sick", rolling=["api"], wait_s=15)
    assert project.answers() == BAD
    assert {name: made for name, made in project.containers().items() if "-worker-" not in name} == {
        name: made for name, made in before.items() if "-worker-" not in name
    }


def test_a_service_with_a_fixed_port_cannot_roll(project):
    problems = bring(project, "ready", version=GOOD, rolling=["api"])["problems"]
    assert any("Service api has a fixed port or name on the host" in problem for problem in problems)


def test_an_unhealthy_release_is_put_back_as_it_was(project):
    """What ran before was not well either; it comes back all the same, and that is what is said."""
    project.write("1.0.2-sick")
    project.compose("up", "--detach", "--pull", "never")
    with pytest.raises(RollbackError, match=r"What ran before was put back\."):
        switched(project, "1.0.3-dead", wait_s=15)
    assert bring(project, "look")["artifacts"] == target(project, "1.0.2-sick")


def test_a_name_that_is_another_projects_is_refused(project):
    """Bringing it up would make a second project, with an empty volume."""
    other = f"{project.name}x"
    with pytest.raises(RollbackError, match=f"What was started from .* is project {project.name}, not {other}"):
        bring(project, "look", project=other)
    with tempfile.TemporaryDirectory() as elsewhere:
        shutil.copy(project.directory / "compose.yaml", elsewhere)
        with pytest.raises(RollbackError, match=f"Project {project.name} was started from {project.directory}"):
            bring(project, "look", directory=elsewhere)
    assert other not in engine.docker("volume", "ls", "--quiet")


def test_a_service_that_was_forgotten_in_the_inventory_is_named(project):
    project.up(BAD, more={"beat": {"image": f"{project.repository}:{BAD}", "command": ["worker"]}})
    problems = bring(project, "ready", version=GOOD, wanted=target(project))["problems"]
    assert any("Service beat runs the application's image too" in problem for problem in problems)


@pytest.mark.parametrize("project", ["env"], indirect=True)
def test_a_variable_that_does_not_reach_the_image_is_told(project):
    (project.directory / "compose.yaml").write_text(
        (project.directory / "compose.yaml").read_text().replace("${APP_VERSION}", BAD)
    )
    problems = bring(project, "ready", version=GOOD, wanted=target(project))["problems"]
    assert any("so the pin does not change it" in problem for problem in problems)


def test_an_override_that_the_next_deployment_would_not_read_is_refused(project):
    problems = bring(project, "ready", version=GOOD, override="ours.yaml")["problems"]
    assert any("The next deployment would not read" in problem for problem in problems)
    assert bring(project, "ready", version=GOOD, override="ours.yaml", files=["compose.yaml"])["problems"] == []


@pytest.mark.parametrize("project", ["git"], indirect=True)
def test_a_checkout_with_other_services_goes_there_and_back(project):
    """The good version does not know `beat`, whose container is stopped; the bad one has it again."""
    services = [*SERVICES, "beat"]
    project.up(BAD, more={"beat": {"image": f"{project.repository}:{BAD}", "command": ["worker"]}})
    found = bring(project, "ready", version=GOOD, wanted=target(project), services=services)
    assert (found["problems"], set(found["target"])) == ([], set(SERVICES))
    done = bring(project, "switched", version=GOOD, target=found["target"], services=services)
    assert done["running"] == project.answers() == GOOD
    assert not any("-beat-" in name for name in project.containers())
    assert bring(project, "switched", version=GOOD, target=found["target"], services=services)["changed"] is False
    back = {**target(project, BAD), "beat": project.digests[BAD]}
    assert bring(project, "switched", version=BAD, target=back, services=services)["running"] == BAD
    assert any("-beat-" in name for name in project.containers())


@pytest.mark.parametrize("project", ["git"], indirect=True)
def test_a_checkout_with_changes_or_without_the_tag_is_refused(project):
    assert "Git tag v9.9.9 cannot be checked out" in bring(project, "ready", version="9.9.9")["problems"][0]
    (project.directory / "compose.yaml").write_text((project.directory / "compose.yaml").read_text() + "\n")
    assert "has changes that are not committed" in bring(project, "ready", version=GOOD)["problems"][0]
