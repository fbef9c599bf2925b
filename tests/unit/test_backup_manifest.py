import json
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_up import BACKUP, as_json, backup, manifest

from ansible.module_utils.rollback.backups import catalog, files
from ansible.module_utils.rollback.backups import manifest as manifests
from ansible.module_utils.rollback.errors import RollbackError

FIELDS = as_json(manifest().as_dict())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
PLACES = st.sampled_from(
    [(name,) for name in FIELDS]
    + [("census", name) for name in FIELDS["census"]]
    + [("files", BACKUP), ("census", "tables", "public.leads")]
)
QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def written(tmp_path, content):
    path = tmp_path / BACKUP
    if not path.exists():
        backup(tmp_path)
    manifests.path_for(path).write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


def test_a_manifest_comes_back_as_it_was_written(tmp_path):
    manifests.write(tmp_path / BACKUP, manifest())
    found = manifests.read(tmp_path / BACKUP)
    assert found == manifest()
    assert (found.database, found.bytes) == ("hunter", FIELDS["files"][BACKUP]["bytes"])


def test_no_manifest_is_none(tmp_path):
    assert manifests.read(tmp_path / BACKUP) is None


@QUICK
@given(content=st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_garbage_is_refused_and_never_a_crash(tmp_path, content):
    with pytest.raises(RollbackError, match=r"cannot be read"):
        manifests.read(written(tmp_path, content))


@QUICK
@given(place=PLACES, value=JSON)
def test_a_manifest_with_one_thing_wrong_never_hides_the_other_backups(tmp_path, place, value):
    content = as_json(FIELDS)
    inside = content
    for name in place[:-1]:
        inside = inside[name]
    inside[place[-1]] = value
    path = written(tmp_path, content)
    other = "backup_other_20251122_030100.sql"
    if not (tmp_path / other).exists():
        backup(tmp_path, other)
    with suppress(RollbackError):
        assert manifests.read(path).backup == BACKUP
    listed = {candidate.name: candidate.reason for candidate in catalog.read(tmp_path, "hunter", "production")}
    assert listed[other] == ""


def test_nesting_without_end_is_garbage_too(tmp_path):
    with pytest.raises(RollbackError, match="cannot be read"):
        manifests.read(written(tmp_path, b"[" * 200_000))


@pytest.mark.parametrize("size", [-1, "many", None, 1.5])
def test_sizes_are_numbers(tmp_path, size):
    path = written(tmp_path, {**FIELDS, "files": {BACKUP: {"sha256": "0", "bytes": size}}})
    assert [candidate.reason for candidate in catalog.read(tmp_path, "hunter", "production")] != [""], path


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"manifest_version": 2}, "is of version 2; this tool reads version 1"),
        ({"backup": "another.sql"}, r"describes another\.sql"),
        ({"surprise": 1}, "cannot be read"),
    ],
)
def test_what_was_written_for_something_else_is_refused(tmp_path, changes, said):
    with pytest.raises(RollbackError, match=said):
        manifests.read(written(tmp_path, {**FIELDS, **changes}))


def test_what_made_up_backups_say_of_themselves_is_true(tmp_path):
    path = backup(tmp_path)
    assert manifests.read(path).files == files.checksums(path)
