import os
import resource

import pytest

from ansible.module_utils.rollback import durable


def test_a_short_write_leaves_nothing_behind(tmp_path, monkeypatch):
    path = tmp_path / "journal"
    durable.append(path, b"first\n")
    really = os.write
    monkeypatch.setattr(durable.os, "write", lambda descriptor, data: really(descriptor, data[:3]))
    with pytest.raises(OSError, match="No space left"):
        durable.append(path, b"second\n")
    assert path.read_bytes() == b"first\n"


def test_a_file_that_may_not_grow_stays_as_it_was(tmp_path):
    path = tmp_path / "journal"
    durable.append(path, b"x" * 90 + b"\n")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(OSError, match=r"No space left|File too large"):
            durable.append(path, b"y" * 50 + b"\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == b"x" * 90 + b"\n"
    durable.append(path, b"next\n")
    assert path.read_bytes().endswith(b"x\nnext\n")


def test_a_write_that_could_not_be_flushed_does_not_count(tmp_path, monkeypatch):
    path = tmp_path / "journal"
    durable.append(path, b"first\n")
    monkeypatch.setattr(durable.os, "fsync", lambda descriptor: (_ for _ in ()).throw(OSError(5, "Input/output error")))
    with pytest.raises(OSError, match="Input/output"):
        durable.append(path, b"second\n")
    assert path.read_bytes() == b"first\n"


def test_a_whole_file_is_old_or_new_and_never_a_part(tmp_path, monkeypatch):
    path = tmp_path / "lock"
    durable.write(path, b"old")
    monkeypatch.setattr(durable.os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        durable.write(path, b"new")
    assert {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()} == {"lock": b"old"}


def test_what_is_made_is_for_its_owner_alone(tmp_path):
    (tmp_path / "state").mkdir(mode=0o755)
    durable.make_private_dirs(tmp_path / "state" / "production" / "runs")
    durable.append(tmp_path / "state" / "production" / "ledger", b"x")
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")}
    assert modes == {"state": 0o755, "production": 0o700, "runs": 0o700, "ledger": 0o600}


def test_the_same_value_gives_the_same_bytes():
    assert (
        durable.canonical_json({"b": "é", "a": [1]})
        == durable.canonical_json({"a": [1], "b": "é"})
        == '{"a":[1],"b":"é"}'.encode()
    )
