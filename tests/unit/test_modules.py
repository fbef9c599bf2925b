"""The modules' own face: what a play sees, without any database."""

import json
import sys

import backup_catalog
import backup_proof
import database_backup
import database_census
import database_marker
import database_restore
import database_swap
import database_verify
import http_probe
import pytest
import release_ledger
import release_target
import report_files
import rollback_journal
from ansible.module_utils.testing import patch_module_args
from made_up import BACKUP, RUN, backup, point

from ansible.module_utils.rollback import ledger

OPERATOR = "host=127.0.0.1 port=1 user=rollback connect_timeout=2"
PROOF_OF = {"dsn": OPERATOR, "database": "hunter", "path": "/nowhere"}
SWAP = {"live": "a", "incoming": "b", "aside": "c", "live_oid": 1, "incoming_oid": 2}
BACKUP_OF = {"database": "hunter", "backup_dir": "/nowhere", "label": "x", "environment_name": "production"}


@pytest.fixture
def run(capsys):
    def call(used, check_mode=False, **arguments):
        with patch_module_args({**arguments, "_ansible_check_mode": check_mode}), pytest.raises(SystemExit) as ended:
            used.main()
        answer = json.loads(capsys.readouterr().out)
        assert bool(ended.value.code) == answer.get("failed", False)
        return answer

    return call


@pytest.fixture
def places(tmp_path):
    (tmp_path / "backups").mkdir()
    return {
        "state_dir": str(tmp_path / "state"),
        "environment_name": "production",
        "backup_dir": str(tmp_path / "backups"),
        "database": "hunter",
    }


@pytest.mark.parametrize(
    ("used", "arguments", "said"),
    [
        (rollback_journal, {"state": "finished"}, "value of state must be one of"),
        (rollback_journal, {"state": "done"}, "state=done needs the id of a run."),
        (rollback_journal, {"run": "yesterday"}, "'yesterday' is not the id of a run. An id looks like"),
        (rollback_journal, {"environment_name": "../.."}, "cannot be the name of an environment"),
        (http_probe, {"endpoints": []}, "No endpoint is given, so nothing would be proven."),
        (http_probe, {"endpoints": [{"path": "/x"}]}, "url"),
        (release_target, {}, "No backup found"),
        (backup_catalog, {"choose": "x"}, "There is no backup x in"),
        (
            release_ledger,
            {"point": {"version": "1.0.0"}},
            "missing required arguments: database, recorded_by found in point",
        ),
        (
            backup_proof,
            {**PROOF_OF, "server_version": "18.4", "client_bin_dir": "/nowhere"},
            "no client tools of that version",
        ),
        (backup_proof, {**PROOF_OF, "server_version": "eighteen"}, "eighteen"),
        (database_census, {"dsn": OPERATOR, "database": "hunter"}, "No connection to database hunter"),
        (
            database_census,
            {"dsn": f"{OPERATOR} password=hush", "database": "hunter"},
            "holds a password, which would be shown",
        ),
        (
            database_marker,
            {"dsn": OPERATOR, "database": "hunter", "environment_name": "production"},
            "No connection to database postgres",
        ),
        (database_swap, {"dsn": "user=x", **SWAP}, "does not name its host."),
        (database_swap, {"dsn": OPERATOR, **SWAP, "live_oid": "x"}, "live_oid"),
        (database_restore, {"dsn": "", "live": "a", "into": "b", "backup": "c"}, "does not name its host and user."),
        (database_verify, {"dsn": OPERATOR, "database": "hunter"}, "No connection to database hunter"),
        (database_backup, {"dsn": OPERATOR, **BACKUP_OF}, "No connection to database hunter"),
        (
            database_backup,
            {"dsn": OPERATOR, **BACKUP_OF, "format": "tar"},
            "value of format must be one of: plain, custom, directory",
        ),
    ],
)
def test_what_is_wrong_is_one_sentence_and_no_traceback(run, places, used, arguments, said):
    usual = {name: value for name, value in places.items() if name in used.ARGUMENT_SPEC}
    answer = run(used, **{**usual, **arguments})
    assert said in answer["msg"]
    assert "Traceback" not in json.dumps(answer)
    assert "hush" not in answer["msg"]


def test_without_psycopg_the_way_out_is_named(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)  # importing it fails then
    answer = run(database_census, dsn=OPERATOR, database="hunter")
    assert "psycopg" in answer["msg"]
    assert "playbooks/prepare.yml" in answer["msg"]


