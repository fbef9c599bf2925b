import pytest
from made_up import application, live, point, request

from ansible.module_utils.rollback import app_plan, plan

MIGRATES = "Container migrate of Deployment hunter/api runs alembic upgrade when it starts."
NOTE = "Deployment hunter/api gets revision 3."


def planned(heads=("bbb",), **app):
    database = {"census": live(alembic_heads=list(heads)).as_dict(), "where": "db1", "marker": "production"}
    step = {"revision": "bbb", "demands": []}
    return app_plan.for_app(
        request(method="app"), point().as_dict(), {"path": [step]}, False, database, application(**app), {}
    )


def test_a_version_that_migrates_when_it_starts_needs_its_own_schema():
    (refusal,) = planned(migrates={"app1": [MIGRATES], "app2": []})["refusals"]
    assert (
        refusal
        == f"Hunter 1.0.0 knows revisions up to aaa, and the database is at bbb. {MIGRATES} {app_plan._ELSE_MIGRATION}"
    )
    assert planned(migrates={"app1": [], "app2": []})["refusals"] == []


def test_on_its_own_schema_it_may_migrate():
    assert planned(heads=("aaa",), migrates={"app1": [MIGRATES], "app2": []})["refusals"] == []


@pytest.mark.parametrize(("hosts", "said"), [(["app1"], "app1"), (["app1", "app2"], "app1, app2")])
def test_what_to_know_of_the_application_is_shown_once_and_forbids_nothing(hosts, said):
    found = planned(notes={host: [NOTE] for host in hosts})
    assert (found["notes"], found["refusals"]) == ([f"{said}: {NOTE}"], [])
    assert f"Note: {said}: {NOTE}" in plan.text(found)
