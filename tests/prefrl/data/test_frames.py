"""Packing and unpacking of frame stacks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefrl.data.frames import pack_frames, unpack_frames


def sliding_stacks(frames: np.ndarray, size: int) -> np.ndarray:
    """Stacks (T, H, W, S) as a frame-stacking environment returns them, from frames (T + S - 1, H, W)."""
    return np.stack([np.moveaxis(frames[i : i + size], 0, -1) for i in range(len(frames) - size + 1)])


@pytest.fixture
def distinct_frames() -> np.ndarray:
    return np.arange(28 * 6 * 5, dtype=np.uint16).view(np.uint8).reshape(28, 6, 10)


def test_25_stacks_of_4_are_packed_into_28_frames_in_order(distinct_frames: np.ndarray) -> None:
    frames, index = pack_frames(sliding_stacks(distinct_frames, 4))

    np.testing.assert_array_equal(frames, distinct_frames)
    np.testing.assert_array_equal(index, np.arange(25)[:, None] + np.arange(4))
    assert index.dtype == np.int32


def test_an_episode_boundary_adds_only_the_new_episode_s_frames(distinct_frames: np.ndarray) -> None:
    first = sliding_stacks(distinct_frames[:10], 4)
    # a reset fills the stack with copies of the first frame
    second = sliding_stacks(np.concatenate([distinct_frames[[20, 20, 20]], distinct_frames[20:25]]), 4)
    observations = np.concatenate([first, second])

    frames, index = pack_frames(observations)

    assert len(frames) == 10 + 5
    assert index[7].tolist() == [10, 10, 10, 10]
    np.testing.assert_array_equal(unpack_frames(frames, index), observations)


def test_channels_first_gives_the_same_frames(distinct_frames: np.ndarray) -> None:
    last = sliding_stacks(distinct_frames, 4)
    first = np.moveaxis(last, -1, 1)

    frames, index = pack_frames(first, channel_axis=1)

    np.testing.assert_array_equal(frames, distinct_frames)
    np.testing.assert_array_equal(unpack_frames(frames, index, channel_axis=1), first)


@given(st.data(), st.sampled_from([-1, 1, 3]))
def test_round_trip_of_any_content(data: st.DataObject, channel_axis: int) -> None:
    shape = data.draw(st.tuples(*[st.integers(0, 4)] * 4))
    # few values, so that frames repeat often
    values = data.draw(
        st.lists(st.integers(0, 1), min_size=int(np.prod(shape)), max_size=int(np.prod(shape)))
    )
    observations = np.array(values, dtype=np.uint8).reshape(shape)

    frames, index = pack_frames(observations, channel_axis)
    again = unpack_frames(frames, index, channel_axis)

    assert again.shape == shape
    assert again.dtype == np.uint8
    assert again.flags.c_contiguous
    assert len({frame.tobytes() for frame in frames}) == len(frames)
    np.testing.assert_array_equal(again, observations)


def test_errors_name_the_wrong_value() -> None:
    with pytest.raises(ValueError, match=r"4 dimensions.*\(3, 2\)"):
        pack_frames(np.zeros((3, 2), np.uint8))
    with pytest.raises(ValueError, match="channel_axis is 2"):
        pack_frames(np.zeros((3, 2, 2, 2), np.uint8), channel_axis=2)
    for wrong in (5, -1):
        with pytest.raises(ValueError, match="there are 5 frames"):
            unpack_frames(np.zeros((5, 2, 2), np.uint8), np.array([[0, wrong]], np.int32))
