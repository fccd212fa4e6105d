from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector.utils import batch_space
from hypothesis import given
from hypothesis import strategies as st

from prefrl.data.spaces import SpaceSpec

shapes = st.lists(st.integers(1, 4), max_size=3).map(tuple)
simple: st.SearchStrategy[spaces.Space[Any]] = st.one_of(
    st.builds(
        lambda shape, dtype: spaces.Box(-1, 1, shape, dtype),
        shapes,
        st.sampled_from([np.float32, np.float64]),
    ),
    st.builds(lambda shape: spaces.Box(0, 255, shape, np.uint8), shapes),
    st.builds(lambda n, start: spaces.Discrete(n, start=start), st.integers(1, 6), st.integers(-3, 3)),
    st.builds(spaces.MultiDiscrete, st.lists(st.integers(1, 4), min_size=1, max_size=3)),
    st.just(spaces.MultiDiscrete([[2, 3], [4, 5]])),
    st.builds(spaces.MultiBinary, st.lists(st.integers(1, 3), min_size=1, max_size=2)),
)
anything = st.recursive(
    simple,
    lambda parts: st.one_of(
        st.builds(spaces.Dict, st.dictionaries(st.sampled_from("zyxab"), parts, min_size=1, max_size=3)),
        st.builds(spaces.Tuple, st.lists(parts, min_size=1, max_size=3)),
    ),
    max_leaves=5,
)


@given(anything)
def test_json_round_trip(space: spaces.Space[Any]) -> None:
    spec = SpaceSpec.of(space)
    assert SpaceSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


@given(anything, st.integers(1, 3))
def test_batches_are_encoded_like_single_samples(space: spaces.Space[Any], size: int) -> None:
    spec = SpaceSpec.of(space)
    batched = batch_space(space, size)
    batched.seed(0)
    batch = batched.sample()
    encoded = spec.encode(batch, (size,))
    assert encoded.shape == (size, *spec.shape)
    assert encoded.dtype == spec.dtype
    single = [spec.encode(_pick(batch, i), ()) for i in range(size)]
    np.testing.assert_array_equal(encoded, np.stack(single))
    features = spec.features(encoded)
    assert features.shape == (size, spec.num_features)
    assert features.dtype == np.float32


def _pick(batch: Any, index: int) -> Any:
    if isinstance(batch, dict):
        return {key: _pick(part, index) for key, part in batch.items()}
    if isinstance(batch, tuple):
        return tuple(_pick(part, index) for part in batch)
    return batch[index]


def test_categories_become_one_hot_in_order() -> None:
    spec = SpaceSpec.of(spaces.MultiDiscrete([2, 3], start=[5, -1]))
    assert spec.features(np.array([[6, -1], [5, 1]])).tolist() == [[0, 1, 1, 0, 0], [1, 0, 0, 0, 1]]
    assert SpaceSpec.of(spaces.Discrete(3, start=2)).features(np.array([4])).tolist() == [[0, 0, 1]]


def test_dicts_are_laid_out_in_the_order_of_their_keys() -> None:
    space = spaces.Dict({"b": spaces.Discrete(2), "a": spaces.Box(0, 9, (2,), np.float32)})
    encoded = SpaceSpec.of(space).encode({"b": np.array([1]), "a": np.array([[3.0, 4.0]])})
    assert encoded.tolist() == [[3, 4, 0, 1]]


def test_arrays_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(2, 3\) does not end in the space's shape \(4,\)"):
        SpaceSpec.of(spaces.Box(0, 1, (4,))).encode(np.zeros((2, 3)))


def test_spaces_without_a_fixed_size_are_refused() -> None:
    with pytest.raises(ValueError, match="spaces of type Text have no fixed-size array"):
        SpaceSpec.of(spaces.Dict({"words": spaces.Text(5)}))


def test_images_are_uint8_boxes_of_three_dimensions() -> None:
    assert SpaceSpec.of(spaces.Box(0, 255, (84, 84, 4), np.uint8)).is_image
    assert not SpaceSpec.of(spaces.Box(0, 255, (84, 84), np.uint8)).is_image
    assert not SpaceSpec.of(spaces.Box(0, 1, (84, 84, 4), np.float32)).is_image
