"""`-e method=app`: the application goes back by itself, on one host and on several, where the schema suits it."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hosts import BAD, GOOD
from place import REASON, Place

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(900)]

QUICK = {"assess_rounds": 1, "verify_successes": 1, "verify_interval_s": 0.1}


@pytest.fixture(scope="module")
def place():
    """Hunter 1.0.1 runs, which is 1.0.0 with a bug and without a migration."""
    found = Place(Path(tempfile.mkdtemp(prefix="rollback-place-")))
    try:
        found.lab.up()
        found.lab.deploy(GOOD)
        found.lab.fill(2_000)
        found.must("playbooks/backup.yml", next=BAD)
        found.must("playbooks/record_release.yml")
        releases = Path(found.facts["app_dir"]) / "releases"
        shutil.copytree(releases / GOOD, releases / BAD, ignore=shutil.ignore_patterns("__pycache__"))
        init, api = (releases / BAD / "hunter" / name for name in ("__init__.py", "api.py"))
        init.write_text(init.read_text().replace(GOOD, BAD))
        api.write_text(api.read_text().replace('@app.get("/api/v1/leads"', '@app.get("/api/v1/lost-leads"'))
        run(found, BAD)
        yield found
    finally:
        found.lab.destroy()


def run(place, version):
    place.lab.point_to(version)
    place.lab.stop_hunter()
    place.lab.start_hunter()


def roll_back(place, *options, **variables):
    return place.run("rollback.yml", *options, method="app", reason=REASON, **{**QUICK, **variables})


def test_the_check_shows_the_plan_and_changes_nothing(place):
    before = place.fingerprint()
    answer = roll_back(place, "--check")
    assert answer.code == 0, answer.output
    for words in (
        "Now Hunter 1.0.1",
        "Back to Hunter 1.0.0",
        "Data and schema stay as they are.",
        "/api/v1/leads answered 405",
    ):
        assert words in answer, answer.output
    assert place.fingerprint() == before


def test_there_and_back_and_twice(place):
    content = place.content("hunter")
    down = roll_back(place)
    assert down.code == 0, down.output
    report = place.report()
    assert (report["outcome"], place.lab.status()["answers"]) == ("succeeded", GOOD)
    assert report["method"] == "Application Rollback"
    assert {check["ok"] for check in report["checks"]} == {True}
    there = place.fingerprint()
    again = roll_back(place)
    assert again.code == 0, again.output
    assert "Every host runs that version already, so there is nothing to do." in again
    assert place.fingerprint() == there
    place.must("undo.yml", run=report["run"], **QUICK)
    assert place.lab.status()["answers"] == BAD
    assert place.content("hunter") == content
    assert not (place.environment_dir / "lock").exists()


def test_a_version_that_is_not_well_is_put_back(place):
    api = Path(place.facts["app_dir"]) / "releases" / GOOD / "hunter" / "api.py"
    good = api.read_text()
    api.write_text(good.replace('@app.get("/api/v1/leads"', '@app.get("/api/v1/no-leads"'))
    try:
        answer = roll_back(place, verify_within_s=20)
    finally:
        api.write_text(good)
    assert answer.code != 0
    report = place.report()
    assert (report["outcome"], place.lab.status()["answers"]) == ("put_back", BAD), answer.output
    assert (
        "Hunter 1.0.1 runs as before on every host. Cause: hunter-1 is not started: it does not answer well" in answer
    )
    assert "/api/v1/leads answered 405" in answer


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"release": "9.9.9"}, "There is no release point 9.9.9. Known versions: 1.0.0."),
        pytest.param({"version": "9.9.9"}, "Version 9.9.9 is not among the releases.", marks=pytest.mark.nightly),
        ({"app_rollback_path": "/nowhere"}, "/nowhere/current is no link to a release. Check app_rollback_path."),
        pytest.param({"rollback_protected": True}, "Environment local is protected", marks=pytest.mark.nightly),
    ],
)
def test_bad_input_changes_nothing(place, given, said):
    before = place.fingerprint()
    answer = roll_back(place, **given)
    assert answer.code != 0
    assert said in answer, answer.output
    assert place.fingerprint() == before


def test_a_release_that_is_gone_from_the_host_is_refused(place):
    release = Path(place.facts["app_dir"]) / "releases" / GOOD
    away = release.with_name("away")
    release.rename(away)
    try:
        before = place.fingerprint()
        answer = roll_back(place)
        assert "hunter-1: Version 1.0.0 is not among the releases. Deploy it there without activating it." in answer
        assert answer.code != 0
        assert place.fingerprint() == before
    finally:
        away.rename(release)


def test_a_schema_that_is_no_mere_addition_is_refused(bad_day):
    before = bad_day.fingerprint()
    answer = roll_back(bad_day, rollback_wants_own_head=False)
    assert answer.code != 0
    assert "Hunter 1.0.0 cannot be trusted on this schema, since revision 4ac9d7180e3b is no mere addition" in answer, (
        answer.output
    )
    assert "-e method=migration" in answer
    assert bad_day.fingerprint() == before


def test_a_version_that_wants_its_own_schema_is_refused_on_another(bad_day):
    before = bad_day.fingerprint()
    answer = roll_back(bad_day)
    assert answer.code != 0
    assert "Hunter 1.0.0 serves only on revision d6a0985c3e1f (rollback_wants_own_head)" in answer, answer.output
    assert bad_day.fingerprint() == before
