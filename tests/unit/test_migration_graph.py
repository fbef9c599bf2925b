"""Random histories, written as files, read by us and by Alembic itself: the same graph, the same ways down, or a refusal."""

import itertools
import tempfile
import warnings
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.runtime.migration import HeadMaintainer, MigrationContext
from alembic.script import ScriptDirectory
from alembic.script.revision import RevisionError
from alembic.util import CommandError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.migrations import scripts, tree
from ansible.module_utils.rollback.migrations.graph import Graph

FILE = """\
revision = {revision!r}
down_revision = {down!r}
branch_labels = {labels!r}
depends_on = {depends!r}


def upgrade():
    pass


def downgrade():
    pass
"""


def name_of(number):
    return f"{number:02d}{'abcdef'[number % 6] * 4}"


@st.composite
def histories(draw):
    """Revisions in an order in which each comes after what it names; branches, merges, dependencies and labels among them."""
    revisions = []
    for number in range(draw(st.integers(1, 8))):
        before = [revision for revision, *_ in revisions]
        down = draw(st.lists(st.sampled_from(before), max_size=2, unique=True)) if before else []
        rest = [name for name in before if name not in down]
        depends = draw(st.lists(st.sampled_from(rest), max_size=1)) if rest and draw(st.booleans()) else []
        label = f"label{number}" if draw(st.integers(0, 5)) == 0 else None
        revisions.append((name_of(number), down, depends, label))
    return revisions


def write(above, revisions):
    """A project of its own for each history: Python would take a file written in the same second for the one it has compiled."""
    directory = Path(tempfile.mkdtemp(dir=above))
    versions = directory / "migrations" / "versions"
    versions.mkdir(parents=True)
    for revision, down, depends, label in revisions:
        below = tuple(down) if len(down) > 1 else down[0] if down else None
        text = FILE.format(
            revision=revision, down=below, labels=(label,) if label else None, depends=tuple(depends) or None
        )
        (versions / f"{revision}_x.py").write_text(text)
    (directory / "alembic.ini").write_text("[alembic]\nscript_location = migrations\n")
    return directory


def alembics(directory):
    config = Config(directory / "alembic.ini")
    config.set_main_option("script_location", str(directory / "migrations"))
    return ScriptDirectory.from_config(config)


def ours(directory):
    return Graph(scripts.parse(tree.read(directory)))


