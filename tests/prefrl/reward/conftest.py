"""Synthetic segments and answers for the tests of the learned reward."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from prefrl.config import RewardConfig
from prefrl.data.spaces import SpaceSpec
from prefrl.data.types import Comparison, LabelledQuery, Provenance, Query, Segment
from prefrl.reward import LearnedReward
from prefrl.reward.networks import build_network

MakeSegment = Callable[..., Segment]


def _segment(
    seed: int,
    steps: int = 10,
    observations: np.ndarray | None = None,
    actions: np.ndarray | None = None,
    rewards: np.ndarray | None = None,
) -> Segment:
    rng = np.random.default_rng(seed)
    ends = np.zeros(steps, dtype=bool)
    return Segment(
        observations=rng.normal(size=(steps, 3)).astype(np.float32) if observations is None else observations,
        actions=rng.integers(0, 2, size=steps) if actions is None else actions,
        true_rewards=rng.normal(size=steps).astype(np.float32) if rewards is None else rewards,
        terminated=ends,
        truncated=ends,
        provenance=Provenance("Test-v0", seed, 0, 0),
    )


def _label(
    query_id: int,
    *segments: Segment,
    ranks: tuple[int, ...] | None = (1, 2),
    annotator: str = "synthetic",
    comparison_id: int | None = None,
) -> LabelledQuery:
    comparison = Comparison(query_id, ranks, annotator=annotator, id=comparison_id, time_s=0.0)
    return LabelledQuery(Query(segments, id=query_id), comparison)


@pytest.fixture
def make_segment() -> MakeSegment:
    """Segments of 3 features and 2 actions, random by their seed, unless arrays are given."""
    return _segment


@pytest.fixture
def make_label() -> Callable[..., LabelledQuery]:
    """A query of the given segments, answered; the first is preferred unless ranks are given."""
    return _label


@pytest.fixture
def vector_specs() -> tuple[SpaceSpec, SpaceSpec]:
    """The spaces of `make_segment`: 3 float features, 2 actions."""
    return SpaceSpec("box", (3,), "float32"), SpaceSpec("discrete", (), "int64", (2,), (0,))


@pytest.fixture
def make_reward(vector_specs: tuple[SpaceSpec, SpaceSpec]) -> Callable[[str], LearnedReward]:
    """An untrained reward of three members for `make_segment`'s segments, with the named loss."""

    def make(loss: str) -> LearnedReward:
        config = RewardConfig(hidden=(8,), loss=loss, margin=2.0)
        network = build_network(*vector_specs, config, torch.Generator().manual_seed(0))
        observations, actions = vector_specs
        return LearnedReward(
            network,
            torch.zeros(3),
            torch.ones(3),
            version=1,
            observation_spec=observations,
            action_spec=actions,
            config=config,
        )

    return make
