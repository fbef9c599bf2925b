from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible.module_utils.rollback.backups import names
from ansible.module_utils.rollback.errors import RollbackError

LABELS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,80}", fullmatch=True)
ZONES = st.timedeltas(timedelta(hours=-12), timedelta(hours=12)).map(
    lambda offset: timezone(timedelta(minutes=offset // timedelta(minutes=1)))
)
MOMENTS = st.builds(datetime.fromtimestamp, st.integers(946684800, 4102444800), ZONES)


@given(
    label=LABELS, moment=MOMENTS, form=st.sampled_from(names.FORMATS), compression=st.sampled_from(names.COMPRESSIONS)
)
def test_a_name_says_what_it_was_made_of(label, moment, form, compression):
    name = names.make(label, moment, form, compression)
    assert "/" not in name
    assert not name.endswith((names.PARTIAL_SUFFIX, names.MANIFEST_SUFFIX))
    assert names.parse(name) == names.BackupName(label, moment.astimezone(UTC).replace(microsecond=0))


@given(st.text())
def test_whatever_a_file_is_called_parsing_only_answers(name):
    found = names.parse(name)
    assert found is None or name.startswith(f"backup_{found.label}_")


@pytest.mark.parametrize(
    "label", ["", ".hidden", "-rf", "../up", "a/b", "a b", "a\nb", "ä", "a" * 82, "pre_v1.1.0\n", "$(id)"]
)
def test_a_label_that_would_not_survive_in_a_file_name_is_refused(label):
    with pytest.raises(RollbackError, match="cannot be part of a backup's name"):
        names.make(label, datetime(2026, 11, 22, tzinfo=UTC), names.PLAIN, names.NONE)


@pytest.mark.parametrize("suffix", ["", names.PARTIAL_SUFFIX], ids=["made", "being made"])
def test_two_backups_of_one_second_have_names_of_their_own(tmp_path, suffix):
    first, began = names.unused(tmp_path, "safety", names.CUSTOM, names.GZIP)
    first.with_name(first.name + suffix).touch()
    second, later = names.unused(tmp_path, "safety", names.CUSTOM, names.GZIP)
    assert (second.name, later) > (first.name, began)


def test_the_name_of_the_rollback_plan_is_ours():
    found = names.parse("backup_pre_v1.1.0_20261122_031500.sql")
    assert found == names.BackupName("pre_v1.1.0", datetime(2026, 11, 22, 3, 15, tzinfo=UTC))


@pytest.mark.parametrize(
    "name",
    [
        "backup_x_20261322_031500.sql",
        "backup_x_20261122_250000.sql",
        "backup__20261122_031500.sql",
        "backup_x_20261122_031500.sql.part",
        "backup_x_20261122_031500.tar",
        "backup_x_20261122_031500.sql\n",
        "Backup_x_20261122_031500.sql",
    ],
)
def test_names_and_times_that_do_not_exist_are_not_ours(name):
    assert names.parse(name) is None
