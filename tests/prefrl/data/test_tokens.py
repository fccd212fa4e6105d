"""Texts as arrays."""

from __future__ import annotations

import numpy as np
import pytest

from prefrl.data.spaces import SpaceSpec
from prefrl.data.tokens import complete, ends_text, last_steps, prompt_key

SPEC = SpaceSpec("tokens", (2 + 6,), "int32", eos_id=9, max_new_tokens=3)


def observation(ids: list[int], prompt_length: int) -> np.ndarray:
    return np.array([len(ids), prompt_length, *ids, *[8] * (6 - len(ids))], np.int32)


def test_a_step_adds_its_token_to_the_text() -> None:
    observations = np.stack([observation([1, 2], 2), observation([3, 4, 5], 1)])
    ids, lengths, prompts = complete(observations, np.array([7, 9]))
    np.testing.assert_array_equal(ids, [[1, 2, 7, 8, 8, 8], [3, 4, 5, 9, 8, 8]])
    assert (lengths.tolist(), prompts.tolist()) == ([3, 4], [2, 1])
    assert observations[0, 4] == 8, "the observations are left as they were"


def test_a_text_ends_with_its_token_or_at_the_limit() -> None:
    steps = [
        (observation([1, 2], 2), 7, False),
        (observation([1, 2], 2), 9, True),
        (observation([1, 2, 5], 2), 7, False),
        (observation([1, 2, 5, 5], 2), 7, True),
        (observation([1, 2, 5, 5], 4), 7, False),
    ]
    observations, actions, expected = (np.array(part) for part in zip(*steps, strict=True))
    np.testing.assert_array_equal(ends_text(SPEC, observations, actions), expected)
    nested = ends_text(SPEC, observations[None], actions[None])
    np.testing.assert_array_equal(nested, expected[None])


def test_last_steps_is_the_inverse_of_complete() -> None:
    ids = np.array([[1, 2, 7, 0, 0], [3, 4, 5, 9, 0]])
    observations, actions = last_steps(ids, np.array([2, 1]), np.array([3, 4]), SPEC)
    np.testing.assert_array_equal(actions, [7, 9])
    again, lengths, prompts = complete(observations, actions)
    assert (lengths.tolist(), prompts.tolist()) == ([3, 4], [2, 1])
    np.testing.assert_array_equal(again[0, :3], ids[0, :3])
    np.testing.assert_array_equal(again[1, :4], ids[1, :4])


def test_texts_that_are_too_long_are_refused() -> None:
    with pytest.raises(ValueError, match="7 tokens, the observations have room for 6"):
        last_steps(np.zeros((1, 7), int), np.array([2]), np.array([7]), SPEC)


def test_equal_prompts_have_equal_keys_for_any_response() -> None:
    key = prompt_key(observation([1, 2], 2))
    assert prompt_key(observation([1, 2, 5], 2)) == key
    assert prompt_key(observation([1, 2, 5], 3)) != key
    assert prompt_key(observation([1, 3], 2)) != key
