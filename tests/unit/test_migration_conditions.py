"""What is decided about a condition without running the migration, against what Python makes of it.

Expressions are put together at random. One that hangs on something unknown must not be decided; one of constants alone,
where it is decided, must be decided as Python does.
"""

import ast
import contextlib
import os

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from migration_bodies import judged, losses

from ansible.module_utils.rollback.migrations.interpreter import Interpreter
from ansible.module_utils.rollback.migrations.modules import Modules, module
from ansible.module_utils.rollback.migrations.recorder import Recorder
from ansible.module_utils.rollback.migrations.sql_risk import SqlReader
from ansible.module_utils.rollback.migrations.tree import Tree
from ansible.module_utils.rollback.migrations.values import Scope

EXAMPLES = int(os.environ.get("CONDITIONS_EXAMPLES", "600"))
# How a migration comes by something that nobody knows before it runs.
UNKNOWN = (
    "op.get_bind().execute(sa.text('SELECT a FROM t')).scalar()",
    "os.environ.get('KEEP')",
    "op.get_bind().engine.url",
    "context.get_x_argument()",
    "elsewhere.SETTING",
)
ABOVE = "import os\nimport sqlalchemy as sa\nfrom alembic import context, op\nimport elsewhere\n"
# What it may turn out to be. Attributes and such of it are not asked for: Python must be able to evaluate all.
LEAVES = ("", "a", "ab", "old", "ba,c", None, 0, 1, 7, True, [], ["a"], ("a", "b"), {"a": 1}, {})
CONSTANTS = st.sampled_from(
    ["''", "'a'", "'ab'", "'b'", "'old'", "','", "None", "True", "False", "0", "1", "2", "7", "[]", "['a']", "('a', 'b')",
     "{'a': 1}", "{'a', 'b'}", "{}", "['a', 'b', 'a']", "(1, 2)"]
)  # fmt: skip
TEXTS = st.sampled_from(["''", "'a'", "'ab'", "'old'", "'a,b'"])


