import pytest
from made_up import application, census, point, request

from ansible.module_utils.rollback import migration_plan, plan
from ansible.module_utils.rollback.errors import RollbackError

RUN = "20261122T031500Z-migration"
LACKS = "Version 1.0.0 is not among the releases. Deploy it there without activating it."
SALVAGE = "rollback_salvage_20261122t031500z"


def operation(risk="safe", reason="drops index ix", **changes):
    known = {"kind": "drop_index", "risk": risk, "reason": reason, "path": "versions/a.py", "line": 7, "table": "leads"}
    rest = {
        "lock": "ACCESS EXCLUSIVE",
        "rewrites": False,
        "scans": False,
        "transactional": True,
        "sql": "",
        "losses": [],
    }
    return {**known, **rest, **changes}


def step(revision, heads, *operations):
    worst = operations[-1]["risk"] if operations else "safe"
    return {
        "revision": revision,
        "title": f"title of {revision}",
        "path": "versions/a.py",
        "heads": heads,
        "argument": heads[0] if heads else "base",
        "risk": worst,
        "operations": list(operations),
        "names": {"tables": [], "columns": [], "rows": []},
        "fills": [],
    }


def loss(**changes):
    known = {
        "kind": "column",
        "schema": "public",
        "table": "leads",
        "columns": ["phone"],
        "revision": "ccc",
        "count": 40,
    }
    return {**known, "exact": True, "savable": True, "reason": "", "dependents": [], **changes}


STEPS = [step("ccc", ["bbb"], operation("lossy", "drops column phone")), step("bbb", ["aaa"], operation())]


SESSION = {
    "schemas": ["public"],
    "translate": {},
    "search_path": "public",
    "role": "hunter",
    "version_table": "alembic_version",
}


def planned(
    steps=STEPS,
    losses=(),
    the_point=None,
    obstacles=(),
    app=None,
    disagreements=(),
    history=None,
    unresolved=(),
    **asked,
):
    return migration_plan.for_migration(
        request(run=RUN, method="migration", **asked),
        (the_point or point()).as_dict(),
        {
            "path": steps,
            "sql": "DROP TABLE x;",
            "disagreements": list(disagreements),
            "sessions": [SESSION],
            **(history or {}),
        },
        {"losses": list(losses), "unresolved": list(unresolved)},
        {
            "census": census(alembic_heads=["ccc"]).as_dict(),
            "where": "db1:5432",
            "obstacles": list(obstacles),
            "marker": "production",
        },
        app or application(),
        {},
    )


def test_each_revision_is_a_step_between_stop_and_start():
    ids = [entry["id"] for entry in planned(losses=[loss()])["steps"]]
    assert ids == ["stop", "salvage", "down ccc", "down bbb", "start", "verify"]
    assert [entry["id"] for entry in planned()["steps"]] == ["stop", "down ccc", "down bbb", "start", "verify"]


def test_what_is_lost_has_a_second_home_only_where_something_is_lost():
    assert planned(losses=[loss()])["migration"]["salvage"] == SALVAGE
    assert planned()["migration"]["salvage"] == ""


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"steps": [step("ccc", ["aaa"], operation("irreversible", "its downgrade is empty"))]},
            "Revision ccc cannot be taken back: its downgrade is empty (versions/a.py:7).",
        ),
        (
            {"steps": [step("ccc", ["aaa"], operation("unknown", "reads rows in a loop"))]},
            "What taking back ccc loses cannot be read from it: reads rows in a loop (versions/a.py:7). Accept that with",
        ),
        (
            {"losses": [loss(savable=False, reason="public.leads has no key.")]},
            "public.leads: phone cannot be kept aside: public.leads has no key. Accept that with -e accept_data_loss=true",
        ),
        ({"the_point": point(alembic_heads=["zzz"])}, "expects revision zzz, and the path ends at aaa"),
        ({"protected": True}, "Environment production is protected"),
        ({"obstacles": ["This is a read replica."]}, "This is a read replica."),
        ({"app": application(problems={"app1": [LACKS], "app2": [LACKS]})}, f"app1, app2: {LACKS}"),
    ],
)
def test_what_forbids_a_downgrade_is_one_sentence(changes, said):
    (refusal,) = planned(**changes)["refusals"]
    assert said in refusal


