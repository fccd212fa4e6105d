"""PPO far beyond the point where a small reward model can be trusted.

``python -m benchmarks.suites.text_overoptimisation.job single --seed 0`` follows one reward model fitted to few
rankings, ``ensemble`` the mean minus half the variance of eight fitted to the same rankings; the KL penalty is
negligible. The last line has true (gold) and learned (proxy) reward by rollout, as JSON.
"""

from __future__ import annotations

import time
from dataclasses import asdict, replace

import numpy as np
import torch

from benchmarks.harness import job_parser, print_result
from benchmarks.harness.reviews import REWARD, StartingPoint, starting_point
from prefrl.reward import LearnedReward
from prefrl.sb3 import NativeVecEnv, RewardVecEnv
from prefrl_agents.text import LanguageModelPolicy, OveroptimisationCallback, TokenPPO
from prefrl_envs.text import TextGenVectorEnv

__all__ = ["METHODS", "STEPS"]

METHODS = {
    "single": replace(REWARD, members=1, bootstrap=False),
    "ensemble": replace(
        REWARD, members=8, bootstrap=False, aggregate="mean_minus_variance", variance_penalty=0.5
    ),
}
RANKINGS = 120
STEPS = 50_000
KL_COEFFICIENT = 0.005
LEARNING_RATE = 2e-4
SMOOTHED_ROLLOUTS = 10
"""rollouts averaged in a figure"""


def train(start: StartingPoint, reward: LearnedReward, steps: int) -> OveroptimisationCallback:
    """Train by PPO on the learned reward; returns the callback with its history."""
    venv = NativeVecEnv(TextGenVectorEnv(start.task, num_envs=64))
    venv.seed(start.seed)
    agent = TokenPPO(
        LanguageModelPolicy,
        RewardVecEnv(venv, reward),
        learning_rate=LEARNING_RATE,
        kl_coefficient=KL_COEFFICIENT,
        batch_size=256,
        policy_kwargs={"model": str(start.model_folder)},
        seed=start.seed,
    )
    callback = OveroptimisationCallback()
    agent.learn(steps, callback=callback)
    return callback


def run(method: str, seed: int, steps: int) -> dict[str, object]:
    """Train, and report where the true reward was highest and where it ended."""
    start = starting_point(seed)
    start.model()
    reward, start_s = start.fit_reward(METHODS[method], RANKINGS), time.monotonic()
    history = train(start, reward, steps).history
    gold = _smooth([point.gold for point in history])
    proxy = _smooth([point.proxy for point in history])
    best = int(np.argmax(gold))
    return {
        "gold_best": float(gold[best]),
        "gold_last": float(gold[-1]),
        "gold_lost": float(gold[best] - gold[-1]),
        "proxy_at_best": float(proxy[best]),
        "proxy_last": float(proxy[-1]),
        "kl_at_best": history[min(best + SMOOTHED_ROLLOUTS // 2, len(history) - 1)].kl,
        "kl_last": history[-1].kl,
        "distinct_2_last": history[-1].distinct_2,
        "curve": [asdict(point) for point in history],
        "training_s": round(time.monotonic() - start_s, 3),
    }


def _smooth(values: list[float]) -> np.ndarray:
    """Means over `SMOOTHED_ROLLOUTS` consecutive rollouts."""
    return np.convolve(values, np.full(SMOOTHED_ROLLOUTS, 1 / SMOOTHED_ROLLOUTS), mode="valid")


def main() -> None:
    """Run one method and print its figures."""
    parser = job_parser(__doc__)
    parser.add_argument("method", choices=METHODS)
    parser.add_argument("--steps", type=int, default=STEPS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print_result(run(options.method, options.seed, options.steps))


if __name__ == "__main__":
    main()
