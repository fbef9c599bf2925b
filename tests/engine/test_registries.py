"""What registries do to a rollback: private ones, ones that are gone, tags that moved, images that were pruned, disks that are full."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import engine
import pytest
from calls import GOOD, SERVICES, bring, target

from ansible.module_utils.rollback.errors import RollbackError

pytestmark = [*engine.PARTS, pytest.mark.slow]

USER, PASSWORD = "deploy", "s3cret:Ünïcode"
NOWHERE = "127.0.0.1:1/app@sha256:" + "0" * 64


@pytest.fixture
def private(images: engine.Images, open_registry: engine.Registry) -> Iterator[engine.Registry]:
    """The same images in a registry that asks who comes; none of them is on this host by that name."""
    with engine.registry(USER, PASSWORD, data=open_registry.data) as found:
        yield found
        by_digest = [f"{found.address}/app@{digest.split('@')[1]}" for digest in images.digests.values()]
        engine.forget_all(f"{found.address}/app", *by_digest)


def login(private: engine.Registry, password: str = PASSWORD) -> list[dict[str, str]]:
    return [{"registry": private.address, "username": USER, "password": password}]


def in_private(project: engine.Project, private: engine.Registry) -> dict[str, str]:
    """The good images by their digest there; taken from this host, so that they have to come from there."""
    engine.forget(f"{project.repository}:{GOOD}", f"{project.repository}:rollback-{GOOD}", project.digests[GOOD])
    return dict.fromkeys(SERVICES, f"{private.address}/app@{project.digests[GOOD].split('@')[1]}")


def test_a_private_registry_is_asked_with_credentials_that_nobody_sees(project, private, tmp_path, monkeypatch):
    """The client is wrapped to write down what it is called with; what it is called for goes to the real one."""
    seen = tmp_path / "seen"
    wrapper = tmp_path / "docker"
    wrapper.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >> {seen}\nexec docker "$@"\n')
    wrapper.chmod(0o755)
    wanted = in_private(project, private)
    try:
        found = bring(project, "ready", version=GOOD, wanted=wanted, logins=login(private), client=[str(wrapper)])
        assert (found["problems"], found["target"]) == ([], wanted)
        fetched = bring(project, "fetched", version=GOOD, target=wanted, logins=login(private), client=[str(wrapper)])
        assert fetched["actions"][0] == f"pulled {wanted['api']}"
        assert PASSWORD not in seen.read_text() + json.dumps([found, fetched])
        assert f"pull --quiet {wanted['api']}" in seen.read_text()
        assert not list(Path(tempfile.gettempdir()).glob("rollback-docker-*"))
    finally:
        engine.docker("pull", "--quiet", project.digests[GOOD])
        engine.docker("tag", project.digests[GOOD], f"{project.repository}:{GOOD}")


def test_the_login_of_the_host_itself_is_used_where_the_inventory_has_none(project, private, tmp_path, monkeypatch):
    plugins = Path.home() / ".docker" / "cli-plugins"
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"cliPluginsExtraDirs": [str(plugins)]}))
    said = subprocess.run(
        ["docker", "login", "--username", USER, "--password-stdin", private.address],
        input=PASSWORD,
        text=True,
        capture_output=True,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    wanted = in_private(project, private)
    try:
        assert bring(project, "ready", version=GOOD, wanted=wanted)["problems"] == []
    finally:
        engine.docker("pull", "--quiet", project.digests[GOOD])
        engine.docker("tag", project.digests[GOOD], f"{project.repository}:{GOOD}")


@pytest.mark.parametrize("password", ["wrong", None])
def test_refused_credentials_are_a_refusal_while_everything_runs(project, private, password):
    before = project.containers()
    wanted = in_private(project, private)
    logins = login(private, password) if password else []
    try:
        (problem,) = bring(project, "ready", version=GOOD, wanted=wanted, logins=logins)["problems"]
        assert "is not on this host, and cannot be had: " in problem
        assert problem.endswith("Check app_rollback_compose_logins, or log in on this host.")
        assert project.containers() == before
    finally:
        engine.docker("pull", "--quiet", project.digests[GOOD])
        engine.docker("tag", project.digests[GOOD], f"{project.repository}:{GOOD}")


def test_an_incomplete_login_is_named_without_its_password(project):
    with pytest.raises(RollbackError, match=r"A login for a registry has no username\.") as refused:
        bring(project, "look", logins=[{"registry": "registry.example.org", "password": PASSWORD}])
    assert PASSWORD not in str(refused.value)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"wanted": {"api": NOWHERE}}, "See to the registry"),
        ({"version": "9.9.9"}, "Push it again"),
        ({"wanted": {"api": "sha256:" + "0" * 64}}, "was never in a registry"),
    ],
)
def test_what_cannot_be_had_is_told_before_anything_stops(project, more, said):
    before = project.containers()
    found = bring(project, "ready", **{"version": GOOD, **more})
    assert any(said in problem for problem in found["problems"]), found["problems"]
    assert project.containers() == before


def test_a_tag_that_names_another_image_than_the_ledger_is_told(project):
    """The image of the release point is gone from the registry; its tag is another one's by now."""
    gone = f"{project.repository}@sha256:{'1' * 64}"
    (problem,) = bring(project, "ready", version=GOOD, wanted={**target(project), "api": gone})["problems"]
    assert f"{project.repository}:{GOOD} is there, and is another image (sha256:" in problem


