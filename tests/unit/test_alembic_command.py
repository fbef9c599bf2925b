import os
import subprocess
import sys
from contextlib import suppress

import psutil
import pytest

from ansible.module_utils.rollback import sealed
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.migrations import command, hooked
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
    assert (
        command.judged(
            1, "", LOCKED.replace("lock timeout", "statement timeout").replace("LockNotAvailable", "QueryCanceled"), []
        ).outcome
        == command.FAILED
    )
    assert command.judged(0, "BEGIN;", LOCKED, []).outcome == command.DONE


@pytest.mark.parametrize(
    "said",
    [
        "psycopg.errors.LockNotAvailable: storniere Anfrage wegen Zeitüberschreitung bei einer Sperre",
        "psycopg2.errors.LockNotAvailable: annulation de la requête",
        "asyncpg.exceptions.LockNotAvailableError: ロックのタイムアウト",
        "pg8000.exceptions.DatabaseError: {'S': 'FEHLER', 'V': 'ERROR', 'C': '55P03', 'M': 'storniere Anfrage'}",
    ],
)
def test_a_lock_timeout_is_known_in_every_language_and_by_every_driver(said):
    assert command.judged(1, "", f"Traceback\n{said}", []).outcome == command.LOCK_TIMEOUT


def test_a_password_in_an_error_is_not_repeated():
    said = command.judged(1, "", f"ArgumentError: Could not parse URL from '{URL}'", [])
    assert "geheim" not in said.sentence
    assert "hunter:***" in said.sentence


@pytest.fixture
def everything_is_a_secret(monkeypatch):
    """Each word of the SQL below is the value of a variable under a telling name."""
    monkeypatch.setattr(sealed, "_secrets", set(SAID.split()) | {"e0e710"})
    monkeypatch.setattr(sealed, "_open", [])


SAID = "-- downgrade e0e7107ae2f2 abc123f00d11\nALTER TABLE customers DROP COLUMN password1\nSET password = 'abc123'\n"


def test_what_is_read_is_what_alembic_wrote_and_only_what_is_shown_is_masked(everything_is_a_secret):
    for code in (0, 1):
        ended = command.judged(code, SAID, "", [])
        assert ended.output == SAID
        answer = ended.as_dict()
        assert "customers" not in answer["output"]
        assert "abc123" not in answer["output"].replace("abc123f00d11", "")


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


SAYS_WHAT_IT_GOT = (
    "import json, os, sys; print(json.dumps([sys.argv[1:], os.path.basename(sys.path[0]), os.environ.get('X')]))"
)
TASK = {"do": "run", "settings": {}, "expected": [], "foreseen": {}}
PIP = "#!/bin/sh\n'''exec' \"{python}\" \"$0\" \"$@\"\n' '''"


def a_script(directory, first):
    script = directory / "alembic"
    script.write_text(f"{first.format(python=sys.executable)}\n{SAYS_WHAT_IT_GOT}\n")
    script.chmod(0o755)
    return str(script)


@pytest.mark.parametrize("first", ["#!{python}", "#!{python} -I", "#!/usr/bin/env python3", PIP])
@pytest.mark.parametrize("before", [(), ("env", "X=1")])
@pytest.mark.parametrize("kind", ["host", "pod"])
def test_a_script_runs_as_it_would_without_the_hook(tmp_path, first, before, kind):
    words = [*before, a_script(tmp_path, first), "-c", "it's.ini", ""]
    wanted = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    around = hooked.short_command(words) if kind == "pod" else hooked.command(words, TASK)
    environment = {**os.environ, **hooked.environment(TASK)}
    done = subprocess.run(around, capture_output=True, text=True, check=False, env=environment)
    assert (done.stdout, done.stderr) == (wanted, "")


@pytest.mark.parametrize("options", [[], ["-u"], ["-X", "utf8"], ["-I"]])
def test_a_module_runs_as_it_would_without_the_hook(tmp_path, options):
    (tmp_path / "alembic_of_mine.py").write_text(SAYS_WHAT_IT_GOT)
    words = [sys.executable, *options, "-m", "alembic_of_mine" if options != ["-I"] else "json.tool", "--help"]
    wanted = subprocess.run(words, capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    done = subprocess.run(hooked.command(words, TASK), capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.stdout, done.returncode) == (wanted, 0)


@pytest.mark.parametrize("text", ["#!/bin/sh\nexec alembic", "#!/usr/bin/ruby\nputs 1", "\x7fELF", ""])
def test_what_is_not_python_is_refused_before_it_runs(tmp_path, text):
    script = tmp_path / "migrate"
    script.write_text(text)
    script.chmod(0o755)
    with pytest.raises(RollbackError, match="migrate is not a Python program"):
        command.run(Place(), [str(script)], ["current"], {}, Limits(), TASK)


def test_what_does_not_end_is_killed_with_all_that_it_started(tmp_path):
    script = f"import subprocess, pathlib; p = subprocess.Popen(['sleep', '60']); pathlib.Path('{tmp_path}/pid').write_text(str(p.pid)); p.wait()"
    (tmp_path / "slow.py").write_text(script)
    ended = command.run(
        Place(directory=str(tmp_path)), [sys.executable, "-m", "slow"], [], {}, Limits(command_s=2), TASK
    )
    assert "did not end within 2 s and was killed" in ended.sentence
    _, alive = psutil.wait_procs([child for child in [left(tmp_path / "pid")] if child], timeout=10)
    assert alive == []


def left(pid_file):
    """The process whose id stands there, or None where it is gone."""
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(int(pid_file.read_text()))
    return None


@pytest.mark.parametrize("words", [["/no/alembic"], ["no-alembic"]])
def test_a_command_that_is_not_there_is_named(words):
    with pytest.raises(RollbackError, match=f"Alembic cannot be run: {words[0]} was not found"):
        command.run(Place(), words, [], {}, Limits(), TASK)


def test_a_python_that_is_not_there_is_named():
    with pytest.raises(RollbackError, match="Alembic cannot be run: /no/python3: No such file"):
        command.run(Place(), ["/no/python3", "-m", "alembic"], [], {}, Limits(), TASK)