def test_a_file_that_cannot_be_used_is_named(run, places, tmp_path):
    (tmp_path / "state").write_text("a file where a directory should be")
    answer = run(
        rollback_journal,
        state_dir=places["state_dir"],
        environment_name="production",
        run=RUN,
        state="opened",
        owner={"who": "a", "host": "h", "pid": 1, "boot": "b"},
    )
    assert answer["msg"].startswith(str(tmp_path / "state"))


def test_reading_the_ledger_needs_no_point(run, places):
    answer = run(release_ledger, state_dir=places["state_dir"], environment_name="production")
    assert (answer["changed"], answer["points"], answer["point"]) == (False, [], {})


def test_a_release_is_recorded_once(run, places):
    ours = {
        "state_dir": places["state_dir"],
        "environment_name": "production",
        "point": {"version": "1.0.0", "recorded_by": "ci", "database": "hunter", "verified": True},
    }
    would = run(release_ledger, check_mode=True, **ours)
    assert (would["changed"], would["point"]["version"]) == (True, "1.0.0")
    first, second = run(release_ledger, **ours), run(release_ledger, **ours)
    assert (first["changed"], second["changed"]) == (True, False)
    assert second["point"] == first["point"]
    assert len(second["points"]) == 1


def test_the_target_is_found(run, places, tmp_path):
    backup(tmp_path / "backups")
    ledger.append(tmp_path / "state" / "production", point())
    answer = run(release_target, **places, running_versions=["1.1.0"])
    assert (answer["changed"], answer["backup"]["name"], answer["release_point"]["version"]) == (False, BACKUP, "1.0.0")


def test_old_backups_go_with_their_manifests_and_not_in_check_mode(run, places, tmp_path):
    names = [f"backup_x{number}_2020010{number}_000000.sql" for number in range(1, 5)]
    for number, name in enumerate(names, start=1):
        backup(tmp_path / "backups", name, created_at=f"2020-01-0{number}T00:00:00.000Z")
    ledger.append(tmp_path / "state" / "production", point(backup=names[1]))
    wanted = {**places, "retention": True, "keep": 1}
    assert run(backup_catalog, check_mode=True, **wanted)["removed"] == [names[0], names[2]]
    assert len(list((tmp_path / "backups").iterdir())) == 8
    answer = run(backup_catalog, **wanted)
    assert (answer["changed"], answer["removed"]) == (True, [names[0], names[2]])
    assert sorted(path.name for path in (tmp_path / "backups").iterdir()) == sorted(
        f"{name}{end}" for name in (names[1], names[3]) for end in ("", ".manifest.json")
    )
    again = run(backup_catalog, **wanted)
    assert (again["changed"], again["removed"], len(again["candidates"])) == (False, [], 2)


def test_the_journal_answers_the_same_keys_in_every_state(run, places):
    ours = {"state_dir": places["state_dir"], "environment_name": "production"}
    opened = run(
        rollback_journal,
        **ours,
        run=RUN,
        state="opened",
        owner={"who": "a", "host": "h", "pid": 1, "boot": "b"},
        data={"plan": {}},
    )
    read = run(rollback_journal, **ours)
    would = run(rollback_journal, check_mode=True, **ours, run=RUN, state="closed", data={"outcome": "succeeded"})
    assert set(opened) == set(read) == set(would)
    assert (read["lock"]["run"], would["outcome"], would["changed"]) == (RUN, "unfinished", False)


def test_what_a_restore_would_do_is_said_in_check_mode(run):
    answer = run(
        database_restore, check_mode=True, dsn=OPERATOR, live="hunter", into="hunter__restore", backup="/b/x.dump"
    )
    assert (answer["changed"], answer["actions"]) == (True, ["would restore /b/x.dump into hunter__restore"])


def test_a_password_is_not_in_the_answer(run):
    pool = {"dsn": "host=127.0.0.1 port=1 user=pgbouncer", "password": "hush-pool"}
    answer = run(database_census, dsn=OPERATOR, password="hush-hush", database="hunter", pools=[pool])
    assert "hush" not in json.dumps(answer)
    assert "pgbouncer" in json.dumps(answer)


def test_report_files_are_written_once_and_check_mode_only_says_so(run, tmp_path):
    directory = tmp_path / "reports"
    wanted = {"directory": str(directory), "files": {"a.md": "ğ", "b.json": "{}"}}
    paths = [str(directory / name) for name in ("a.md", "b.json")]

    def written(**given):
        answer = run(report_files, **wanted, **given)
        assert answer["changed"] == bool(answer["written"])
        return answer["written"]

    assert written(check_mode=True) == paths
    assert not directory.exists()
    assert written() == paths
    assert (directory / "a.md").read_text(encoding="utf-8") == "ğ"
    assert written() == []
    (directory / "b.json").write_text("edited")
    assert written() == paths[1:]
