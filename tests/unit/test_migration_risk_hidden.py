"""Bodies that hide what they do: behind a loop, a call that somebody else makes, or another way to the database.

Each drops an index too. Read wrongly, it would be called safe, and carried out without keeping anything aside.
"""

import pytest
from migration_bodies import judged, losses, words

FOUND = {
    "a decorator": ("def at_once(f):\n    f()\n    return f\n@at_once\ndef gone():\n    op.drop_table('t')", ("t",)),
    "a wrapper": (
        "def twice(f):\n    def inner(name):\n        f(name)\n        f(name + 'u')\n    return inner\n"
        "@twice\ndef gone(name):\n    op.drop_table(name)\ngone('t')",
        ("t", "tu"),
    ),
    "a hook": ("@sa.event.listens_for(op.get_bind(), 'commit')\ndef gone(conn):\n    op.drop_table('t')", ("t",)),
    "a module by its name": ("import importlib\nimportlib.import_module('versions.r1').downgrade()", ("t",)),
    "a module of a package without __init__.py": ("import versions.r1\nversions.r1.downgrade()", ("t",)),
    "a module beside it": ("import importlib\nimportlib.import_module('.r1').downgrade()", ("t",)),
    "a file": (
        "import importlib.util, os\nspec = importlib.util.spec_from_file_location('x', os.path.join(os.path.dirname(__file__), 'r1.py'))\n"
        "earlier = importlib.util.module_from_spec(spec)\nspec.loader.exec_module(earlier)\nearlier.downgrade()",
        ("t",),
    ),
    "a function by its name": ("getattr(op, 'drop_table')('t')", ("t",)),
    "several at once": ("op.get_bind().connection.cursor().executemany('DROP TABLE t', [])", ("t",)),
    "a statement that runs itself": ("sa.text('DROP TABLE t').execute()", ("t",)),
    "what a session reads back": ("orm.Session(op.get_bind()).scalars(sa.text('DROP TABLE t'))", ("t",)),
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
    "what is entered": "from elsewhere import dropping\nwith dropping('t'):\n    pass",
    "what the downgrade returns": "from elsewhere import cleanup\nreturn cleanup()",
    "a module that is not the project's": "import importlib\nimportlib.import_module('acme.drop').downgrade()",
    "a module of an unknown name": "import importlib, os\nimportlib.import_module(os.environ['X']).downgrade()",
    "a file that is not there": (
        "import importlib.util\nspec = importlib.util.spec_from_file_location('x', 'gone.py')\n"
        "importlib.util.module_from_spec(spec).downgrade()"
    ),
    "a module that is loaded already": "import sys\nsys.modules['acme'].drop_notes()",
    "a function of an unknown name": "import os\ngetattr(op, os.environ['X'])('t')",
    "one of several functions": "import os\n{'a': print, 'b': op.drop_table}[os.environ['X']]('t')",
    "a function that is not known, for each": "from elsewhere import STEPS\n[step() for step in STEPS]",
    "a function that is not known, after a helper": "def name():\n    print('x')\nfrom elsewhere import gone\ngone(name())",
    "a procedure": "op.get_bind().connection.cursor().callproc('gone')",
    "the driver's own way": "op.get_bind().connection.cursor().copy_from(None, 't')",
    "the connection's own way": "op.get_bind().drop_everything()",
    "a path that is run": "import runpy\nresult = runpy.run_path('gone.py')",
    "an operation with options that are not known": "import os\nop.drop_table('t', **os.environ)",
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
    "rows": "rows = op.get_bind().execute(sa.text('SELECT 1'))\nfor row in rows:\n    row.items()\nrows.close()",
    "a logger of its own": "import logging\nlogger = logging.getLogger('x')\nlogger.handlers[0].setLevel(1)",
    "a list that is not known": "import os\nnames = os.environ['X'].split(',')\nnames.append('a')",
    "a file": "import os\nwith open('x') as file:\n    file.write('y')",
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


EARLIER = {"versions/r1.py": "from alembic import op\n\ndef downgrade():\n    op.drop_table('t')\n"}


def with_an_index(down):
    return judged(f'op.drop_index("ix")\n{down}', helpers=EARLIER)


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
