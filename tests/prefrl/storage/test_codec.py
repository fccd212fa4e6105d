"""Segments as bytes."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from prefrl.data.types import Provenance, Segment
from prefrl.storage import StoreError
from prefrl.storage.codec import ARRAYS, decode_segment, encode_segment, pack_stacks

FINITE = {"allow_nan": False, "allow_infinity": False}
DTYPES = ("<f2", "<f4", "<f8", ">f4", "|i1", "<i2", ">i4", "<i8", "|u1", "<u2", "<u4", "<u8", "|b1")


@st.composite
def segments(draw: st.DrawFn) -> Segment:
    steps = draw(st.integers(1, 5))

    def array(max_dims: int) -> np.ndarray:
        shape = (steps, *draw(hnp.array_shapes(min_dims=0, max_dims=max_dims, min_side=0, max_side=4)))
        dtype = np.dtype(draw(st.sampled_from(DTYPES)))
        return draw(hnp.arrays(dtype, shape, elements=FINITE if dtype.kind == "f" else None))

    def column(dtype: str) -> np.ndarray:
        return draw(hnp.arrays(dtype, steps, elements=FINITE if dtype == "f4" else None))

    provenance = st.builds(Provenance, st.text(max_size=5), *[st.integers(-(2**70), 2**70)] * 3)
    return Segment(array(3), array(2), column("f4"), column("bool"), column("bool"), draw(provenance))


@given(segments())
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_round_trip_keeps_every_bit(segment: Segment) -> None:
    again = decode_segment(encode_segment(segment))

    assert again.id == segment.id
    assert again.provenance == segment.provenance
    for name in ARRAYS:
        before, after = getattr(segment, name), getattr(again, name)
        assert after.dtype == before.dtype
        assert after.shape == before.shape
        assert after.tobytes() == before.tobytes()


@pytest.mark.parametrize("channels_first", [False, True])
def test_image_stacks_are_kept_as_single_frames(
    make_segment: Callable[..., Segment], channels_first: bool
) -> None:
    segment = make_segment(1, steps=25, stacks=True)
    if channels_first:
        segment = dataclasses.replace(segment, observations=np.moveaxis(segment.observations, -1, 1))
    payload = encode_segment(segment)

    # 28 frames of incompressible noise, 120 bytes each, and a little more; 100 frames would be 12,000 bytes
    assert 28 * 120 < len(payload) < 28 * 120 + 1500
    assert decode_segment(payload).id == segment.id


def test_images_that_share_no_frame_are_left_alone() -> None:
    assert pack_stacks(np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)) is None
    assert pack_stacks(np.zeros((5, 8, 8, 4), np.float32)) is None
    assert pack_stacks(np.zeros((5, 8), np.uint8)) is None


def test_views_that_are_not_contiguous_are_kept_in_order(make_segment: Callable[..., Segment]) -> None:
    transposed = np.arange(12, dtype=np.float32).reshape(4, 3).T
    segment = dataclasses.replace(make_segment(1), observations=transposed)

    np.testing.assert_array_equal(decode_segment(encode_segment(segment)).observations, transposed)


def test_decoded_arrays_can_be_written(make_segment: Callable[..., Segment]) -> None:
    again = decode_segment(encode_segment(make_segment(1)))

    assert all(getattr(again, name).flags.writeable for name in ARRAYS)


@pytest.mark.parametrize(
    "damage",
    [
        lambda payload: b"",
        lambda payload: b"not a segment",
        lambda payload: payload[: len(payload) // 2],
        lambda payload: payload[:40] + bytes([payload[40] ^ 255]) + payload[41:],
        lambda payload: zlib.compress(b"not safetensors"),
        lambda payload: zlib.compress(zlib.decompress(payload)[:-8]),
        lambda payload: zlib.compress(zlib.decompress(payload).replace(b"policy_step", b"policy_stop")),
    ],
)
def test_damaged_bytes_are_told(
    make_segment: Callable[..., Segment], damage: Callable[[bytes], bytes]
) -> None:
    with pytest.raises(StoreError, match="no intact segment"):
        decode_segment(damage(encode_segment(make_segment(1))))


def test_what_could_not_come_back_equal_is_refused(make_segment: Callable[..., Segment]) -> None:
    segment = make_segment(1)
    step: Any = np.int64(3)
    numpy_step = dataclasses.replace(segment.provenance, policy_step=step)
    with pytest.raises(StoreError, match=r"policy_step np.int64\(3\).*int\(\)"):
        encode_segment(dataclasses.replace(segment, provenance=numpy_step))
    with pytest.raises(StoreError, match="float64"):
        encode_segment(dataclasses.replace(segment, actions=np.zeros(3, np.longdouble)))
