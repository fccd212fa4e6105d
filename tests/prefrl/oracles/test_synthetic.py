"""The synthetic teachers, by hand and for any rewards."""

from __future__ import annotations

import collections
import dataclasses
import itertools
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefrl.config import TeacherConfig
from prefrl.data.types import Provenance, Query, Segment
from prefrl.oracles.base import Oracle
from prefrl.oracles.synthetic import TEACHERS, SyntheticOracle, chain_ties, discounted_return, find_teacher

Ranks = tuple[int, ...] | None
REWARDS = st.lists(st.floats(-100, 100, width=32), min_size=3, max_size=3)


def segment(rewards: Sequence[float], seed: int = 0) -> Segment:
    ends = np.zeros(len(rewards), bool)
    return Segment(
        observations=np.zeros((len(rewards), 1), np.float32),
        actions=np.zeros((len(rewards), 1), np.float32),
        true_rewards=np.array(rewards, np.float32),
        terminated=ends,
        truncated=ends,
        provenance=Provenance("E-v0", seed, 0, 0),
    )


def query(*rewards: Sequence[float], query_id: int | None = 1) -> Query:
    return Query(tuple(segment(each, seed) for seed, each in enumerate(rewards)), id=query_id)


def ranks(teacher: TeacherConfig, asked: Query, episodes: Sequence[tuple[float, int]] = ()) -> Ranks:
    oracle = SyntheticOracle(teacher, seed=0)
    oracle.observe_episodes(episodes)
    return oracle.answer(asked).ranks


def frequencies(teacher: TeacherConfig, *rewards: Sequence[float], answers: int = 4000) -> dict[Ranks, float]:
    oracle = SyntheticOracle(teacher, seed=0)
    asked = query(*rewards)
    given_ranks = (oracle.answer(dataclasses.replace(asked, id=number)).ranks for number in range(answers))
    return {key: count / answers for key, count in collections.Counter(given_ranks).items()}


def test_the_named_teachers_are_those_of_the_paper() -> None:
    rows = {name: dataclasses.astuple(find_teacher(name)) for name in TEACHERS}
    assert rows == {
        "oracle": (math.inf, 1, 0, 0, 0),
        "mistake": (math.inf, 1, 0.1, 0, 0),
        "noisy": (1, 1, 0, 0, 0),
        "skip": (math.inf, 1, 0, 0.1, 0),
        "equal": (math.inf, 1, 0, 0, 0.1),
        "myopic": (math.inf, 0.9, 0, 0, 0),
    }


def test_a_comparison_names_query_and_annotator() -> None:
    oracle: Oracle = SyntheticOracle(find_teacher("oracle"), seed=0, name="teacher")
    comparison = oracle.answer(query([1.0], [2.0], query_id=42))
    assert (comparison.query_id, comparison.annotator, comparison.latency_s) == (42, "teacher", 0)
    assert comparison.ranks == (2, 1)


@given(st.lists(REWARDS, min_size=2, max_size=5))
def test_the_perfect_teacher_ranks_by_return(rewards: list[list[float]]) -> None:
    answer = ranks(find_teacher("oracle"), query(*rewards), episodes=[(-5.0, 10)])
    assert answer is not None
    returns = [math.fsum(each) for each in rewards]
    for (rank_a, return_a), (rank_b, return_b) in itertools.combinations(
        zip(answer, returns, strict=True), 2
    ):
        assert np.sign(rank_b - rank_a) == np.sign(return_a - return_b)


def test_equal_returns_are_a_tie_whatever_the_order_of_the_rewards() -> None:
    assert ranks(find_teacher("oracle"), query([1.0] * 5, [1.0] * 5)) == (1, 1)
    # Summed from the left in float64, these two differ in the last bit.
    assert ranks(find_teacher("oracle"), query([0.1, 0.2, 0.3], [0.3, 0.2, 0.1])) == (1, 1)
    assert ranks(find_teacher("oracle"), query([2.0], [1.0], [2.0])) == (1, 2, 1)
    assert frequencies(find_teacher("mistake"), [1.0], [1.0], answers=50) == {(1, 1): 1.0}


