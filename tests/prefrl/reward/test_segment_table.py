from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from prefrl.data.spaces import SpaceSpec
from prefrl.data.types import Segment
from prefrl.reward.segment_table import FrameStore, SegmentTable

MakeSegment = Callable[..., Segment]
Specs = tuple[SpaceSpec, SpaceSpec]


def held(table: SegmentTable, *segments: Segment) -> list[str]:
    ids = [segment.id for segment in segments]
    table.replace(ids, {segment.id: segment for segment in segments})
    return ids


def stacked(rng: np.random.Generator, steps: int, size: int, stack: int) -> np.ndarray:
    frames = rng.integers(0, 256, (steps + stack - 1, size, size), dtype=np.uint8)
    return np.stack([np.moveaxis(frames[t : t + stack], 0, -1) for t in range(steps)])


def prefixes(order: list[int]) -> st.SearchStrategy[list[int]]:
    return st.integers(0, len(order)).map(lambda count: order[:count])


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


def places_in_use(store: FrameStore) -> int:
    assert len(set(store._free.tolist())) == len(store._free), "a place must not be given away twice"
    return len(store._frames) - len(store._free)


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
    assert places_in_use(table._observations) == 2 * 28
    observations, _, _ = table.gather(torch.tensor([1, 0]))
    expected = images if channels_first else np.moveaxis(images, -1, 1)
    np.testing.assert_array_equal(observations[1], expected)
    np.testing.assert_array_equal(observations[0], expected[::-1])


@settings(max_examples=30)
@given(
    steps=st.lists(st.integers(1, 6), min_size=8, max_size=8),
    held_in_turn=st.lists(st.permutations(range(8)).flatmap(prefixes), max_size=8),
)
def test_images_survive_any_coming_and_going(steps: list[int], held_in_turn: list[list[int]]) -> None:
    rng = np.random.default_rng(0)
    images = [stacked(rng, count, size=3, stack=2) for count in steps]
    store = FrameStore(SpaceSpec("box", (3, 3, 2), "uint8"))
    before: list[int] = []
    for held in held_in_turn:
        store.replace([str(i) for i in held], {str(i): images[i] for i in held if i not in before})
        for row, i in enumerate(held):
            found = store.gather(torch.tensor([row]), steps[i])[0]
            np.testing.assert_array_equal(found, np.moveaxis(images[i], -1, 1))
        assert places_in_use(store) == sum(steps[i] + 1 for i in held)
        before = held


def test_frames_take_the_places_of_those_dropped() -> None:
    rng = np.random.default_rng(0)
    store = FrameStore(SpaceSpec("box", (8, 8, 4), "uint8"))
    window = [str(number) for number in range(6)]
    store.replace(window, {key: stacked(rng, 25, 8, 4) for key in window})
    place = store._frames.data_ptr()
    for newest in range(6, 40):
        window = [*window[1:], str(newest)]
        store.replace(window, {str(newest): stacked(rng, 25, 8, 4)})
        assert int(store._stacks.gather(torch.tensor([5]), 25).max()) < 6 * 28
    assert store._frames.data_ptr() == place


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