def _extended(inner):
    """Larger expressions from smaller ones."""
    two = st.tuples(inner, inner)
    texts = st.one_of(TEXTS, inner.map(lambda each: f"str({each})"), inner.map(lambda each: f"f'{{{each}}}'"))
    comparison = st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "in", "not in", "is", "is not"])
    return st.one_of(
        st.tuples(inner, comparison, inner).map(lambda parts: f"({parts[0]} {parts[1]} {parts[2]})"),
        st.tuples(inner, comparison, inner, comparison, inner).map(lambda parts: f"({' '.join(parts)})"),
        st.tuples(inner, st.sampled_from(["and", "or", "+", "%", "|", "&", "-", "*"]), inner).map(
            lambda parts: f"({parts[0]} {parts[1]} {parts[2]})"
        ),
        inner.map(lambda each: f"(not {each})"),
        st.tuples(inner, inner, inner).map(lambda parts: f"({parts[0]} if {parts[1]} else {parts[2]})"),
        inner.map(lambda each: f"f'x{{{each}}}'"),
        inner.map(lambda each: f"f'{{{each}!r}}'"),
        inner.map(lambda each: f"f'{{{each}!s:>4}}'"),
        st.tuples(TEXTS, inner).map(lambda parts: f"({parts[0]}.join({parts[1]}))"),
        st.tuples(st.sampled_from(["'%s'", "'a%s'", "'%s%%'", "'%.1s'"]), inner).map(
            lambda parts: f"({parts[0]} % ({parts[1]},))"
        ),
        st.tuples(st.sampled_from(["'{}'", "'a{}'", "'{0}{0}'", "'{!r}'", "'none'"]), inner).map(
            lambda parts: f"{parts[0]}.format({parts[1]})"
        ),
        st.tuples(
            texts,
            st.sampled_from(["startswith", "endswith", "count", "find", "split", "strip", "removeprefix", "partition"]),
            TEXTS,
        ).map(
            lambda parts: f"{parts[0]}.{parts[1]}({parts[2]})" if parts[2] != "''" else f"{parts[0]}.{parts[1]}('b')"
        ),
        st.tuples(texts, st.sampled_from(["lower", "upper", "strip", "title", "isdigit", "splitlines", "encode"])).map(
            lambda parts: f"{parts[0]}.{parts[1]}()"
        ),
        st.tuples(texts, TEXTS, texts).map(lambda parts: f"{parts[0]}.replace({parts[1]}, {parts[2]})"),
        st.tuples(inner, st.sampled_from(["[0]", "[-1]", "[:1]", "[1:]", "[::-1]", "['a']", "[:-1]"])).map(
            lambda parts: f"{parts[0]}{parts[1]}"
        ),
        st.tuples(
            st.sampled_from(
                [
                    "len",
                    "str",
                    "bool",
                    "int",
                    "list",
                    "tuple",
                    "set",
                    "dict",
                    "sorted",
                    "min",
                    "max",
                    "sum",
                    "any",
                    "all",
                    "enumerate",
                    "reversed",
                    "repr",
                    "type",
                    "abs",
                    "frozenset",
                    "iter",
                    "range",
                ]
            ),
            inner,
        ).map(lambda parts: f"{parts[0]}({parts[1]})"),
        st.tuples(inner, st.sampled_from(["str", "int", "list", "(str, int)", "dict", "set", "bool", "tuple"])).map(
            lambda parts: f"isinstance({parts[0]}, {parts[1]})"
        ),
        two.map(lambda parts: f"[{parts[0]}, {parts[1]}]"),
        two.map(lambda parts: f"({parts[0]}, *{parts[1]})"),
        two.map(lambda parts: f"{{{parts[0]}, {parts[1]}}}"),
        two.map(lambda parts: f"{{{parts[0]}: {parts[1]}}}"),
        two.map(lambda parts: f"{{**{parts[0]}, 'b': {parts[1]}}}"),
        two.map(lambda parts: f"dict(a={parts[0]}, b={parts[1]})"),
        two.map(lambda parts: f"{{'a': 1, 'b': 2}}.get({parts[0]}, {parts[1]})"),
        two.map(lambda parts: f"dict(a={parts[0]}).get({parts[1]})"),
        st.tuples(inner, st.sampled_from(["index", "count"]), inner).map(
            lambda parts: f"[{parts[0]}, 'a'].{parts[1]}({parts[2]})"
        ),
        st.tuples(
            st.sampled_from(["union", "intersection", "difference", "issubset", "issuperset", "isdisjoint"]), inner
        ).map(lambda parts: f"{{'a', 'b'}}.{parts[0]}({parts[1]})"),
        inner.map(lambda each: f"[x for x in ('a', 'b', 1) if x == {each}]"),
        inner.map(lambda each: f"[x for x in {each}]"),
        inner.map(lambda each: f"{{x for x in ('a', 'b') if {each}}}"),
        two.map(lambda parts: f"{{x: {parts[0]} for x in ('a', {parts[1]})}}"),
        two.map(lambda parts: f"list(x for x in [{parts[0]}] if {parts[1]})"),
        inner.map(lambda each: f"(lambda x, y='a': x or y)({each})"),
        inner.map(lambda each: f"(lambda *x: x)(*{each})"),
        inner.map(lambda each: f"(lambda a='b': a)(**{each})"),
        inner.map(lambda each: f"list(zip('ab', {each}))"),
    )


def _parses(expression):
    """Before Python 3.12 an f-string cannot hold all that is put into it here."""
    try:
        return bool(ast.parse(expression, mode="eval"))
    except SyntaxError:
        return False


KNOWN = st.recursive(CONSTANTS, _extended, max_leaves=6).filter(_parses)
OPEN = st.recursive(st.one_of(CONSTANTS, st.just("leaf"), st.just("leaf")), _extended, max_leaves=6).filter(_parses)
RAISES = (TypeError, ValueError, KeyError, IndexError, AttributeError, ArithmeticError, RecursionError)


