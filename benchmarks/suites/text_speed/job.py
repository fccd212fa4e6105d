"""Tokens learned from per second by one method.

``python -m benchmarks.suites.text_speed.job token-ppo --rollouts 5`` prints, as its last line, the tokens sampled and
learned from, the seconds, and the reward by rollout. All methods have the same work: prompts of 64 tokens, responses of
up to 48, the same model, and a reward that costs nothing to compute.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecMonitor

from benchmarks.harness import job_parser, print_result
from prefrl.config import DPOConfig, GRPOConfig
from prefrl.sb3 import NativeVecEnv
from prefrl.text.models import Generation, LanguageModel
from prefrl_agents.text import DPO, GRPO, LanguageModelPolicy, RankedResponses, TokenPPO
from prefrl_envs.text import TextGenVectorEnv, WordTokenizer

METHODS = ("stock-ppo", "token-ppo", "grpo", "dpo")
WORDS, PROMPT_TOKENS, NEW_TOKENS = 62, 64, 48
ENVS = 32
GROUP = 8
WANTED = 7
"""words below this number are rewarded"""
LEARNING_RATE = 3e-4


class LongPrompts:
    """Prompts of random words; the reward of a response is its share of wanted words."""

    max_prompt_tokens, max_new_tokens = PROMPT_TOKENS, NEW_TOKENS

    def __init__(self) -> None:
        self.tokenizer = WordTokenizer([f"w{number}" for number in range(WORDS)])

    def prompt(self, rng: np.random.Generator) -> str:
        """Random words, as many as a prompt may have."""
        return " ".join(f"w{number}" for number in rng.integers(0, WORDS, PROMPT_TOKENS))

    def reward(self, prompts: Sequence[str], responses: Sequence[str]) -> np.ndarray:
        """Share of wanted words, shape (B,); 0 for an empty response."""
        return np.array([wanted_share(self.tokenizer.encode(response)) for response in responses])


def wanted_share(ids: Sequence[int]) -> float:
    """Share of wanted words among token ids; 0 without any."""
    return sum(token < WANTED for token in ids) / max(1, len(ids))


def make_model(size: str, seed: int) -> LanguageModel:
    """The initial model of all methods."""
    tokenizer = LongPrompts().tokenizer
    room = PROMPT_TOKENS + NEW_TOKENS
    return LanguageModel.create(size, tokenizer.vocab_size, room, tokenizer.pad_id, tokenizer.eos_id, seed)


def save_model(size: str, seed: int, folder: Path) -> None:
    """Save the initial model, unless it is there."""
    if not (folder / "config.json").exists():
        make_model(size, seed).save(folder)


def run_ppo(method: str, size: str, rollouts: int, seed: int) -> dict[str, Any]:
    """SB3's PPO or `TokenPPO`, with the same policy and environment."""
    venv = VecMonitor(NativeVecEnv(TextGenVectorEnv(LongPrompts(), ENVS)))
    venv.seed(seed)
    settings: dict[str, Any] = {
        "learning_rate": LEARNING_RATE,
        "n_steps": NEW_TOKENS,
        "batch_size": 256,
        "n_epochs": 4,
        "gamma": 1.0,
        "gae_lambda": 0.95,
        "policy_kwargs": {"model": size, "seed": seed},
        "seed": seed,
    }
    if method == "token-ppo":
        # Without a reference model, like stock PPO.
        agent: PPO = TokenPPO(LanguageModelPolicy, venv, kl_coefficient=0.0, **settings)
    else:
        agent = PPO(LanguageModelPolicy, venv, **settings)
    agent.learn(NEW_TOKENS * ENVS)
    start_s, curve = time.perf_counter(), []
    for _ in range(rollouts):
        agent.learn(NEW_TOKENS * ENVS, reset_num_timesteps=False)
        curve.append(float(np.mean([info["r"] for info in agent.ep_info_buffer])))  # type: ignore[union-attr]
    return _figures(NEW_TOKENS * ENVS * rollouts, time.perf_counter() - start_s, curve)


def run_grpo(size: str, steps: int, seed: int) -> dict[str, Any]:
    """Groups of eight responses to four prompts, one update each."""
    rng = np.random.default_rng(seed)
    config = GRPOConfig(
        steps=steps + 1, prompts=ENVS // GROUP, group_size=GROUP, learning_rate=LEARNING_RATE, seed=seed
    )
    grpo = GRPO(make_model(size, seed), config, NEW_TOKENS)

    def draw(count: int) -> list[list[int]]:
        return rng.integers(0, WORDS, (count, PROMPT_TOKENS)).tolist()

    def score(generation: Generation) -> np.ndarray:
        return np.array([wanted_share(response) for response in generation.responses()], np.float32)

    grpo.step(1, draw(config.prompts), score)
    start_s = time.perf_counter()
    reports = [grpo.step(number, draw(config.prompts), score) for number in range(2, steps + 2)]
    tokens = sum(report.response_tokens * ENVS for report in reports)
    return _figures(round(tokens), time.perf_counter() - start_s, [report.reward for report in reports])


def preference_pairs(count: int, seed: int) -> tuple[list[list[int]], list[list[list[int]]]]:
    """The data of DPO: prompts, and two responses to each, the better one first."""
    rng = np.random.default_rng(seed)
    prompts = rng.integers(0, WORDS, (count, PROMPT_TOKENS)).tolist()
    pairs = rng.integers(0, WORDS, (count, 2, NEW_TOKENS - 1)).tolist()
    eos = WORDS + 1
    ordered = [sorted(pair, key=wanted_share, reverse=True) for pair in pairs]
    return prompts, [[[*response, eos] for response in pair] for pair in ordered]


def run_dpo(size: str, pairs: int, seed: int) -> dict[str, Any]:
    """One pass over the pairs in minibatches of 16."""
    prompts, responses = preference_pairs(pairs, seed)
    tokenizer = LongPrompts().tokenizer
    rankings = RankedResponses.of(prompts, responses, [[1, 2]] * pairs, tokenizer.pad_id)
    dpo = DPO(make_model(size, seed), DPOConfig(batch_size=16, learning_rate=LEARNING_RATE, seed=seed))
    start_s, curve = time.perf_counter(), list[float]()
    dpo.train(rankings, lambda report: curve.append(report.accuracy))
    return _figures(2 * pairs * NEW_TOKENS, time.perf_counter() - start_s, curve)


def _figures(tokens: int, seconds: float, curve: list[float]) -> dict[str, Any]:
    return {
        "tokens": tokens,
        "training_s": round(seconds, 3),
        "tokens_per_s": round(tokens / seconds, 1),
        "last": float(np.mean(curve[-3:])),
        "curve": [{"step": step, "reward": value} for step, value in enumerate(curve, start=1)],
    }


def main() -> None:
    """Run one method and print its figures."""
    parser = job_parser(__doc__)
    parser.add_argument("method", choices=METHODS)
    parser.add_argument("--size", default="tiny")
    parser.add_argument("--rollouts", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=1000)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.method == "grpo":
        figures = run_grpo(options.size, options.rollouts, options.seed)
    elif options.method == "dpo":
        figures = run_dpo(options.size, options.pairs, options.seed)
    else:
        figures = run_ppo(options.method, options.size, options.rollouts, options.seed)
    print_result(figures)


if __name__ == "__main__":
    main()
