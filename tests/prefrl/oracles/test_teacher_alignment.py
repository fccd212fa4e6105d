"""Every step of B-Pref's teachers against a plain implementation of the formulas, sharing no code with ours.

The reference gives the probability of each possible answer by enumeration; the oracle's frequencies must agree with it.
"""

from __future__ import annotations

import collections
import itertools
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefrl.config import QueryConfig, RunConfig, ScheduleConfig, TeacherConfig
from prefrl.data.types import Provenance, Query, Segment
from prefrl.loop import OracleWorker
from prefrl.oracles import TEACHERS, SyntheticOracle, find_teacher
from prefrl.storage import Episode, Store
from prefrl.storage.run_dir import RunDir

Ranks = tuple[int, ...] | None
STEPS, EPISODE_STEPS = 4, 40


def query_of(rewards: Sequence[Sequence[float]], number: int) -> Query:
    ends = np.zeros(STEPS, bool)
    return Query(
        tuple(
            Segment(
                np.zeros((STEPS, 1)),
                np.zeros(STEPS),
                np.array(each),
                ends,
                ends,
                Provenance("E-v0", seed, 0, 0),
            )
            for seed, each in enumerate(rewards)
        ),
        id=number,
    )


def reference(
    teacher: TeacherConfig, rewards: Sequence[Sequence[float]], returns: Sequence[float]
) -> dict[Ranks, float]:
    """Probability of each answer, where no return of an episode is negative."""
    recent = returns[-10:]
    per_segment = sum(recent) / len(recent) * STEPS / EPISODE_STEPS
    sums = [sum(each) for each in rewards]
    if teacher.skip > 0 and max(sums) <= teacher.skip * per_segment:
        return {None: 1.0}
    groups = equal_groups(sums, teacher.equal * per_segment)
    myopic = [sum(teacher.gamma ** (STEPS - 1 - step) * r for step, r in enumerate(each)) for each in rewards]
    values = [sum(myopic[item] for item in group) / len(group) for group in groups]
    answers: dict[Ranks, float] = collections.defaultdict(float)
    for order, probability in rankings(values, teacher.beta):
        for flipped, share in mistakes(order, teacher.mistake):
            rank_of = {item: place + 1 for place, group in enumerate(flipped) for item in groups[group]}
            answers[tuple(rank_of[item] for item in range(len(rewards)))] += probability * share
    return {ranks: probability for ranks, probability in answers.items() if probability > 0}


def equal_groups(sums: list[float], threshold: float) -> list[list[int]]:
    """Items linked by differences below the threshold, directly or through others."""
    groups: list[list[int]] = []
    for item in range(len(sums)):
        near = [
            group for group in groups if any(abs(sums[item] - sums[other]) < threshold for other in group)
        ]
        groups = [group for group in groups if group not in near] + [sorted([item, *itertools.chain(*near)])]
    return groups


def rankings(values: list[float], beta: float) -> list[tuple[list[int], float]]:
    """Orders from the best, with their probabilities: by value, or by Bradley-Terry and Plackett-Luce."""
    if math.isinf(beta):
        return [(sorted(range(len(values)), key=lambda group: -values[group]), 1.0)]
    found = []
    for order in itertools.permutations(range(len(values))):
        probability = 1.0
        for place in range(len(order)):
            weights = [math.exp(beta * values[group]) for group in order[place:]]
            probability *= weights[0] / sum(weights)
        found.append((list(order), probability))
    return found


def mistakes(order: list[int], mistake: float) -> list[tuple[list[int], float]]:
    """The order as it is, or with two neighbours swapped."""
    pairs = len(order) - 1
    found = [(order, 1.0 - mistake if pairs else 1.0)]
    for place in range(pairs):
        swapped = list(order)
        swapped[place], swapped[place + 1] = swapped[place + 1], swapped[place]
        found.append((swapped, mistake / pairs))
    return found


def observed(
    teacher: TeacherConfig, rewards: Sequence[Sequence[float]], returns: Sequence[float], answers: int
) -> dict[Ranks, float]:
    oracle = SyntheticOracle(teacher, seed=1)
    oracle.observe_episodes([(value, EPISODE_STEPS) for value in returns])
    counted = collections.Counter(oracle.answer(query_of(rewards, number)).ranks for number in range(answers))
    return {ranks: count / answers for ranks, count in counted.items()}


def episode(rng: np.random.Generator, items: int) -> tuple[np.ndarray, np.ndarray]:
    """Rewards (K, H) and true returns of 12 episodes, none negative."""
    return rng.uniform(0, 2, (items, STEPS)).astype(np.float32), rng.uniform(0, 80, 12)


@pytest.mark.parametrize("items", [2, 3, 4])
@pytest.mark.parametrize("name", [name for name in TEACHERS if name not in ("noisy", "mistake")])
def test_teachers_without_chance_answer_as_the_formulas_say(name: str, items: int) -> None:
    rng = np.random.default_rng(items)
    kinds = set()
    for _ in range(60):
        rewards, returns = episode(rng, items)
        rewards *= rng.choice([0.05, 1.0])  # some far below the threshold for skipping
        expected = reference(find_teacher(name), rewards.tolist(), returns.tolist())
        assert observed(find_teacher(name), rewards.tolist(), returns.tolist(), 1) == expected
        kinds |= {
            "skip" if ranks is None else "tie" if max(ranks) < items else "strict" for ranks in expected
        }
    assert {"skip": "skip", "equal": "tie"}.get(name, "strict") in kinds
    assert "strict" in kinds


