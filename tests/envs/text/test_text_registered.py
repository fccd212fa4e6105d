"""Every registered text environment keeps Gymnasium's contract, and any warning fails."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env, data_equivalence
from stable_baselines3.common.env_checker import check_env as check_env_for_sb3

import prefrl_envs
from prefrl_envs.text import encode_observation

all_envs = pytest.mark.parametrize("env_id", prefrl_envs.TEXT_IDS)


def rollout(env: gym.Env, seed: int, steps: int) -> list[Any]:
    """Everything the environment said, over ``steps`` random steps."""
    env.action_space.seed(seed)
    said: list[Any] = [env.reset(seed=seed)]
    for _ in range(steps):
        said.append(env.step(env.action_space.sample()))
        if said[-1][2] or said[-1][3]:
            said.append(env.reset())
    return said


@all_envs
def test_passes_gymnasiums_checker(env_id: str) -> None:
    check_env(gym.make(env_id, render_mode="ansi").unwrapped)


@all_envs
def test_passes_stable_baselines3s_checker(env_id: str) -> None:
    check_env_for_sb3(gym.make(env_id))


@all_envs
def test_the_same_seed_gives_the_same_rollout_and_another_seed_differs(env_id: str) -> None:
    # Gymnasium's own checks of every step are on.
    first, twin, other = (rollout(gym.make(env_id), seed, 120) for seed in (3, 3, 4))
    assert data_equivalence(first, twin, exact=True)
    assert not data_equivalence(first, other, exact=True)


@all_envs
def test_a_pickled_copy_continues_identically(env_id: str) -> None:
    env = gym.make(env_id).unwrapped
    env.reset(seed=1)
    env.action_space.seed(1)  # a text of one token would leave nothing to go on with
    env.step(env.action_space.sample())
    copy = pickle.loads(pickle.dumps(env))
    for _ in range(60):
        token = env.action_space.sample()
        step = env.step(token)
        assert data_equivalence(step, copy.step(token), exact=True)
        if step[2] or step[3]:
            assert data_equivalence(env.reset(), copy.reset(), exact=True)


@all_envs
def test_demonstrations_can_be_written_and_read(env_id: str) -> None:
    env: Any = gym.make(env_id).unwrapped
    tokenizer = env.task.tokenizer
    rng = np.random.default_rng(0)
    for _ in range(50):
        prompt, response = env.task.demonstration(rng)
        observation, _ = env.reset(options={"prompt": prompt})
        for token in [*tokenizer.encode(response), tokenizer.eos_id]:
            before = encode_observation(observation)
            observation, reward, terminated, truncated, info = env.step(token)
        assert (terminated, truncated) == (True, False)
        assert info["text"] == {"prompt": prompt, "response": response}
        assert reward == env.task.reward([prompt], [response])[0]
        assert env.segment_text(before[None], np.array([token])) == (prompt, response)


@all_envs
def test_demonstrations_have_ordinary_rewards(env_id: str) -> None:
    task: Any = gym.make(env_id).unwrapped.task
    rng = np.random.default_rng(0)
    rewards = task.reward(*zip(*(task.demonstration(rng) for _ in range(500)), strict=True))
    assert rewards.shape == (500,)
    assert rewards.dtype == np.float64
    assert rewards.std() > 0.2
    assert rewards.mean() < rewards.max() - rewards.std() / 2


def test_importing_the_environments_does_not_import_the_text_package() -> None:
    program = (
        "import sys, gymnasium, prefrl_envs;"
        "assert not {'torch', 'prefrl', 'prefrl_envs.text'} & set(sys.modules);"
        "gymnasium.make('prefrl/Reviews-v0');"
        "assert not {'torch', 'prefrl', 'transformers', 'pygame'} & set(sys.modules)"
    )
    source = str(Path(prefrl_envs.__file__).parents[1])
    subprocess.run([sys.executable, "-c", program], check=True, env={**os.environ, "PYTHONPATH": source})