def test_the_myopic_teacher_weighs_the_last_steps_most() -> None:
    assert discounted_return(segment([1.0, 2.0, 4.0]), 0.5) == 0.25 + 1 + 4
    early, late = [3.0, 0.0, 0.0], [0.0, 0.0, 2.8]
    assert ranks(find_teacher("oracle"), query(early, late)) == (1, 2)
    assert ranks(find_teacher("myopic"), query([3.0, 0.0, 0.0], late)) == (2, 1)  # 3 * 0.81 < 2.8


def test_the_noisy_teacher_draws_from_the_softmax() -> None:
    observed = frequencies(find_teacher("noisy"), [1.0], [0.0])
    assert observed[1, 2] == pytest.approx(1 / (1 + math.exp(-1)), abs=0.025)
    assert set(observed) == {(1, 2), (2, 1)}


def test_noisy_rankings_follow_plackett_luce() -> None:
    values = [1.0, 0.5, 0.0]
    observed = frequencies(TeacherConfig(beta=2.0), *([value] for value in values), answers=6000)
    for order in itertools.permutations(range(3)):
        expected, left = 1.0, list(order)
        for item in order:
            expected *= math.exp(2 * values[item]) / sum(math.exp(2 * values[other]) for other in left)
            left.remove(item)
        answer = tuple(order.index(item) + 1 for item in range(3))
        assert observed.get(answer, 0) == pytest.approx(expected, abs=0.03)


def test_mistakes_flip_a_pair_and_swap_two_neighbours_of_a_ranking() -> None:
    assert frequencies(find_teacher("mistake"), [1.0], [0.0])[2, 1] == pytest.approx(0.1, abs=0.02)
    observed = frequencies(TeacherConfig(mistake=0.4), [3.0], [2.0], [1.0])
    assert observed == {
        (1, 2, 3): pytest.approx(0.6, abs=0.03),
        (2, 1, 3): pytest.approx(0.2, abs=0.03),
        (1, 3, 2): pytest.approx(0.2, abs=0.03),
    }


@pytest.mark.parametrize(("best", "is_skipped"), [(0.9, True), (1.0, True), (1.1, False)])
def test_skip_by_the_papers_threshold(best: float, is_skipped: bool) -> None:
    # delta = 0.1 * mean return 100 * H 2 / T 20 = 1
    teacher, episodes = TeacherConfig(skip=0.1), [(50.0, 20), (150.0, 20)]
    answer = ranks(teacher, query([0.0, best], [0.0, 0.5]), episodes)
    assert (answer is None) == is_skipped


@pytest.mark.parametrize(("gap", "expected"), [(0.875, (1, 1)), (1.0, (1, 2)), (1.125, (1, 2))])
def test_equal_by_the_papers_threshold(gap: float, expected: Ranks) -> None:
    teacher, episodes = TeacherConfig(equal=0.125), [(80.0, 20)]  # 0.125 * 80 * 2 / 20 = 1
    assert ranks(teacher, query([gap, 5.0], [0.0, 5.0]), episodes) == expected


def test_only_the_last_ten_episodes_set_the_thresholds() -> None:
    oracle = SyntheticOracle(find_teacher("equal"), seed=0)
    close = query([0.9], [0.0])
    oracle.observe_episodes([(1e6, 1)])
    assert oracle.answer(close).ranks == (1, 1)
    oracle.observe_episodes([(1e6, 1)] + [(10.0, 10)] * 10)
    assert oracle.answer(close).ranks == (1, 2)
    oracle.observe_episodes([])
    assert oracle.answer(close).ranks == (1, 2)


def test_thresholds_wait_for_the_first_episode() -> None:
    teacher = TeacherConfig(skip=0.1, equal=0.1)
    assert ranks(teacher, query([-5.0], [-6.0])) == (1, 2)


def test_on_negative_returns_far_worse_queries_are_skipped_and_close_ones_tie() -> None:
    episodes = [(-1000.0, 100)]  # a typical segment of one step has -10; the threshold for skipping is -19
    teacher = TeacherConfig(skip=0.1, equal=0.1)
    assert ranks(teacher, query([-10.0], [-12.0]), episodes) == (1, 2)
    assert ranks(teacher, query([-10.0], [-10.5]), episodes) == (1, 1)
    assert ranks(teacher, query([-18.5], [-30.0]), episodes) == (1, 2)
    assert ranks(teacher, query([-19.5], [-30.0]), episodes) is None


