"""Reviews by one method at several strengths: true reward and KL to the fine-tuned model.

``python -m benchmarks.suites.text_frontier.job ppo --seed 0`` prints, as its last line, a point per strength. All
methods of a seed start from the same fine-tuned model and learn from the same rankings of its responses.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np
import torch

from benchmarks.harness import job_parser, print_result
from benchmarks.harness.reviews import StartingPoint, learned_rewards, starting_point
from prefrl.config import DPOConfig, GRPOConfig
from prefrl.sb3 import NativeVecEnv, RewardVecEnv
from prefrl.text.models import LanguageModel
from prefrl_agents.text import DPO, GRPO, LanguageModelPolicy, RankedResponses, TokenPPO
from prefrl_agents.text.best_of_n import best_of_n_kl, best_of_n_scores
from prefrl_envs.text import TextGenVectorEnv

__all__ = ["METHODS"]

METHODS = ("sft", "ppo", "grpo", "dpo", "best-of-n")
STRENGTHS: Mapping[str, tuple[float, ...]] = {
    "sft": (0.0,),
    "ppo": (0.4, 0.2, 0.1, 0.05),
    "grpo": (0.4, 0.2, 0.1, 0.05),
    "dpo": (1.0, 0.5, 0.2, 0.1),
}
"""method -> KL coefficients; for DPO, beta"""
BEST_OF = (2, 4, 8, 16, 32, 64)
BEST_OF_PROMPTS = 100


def ppo(start: StartingPoint, strength: float) -> LanguageModel:
    """Train by `TokenPPO` on the learned reward."""
    venv = NativeVecEnv(TextGenVectorEnv(start.task, num_envs=64))
    venv.seed(start.seed)
    agent = TokenPPO(
        LanguageModelPolicy,
        RewardVecEnv(venv, start.reward()),
        learning_rate=lambda left: 1e-3 * left,
        kl_coefficient=strength,
        batch_size=256,
        policy_kwargs={"model": str(start.model_folder)},
        seed=start.seed,
    )
    agent.learn(100_000)
    return agent.policy.language_model


def grpo(start: StartingPoint, strength: float) -> LanguageModel:
    """Train by GRPO on the learned reward."""
    model, reward, rng = start.model(), start.reward(), np.random.default_rng([start.seed, 3])
    config = GRPOConfig(
        steps=120,
        prompts=8,
        group_size=8,
        kl_coefficient=strength,
        kl_in_reward=True,
        learning_rate=1e-3,
        seed=start.seed,
    )

    def draw(count: int) -> list[list[int]]:
        return [start.task.tokenizer.encode(start.task.prompt(rng)) for _ in range(count)]

    GRPO(model, config, start.task.max_new_tokens).train(draw, lambda found: learned_rewards(reward, found))
    return model


def dpo(start: StartingPoint, strength: float) -> LanguageModel:
    """Train by DPO on the rankings themselves."""
    model, tokenizer = start.model(), start.task.tokenizer
    ordered = [ranking for ranking in start.rankings if not ranking.is_tie]
    rankings = RankedResponses.of(
        [tokenizer.encode(ranking.prompt) for ranking in ordered],
        [[[*tokenizer.encode(text), tokenizer.eos_id] for text in ranking.responses] for ranking in ordered],
        [ranking.ranks for ranking in ordered],
        tokenizer.pad_id,
    )
    DPO(model, DPOConfig(strength, epochs=3, learning_rate=5e-4, seed=start.seed)).train(rankings)
    return model


def best_of_n(start: StartingPoint) -> list[dict[str, float]]:
    """The fine-tuned model's best response of n by the learned reward: an unbiased estimate for each n."""
    rng, reward = np.random.default_rng([start.seed, 2]), start.reward()
    prompts, count = [start.task.prompt(rng) for _ in range(BEST_OF_PROMPTS)], 2 * max(BEST_OF)
    repeated = [prompt for prompt in prompts for _ in range(count)]
    found = start.sample(start.model(), repeated, start.seed + 1)
    gold = start.task.reward(repeated, start.texts(found)).reshape(-1, count)
    proxy = learned_rewards(reward, found).reshape(-1, count)
    estimates = np.mean([best_of_n_scores(p, g, BEST_OF) for p, g in zip(proxy, gold, strict=True)], axis=0)
    return [
        {"strength": n, "gold": float(value), "kl": best_of_n_kl(n)}
        for n, value in zip(BEST_OF, estimates, strict=True)
    ]


def run(method: str, seed: int) -> dict[str, object]:
    """All strengths of one method; the metrics are those of the best point."""
    start, start_s = starting_point(seed), time.monotonic()
    train: dict[str, Callable[[StartingPoint, float], LanguageModel]] = {
        "sft": lambda start, _: start.model(),
        "ppo": ppo,
        "grpo": grpo,
        "dpo": dpo,
    }
    if method == "best-of-n":
        curve = best_of_n(start)
    else:
        curve = [
            {"strength": strength, **start.evaluate(train[method](start, strength))}
            for strength in STRENGTHS[method]
        ]
    best = max(curve, key=lambda point: point["gold"])
    return {**best, "curve": curve, "training_s": round(time.monotonic() - start_s, 3)}


def main() -> None:
    """Run one method and print its points."""
    parser = job_parser(__doc__)
    parser.add_argument("method", choices=METHODS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print_result(run(options.method, options.seed))


if __name__ == "__main__":
    main()
