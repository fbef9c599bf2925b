"""What the Compose runtime reads from names, files and labels; what it does to containers is in tests/engine."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from ansible.module_utils.rollback.runtimes import compose
from ansible.module_utils.rollback.runtimes.compose_files import found_files
from ansible.module_utils.rollback.runtimes.compose_project import fixed, keeps_postgres
from ansible.module_utils.rollback.runtimes.docker import Image, repository_of, tag_of
from ansible.module_utils.rollback.runtimes.registries import Login, logged_in

HERE = "registry:5000/hunter"


@pytest.mark.parametrize(
    ("reference", "repository", "tag"),
    [
        ("registry:5000/hunter:1.0.0@sha256:1f0e", HERE, "1.0.0"),
        ("registry:5000/hunter", HERE, ""),
        ("docker.io/acme/hunter:1.0.0", "acme/hunter", "1.0.0"),
        ("docker.io/library/nginx:1", "nginx", "1"),
        ("nginx", "nginx", ""),
    ],
)
def test_a_name_is_taken_apart_as_the_engine_does(reference, repository, tag):
    assert (repository_of(reference), tag_of(reference)) == (repository, tag)


@pytest.mark.parametrize(
    ("name", "tags", "label", "version"),
    [
        (f"{HERE}:1.0.0", [], "22.04", "1.0.0"),  # the label is that of the base image
        (f"{HERE}:latest", [f"{HERE}:latest"], "1.0.0", "1.0.0"),
        (f"{HERE}@sha256:1f0e", [f"{HERE}:rollback-1.0.0", f"{HERE}:1.0.1"], "22.04", "1.0.0"),
        (f"{HERE}@sha256:1f0e", [f"{HERE}:1.0.0", "other:2"], "", "1.0.0"),
        (f"{HERE}:stable", [], "", "stable"),
        (f"{HERE}@sha256:1f0e", [], "", ""),
    ],
)
def test_the_version_is_that_of_the_surest_sign(name, tags, label, version):
    image = Image("sha256:1", tags, [], "linux/amd64", {compose.VERSION_LABEL: label} if label else {})
    assert compose._version(image, name, f"{HERE}:9") == version


@pytest.mark.parametrize(
    ("there", "env", "found"),
    [
        (["compose.yaml", "docker-compose.yml"], "", ["compose.yaml"]),
        (["docker-compose.yml", "compose.override.yaml"], "", ["docker-compose.yml", "compose.override.yaml"]),
        (["compose.yaml"], "COMPOSE_FILE='base.yml:live.yml'\n", ["base.yml", "live.yml"]),
        (["compose.yaml"], "COMPOSE_PATH_SEPARATOR=,\nCOMPOSE_FILE=base.yml,live.yml\n", ["base.yml", "live.yml"]),
        ([], "", []),
    ],
)
def test_files_are_found_as_compose_finds_them(tmp_path, monkeypatch, there, env, found):
    monkeypatch.delenv("COMPOSE_FILE", raising=False)
    for name in there:
        (tmp_path / name).touch()
    if env:
        (tmp_path / ".env").write_text(env)
    assert found_files(tmp_path) == found


def test_a_login_is_kept_in_a_private_directory_that_is_gone_afterwards(tmp_path, monkeypatch):
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    (tmp_path / "config.json").write_text('{"currentContext": "far", "credsStore": "secretservice"}')
    (tmp_path / "contexts").mkdir()
    logins = [Login("docker.io", "ada", "s3cret"), Login("registry:5000", "bob", "ünïcode")]
    with logged_in(logins) as environment:
        home = Path(environment["DOCKER_CONFIG"])
        assert home.stat().st_mode & 0o077 == 0
        config = json.loads((home / "config.json").read_text())
        assert (home / "contexts").resolve() == tmp_path / "contexts"
    assert not home.exists()
    assert set(config["auths"]) == {"https://index.docker.io/v1/", "registry:5000"}
    assert base64.b64decode(config["auths"]["registry:5000"]["auth"]).decode() == "bob:ünïcode"
    assert config["currentContext"] == "far"
    assert "credsStore" not in config
    assert "s3cret" not in repr(logins)


def test_without_logins_the_users_own_are_left_alone():
    with logged_in([]) as environment:
        assert environment == {}


@pytest.mark.parametrize(
    ("service", "database", "alone"),
    [
        ({"image": "hunter:1.0.0", "ports": [{"target": 8000}]}, False, False),
        ({"image": "hunter:1.0.0", "ports": [{"target": 8000, "published": "80"}]}, False, True),
        ({"image": "hunter:1.0.0", "container_name": "hunter"}, False, True),
        ({"image": "registry/postgres:15"}, True, False),
        ({"image": "timescale/db:2", "volumes": [{"target": "/var/lib/postgresql/data"}]}, True, False),
    ],
)
def test_what_must_not_be_recreated_or_cannot_run_twice_is_known_by_its_service(service, database, alone):
    assert (keeps_postgres(service), fixed(service)) == (database, alone)


@pytest.mark.parametrize(
    ("service", "starts", "found"),
    [
        ({"command": ["sh", "-c", "alembic upgrade head && exec hunter"]}, [], True),
        ({"entrypoint": ["python3", "-m", "alembic", "upgrade", "head"]}, [], True),
        ({}, ["sh", "-c", "python -m alembic -c a.ini upgrade head; hunter"], True),
        ({"command": None}, ["python3", "-m", "hunter.api"], False),
    ],
)
def test_a_service_that_migrates_when_it_starts_is_seen(service, starts, found):
    assert compose.migrates(service, Image("sha256:1", [], [], "linux/amd64", {}, starts)) is found
