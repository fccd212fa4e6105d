"""Direct preference optimisation: a policy from comparisons, without a reward model (Rafailov et al. 2023)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from prefrl.config import DPOConfig
from prefrl.text.models import LanguageModel
from prefrl_agents.text.optimising import Optimiser
from prefrl_agents.text.preference_losses import k_wise_dpo
from prefrl_agents.text.sequences import Sequences, response_log_probs

__all__ = ["DPO", "DPOReport", "RankedResponses"]

_CHUNK_TOKENS = 8192
_ROUNDING = 1e-4
"""nats: log-ratios no further apart are equal, as those of a model to itself are when batches differ"""


@dataclass(frozen=True)
class RankedResponses:
    """N prompts with K ranked responses each."""

    sequences: Sequences
    """N * K texts, those of a prompt next to each other"""
    ranks: Tensor
    """shape (N, K) int64, 1 the best"""

    @classmethod
    def of(
        cls,
        prompts: Sequence[Sequence[int]],
        responses: Sequence[Sequence[Sequence[int]]],
        ranks: Sequence[Sequence[int]],
        pad_id: int,
    ) -> RankedResponses:
        """From token ids; all prompts have the same number of responses.

        Raises:
            ValueError: when there is no prompt, the numbers of responses differ, or a text is empty.
        """
        counts = {len(group) for group in [*responses, *ranks]}
        if len(counts) != 1 or min(counts) < 2:
            raise ValueError(
                f"rankings of {sorted(counts)} responses were given; all need the same number, at least 2"
            )
        repeated = [prompt for prompt, group in zip(prompts, responses, strict=True) for _ in group]
        flat = [response for group in responses for response in group]
        return cls(Sequences.of(repeated, flat, pad_id), torch.tensor([list(each) for each in ranks]))

    def __len__(self) -> int:
        """N."""
        return len(self.ranks)

    def __getitem__(self, rows: Tensor) -> RankedResponses:
        """The rankings with indices ``rows`` (R,)."""
        return RankedResponses(self.sequences[self.texts(rows)], self.ranks[rows])

    def texts(self, rows: Tensor) -> Tensor:
        """Indices (R * K,) of the texts of these rankings."""
        items = self.ranks.shape[1]
        return (rows[:, None] * items + torch.arange(items)).flatten()


@dataclass(frozen=True)
class DPOReport:
    """Means over a pass or a minibatch; rewards are the implied ones, beta times a log-ratio."""

    loss: float
    accuracy: float
    """share of untied pairs whose better response has the higher reward; equal rewards count half"""
    margin: float
    """mean reward of better minus worse responses"""
    best_log_ratio: float
    """mean log-ratio to the reference of the best responses; it can fall while the margin grows, when all compared
    responses become less probable"""
    worst_log_ratio: float


class DPO:
    """Trains a model on rankings; the reference is the model as it is at the start.

    Args:
        model: trained in place.
        config: settings.
    """

    def __init__(self, model: LanguageModel, config: DPOConfig) -> None:
        self.model, self.config = model, config
        self.reference = model.begin_reference()

    def num_steps(self, rankings: RankedResponses) -> int:
        """Number of minibatches in `train`."""
        return self.config.epochs * math.ceil(len(rankings) / self.config.batch_size)

    def train(
        self, rankings: RankedResponses, on_step: Callable[[DPOReport], None] | None = None
    ) -> list[DPOReport]:
        """Learn from the rankings; returns a report of each epoch, measured while learning.

        Args:
            rankings: the data.
            on_step: called after each minibatch with its figures from before the update.

        Raises:
            ValueError: when there are no rankings.
        """
        if not len(rankings):
            raise ValueError("there are no rankings to learn from; give one at least")
        config = self.config
        reference = self.reference_log_probs(rankings)
        generator = torch.Generator().manual_seed(config.seed)
        optimiser = Optimiser(self.model, config.learning_rate, self.num_steps(rankings))
        reports = []
        for _ in range(config.epochs):
            sums = _Sums()
            for rows in torch.randperm(len(rankings), generator=generator).split(config.batch_size):
                batch = rankings[rows]
                loss, log_ratios = self._loss(batch, reference[rows])
                optimiser.step(loss.mean())
                sums.add(loss.detach(), log_ratios, batch.ranks)
                if on_step is not None:
                    step = _Sums()
                    step.add(loss.detach(), log_ratios, batch.ranks)
                    on_step(step.report(config.beta))
            reports.append(sums.report(config.beta))
        return reports

    @torch.no_grad()
    def evaluate(self, rankings: RankedResponses) -> DPOReport:
        """The same figures on rankings, learned from or not."""
        sums = _Sums()
        for rows in torch.arange(len(rankings)).split(self.config.batch_size):
            batch = rankings[rows]
            # Model and reference compute the same batches: float32 rounds differently with another batch size or
            # padding, and where the two are equal a log-ratio of 1e-7 would count as an order of the responses.
            loss, log_ratios = self._loss(batch, self._reference_log_probs(batch))
            sums.add(loss, log_ratios, batch.ranks)
        return sums.report(self.config.beta)

    @torch.no_grad()
    def reference_log_probs(self, rankings: RankedResponses) -> Tensor:
        """Log-probability of each response by the reference, shape (N, K): once for all epochs."""
        found = torch.zeros(len(rankings.sequences))
        with self._as_reference() as model:
            for rows in rankings.sequences.chunks(_CHUNK_TOKENS):
                found[rows] = self._log_probs(model, rankings.sequences[rows]).cpu()
        return found.view(rankings.ranks.shape)

    def _reference_log_probs(self, batch: RankedResponses) -> Tensor:
        """The same, computed as `_loss` computes the model's: in one batch, in its order."""
        with self._as_reference() as model:
            return self._log_probs(model, batch.sequences).view(batch.ranks.shape)

    @contextmanager
    def _as_reference(self) -> Iterator[LanguageModel]:
        if self.reference is not None:
            yield self.reference
            return
        with self.model.without_adapters():
            yield self.model

    def _log_probs(self, model: LanguageModel, sequences: Sequences) -> Tensor:
        return response_log_probs(model, sequences.to(model.device), self.config.temperature).sum(dim=-1)

    def _loss(self, batch: RankedResponses, reference: Tensor) -> tuple[Tensor, Tensor]:
        """Loss (N,) and log-ratios (N, K), the latter without a gradient."""
        config = self.config
        log_probs = self._log_probs(self.model, batch.sequences).view(batch.ranks.shape)
        reference, ranks = reference.to(log_probs.device), batch.ranks.to(log_probs.device)
        loss, rewards = k_wise_dpo(
            log_probs, reference, ranks, config.beta, config.kind, config.label_smoothing
        )
        return loss, (rewards / config.beta).cpu()


