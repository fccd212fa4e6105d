from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import prefrl_envs
from prefrl_envs.text import TextGenEnv, TextGenVectorEnv
from prefrl_envs.text.make import TASKS

A, B, C, PAD, EOS = range(5)

all_tasks = pytest.mark.parametrize("name", sorted(TASKS.keys() - {"Prompts"}))  # which takes a file


def assert_same_info(ours: dict[str, Any], theirs: dict[str, Any], num_envs: int) -> None:
    """Alike wherever Gymnasium's masks say that there is something."""
    assert ours.keys() == theirs.keys()
    for key in ours:
        if key.startswith("_"):
            np.testing.assert_array_equal(ours[key], theirs[key])
        elif isinstance(theirs[key], dict):
            assert_same_info(ours[key], theirs[key], num_envs)
        else:
            assert (ours[key].dtype, ours[key].shape) == (theirs[key].dtype, theirs[key].shape)
            present = theirs.get(f"_{key}", np.ones(num_envs, bool))
            assert data_equivalence(ours[key][present], theirs[key][present], exact=True)


def assert_same_step(ours: tuple, theirs: tuple, num_envs: int) -> None:
    assert data_equivalence(ours[:-1], theirs[:-1], exact=True)
    assert_same_info(ours[-1], theirs[-1], num_envs)


def random_tokens(rng: np.random.Generator, env: TextGenVectorEnv) -> np.ndarray:
    """Any token, or in one case of five the end."""
    space = env.single_observation_space
    tokens = rng.choice(np.flatnonzero(env.action_masks()), env.num_envs)
    return np.where(rng.random(env.num_envs) < 0.2, space.eos_id, tokens)


@all_tasks
def test_rows_equal_single_environments(name: str) -> None:
    task = TASKS[name]()
    vector = TextGenVectorEnv(task, num_envs=6, responses_per_prompt=2)
    singles = [TextGenEnv(task) for _ in range(6)]
    rng = np.random.default_rng(0)
    prompts = [task.prompt(rng) for _ in range(6)]
    observations, _ = vector.reset(seed=0, options={"prompts": prompts})
    for row, (env, prompt) in enumerate(zip(singles, prompts, strict=True)):
        expected, _ = env.reset(options={"prompt": prompt})
        assert data_equivalence({key: part[row] for key, part in observations.items()}, expected, exact=True)
    ends = 0
    for _ in range(120):
        tokens = random_tokens(rng, vector)
        observations, rewards, terminated, truncated, info = vector.step(tokens)
        for row, env in enumerate(singles):
            expected, reward, ends_here, is_cut_off, single_info = env.step(tokens[row])
            assert (rewards[row], terminated[row], truncated[row]) == (reward, ends_here, is_cut_off)
            if ends_here or is_cut_off:
                ends += 1
                assert info["_final_obs"][row]
                assert info["_final_info"][row]
                assert data_equivalence(info["final_obs"][row], expected, exact=True)
                for key, text in single_info["text"].items():
                    assert info["final_info"]["text"][key][row] == text
                ids = observations["input_ids"][row, : observations["length"][row, 0]]
                expected, _ = env.reset(options={"prompt": task.tokenizer.decode(ids.tolist())})
            elif "final_obs" in info:
                assert not info["_final_obs"][row]
                assert info["final_obs"][row] is None
            seen = {key: part[row] for key, part in observations.items()}
            assert data_equivalence(seen, expected, exact=True)
    assert ends > 50


@all_tasks
def test_one_row_equals_gymnasiums_vector_environment(name: str) -> None:
    task = TASKS[name]()
    ours = TextGenVectorEnv(task)
    theirs = SyncVectorEnv([lambda: TextGenEnv(task)], autoreset_mode=AutoresetMode.SAME_STEP)
    rng = np.random.default_rng(1)
    assert_same_step(ours.reset(seed=4), theirs.reset(seed=4), 1)
    for _ in range(100):
        tokens = random_tokens(rng, ours)
        assert_same_step(ours.step(tokens), theirs.step(tokens), 1)
    assert_same_step(ours.reset(), theirs.reset(), 1)
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space
    assert ours.metadata["autoreset_mode"] == theirs.metadata["autoreset_mode"]


def test_many_rows_equal_gymnasiums_vector_environment() -> None:
    task = TASKS["CapitalOfFrance"]()  # whose rows all have one prompt, however they are seeded
    ours = TextGenVectorEnv(task, num_envs=4)
    theirs = SyncVectorEnv([lambda: TextGenEnv(task)] * 4, autoreset_mode=AutoresetMode.SAME_STEP)
    rng = np.random.default_rng(2)
    assert_same_step(ours.reset(seed=0), theirs.reset(seed=0), 4)
    for _ in range(150):
        tokens = random_tokens(rng, ours)
        assert_same_step(ours.step(tokens), theirs.step(tokens), 4)