def test_a_loss_may_be_accepted_and_a_lie_may_not():
    unknown = [step("ccc", ["aaa"], operation("unknown"))]
    assert planned(unknown, [loss(savable=False, reason="no key.")], accept_data_loss=True)["refusals"] == []
    assert planned([step("ccc", ["aaa"], operation("irreversible"))], accept_data_loss=True)["refusals"]


UNREADABLE = [step("ccc", ["aaa"], operation("unknown", "Runs what cannot be read."))]


def tried(failed="", back="", revisions=("ccc",)):
    steps = [{"revision": revision, "seconds": 0.7, "vanished": []} for revision in revisions]
    return {"trial": {"steps": steps, "failed": failed, "back": back}, "unforeseen": []}


def test_what_a_trial_has_seen_need_not_be_accepted():
    assert "cannot be read from it" in planned(UNREADABLE)["refusals"][0]
    found = planned(UNREADABLE, history=tried())
    assert (found["refusals"], found["unfit"]) == ([], [])
    assert [entry["expected_s"] for entry in found["steps"] if entry["id"] == "down ccc"] == [0.7]
    assert "1 revision down, tried on a copy" in plan.text(found)


def test_what_a_trial_could_not_look_into_is_not_known():
    history = tried()
    history["trial"]["hidden"] = ["public.leads"]
    found = planned(UNREADABLE, history=history)
    assert "cannot be read from it" in found["refusals"][0]
    assert any("Row-level security hides rows of public.leads" in warning for warning in found["warnings"])
    assert found["migration"]["tried"] == ["ccc"]


def test_what_a_trial_has_shown_forbids_the_downgrade():
    failed = "Tried on a copy of the database, revision bbb could not be taken back: a view depends on it."
    assert planned(history=tried(failed))["unfit"] == [failed]
    assert planned(history=tried(failed), accept_data_loss=True)["unfit"] == [failed]
    (no_way_back,) = planned(history=tried(back="type mood already exists"))["refusals"]
    assert "so undo.yml would not lead back: tried on a copy of the database: type mood already exists." in no_way_back
    assert planned(history=tried(back="type mood already exists"), accept_data_loss=True)["refusals"] == []


def test_what_a_script_hides_and_a_trial_shows_is_a_warning():
    seen = loss(kind="rows", columns=[], table="calls")
    (warning,) = planned(losses=[seen], history={**tried(), "unforeseen": [seen]})["warnings"]
    assert warning == "Tried on a copy, taking back ccc took away what its script does not show: Rows of public.calls."


def test_what_is_good_to_know_forbids_nothing():
    concurrent = [step("ccc", ["aaa"], operation(transactional=False))]
    found = planned(concurrent, [loss(dependents=["view public.pipeline"])], disagreements=["the SQL drops y."])
    assert found["refusals"] == []
    for words in ("Parts of ccc run outside of a transaction", "is used by view public.pipeline", "the SQL drops y."):
        assert any(words in warning for warning in found["warnings"]), words


def test_the_text_shows_loss_steps_locks_and_sql():
    shown = plan.text(planned(losses=[loss(), loss(kind="table", table="calls", columns=[], count=1200, exact=False)]))
    for words in (
        "public.leads: phone",
        "40 values",
        "~1,200 rows",
        "Take back ccc, title of ccc: lossy",
        "- drops column phone",
        "locks leads (ACCESS EXCLUSIVE)",
        "DROP TABLE x;",
        f"2 revisions down, kept in schema {SALVAGE}",
    ):
        assert words in shown, shown


def test_the_undo_goes_up_the_same_way_from_wherever_the_database_is():
    earlier = planned(losses=[loss()])

    def undo(*heads, since=()):
        database = {
            "census": census(alembic_heads=list(heads)).as_dict(),
            "where": "db1:5432",
            "obstacles": [],
            "marker": "production",
            "sessions": [SESSION],
        }
        asked = request(run="20261122T041500Z-undo", method="undo")
        return migration_plan.for_undo(asked, earlier, database, since, application(versions={"app1": "1.0.0"}), {})

    assert [entry["id"] for entry in undo("aaa")["steps"]] == [
        "stop",
        "up bbb",
        "up ccc",
        "bring_back",
        "start",
        "verify",
    ]
    assert [entry["heads"] for entry in undo("aaa")["migration"]["steps"]] == [["bbb"], ["ccc"]]
    assert [entry["id"] for entry in undo("bbb")["steps"]] == ["stop", "up ccc", "bring_back", "start", "verify"]
    with pytest.raises(RollbackError, match="at revision zzz, which is not on the way of this run"):
        undo("zzz")
    stays, dropped = undo(
        "aaa",
        since=[
            {"schema": "public", "table": "leads", "rows": 3, "dropped": False},
            {"schema": "public", "table": "notes", "rows": 1, "dropped": True},
        ],
    )["warnings"]
    assert "changed or deleted 3 rows of public.leads since the downgrade: that stays" in stays
    assert (
        "1 row of public.notes since the downgrade, in a table or column that the newer schema does not have" in dropped
    )
    assert SALVAGE in dropped


