"""One method on texts so few that all can be written down: the job of text_optimum.py, and its exact figures.

``python -m benchmarks.text_optimum_run ppo --seed 0`` prints as its last line how much of what there is to gain was
gained. The objective is the expected reward less beta times the KL to the reference; its optimum is the reference's
distribution times exp(reward / beta).
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from prefrl.config import DPOConfig, GRPOConfig
from prefrl.sb3 import NativeVecEnv
from prefrl.text.models import Generation, LanguageModel
from prefrl_agents.text import (
    DPO,
    GRPO,
    LanguageModelPolicy,
    RankedResponses,
    Sequences,
    TokenPPO,
    response_log_probs,
)
from prefrl_envs.text import TextGenVectorEnv, WordTokenizer

METHODS = ("ppo", "grpo", "dpo")
BETA = 0.5
PROMPT = "a"
_CHUNK = 4096
_RANKED = 4
"""responses in each of DPO's rankings"""


@dataclass(frozen=True)
class Enumerable:
    """Texts of a few words, each worth what its words and pairs of neighbours are, drawn once and for all.

    Args:
        words: there are, besides the token that ends a text.
        steps: longest text, that token included.
        seed: of what words are worth.
    """

    words: int = 7
    steps: int = 5
    seed: int = 0

    @cached_property
    def tokenizer(self) -> WordTokenizer:
        """One letter a word."""
        return WordTokenizer([chr(ord("a") + number) for number in range(self.words)])

    max_prompt_tokens = 1

    @property
    def max_new_tokens(self) -> int:
        """As many as there are steps."""
        return self.steps

    @cached_property
    def _worth(self) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(self.seed)
        return rng.normal(0, 0.5, self.words), rng.normal(0, 0.5, (self.words, self.words))

    def prompt(self, rng: np.random.Generator) -> str:
        """There is one."""
        return PROMPT

    def reward(self, prompts: Sequence[str], responses: Sequence[str]) -> np.ndarray:
        """What the words and pairs of neighbours are worth together."""
        return np.array([self.worth(self.tokenizer.encode(response)) for response in responses])

    def worth(self, ids: Sequence[int]) -> float:
        """The same of token ids, the end left out."""
        single, pair = self._worth
        return float(sum(single[i] for i in ids) + sum(pair[i, j] for i, j in itertools.pairwise(ids)))

    @cached_property
    def texts(self) -> list[list[int]]:
        """All responses there are, with the token that ends them where they end."""
        ended = [
            [*text, self.tokenizer.eos_id]
            for length in range(self.steps)
            for text in itertools.product(range(self.words), repeat=length)
        ]
        return ended + [list(text) for text in itertools.product(range(self.words), repeat=self.steps)]

    @cached_property
    def rewards(self) -> np.ndarray:
        """Of `texts`, shape (S,)."""
        return np.array([self.worth([i for i in text if i < self.words]) for text in self.texts])

    @torch.no_grad()
    def log_probs(self, model: LanguageModel) -> np.ndarray:
        """Of `texts`, shape (S,); their probabilities add up to 1."""
        prompt = self.tokenizer.encode(PROMPT)
        everything = Sequences.of([prompt] * len(self.texts), self.texts, self.tokenizer.pad_id)
        parts = [
            response_log_probs(model, everything[rows]).sum(dim=-1)
            for rows in torch.arange(len(everything)).split(_CHUNK)
        ]
        return torch.cat(parts).double().numpy()

    def score(self, model: LanguageModel, reference: np.ndarray) -> dict[str, float]:
        """The objective of ``model``, of the reference with these log-probabilities, and at best."""
        log_probs = self.log_probs(model)
        probabilities = np.exp(log_probs)
        objective = float((probabilities * (self.rewards - BETA * (log_probs - reference))).sum())
        start = float((np.exp(reference) * self.rewards).sum())
        best = BETA * _log_sum_exp(reference + self.rewards / BETA)
        return {
            "objective": objective,
            "reference": start,
            "optimum": best,
            "share_of_gain": (objective - start) / (best - start),
            "probability": float(probabilities.sum()),
            "reward": float((probabilities * self.rewards).sum()),
            "kl": float((probabilities * (log_probs - reference)).sum()),
        }


def train(task: Enumerable, method: str, seed: int, effort: float = 1.0) -> dict[str, float]:
    """Train a fresh model by one of the `METHODS`; ``effort`` scales how long."""
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
    """On rankings of the reference's own texts, drawn as Bradley and Terry's model has it."""
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


def _log_sum_exp(values: np.ndarray) -> float:
    largest = values.max()
    return float(largest + math.log(np.exp(values - largest).sum()))


def main() -> None:
    """Train, and print the figures as one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("method", choices=METHODS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--effort", type=float, default=1.0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(json.dumps(train(Enumerable(), options.method, options.seed, options.effort)))


if __name__ == "__main__":
    main()


__all__ = ["BETA", "METHODS", "Enumerable", "train"]
