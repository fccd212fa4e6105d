from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence

from prefrl_envs.text import ByteTokenizer, TextGenEnv, TextSpace, WordTokenizer, encode_observation

A, B, C, PAD, EOS = range(5)


def under_way(task: Any, prompt: str = "c", **settings: Any) -> TextGenEnv:
    env = TextGenEnv(task, **settings)
    env.reset(seed=0, options={"prompt": prompt})
    return env


def test_spaces_are_the_tasks(letters: Any) -> None:
    env = TextGenEnv(letters)
    assert env.observation_space == TextSpace(5, PAD, EOS, 2, 3)
    assert env.action_space == gym.spaces.Discrete(5)


def test_a_response_by_hand(letters: Any) -> None:
    env = TextGenEnv(letters)
    observation, info = env.reset(options={"prompt": "c b"})
    assert encode_observation(observation).tolist() == [2, 2, C, B, PAD, PAD, PAD]
    assert info["action_mask"].tolist() == [True, True, True, False, True]
    observation, reward, terminated, truncated, info = env.step(A)
    assert encode_observation(observation).tolist() == [3, 2, C, B, A, PAD, PAD]
    assert (reward, terminated, truncated, list(info)) == (0.0, False, False, ["action_mask"])
    assert letters.batches == []
    observation, reward, terminated, truncated, info = env.step(EOS)
    assert encode_observation(observation).tolist() == [4, 2, C, B, A, EOS, PAD]
    assert (reward, terminated, truncated) == (1.0, True, False)
    assert info["text"] == {"prompt": "c b", "response": "a"}
    assert info["action_mask"].tolist() == [True, True, True, False, True]
    assert letters.batches == [(["c b"], ["a"])]


def test_the_limit_truncates(letters: Any) -> None:
    env = under_way(letters)
    steps = [env.step(token) for token in (B, B, A)]
    assert [step[1:4] for step in steps] == [
        (0.0, False, False),
        (0.0, False, False),
        (-1.0, False, True),
    ]
    assert steps[-1][4]["text"]["response"] == "b b a"


def test_an_end_at_the_limit_terminates(letters: Any) -> None:
    env = under_way(letters)
    env.step(B)
    env.step(A)
    assert env.step(EOS)[1:4] == (0.0, True, False)


def test_an_empty_response_is_valid(letters: Any) -> None:
    _, reward, terminated, _, info = under_way(letters).step(EOS)
    assert (reward, terminated, info["text"]["response"]) == (0.0, True, "")


def test_a_long_text_leaves_no_tokens_in_the_next_one(letters: Any) -> None:
    env = under_way(letters, "c b")
    for token in (A, A, A):
        env.step(token)
    observation, _ = env.reset(options={"prompt": "a"})
    assert encode_observation(observation).tolist() == [1, 1, A, PAD, PAD, PAD, PAD]


def test_what_was_returned_is_never_changed(letters: Any) -> None:
    env = TextGenEnv(letters)
    observation, info = env.reset(options={"prompt": "a"})
    before = encode_observation(observation).tolist()
    info["action_mask"][:] = False
    _, _, _, _, info = env.step(C)
    assert encode_observation(observation).tolist() == before
    assert info["action_mask"].sum() == 4


def test_masks_of_sb3_contrib_are_read_only(letters: Any) -> None:
    masks = TextGenEnv(letters).action_masks()
    assert masks.tolist() == [True, True, True, False, True]
    with pytest.raises(ValueError, match="read-only"):
        masks[PAD] = True


def prompts_of(env: TextGenEnv, seed: int, response: Sequence[int] = (EOS,)) -> list[str]:
    env.reset(seed=seed)
    prompts = []
    for _ in range(12):
        for token in response:
            *_, info = env.step(token)
        prompts.append(info["text"]["prompt"])
        env.reset()
    return prompts


