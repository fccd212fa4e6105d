"""Baselines for the throughput of learning Pong from preferences, each as its users run it.

``python benchmarks/peers/stock_atari.py sb3-ppo --steps 40000`` prints, as its last line, the steps per second.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

__all__ = ["PEERS"]

# The RL Zoo's settings for Atari; the rest are Stable-Baselines3's defaults.
_PPO: dict[str, Any] = {
    "n_steps": 128,
    "n_epochs": 4,
    "batch_size": 256,
    "vf_coef": 0.5,
    "ent_coef": 0.01,
}
_EMULATOR: dict[str, Any] = {"frameskip": 1, "repeat_action_probability": 0.0}
_A2C: dict[str, Any] = {"ent_coef": 0.01, "vf_coef": 0.25}


def train_ppo(steps: int, seed: int) -> tuple[int, float]:
    """SB3's PPO on the true reward; returns steps and seconds."""
    from stable_baselines3 import PPO
    from stable_baselines3.common.utils import LinearSchedule

    schedules: dict[str, Any] = {
        "learning_rate": LinearSchedule(2.5e-4, 0, 1),
        "clip_range": LinearSchedule(0.1, 0, 1),
    }
    return _train(lambda venv: PPO("CnnPolicy", venv, seed=seed, **_PPO, **schedules), 8, steps, seed)


def train_a2c(steps: int, seed: int) -> tuple[int, float]:
    """SB3's A2C on the true reward."""
    from stable_baselines3 import A2C
    from stable_baselines3.common.sb2_compat.rmsprop_tf_like import RMSpropTFLike

    optimizer = {"optimizer_class": RMSpropTFLike, "optimizer_kwargs": {"eps": 1e-5}}
    return _train(
        lambda venv: A2C("CnnPolicy", venv, seed=seed, policy_kwargs=optimizer, **_A2C), 16, steps, seed
    )


def _train(make_model: Callable[[Any], Any], num_envs: int, steps: int, seed: int) -> tuple[int, float]:
    import ale_py
    import gymnasium as gym
    from stable_baselines3.common.env_util import make_atari_env
    from stable_baselines3.common.vec_env import SubprocVecEnv, VecFrameStack

    gym.register_envs(ale_py)
    venv = make_atari_env(
        "ale_py:ALE/Pong-v5", n_envs=num_envs, seed=seed, vec_env_cls=SubprocVecEnv, env_kwargs=_EMULATOR
    )
    model = make_model(VecFrameStack(venv, 4))
    started = time.perf_counter()
    model.learn(steps)
    wall_s = time.perf_counter() - started
    venv.close()
    return model.num_timesteps, wall_s


def step_emulator(steps: int, seed: int) -> tuple[int, float]:
    """The emulator alone: 16 games in ale-py's own threads, random actions."""
    import gymnasium as gym
    import numpy as np

    num_envs = 16
    env = gym.make_vec("prefrl_envs:prefrl/Pong-v0", num_envs=num_envs)
    env.reset(seed=seed)
    actions = np.random.default_rng(seed).integers(6, size=(steps // num_envs, num_envs))
    started = time.perf_counter()
    for each in actions:
        env.step(each)
    wall_s = time.perf_counter() - started
    env.close()
    return actions.size, wall_s


PEERS = {"sb3-ppo": train_ppo, "sb3-a2c": train_a2c, "emulator": step_emulator}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("--steps", type=int, default=40_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    steps, wall_s = PEERS[options.peer](options.steps, options.seed)
    print(json.dumps({"steps": steps, "labels": 0, "training_s": wall_s, "steps_per_s": steps / wall_s}))


if __name__ == "__main__":
    main()
