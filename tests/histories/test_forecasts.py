"""What we say a downgrade would destroy, against what real downgrades of real histories destroy on a real PostgreSQL.

All steps are compared with what was measured once (truth/). A sample of our verdicts is measured anew in every run:
HISTORIES_SAMPLE steps (40), chosen by HISTORIES_SEED (1); HISTORIES_SAMPLE=all measures everything, in about twenty minutes.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from random import Random
from typing import Any

import forecasts
import pytest
import throwaway
import truth
import wheels

from ansible.module_utils.rollback.migrations.operations import IRREVERSIBLE, SAFE, UNKNOWN

SAMPLE = os.environ.get("HISTORIES_SAMPLE", "40")
SEED = int(os.environ.get("HISTORIES_SEED", "1"))

# Below what was measured (README.md), by a little: what a change must not fall below.
# The first six have bars of their own, so that many others do not hide what becomes worse in them.
FIRST = ("mlflow", "apache-airflow-core", "jupyterhub", "optuna", "prefect", "argilla-server")
BARS = {
    FIRST: {"steps": 0.97, "tables": 0.94, "columns": 0.93},
    tuple(wheels.measured()): {"steps": 0.95, "tables": 0.93, "columns": 0.92},
}
LEAST_RECALL = {"steps": 1.0, "tables": 0.99, "columns": 0.99}
MOST_UNKNOWN = {FIRST: 0.03, tuple(wheels.WHEELS): 0.045}

# Operations that take nothing away: a type is only ever widened in a step that is called safe.
HARMLESS = {
    *("create_table", "add_column", "create_index", "drop_index", "drop_constraint", "create_unique_constraint"),
    *("create_foreign_key", "create_check_constraint", "create_primary_key", "alter_column", "rename_table"),
}
# Safe verdicts on other operations that are not measured, and what the script was found to do.
READ = {
    "apache-superset f1edd4a4d4f2": "json becomes text",
    "flexmeasures 564e8df4e3a9": "renames tables, sequences, indexes and constraints",
    "galaxy-data 3356bc2ecfc4": "creates a view",
    "galaxy-data 9a5207190a4d": "reads whether a name occurs twice before it makes the index unique again",
    "galaxy-data c39f1de47a04": "replaces a view",
    "indico 66ecbb1c0ddd": "drops a function",
    "indico f7ab9ee32bdf": "moves verbose_name to name, which the upgrade made of other columns where there was none",
    "indico c5c21246445a": "renames a table, its index, sequence and constraint",
    "indico 27c45c384d65": "adds a column, whose default it reads from another table",
    "indico ec410be271df": "adds a column, whose default it reads from another table",
    "indico 3e4a0c08eae6": "gives constraints other names",
    "indico 8521bce91242": "fills a column that it has just added",
    "indico 06a4ec717b84": "jsonb becomes json",
    "indico 56a26a721717": "replaces a check constraint",
    "indico 4f0b4dd412b5": "replaces constraints",
    "indico 26806768cd3f": "inserts rows",
    "indico 0c4bb2973536": "copies two columns to a table of its own before it drops them",
    "lemur 1ae8e3104db8": "takes a label from an enum, which fails if a row has it",
    "lemur 9f79024fe67b": "takes labels from an enum, which fails if a row has one of them",
    "privacyidea b1a2c3d4e5f6": "drops a sequence",
    "tiled 3e87cbeb195b": "creates an extension for its index",
    "tiled 917dbbcfc4b1": "renames a table and its constraints",
}

Truths = dict[str, dict[str, Any]]
Record = Callable[[str, object], None]


@pytest.fixture(scope="session")
def sample() -> dict[str, list[str]]:
    """Per history the revisions to measure, among those whose verdict is safe or lossy."""
    steps = [(name, revision) for name in wheels.measured() for revision in forecasts.decided(name)]
    every = [(name, revision) for name in wheels.measured() for revision in truth.known(name)]
    chosen = every if SAMPLE == "all" else Random(SEED).sample(steps, int(SAMPLE))  # noqa: S311 - no secret
    return {name: [revision for where, revision in chosen if where == name] for name in wheels.measured()}


@pytest.fixture(scope="session")
def measured(sample: dict[str, list[str]], databases: throwaway.Databases) -> Truths:
    """Two histories at a time, each on a server of its own: Alembic and PostgreSQL wait for each other."""
    free: SimpleQueue[throwaway.Databases] = SimpleQueue()

    def measure(wanted: tuple[str, list[str]]) -> tuple[str, dict[str, Any]]:
        name, revisions = wanted
        place = free.get()
        try:
            return name, truth.measure(name, place, revisions)
        finally:
            free.put(place)

    with throwaway.server() as second, ThreadPoolExecutor(2) as pool:
        free.put(databases)
        free.put(second)
        return dict(pool.map(measure, [wanted for wanted in sample.items() if wanted[1]]))


@pytest.mark.slow
@pytest.mark.postgres15
@pytest.mark.timeout(900)
def test_what_was_measured_once_is_measured_again(measured: Truths) -> None:
    known = {name: {revision: truth.known(name)[revision] for revision in found} for name, found in measured.items()}

    assert _what_they_tell(measured) == _what_they_tell(known)


def _what_they_tell(truths: Truths) -> Truths:
    """A step that could not be run here tells nothing, and not each time in the same words."""
    return {
        name: {revision: {} if forecasts.tells_nothing(found) else found for revision, found in steps.items()}
        for name, steps in truths.items()
    }


@pytest.mark.slow
@pytest.mark.postgres15
def test_sampled_verdicts_hold(measured: Truths, record_property: Record) -> None:
    scores = forecasts.score(measured)
    record_property(forecasts.SHOWN, _shown(f"{sum(map(len, measured.values()))} steps, measured now", scores))

    score = scores.steps
    assert score.hits, "the sample holds no step that loses data"
    assert score.misses == []


@pytest.mark.parametrize("names", BARS, ids=len)
def test_precision_and_recall(names: tuple[str, ...], record_property: Record) -> None:
    scores = forecasts.score({name: truth.known(name) for name in names})
    record_property(forecasts.SHOWN, _shown(f"all steps of {len(names)} histories", scores))

    assert [level for level, score in scores if score.precision < BARS[names][level]] == []
    assert [level for level, score in scores if score.recall < LEAST_RECALL[level]] == []


@pytest.mark.parametrize("name", wheels.measured())
def test_no_step_that_loses_data_or_always_fails_is_called_safe(name: str) -> None:
    safe = [revision for revision, verdict in forecasts.verdicts(name).items() if verdict.risk == SAFE]
    costly = {revision: found for revision in safe if (found := forecasts.costly(truth.known(name)[revision]))}

    assert costly == {}


@pytest.mark.parametrize("name", [name for name in wheels.WHEELS if name not in wheels.measured()])
def test_a_safe_verdict_that_is_not_measured_was_checked_against_its_script(name: str) -> None:
    """Operations that are not harmless by their kind are listed in READ, with what the script was found to do."""
    doubtful = {
        f"{name} {revision}"
        for revision, verdict in forecasts.verdicts(name).items()
        if verdict.risk == SAFE and {done.kind for done in verdict.operations} - HARMLESS
    }

    assert sorted(doubtful - READ.keys()) == []


@pytest.mark.parametrize("name", wheels.measured())
def test_an_irreversible_step_fails_or_leaves_all_as_it_is(name: str) -> None:
    irreversible = [revision for revision, verdict in forecasts.verdicts(name).items() if verdict.risk == IRREVERSIBLE]

    assert {revision: truth.known(name)[revision].get("vanished", []) for revision in irreversible} == {
        key: [] for key in irreversible
    }


@pytest.mark.parametrize(("names", "most"), MOST_UNKNOWN.items(), ids=["first", "all"])
def test_few_steps_stay_unknown(names: tuple[str, ...], most: float) -> None:
    risks = [verdict.risk for name in names for verdict in forecasts.verdicts(name).values()]

    assert risks.count(UNKNOWN) / len(risks) <= most


@pytest.mark.parametrize("name", wheels.measured())
def test_truth_is_known_for_every_step(name: str) -> None:
    assert truth.known(name).keys() == forecasts.verdicts(name).keys()


def _shown(what: str, scores: forecasts.Scores) -> str:
    lines = [f"{what}:"]
    for level, score in scores:
        lines.append(f"  {level}: {score}")
        for kind, mistakes in (("false alarm", score.alarms), ("miss", score.misses)):
            lines += [f"    {kind}: {one}" for one in mistakes]
    return "\n".join(lines)