@pytest.mark.parametrize("items", [2, 3])
@pytest.mark.parametrize(
    "teacher",
    [
        find_teacher("noisy"),
        find_teacher("mistake"),
        TeacherConfig(beta=0.5, gamma=0.8, mistake=0.2, equal=0.15),
        TeacherConfig(beta=2.0, mistake=0.5, skip=0.1),
    ],
)
def test_answers_by_chance_have_the_probabilities_of_the_formulas(teacher: TeacherConfig, items: int) -> None:
    rng = np.random.default_rng(5)
    for _ in range(3):
        rewards, returns = episode(rng, items)
        expected = reference(teacher, rewards.tolist(), returns.tolist())
        found = observed(teacher, rewards.tolist(), returns.tolist(), 3000)
        assert set(found) <= set(expected)
        for ranks, probability in expected.items():
            # Five standard deviations of a frequency over 3,000 answers.
            assert found.get(ranks, 0.0) == pytest.approx(probability, abs=5 * 0.5 / math.sqrt(3000))


@given(
    rewards=st.lists(
        st.lists(st.floats(0, 4, width=16), min_size=STEPS, max_size=STEPS), min_size=2, max_size=4
    ),
    returns=st.lists(st.integers(0, 60).map(float), min_size=1, max_size=12),
    gamma=st.sampled_from([1.0, 0.9]),
)
def test_skip_equal_and_myopic_together_for_any_rewards(
    rewards: list[list[float]], returns: list[float], gamma: float
) -> None:
    teacher = TeacherConfig(gamma=gamma, skip=0.3, equal=0.23)
    per_segment = sum(returns[-10:]) / len(returns[-10:]) * STEPS / EPISODE_STEPS
    sums = [sum(each) for each in rewards]
    myopic = [sum(gamma ** (STEPS - 1 - step) * r for step, r in enumerate(each)) for each in rewards]
    gaps = [abs(a - b) - 0.23 * per_segment for a, b in itertools.combinations(sums, 2)]
    ties = [abs(a - b) for a, b in itertools.combinations(myopic, 2)]
    if min(map(abs, [max(sums) - 0.3 * per_segment, *gaps])) < 1e-6 or min(ties) < 1e-6:
        return  # on a threshold rounding decides, and equal returns are a tie of ours alone
    assert observed(teacher, rewards, returns, 1) == reference(teacher, rewards, returns)


def test_thresholds_stay_a_tenth_however_often_they_are_set() -> None:
    """The public code multiplies by eps again at each session."""
    oracle = SyntheticOracle(find_teacher("equal"), seed=0)
    close, apart = [[0.9, 0, 0, 0], [0.0] * 4], [[1.1, 0, 0, 0], [0.0] * 4]
    for number in range(3):
        oracle.observe_episodes([(100.0, EPISODE_STEPS)])  # delta = 0.1 * 100 * 4 / 40 = 1
        assert oracle.answer(query_of(close, number)).ranks == (1, 1)
        assert oracle.answer(query_of(apart, number)).ranks == (1, 2)


@pytest.mark.parametrize("teacher", [find_teacher("equal"), find_teacher("skip")])
def test_on_negative_returns_the_thresholds_still_work(teacher: TeacherConfig) -> None:
    """The public code's threshold is negative there: nothing is ever equal, and hardly anything skipped."""
    rng = np.random.default_rng(0)
    returns, found = (-rng.uniform(20, 80, 10)).tolist(), collections.Counter[str]()
    for _ in range(100):
        rewards = -rng.uniform(0, 4, (2, STEPS))
        (ranks,) = observed(teacher, rewards.tolist(), returns, 1)
        found["skip" if ranks is None else "tie" if ranks == (1, 1) else "strict"] += 1
    assert found["strict"] > 50
    assert found["tie" if teacher.equal else "skip"] > 0


def test_skipped_queries_do_not_use_up_the_label_budget(tmp_path: Path) -> None:
    teacher = find_teacher("skip")
    config = RunConfig(
        labels=10, queries=QueryConfig(candidates=1, batch=5), schedule=ScheduleConfig(initial_share=1.0)
    )
    run = RunDir.create(tmp_path / "run", config)
    with Store.open(run.store, create=True) as store:
        rng = np.random.default_rng(0)
        rewards = rng.uniform(0, 1, (80, 1, STEPS)) * (rng.random((80, 1, 1)) < 0.3)
        # One query of them all gives each its own seed: equal segments would be stored once.
        store.add_segments(query_of(rewards[:, 0].tolist(), 1).segments, 100)
        store.add_episodes([Episode(0, 20.0, EPISODE_STEPS)])
        worker = OracleWorker(run, store, config, SyntheticOracle(teacher, 0))
        while worker.step():
            pass
        counts = store.counts()
    assert counts.labels == 10
    assert counts.cant_tell > 0
    assert counts.queries == counts.labels + counts.cant_tell