def test_a_step_by_hand(letters: Any) -> None:
    env = TextGenVectorEnv(letters, num_envs=3)
    env.reset(seed=0, options={"prompts": ["a", "b c", "c"]})
    env.step(np.array([A, B, C]))
    assert letters.batches == []
    observations, rewards, terminated, truncated, info = env.step(np.array([EOS, B, EOS]))
    assert rewards.tolist() == [1.0, 0.0, 0.0]
    assert (terminated.tolist(), truncated.any()) == ([True, False, True], False)
    assert letters.batches == [(["a", "c"], ["a", "c"])]
    assert observations["input_ids"][1].tolist() == [B, C, B, B, PAD]
    assert observations["length"][1].tolist() == [4]
    assert info["_final_obs"].tolist() == [True, False, True]
    assert info["final_obs"][0]["input_ids"].tolist() == [A, A, EOS, PAD, PAD]
    assert info["final_info"]["text"]["response"].tolist() == ["a", None, "c"]
    assert info["final_info"]["text"]["_response"].tolist() == [True, False, True]


def test_the_reward_is_called_once_for_all_that_end_in_a_step(letters: Any) -> None:
    env = TextGenVectorEnv(letters, num_envs=16)
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    for _ in range(50):
        letters.batches.clear()
        *_, terminated, truncated, _ = env.step(random_tokens(rng, env))
        ended = int((terminated | truncated).sum())
        assert [len(prompts) for prompts, _ in letters.batches] == ([ended] if ended else [])


def prompts_by_row(env: TextGenVectorEnv, seed: int, rng: np.random.Generator) -> list[list[str]]:
    """The prompts of the first five episodes of each row, whose responses end when they will."""
    env.reset(seed=seed)
    seen: list[list[str]] = [[] for _ in range(env.num_envs)]
    while min(map(len, seen)) < 5:
        *_, info = env.step(random_tokens(rng, env))
        for row in np.flatnonzero(info.get("_final_info", np.zeros(env.num_envs))):
            seen[row].append(info["final_info"]["text"]["prompt"][row])
    return [prompts[:5] for prompts in seen]


def test_rows_of_a_block_answer_the_same_prompts(letters: Any) -> None:
    env = TextGenVectorEnv(letters, num_envs=6, responses_per_prompt=3)
    rng = np.random.default_rng(0)
    rows = prompts_by_row(env, 9, rng)
    assert rows[0] == rows[1] == rows[2]
    assert rows[3] == rows[4] == rows[5]
    assert rows[0] != rows[3]
    assert prompts_by_row(env, 9, rng) == rows
    assert prompts_by_row(env, 10, rng) != rows
    single = TextGenEnv(letters)
    single.reset(seed=9)
    for prompt in rows[0]:
        *_, info = single.step(EOS)
        assert info["text"]["prompt"] == prompt
        single.reset()


def test_with_one_response_a_prompt_each_row_has_its_own(letters: Any) -> None:
    rows = prompts_by_row(TextGenVectorEnv(letters, num_envs=4), 0, np.random.default_rng(0))
    assert len(set(map(tuple, rows))) == 4


def test_a_reset_without_seed_continues_with_the_next_prompts(letters: Any) -> None:
    env = TextGenVectorEnv(letters, num_envs=2)
    (first, _), (second, _) = env.reset(seed=0), env.reset()
    assert not data_equivalence(first, second)
    env.reset(seed=0)
    again, _ = env.reset()
    assert data_equivalence(again, second, exact=True)


def test_all_rows_can_be_given_the_same_prompt(letters: Any) -> None:
    observations, _ = TextGenVectorEnv(letters, num_envs=3).reset(options={"prompt": "b c"})
    assert observations["input_ids"].tolist() == [[B, C, PAD, PAD, PAD]] * 3


def test_masks_share_one_array_that_cannot_be_written(letters: Any) -> None:
    env = TextGenVectorEnv(letters, num_envs=3)
    _, first = env.reset(seed=0)
    *_, second = env.step(np.array([EOS, A, A]))
    masks = (
        first["action_mask"],
        second["action_mask"],
        second["final_info"]["action_mask"],
        env.action_masks(),
    )
    assert all(np.shares_memory(mask, masks[0]) for mask in masks)
    assert masks[0].tolist() == [[True, True, True, False, True]] * 3
    assert masks[0].strides[0] == 0
    for mask in masks:
        with pytest.raises(ValueError, match="read-only"):
            mask[...] = True


