"""Disagreement has one definition, which the sampler and the learned reward share."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from prefrl.data.types import Query, Segment
from prefrl.queries import Candidates, select
from prefrl.reward import LearnedReward
from prefrl.reward.disagreement import disagreement


def test_disagreement_by_hand() -> None:
    # P(first) is 0.9, 0.5 and 0.1: standard deviation sqrt(2 * 0.4^2 / 3).
    pair = np.array([[[math.log(p), math.log(1 - p)]] for p in (0.9, 0.5, 0.1)])
    assert disagreement(pair)[0] == pytest.approx(math.sqrt(2 * 0.4**2 / 3))
    # (1/2, 1/4, 1/4) and (1/4, 1/2, 1/4): variances 1/64, 1/64 and 0.
    three = np.log([[[0.5, 0.25, 0.25]], [[0.25, 0.5, 0.25]]])
    assert disagreement(three)[0] == pytest.approx(math.sqrt(2 / 64 / 3))


def test_wrong_shapes_and_diverged_rewards_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(2, 3\); \(E, C, K\)"):
        disagreement(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"not finite.*diverged"):
        disagreement(np.array([[[math.nan, 0.0]]]))


@pytest.mark.parametrize("items", [2, 3, 4])
@pytest.mark.parametrize("loss", ["bradley_terry", "margin"])
def test_the_learned_reward_and_the_sampler_agree(
    make_segment: Callable[[int], Segment], make_reward: Callable[[str], LearnedReward], items: int, loss: str
) -> None:
    reward = make_reward(loss)
    segments = [make_segment(seed) for seed in range(12)]
    numbers = np.random.default_rng(0).permutation(12)[: 12 // items * items].reshape(-1, items)
    logits = reward.segment_logits(segments)[:, numbers]
    choice = select(
        "disagreement", Candidates(len(numbers), numbers, np.random.default_rng(0), segments, lambda: logits)
    )
    queries = [Query(tuple(segments[item] for item in numbers[index])) for index in choice.indices]
    np.testing.assert_allclose(reward.disagreement(queries), choice.scores, rtol=1e-9)
    assert (choice.scores > 0).all()
