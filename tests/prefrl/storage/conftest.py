"""Small segments and stores holding some."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from prefrl.data.types import Provenance, Query, Segment
from prefrl.storage import Store

MakeSegment = Callable[..., Segment]


def build_segment(number: int, steps: int = 3, stacks: bool = False) -> Segment:
    """A segment told from others by its number; with ``stacks``, of 4 overlapping frames a step."""
    rng = np.random.default_rng(number)
    observations = rng.normal(size=(steps, 2)).astype(np.float32)
    if stacks:
        frames = rng.integers(0, 256, (steps + 3, 12, 10), dtype=np.uint8)
        observations = np.stack([np.moveaxis(frames[i : i + 4], 0, -1) for i in range(steps)])
    return Segment(
        observations,
        rng.integers(0, 3, steps),
        np.full(steps, number, np.float32),
        np.zeros(steps, bool),
        np.arange(steps) == steps - 1,
        Provenance("Test-v0", seed=7, policy_step=100 * number, reward_version=number),
    )


@pytest.fixture
def make_segment() -> MakeSegment:
    return build_segment


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store.sqlite", create=True) as store:
        yield store


@pytest.fixture
def ask(store: Store) -> Callable[..., int]:
    """Ask a query over the segments of these numbers and return its id."""

    def ask(*numbers: int, stacks: bool = False) -> int:
        segments = [build_segment(number, stacks=stacks) for number in numbers]
        store.add_segments(segments, keep_unqueried=100)
        return store.add_queries([Query(tuple(segments))])[0]

    return ask
