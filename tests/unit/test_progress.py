"""Lines of progress, and the module that follows them."""

from __future__ import annotations

import json
import threading
import time

import pytest
import run_progress

from ansible.module_utils.rollback import progress, worker
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.journal import Journal
from ansible.module_utils.rollback.progress import Measure, Progress

GIB = 1024**3


def test_a_measure_in_words():
    line = Measure(bytes=GIB // 2, expected_bytes=GIB, objects=31, expected_objects=64, seconds=12.0).line()
    assert line == "512.0 MiB of about 1.0 GiB (50 %), 31 of 64 objects, 42.7 MiB/s, about 12 s left"


@pytest.mark.parametrize(
    ("measure", "share"),
    [
        (Measure(0, GIB, 0, 64, 0.0), "(0 %)"),
        (Measure(2 * GIB, GIB, 70, 64, 60.0), "(99 %), 64 of 64 objects"),
        (Measure(5, 0, 1, 0, 1.0), "(99 %)"),
    ],
)
def test_what_was_expected_is_never_exceeded(measure, share):
    assert share in measure.line()


def test_lines_are_kept_beside_the_journal_and_say_what_of_the_target_is_used(tmp_path):
    Journal(tmp_path).append("opened", asked_s_before=60.0)
    said = Progress(str(tmp_path), target_s=900)
    said.say("load", "half of it")
    said.say("analyse", "collecting")
    text = (tmp_path / progress.FILE_NAME).read_text().splitlines()
    assert len(text) == 2
    assert "Z load: half of it; 1 min 00 s of 15 min 00 s used" in text[0]
    assert progress.last_line(str(tmp_path)).startswith("analyse: collecting; 1 min 0")


def test_outside_a_run_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Progress("").say("load", "half of it")
    assert list(tmp_path.iterdir()) == []


def test_a_line_that_cannot_be_written_costs_nothing_else(tmp_path):
    (tmp_path / progress.FILE_NAME).mkdir()
    Progress(str(tmp_path)).say("load", "half of it")


def follow(tmp_path, **more):
    return run_progress.follow(
        {"run_dir": str(tmp_path), "job_file": str(tmp_path / "job"), "wait_s": 0.5, "silence_s": 0.5, **more}, False
    )


def test_a_job_that_has_ended_gives_its_result_and_leaves_no_file(tmp_path):
    (tmp_path / "job").write_text(json.dumps({"changed": True, "oid": 17}))
    answer = follow(tmp_path)
    assert (answer["finished"], answer["result"]["oid"]) == (True, 17)
    assert not (tmp_path / "job").exists()


def test_a_job_that_failed_fails_in_its_own_words(tmp_path):
    (tmp_path / "job").write_text(
        json.dumps({"failed": True, "msg": "Role x does not exist. Make it.", "hint": "Make it."})
    )
    with pytest.raises(RollbackError, match=r"^Role x does not exist\. Make it\.$"):
        follow(tmp_path)


def test_a_module_that_was_killed_is_told_and_not_its_traceback(tmp_path):
    (tmp_path / "job").write_text(json.dumps({"failed": True, "cmd": "python x", "msg": "Traceback (most recent…"}))
    with pytest.raises(RollbackError, match="was killed before it was done"):
        follow(tmp_path)


def test_a_job_without_a_process_counts_as_killed(tmp_path):
    (tmp_path / "job").write_text(json.dumps({"started": True, "finished": False}))
    with pytest.raises(RollbackError, match="was killed before it was done"):
        follow(tmp_path)


def test_a_new_line_is_told_at_once(tmp_path):
    (tmp_path / "job").write_text(json.dumps({"started": True, "finished": False}))
    with worker.alone(str(tmp_path)):
        writer = threading.Timer(0.3, Progress(str(tmp_path)).say, ("load", "half of it"))
        writer.start()
        began = time.monotonic()
        answer = follow(tmp_path, wait_s=20)
        writer.join()
    assert (answer["line"], answer["finished"]) == ("load: half of it", False)
    assert time.monotonic() - began < 5


def test_without_a_new_line_it_answers_after_a_while(tmp_path):
    (tmp_path / "job").write_text(json.dumps({"started": True, "finished": False}))
    with worker.alone(str(tmp_path)):
        assert follow(tmp_path)["finished"] is False
