"""Which modules of a project its migrations bring with them."""

import pytest

from ansible.module_utils.rollback.migrations import reach, tree

REVISION = 'revision = "r1"\ndown_revision = None\n'


@pytest.fixture
def read(tmp_path):
    """The files that a project of such modules brings; `revision` is the text of its only migration."""

    def call(revision, **modules):
        (tmp_path / "alembic.ini").write_text("[alembic]\nscript_location = .\n")
        for name, text in {"versions/r1": REVISION + revision, **modules}.items():
            path = tmp_path / f"{name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return set(tree.read(tmp_path).files) - {"versions/r1.py"}

    return call


REACHED = {
    "a name": ("from shop.a import f", {"shop/a": "def f(): pass"}, {"shop/a.py"}),
    "a name of a name": (
        "from shop.a import f",
        {"shop/a": "from shop.b import g\ndef f(): g()", "shop/b": "def g(): pass"},
        {"shop/a.py", "shop/b.py"},
    ),
    "a module, with its dots": (
        "import shop.a\ndef downgrade(): shop.a.f()",
        {
            "shop/__init__": "",
            "shop/a": "import shop.b\ndef f(): shop.b.g()",
            "shop/b": "from shop.c import g",
            "shop/c": "g = 1",
        },
        {"shop/__init__.py", "shop/a.py", "shop/b.py", "shop/c.py"},
    ),
    "a module of a package without __init__.py": (
        "import shop.parts.a\ndef downgrade(): shop.parts.a.f()",
        {"shop/parts/a": "from shop.b import f", "shop/b": "f = 1"},
        {"shop/parts/a.py", "shop/b.py"},
    ),
    "a module under another name": (
        "from shop import a as helper\ndef downgrade(): helper.f()",
        {"shop/a": "from shop.b import f", "shop/b": "f = 1"},
        {"shop/a.py", "shop/b.py"},
    ),
    "a module that is handed on": (
        "from shop import a\ndef downgrade():\n    it = a\n    it.f()",
        {"shop/a": "from shop.b import f", "shop/b": "f = 1"},
        {"shop/a.py", "shop/b.py"},
    ),
    "everything of a module": (
        "from shop.a import *\ndef downgrade(): f()",
        {"shop/a": "from shop.b import *", "shop/b": "def f(): pass"},
        {"shop/a.py", "shop/b.py"},
    ),
    "a module by its name": (
        "from importlib import import_module\nhelper = import_module('legacy.note-helper')\ndef downgrade(): helper.f()",
        {"legacy/note-helper": "from shop.b import f", "shop/b": "f = 1"},
        {"legacy/note-helper.py", "shop/b.py"},
    ),
    "a module by its file": (
        "import importlib.util, os\nspec = importlib.util.spec_from_file_location('x', os.path.join(os.path.dirname(__file__), '..', 'old', 'x.py'))\n"
        "helper = importlib.util.module_from_spec(spec)\ndef downgrade(): helper.f()",
        {"old/x": "def f(): pass"},
        {"old/x.py"},
    ),
    "what a function imports itself": (
        "def downgrade():\n    from shop import a\n    a.f()",
        {"shop/a": "def f():\n    import shop.b\n    shop.b.g()", "shop/b": "g = 1"},
        {"shop/a.py", "shop/b.py"},
    ),
    "not what nobody uses": (
        "from shop.a import f",
        {"shop/a": "from shop.b import g\ndef f(): pass\ndef other(): g()", "shop/b": "def g(): pass"},
        {"shop/a.py"},
    ),
}


@pytest.mark.parametrize(("revision", "modules", "files"), REACHED.values(), ids=REACHED)
def test_what_a_migration_reaches(read, revision, modules, files):
    assert read(revision, **modules) == files


def test_the_work_grows_with_the_number_of_modules(read, monkeypatch):
    """A ring of modules, each of which imports five others and hands on twenty functions."""
    asked = []
    ask = reach.Reach._ask
    monkeypatch.setattr(reach.Reach, "_ask", lambda self, path, name="": asked.append(name) or ask(self, path, name))

    def work(number):
        modules = {
            f"ring{number}/m{each}": "".join(f"import ring{number}.m{(each + step) % number}\n" for step in range(1, 6))
            + "".join(f"def f{n}(): return ring{number}.m{(each + 1) % number}.f{n}()\n" for n in range(20))
            for each in range(number)
        }
        asked.clear()
        files = read(
            f"from ring{number}.m0 import " + ", ".join(f"f{n}" for n in range(20)),
            **modules,
            **{f"ring{number}/__init__": ""},
        )
        assert len(files) == number + 1
        return len(asked)

    small = work(20)
    assert work(80) < 4.5 * small
