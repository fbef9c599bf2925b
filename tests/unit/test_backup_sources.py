"""What comes from elsewhere is text by anybody: names, manifests and packets, of which none may do more than be refused."""

import hashlib
import json
import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import BACKUP, manifest

from ansible.module_utils.rollback.backups import catalog, names, sources
from ansible.module_utils.rollback.backups import manifest as manifests
from ansible.module_utils.rollback.backups.landing import Landing
from ansible.module_utils.rollback.backups.manifest import Manifest
from ansible.module_utils.rollback.backups.sources import sftp_protocol
from ansible.module_utils.rollback.backups.sources.source import Pace
from ansible.module_utils.rollback.errors import RollbackError

GOOD = manifest().as_dict()
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
SFTP = {"name": "offsite", "kind": "sftp", "host": "backup.example.com", "path": "/backups"}


@given(st.text())
def test_any_text_is_a_name_or_none(text):
    found = names.parse(text)
    assert found is None or found.label in text


@given(st.binary())
def test_any_bytes_are_a_manifest_or_refused(content):
    with pytest.raises(RollbackError):
        manifests.parse(content, BACKUP)


@given(ANY_JSON)
def test_any_json_is_a_manifest_or_refused(content):
    with pytest.raises(RollbackError):
        manifests.parse(json.dumps(content).encode(), BACKUP)


@given(st.sampled_from(sorted(GOOD)), ANY_JSON)
def test_a_manifest_with_anything_in_one_of_its_places_is_whole_or_refused(place, content):
    try:
        found = manifests.parse(json.dumps({**GOOD, place: content}).encode(), BACKUP)
    except RollbackError:
        return
    assert isinstance(found, Manifest)
    assert isinstance(found.bytes, int)
    assert isinstance(found.database, str)


@given(st.sampled_from(sorted(GOOD["census"])), ANY_JSON)
def test_the_same_of_what_was_counted(place, content):
    try:
        found = manifests.parse(json.dumps({**GOOD, "census": {**GOOD["census"], place: content}}).encode(), BACKUP)
    except RollbackError:
        return
    assert isinstance(found.census.rows, int)


@given(st.text())
def test_any_text_is_a_time_or_refused(text):
    with suppress(RollbackError):
        assert catalog.moment(text).tzinfo


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ([SFTP, SFTP], "names are unique"),
        ([{**SFTP, "name": "local"}], "local is taken"),
        ([{**SFTP, "name": "a:b"}], "neither / nor :"),
        ([{**SFTP, "host": ""}], "needs host"),
        ([{**SFTP, "bucket": "x"}], "has no bucket"),
        ([{"name": "a", "kind": "s3"}], "needs bucket"),
        ([{"name": "a", "kind": "local", "path": "/x", "password": "p"}], "has no password"),
    ],
)
def test_a_source_that_is_said_wrongly_is_one_sentence(said, sentence):
    with pytest.raises(RollbackError, match=sentence):
        sources.opened(said)


def test_a_place_in_words_has_no_secret():
    (place,) = sources.opened([{**SFTP, "password": "hush", "user": "hunter", "port": 2222}])
    assert place.where == "sftp hunter@backup.example.com:2222:/backups"
    (place,) = sources.opened([{"name": "a", "kind": "s3", "bucket": "b", "prefix": "/x/", "secret_key": "hush"}])
    assert place.where == "s3://b/x/"


class Wire:
    """Answers with whatever it was given."""

    def __init__(self, answers):
        self._answers = answers

    def sendall(self, content):
        pass

    def recv(self, count):
        came, self._answers = self._answers[:count], self._answers[count:]
        return came


@given(st.binary(max_size=200))
def test_whatever_answers_that_is_no_sftp_server_is_noticed(answers):
    hello = struct.pack(">IBI", 5, 2, 3)
    for content in (answers, hello + answers):
        try:
            client = sftp_protocol.Client(Wire(content))
            list(client.list("/"))
        except (sftp_protocol.Broken, sftp_protocol.Refused, FileNotFoundError):
            continue
        raise AssertionError("it was believed")


@given(st.lists(st.tuples(st.integers(0, 19), st.integers(1, 5)), max_size=60), st.integers(0, 25))
def test_in_whatever_order_pieces_come_the_hash_is_of_the_whole(tmp_path_factory, pieces, left):
    """Every piece is true; the order, overlaps and what an earlier attempt left are not ours to choose."""
    content = bytes(range(20))
    path = tmp_path_factory.mktemp("landing") / "file"
    path.write_bytes(content[: max(0, left - 5)] + bytes(max(0, min(left, 20) - max(0, left - 5))))
    with Landing(path, len(content), window=5) as landing:
        for start, length in pieces:
            landing.take(start, memoryview(content[start : start + length]))
        start = landing.again()
        landing.take(start, memoryview(content[start:]))
        assert landing.finish() == hashlib.sha256(content).hexdigest()
    assert path.read_bytes() == content


def test_a_pace_is_kept_by_several_takers_together(monkeypatch):
    slept = []
    monkeypatch.setattr("ansible.module_utils.rollback.backups.sources.source.time.sleep", slept.append)
    pace = Pace(1000)
    for _ in range(4):
        pace.take(500)
    assert slept[-1] == pytest.approx(2, abs=0.2)
    Pace(0).take(10**12)
    assert len(slept) == 4
