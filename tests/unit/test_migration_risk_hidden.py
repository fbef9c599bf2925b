"""Bodies that hide what they do: behind a loop, a call that somebody else makes, or another way to the database.

Each drops an index too. Read wrongly, it would be called safe, and carried out without keeping anything aside.
"""

import pytest
from migration_bodies import judged, losses, words

FOUND = {
    "as often as a condition holds": (
        "n = 0\nwhile n < 3:\n    op.drop_table(f't{n}')\n    n += 1",
        ("t0", "t1", "t2"),
    ),
    "until it breaks": (
        "n = 0\nwhile True:\n    op.drop_table(f't{n}')\n    n += 1\n    if n > 1:\n        break",
        ("t0", "t1"),
    ),
    "a loop within that may be left": (
        "n = 0\nwhile n < 2:\n    for row in op.get_bind().execute('SELECT 1'):\n        if row:\n            break\n"
        "    op.drop_table(f't{n}')\n    n += 1",
        ("t0", "t1"),
    ),
    "map": ("list(map(op.drop_table, ['t', 'u']))", ("t", "u")),
    "map of a lambda": ("list(map(lambda name: op.drop_table(name), ['t']))", ("t",)),
    "filter": ("list(filter(op.drop_table, ['t']))", ("t",)),
    "a function that calls itself": (
        "def last(n):\n    last(n - 1) if n else op.drop_table('t')\nlast(5)",
        ("t",),
    ),
    "entering": (
        "class Gone:\n    def __enter__(self):\n        op.drop_table('t')\n"
        "    def __exit__(self, *why):\n        op.drop_table('u')\nwith Gone():\n    pass",
        ("t", "u"),
    ),
    "a connection of its own": ("import psycopg\npsycopg.connect('').cursor().execute('DROP TABLE t')", ("t",)),
}
HIDDEN = {
    "until the database says so": "n = 0\nwhile op.get_bind().scalar('SELECT 1'):\n    op.drop_table(f't{n}')\n    n += 1",
    "until the database breaks it": (
        "n = 0\nwhile True:\n    op.drop_table(f't{n}')\n    n += 1\n    if op.get_bind().scalar('SELECT 1'):\n        break"
    ),
    "rows of the database": "n = 0\nfor row in op.get_bind().execute('SELECT 1'):\n    op.drop_table(f't{n}')\n    n += 1",
    "without an end": "while True:\n    pass",
    "a part of a function": "import functools\nfunctools.partial(op.drop_table, 't')()",
    "an operation handed on": "import itertools\nlist(itertools.starmap(op.drop_column, [('t', 'c')]))",
    "an operation as a key": "sorted(['t'], key=op.drop_table)",
    "a function handed on": "import functools\nfunctools.reduce(lambda _, name: op.drop_table(name), ['t'], None)",
    "a thread": "import threading\nthreading.Thread(target=op.drop_table, args=('t',)).start()",
    "exec": "exec('op.drop_table(\"t\")')",
    "eval": "eval('op').drop_table('t')",
    "import by name": "__import__('alembic').op.drop_table('t')",
    "globals": "globals()['op'].drop_table('t')",
    "below the operations": "op.get_context().impl.drop_table(sa.table('t'))",
    "another program": "import subprocess\nsubprocess.run(['psql', '-c', 'DROP TABLE t'])",
    "a shell": "import os\nos.system('psql -c \"DROP TABLE t\"')",
    "another downgrade": "from alembic import command\ncommand.downgrade(None, 'base')",
    "another package": "from elsewhere import cleanup\ncleanup()",
}
HARMLESS = {
    "logging": "import logging\nlogging.getLogger('x').info('gone')\nlogging.warning('gone')",
    "time": "import time\ntime.sleep(1)",
    "another package's value": "from elsewhere import setting\nlimit = setting('x')",
    "keys": "names = sorted(['b', 'a'], key=lambda name: name)",
    "reading in pieces": (
        "last = None\nt = sa.table('t', sa.column('id'))\nwhile True:\n    found = sa.select(t.c.id)\n"
        "    if last is not None:\n        found = found.where(t.c.id > last)\n"
        "    rows = op.get_bind().execute(found).all()\n    if not rows:\n        break\n    last = rows[-1].id"
    ),
}


def with_an_index(down):
    return judged(f'op.drop_index("ix")\n{down}')


@pytest.mark.parametrize(("down", "tables"), FOUND.values(), ids=FOUND)
def test_what_is_dropped_is_found(down, tables):
    step = with_an_index(down)
    assert (step.risk, losses(step)) == ("lossy", words(*(f"table {name}" for name in tables)))


@pytest.mark.parametrize("down", HIDDEN.values(), ids=HIDDEN)
def test_what_cannot_be_followed_is_not_called_safe(down):
    assert with_an_index(down).risk == "unknown"


@pytest.mark.parametrize("down", HARMLESS.values(), ids=HARMLESS)
def test_what_reaches_no_database_is_no_risk(down):
    assert with_an_index(down).risk == "safe"


def test_a_batch_that_is_deleted_over_and_over_is_told_once():
    step = with_an_index(
        "while True:\n    done = op.get_bind().execute('DELETE FROM t WHERE id IN (SELECT id FROM t LIMIT 10)')\n"
        "    if not done.rowcount:\n        break"
    )
    assert [done.reason for done in step.operations if done.losses] == ["Deletes rows of t where a condition holds."]