def test_prompts_follow_the_seed_and_not_the_responses(letters: Any) -> None:
    first = prompts_of(TextGenEnv(letters), seed=5)
    again = TextGenEnv(letters)
    assert prompts_of(again, seed=5, response=(A, B, EOS)) == first
    assert prompts_of(again, seed=5) == first
    assert prompts_of(again, seed=6) != first
    assert len(set(first)) > 3


def test_without_a_seed_prompts_differ_from_run_to_run(letters: Any) -> None:
    runs = []
    for _ in range(2):
        env = TextGenEnv(letters)
        runs.append([encode_observation(env.reset()[0]).tolist() for _ in range(20)])
    assert runs[0] != runs[1]


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("", "prompt '' has no token"),
        ("  ", "prompt '  ' has no token"),
        ("a b c", "prompt 'a b c' has 3 tokens, the limit is 2"),
        ("a x", "prompt 'a x' cannot be put: word 'x' is none of the 3 known"),
        (7, "the prompt is 7, of type int"),
    ],
)
def test_bad_prompts_are_refused_before_an_episode_begins(letters: Any, prompt: Any, message: str) -> None:
    env = TextGenEnv(letters)
    with pytest.raises(ValueError, match=message):
        env.reset(options={"prompt": prompt})
    with pytest.raises(gym.error.ResetNeeded):
        env.step(A)


def test_bad_prompts_of_the_task_are_refused_too(letters: Any) -> None:
    letters.prompt = lambda rng: ""
    with pytest.raises(ValueError, match="prompt '' has no token"):
        TextGenEnv(letters).reset(seed=0)


class PadTokenizer(WordTokenizer):
    def encode(self, text: str) -> list[int]:
        return [self.pad_id]


def test_a_prompt_with_padding_is_refused(letters: Any) -> None:
    letters.tokenizer = PadTokenizer("abc")
    with pytest.raises(ValueError, match="holds the padding token 3"):
        TextGenEnv(letters).reset(seed=0)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (PAD, "action 3 is padding.*action_mask"),
        (5, r"action 5 is no token; they are 0..4"),
        (-1, "action -1 is no token"),
        (0.5, "type float64"),
        ([0], r"shape \(1,\)"),
        (None, "action None"),
        (True, "type bool"),
    ],
)
def test_bad_actions_are_refused_and_change_nothing(letters: Any, action: Any, message: str) -> None:
    env = under_way(letters)
    with pytest.raises(ValueError, match=message):
        env.step(action)
    observation, *_ = env.step(np.int64(A))
    assert encode_observation(observation).tolist() == [2, 1, C, A, PAD, PAD, PAD]


def test_a_tokenizer_with_one_id_for_padding_and_end_is_refused(letters: Any) -> None:
    letters.tokenizer.pad_id = letters.tokenizer.eos_id
    with pytest.raises(ValueError, match="pad_id and eos_id are both 4"):
        TextGenEnv(letters)


def test_invalid_tokenizers_are_refused(letters: Any) -> None:
    letters.tokenizer = "abc"
    with pytest.raises(ValueError, match=r"'abc', which is no prefrl_envs\.text\.Tokenizer"):
        TextGenEnv(letters)


def test_steps_need_an_unfinished_text(letters: Any) -> None:
    env = TextGenEnv(letters)
    with pytest.raises(gym.error.ResetNeeded):
        env.step(A)
    env.reset()
    env.step(EOS)
    with pytest.raises(gym.error.ResetNeeded):
        env.step(A)


def test_any_callable_is_a_reward(letters: Any) -> None:
    env = under_way(letters, reward=lambda prompts, responses: [len(prompts[0]) + len(responses[0])])
    env.step(B)
    env.step(B)
    assert env.step(EOS)[1] == 1 + 3
    assert letters.batches == []


def raising(prompts: Sequence[str], responses: Sequence[str]) -> list[float]:
    raise KeyError("out of order")


