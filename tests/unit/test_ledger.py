import pytest
from made_up import point

from ansible.module_utils.rollback import ledger
from ansible.module_utils.rollback.errors import RollbackError


def at(version, hour, **changes):
    return point(version, id=f"{version}-{hour}", recorded_at=f"2026-11-22T{hour:02}:00:00.000Z", **changes)


def test_points_come_back_as_they_were_recorded(tmp_path):
    recorded = [
        point(recorded_by="Ada\u2028Lovelace\x85", image_digests={"api": "sha256:1"}),
        point("1.1.0", verified=False, backup=""),
    ]
    assert ledger.read(tmp_path) == []
    for entry in recorded:
        ledger.append(tmp_path / "production", entry)
    assert ledger.read(tmp_path / "production") == recorded


def test_an_id_is_given_once(tmp_path):
    ledger.append(tmp_path, point())
    with pytest.raises(RollbackError, match=r"already has a release point 1.0.0-"):
        ledger.append(tmp_path, point(verified=False))
    assert len(ledger.read(tmp_path)) == 1


@pytest.mark.parametrize("broken", [b'{"id": "x"}', b"nonsense", b"[]", b"", b'{"id": "x', b"\xff\xfe", b'"text"'])
def test_a_broken_line_is_named_and_nothing_is_appended_to_it(tmp_path, broken):
    ledger.append(tmp_path, point())
    path = tmp_path / ledger.FILE_NAME
    before = path.read_bytes() + broken + b"\n"
    path.write_bytes(before)
    with pytest.raises(
        RollbackError, match=r"Line 2 of the ledger .* is not a release point.*Repair or delete that line"
    ):
        ledger.append(tmp_path, point("1.1.0"))
    assert path.read_bytes() == before


def test_a_line_repaired_by_hand_without_its_end_stays_a_line_of_its_own(tmp_path):
    ledger.append(tmp_path, point())
    path = tmp_path / ledger.FILE_NAME
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    ledger.append(tmp_path, point("1.1.0"))
    assert [entry.version for entry in ledger.read(tmp_path)] == ["1.0.0", "1.1.0"]


def test_an_id_is_found_before_a_version_and_of_a_version_the_newest():
    points = [at("1.0.0", 1), at("1.1.0", 2), at("1.0.0", 3), point("2.0.0", id="1.1.0")]
    assert ledger.find(points, "1.0.0").id == "1.0.0-3"
    assert ledger.find(points, "1.0.0-1").id == "1.0.0-1"
    assert ledger.find(points, "1.1.0").version == "2.0.0"


@pytest.mark.parametrize(
    ("points", "known"), [([], "none is recorded"), ([at("1.0.0", 1), at("1.0.0", 2)], r"Known versions: 1\.0\.0\.")]
)
def test_what_is_not_there_is_answered_with_what_is(points, known):
    with pytest.raises(RollbackError, match=f"There is no release point 9.*{known}"):
        ledger.find(points, "9")


@pytest.mark.parametrize(
    ("points", "running", "expected"),
    [
        # The running version was never recorded, which is the rule: it has just turned out to be bad.
        ([at("1.0.0", 1)], "1.1.0", "1.0.0-1"),
        ([at("1.0.0", 1), at("1.1.0", 2)], "1.2.0", "1.1.0-2"),
        # It was recorded, once or several times: what lies before its first record counts.
        ([at("1.0.0", 1), at("1.1.0", 2)], "1.1.0", "1.0.0-1"),
        ([at("1.0.0", 1), at("1.1.0", 2), at("1.1.0", 3)], "1.1.0", "1.0.0-1"),
        ([at("1.0.0", 1), at("1.0.0", 2), at("1.1.0", 3)], "1.1.0", "1.0.0-2"),
        # A newer release is on record, and the running one is in the middle.
        ([at("1.0.0", 1), at("1.1.0", 2), at("1.2.0", 3)], "1.1.0", "1.0.0-1"),
        # What was never verified is never chosen by itself, and does not count as a record of the running version.
        ([at("1.0.0", 1), at("1.0.5", 2, verified=False)], "1.1.0", "1.0.0-1"),
        ([at("1.0.0", 1), at("1.1.0", 2, verified=False), at("1.0.5", 3)], "1.1.0", "1.0.5-3"),
    ],
)
def test_previous_is_the_newest_verified_one_from_before_the_running_version(points, running, expected):
    assert ledger.previous(points, running).id == expected


def test_going_back_twice_by_accident_is_refused():
    points = [at("0.9.0", 0), at("1.0.0", 1), at("1.1.0", 2)]
    with pytest.raises(RollbackError, match=r"already went back to release point 1\.0\.0-1.*say -e release=1\.0\.0-1"):
        ledger.previous(points, "1.0.0", rolled_back_to="1.0.0-1")
    assert ledger.previous(points, "1.1.0", rolled_back_to="1.0.0-1").id == "1.0.0-1"


@pytest.mark.parametrize("points", [[], [at("1.0.0", 1, verified=False)]])
def test_without_a_verified_point_there_is_nothing_to_go_back_to(points):
    with pytest.raises(RollbackError, match="no verified release point"):
        ledger.previous(points, "1.1.0")


@pytest.mark.parametrize(
    ("points", "hinted"),
    [([at("1.0.0", 1), at("1.0.0", 2)], "1.0.0-2"), ([at("1.0.0", 1), at("1.1.0", 2)], "1.0.0-1")],
)
def test_where_nothing_is_older_the_hint_names_the_running_version(points, hinted):
    with pytest.raises(RollbackError) as refused:
        ledger.previous(points, "1.0.0")
    assert refused.value.hint.endswith(f"-e release={hinted}.")
    versions = {entry.version for entry in points}
    assert ("Every" in refused.value.message) <= (versions == {"1.0.0"}), "the sentence must be true"