@pytest.mark.parametrize(
    ("savable", "said"),
    [
        ([True], f"kept in schema {SALVAGE}"),
        ([True, False], f"1 of 2 losses kept in schema {SALVAGE}"),
        ([False], "nothing of what is lost is kept"),
        ([], "nothing has to be kept aside"),
    ],
)
def test_the_plan_promises_to_keep_what_can_be_kept(savable, said):
    found = planned(losses=[loss(savable=one, reason="no key.") for one in savable])
    assert f"revisions down, {said}" in plan.text(found)
    assert bool(found["migration"]["salvage"]) == any(savable)


@pytest.mark.parametrize(
    ("changes", "makes"),
    [
        ({"kind": "create_table"}, True),
        ({"kind": "add_column"}, True),
        ({"kind": "execute", "sql": "create unlogged table x (a int)"}, True),
        ({"kind": "execute", "sql": "ALTER TABLE x ADD y int"}, True),
        ({"kind": "execute", "sql": "SELECT *\nINTO x FROM y"}, True),
        ({"kind": "execute", "sql": "ALTER TABLE x ADD CONSTRAINT c CHECK (true)"}, False),
        ({"kind": "execute", "sql": "INSERT INTO x VALUES (1)"}, False),
        ({"kind": "drop_index"}, False),
        ({"kind": "drop", "sql": "DROP SEQUENCE IF EXISTS s"}, True),
        ({"kind": "execute", "sql": "alter sequence s restart with 7"}, True),
        ({"kind": "execute", "sql": "SELECT pg_catalog.setval('s', 1)"}, True),
        ({"kind": "alter_column", "sql": "ALTER TABLE x ALTER y DROP IDENTITY"}, True),
        ({"kind": "alter_column", "sql": "ALTER TABLE x ALTER y SET GENERATED ALWAYS RESTART"}, True),
        ({"kind": "alter_column", "sql": "ALTER TABLE x ALTER y SET GENERATED ALWAYS"}, False),
    ],
)
def test_a_downgrade_that_makes_places_for_writes_records_the_schema_before(changes, makes):
    found = planned([step("ccc", ["aaa"], operation(**changes))])
    assert found["migration"]["salvage"] == (SALVAGE if makes else "")
    assert ("salvage" in [entry["id"] for entry in found["steps"]]) == makes
    assert "nothing has to be kept aside" in plan.text(found)


@pytest.mark.parametrize(
    ("now", "left"), [(["ccc"], ["ccc", "bbb"]), (["bbb"], ["bbb"]), (["aaa"], [])], ids=["begin", "middle", "end"]
)
def test_a_run_that_was_cut_off_goes_on_from_where_the_database_is(now, left):
    assert [entry["revision"] for entry in migration_plan.steps_left(STEPS, ["ccc"], [now])] == left


@pytest.mark.parametrize(
    ("now", "unsaid"),
    [(["ccc"], []), (["bbb"], []), (["aaa"], ["bbb"]), (["zzz"], [])],
    ids=["begin", "middle", "end", "elsewhere"],
)
def test_what_was_done_and_could_not_say_so_is_read_from_the_database(now, unsaid):
    recorded = [{"name": "down ccc", "status": "done"}, {"name": "down bbb", "status": "failed"}]
    migration = {"direction": "down", "steps": STEPS}
    assert [entry["revision"] for entry in migration_plan.steps_unsaid(migration, now, recorded)] == unsaid


def test_what_was_not_counted_has_no_number():
    why = "row-level security hides rows from the operator's role"
    hidden = loss(count=None, exact=False, uncounted=why, savable=False, reason="public.leads has no key.")
    (line,) = [line for line in plan.text(planned(losses=[hidden])).splitlines() if "public.leads: phone  " in line]
    assert line.split("phone")[1].strip() == f"not countable ({why})  NO"