@given(
    rewards=st.lists(REWARDS, min_size=2, max_size=4),
    episodes=st.lists(st.tuples(st.integers(-500, 500).map(float), st.just(64)), min_size=1, max_size=3),
)
def test_scaling_all_rewards_does_not_change_the_answers(
    rewards: list[list[float]], episodes: list[tuple[float, int]]
) -> None:
    teacher = TeacherConfig(skip=0.25, equal=0.25)
    scaled = [[4 * reward for reward in each] for each in rewards]  # a power of two rounds nothing
    plain = ranks(teacher, query(*rewards), episodes)
    assert ranks(teacher, query(*scaled), [(4 * value, length) for value, length in episodes]) == plain


@given(
    rewards=st.lists(st.lists(st.integers(0, 20).map(float), min_size=2, max_size=2), min_size=2, max_size=2),
    returns=st.lists(st.integers(0, 500).map(float), min_size=1, max_size=10),
)
def test_without_negative_returns_the_thresholds_are_the_papers(
    rewards: list[list[float]], returns: list[float]
) -> None:
    delta = 0.25 * np.mean(returns) * 2 / 32
    first, second = (sum(each) for each in rewards)
    if abs(max(first, second) - delta) < 1e-9 or abs(abs(first - second) - delta) < 1e-9:
        return  # on the threshold itself rounding decides
    expected: Ranks = (1, 1) if first == second or abs(first - second) < delta else None
    expected = expected or ((1, 2) if first > second else (2, 1))
    if max(first, second) <= delta:
        expected = None
    answer = ranks(TeacherConfig(skip=0.25, equal=0.25), query(*rewards), [(value, 32) for value in returns])
    assert answer == expected


def test_ties_are_chained_and_never_flipped() -> None:
    assert chain_ties(np.array([0.0, 5.0, 0.9, 1.8]), 1.0).tolist() == [0, 1, 0, 0]
    teacher = TeacherConfig(equal=0.1, mistake=1.0)
    episodes = [(10.0, 1)]
    assert ranks(teacher, query([0.9], [0.5]), episodes) == (1, 1)
    assert ranks(teacher, query([9.0], [0.9], [0.5]), episodes) == (2, 1, 1)


def test_answers_depend_on_seed_and_query_but_not_on_the_order_asked() -> None:
    teacher = TeacherConfig(beta=0.5, mistake=0.3)
    queries = [query([1.0], [0.0], [0.5], query_id=number) for number in range(40)]
    first, restarted = SyntheticOracle(teacher, seed=3), SyntheticOracle(teacher, seed=3)
    in_order = {asked.id: first.answer(asked).ranks for asked in queries}
    backwards = {asked.id: restarted.answer(asked).ranks for asked in reversed(queries)}
    assert in_order == backwards
    other = SyntheticOracle(teacher, seed=4)
    assert [other.answer(asked).ranks for asked in queries] != list(in_order.values())


def test_random_answers_to_a_query_without_id_depend_on_its_content() -> None:
    teacher = TeacherConfig(beta=0.0)
    queries = [query([float(value)], [0.0], query_id=None) for value in range(40)]
    answers = [ranks(teacher, asked) for asked in queries]
    assert answers == [ranks(teacher, asked) for asked in queries]
    assert set(answers) == {(1, 2), (2, 1)}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("beta", -1.0),
        ("beta", math.nan),
        ("gamma", 0.0),
        ("gamma", 1.1),
        ("mistake", 1.1),
        ("skip", -0.1),
        ("equal", math.inf),
    ],
)
def test_settings_out_of_range_are_named(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"teacher.{field} is {value}"):
        SyntheticOracle(dataclasses.replace(TeacherConfig(), **{field: value}), seed=0)


def test_a_teacher_from_outside_is_a_teacher_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_teachers.py").write_text(
        "from prefrl.config import TeacherConfig\n\ntired = TeacherConfig(mistake=0.3)\nnumber = 3\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert find_teacher("my_teachers:tired") == TeacherConfig(mistake=0.3)
    with pytest.raises(ValueError, match=r"'my_teachers:number' is 3; a .*TeacherConfig is needed"):
        find_teacher("my_teachers:number")
    with pytest.raises(ValueError, match="no teacher 'myopik'; did you mean 'myopic'"):
        find_teacher("myopik")


def test_an_episode_without_steps_is_refused() -> None:
    with pytest.raises(ValueError, match="0 steps"):
        SyntheticOracle(TeacherConfig(), seed=0).observe_episodes([(1.0, 0)])
