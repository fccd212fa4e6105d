"""Product reviews: the fine-tuned model, rankings and learned reward that the methods of a seed share.

They are made at the first use for a seed and kept in ``benchmarks/.work/text``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from prefrl.config import FineTuningConfig, RewardConfig
from prefrl.data.spaces import SpaceSpec
from prefrl.data.tokens import last_steps
from prefrl.reward import LearnedReward, RewardTrainer
from prefrl.reward.ranking_queries import TokenRankings
from prefrl.text.models import Generation, LanguageModel, generate
from prefrl.text.rankings import Ranking
from prefrl_agents.text import Sequences, fine_tune, response_log_probs
from prefrl_envs.text import TextGenVectorEnv
from prefrl_envs.text.reviews import Reviews

from .environment import WORK

__all__ = ["REWARD", "StartingPoint", "learned_rewards", "starting_point"]

SIZE = "tiny"
RANKINGS, ITEMS = 600, 4
SAMPLES = 1000
"""responses per evaluation"""
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
class StartingPoint:
    """What all methods of a seed start from."""

    seed: int
    folder: Path

    @cached_property
    def task(self) -> Reviews:
        """The prompts and the true reward."""
        return Reviews()

    @property
    def model_folder(self) -> Path:
        """Where the fine-tuned model is saved."""
        return self.folder / "sft"

    def model(self) -> LanguageModel:
        """A fresh copy of the fine-tuned model; trained at the first call for this seed."""
        if not (self.model_folder / "config.json").exists():
            tokenizer, room = self.task.tokenizer, self.task.max_prompt_tokens + self.task.max_new_tokens
            model = LanguageModel.create(
                SIZE, tokenizer.vocab_size, room, tokenizer.pad_id, tokenizer.eos_id, self.seed
            )
            prompts, responses = TextGenVectorEnv(self.task).demonstrations(4000, self.seed)
            demonstrations = Sequences.of(prompts, responses, tokenizer.pad_id)
            fine_tune(model, demonstrations, FineTuningConfig(epochs=5), self.seed)
            model.save(self.model_folder)
        return LanguageModel.load(self.model_folder)

    @cached_property
    def rankings(self) -> list[Ranking]:
        """Rankings, by true reward, of responses of the fine-tuned model."""
        rng = np.random.default_rng([self.seed, 1])
        prompts = [self.task.prompt(rng) for _ in range(RANKINGS)]
        repeated = [prompt for prompt in prompts for _ in range(ITEMS)]
        responses, gold = self.respond(self.model(), repeated, self.seed)
        ranked = []
        for row, prompt in enumerate(prompts):
            part = slice(row * ITEMS, (row + 1) * ITEMS)
            order = np.unique(-gold[part], return_inverse=True)[1] + 1
            ranked.append(Ranking(prompt, tuple(responses[part]), tuple(order.tolist())))
        return ranked

    def fit_reward(self, config: RewardConfig, num_rankings: int = RANKINGS) -> LearnedReward:
        """A reward fitted to the first rankings."""
        tokenizer, env = self.task.tokenizer, TextGenVectorEnv(self.task)
        spec, action_spec = SpaceSpec.pair(env.single_observation_space, env.single_action_space)
        rankings = self.rankings[:num_rankings]
        tokens = TokenRankings.of(rankings, tokenizer.encode, tokenizer.vocab_size, tokenizer.eos_id)
        trainer = RewardTrainer(spec, action_spec, config, self.seed)
        trainer.update(tokens.labelled(spec))
        trainer.fit(config.initial_epochs)
        return trainer.snapshot(version=1)

    def reward(self) -> LearnedReward:
        """The reward fitted to all rankings; fitted at the first call for this seed."""
        path = self.folder / "reward.safetensors"
        if not path.exists():
            self.fit_reward(REWARD).save(path)
        return LearnedReward.load(path)

    def respond(self, model: LanguageModel, prompts: list[str], seed: int) -> tuple[list[str], np.ndarray]:
        """A response to each prompt, and the true rewards, shape (B,)."""
        found = self.sample(model, prompts, seed)
        responses = self.texts(found)
        return responses, self.task.reward(prompts, responses)

    def sample(self, model: LanguageModel, prompts: list[str], seed: int) -> Generation:
        """A response to each prompt, as token ids."""
        encoded = [self.task.tokenizer.encode(prompt) for prompt in prompts]
        return generate(
            model, encoded, self.task.max_new_tokens, generator=torch.Generator().manual_seed(seed)
        )

    def texts(self, found: Generation) -> list[str]:
        """The responses as text."""
        return [self.task.tokenizer.decode(ids) for ids in found.responses()]

    def evaluate(self, model: LanguageModel) -> dict[str, float]:
        """True reward, learned reward, KL to the fine-tuned model and win rate over it, on the same fresh prompts."""
        rng = np.random.default_rng([self.seed, 2])
        prompts = [self.task.prompt(rng) for _ in range(SAMPLES)]
        found = self.sample(model, prompts, self.seed + 1)
        gold = self.task.reward(prompts, self.texts(found))
        reference = self.model()
        _, reference_gold = self.respond(reference, prompts, self.seed + 2)
        sequences = Sequences.generated(found)
        with torch.no_grad():
            log_ratio = response_log_probs(model, sequences) - response_log_probs(reference, sequences)
        return {
            "gold": float(gold.mean()),
            "proxy": float(learned_rewards(self.reward(), found).mean()),
            "kl": float(log_ratio.sum(dim=1).mean()),
            "win_rate": float(((np.sign(gold - reference_gold) + 1) / 2).mean()),
            "tokens": float((found.lengths - found.prompt_lengths).float().mean()),
        }


def learned_rewards(reward: LearnedReward, found: Generation) -> np.ndarray:
    """Learned reward of sampled texts, shape (B,)."""
    ids, prompt_lengths, lengths = (each.numpy() for each in (found.ids, found.prompt_lengths, found.lengths))
    return reward.text_rewards(*last_steps(ids, prompt_lengths, lengths, reward.observation_spec))


def starting_point(seed: int) -> StartingPoint:
    """What the methods of this seed start from, kept in ``benchmarks/.work/text``."""
    return StartingPoint(seed, WORK / "text" / f"frontier-{seed}")
