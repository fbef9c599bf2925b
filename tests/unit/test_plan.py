import dataclasses
import json

import pytest
from made_up import BACKUP, RUN, application, census, live, point, request, restore_plan, table

from ansible.module_utils.rollback import plan
from ansible.module_utils.rollback.errors import RollbackError

UNDO = "20261122T041500Z-undo"
LACK = "The dump names roles that the server lacks: x. Create them."
LACKS = "Version 1.0.0 is not among the releases. Deploy it there without activating it."
OBSTACLE = "Prepared transactions hold the database: x. COMMIT PREPARED them first."


def undo_plan(earlier=None, aside=None, now=None, app=None, marker="production", notes=(), **asked):
    return plan.for_undo(
        request(run=UNDO, method="undo", **asked),
        earlier or restore_plan(),
        {
            "census": (now or census(database_oid=17000)).as_dict(),
            "where": "db1:5432",
            "obstacles": [],
            "notes": list(notes),
            "marker": marker,
        },
        (aside or live(database=f"hunter__before_{RUN[:16]}")).as_dict(),
        app or application(versions={"app1": "1.0.0", "app2": "1.0.0"}),
        {},
    )


def test_a_plan_that_may_be_carried_out_refuses_nothing():
    assert restore_plan()["refusals"] == []
    assert undo_plan()["refusals"] == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"the_request": request(protected=True)},
            "Environment production is protected, and the confirmation is missing. To go on, add -e confirm=production.",
        ),
        ({"the_request": request(protected=True, confirm="staging")}, "the confirmation is 'staging'"),
        ({"the_request": request(protected=True, confirm="Production")}, "the confirmation is 'Production'"),
        ({"the_point": point(alembic_heads=["zzz"])}, "expects revision zzz, and the backup is at aaa"),
        ({"the_point": point(alembic_heads=[])}, "expects revision none, and the backup is at aaa"),
        ({"then": census(alembic_heads=None)}, "expects revision aaa, and the backup is at none"),
        ({"the_point": point(system_identifier="8")}, r"recorded on another server (system identifier 8, here 7)"),
        ({"app": application(problems={"app1": [], "app2": [LACKS]})}, f"app2: {LACKS}"),
        ({"app": application(problems={"app1": [LACKS], "app2": [LACKS]})}, f"app1, app2: {LACKS}"),
        ({"obstacles": [OBSTACLE]}, OBSTACLE),
        ({"lacks": [LACK]}, LACK),
        (
            {"the_request": request(strategy="in_place"), "free": 2**20},
            "has 1.0 MiB free, and the safety dump may need",
        ),
        (
            {"marker": "staging"},
            "carries the marker of environment staging, and this run is for production. Check the inventory",
        ),
    ],
)
def test_what_forbids_a_restore_is_one_sentence(changes, said):
    (refusal,) = restore_plan(**changes)["refusals"]
    assert said in refusal


def test_the_right_confirmation_opens_a_protected_environment():
    assert restore_plan(request(protected=True, confirm="production"))["refusals"] == []


def test_what_is_good_to_know_of_the_database_warns_and_forbids_nothing():
    note = "Standbys replay the restore (reader): reads there lag until they have."
    for known in (restore_plan(notes=[note]), undo_plan(notes=[note])):
        assert note in known["warnings"]
        assert known["refusals"] == []


def test_everything_that_forbids_it_is_said_at_once():
    refusals = restore_plan(
        request(protected=True),
        point(alembic_heads=["zzz"], system_identifier="8"),
        app=application(problems={"app1": [LACKS]}),
        obstacles=[OBSTACLE],
    )["refusals"]
    assert len(refusals) == 5


def test_heads_in_another_order_are_the_same_and_an_unknown_server_is_no_other():
    assert (
        restore_plan(
            the_point=point(alembic_heads=["b", "a"], system_identifier=""), then=census(alembic_heads=["a", "b"])
        )["refusals"]
        == []
    )


def test_a_name_that_postgresql_would_cut_is_refused():
    with pytest.raises(RollbackError, match="PostgreSQL allows 63"):
        restore_plan(now=live(database="h" * 60))


