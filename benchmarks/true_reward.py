"""The agent of a preset trained on a reward that is written down: what learning from preferences is measured
against.

``python -m benchmarks.true_reward pendulum --steps 50000 --seed 0`` prints, as its last line, a result
with the keys of ``prefrl train``'s.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

    from prefrl.config import RunConfig

__all__ = ["build", "in_environment", "train"]


def build(config: RunConfig, seed: int, *, normalize: bool = False) -> BaseAlgorithm:
    """The preset's algorithm and hyperparameters on its ordinary environment.

    Args:
        config: a preset's.
        seed: of agent and environments.
        normalize: divide rewards by the running standard deviation of their returns. Hyperparameters for a
            learned reward, which has a standard deviation of 1, fit no reward of quite another size.
    """
    from stable_baselines3.common.vec_env import VecNormalize

    from prefrl_agents import start_model
    from prefrl_agents.factory import evaluation_environments

    environments = evaluation_environments(config)(config.env.num_envs)
    if normalize:
        gamma = config.agent.hyperparameters.get("gamma", 0.99)
        environments = VecNormalize(environments, norm_obs=False, gamma=gamma)
    return start_model(config.agent, environments, seed)


def in_environment(config: RunConfig, env_id: str) -> RunConfig:
    """The same settings in another environment, such as one that pays another reward."""
    return replace(config, env=replace(config.env, id=env_id))


def train(
    config: RunConfig,
    steps: int,
    seed: int,
    episodes: int = 20,
    written: str | None = None,
    *,
    normalize: bool = False,
) -> dict[str, Any]:
    """Train, evaluate as ``prefrl train`` does, and return the result; ``wall_s`` covers the training alone.

    Args:
        config: a preset's.
        steps: to train for, in whole rollouts.
        seed: of agent and environments.
        episodes: to evaluate on, acting as the preset does then.
        written: id of the environment to train in, where it pays another reward than the preset's; the
            result then also has ``written_return_mean``, the return there.
        normalize: see `build`.
    """
    from prefrl_agents import evaluate
    from prefrl_agents.factory import evaluation_environments

    trained_in = config if written is None else in_environment(config, written)
    agent = build(trained_in, seed, normalize=normalize)
    started = time.perf_counter()
    agent.learn(steps)
    wall_s = time.perf_counter() - started
    is_deterministic = config.agent.deterministic
    evaluation = evaluate(agent, evaluation_environments(config), episodes, seed, is_deterministic)
    result = {
        "env_id": config.env.id,
        "seed": seed,
        "steps": agent.num_timesteps,
        "labels": 0,
        "true_return_mean": evaluation.mean,
        "true_return_std": evaluation.std,
        "episodes": len(evaluation.true_returns),
        "wall_s": wall_s,
        "steps_per_s": agent.num_timesteps / wall_s,
        "reward_accuracy_validation": None,
        "reward_version": None,
        "optimal_return": evaluation.optimal_return,
    }
    if written is not None:
        there = evaluate(agent, evaluation_environments(trained_in), episodes, seed, is_deterministic)
        result["written_return_mean"] = there.mean
    return result


def main() -> None:
    from prefrl.presets import get_preset

    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("preset")
    parser.add_argument("--steps", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--episodes", type=int, default=20, help="evaluation episodes")
    parser.add_argument(
        "--written", metavar="ENV_ID", help="train in this environment instead, on its reward"
    )
    parser.add_argument(
        "--normalize", action="store_true", help="divide rewards by the running spread of their returns"
    )
    args = parser.parse_args()
    config = get_preset(args.preset).config
    result = train(config, args.steps, args.seed, args.episodes, args.written, normalize=args.normalize)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
