"""Histories are found where Alembic finds them, and read without being run."""

import json
import os
import subprocess
from pathlib import Path

import alembic_history
import alembic_tree
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from ansible.module_utils.testing import patch_module_args

from ansible.module_utils.rollback import sealed
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.migrations import scripts, sources, tree

SCRIPT = '''"""{title}"""
from alembic import op
revision = {revision!r}
down_revision = {down!r}
open({mark!r}, "w").close()  # whoever runs this file leaves a trace


def upgrade():
    op.create_table("t_{revision}")


def downgrade():
    op.drop_table("t_{revision}")
'''


@pytest.fixture
def project(tmp_path):
    """A project with two revisions, and a way to write more of it."""
    return Project(tmp_path / "project")


class Project:
    def __init__(self, directory: Path):
        self.directory = directory
        self.mark = directory.parent / "was run"
        self.ini("script_location = migrations")
        self.script("migrations/versions/1_first.py", "aaaa11", None)
        self.script("migrations/versions/2_second.py", "bbbb22", "aaaa11")

    def write(self, path, text):
        target = self.directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def ini(self, *lines, section="alembic"):
        self.write("alembic.ini", "\n".join([f"[{section}]", *lines]))

    def script(self, path, revision, down):
        self.write(path, SCRIPT.format(title=f"adds {revision}", revision=revision, down=down, mark=str(self.mark)))

    def revisions(self, **options):
        found = sorted(script.revision for script in scripts.parse(tree.read(self.directory, **options)))
        assert not self.mark.exists()
        return found

    def alembics(self):
        """The same, as Alembic finds it: it runs every file."""
        before = os.getcwd()
        os.chdir(self.directory)
        try:
            directory = ScriptDirectory.from_config(Config("alembic.ini"))
            return sorted(script.revision for script in directory.walk_revisions())
        finally:
            os.chdir(before)
            self.mark.unlink(missing_ok=True)


PLACES = {
    "the usual one": (["script_location = migrations"], []),
    "%(here)s": (["script_location = %(here)s/migrations"], []),
    "several": (
        [
            "script_location = migrations",
            "version_locations = migrations/versions more",
            "version_path_separator = space",
        ],
        ["more/3_third.py"],
    ),
    "several, by colon": (
        [
            "script_location = migrations",
            "version_locations = %(here)s/more:%(here)s/migrations/versions",
            "path_separator = :",
        ],
        ["more/3_third.py"],
    ),
    "with the remark of Alembic's own template": (
        [
            "script_location = migrations",
            "prepend_sys_path = .",
            "version_path_separator = os  # Use os.pathsep. Default configuration used for new projects.",
        ],
        [],
    ),
    "below each other": (
        ["script_location = migrations", "recursive_version_locations = true"],
        ["migrations/versions/2026/11/3_third.py"],
    ),
    "another template of names": (
        ["script_location = migrations", "file_template = %%(year)d_%%(month).2d_%%(rev)s-%%(slug)s"],
        ["migrations/versions/2026_11_cccc33-adds it.py"],
    ),
    "not those that are none": (
        ["script_location = migrations"],
        ["migrations/versions/.#3_third.py.txt", "migrations/versions/__pycache__/old.py"],
    ),
}


@pytest.mark.parametrize(("lines", "paths"), PLACES.values(), ids=PLACES)
def test_revisions_are_where_alembic_finds_them(project, lines, paths):
    project.ini(*lines)
    for path in paths:
        project.script(path, "cccc33", "bbbb22")
    assert project.revisions() == project.alembics()


def test_a_section_of_its_own(project):
    project.ini("script_location = migrations", section="billing")
    assert project.revisions(section="billing") == ["aaaa11", "bbbb22"]
    with pytest.raises(
        RollbackError, match=r"no configuration of Alembic in .* \(looked for \[alembic\] in alembic.ini\)"
    ):
        project.revisions()


def test_flask_migrate_says_to_alembic_itself_where_its_scripts_are(project):
    (project.directory / "alembic.ini").rename(project.directory / "migrations" / "alembic.ini")
    project.write(
        "migrations/alembic.ini", "[alembic]\n# template used to generate migration files\n[loggers]\nkeys = root\n"
    )
    project.write("migrations/env.py", "")
    assert project.revisions(ini="migrations/alembic.ini") == ["aaaa11", "bbbb22"]


