from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector.utils import batch_space

from prefrl_envs.text import TextSpace, encode_observation
from prefrl_envs.text.space import TokenSpace

SETTINGS = {"vocab_size": 5, "pad_id": 3, "eos_id": 4, "max_prompt_tokens": 2, "max_new_tokens": 3}


def test_parts_and_their_order() -> None:
    space = TextSpace(**SETTINGS)
    assert list(space.spaces) == ["input_ids", "length", "prompt_length"]
    assert space["input_ids"] == spaces.Box(0, 4, (5,), np.int32)
    assert space["length"] == spaces.Box(0, 5, (1,), np.int32)
    assert space["prompt_length"] == spaces.Box(0, 2, (1,), np.int32)


def test_samples_are_valid_texts() -> None:
    space = TextSpace(**SETTINGS)
    space.seed(0)
    samples = [space.sample() for _ in range(200)]
    for sample in samples:
        ids, length, prompt_length = (
            sample["input_ids"],
            int(sample["length"][0]),
            int(sample["prompt_length"][0]),
        )
        assert sample in space
        assert 1 <= prompt_length <= length <= prompt_length + 3
        assert (ids[length:] == 3).all()
        assert np.isin(ids[:length], (0, 1, 2)).all()
    assert {(int(sample["prompt_length"][0]), int(sample["length"][0])) for sample in samples} == {
        (prompt, prompt + new) for prompt in (1, 2) for new in range(4)
    }


@pytest.mark.parametrize("seed", [7, {"input_ids": 1, "length": 2, "prompt_length": 3}])
def test_samples_follow_the_seed(seed: int | dict[str, int]) -> None:
    space, twin = TextSpace(**SETTINGS), TextSpace(**SETTINGS)
    space.seed(seed)
    twin.seed(seed)
    first, second = ([one.sample() for _ in range(9)] for one in (space, twin))
    assert data_equivalence(first, second, exact=True)
    assert not data_equivalence(first, [space.sample() for _ in range(9)], exact=True)


def test_a_mask_is_refused() -> None:
    with pytest.raises(ValueError, match="without mask or probability"):
        TextSpace(**SETTINGS).sample(mask={})


def test_copies_are_equal_and_sample_alike() -> None:
    space = TextSpace(**SETTINGS)
    space.seed(1)
    for twin in (pickle.loads(pickle.dumps(space)), copy.deepcopy(space)):
        assert twin == space
        assert twin.max_new_tokens == 3
        assert data_equivalence(twin.sample(), copy.deepcopy(space).sample(), exact=True)


@pytest.mark.parametrize(
    "change", [{"vocab_size": 6}, {"eos_id": 2}, {"max_prompt_tokens": 3, "max_new_tokens": 2}]
)
def test_spaces_with_other_settings_are_not_equal(change: dict[str, int]) -> None:
    assert TextSpace(**SETTINGS) != TextSpace(**{**SETTINGS, **change})


def test_it_does_not_equal_a_plain_dict_space() -> None:
    space = TextSpace(**SETTINGS)
    assert space != spaces.Dict(dict(space.spaces))
    assert spaces.Dict(dict(space.spaces)) != space


def test_it_can_be_batched() -> None:
    assert batch_space(TextSpace(**SETTINGS), 7)["input_ids"] == spaces.Box(0, 4, (7, 5), np.int32)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pad_id": 4}, "pad_id and eos_id are both 4"),
        ({"pad_id": 5}, r"pad_id is 5; with vocab_size 5 it must lie in 0..4"),
        ({"eos_id": -1}, "eos_id is -1"),
        ({"max_prompt_tokens": 0}, "max_prompt_tokens is 0; at least 1"),
        ({"max_new_tokens": 0}, "max_new_tokens is 0; at least 1"),
        ({"vocab_size": 2, "pad_id": 0, "eos_id": 1}, "vocab_size is 2"),
    ],
)
def test_invalid_settings_are_refused(change: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TextSpace(**{**SETTINGS, **change})


def test_encoded_order() -> None:
    observation = {
        "input_ids": np.array([2, 1, 0, 3, 3], np.int32),
        "length": np.array([3], np.int32),
        "prompt_length": np.array([2], np.int32),
    }
    encoded = encode_observation(observation)
    assert encoded.tolist() == [3, 2, 2, 1, 0, 3, 3]
    assert encoded.dtype == np.int32


def test_padding_is_never_sampled_as_a_token() -> None:
    space = TokenSpace(5, 3)
    assert space == spaces.Discrete(5)
    space.seed(0)
    assert {int(space.sample()) for _ in range(200)} == {0, 1, 2, 4}
    assert int(space.sample(mask=np.array([0, 1, 0, 0, 0], np.int8))) == 1


def test_allowed_tokens_cannot_be_changed_not_even_in_a_copy() -> None:
    space = TokenSpace(5, 3)
    for one in (space, pickle.loads(pickle.dumps(space)), copy.deepcopy(space)):
        assert one.allowed.tolist() == [True, True, True, False, True]
        with pytest.raises(ValueError, match="read-only"):
            one.allowed[3] = True
