from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from prefrl.reward.segment_table import FrameStore, SegmentTable
from prefrl.spaces import SpaceSpec
from prefrl.types import Segment

MakeSegment = Callable[..., Segment]
Specs = tuple[SpaceSpec, SpaceSpec]


def held(table: SegmentTable, *segments: Segment) -> list[str]:
    ids = [segment.id for segment in segments]
    table.replace(ids, {segment.id: segment for segment in segments})
    return ids


def stacked(rng: np.random.Generator, steps: int, size: int, stack: int) -> np.ndarray:
    frames = rng.integers(0, 256, (steps + stack - 1, size, size), dtype=np.uint8)
    return np.stack([np.moveaxis(frames[t : t + stack], 0, -1) for t in range(steps)])


def test_rows_are_the_segments(make_segment: MakeSegment, vector_specs: Specs) -> None:
    table = SegmentTable(*vector_specs)
    segments = [make_segment(seed) for seed in range(3)]
    ids = held(table, *segments)
    rows = table.rows([[ids[2], ids[0]]])
    observations, actions, valid = table.gather(rows.flatten())
    np.testing.assert_array_equal(observations[0], segments[2].observations)
    np.testing.assert_array_equal(actions[1], np.eye(2)[segments[0].actions])
    assert valid is None
    assert table.num_steps == 30


def test_segments_are_kept_and_dropped_by_id(make_segment: MakeSegment, vector_specs: Specs) -> None:
    table = SegmentTable(*vector_specs)
    first, second, third = (make_segment(seed) for seed in range(3))
    held(table, first, second)
    table.replace([third.id, second.id], {third.id: third})
    observations, _, _ = table.gather(table.rows([[second.id, third.id]]).flatten())
    np.testing.assert_array_equal(observations, [second.observations, third.observations])
    with pytest.raises(KeyError):
        table.rows([[first.id]])


def test_shorter_segments_are_padded_and_marked(make_segment: MakeSegment, vector_specs: Specs) -> None:
    table = SegmentTable(*vector_specs)
    short, long = make_segment(0, steps=2), make_segment(1, steps=4)
    held(table, short, long)
    observations, actions, valid = table.gather(torch.tensor([1, 0]))
    assert valid is not None
    assert valid.tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]]
    np.testing.assert_array_equal(observations[1, :2], short.observations)
    assert observations.shape == (2, 4, 3)
    assert actions.shape == (2, 4, 2)
    steps = torch.cat([batch for batch, _ in table.step_batches()])
    np.testing.assert_array_equal(steps, np.concatenate([short.observations, long.observations]))


@pytest.mark.parametrize("channels_first", [False, True])
def test_image_stacks_are_kept_as_single_frames(make_segment: MakeSegment, channels_first: bool) -> None:
    images = stacked(np.random.default_rng(0), steps=25, size=8, stack=4)
    images = np.moveaxis(images, -1, 1) if channels_first else images
    spec = SpaceSpec("box", images.shape[1:], "uint8")
    table = SegmentTable(spec, SpaceSpec("discrete", (), "int64", (2,), (0,)))
    held(
        table, make_segment(0, 25, observations=images), make_segment(1, 25, observations=images[::-1].copy())
    )
    assert isinstance(table._observations, FrameStore)
    assert [len(frames) for frames, _ in table._observations._rows] == [28, 28]
    observations, _, _ = table.gather(torch.tensor([1, 0]))
    expected = images if channels_first else np.moveaxis(images, -1, 1)
    np.testing.assert_array_equal(observations[1], expected)
    np.testing.assert_array_equal(observations[0], expected[::-1])


def test_segments_of_other_spaces_are_refused(make_segment: MakeSegment, vector_specs: Specs) -> None:
    table = SegmentTable(*vector_specs)
    with pytest.raises(
        ValueError, match=r"observations of shape \(10, 4\) do not end in the space's shape \(3,\)"
    ):
        table.check(make_segment(0, observations=np.zeros((10, 4))))
    with pytest.raises(ValueError, match=r"observations of shape \(10, 2, 3\) are not \(T, \*\(3,\)\)"):
        table.check(make_segment(0, observations=np.zeros((10, 2, 3))))
    with pytest.raises(ValueError, match=r"category outside the space's \(2,\)"):
        table.check(make_segment(0, actions=np.full(10, 2)))
    images = SegmentTable(SpaceSpec("box", (4, 4, 1), "uint8"), vector_specs[1])
    with pytest.raises(ValueError, match="float64 where the space has uint8"):
        images.check(make_segment(0, observations=np.zeros((10, 4, 4, 1))))
