"""Laboratories that start together on a machine where none has been before."""

from __future__ import annotations

import pwd
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

LABORATORIES = 6
STARTS = """
import pwd, subprocess, sys
sys.path.insert(0, sys.argv[1])
import throwaway_postgres
throwaway_postgres._pgserver()
print("ready", flush=True)
sys.stdin.readline()
throwaway_postgres.ensure_user(sys.argv[2])
account = pwd.getpwnam(sys.argv[2])
# As PostgreSQL is run: the group has to be there too.
subprocess.run(["true"], user=sys.argv[2], group=sys.argv[2], extra_groups=[], check=True)
print(account.pw_uid)
"""


@pytest.mark.accounts
def test_the_user_of_postgresql_is_made_once():
    """useradd, twice at once, fails, or gives the user another number: what the first has made belongs to nobody then."""
    user, hunter = f"lab{secrets.token_hex(4)}", Path(__file__).parents[2] / "examples" / "hunter"
    starting = [
        subprocess.Popen(
            [sys.executable, "-c", STARTS, hunter, user],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(LABORATORIES)
    ]
    try:
        assert [process.stdout.readline() for process in starting] == ["ready\n"] * LABORATORIES
        for process in starting:
            process.stdin.write("\n")
            process.stdin.flush()
        said = [(*process.communicate(), process.returncode) for process in starting]
        assert said == [(f"{pwd.getpwnam(user).pw_uid}\n", "", 0)] * LABORATORIES
    finally:
        subprocess.run(["userdel", user], check=True)