def way(script_directory, heads, target):
    """What Alembic would take back, and the heads that its version table has after each; None where it refuses."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            steps = script_directory._downgrade_revs(target, tuple(heads))
            context = MigrationContext.configure(
                dialect_name="postgresql", opts={"as_sql": True, "output_buffer": Nowhere()}
            )
            maintainer = HeadMaintainer(context, tuple(heads))
            taken = []
            for step in steps:
                maintainer.update_to_step(step)
                taken.append((step.revision.revision, tuple(sorted(maintainer.heads))))
            return taken
    except (CommandError, RevisionError, AssertionError, KeyError):
        return None


class Nowhere:
    def write(self, text):
        pass

    def flush(self):
        pass


def states(script_directory):
    """Heads that a database may have: all of them, each head alone, and each revision alone."""
    yield tuple(sorted(script_directory.get_heads()))
    yield from ((revision.revision,) for revision in script_directory.walk_revisions())


def steps_or_refusal(graph, current, target):
    try:
        return graph.path_down(current, target)
    except RollbackError as error:
        return str(error)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(revisions=histories())
def test_ways_down_are_alembics(tmp_path, revisions):
    directory = write(tmp_path, revisions)
    theirs = alembics(directory)
    try:
        heads = tuple(theirs.get_heads())
    except (CommandError, RevisionError):  # labels or dependencies that make no history
        with pytest.raises(RollbackError):
            ours(directory)
        return
    graph = ours(directory)
    assert sorted(graph.heads) == sorted(heads)
    assert sorted(graph.bases) == sorted(theirs.get_bases())
    targets = [name for name, *_ in revisions]
    labels = [label for *_, label in revisions if label]
    targets += [
        targets[0][:1],
        targets[-1][:2],
        targets[-1][:3],
        f"{targets[0][:3]}+1",
        f"{targets[-1]}-1",
        f"{targets[0]}+0",
    ]
    targets += [
        form
        for label in labels
        for form in (label, label[:2], f"{label}@-1", f"{label[:3]}@base", f"{label}@{targets[0]}")
    ]
    for current, target in itertools.product(states(theirs), [*targets, "base", "base+1", "base+2", "-1", "-2"]):
        expected = way(theirs, current, target)
        found = steps_or_refusal(graph, current, target)
        if isinstance(found, str):
            # Refused beyond what Alembic refuses: what it takes with a warning, or has no single word for.
            said = ("ambiguous", "no word", "below the first revision")
            assert expected is None or any(words in found for words in said), (current, target, found)
            continue
        assert [(step.revision, step.heads) for step in found] == expected, (current, target)
        heads_now = current
        for step in found:
            assert way(theirs, heads_now, step.argument) == [(step.revision, step.heads)], (heads_now, step)
            heads_now = step.heads


LINE = [("aaaa11", [], [], None), ("bbbb22", ["aaaa11"], [], "main"), ("cccc33", ["bbbb22"], [], None)]
FORK = [*LINE, ("dddd44", ["bbbb22"], [], "side"), ("bbbb99", ["aaaa11"], [], None)]
MERGE = [*FORK, ("eeee55", ["cccc33", "dddd44"], [], None)]


@pytest.mark.parametrize(
    ("revisions", "current", "target", "taken"),
    [
        (LINE, ["cccc33"], "-1", ["cccc33"]),
        (LINE, ["cccc33"], "aaaa", ["cccc33", "bbbb22"]),
        (LINE, ["cccc33"], "a", ["cccc33", "bbbb22"]),
        (LINE, ["cccc33"], "aaa+1", ["cccc33"]),
        (LINE, ["cccc33"], "base+1", ["cccc33", "bbbb22"]),
        (LINE, ["cccc33"], "base+3", []),
        (LINE, ["cccc33"], "mai", ["cccc33"]),
        (LINE, ["cccc33"], "mai@base", ["cccc33", "bbbb22", "aaaa11"]),
        (LINE, ["cccc33"], "base", ["cccc33", "bbbb22", "aaaa11"]),
        (LINE, ["cccc33"], "cccc33", []),
        (LINE, ["cccc33"], "head", []),
        (LINE, ["cccc33"], "cccc33-2", ["cccc33", "bbbb22"]),
        (FORK, ["cccc33", "dddd44"], "side@-1", ["dddd44"]),
        (FORK, ["cccc33", "dddd44"], "cccc33@-1", ["cccc33"]),
    ],
)
def test_the_ways_that_people_name(tmp_path, revisions, current, target, taken):
    graph = ours(write(tmp_path, revisions))
    assert [step.revision for step in graph.path_down(current, target)] == taken


@pytest.mark.parametrize(
    ("revisions", "current", "target", "said"),
    [
        (
            FORK,
            ["cccc33", "dddd44"],
            "-1",
            r"-1 is ambiguous: the database has the heads cccc33, dddd44. Say which branch",
        ),
        (LINE, ["cccc33"], "ffff", "There is no revision ffff in these migrations. Heads: cccc33."),
        (FORK, ["cccc33", "dddd44"], "b", "Revision b is ambiguous: bbbb22, bbbb99"),
        (FORK, ["cccc33", "dddd44"], "aaaa11+1", "Alembic cannot go down to aaaa11\\+1: Ambiguous walk"),
        (LINE, ["cccc33"], "base+4", "Alembic cannot go down to base\\+4"),
        (FORK, ["cccc33", "dddd44"], "bbbb", "Revision bbbb is ambiguous: bbbb22, bbbb99. Say more of it."),
        (LINE, ["aaaa11"], "cccc33", "Revision cccc33 is not below aaaa11"),
        (FORK, ["cccc33"], "dddd44", "Revision dddd44 is not below cccc33"),
        (LINE, ["cccc33"], "-9", "Alembic cannot go down to -9"),
        (LINE, ["zzzz99"], "-1", "The database is at revision zzzz99, which these migrations do not have."),
        (LINE, ["cccc33"], "+1", r"\+1 goes up, and a rollback goes down"),
        (LINE, ["cccc33"], "nowhere@head", "There is no branch nowhere. Labels: main."),
        (LINE, ["cccc33"], " ", "No revision is named."),
        (LINE, ["cccc33"], "base-1", "base-1 is below the first revision"),
        (LINE, ["cccc33"], "aaaa11-1", "aaaa11-1 is below the first revision. Say -e revision=base"),
        (LINE, ["cccc33"], "bbbb22-2", "bbbb22-2 is below the first revision"),
        ([("aaaa11", ["cccc33"], [], None), *LINE[1:]], ["cccc33"], "-1", "The revisions go in a circle"),
        (
            [*LINE[:2], ("cccc33", ["bbbb22"], ["eeee55"], None)],
            ["cccc33"],
            "-1",
            "cccc33_x.py depends on revision eeee55, which is in no file",
        ),
        (LINE[1:], ["cccc33"], "-1", "bbbb22_x.py comes after revision aaaa11, which is in no file"),
    ],
)
def test_what_has_no_one_meaning_is_refused(tmp_path, revisions, current, target, said):
    with pytest.raises(RollbackError, match=said):
        ours(write(tmp_path, revisions)).path_down(current, target)


def test_an_empty_dependency_is_none(tmp_path):
    """As Alembic takes it."""
    directory = write(tmp_path, LINE)
    script = directory / "migrations/versions/bbbb22_x.py"
    script.write_text(script.read_text().replace("depends_on = None", "depends_on = ''"))
    assert "depends_on = ''" in script.read_text()
    assert sorted(ours(directory).heads) == sorted(alembics(directory).get_heads())


def test_a_revision_in_two_files_is_named(tmp_path):
    directory = write(tmp_path, LINE)
    (directory / "migrations/versions/again.py").write_text((directory / "migrations/versions/aaaa11_x.py").read_text())
    with pytest.raises(RollbackError, match=r"Revision aaaa11 is in several files: .*aaaa11_x.py, .*again.py"):
        ours(directory)
