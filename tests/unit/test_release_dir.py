"""Release directories: switching leaves a version that runs, the wanted one or the one before."""

from pathlib import Path

import pytest

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.runtimes import release_dir

GOOD, BAD = "1.0.0", "1.0.1"


@pytest.fixture
def path(tmp_path):
    """1.0.1 runs; it does while there is a file `running`."""
    for version in (GOOD, BAD):
        (tmp_path / "releases" / version).mkdir(parents=True)
    (tmp_path / "current").symlink_to(Path("releases") / BAD)
    (tmp_path / "running").touch()
    return tmp_path


def host(path, start=None):
    return release_dir.Host(path, ["rm", "-f", str(path / "running")], start or ["touch", str(path / "running")], 5)


def seen(path):
    return (path / "current").readlink().name, (path / "running").exists()


def test_there_and_a_second_time_nothing_changes(path):
    done = release_dir.switch(host(path), GOOD)
    assert (done.changed, done.running, seen(path)) == (True, GOOD, (GOOD, True))
    again = release_dir.switch(host(path), GOOD)
    assert (again.changed, again.actions, seen(path)) == (False, [], (GOOD, True))


def test_a_version_that_does_not_start_leaves_the_one_before_running(path):
    only_bad = ["sh", "-c", f"readlink {path}/current | grep -q {BAD} && touch {path}/running"]
    with pytest.raises(RollbackError, match=r"exit code 1.* 1\.0\.1 was started again"):
        release_dir.switch(host(path, only_bad), GOOD)
    assert seen(path) == (BAD, True)


def test_one_that_was_left_stopped_is_started(path):
    """A switch that was cut off may have left the right link and nothing that runs."""
    (path / "running").unlink()
    release_dir.switch(host(path), BAD)
    assert seen(path) == (BAD, True)


def test_a_version_that_cannot_be_started_again_is_told(path):
    with pytest.raises(RollbackError, match="start command ended with exit code 1"):
        release_dir.switch(host(path, ["false"]), BAD)


def test_a_release_that_is_not_there_stops_nothing(path):
    with pytest.raises(RollbackError, match=r"9\.9\.9 is not among the releases"):
        release_dir.switch(host(path), "9.9.9")
    assert seen(path) == (BAD, True)
