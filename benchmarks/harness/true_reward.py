"""Train the agent of a preset on a reward that the environment pays: the baseline of learning from preferences.

``python -m benchmarks.harness.true_reward pendulum --steps 50000 --seed 0`` prints, as its last line, a result with the
keys of the result of ``prefrl train``.
"""

from __future__ import annotations

import time
from typing import Any

from prefrl.config import RunConfig
from prefrl.presets import get_preset

from .job_cli import job_parser, print_result
from .runs import evaluate_agent, in_environment, start_agent

__all__ = ["train"]


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
        config: settings of a preset.
        steps: to train for, in whole rollouts.
        seed: of agent and environments.
        episodes: to evaluate on, acting as the preset does.
        written: id of the environment to train in, where it pays another reward than the preset's; the
            result then also has ``written_return_mean``, the return there.
        normalize: see `benchmarks.harness.runs.start_agent`.
    """
    trained_in = config if written is None else in_environment(config, written)
    agent = start_agent(trained_in, seed, normalize=normalize)
    started = time.perf_counter()
    agent.learn(steps)
    wall_s = time.perf_counter() - started
    evaluation = evaluate_agent(agent, config, episodes, seed)
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
        result["written_return_mean"] = evaluate_agent(agent, trained_in, episodes, seed).mean
    return result


def main() -> None:
    """Train and print the result."""
    parser = job_parser(__doc__)
    parser.add_argument("preset")
    parser.add_argument("--steps", type=int, default=50_000)
    parser.add_argument("--episodes", type=int, default=20, help="evaluation episodes")
    parser.add_argument("--written", metavar="ENV_ID", help="train in this environment, on its reward")
    parser.add_argument(
        "--normalize", action="store_true", help="divide rewards by the standard deviation of their returns"
    )
    args = parser.parse_args()
    config = get_preset(args.preset).config
    print_result(train(config, args.steps, args.seed, args.episodes, args.written, normalize=args.normalize))


if __name__ == "__main__":
    main()
