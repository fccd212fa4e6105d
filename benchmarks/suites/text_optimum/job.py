"""Train by one method on texts that are few enough to enumerate.

``python -m benchmarks.suites.text_optimum.job ppo --seed 0`` prints, as its last line, the objective reached and its
share of the possible gain.
"""

from __future__ import annotations

import time

import numpy as np
import torch

from benchmarks.harness import job_parser, print_result
from benchmarks.suites.text_optimum.task import BETA, PROMPT, Enumerable
from prefrl.config import DPOConfig, GRPOConfig
from prefrl.sb3 import NativeVecEnv
from prefrl.text.models import Generation, LanguageModel
from prefrl_agents.text import DPO, GRPO, LanguageModelPolicy, RankedResponses, TokenPPO
from prefrl_envs.text import TextGenVectorEnv

__all__ = ["METHODS", "train"]

METHODS = ("ppo", "grpo", "dpo")
_RANKED = 4
"""responses in each of DPO's rankings"""


def train(task: Enumerable, method: str, seed: int, effort: float = 1.0) -> dict[str, float]:
    """Train a fresh model by one of the `METHODS`; ``effort`` scales the length of the training."""
    tokenizer, room = task.tokenizer, task.max_prompt_tokens + task.max_new_tokens
    model = LanguageModel.create("tiny", tokenizer.vocab_size, room, tokenizer.pad_id, tokenizer.eos_id, seed)
    reference = task.log_probs(model)
    start_s = time.monotonic()
    trained = {"ppo": _ppo, "grpo": _grpo, "dpo": _dpo}[method](task, model, seed, effort)
    return task.score(trained, reference) | {"training_s": round(time.monotonic() - start_s, 3)}


def _ppo(task: Enumerable, model: LanguageModel, seed: int, effort: float) -> LanguageModel:
    venv = NativeVecEnv(TextGenVectorEnv(task, num_envs=128))
    venv.seed(seed)
    agent = TokenPPO(
        LanguageModelPolicy,
        venv,
        learning_rate=lambda left: 1e-3 * left,
        kl_coefficient=BETA,
        batch_size=128,
        n_epochs=2,
        gae_lambda=1.0,
        seed=seed,
    )
    agent.policy.language_model.load_state_dict(model.state_dict())
    agent.policy.keep_reference()
    agent.learn(int(effort * 300) * 128 * task.steps)
    return agent.policy.language_model


def _grpo(task: Enumerable, model: LanguageModel, seed: int, effort: float) -> LanguageModel:
    config = GRPOConfig(
        steps=int(effort * 400),
        prompts=1,
        group_size=256,
        aggregation="dr_grpo",
        scale_by_std=False,
        kl_coefficient=BETA,
        kl_in_reward=True,
        learning_rate=2e-3,
        seed=seed,
    )

    def score(generation: Generation) -> np.ndarray:
        return np.array([task.worth(response) for response in generation.responses()], np.float32)

    prompt = task.tokenizer.encode(PROMPT)
    GRPO(model, config, task.max_new_tokens).train(lambda count: [prompt] * count, score)
    return model


def _dpo(task: Enumerable, model: LanguageModel, seed: int, effort: float) -> LanguageModel:
    """Train on rankings of the reference's own texts, drawn from the Plackett-Luce model of the rewards."""
    count = int(effort * 30_000)
    rng, probabilities = np.random.default_rng(seed), np.exp(task.log_probs(model))
    drawn = rng.choice(len(task.texts), (count, _RANKED), p=probabilities / probabilities.sum())
    perturbed = task.rewards[drawn] + rng.gumbel(size=drawn.shape)
    ranks = (-perturbed).argsort(axis=1).argsort(axis=1) + 1
    prompt = task.tokenizer.encode(PROMPT)
    responses = [[task.texts[index] for index in group] for group in drawn]
    rankings = RankedResponses.of([prompt] * count, responses, ranks.tolist(), task.tokenizer.pad_id)
    DPO(model, DPOConfig(BETA, epochs=2, batch_size=64, learning_rate=1e-3, seed=seed)).train(rankings)
    return model


def main() -> None:
    """Train and print the figures."""
    parser = job_parser(__doc__)
    parser.add_argument("method", choices=METHODS)
    parser.add_argument("--effort", type=float, default=1.0, help="scales the length of the training")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print_result(train(Enumerable(), options.method, options.seed, options.effort))


if __name__ == "__main__":
    main()