def test_what_was_returned_is_never_changed(letters: Any) -> None:
    env = TextGenVectorEnv(letters, num_envs=2)
    rng = np.random.default_rng(0)
    said = [env.reset(seed=0)]
    kept = [pickle.dumps(said[0])]
    for _ in range(30):
        said.append(env.step(random_tokens(rng, env)))
        kept.append(pickle.dumps(said[-1]))
    for now, before in zip(said, kept, strict=True):
        assert data_equivalence(now, pickle.loads(before), exact=True)


def test_a_pickled_copy_continues_identically(letters: Any) -> None:
    env = TextGenVectorEnv(TASKS["Reviews"](), num_envs=4, responses_per_prompt=2)
    rng = np.random.default_rng(0)
    env.reset(seed=0)
    env.step(random_tokens(rng, env))
    copy = pickle.loads(pickle.dumps(env))
    for _ in range(40):
        tokens = random_tokens(rng, env)
        assert data_equivalence(env.step(tokens), copy.step(tokens), exact=True)


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        ([A, PAD], "action 3 is padding"),
        ([A, 5], "action 5 is no token"),
        ([A], r"shape \(1,\).*shape \(2,\)"),
        ([A, 0.5], "type float64"),
    ],
)
def test_bad_actions_are_refused_and_no_row_advances(letters: Any, actions: Any, message: str) -> None:
    env = TextGenVectorEnv(letters, num_envs=2)
    env.reset(options={"prompt": "c"})
    with pytest.raises(ValueError, match=message):
        env.step(np.array(actions))
    observations, *_ = env.step(np.array([A, B]))
    assert observations["input_ids"].tolist() == [[C, A, PAD, PAD, PAD], [C, B, PAD, PAD, PAD]]


def test_a_failing_reward_leaves_all_rows_unchanged(letters: Any) -> None:
    answers = iter([[1.0, np.nan], [1.0, 2.0]])
    env = TextGenVectorEnv(letters, num_envs=3, reward=lambda prompts, responses: next(answers))
    env.reset(options={"prompts": ["a", "b", "c"]})
    tokens = np.array([EOS, A, EOS])
    with pytest.raises(ValueError, match=r"gave nan.*prompt 'c' and response ''"):
        env.step(tokens)
    observations, rewards, terminated, *_ = env.step(tokens)
    assert rewards.tolist() == [1.0, 0.0, 2.0]
    assert terminated.tolist() == [True, False, True]
    assert observations["length"][1].tolist() == [2]


def raising(prompts: Sequence[str], responses: Sequence[str]) -> list[float]:
    raise OSError("no model")


@pytest.mark.parametrize(
    ("reward", "message"),
    [
        (raising, "raised OSError: no model; for 2 texts, the first of them prompt 'a' and response ''"),
        (lambda prompts, responses: [1.0], r"gave \[1.0\], of shape \(1,\).*shape \(2,\); for 2 texts"),
    ],
)
def test_a_reward_that_fails_for_a_batch_is_reported(letters: Any, reward: Any, message: str) -> None:
    env = TextGenVectorEnv(letters, num_envs=2, reward=reward)
    env.reset(options={"prompt": "a"})
    with pytest.raises(ValueError, match=message):
        env.step(np.array([EOS, EOS]))


@pytest.mark.parametrize(("num_envs", "responses"), [(0, 1), (4, 3), (2, 4), (2, 0), (-2, -1)])
def test_rows_come_in_whole_blocks(letters: Any, num_envs: int, responses: int) -> None:
    with pytest.raises(ValueError, match=f"num_envs is {num_envs} and responses_per_prompt {responses};"):
        TextGenVectorEnv(letters, num_envs, responses)


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        (["a"], "prompts holds 1; one a row is needed, 2"),
        (["a", ""], "prompt '' has no token"),
        (["a", "a b c"], "has 3 tokens, the limit is 2"),
        (["a", "x"], "word 'x'"),
    ],
)
def test_bad_prompts_are_refused(letters: Any, prompts: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TextGenVectorEnv(letters, num_envs=2).reset(options={"prompts": prompts})


def test_steps_need_an_unfinished_text(letters: Any) -> None:
    with pytest.raises(gym.error.ResetNeeded):
        TextGenVectorEnv(letters).step(np.array([A]))


@pytest.mark.parametrize("env_id", prefrl_envs.TEXT_IDS)
def test_gymnasium_can_make_them(env_id: str) -> None:
    env = gym.make_vec(env_id, num_envs=4, responses_per_prompt=2)
    assert isinstance(env, TextGenVectorEnv)
    assert (env.num_envs, env.responses_per_prompt) == (4, 2)
    assert env.single_observation_space == gym.make(env_id).observation_space
    observations, _ = env.reset(seed=0)
    assert observations in env.observation_space
