import multiprocessing

import pytest

from ansible.module_utils.rollback import lock
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.lock import Owner

ROUNDS = 10
RACERS = 4


def owner(run="one", pid=1):
    return Owner(run=run, who="ada", since="2026-11-22T03:15:00.000Z", host="controller", pid=pid, boot="b")


def race(directory, number, take_over, barrier, wins):
    for turn in range(ROUNDS):
        barrier.wait()
        try:
            lock.acquire(directory / str(turn), owner(f"run{number}", number), take_over)
        except RollbackError:
            continue
        wins.put((turn, number))


def winners(directory, take_over):
    """Runs that got the lock, by round, when several ask for it in the same instant."""
    context = multiprocessing.get_context("fork")
    barrier, wins = context.Barrier(RACERS), context.Queue()
    racers = [
        context.Process(target=race, args=(directory, number, take_over, barrier, wins)) for number in range(RACERS)
    ]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(60)
    assert [racer.exitcode for racer in racers] == [0] * RACERS
    found = {turn: [] for turn in range(ROUNDS)}
    while not wins.empty():
        turn, number = wins.get()
        found[turn].append(f"run{number}")
    return found


def test_of_several_runs_that_start_together_one_wins(tmp_path):
    for turn, won in winners(tmp_path, take_over=None).items():
        assert won == [lock.holder(tmp_path / str(turn)).run]


def test_of_several_runs_that_take_over_together_one_wins(tmp_path):
    for turn in range(ROUNDS):
        lock.acquire(tmp_path / str(turn), owner("dead"))
    for turn, won in winners(tmp_path, take_over=owner("dead")).items():
        assert won == [lock.holder(tmp_path / str(turn)).run]


def test_whoever_comes_second_reads_who_was_first(tmp_path):
    lock.acquire(tmp_path, owner("one", 4711))
    with pytest.raises(
        RollbackError, match=r"held by run one, started by ada at .*process 4711 on controller.*Wait until"
    ):
        lock.acquire(tmp_path, owner("two"))
    assert lock.holder(tmp_path).run == "one"
    assert not [
        path.name
        for path in tmp_path.iterdir()
        if path.name.startswith(f".{lock.FILE_NAME}.") and path.suffix.strip(".").isdigit()
    ]


@pytest.mark.parametrize("take_over", [None, owner("another"), owner("one", pid=2)])
def test_only_the_very_lock_that_was_seen_is_taken_over(tmp_path, take_over):
    """Of two that resume a dead run, the second finds the same run held by a process that lives."""
    lock.acquire(tmp_path, owner("one", pid=1))
    with pytest.raises(RollbackError, match="held by run one"):
        lock.acquire(tmp_path, owner("two"), take_over)
    lock.acquire(tmp_path, owner("two"), owner("one", pid=1))
    assert lock.holder(tmp_path) == owner("two")


def test_where_nobody_holds_it_there_is_nothing_to_take_over(tmp_path):
    lock.acquire(tmp_path, owner("two"), owner("one"))
    assert lock.holder(tmp_path).run == "two"


def test_only_its_holder_gives_it_back(tmp_path):
    assert lock.release(tmp_path, "one") is False
    lock.acquire(tmp_path, owner("one"))
    assert lock.release(tmp_path, "two") is False
    assert lock.holder(tmp_path) is not None
    assert lock.release(tmp_path, "one") is True
    assert lock.holder(tmp_path) is None
    lock.acquire(tmp_path, owner("two"))


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff", b'{"run": "one"}'])
def test_a_lock_that_cannot_be_read_is_no_free_one(tmp_path, content):
    (tmp_path / lock.FILE_NAME).write_bytes(content)
    with pytest.raises(RollbackError, match=r"cannot be read\. See whether a run is under way"):
        lock.acquire(tmp_path, owner("two"), owner("one"))
