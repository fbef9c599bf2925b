"""What we say a downgrade would destroy, against what real downgrades of real histories destroy on a real PostgreSQL.

All steps are compared with what was measured once (truth/). A sample of our verdicts is measured anew in every run:
HISTORIES_SAMPLE steps (40), chosen by HISTORIES_SEED (1); HISTORIES_SAMPLE=all measures everything, in about eight minutes.
"""

from __future__ import annotations

import os
from random import Random
from typing import Any

import forecasts
import pytest
import throwaway
import truth
import wheels

from ansible.module_utils.rollback.migrations.operations import IRREVERSIBLE, UNKNOWN

SAMPLE = os.environ.get("HISTORIES_SAMPLE", "40")
SEED = int(os.environ.get("HISTORIES_SEED", "1"))

# Below what was measured (README.md), by a little: what a change must not fall below.
LEAST_PRECISION = {"steps": 0.97, "tables": 0.94, "columns": 0.93}
LEAST_RECALL = {"steps": 0.99, "tables": 0.99, "columns": 0.99}
MOST_UNKNOWN = 0.03

Truths = dict[str, dict[str, Any]]


@pytest.fixture(scope="session")
def sample() -> dict[str, list[str]]:
    """Per history the revisions to measure, among those whose verdict is safe or lossy."""
    steps = [(name, revision) for name in wheels.WHEELS for revision in forecasts.decided(name)]
    every = [(name, revision) for name in wheels.WHEELS for revision in truth.known(name)]
    chosen = every if SAMPLE == "all" else Random(SEED).sample(steps, int(SAMPLE))  # noqa: S311 - no secret
    return {name: [revision for where, revision in chosen if where == name] for name in wheels.WHEELS}


@pytest.fixture(scope="session")
def measured(sample: dict[str, list[str]], databases: throwaway.Databases) -> Truths:
    return {name: truth.measure(name, databases, revisions) for name, revisions in sample.items() if revisions}


@pytest.mark.slow
@pytest.mark.postgres15
@pytest.mark.timeout(900)
def test_what_was_measured_once_is_measured_again(measured: Truths) -> None:
    known = {name: {revision: truth.known(name)[revision] for revision in found} for name, found in measured.items()}

    assert measured == known


@pytest.mark.slow
@pytest.mark.postgres15
def test_sampled_verdicts_hold(measured: Truths, capsys: pytest.CaptureFixture[str]) -> None:
    _show(f"{sum(map(len, measured.values()))} steps, measured now", forecasts.score(measured), capsys)

    score = forecasts.score(measured).steps
    assert score.hits, "the sample holds no step that loses data"
    assert score.misses == []


def test_precision_and_recall_over_all_histories(capsys: pytest.CaptureFixture[str]) -> None:
    scores = forecasts.score({name: truth.known(name) for name in wheels.WHEELS})
    _show("all steps", scores, capsys)

    assert {level: score.precision >= LEAST_PRECISION[level] for level, score in scores} == dict.fromkeys(
        LEAST_RECALL, True
    )
    assert {level: score.recall >= LEAST_RECALL[level] for level, score in scores} == dict.fromkeys(LEAST_RECALL, True)


@pytest.mark.parametrize("name", wheels.WHEELS)
def test_an_irreversible_step_fails_or_leaves_all_as_it_is(name: str) -> None:
    irreversible = [revision for revision, verdict in forecasts.verdicts(name).items() if verdict.risk == IRREVERSIBLE]

    assert {revision: truth.known(name)[revision].get("vanished", []) for revision in irreversible} == {
        key: [] for key in irreversible
    }


def test_few_steps_stay_unknown() -> None:
    risks = [verdict.risk for name in wheels.WHEELS for verdict in forecasts.verdicts(name).values()]

    assert risks.count(UNKNOWN) / len(risks) <= MOST_UNKNOWN


@pytest.mark.parametrize("name", wheels.WHEELS)
def test_truth_is_known_for_every_step(name: str) -> None:
    assert truth.known(name).keys() == forecasts.verdicts(name).keys()


def _show(what: str, scores: forecasts.Scores, capsys: pytest.CaptureFixture[str]) -> None:
    """Into the output of every run: the numbers are what this is for."""
    with capsys.disabled():
        print(f"\n{what}:")
        for level, score in scores:
            print(f"  {level}: {score}")
            for kind, mistakes in (("false alarm", score.alarms), ("miss", score.misses)):
                for one in mistakes:
                    print(f"    {kind}: {one}")