def decided(expression, leaf="None"):
    """Whether a condition holds, None where that is not decided."""
    interpreter = Interpreter(Modules(Tree({}, ())), Recorder(SqlReader()))
    scope = Scope(module("versions/r.py", ast.parse(f"{ABOVE}leaf = {leaf}\n")))
    return interpreter.truth(ast.parse(expression, mode="eval").body, scope)


def really(expression, leaf=None):
    """What Python makes of it, None where it raises."""
    try:
        return bool(eval(expression, {"leaf": leaf}))  # noqa: S307 - constants and builtins
    except RAISES:
        return None


@pytest.mark.filterwarnings("ignore::SyntaxWarning")
@settings(deadline=None, max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(OPEN, st.sampled_from(UNKNOWN))
def test_what_hangs_on_something_unknown_is_not_decided(expression, unknown):
    outcomes = {really(expression, leaf) for leaf in LEAVES} - {None}
    found = decided(expression, unknown)
    assert found is None or outcomes <= {found}


@pytest.mark.filterwarnings("ignore::SyntaxWarning")
@settings(deadline=None, max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(KNOWN)
def test_what_is_known_is_decided_as_python_does(expression):
    outcome = really(expression)
    assert outcome is None or decided(expression) in (None, outcome)


@pytest.mark.filterwarnings("ignore::SyntaxWarning")
@settings(deadline=None, max_examples=EXAMPLES // 4, suppress_health_check=list(HealthCheck))
@given(OPEN, st.sampled_from(UNKNOWN))
def test_a_step_that_drops_on_an_unknown_condition_is_never_safe(expression, unknown):
    if {really(expression, leaf) for leaf in LEAVES} >= {True, False}:
        step = judged(
            f"leaf = {unknown}\nop.drop_index('ix')\nif {expression}:\n    op.drop_column('t', 'c')", above=ABOVE
        )
        assert step.risk in ("lossy", "unknown")


def body(*lines):
    return "\n".join(("leaf = op.get_bind().scalar(sa.text('SELECT a'))", "op.drop_index('ix')", *lines))


# Statements after which `kept` is one thing or another, by what the database says; the column goes if it is false.
STATEMENTS = {
    "a loop that may be left": "kept = True\nfor kept in (True, False):\n    if leaf:\n        break",
    "a loop that goes on early": "kept = True\nfor _ in (1,):\n    if leaf:\n        continue\n    kept = False",
    "a loop that goes on early, the second time": (
        "class It:\n    kept = True\nit = It()\nfor number in (1, 2):\n    if leaf:\n        continue\n"
        "    if number == 2:\n        it.kept = False\nkept = it.kept"
    ),
    "a while that goes on early": (
        "class It:\n    kept = True\nit = It()\nn = 0\nwhile n < 2:\n    n += 1\n    if leaf:\n        continue\n"
        "    if n == 2:\n        it.kept = False\nkept = it.kept"
    ),
    "a while that may be left": "kept = True\nwhile True:\n    if leaf:\n        break\n    kept = False\n    break",
    "the else of a loop": "kept = True\nfor _ in (1, 2):\n    if leaf:\n        break\nelse:\n    kept = False",
    "an exception": "kept = True\ntry:\n    op.get_bind().execute('SELECT 1')\n    kept = False\nexcept Exception:\n    pass",
    "an exception that is suppressed": (
        "import contextlib\nkept = True\nwith contextlib.suppress(Exception):\n    op.get_bind().execute('SELECT 1')\n    kept = False"
    ),
    "a list that an exception may have shortened": (
        "names = ['a']\ntry:\n    if leaf:\n        raise ValueError\nexcept ValueError:\n"
        "    names = [x for x in names if x != leaf]\nkept = bool(names)"
    ),
    "a match": "kept = True\nmatch leaf:\n    case 'a':\n        kept = False",
    "a name of a match": "kept = True\nmatch leaf:\n    case kept:\n        pass",
    "a global": "def change():\n    global KEPT\n    KEPT = not leaf\nchange()\nkept = KEPT",
    "a global on a condition": "def change():\n    global KEPT\n    if leaf:\n        KEPT = False\nchange()\nkept = KEPT",
    "a nonlocal": "kept = True\ndef change():\n    nonlocal kept\n    if leaf:\n        kept = False\nchange()",
    "an attribute": "class It:\n    kept = True\nit = It()\nif leaf:\n    it.kept = False\nkept = it.kept",
    "a set that grew": "seen = {'a'}\nif leaf:\n    seen.add('b')\nkept = 'b' not in seen",
    "a list that shrank": "names = ['a']\nif leaf:\n    del names[0]\nkept = bool(names)",
    "a list that was sorted": "names = ['b', leaf]\nnames.sort()\nkept = names[0] == 'b'",
    "a generator": "def some():\n    yield 'a'\n    if leaf:\n        yield 'b'\nkept = 'b' not in list(some())",
    "a generator of another": "def some():\n    yield from [x for x in ('b',) if leaf]\nkept = not list(some())",
    "a return": "def answer():\n    if leaf:\n        return False\n    return True\nkept = answer()",
    "a return in a loop": "def answer():\n    for x in (1, 2):\n        if leaf:\n            return False\n    return True\nkept = answer()",
    "a list that was shuffled": "import random\nnames = ['a', 'b']\nrandom.shuffle(names)\nkept = names[0] == 'a'",
    "a list that was handed on": "import elsewhere\nnames = ['a']\nelsewhere.change(names)\nkept = names == ['a']",
    "a list that went through a call": "names = [x for x in ('a',) if leaf]\nkept = len(sorted(list(names))) == 0",
}


# Statements after which `kept` is the same, whatever the database says; the column goes if it is false.
CERTAIN = {
    "a loop that is left": "kept = True\nfor name in ('a', 'b'):\n    if name == 'a':\n        break\nkept = name == 'a'",
    "a loop that is left has no else": "kept = True\nfor _ in (1,):\n    break\nelse:\n    kept = False",
    "a set": "kept = {'a', 'b'} == {'b', 'a'}",
    "a set that grew": "seen = set()\nseen.add('a')\nkept = 'a' in seen",
    "a global": "def change():\n    global KEPT\n    KEPT = 'a'\nchange()\nkept = KEPT == 'a'",
    "a nonlocal": "kept = False\ndef change():\n    nonlocal kept\n    kept = True\nchange()",
    "a dictionary that shrank": "names = {'a': 1}\ndel names['a']\nkept = 'a' not in names",
    "a refusal": "kept = True\nif leaf:\n    raise ValueError('no')",
    "two ways to the same": "kept = 'a' if leaf else 'a'",
}


@pytest.mark.parametrize("lines", CERTAIN.values(), ids=CERTAIN)
def test_what_statements_settle_is_decided(lines):
    step = judged(body(lines, "if not kept:\n    op.drop_column('t', 'c')"), above=f"{ABOVE}KEPT = True\n")
    assert step.risk == "safe"


@pytest.mark.parametrize("lines", STATEMENTS.values(), ids=STATEMENTS)
def test_what_statements_leave_open_is_not_decided(lines):
    step = judged(body(lines, "if not kept:\n    op.drop_column('t', 'c')"), above=f"{ABOVE}KEPT = True\n")
    assert losses(step) == {("column", "t", "c")}


# Conditions and what they are on PostgreSQL: True, False, or nobody knows.
DIALECTS = {
    "from sqlalchemy.dialects import postgresql as pg\nkept = isinstance(op.get_bind().dialect, pg.dialect)": None,
    "from sqlalchemy.dialects.postgresql import dialect as PG\nkept = isinstance(op.get_bind().dialect, PG)": None,
    "from sqlalchemy.dialects.postgresql import psycopg2\nkept = isinstance(op.get_bind().dialect, psycopg2.dialect)": None,
    "from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg as D\nkept = isinstance(op.get_bind().dialect, D)": None,
    "from sqlalchemy.dialects.postgresql.base import PGDialect\nkept = isinstance(op.get_bind().dialect, PGDialect)": True,
    "from sqlalchemy.dialects import sqlite\nkept = isinstance(op.get_bind().dialect, sqlite.dialect)": False,
    "from sqlalchemy.dialects import mysql, sqlite\nkept = isinstance(op.get_bind().dialect, (mysql.dialect, sqlite.dialect))": False,
    "from sqlalchemy.dialects import mysql, postgresql as p\nkept = isinstance(op.get_bind().dialect, (mysql.dialect, p.dialect))": None,
    "kept = op.get_bind().dialect.name == 'postgresql'": True,
    "kept = str(op.get_bind().engine.url).startswith('postgresql')": None,
    "kept = op.get_bind().dialect.has_table(op.get_bind(), 't')": None,
    "kept = type(op.get_bind().dialect) is str": None,
}


@pytest.mark.parametrize(("lines", "held"), DIALECTS.items(), ids=range(len(DIALECTS)))
def test_which_dialect_it_is_is_decided_only_where_that_is_certain(lines, held):
    ways = {"held": f"{lines}\nif kept:", "not": f"{lines}\nif not kept:"}
    found = {way: bool(losses(judged(f"{text}\n    op.drop_column('t', 'c')"))) for way, text in ways.items()}
    assert found == {"held": held is not False, "not": held is not True}


LEFT = "if leaf: raise ValueError"
CHANGE = ["def change():", "    nonlocal x", "    x = ''", f"    {LEFT}", "    x = 'a'"]
QUIET = """
import contextlib
from contextlib import suppress as quiet

class Box:
    x = ''

class Quiet:
    def __enter__(self):
        return self

    def __exit__(self, kind, *more):
        return kind is ValueError

@contextlib.contextmanager
def quietly():
    try:
        yield
    except ValueError:
        pass

@contextlib.contextmanager
def choosing():
    try:
        yield
    except ValueError as error:
        if not error.args:
            return
        raise

@contextlib.contextmanager
def returning():
    try:
        yield
    finally:
        return

"""
# What `kept` is where an error, on a condition that nobody knows, ends the work half way.
HALF_WAY = {
    "a name that is given back": ["x = ''", LEFT, "x = 'a'"],
    "a name that a loop gives back": ["for x in ('', 'a'):", f"    {LEFT}"],
    "a name that an expression gives": ["if (x := '') or leaf: raise ValueError", "x = 'a'"],
    "a name that a pattern takes": ["match leaf:", "    case x: pass", LEFT, "x = 'a'"],
    "a list that is filled again": ["names.clear()", LEFT, "names.append('a')"],
    "a key that is set again": ["del table['k']", LEFT, "table['k'] = 1"],
    "an attribute": ["box.x = ''", LEFT, "box.x = 'a'"],
    "a name of the function around": ["change()"],
    "what is done in the end": ["try:", "    x = ''", f"    {LEFT}", "    x = 'a'", "finally:", "    names = names if x else []"],
    "the second of two handlers": ["try:", f"    {LEFT}", "    raise KeyError", "except KeyError: pass", "except ValueError: x = ''"],
}  # fmt: skip
CATCHES = {
    "except": ["try:", "except ValueError: pass"],
    "the second except": ["try:", "except KeyError: pass", "except ValueError: pass"],
    "suppress": ["with contextlib.suppress(ValueError):"],
    "suppress by another name": ["with quiet(ValueError):"],
    "an object's exit": ["with Quiet():"],
    "a generator": ["with quietly():"],
    "a generator that chooses": ["with choosing():"],
    "a generator that returns in the end": ["with returning():"],
}


def _half_way(half_way, first, *rest):
    """Our verdict on a step that drops a column unless all is as it was in the beginning."""
    begin = [
        "leaf = op.get_bind().scalar(sa.text('SELECT a'))",
        "x, names, table, box = 'a', ['a'], {'k': 1}, Box()",
        "box.x = 'a'",
    ]
    lines = [*begin, *CHANGE, first, *_indented(HALF_WAY[half_way]), *rest]
    kept = "(x == 'a' and names and 'k' in table and box.x)"
    return judged("\n".join([*lines, f"if not {kept}:", "    op.drop_column('t', 'c')"]), above=ABOVE + QUIET).risk


@pytest.mark.parametrize("caught", CATCHES)
@pytest.mark.parametrize("half_way", HALF_WAY)
def test_what_an_error_leaves_half_done_is_not_decided(half_way, caught):
    assert _half_way(half_way, *CATCHES[caught]) == "lossy"


LEAVES_IN_THE_END = {
    "break": (["for turn in (1,):", "    try:"], ["    finally: break"], []),
    "return": (["def leave():", "    nonlocal x", "    try:"], ["    finally: return"], ["leave()"]),
}


@pytest.mark.parametrize("error", ["if leaf: raise ValueError", "raise ValueError"])
@pytest.mark.parametrize("way", LEAVES_IN_THE_END)
def test_an_error_does_not_pass_what_leaves_a_block_in_the_end(way, error):
    before, after, call = LEAVES_IN_THE_END[way]
    begin = ["leaf = op.get_bind().scalar(sa.text('SELECT a'))", "x = 'a'"]
    body = [f"        {line}" for line in ("x = ''", error, "x = 'a'")]
    step = [*begin, *before, *body, *after, *call, "if x != 'a':", "    op.drop_column('t', 'c')"]
    assert judged("\n".join(step), above=ABOVE).risk == "lossy"


def test_what_stands_after_a_return_in_the_end_is_not_done():
    step = ["try:", "    op.drop_index('i')", "finally: return", "op.drop_column('t', 'c')"]
    assert not losses(judged("\n".join(step), above=ABOVE))


@pytest.mark.parametrize("half_way", sorted(HALF_WAY.keys() - {"the second of two handlers"}))
def test_what_an_error_ends_is_not_left_half_done(half_way):
    assert _half_way(half_way, "if True:") != "lossy"


def _indented(lines):
    return [f"    {line}" for line in lines]


def _counter(lines):
    """A name that no loop inside counts with: that one would begin anew in every turn, and the outer one never end."""
    return f"n{sum(line.lstrip().startswith('while ') for line in lines)}"


def _compound(inner):
    """Statements around others; each is a list of lines."""
    blocks = st.lists(inner, min_size=1, max_size=3).map(lambda parts: [line for part in parts for line in part])
    tests = st.sampled_from(
        ["leaf", "not leaf", "x == 'a'", "x", "names", "len(names) > 1", "leaf == x", "box.x", "y in names"]
    )
    heads = st.sampled_from(
        ["for y in ('a', 'b'):", "for y in names[:2]:", "for x in [leaf]:", "for x in list(leaf or ())[:2]:"]
    )
    return st.one_of(
        st.tuples(tests, blocks).map(lambda parts: [f"if {parts[0]}:", *_indented(parts[1])]),
        st.tuples(tests, blocks, blocks).map(
            lambda parts: [f"if {parts[0]}:", *_indented(parts[1]), "else:", *_indented(parts[2])]
        ),
        st.tuples(heads, blocks).map(lambda parts: [parts[0], *_indented(parts[1])]),
        st.tuples(heads, blocks, tests, st.sampled_from(["break", "continue"]), blocks).map(
            lambda parts: [parts[0], *_indented([*parts[1], f"if {parts[2]}:", f"    {parts[3]}", *parts[4]])]
        ),
        st.tuples(heads, blocks, tests, blocks).map(
            lambda parts: [
                parts[0],
                *_indented([*parts[1], f"if {parts[2]}:", "    break"]),
                "else:",
                *_indented(parts[3]),
            ]
        ),
        st.tuples(blocks, tests, blocks, blocks).map(
            lambda parts: [
                "try:",
                *_indented([*parts[0], f"if {parts[1]}:", "    raise ValueError", *parts[2]]),
                "except ValueError:",
                *_indented(parts[3]),
            ]
        ),
        st.tuples(blocks, tests, blocks, blocks).map(
            lambda parts: [
                "with contextlib.suppress(ValueError):",
                "    try:",
                *_indented(_indented([*parts[0], f"if {parts[1]}:", "    raise ValueError", *parts[2]])),
                "    finally:",
                *_indented(_indented(parts[3])),
            ]
        ),
        st.tuples(blocks, tests, blocks, blocks).map(
            lambda parts: [
                "try:",
                *_indented([*parts[0], f"if {parts[1]}:", "    raise ValueError", "raise KeyError"]),
                "except KeyError:",
                *_indented(parts[2]),
                "except ValueError:",
                *_indented(parts[3]),
            ]
        ),
        st.tuples(blocks, tests, blocks).map(
            lambda parts: [
                "def change():",
                "    nonlocal x, names",
                *_indented([*parts[0], f"if {parts[1]}:", "    return", *parts[2]]),
                "change()",
            ]
        ),
        st.tuples(tests, blocks).map(
            lambda parts: [
                f"{_counter(parts[1])} = 0",
                f"while {_counter(parts[1])} < 2:",
                *_indented([f"{_counter(parts[1])} += 1", f"if {parts[0]}:", "    continue", *parts[1]]),
            ]
        ),
    )


SIMPLE = st.sampled_from(
    ["x = 'a'", "x = 'b'", "x = ''", "x = leaf", "x = x or 'a'", "x += 'a'", "names.append('c')", "names.append(leaf)",
     "names = [*names, x]", "names = [y for y in names if y != leaf]", "del names[:1]", "names.clear()", "box.x = x", "box.x = not x",
     "table['k'] = x", "x = table.get('k', '')", "x = f'{leaf}'", "x = 'a' if leaf else x", "x = str(len(names))", "pass"]
).map(lambda line: [line])  # fmt: skip
PROGRAMS = st.lists(st.recursive(SIMPLE, _compound, max_leaves=8), min_size=1, max_size=5).map(
    lambda parts: [line for part in parts for line in part]
)
BEGIN = ["import contextlib", "x = 'a'", "y = ''", "names = ['a', 'b']", "table = {}", "box = Box()"]
BOX = "class Box:\n    x = ''\n"


@settings(deadline=None, max_examples=EXAMPLES // 2, suppress_health_check=list(HealthCheck))
@given(PROGRAMS, st.sampled_from(["x == 'a'", "x", "names", "len(names) == 2", "box.x", "'a' in names", "table"]))
def test_a_column_that_some_run_drops_is_never_kept_for_certain(lines, kept):
    dropped = set()
    program = "\n".join(_indented([*BEGIN, *lines, f"return not ({kept})"]))
    for leaf in (*LEAVES, "c"):
        names = {}
        exec(f"{BOX}\ndef run(leaf):\n{program}", names)  # noqa: S102 - from the list above
        with contextlib.suppress(NameError, *RAISES):
            dropped.add(names["run"](leaf))
    assume(True in dropped)
    text = "\n".join(["leaf = op.get_bind().scalar(sa.text('SELECT a'))", "op.drop_index('ix')", *BEGIN, *lines])
    step = judged(f"{text}\nif not ({kept}):\n    op.drop_column('t', 'c')", above=ABOVE + BOX)
    assert step.risk in ("lossy", "unknown")