@pytest.mark.parametrize(
    ("reward", "message"),
    [
        (lambda prompts, responses: [np.nan], "gave nan.*for prompt 'c' and response 'b'"),
        (lambda prompts, responses: [-np.inf], "gave -inf.*for prompt 'c' and response 'b'"),
        (
            lambda prompts, responses: [1.0, 2.0],
            r"gave \[1.0, 2.0\], of shape \(2,\).*prompt 'c' and response 'b'",
        ),
        (lambda prompts, responses: 1.0, r"gave 1.0, of shape \(\).*prompt 'c' and response 'b'"),
        (
            lambda prompts, responses: ["good"],
            r"gave \['good'\], which are no numbers.*prompt 'c' and response 'b'",
        ),
        (raising, "raised KeyError: 'out of order'; for prompt 'c' and response 'b'"),
    ],
)
def test_invalid_rewards_are_reported_with_their_text(letters: Any, reward: Any, message: str) -> None:
    env = under_way(letters, reward=reward)
    env.step(B)
    with pytest.raises(ValueError, match=message):
        env.step(EOS)


def test_a_failing_reward_leaves_the_text_unchanged(letters: Any) -> None:
    answers = iter([[np.nan], [2.0]])
    env = under_way(letters, reward=lambda prompts, responses: next(answers))
    env.step(B)
    with pytest.raises(ValueError, match="gave nan"):
        env.step(EOS)
    observation, reward, terminated, *_ = env.step(EOS)
    assert (reward, terminated) == (2.0, True)
    assert encode_observation(observation).tolist() == [3, 1, C, B, EOS, PAD, PAD]


def test_the_text_so_far_is_rendered(letters: Any) -> None:
    env = under_way(letters, "c b", render_mode="ansi")
    assert env.render() == "c b"
    env.step(A)
    assert env.render() == "c b a"
    env.step(EOS)
    assert env.render() == "c b a"
    assert TextGenEnv(letters).render() is None
    with pytest.raises(ValueError, match="render_mode is 'human'"):
        TextGenEnv(letters, render_mode="human")


def test_a_recorded_response_can_be_read(letters: Any) -> None:
    env = TextGenEnv(letters)
    observation, _ = env.reset(options={"prompt": "c b"})
    seen = []
    for token in (A, C, EOS):
        seen.append(encode_observation(observation))
        observation, *_ = env.step(token)
    observations, actions = np.stack(seen), np.array([[A], [C], [EOS]])
    assert env.segment_text(observations, actions) == ("c b", "a c")
    assert env.segment_text(observations[1:], actions[1:, 0]) == ("c b", "a c")
    assert env.segment_text(observations[:2], actions[:2]) == ("c b", "a c")
    assert env.segment_text(observations[:1], np.array([EOS])) == ("c b", "")


def test_a_segment_of_another_task_is_refused(letters: Any) -> None:
    with pytest.raises(
        ValueError, match=r"observations have shape \(1, 8\); texts of this task have \(T, 7\)"
    ):
        TextGenEnv(letters).segment_text(np.zeros((1, 8), np.int32), np.zeros(1, int))


def test_incomplete_characters_are_read_and_scored_as_sampled(letters: Any) -> None:
    letters.tokenizer = ByteTokenizer()
    env = under_way(letters, "?", reward=lambda prompts, responses: [len(responses[0])])
    env.step(0xC3)
    *_, info = env.step(257)
    assert info["text"]["response"] == "\N{REPLACEMENT CHARACTER}"


def test_the_same_seed_gives_the_same_rollout(letters: Any) -> None:
    twins = TextGenEnv(letters), TextGenEnv(letters)
    rng = np.random.default_rng(0)
    assert data_equivalence(*(env.reset(seed=3) for env in twins), exact=True)
    for token in rng.choice([A, B, C, EOS], 200):
        first, second = (env.step(token) for env in twins)
        assert data_equivalence(first, second, exact=True)
        if first[2] or first[3]:
            assert data_equivalence(*(env.reset() for env in twins), exact=True)