def test_an_image_for_another_platform_is_refused(project):
    wrong = f"{project.repository}:9.0.0-arm"
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
        engine.docker(
            "build", "--quiet", "--platform", "linux/arm64", "--tag", wrong, directory, environment=engine.OLD_BUILDER
        )
    engine.docker("push", "--quiet", wrong)
    digest = engine.digest(wrong)
    here = bring(project, "ready", version="9.0.0", wanted=dict.fromkeys(SERVICES, digest))["problems"]
    engine.forget(wrong, digest)
    there = bring(project, "ready", version="9.0.0", wanted=dict.fromkeys(SERVICES, digest))["problems"]
    assert [problem.split(" is ")[1] for problem in here + there] == [
        "for linux/arm64, and the engine runs linux/amd64."
    ] * 2


@pytest.fixture
def small_engine() -> Iterator[list[str]]:
    """The client of an engine of its own, whose images lie on a file system too small for them."""
    # With a bridge of its own: without one (`--bridge=none`) an engine removes docker0, which is another engine's.
    bridge = f"small{os.getpid() % 100_000}"
    with tempfile.TemporaryDirectory(prefix="rollback-engine-") as home, contextlib.ExitStack() as after:
        data, socket = Path(home) / "data", f"unix://{home}/docker.sock"
        data.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", data], check=True)
        after.callback(subprocess.run, ["umount", "--recursive", data], check=True)
        subprocess.run(["ip", "link", "add", bridge, "type", "bridge"], check=True)
        after.callback(subprocess.run, ["ip", "link", "delete", bridge], check=True)
        subprocess.run(["ip", "address", "add", "198.18.177.1/24", "dev", bridge], check=True)
        options = ["--data-root", data, "--exec-root", f"{home}/exec", "--pidfile", f"{home}/pid", "--host", socket]
        quiet = ["--bridge", bridge, "--iptables=false", "--ip-forward=false", "--ip-masq=false"]
        with (Path(home) / "log").open("wb") as log:
            process = subprocess.Popen(["dockerd", *options, *quiet], stdout=log, stderr=log)
        after.callback(process.wait)
        after.callback(process.terminate)
        client = ["docker", "--host", socket]
        for _ in range(600):
            if subprocess.run([*client, "version"], capture_output=True, check=False).returncode == 0:
                break
            time.sleep(0.1)
        yield client


@pytest.mark.tmpfs
def test_a_full_disk_fails_the_pull_and_nothing_else(project, small_engine):
    found = bring(project, "ready", version=GOOD, wanted=target(project), client=small_engine)
    assert (found["problems"], found["target"]) == ([], target(project))
    with pytest.raises(RollbackError) as refused:
        bring(project, "fetched", version=GOOD, target=target(project), client=small_engine)
    assert "no space left on device" in refused.value.message
    assert "Make room where Docker keeps its images" in refused.value.hint
