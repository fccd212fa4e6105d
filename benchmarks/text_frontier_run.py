"""Reviews by one method at several strengths: true reward and KL to the fine-tuned model, for text_frontier.py.

``python -m benchmarks.text_frontier_run ppo --seed 0`` prints as its last line a point for each strength. All methods
begin with the same fine-tuned model and learn from the same rankings, of responses that this model gave; what is drawn
and trained once for a seed is kept in ``benchmarks/.work/text``.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from benchmarks.harness.environment import WORK
from prefrl.config import DPOConfig, FineTuningConfig, GRPOConfig, RewardConfig
from prefrl.data.spaces import SpaceSpec
from prefrl.data.tokens import last_steps
from prefrl.reward import LearnedReward, RewardTrainer
from prefrl.reward.ranking_queries import TokenRankings
from prefrl.sb3 import NativeVecEnv, RewardVecEnv
from prefrl.text.models import Generation, LanguageModel, generate
from prefrl.text.rankings import Ranking
from prefrl_agents.text import (
    DPO,
    GRPO,
    LanguageModelPolicy,
    RankedResponses,
    Sequences,
    TokenPPO,
    fine_tune,
    response_log_probs,
)
from prefrl_agents.text.best_of_n import best_of_n_kl, best_of_n_scores
from prefrl_envs.text import TextGenVectorEnv
from prefrl_envs.text.reviews import Reviews

METHODS = ("sft", "ppo", "grpo", "dpo", "best-of-n")
SIZE = "tiny"
RANKINGS, ITEMS = 600, 4
SAMPLES = 1000
"""responses that a point is measured over"""
PPO_KL = (0.4, 0.2, 0.1, 0.05)
GRPO_KL = (0.4, 0.2, 0.1, 0.05)
DPO_BETA = (1.0, 0.5, 0.2, 0.1)
BEST_OF = (2, 4, 8, 16, 32, 64)
REWARD = RewardConfig(
    members=3,
    loss="plackett_luce",
    label_noise=0.02,
    learning_rate=1e-3,
    batch_size=16,
    initial_epochs=12,
    l2=0.0,
    adaptive_l2=False,
)


@dataclass(frozen=True)
class Stage:
    """What all methods of a seed begin with."""

    seed: int
    folder: Path

    @cached_property
    def task(self) -> Reviews:
        """Where the true reward is."""
        return Reviews()

    def model(self) -> LanguageModel:
        """The fine-tuned model; made at the first call for this seed."""
        folder = self.folder / "sft"
        if not (folder / "config.json").exists():
            tokenizer, room = self.task.tokenizer, self.task.max_prompt_tokens + self.task.max_new_tokens
            model = LanguageModel.create(
                SIZE, tokenizer.vocab_size, room, tokenizer.pad_id, tokenizer.eos_id, self.seed
            )
            prompts, responses = TextGenVectorEnv(self.task).demonstrations(4000, self.seed)
            fine_tune(
                model,
                Sequences.of(prompts, responses, tokenizer.pad_id),
                FineTuningConfig(epochs=5),
                self.seed,
            )
            model.save(folder)
        return LanguageModel.load(folder)

    @cached_property
    def rankings(self) -> list[Ranking]:
        """Of responses that the fine-tuned model gave, by true reward."""
        rng = np.random.default_rng([self.seed, 1])
        prompts = [self.task.prompt(rng) for _ in range(RANKINGS)]
        repeated = [prompt for prompt in prompts for _ in range(ITEMS)]
        responses, gold = self.respond(self.model(), repeated, self.seed)
        ranked = []
        for row, prompt in enumerate(prompts):
            part = slice(row * ITEMS, (row + 1) * ITEMS)
            texts, values = tuple(responses[part]), gold[part]
            order = np.unique(-values, return_inverse=True)[1] + 1
            ranked.append(Ranking(prompt, texts, tuple(order.tolist())))
        return ranked

    def reward(self) -> LearnedReward:
        """Learned from the rankings; made at the first call for this seed."""
        path = self.folder / "reward.safetensors"
        if not path.exists():
            tokenizer = self.task.tokenizer
            tokens = TokenRankings.of(self.rankings, tokenizer.encode, tokenizer.vocab_size, tokenizer.eos_id)
            env = TextGenVectorEnv(self.task)
            spec, action_spec = SpaceSpec.pair(env.single_observation_space, env.single_action_space)
            trainer = RewardTrainer(spec, action_spec, REWARD, self.seed)
            trainer.update(tokens.labelled(spec))
            trainer.fit(REWARD.initial_epochs)
            trainer.snapshot(version=1).save(path)
        return LearnedReward.load(path)

    def respond(self, model: LanguageModel, prompts: list[str], seed: int) -> tuple[list[str], np.ndarray]:
        """Responses and their true rewards."""
        found = self.sample(model, prompts, seed)
        responses = [self.task.tokenizer.decode(ids) for ids in found.responses()]
        return responses, self.task.reward(prompts, responses)

    def sample(self, model: LanguageModel, prompts: list[str], seed: int) -> Generation:
        """One response to each prompt."""
        encoded = [self.task.tokenizer.encode(prompt) for prompt in prompts]
        return generate(
            model, encoded, self.task.max_new_tokens, generator=torch.Generator().manual_seed(seed)
        )

    def point(self, model: LanguageModel, strength: float) -> dict[str, float]:
        """True reward, KL to the fine-tuned model and win rate over it, on the same fresh prompts."""
        rng = np.random.default_rng([self.seed, 2])
        prompts = [self.task.prompt(rng) for _ in range(SAMPLES)]
        found = self.sample(model, prompts, self.seed + 1)
        texts = [self.task.tokenizer.decode(ids) for ids in found.responses()]
        gold = self.task.reward(prompts, texts)
        reference = self.model()
        _, theirs = self.respond(reference, prompts, self.seed + 2)
        sequences = Sequences.generated(found)
        with torch.no_grad():
            log_ratio = response_log_probs(model, sequences) - response_log_probs(reference, sequences)
        return {
            "strength": strength,
            "gold": float(gold.mean()),
            "proxy": float(score(self.reward(), found).mean()),
            "kl": float(log_ratio.sum(dim=1).mean()),
            "win_rate": float(((np.sign(gold - theirs) + 1) / 2).mean()),
            "tokens": float((found.lengths - found.prompt_lengths).float().mean()),
        }


def score(reward: LearnedReward, found: Generation) -> np.ndarray:
    """Learned reward of sampled texts, shape (B,)."""
    arrays = (found.ids, found.prompt_lengths, found.lengths)
    return reward.text_rewards(*last_steps(*(array.numpy() for array in arrays), reward.observation_spec))


def ppo(stage: Stage, strength: float) -> LanguageModel:
    """`TokenPPO` on the learned reward."""
    venv = NativeVecEnv(TextGenVectorEnv(stage.task, num_envs=64))
    venv.seed(stage.seed)
    agent = TokenPPO(
        LanguageModelPolicy,
        RewardVecEnv(venv, stage.reward()),
        learning_rate=lambda left: 1e-3 * left,
        kl_coefficient=strength,
        batch_size=256,
        policy_kwargs={"model": str(stage.folder / "sft")},
        seed=stage.seed,
    )
    agent.learn(100_000)
    return agent.policy.language_model


def grpo(stage: Stage, strength: float) -> LanguageModel:
    """GRPO on the learned reward."""
    model, reward, rng = stage.model(), stage.reward(), np.random.default_rng([stage.seed, 3])
    config = GRPOConfig(
        steps=120, prompts=8, group_size=8, kl_coefficient=strength, kl_in_reward=True, learning_rate=1e-3,
        seed=stage.seed,
    )  # fmt: skip

    def draw(count: int) -> list[list[int]]:
        return [stage.task.tokenizer.encode(stage.task.prompt(rng)) for _ in range(count)]

    GRPO(model, config, stage.task.max_new_tokens).train(draw, lambda found: score(reward, found))
    return model


def dpo(stage: Stage, strength: float) -> LanguageModel:
    """DPO on the rankings themselves."""
    model, tokenizer = stage.model(), stage.task.tokenizer
    told = [ranking for ranking in stage.rankings if not ranking.is_tie]
    rankings = RankedResponses.of(
        [tokenizer.encode(ranking.prompt) for ranking in told],
        [[[*tokenizer.encode(text), tokenizer.eos_id] for text in ranking.responses] for ranking in told],
        [ranking.ranks for ranking in told],
        tokenizer.pad_id,
    )
    DPO(model, DPOConfig(strength, epochs=3, learning_rate=5e-4, seed=stage.seed)).train(rankings)
    return model


def best_of_n(stage: Stage) -> list[dict[str, float]]:
    """The fine-tuned model's best response of n by the learned reward: an unbiased estimate for each n."""
    rng, reward = np.random.default_rng([stage.seed, 2]), stage.reward()
    prompts, count = [stage.task.prompt(rng) for _ in range(100)], 2 * max(BEST_OF)
    found = stage.sample(stage.model(), [prompt for prompt in prompts for _ in range(count)], stage.seed + 1)
    texts = [stage.task.tokenizer.decode(ids) for ids in found.responses()]
    gold = stage.task.reward([prompt for prompt in prompts for _ in range(count)], texts).reshape(-1, count)
    proxy = score(reward, found).reshape(-1, count)
    estimates = np.mean([best_of_n_scores(p, g, BEST_OF) for p, g in zip(proxy, gold, strict=True)], axis=0)
    return [
        {"strength": n, "gold": float(value), "kl": best_of_n_kl(n)}
        for n, value in zip(BEST_OF, estimates, strict=True)
    ]


def run(method: str, seed: int) -> dict[str, object]:
    """All strengths of one method; its figures are those of the best point."""
    stage = Stage(seed, WORK / "text" / f"frontier-{seed}")
    start_s = time.monotonic()
    trained: dict[str, tuple[Callable[[Stage, float], LanguageModel], tuple[float, ...]]] = {
        "sft": (lambda given, _: given.model(), (0.0,)),
        "ppo": (ppo, PPO_KL),
        "grpo": (grpo, GRPO_KL),
        "dpo": (dpo, DPO_BETA),
    }
    if method == "best-of-n":
        curve = best_of_n(stage)
    else:
        train, strengths = trained[method]
        curve = [stage.point(train(stage, strength), strength) for strength in strengths]
    best = max(curve, key=lambda point: point["gold"])
    return {**best, "curve": curve, "training_s": round(time.monotonic() - start_s, 3)}


def main() -> None:
    """Run one method and print its points as one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("method", choices=METHODS)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(json.dumps(run(options.method, options.seed)))


if __name__ == "__main__":
    main()