def test_the_text_has_every_fact():
    shown = plan.text(restore_plan())
    for fact in [
        f"Plan of run {RUN}",
        "production: database hunter on db1:5432, PostgreSQL 18.4, 38.1 MiB",
        "leads are gone",
        "/healthz answered 500",
        "Hunter 1.1.0, schema bbb, 5 rows",
        "Hunter 1.0.0, schema aaa, 2 rows",
        "1.0.0-20261122T030000Z, recorded 2026-11-22T03:00:00.000Z by ci, verified",
        f"{BACKUP}, plain, 6.3 MiB",
        "hunter__restore_20261122T031500Z",
        "hunter__before_20261122T031500Z",
        "app1, app2",
        "Target: 15 min 00 s.",
        f"Way back: ansible-playbook -i inventories/production undo.yml -e run={RUN}",
    ]:
        assert fact in shown, fact
    (row,) = [line for line in shown.splitlines() if line.startswith("  public.leads")]
    assert row.split() == ["public.leads", "5", "2", "4", "0", "1"]
    assert [line.rstrip() for line in shown.splitlines()] == shown.splitlines()


SNAPSHOT = {"snapshot": "hunter__snapshot_20261122T030100Z", "oid": 17411, "system_identifier": "7"}


@pytest.mark.parametrize("strategy", ["beside", "in_place"])
def test_a_snapshot_becomes_the_live_database_whatever_the_usual_strategy(strategy):
    """Nothing is loaded, so it needs no time for that, and no room."""
    made = restore_plan(request(strategy=strategy), snapshot=SNAPSHOT, free=0)
    assert [step["id"] for step in made["steps"]] == ["settings", "compare", "stop", "swap", "start", "verify"]
    assert (made["strategy"], made["database"]["incoming"]) == ("beside", SNAPSHOT["snapshot"])
    assert made["incoming_oid"] == SNAPSHOT["oid"]
    assert made["refusals"] == []
    assert made["expected_s"] < restore_plan(request(strategy=strategy))["expected_s"]
    assert f"{BACKUP}, kept as {SNAPSHOT['snapshot']}, which becomes the live database" in plan.text(made)


def test_what_is_made_in_the_run_has_no_oid_yet():
    assert "incoming_oid" not in restore_plan()


def test_the_text_marks_where_service_ends_and_where_only_the_way_back_leads_back():
    lines = plan.text(restore_plan()).splitlines()
    marks = {
        name: next(n for n, line in enumerate(lines) if name in line)
        for name in (
            "nobody notices",
            " 1.  Create",
            " 6.  Stop",
            "without service from here",
            "from here only the way back",
            " 7.  Swap",
            " 9.  Verify",
        )
    }
    assert sorted(marks, key=marks.get) == [
        "nobody notices",
        " 1.  Create",
        "without service from here",
        " 6.  Stop",
        "from here only the way back",
        " 7.  Swap",
        " 9.  Verify",
    ]


def test_what_was_measured_is_no_estimate():
    steps = {step["id"]: step for step in restore_plan(measured={"load": 3.2, "swap": 0.04})["steps"]}
    assert (steps["load"]["expected_s"], steps["load"]["estimated"]) == (3.2, False)
    assert (steps["create"]["estimated"], steps["start"]["estimated"]) == (True, True)
    found = restore_plan(measured={"stop": 2, "swap": 0.5, "start": 4})
    assert found["outage_s"] == 6.5
    assert found["expected_s"] == round(sum(step["expected_s"] for step in found["steps"]), 1)


def test_what_is_doubtful_is_a_warning():
    found = restore_plan(the_point=point(verified=False), then=census(server_version="15.18"))
    assert len(found["warnings"]) == 2
    shown = plan.text(found)
    assert "was never verified" in shown
    assert "comes from PostgreSQL 15.18, the server is 18.4" in shown
    assert "not verified" in shown


def test_a_database_without_marker_is_a_warning_only_where_a_release_point_was_recorded():
    said = "carries no marker of its environment"
    assert [said in warning for warning in restore_plan(marker="")["warnings"]] == [True]
    assert [said in warning for warning in undo_plan(marker="")["warnings"]] == [True]
    by_hand = point(environment="")  # made of a backup's manifest
    assert restore_plan(marker="", the_point=by_hand)["warnings"] == []
    assert restore_plan()["warnings"] == undo_plan()["warnings"] == []


