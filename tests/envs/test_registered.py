"""All registered environments pass Gymnasium's and Stable-Baselines3's checkers without warnings."""

import os
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env, data_equivalence
from stable_baselines3.common.env_checker import check_env as check_env_for_sb3

import prefrl_envs
from prefrl_envs.base import FixedHorizonEnv

all_envs = pytest.mark.parametrize("env_id", prefrl_envs.ENV_IDS)


def make(env_id: str, **kwargs: object) -> gym.Env:
    return gym.make(env_id, disable_env_checker=True, **kwargs)


def rollout(env: gym.Env, seed: int, steps: int) -> list:
    """Everything the environment returns over ``steps`` random steps."""
    env.action_space.seed(seed)
    said = [env.reset(seed=seed)]
    for _ in range(steps):
        said.append(env.step(env.action_space.sample()))
        if said[-1][3]:
            said.append(env.reset())
    return said


@all_envs
def test_passes_gymnasiums_checker(env_id: str) -> None:
    env = make(env_id)
    with warnings.catch_warnings():
        if env_id.split("-")[0].endswith("Intended"):
            # check_env asks for the unwrapped environment, but here the wrapper is what is registered
            warnings.filterwarnings("ignore", message=".*different from the unwrapped version")
            check_env(env, skip_render_check=True)
        check_env(env.unwrapped, skip_render_check=True)  # modes are rendered below, without the wait


@all_envs
def test_passes_stable_baselines3s_checker(env_id: str) -> None:
    check_env_for_sb3(make(env_id, render_mode="rgb_array"))


@all_envs
def test_the_same_seed_gives_the_same_rollout_and_another_seed_differs(env_id: str) -> None:
    first, twin, other = (rollout(make(env_id), seed, 120) for seed in (3, 3, 4))
    assert data_equivalence(first, twin)
    assert not data_equivalence(first, other)


@all_envs
def test_a_pickled_copy_continues_identically(env_id: str) -> None:
    env = make(env_id, render_mode="rgb_array").unwrapped
    rollout(env, seed=1, steps=5)
    env.render()
    copy = pickle.loads(pickle.dumps(env))
    for action in env.action_space.sample(), env.action_space.sample():
        assert data_equivalence(env.step(action), copy.step(action))
        np.testing.assert_array_equal(env.render(), copy.render())


@all_envs
def test_episodes_truncate_at_the_horizon_and_never_terminate(env_id: str) -> None:
    env = make(env_id)
    env.reset(seed=0)
    horizon_steps = env.unwrapped.horizon_steps
    ends = [env.step(env.action_space.sample())[2:4] for _ in range(horizon_steps)]
    assert ends == [(False, False)] * (horizon_steps - 1) + [(False, True)]


@all_envs
def test_frames_follow_the_state(env_id: str) -> None:
    env = make(env_id, render_mode="rgb_array")
    env.action_space.seed(0)
    env.reset(seed=0)
    frames = [env.render()]
    for _ in range(8):
        env.step(env.action_space.sample())
        frames.append(env.render())
    assert all(frame.shape == frames[0].shape and frame.dtype == np.uint8 for frame in frames)
    assert frames[0].ndim == 3
    assert frames[0].shape[2] == 3
    assert any((frame != frames[0]).any() for frame in frames[1:])
    kept = frames[-1].copy()
    frames[-1][:] = 0
    np.testing.assert_array_equal(env.render(), kept)


@all_envs
def test_a_window_shows_each_step(env_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pygame = pytest.importorskip("pygame")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setitem(FixedHorizonEnv.metadata, "render_fps", 0)  # no wait between frames
    env = make(env_id, render_mode="human")
    env.reset(seed=0)
    env.step(0)
    shown = pygame.surfarray.array3d(pygame.display.get_surface()).transpose(1, 0, 2)
    np.testing.assert_array_equal(shown, env.unwrapped._draw())
    env.close()
    assert not pygame.display.get_init()


@all_envs
def test_actions_outside_the_space_are_refused(env_id: str) -> None:
    env = make(env_id)
    env.reset(seed=0)
    with pytest.raises(ValueError, match="action 7 is not in"):
        env.step(7)


@all_envs
def test_invalid_settings_are_refused(env_id: str) -> None:
    with pytest.raises(ValueError, match="horizon_steps is 0"):
        make(env_id, horizon_steps=0).reset()
    with pytest.raises(ValueError, match="render_mode is 'ansi'"):
        make(env_id).unwrapped.__class__(render_mode="ansi")


def test_importing_is_cheap_and_make_imports_automatically() -> None:
    program = (
        "import sys, gymnasium; gymnasium.make('prefrl_envs:prefrl/PenguinIce-v0');"
        "heavy = {'pygame', 'torch', 'prefrl', 'matplotlib'} & set(sys.modules); assert not heavy, heavy"
    )
    source = str(Path(prefrl_envs.__file__).parents[1])
    subprocess.run([sys.executable, "-c", program], check=True, env={**os.environ, "PYTHONPATH": source})
