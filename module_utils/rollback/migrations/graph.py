"""The graph of revisions, and the way from one to another: every identifier means what Alembic means by it."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from typing import Any, FrozenSet, Iterable, List, Sequence, Set, Tuple

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.migrations.revision_map import revision as alembic_revision
from ansible.module_utils.rollback.migrations.scripts import Script
from ansible.module_utils.rollback.words import listed

_RELATIVE = re.compile(r"(?:(?P<label>.+?)@)?(?P<symbol>\w+)?(?P<steps>[+-]\d+)")


@dataclass(frozen=True)
class Step:
    """`revision` is taken back (or applied); the database is at `heads` then. Alembic does exactly that when it is told `argument`."""

    revision: str
    heads: Tuple[str, ...]
    argument: str


class Graph:
    """Raises RollbackError where the scripts make no graph: a revision twice, one that is missing, or a circle."""

    def __init__(self, scripts: Sequence[Script]) -> None:
        self.scripts = {script.revision: script for script in scripts}
        twice = sorted({script.revision for script in scripts if scripts_named(scripts, script.revision) > 1})
        if twice:
            paths = [script.path for script in scripts if script.revision == twice[0]]
            raise RollbackError(
                f"Revision {twice[0]} is in several files: {listed(paths)}.",
                "Alembic would take one of them; remove the other.",
            )
        missing = sorted({below for script in scripts for below in script.down_revisions if below not in self.scripts})
        if missing:
            (wanting, *_) = [script.path for script in scripts if missing[0] in script.down_revisions]
            raise RollbackError(
                f"{wanting} comes after revision {missing[0]}, which is in no file.",
                "Take the files of a whole release.",
            )
        known = {label for script in scripts for label in script.branch_labels} | self.scripts.keys()
        for script in scripts:
            for needed in sorted(set(script.depends_on) - known):
                raise RollbackError(
                    f"{script.path} depends on revision {needed}, which is in no file.",
                    "Let version_locations of Alembic's configuration name every directory of revisions.",
                )
        with _quiet():
            self._map = alembic_revision.RevisionMap(lambda: [_revision(script) for script in scripts])
            try:
                self.heads: Tuple[str, ...] = tuple(self._map.heads)
                self.bases: Tuple[str, ...] = tuple(self._map.bases)
            except alembic_revision.CycleDetected as error:
                raise RollbackError(
                    f"The revisions go in a circle: {error}.", "Mend down_revision of one of them."
                ) from error
            except alembic_revision.RevisionError as error:
                raise RollbackError(f"The revisions make no graph: {error}.") from error

    def path_down(self, current: Sequence[str], target: str) -> List[Step]:
        """The revisions that `alembic downgrade <target>` takes back from heads `current`, first to last; empty where it is there already.

        Raises RollbackError where `target` is not one thing below `current`.
        """
        self._known(current)
        self._checked(current, target)
        revisions = self._collected(tuple(current), target)
        steps: List[Step] = []
        heads: FrozenSet[str] = frozenset(current)
        for revision in revisions:
            argument = self._argument(tuple(sorted(heads)), revision)
            heads = self._without(heads, revision)
            steps.append(Step(revision, tuple(sorted(heads)), argument))
        return steps

    def _known(self, current: Sequence[str]) -> None:
        unknown = [revision for revision in current if revision not in self.scripts]
        if unknown:
            raise RollbackError(
                f"The database is at revision {listed(unknown)}, which these migrations do not have.",
                "Only the release that applied it has its downgrade: name that release's migrations, or restore with -e method=restore.",
            )

    def _checked(self, current: Sequence[str], target: str) -> None:
        """Refuse what Alembic would take in a sense that nobody means."""
        if not target.strip():
            raise RollbackError("No revision is named.", "Say -e revision=<id>, -1, or base.")
        relative = _RELATIVE.fullmatch(target)
        if relative and not relative["symbol"] and not relative["label"] and len(set(current)) > 1:
            branches = listed(f"{label}@{relative['steps']}" for label in self._branches(current))
            raise RollbackError(
                f"{target} is ambiguous: the database has the heads {listed(sorted(current))}.",
                f"Say which branch: -e revision={branches}.",
            )
        if relative and int(relative["steps"]) >= 0 and not relative["symbol"]:
            raise RollbackError(
                f"{target} goes up, and a rollback goes down.", "Say -e revision=-1, or name a revision."
            )
        if relative and relative["symbol"]:
            self._refuse_too_far(target, relative["symbol"], -int(relative["steps"]))
        label, at, symbol = target.rpartition("@")
        if at and not self._named(label):
            known = sorted({label for script in self.scripts.values() for label in script.branch_labels})
            raise RollbackError(f"There is no branch {label}.", f"Labels: {listed(known) or 'none'}.")
        plain = symbol if at else target
        if relative and relative["symbol"]:
            plain = relative["symbol"]
        if plain in ("head", "heads", "base", "") or (relative and not relative["symbol"]):
            return
        found = self._named(plain)
        if len(found) > 1:
            raise RollbackError(f"Revision {plain} is ambiguous: {listed(found)}.", "Say more of it.")
        if not found:
            raise RollbackError(f"There is no revision {plain} in these migrations.", f"Heads: {listed(self.heads)}.")

    def _named(self, start: str) -> List[str]:
        """The revisions and labels that an identifier means to Alembic: itself, or what begins with it and has four characters."""
        names = [name for name in self._map._revision_map if isinstance(name, str) and name]
        return [start] if start in names else sorted(name for name in names if len(name) > 3 and name.startswith(start))

    def _refuse_too_far(self, target: str, symbol: str, steps: int) -> None:
        """Below the first revision there is nothing; Alembic takes that for all of them."""
        known = [name for name in self._named(symbol) if name in self.scripts]
        below = list(known) if len(known) == 1 else []
        for _ in range(steps):
            below = list(self.scripts[below[0]].down_revisions) if below else []
        if (symbol == "base" and steps >= 0) or (known and not below and steps > 0):
            raise RollbackError(
                f"{target} is below the first revision.", "Say -e revision=base to take back all of them."
            )

    def _branches(self, current: Sequence[str]) -> List[str]:
        """A name for the branch of each head: its label, or the head itself."""
        names = []
        for head in sorted(current):
            revision = self._map.get_revision(head)
            labels = sorted(getattr(revision, "branch_labels", ()) or ())
            names.append(labels[0] if labels else head)
        return names

    def _collected(self, current: Tuple[str, ...], target: str) -> List[str]:
        try:
            with _quiet():
                found = self._map.iterate_revisions(current, target, select_for_downgrade=True)
                return [revision.revision for revision in found]
        except alembic_revision.RangeNotAncestorError as error:
            raise RollbackError(
                f"Revision {target} is not below {listed(current) or 'base'}, where the database is, so there is no way down to it.",
                "Name one of its ancestors.",
            ) from error
        except (alembic_revision.RevisionError, AssertionError, ValueError) as error:
            said = str(error).rstrip(".") or "it does not say why"
            raise RollbackError(f"Alembic cannot go down to {target}: {said}.", "Name a revision by its id.") from error

    def _argument(self, heads: Tuple[str, ...], revision: str) -> str:
        """What to tell Alembic at `heads` so that it takes back `revision` and nothing else."""
        script = self.scripts[revision]
        below = list(script.down_revisions)
        tries = [*below, *(["base"] if not below else []), *(f"{revision}@{name}" for name in below)]
        tries += [f"{revision}@-1", f"{revision}-1", f"{revision}@base"]
        tries += [f"{label}@-1" for label in script.branch_labels]
        for argument in tries:
            try:
                if self._collected(heads, argument) == [revision]:
                    return argument
            except RollbackError:
                continue
        raise RollbackError(
            f"Alembic has no word for taking back revision {revision} alone from {listed(heads)}.",
            "Go down to a revision on the other side of that branch, or restore with -e method=restore.",
        )

    def _without(self, heads: FrozenSet[str], revision: str) -> FrozenSet[str]:
        """The heads that Alembic writes after one revision is taken back: what it stood on, unless another head carries that."""
        others = set(heads) - {revision}
        below = set(getattr(self._map.get_revision(revision), "_normalized_down_revisions", ()))
        # Where there are other heads, Alembic does not look whether one of those below carries another of them.
        covered = self._ancestors(others) if others else self._ancestors(below, strictly=True)
        return frozenset(others | (below - covered))

    def _ancestors(self, revisions: Iterable[str], strictly: bool = False) -> Set[str]:
        found: Set[str] = set()
        waiting = [(revision, True) for revision in revisions]
        while waiting:
            name, first = waiting.pop()
            if not (first and strictly):
                if name in found:
                    continue
                found.add(name)
            known = self._map.get_revision(name)
            waiting += [(below, False) for below in getattr(known, "_all_down_revisions", ())]
        return found


def scripts_named(scripts: Sequence[Script], revision: str) -> int:
    return sum(1 for script in scripts if script.revision == revision)


def _revision(script: Script) -> Any:
    return alembic_revision.Revision(
        script.revision,
        script.down_revisions or None,
        dependencies=script.depends_on or None,
        branch_labels=script.branch_labels or None,
    )


class _quiet(warnings.catch_warnings):
    """Alembic warns where this package refuses."""

    def __enter__(self) -> None:
        super().__enter__()
        warnings.simplefilter("ignore")
