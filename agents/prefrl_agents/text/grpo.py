"""Group relative policy optimisation: PPO with the mean of a group of responses as baseline (Shao et al. 2024)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from prefrl.config import GRPOConfig
from prefrl.text.models import Generation, LanguageModel, generate
from prefrl_agents.text.advantages import group_advantages, zero_std_share
from prefrl_agents.text.log_probs import masked_mean, sequence_sum
from prefrl_agents.text.optimising import Optimiser
from prefrl_agents.text.policy_losses import grpo_loss
from prefrl_agents.text.sequences import Sequences, response_log_probs

__all__ = ["GRPO", "GRPOReport", "ScoreTexts"]

_CHUNK_TOKENS = 8192

ScoreTexts = Callable[[Generation], "np.ndarray"]
"""rewards (B,) of B sampled texts"""


@dataclass(frozen=True)
class GRPOReport:
    """Figures of one rollout."""

    step: int
    """from 1"""
    reward: float
    """mean over responses"""
    loss: float
    kl: float
    """mean over tokens of k1 to the reference; 0 without a reference"""
    zero_std_share: float
    """share of groups whose rewards, KL penalty included where it is part of them, are all equal: no advantage"""
    clip_fraction: float
    ended_share: float
    """share of responses that ended before the length limit"""
    response_tokens: float
    """mean length"""


class GRPO:
    """Trains a model on a reward of texts.

    Args:
        model: trained in place.
        config: settings.
        max_new_tokens: longest response, its end token included.
    """

    def __init__(self, model: LanguageModel, config: GRPOConfig, max_new_tokens: int) -> None:
        self.model, self.config, self._max_new_tokens = model, config, max_new_tokens
        self.reference = model.begin_reference() if config.kl_coefficient else None
        updates = config.steps * config.epochs * self._minibatches
        self._optimiser = Optimiser(model, config.learning_rate, updates)
        self._generator = torch.Generator(model.device).manual_seed(config.seed)

    @property
    def _minibatches(self) -> int:
        responses = self.config.prompts * self.config.group_size
        return -(-responses // (self.config.batch_size or responses))

    def train(
        self,
        draw_prompts: Callable[[int], Sequence[Sequence[int]]],
        score: ScoreTexts,
        on_step: Callable[[GRPOReport], None] | None = None,
    ) -> list[GRPOReport]:
        """Sample, score and learn, ``config.steps`` times.

        Args:
            draw_prompts: returns that many prompts as token ids.
            score: rewards of sampled texts.
            on_step: called after each step.

        Raises:
            ValueError: when a reward is not finite, or their number is not that of the texts.
        """
        reports = []
        for step in range(1, self.config.steps + 1):
            reports.append(self.step(step, draw_prompts(self.config.prompts), score))
            if on_step is not None:
                on_step(reports[-1])
        return reports

    def step(self, number: int, prompts: Sequence[Sequence[int]], score: ScoreTexts) -> GRPOReport:
        """One rollout and its updates."""
        config = self.config
        generation = generate(
            self.model,
            [prompt for prompt in prompts for _ in range(config.group_size)],
            self._max_new_tokens,
            temperature=config.temperature,
            generator=self._generator,
        )
        rewards = torch.from_numpy(_checked(score(generation), len(generation.ids)))
        sequences = Sequences.generated(generation)
        reference = self._reference_log_probs(sequences)
        shaped, kl = self._shaped(rewards, sequences, reference)
        grouped = shaped.view(len(prompts), config.group_size)
        advantages = group_advantages(grouped, config.scale_by_std).flatten().to(self.model.device)
        losses, clipped = self._learn(sequences, advantages, None if config.kl_in_reward else reference)
        lengths = (generation.lengths - generation.prompt_lengths).float()
        return GRPOReport(
            number,
            float(rewards.mean()),
            float(np.mean(losses)),
            kl,
            float(zero_std_share(grouped)),
            float(np.mean(clipped)),
            float(generation.has_ended.float().mean()),
            float(lengths.mean()),
        )

    def _shaped(
        self, rewards: Tensor, sequences: Sequences, reference: Tensor | None
    ) -> tuple[Tensor, float]:
        """Rewards (B,) with the KL penalty where it is part of them, and the mean KL per token."""
        if reference is None:
            return rewards, 0.0
        log_ratio = self._log_probs(self.model, sequences) - reference
        kl = float(masked_mean(log_ratio, sequences.mask))
        if self.config.kl_in_reward:
            rewards = rewards - self.config.kl_coefficient * sequence_sum(log_ratio, sequences.mask).cpu()
        return rewards, kl

    def _learn(
        self, sequences: Sequences, advantages: Tensor, reference: Tensor | None
    ) -> tuple[list[float], list[float]]:
        config = self.config
        old = self._log_probs(self.model, sequences) if config.epochs * self._minibatches > 1 else None
        losses, clipped = [], []
        for _ in range(config.epochs):
            order = torch.randperm(len(sequences), generator=self._generator, device=self.model.device)
            for rows in order.split(config.batch_size or len(sequences)):
                batch = sequences[rows]
                width = batch.ids.shape[1] - 1
                log_prob = response_log_probs(self.model, batch, config.temperature)
                # Before the first update the policy is the sampling policy.
                before = log_prob.detach() if old is None else old[rows, :width]
                known = None if reference is None else reference[rows, :width]
                loss, statistics = grpo_loss(
                    log_prob,
                    before,
                    advantages[rows],
                    batch.mask,
                    config.aggregation,
                    self._max_new_tokens,
                    config.clip_low,
                    config.clip_high,
                    known,
                    0.0 if known is None else config.kl_coefficient,
                )
                self._optimiser.step(loss)
                losses.append(float(loss.detach()))
                clipped.append(float(statistics.clip_fraction))
        return losses, clipped

    def _reference_log_probs(self, sequences: Sequences) -> Tensor | None:
        if not self.config.kl_coefficient:
            return None
        if self.reference is None:
            with self.model.without_adapters():
                return self._log_probs(self.model, sequences)
        return self._log_probs(self.reference, sequences)

    @torch.no_grad()
    def _log_probs(self, model: LanguageModel, sequences: Sequences) -> Tensor:
        found = torch.zeros(sequences.ids.shape[0], sequences.ids.shape[1] - 1, device=sequences.ids.device)
        for rows in sequences.chunks(_CHUNK_TOKENS):
            part = response_log_probs(model, sequences[rows], self.config.temperature)
            found[rows, : part.shape[1]] = part
        return found


def _checked(rewards: np.ndarray, count: int) -> np.ndarray:
    rewards = np.asarray(rewards, np.float32)
    if rewards.shape != (count,) or not np.isfinite(rewards).all():
        raise ValueError(
            f"{count} texts were scored with {rewards.shape} rewards, "
            f"{np.count_nonzero(~np.isfinite(rewards))} of them not finite; one finite number a text is needed"
        )
    return rewards