def test_pyproject_toml_will_do(project):
    (project.directory / "alembic.ini").unlink()
    project.write("pyproject.toml", '[tool.alembic]\nscript_location = "%(here)s/migrations"\n')
    assert project.revisions() == ["aaaa11", "bbbb22"]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["sqlalchemy.url = x"], "has no script_location"),
        (["script_location = elsewhere"], "There is no directory of revisions"),
        (["script_location = %(nothing)s/x"], "script_location in .* cannot be resolved"),
        (
            ["script_location = migrations", "version_locations = a", "path_separator = bar"],
            "path_separator in .* is bar",
        ),
        (["script_location = nowhere:migrations"], "The package nowhere of script_location"),
    ],
)
def test_a_configuration_that_leads_nowhere_is_told(project, lines, said):
    project.ini(*lines)
    with pytest.raises(RollbackError, match=said):
        project.revisions()


WRITTEN = {
    "annotated": ('revision: str = "cccc33"\ndown_revision: "str | None" = "bbbb22"', ("bbbb22",)),
    "a tuple": ('revision = "cccc33"\ndown_revision = ("aaaa11", "bbbb22")', ("aaaa11", "bbbb22")),
    "put together": ('PREFIX = "cccc"\nrevision = PREFIX + "33"\ndown_revision = f"{PREFIX}22"', ("cccc22",)),
    "by percent": ('revision = "%s33" % "cccc"\ndown_revision = None', ()),
    "in a list": ('revision = "cccc33"\ndown_revision = ["bbbb22"]', ("bbbb22",)),
    "twice": ('revision = "old"\nrevision = "cccc33"\ndown_revision = "bbbb22"', ("bbbb22",)),
}


@pytest.mark.parametrize(("head", "below"), WRITTEN.values(), ids=WRITTEN)
def test_identifiers_are_read_however_they_are_written(head, below):
    text = f'{head}\nbranch_labels = ("side",)\ndepends_on = "aaaa11"\n\ndef upgrade():\n    pass\n'
    (script,) = scripts.parse(tree.Tree({"v/x_third_one.py": text}, ("v/x_third_one.py",)))
    assert (script.revision, script.down_revisions) == ("cccc33", below)
    assert (script.branch_labels, script.depends_on) == (("side",), ("aaaa11",))
    assert script.downgrade is None
    assert script.title == "x third one"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("revision = \n", r"v/broken\.py is no Python in line 1"),
        ("def upgrade(:\n", r"v/broken\.py is no Python in line 1"),
        (
            "import os\nrevision = os.environ['X']\n",
            r"v/broken\.py, line 2: revision is computed in a way that cannot be read",
        ),
        ("revision = 7\n", r"v/broken\.py: revision is 7, which is no identifier"),
        ("revision = 'a'\ndown_revision = 7\n", r"v/broken\.py: down_revision is 7"),
        ("x = 1\n", r"v/broken\.py does not say which revision it is"),
        ("revision = 'a\0b'\n", r"v/broken\.py is no Python"),
    ],
)
def test_a_file_that_cannot_be_understood_is_named(text, said):
    with pytest.raises(RollbackError, match=said):
        scripts.parse(tree.Tree({"v/broken.py": text}, ("v/broken.py",)))


def test_the_text_of_a_file_may_have_any_encoding_that_it_names(project):
    path = project.directory / "migrations/versions/3_third.py"
    path.write_bytes(
        '# -*- coding: latin-1 -*-\n"""größer"""\nrevision = "cccc33"\ndown_revision = "bbbb22"\n'.encode("latin-1")
    )
    assert "cccc33" in project.revisions()
    path.write_bytes('"""größer"""\nrevision = "cccc33"\n'.encode("latin-1"))
    with pytest.raises(RollbackError, match=r"3_third\.py"):
        project.revisions()


def test_the_same_history_has_the_same_digest_wherever_it_lies(project, tmp_path):
    other = Project(tmp_path / "elsewhere" / "copy")
    for path in project.directory.rglob("*.py"):
        other.write(path.relative_to(project.directory), path.read_text())
    first, second = tree.read(project.directory), tree.read(other.directory)
    assert first.digest() == second.digest()
    other.script("migrations/versions/2_second.py", "bbbb22", None)
    assert tree.read(other.directory).digest() != first.digest()
    assert tree.Tree.unpack(first.pack()) == first


def git(directory, *arguments):
    subprocess.run(
        ["git", "-C", str(directory), "-c", "user.name=a", "-c", "user.email=a@b", *arguments],
        check=True,
        capture_output=True,
    )


