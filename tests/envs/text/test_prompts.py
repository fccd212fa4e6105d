"""Prompts out of a file, in the tokens of a checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import prefrl_envs
from prefrl_envs.text.prompts import Prompts

ROWS: list[dict[str, Any]] = [
    {"prompt": "Question 1?", "response": " The answer is 1."},
    {"prompt": "Question 2 and more?", "chosen": " No idea.", "rejected": "?"},
    {"prompt": "Question 3?"},
]


def jsonl(folder: Path, rows: list[Any]) -> str:
    path = folder / "prompts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n\n" for row in rows))
    return str(path)


def word_count(prompts: list[str], responses: list[str]) -> list[int]:
    """A reward function that a test names."""
    return [len(response.split()) for response in responses]


def nothing(prompts: list[str], responses: list[str]) -> list[float]:
    """One that fails."""
    return [float("nan")] * len(responses)


def test_every_prompt_is_drawn_and_fits(gpt2: Path, tmp_path: Path) -> None:
    task = Prompts(jsonl(tmp_path, ROWS), str(gpt2))
    drawn = [task.prompt(np.random.default_rng(seed)) for seed in range(50)]
    assert set(drawn) == {row["prompt"] for row in ROWS}
    assert max(len(task.tokenizer.encode(prompt)) for prompt in drawn) == task.max_prompt_tokens


def test_responses_in_the_file_become_demonstrations(gpt2: Path, tmp_path: Path) -> None:
    task = Prompts(jsonl(tmp_path, ROWS), str(gpt2))
    drawn = {task.demonstration(np.random.default_rng(seed)) for seed in range(50)}
    assert drawn == {("Question 1?", " The answer is 1."), ("Question 2 and more?", " No idea.")}


def test_plain_text_has_one_prompt_per_line(gpt2: Path, tmp_path: Path) -> None:
    path = tmp_path / "prompts.txt"
    path.write_text('Question 1?\n\n{"prompt": 2}\n')
    task = Prompts(str(path), str(gpt2))
    drawn = {task.prompt(np.random.default_rng(seed)) for seed in range(50)}
    assert drawn == {"Question 1?", '{"prompt": 2}'}
    with pytest.raises(ValueError, match="no demonstrations"):
        task.demonstration(np.random.default_rng(0))


@pytest.mark.parametrize("name", ["prompts.txt", "prompts.jsonl"])
def test_only_line_feeds_end_a_line(gpt2: Path, tmp_path: Path, name: str) -> None:
    prompts = ["First\u2028half", "two\x85\x0cpages", "spaces  "]
    lines = (
        prompts
        if name.endswith(".txt")
        else [json.dumps({"prompt": prompt}, ensure_ascii=False) for prompt in prompts]
    )
    path = tmp_path / name
    # As Windows' editors write it, the mark of UTF-8 first.
    path.write_bytes("\r\n".join(["\ufeff" + lines[0], *lines[1:], ""]).encode())
    task = Prompts(str(path), str(gpt2))
    assert {task.prompt(np.random.default_rng(seed)) for seed in range(50)} == set(prompts)


def test_there_is_no_reward_unless_one_is_given(gpt2: Path, tmp_path: Path) -> None:
    settings = {"prompts": jsonl(tmp_path, ROWS), "tokenizer": str(gpt2)}
    env: Any = gym.make(prefrl_envs.PROMPTS_ID, **settings).unwrapped
    assert env.reward_function is None
    env = gym.make(prefrl_envs.PROMPTS_ID, reward=word_count, **settings).unwrapped
    assert env.reward_function is word_count


def test_the_environment_passes_gymnasiums_checker(gpt2: Path, tmp_path: Path) -> None:
    settings = {"prompts": jsonl(tmp_path, ROWS), "tokenizer": str(gpt2), "max_new_tokens": 4}
    check_env(gym.make(prefrl_envs.PROMPTS_ID, **settings).unwrapped, skip_render_check=True)


def test_any_function_can_be_named_as_the_reward(gpt2: Path, tmp_path: Path) -> None:
    settings = {"prompts": jsonl(tmp_path, ROWS), "tokenizer": str(gpt2), "max_new_tokens": 9}
    env = gym.make(prefrl_envs.PROMPTS_ID, reward=f"{__name__}:word_count", **settings).unwrapped
    env.reset(seed=0)
    encode = env.task.tokenizer.encode  # type: ignore[attr-defined]
    for token in encode(" No idea"):
        env.step(token)
    _, reward, terminated, _, info = env.step(env.task.tokenizer.eos_id)  # type: ignore[attr-defined]
    assert (reward, terminated, info["text"]["response"]) == (2, True, " No idea")


def test_a_reward_that_is_no_number_is_reported(gpt2: Path, tmp_path: Path) -> None:
    settings = {"prompts": jsonl(tmp_path, ROWS), "tokenizer": str(gpt2), "reward": f"{__name__}:nothing"}
    env = gym.make(prefrl_envs.PROMPTS_ID, **settings).unwrapped
    env.reset(seed=0)
    with pytest.raises(ValueError, match="gave nan, where a finite number is needed, for prompt 'Question"):
        env.step(env.task.tokenizer.eos_id)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("reward", "complaint"),
    [
        ("no.such:thing", "cannot be imported"),
        ("math:no_such", "cannot be imported"),
        ("math", "cannot be imported"),
        ("math:pi", "a float and not a function"),
    ],
)
def test_rewards_that_are_not_functions_are_refused(reward: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        gym.make("prefrl/RandomWalks-v0", reward=reward)


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ("", "has no prompt"),
        ("\n \n", "has no prompt"),
        ('{"prompt": "a"}\n{"prompt": ""}\n', "line 2 has no text as its"),
        ('{"question": "a"}\n', "line 1 has no text as its"),
        ('["a"]\n', "line 1 has no text as its"),
        ("a\n", "line 1 is no JSON"),
    ],
)
def test_errors_name_the_bad_line(gpt2: Path, tmp_path: Path, lines: str, complaint: str) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_text(lines)
    with pytest.raises(ValueError, match=complaint):
        Prompts(str(path), str(gpt2))


def test_missing_files_and_settings_are_named(gpt2: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"--env\.kwargs"):
        Prompts()
    with pytest.raises(ValueError, match="cannot be read as prompts"):
        Prompts(str(tmp_path / "none.jsonl"), str(gpt2))
    with pytest.raises(ValueError, match="has no tokenizer"):
        Prompts(jsonl(tmp_path, ROWS), str(tmp_path))
