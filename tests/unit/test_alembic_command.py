import os
import subprocess
from contextlib import suppress

import psutil
import pytest

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.migrations import command
from ansible.module_utils.rollback.migrations.command import Limits, Place

# Put together here, so that no file of the project holds something that looks like a URL with a password.
URL = "postgresql:" + "//hunter:geheim@db:x/hunter"
SECRET = {"DATABASE_URL": "password=geheim"}
LOCKED = """Traceback (most recent call last):
psycopg.errors.LockNotAvailable: canceling statement due to lock timeout

The above exception was the direct cause of the following exception:

sqlalchemy.exc.OperationalError: (psycopg.errors.LockNotAvailable) canceling statement due to lock timeout
[SQL: ALTER TABLE leads DROP COLUMN phone]
(Background on this error at: https://sqlalche.me/e/20/e3q8)
"""


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (LOCKED, "canceling statement due to lock timeout"),
        ("  FAILED: Can't locate revision identified by 'zzz'", "Can't locate revision identified by 'zzz'"),
        ("ERROR [alembic.util.messaging] Ambiguous walk", "Ambiguous walk"),
        ("Traceback\nNotImplementedError: no way back", "no way back"),
        ("Traceback\nNotImplementedError", "NotImplementedError"),
        ("Error response from daemon: No such container: hunter-api-1", "No such container: hunter-api-1"),
        ("", "it said nothing"),
    ],
)
def test_the_line_that_says_why_is_found(said, cause):
    assert command.cause(said) == cause


def test_only_a_lock_is_worth_another_try():
    assert command.judged(1, "", LOCKED, []).outcome == command.LOCK_TIMEOUT
    assert command.judged(1, "", LOCKED.replace("lock timeout", "statement timeout"), []).outcome == command.FAILED
    assert command.judged(0, "BEGIN;", LOCKED, []).outcome == command.DONE


def test_a_password_in_an_error_is_not_repeated():
    said = command.judged(1, "", f"ArgumentError: Could not parse URL from '{URL}'", [])
    assert "geheim" not in said.sentence
    assert "hunter:***" in said.sentence


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (Place(), ["alembic", "downgrade", "x"]),
        (
            Place("container", "hunter-api-1", directory="/app"),
            [
                "docker",
                "exec",
                "--env",
                "DATABASE_URL",
                "--workdir",
                "/app",
                "hunter-api-1",
                "alembic",
                "downgrade",
                "x",
            ],
        ),
        (
            Place("image", "hunter:1.2.0", options=("--network", "hunter_default")),
            [
                *["docker", "run", "--rm", "--env", "DATABASE_URL", "--entrypoint", "alembic"],
                *["--network", "hunter_default", "hunter:1.2.0", "downgrade", "x"],
            ],
        ),
    ],
)
def test_each_place_has_its_command_line_and_none_has_a_secret(place, words):
    argv = place.argv(["alembic", "downgrade", "x"], SECRET)
    assert argv == words
    assert "geheim" not in " ".join(argv)


def test_a_pod_is_given_its_variables_where_no_list_of_processes_shows_them():
    argv = Place("pod", "deploy/hunter-api", ("kubectl", "--namespace", "hunter"), directory="/app").argv(
        ["alembic"], SECRET
    )
    assert argv[:6] == ["kubectl", "--namespace", "hunter", "exec", "--stdin", "deploy/hunter-api"]
    assert argv[-2:] == ["/app", "alembic"]
    assert "geheim" not in " ".join(argv)
    # What the shell in the pod would do, done by one here.
    shell = argv[argv.index("sh") :]
    shell[3:] = ["/", "printenv", "DATABASE_URL"]
    fed = subprocess.run(shell, input="geheim\n", env={"PATH": os.defpath}, capture_output=True, text=True, check=False)
    assert fed.stdout.strip() == "geheim"


def test_the_limits_reach_the_driver_beside_what_was_there():
    ended = command.run(
        Place(), ["printenv"], ["PGOPTIONS"], {"PGOPTIONS": "-c jit=off"}, Limits(0.5, 2), read_only=True
    )
    assert ended.output.strip() == (
        "-c jit=off -c lock_timeout=500 -c statement_timeout=2000 -c default_transaction_read_only=on"
    )


def test_what_does_not_end_is_killed_with_all_that_it_started(tmp_path):
    script = f"sleep 60 & echo $! > {tmp_path}/pid; wait"
    ended = command.run(Place(), ["sh", "-c", script], [], {}, Limits(command_s=0.5))
    assert "did not end within 0.5 s and was killed" in ended.sentence
    _, alive = psutil.wait_procs([child for child in [left(tmp_path / "pid")] if child], timeout=10)
    assert alive == []


def left(pid_file):
    """The process whose id stands there, or None where it is gone."""
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(int(pid_file.read_text()))
    return None


def test_a_command_that_is_not_there_is_named():
    with pytest.raises(RollbackError, match="Alembic cannot be run: /no/alembic: No such file"):
        command.run(Place(), ["/no/alembic"], [], {}, Limits())