def test_beside_the_live_database_no_room_for_a_safety_dump_is_needed():
    assert restore_plan(free=0)["refusals"] == []


def test_what_could_not_be_looked_at_is_a_warning():
    unseen = "Room on the server cannot be seen from here: 3.1 GiB are needed."
    found = restore_plan(unseen=[unseen])
    assert (found["warnings"], found["refusals"]) == ([unseen], [])
    assert f"Warning: {unseen}" in plan.text(found)


def test_nothing_lost_is_said_and_nothing_known_is_not_said_to_be_nothing_lost():
    same = census(tables={})
    assert "no table was written to" in plan.text(restore_plan(now=same, then=same, the_point=point()))
    unknown = plan.text(restore_plan(now=census(stats_reset="later"), then=census()))
    assert "no table was written to" not in unknown


def test_a_plan_is_plain_data_that_survives_the_journal():
    for found in (restore_plan(), undo_plan()):
        assert json.loads(json.dumps(found)) == found
        assert {field.name for field in dataclasses.fields(plan.Step)} == set(found["steps"][0])


def test_each_host_goes_to_the_release_points_version():
    found = restore_plan(
        app=application(
            versions={"app1": "1.1.0", "app2": "1.2.0"},
            artifacts={"app1": {"api": "hunter@sha256:b"}},
            target={"app1": {"api": "hunter@sha256:a"}},
        )
    )
    assert found["application"] == {
        "name": "Hunter",
        "from": {"app1": "1.1.0", "app2": "1.2.0"},
        "to": {"app1": "1.0.0", "app2": "1.0.0"},
        "artifacts_from": {"app1": {"api": "hunter@sha256:b"}, "app2": {}},
        "artifacts_to": {"app1": {"api": "hunter@sha256:a"}, "app2": {}},
    }


def test_an_undo_brings_back_what_was_set_aside_with_its_version():
    found = undo_plan()
    assert [step["id"] for step in found["steps"]] == ["stop", "swap", "start", "verify"]
    assert found["database"]["incoming"] == "hunter__before_20261122T031500Z"
    assert found["database"]["aside"] == "hunter__before_20261122T041500Z"
    assert (found["incoming_oid"], found["undoes"]) == (16384, RUN)
    assert found["application"]["to"] == {"app1": "1.1.0", "app2": "1.1.0"}
    assert found["verify"] == {"heads": ["bbb"], "manifest_of": "", "endpoints": False}
    shown = plan.text(found)
    assert f"run {RUN}" in shown
    assert f"undo.yml -e run={UNDO}" in shown


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"aside": live(database_oid=999)}, f"is not the one that run {RUN} set aside (OID 999, not 16384)"),
        ({"protected": True}, "protected"),
        ({"marker": "staging"}, "carries the marker of environment staging"),
        ({"app": application(problems={"app1": [LACKS]})}, f"app1: {LACKS}"),
    ],
)
def test_what_forbids_an_undo(changes, said):
    (refusal,) = undo_plan(**changes)["refusals"]
    assert said in refusal


def test_a_backup_that_was_judged_from_its_content_needs_somebodys_word():
    planned = restore_plan(judged=True)
    assert planned["refusals"] == [
        f"The backup {BACKUP} has no manifest and was judged from its content, which does not say whether rows are missing,"
        " whether values are what they were, and of which environment it is."
        " Where you know that it is the right one, add -e accept_unproven=true."
    ]
    accepted = restore_plan(request(accept_unproven=True), judged=True)
    assert accepted["refusals"] == []
    assert any("has no manifest and was judged from its content" in warning for warning in accepted["warnings"])
    assert "unverified: read whole just now, and judged from its content" in plan.text(accepted)
    assert accepted["backup"]["manifest"]["census"]["database"] == "hunter"
    assert "manifest" not in restore_plan()["backup"]


def test_a_backup_that_says_itself_that_it_is_of_another_database_is_not_taken_on_anybodys_word():
    (refusal,) = restore_plan(request(accept_unproven=True), then=census(database="billing"), judged=True)["refusals"]
    assert refusal == f"The backup {BACKUP} is of database billing, not hunter. Choose another backup."
    assert restore_plan(request(accept_unproven=True), then=census(database=""), judged=True)["refusals"] == []


