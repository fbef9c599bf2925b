from ansible.module_utils.rollback.migrations import trial
from ansible.module_utils.rollback.migrations.operations import COLUMN, ROWS, TABLE, VALUES, Loss


def gone(kind, table, *columns):
    return {"kind": kind, "schema": "public", "table": table, "columns": list(columns), "count": 3}


# What had vanished since the beginning, after each of two revisions.
TRIED = [
    {"revision": "ccc", "seconds": 0.4, "vanished": [gone(COLUMN, "leads", "phone")]},
    {"revision": "bbb", "seconds": 0.2, "vanished": [gone(COLUMN, "leads", "phone"), gone(TABLE, "calls")]},
]


def test_a_loss_belongs_to_the_first_revision_that_showed_it():
    assert [(loss.kind, loss.table, loss.revision) for loss in trial.losses(TRIED)] == [
        (COLUMN, "leads", "ccc"),
        (TABLE, "calls", "bbb"),
    ]


def test_what_the_scripts_name_was_foreseen():
    read = [Loss(TABLE, "", "calls"), Loss(COLUMN, "public", "leads", ("phone",))]
    assert trial.unforeseen(read, TRIED) == []
    assert [loss.table for loss in trial.unforeseen(read[1:], TRIED)] == ["calls"]
    assert trial.unforeseen([Loss(TABLE, "other", "calls"), *read[1:]], TRIED) == [
        Loss(TABLE, "public", "calls", (), "bbb")
    ]


def test_a_smaller_loss_does_not_cover_a_greater_one():
    tried = [{"revision": "ccc", "vanished": [gone(VALUES, "leads", "phone"), gone(ROWS, "leads")]}]
    assert trial.unforeseen([Loss(ROWS, "", "leads")], tried) == []
    assert [loss.kind for loss in trial.unforeseen([Loss(COLUMN, "", "leads", ("phone",))], tried)] == [ROWS]
    assert [loss.kind for loss in trial.unforeseen([Loss(VALUES, "", "leads", ("mail",))], tried)] == [VALUES, ROWS]