class _Sums:
    """Accumulates the sums of a pass."""

    def __init__(self) -> None:
        self._rankings = self._pairs = 0
        self._loss = self._right = self._margin = self._best = self._worst = 0.0

    def add(self, loss: Tensor, log_ratios: Tensor, ranks: Tensor) -> None:
        """Add losses (B,), log-ratios (B, K) and ranks (B, K)."""
        first, second = torch.triu_indices(ranks.shape[1], ranks.shape[1], offset=1)
        sign = torch.sign(ranks[:, second] - ranks[:, first]).float()
        margins = (sign * (log_ratios[:, first] - log_ratios[:, second]))[sign != 0]
        self._rankings += len(ranks)
        self._pairs += len(margins)
        self._loss += float(loss.sum())
        sides = torch.sign(margins).masked_fill(margins.abs() < _ROUNDING, 0.0)
        self._right += float((sides + 1).sum()) / 2
        self._margin += float(margins.sum())
        every = torch.arange(len(ranks))
        self._best += float(log_ratios[every, ranks.argmin(dim=1)].sum())
        self._worst += float(log_ratios[every, ranks.argmax(dim=1)].sum())

    def report(self, beta: float) -> DPOReport:
        """The means."""
        pairs, rankings = max(1, self._pairs), max(1, self._rankings)
        return DPOReport(
            self._loss / rankings,
            self._right / pairs,
            beta * self._margin / pairs,
            self._best / rankings,
            self._worst / rankings,
        )
