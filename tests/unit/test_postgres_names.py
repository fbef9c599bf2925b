import pytest
from made_up import RUN

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.postgres import names


@pytest.mark.parametrize(
    ("make", "room"),
    [
        (names.restore_name, 63 - len("__restore_20261122T031500Z")),
        (names.quarantine_name, 63 - len("__before_20261122T031500Z")),
    ],
)
def test_a_name_may_have_63_bytes_and_not_one_more(make, room):
    assert len(make("h" * room, RUN).encode()) == 63
    assert len(make("é" * (room // 2), RUN).encode()) <= 63
    for database in ("h" * (room + 1), "é" * (room // 2 + 1)):
        with pytest.raises(RollbackError, match=r"of 6\d bytes; PostgreSQL allows 63.*shorter name"):
            make(database, RUN)


def test_a_snapshot_is_told_by_its_name():
    name = names.snapshot_name("hunter", "20261122T031500Z")
    assert name == "hunter__snapshot_20261122T031500Z"
    assert names.is_snapshot(name, "hunter")
    for other in ("hunter", f"{name}_old", f"{name}\n", "hunter__restore_20261122T031500Z", f"x{name}"):
        assert not names.is_snapshot(other, "hunter")
    with pytest.raises(RollbackError, match="PostgreSQL allows 63"):
        names.snapshot_name("h" * 40, "20261122T031500Z")


def test_what_is_set_aside_is_found_again():
    assert names.quarantine_stamp(names.quarantine_name("hunter", RUN), "hunter") == "20261122T031500Z"


@pytest.mark.parametrize(
    "name",
    [
        "hunter",
        "hunter2__before_20261122T031500Z",
        "hunter__before_20261122T031500Z_old",
        "hunter__before_yesterday",
        "hunter__restore_20261122T031500Z",
        "hunter__before_20261122T031500Z\n",
    ],
)
def test_only_our_own_names_count(name):
    assert names.quarantine_stamp(name, "hunter") is None
    assert names.quarantine_stamp("hunterX__before_20261122T031500Z", "hunter.") is None
