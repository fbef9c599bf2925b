from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import BACKUP, DUMP, backup

from ansible.module_utils.rollback import clock
from ansible.module_utils.rollback.backups import catalog, files
from ansible.module_utils.rollback.backups import manifest as manifests
from ansible.module_utils.rollback.backups.catalog import Candidate
from ansible.module_utils.rollback.errors import RollbackError

NOW = datetime(2026, 11, 22, 3, 15, tzinfo=UTC)


def read(directory):
    return catalog.read(directory, "hunter", "production")


def test_a_fit_backup_has_no_reason_against_it(tmp_path):
    backup(tmp_path)
    (found,) = read(tmp_path)
    assert (found.name, found.reason, found.bytes, found.rows, found.alembic_heads) == (
        BACKUP,
        "",
        len(DUMP),
        2,
        ["aaa"],
    )


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda path: manifests.path_for(path).unlink(), "it has no manifest"),
        (lambda path: path.unlink(), "its backup is gone"),
        (
            lambda path: path.write_bytes(DUMP + b"more"),
            f"it is damaged: it has {len(DUMP) + 4} bytes, its manifest says {len(DUMP)}",
        ),
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_bytes(b"notes"), "is not recognisable as a dump"),
        (lambda path: manifests.path_for(path).write_bytes(b"{"), "cannot be read"),
        (lambda path: path.rename(f"{path}.part"), "it was never finished"),
        (lambda path: path.rename(path.with_name(".hidden")), "it was never finished"),
        (lambda path: backup(path.parent, environment="staging"), "it is of environment staging, not production"),
    ],
)
def test_whatever_is_no_candidate_has_its_reason(tmp_path, spoil, reason):
    spoil(backup(tmp_path))
    assert any(reason in candidate.reason for candidate in read(tmp_path))
    assert all(candidate.reason for candidate in read(tmp_path))


def test_a_backup_of_another_database_is_none_of_ours(tmp_path):
    backup(tmp_path)
    (found,) = catalog.read(tmp_path, "payments", "production")
    assert found.reason == "it is of database hunter, not payments"


def test_what_may_not_be_entered_does_not_hide_the_others(tmp_path, monkeypatch):
    backup(tmp_path)
    (tmp_path / "lost+found").mkdir()
    really = files.sniff

    def sniff(path):
        if path.name == "lost+found":
            raise PermissionError(13, "Permission denied", str(path))
        return really(path)

    monkeypatch.setattr(files, "sniff", sniff)
    assert {candidate.name: candidate.reason for candidate in read(tmp_path)} == {
        BACKUP: "",
        "lost+found": "it cannot be read (Permission denied)",
    }


def test_the_manifests_time_orders_them_and_not_the_files(tmp_path):
    for name, year in (("a", 2026), ("b", 2024), ("c", 2025)):
        backup(tmp_path, f"backup_{name}_20261122_030100.sql", created_at=f"{year}-01-01T00:00:00.000Z")
    assert [candidate.created_at[:4] for candidate in read(tmp_path)] == ["2024", "2025", "2026"]


def test_a_directory_that_is_not_there_holds_nothing(tmp_path):
    assert read(tmp_path / "gone") == []


def test_choosing_takes_a_name_or_a_path_and_refuses_with_the_reason(tmp_path):
    candidates = [Candidate("a", "/b/a"), Candidate("b", "/b/b", reason="it has no manifest")]
    assert catalog.choose(candidates, "a", tmp_path) == catalog.choose(candidates, "/b/a", tmp_path) == candidates[0]
    with pytest.raises(RollbackError, match="b cannot be restored here: it has no manifest"):
        catalog.choose(candidates, "b", tmp_path)
    with pytest.raises(RollbackError, match=r"no backup c in .*There are: a\."):
        catalog.choose(candidates, "c", tmp_path)
    with pytest.raises(RollbackError, match="no backup of this database at all"):
        catalog.choose(candidates[1:], "c", tmp_path)


def aged(days, number=0, reason=""):
    return Candidate(f"backup{number}", f"/b/{number}", created_at=clock.iso(NOW - timedelta(days=days)), reason=reason)


def test_only_what_is_old_and_spare_goes():
    candidates = [aged(40, 1), aged(30, 2), aged(20, 3), aged(15, 4), aged(1, 5)]
    gone = catalog.expired(candidates, keep=2, keep_days=14, needed={"backup2"}, now=NOW)
    assert [candidate.name for candidate in gone] == ["backup1", "backup3"]


AGES = st.lists(st.floats(0, 100, allow_nan=False), max_size=8).map(lambda ages: sorted(ages, reverse=True))


@given(
    ages=AGES,
    unfit=st.sets(st.integers(0, 7)),
    keep=st.integers(0, 9),
    days=st.integers(0, 60),
    needed=st.sets(st.integers(0, 7)),
)
def test_retention_never_takes_the_newest_the_needed_the_young_or_what_is_not_ours(ages, unfit, keep, days, needed):
    candidates = [aged(age, number, "damaged" if number in unfit else "") for number, age in enumerate(ages)]
    gone = catalog.expired(candidates, keep, days, {f"backup{number}" for number in needed}, NOW)
    fit = [candidate for candidate in candidates if not candidate.reason]
    assert not {candidate.name for candidate in gone} & {f"backup{number}" for number in needed}
    assert not set(gone) & set(fit[len(fit) - min(keep, len(fit)) :])
    assert all(
        not candidate.reason and candidate.created_at < clock.iso(NOW - timedelta(days=days)) for candidate in gone
    )
    spare = [
        candidate
        for candidate in fit[: max(0, len(fit) - keep)]
        if candidate.name not in {f"backup{n}" for n in needed}
    ]
    assert set(gone) == {
        candidate for candidate in spare if candidate.created_at < clock.iso(NOW - timedelta(days=days))
    }