def test_a_git_revision_is_read_without_checking_it_out(project):
    git(project.directory, "init", "--quiet")
    git(project.directory, "add", ".")
    git(project.directory, "commit", "--quiet", "--message", "one")
    git(project.directory, "tag", "v1.1.0")
    project.script("migrations/versions/3_third.py", "cccc33", "bbbb22")
    tagged = sources.fetch(sources.GIT, "v1.1.0", str(project.directory))
    assert sorted(script.revision for script in scripts.parse(tagged)) == ["aaaa11", "bbbb22"]
    with pytest.raises(RollbackError, match=r"The migrations cannot be had: git .* v9\.9\.9"):
        sources.fetch(sources.GIT, "v9.9.9", str(project.directory))


@pytest.fixture
def run(capsys):
    def call(used, **arguments):
        with patch_module_args(arguments), pytest.raises(SystemExit) as ended:
            used.main()
        answer = json.loads(capsys.readouterr().out)
        assert bool(ended.value.code) == answer.get("failed", False)
        return answer

    return call


def test_the_modules_fetch_a_history_and_find_the_way(project, run):
    fetched = run(alembic_tree, path=str(project.directory))
    assert (fetched["versions"], fetched["changed"]) == (2, False)
    found = run(alembic_history, tree=fetched["tree"], current=["bbbb22"], target="base", sql="DROP TABLE t_bbbb22;")
    assert (found["heads"], found["bases"], found["revisions"]) == (["bbbb22"], ["aaaa11"], 2)
    assert [(step["revision"], step["heads"], step["argument"], step["risk"]) for step in found["path"]] == [
        ("bbbb22", ["aaaa11"], "aaaa11", "lossy"),
        ("aaaa11", [], "base", "lossy"),
    ]
    assert {(loss["kind"], loss["table"]) for loss in found["losses"]} == {("table", "t_aaaa11"), ("table", "t_bbbb22")}
    assert found["disagreements"] == [
        "The script takes away table of t_aaaa11, which its SQL does not show: it may depend on what the database holds."
    ]
    assert [step["demands"] for step in found["path"]] == [[], []]
    assert [step["fills"] for step in found["path"]] == [[], []]
    assert not project.mark.exists()


def test_secrets_that_occur_in_the_sql_change_neither_losses_nor_the_comparison(project, run, monkeypatch):
    """Compared is what Alembic wrote; masked is what is shown of it."""
    monkeypatch.setattr(sealed, "_secrets", set())
    monkeypatch.setattr(sealed, "_open", [])
    fetched = run(alembic_tree, path=str(project.directory))
    secrets = {"SECRET_KEY": "t_bbbb22", "API_TOKEN": "bbbb22", "PYTHONUNBUFFERED": "1", "DB_PASSWORD": "b"}
    text = "-- Running downgrade bbbb22 -> aaaa11\nDROP TABLE t_bbbb22;\nDROP TABLE t_aaaa11;\n"
    plain = run(alembic_history, tree=fetched["tree"], current=["bbbb22"], target="base", sql=sealed.seal(text))
    found = run(
        alembic_history,
        tree=fetched["tree"],
        current=["bbbb22"],
        target="base",
        sql=sealed.seal(text),
        environment_variables=sealed.sealed(secrets, every=True),
    )
    assert [line for line in plain["sql"].splitlines() if line] == text.splitlines()
    assert found["disagreements"] == plain["disagreements"] == []
    assert (found["path"], found["losses"]) == (plain["path"], plain["losses"])
    assert "DROP TABLE t_aaaa11;" in found["sql"]


@pytest.mark.parametrize(
    ("used", "arguments", "said"),
    [
        (alembic_tree, {"path": "/nowhere"}, "There is no directory /nowhere"),
        (alembic_tree, {"path": "/", "source": "image"}, "source=image needs a name"),
        (alembic_tree, {"path": "/", "source": "image", "name": "x", "client": ["/no/docker"]}, "cannot be asked"),
        (alembic_history, {}, "Neither a tree nor a directory"),
        (alembic_history, {"tree": "abc"}, "not what alembic_tree returns"),
        (alembic_history, {"tree": "abc", "directory": "/"}, "mutually exclusive"),
    ],
)
def test_what_the_modules_refuse(run, used, arguments, said):
    assert said in run(used, **arguments)["msg"]
