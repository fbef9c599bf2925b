"""What we forecast for the steps of a real history, beside what really vanished: hits, false alarms, and misses."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import wheels

from ansible.module_utils.rollback.migrations import risk, scripts, tree
from ansible.module_utils.rollback.migrations.operations import COLUMN, LOSSY, ROWS, SAFE, TABLE, VALUES, StepRisk

WHOLE = "*"
# The property of a test whose value is printed when all have ended.
SHOWN = "forecasts"
# How a step fails that the test could not reach, or not run.
_OF_THE_TEST = ("its upgrade fails", "NotImplementedError: ", "ProgrammingError: ", "InternalError: ", "UndefinedTable")


@dataclass
class Score:
    """Things that were forecast and happened, that were forecast in vain, and that happened without having been forecast."""

    hits: list[str] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)
    misses: list[str] = field(default_factory=list)

    @property
    def precision(self) -> float:
        return _ratio(len(self.hits), len(self.hits) + len(self.alarms))

    @property
    def recall(self) -> float:
        return _ratio(len(self.hits), len(self.hits) + len(self.misses))

    def add(self, forecast: Collection[str], truth: Collection[str]) -> None:
        self.hits += sorted(set(forecast) & set(truth))
        self.alarms += sorted(set(forecast) - set(truth))
        self.misses += sorted(set(truth) - set(forecast))

    def __str__(self) -> str:
        return f"precision {self.precision:.3f}, recall {self.recall:.3f} ({len(self.hits)} hits)"


@dataclass
class Scores:
    """The same at three levels: does a step lose data, of which tables, of which columns."""

    steps: Score = field(default_factory=Score)
    tables: Score = field(default_factory=Score)
    columns: Score = field(default_factory=Score)

    def __iter__(self) -> Iterable[tuple[str, Score]]:
        return iter(vars(self).items())


@cache
def verdicts(name: str) -> dict[str, StepRisk]:
    """Our verdict on every step of `name`, by revision."""
    found = tree.read_versions(wheels.history(name))
    return {script.revision: risk.judge(script, found) for script in scripts.parse(found)}


def decided(name: str) -> list[str]:
    """The revisions whose verdict is safe or lossy, and so can be wrong."""
    return [revision for revision, verdict in verdicts(name).items() if verdict.risk in {SAFE, LOSSY}]


def score(truths: Mapping[str, Mapping[str, Any]]) -> Scores:
    """Our safe and lossy verdicts against `truths`: per history, per revision, as truth.py has them.

    A step whose downgrade fails tells nothing about what it would have taken, and is left out.
    """
    scores = Scores()
    for name, truth in truths.items():
        for revision in decided(name):
            really = truth.get(revision, {}).get("vanished")
            if really is None:
                continue
            verdict = verdicts(name)[revision]
            step = f"{name} {revision}"
            scores.steps.add([step] if verdict.risk == LOSSY else [], [step] if really else [])
            forecast = _pieces((loss.kind, loss.table, loss.columns) for _, loss in _losses(verdict))
            happened = _pieces((kind, table, (column,)) for kind, table, column in really)
            scores.tables.add(_named(step, forecast), _named(step, happened))
            scores.columns.add(*(({f"{step} {piece}" for piece in some}) for some in _settled(forecast, happened)))
    return scores


def tells_nothing(really: Mapping[str, Any]) -> bool:
    """Whether a step failed because of what the test could not reach, or not run."""
    return "vanished" not in really and str(really.get("failed", "")).startswith(_OF_THE_TEST)


def costly(really: Mapping[str, Any]) -> str:
    """Why a safe verdict on such a step would have been a costly one; empty if it would not. `really` is as in truth.py."""
    if really.get("vanished"):
        return f"loses {really['vanished']}"
    said = really.get("failed", "")
    # What failed on some rows alone, or because of what is not there in the test, is not the step's own refusal.
    own = said and "without_rows" not in really and not said.startswith(_OF_THE_TEST)
    return f"always fails: {said}" if own else ""


def _losses(verdict: StepRisk) -> Iterable[tuple[int, Any]]:
    return ((operation.line, loss) for operation in verdict.operations for loss in operation.losses)


def _pieces(losses: Iterable[tuple[str, str, Iterable[str]]]) -> set[str]:
    """`table.*` for a table or its rows, `table.column` for each column or its values."""
    found: set[str] = set()
    for kind, table, columns in losses:
        assert kind in {TABLE, ROWS, COLUMN, VALUES}
        found |= {f"{table}.{WHOLE}"} if kind in {TABLE, ROWS} else {f"{table}.{column}" for column in columns}
    return found


def _settled(forecast: set[str], happened: set[str]) -> tuple[set[str], set[str]]:
    """The same with what is said twice said once: rows that go take their values along.

    Who said that rows go was right where only some of their values went, for the whole rows are then saved.
    """
    said, went = (_named_whole(pieces) for pieces in (forecast, happened))
    return (
        {piece for piece in forecast if piece.endswith(WHOLE) or piece.partition(".")[0] not in said | went},
        {f"{table}.{WHOLE}" if table in said else piece for piece in happened for table in [piece.partition(".")[0]]},
    )


def _named_whole(pieces: Iterable[str]) -> set[str]:
    return {piece.partition(".")[0] for piece in pieces if piece.endswith(WHOLE)}


def _named(step: str, pieces: Iterable[str]) -> set[str]:
    return {f"{step} {piece.partition('.')[0]}" for piece in pieces}


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 1.0
