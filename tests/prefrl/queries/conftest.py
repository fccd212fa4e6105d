"""Small segments, and stores that hold a pool of them."""

from __future__ import annotations

from collections.abc import Callable

import gymnasium as gym
import numpy as np
import pytest

from prefrl.data.spaces import SpaceSpec
from prefrl.data.types import Provenance, Segment

MakeSegments = Callable[..., list[Segment]]


@pytest.fixture
def specs() -> tuple[SpaceSpec, SpaceSpec]:
    """Two float features, two actions."""
    return SpaceSpec.of(gym.spaces.Box(-1, 1, (2,), np.float32)), SpaceSpec.of(gym.spaces.Discrete(2))


@pytest.fixture
def make_segments() -> MakeSegments:
    """Makes segments of five steps, whose true reward is the first feature; another ``start`` makes others."""

    def make(count: int, start: int = 0) -> list[Segment]:
        return [_segment(start + number) for number in range(count)]

    return make


def _segment(seed: int) -> Segment:
    rng = np.random.default_rng(seed)
    observations = rng.uniform(-1, 1, (5, 2)).astype(np.float32)
    flags = np.zeros(5, bool)
    provenance = Provenance("Test-v0", seed, 0, 0)
    return Segment(observations, rng.integers(0, 2, 5), observations[:, 0], flags, flags, provenance)
