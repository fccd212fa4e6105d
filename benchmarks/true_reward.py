"""The agent of a preset trained on the true reward: what learning from preferences is measured against.

``python -m benchmarks.true_reward pendulum --steps 50000 --seed 0`` prints, as its last line, a result
with the keys of ``prefrl train``'s.
"""

from __future__ import annotations

import argparse
import json
import time
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

    from prefrl.config import RunConfig

__all__ = ["build", "evaluate", "train"]


def build(config: RunConfig, seed: int) -> BaseAlgorithm:
    """The preset's algorithm and hyperparameters on its ordinary environment."""
    from stable_baselines3.common.env_util import make_vec_env

    from prefrl.environments import make_ordinary_environment
    from prefrl_agents.hyperparameters import ALGORITHMS, algorithm_arguments

    env = make_vec_env(partial(make_ordinary_environment, config.env), config.env.num_envs, seed=seed)
    policy = "MlpPolicy" if config.agent.policy == "auto" else config.agent.policy
    arguments = algorithm_arguments(config.agent.algorithm, config.agent.hyperparameters)
    return ALGORITHMS[config.agent.algorithm](policy, env, seed=seed, device="cpu", **arguments)


def evaluate(agent: BaseAlgorithm, config: RunConfig, seed: int, episodes: int) -> list[float]:
    """True returns of deterministic episodes on the ordinary environment."""
    import numpy as np
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.evaluation import evaluate_policy

    from prefrl.environments import make_ordinary_environment

    env = make_vec_env(partial(make_ordinary_environment, config.env), 1, seed=10_000 + seed)
    returns, _ = evaluate_policy(
        agent, env, n_eval_episodes=episodes, deterministic=True, return_episode_rewards=True
    )
    return [float(each) for each in np.atleast_1d(returns)]


def train(config: RunConfig, steps: int, seed: int, episodes: int = 20) -> dict[str, Any]:
    """Train, evaluate and return the result; ``wall_s`` covers the training alone."""
    import numpy as np

    agent = build(config, seed)
    started = time.perf_counter()
    agent.learn(steps)
    wall_s = time.perf_counter() - started
    returns = evaluate(agent, config, seed, episodes)
    return {
        "env_id": config.env.id,
        "seed": seed,
        "steps": agent.num_timesteps,
        "labels": 0,
        "true_return_mean": float(np.mean(returns)),
        "true_return_std": float(np.std(returns)),
        "episodes": len(returns),
        "wall_s": wall_s,
        "steps_per_s": agent.num_timesteps / wall_s,
        "reward_accuracy_validation": None,
        "reward_version": None,
    }


def main() -> None:
    from prefrl.presets import get_preset

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("preset")
    parser.add_argument("--steps", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--episodes", type=int, default=20, help="evaluation episodes")
    args = parser.parse_args()
    print(json.dumps(train(get_preset(args.preset).config, args.steps, args.seed, args.episodes)))


if __name__ == "__main__":
    main()