def test_hosts_on_different_versions_are_named():
    shown = plan.text(restore_plan(app=application(versions={"app1": "1.0.0", "app2": "1.1.0"})))
    assert "Hunter 1.0.0 on app1; 1.1.0 on app2, schema" in shown


def test_evidence_of_many_hosts_fits_onto_a_screen():
    evidence = [f"app{number} answered 500" for number in range(100)]
    shown = plan.text(restore_plan(app=application(evidence=evidence)))
    assert "app9 answered 500" in shown
    assert "app10 answered 500" not in shown
    assert "and 90 more, which the report has" in shown


OFFSITE = {"source": "offsite", "where": "sftp backup.internal:/backups", "manifest_sha256": "0" * 64}


def test_a_backup_that_is_elsewhere_is_fetched_and_proven_before_anything_stops():
    made = restore_plan(elsewhere=OFFSITE)
    first, second, *others = made["steps"]
    assert [first["id"], second["id"], first["effect"], second["effect"]] == ["fetch", "prove", "none", "none"]
    assert [step["id"] for step in others] == [step["id"] for step in restore_plan()["steps"]]
    assert first["title"] == f"Fetch {BACKUP} from sftp backup.internal:/backups"
    shown = plan.text(made)
    assert "in sftp backup.internal:/backups; its manifest was read, and it is proven as soon as it is here" in shown
    assert "read whole and proven just now" not in shown


def test_how_long_a_fetch_takes_is_what_the_last_one_took_or_what_its_limit_allows():
    by_limit = restore_plan(elsewhere=OFFSITE, limit=100_000)["steps"][0]
    assert (by_limit["expected_s"], by_limit["estimated"]) == (67.1, True)
    measured = restore_plan(elsewhere=OFFSITE, limit=100_000, measured={"fetch": 12.5})["steps"][0]
    assert (measured["expected_s"], measured["estimated"]) == (12.5, False)


def test_in_place_the_room_is_for_the_safety_dump_and_for_what_is_fetched():
    enough = 200_000_000
    here = restore_plan(request(strategy="in_place"), free=enough)
    there = restore_plan(request(strategy="in_place"), free=enough, elsewhere={**OFFSITE, "bytes": enough})
    assert not any("the safety dump may need" in refusal for refusal in here["refusals"])
    assert any("the safety dump may need" in refusal for refusal in there["refusals"])


def test_a_source_that_could_not_be_asked_is_a_warning():
    assert (
        "Source away could not be asked: nobody is there."
        in restore_plan(unreachable={"away": "nobody is there."})["warnings"]
    )


LACK_OF_ROWS = "The dump creates public.orders and holds no rows of it (--exclude-table-data)."


def test_what_a_judged_backup_lacks_is_named_before_and_after_it_is_accepted():
    (refusal,) = restore_plan(judged=True, missing=[LACK_OF_ROWS])["refusals"]
    assert (
        f"of which environment it is. {LACK_OF_ROWS} Where you want it without that, add -e accept_unproven=true."
        in refusal
    )
    accepted = restore_plan(request(accept_unproven=True), judged=True, missing=[LACK_OF_ROWS])
    assert (accepted["refusals"], LACK_OF_ROWS in accepted["warnings"]) == ([], True)
    assert f"Warning: {LACK_OF_ROWS}" in plan.text(accepted)


def test_a_database_of_which_rows_are_hidden_is_not_restored_over_and_its_rows_are_no_number():
    hidden = live(tables={"public.leads": table(rows=0, hidden=True), "public.notes": table(rows=1)})
    planned = restore_plan(now=hidden)
    (refusal,) = planned["refusals"]
    assert refusal.startswith("Row-level security hides rows of public.leads from the operator's role")
    assert "BYPASSRLS" in refusal
    assert "at least 1 row, and not countable (row-level security): public.leads" in plan.text(planned)
    (entry,) = [entry for entry in planned["forecast"] if entry["table"] == "public.leads"]
    assert entry["now"] is None
