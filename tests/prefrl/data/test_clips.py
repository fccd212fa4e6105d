"""Encoding and decoding of clips."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from prefrl.data.clips import Clip, decode_clip, encode_clip

FRAMES = st.tuples(st.integers(1, 5), st.integers(1, 6), st.integers(1, 6), st.just(3)).flatmap(
    lambda shape: arrays.arrays(np.uint8, shape)
)


@given(FRAMES)
def test_frames_round_trip(frames: np.ndarray) -> None:
    before = frames.copy()
    back = decode_clip(encode_clip(Clip(frames=frames)))
    assert back.states is None
    np.testing.assert_array_equal(back.frames, before)
    np.testing.assert_array_equal(frames, before)


def test_states_round_trip() -> None:
    states = np.random.default_rng(0).normal(size=(4, 7))
    back = decode_clip(encode_clip(Clip(states=states)))
    assert back.frames is None
    assert len(back) == 4
    np.testing.assert_array_equal(back.states, states)


def test_unchanged_frames_take_almost_no_space() -> None:
    still = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    one, many = (encode_clip(Clip(frames=np.stack([still] * count))) for count in (1, 25))
    assert len(many) < 1.2 * len(one)


@pytest.mark.parametrize(
    ("frames", "states", "message"),
    [
        (None, None, "either"),
        (np.zeros((1, 2, 2, 3), np.uint8), np.zeros((1, 2)), "either"),
        (np.zeros((1, 2, 2, 3), np.float32), None, r"float32 of shape \(1, 2, 2, 3\)"),
        (np.zeros((0, 2, 2, 3), np.uint8), None, "at least 1 step"),
        (np.zeros((1, 2, 2, 4), np.uint8), None, r"\(T, H, W, 3\)"),
        (None, np.zeros(3), r"float64 of shape \(3,\)"),
    ],
)
def test_invalid_clips_are_refused(
    frames: np.ndarray | None, states: np.ndarray | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Clip(frames, states)


def test_damaged_bytes_are_refused() -> None:
    encoded = encode_clip(Clip(states=np.zeros((2, 2))))
    for damaged in (b"", b"no clip", encoded[:-3]):
        with pytest.raises(ValueError, match="not an intact clip"):
            decode_clip(damaged)
