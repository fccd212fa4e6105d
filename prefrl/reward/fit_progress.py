"""Progress and result of a fit of the reward."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["EpochLosses", "FitProgress", "FitReport", "finite_mean", "rate_share"]

RISE = 0.1
"""share of a fit in which a decaying learning rate rises first"""


@dataclass(frozen=True)
class FitReport:
    """Result of one call of `RewardTrainer.fit`; a number is None if there was no data for it."""

    epochs: int
    """epochs run"""
    train_loss: float | None
    """mean over members of the last epoch's loss, without the L2 penalty"""
    out_of_bag_loss: float | None
    """the same on what each member's bootstrap leaves out; without bootstrap, on the comparisons held out"""
    train_accuracy: float | None
    """share of the training pairs that the ensemble's mean preference predicts right, ties left out"""
    validation_accuracy: float | None
    """the same on the pairs held out"""
    validation_pairs: int
    """pairs held out, ties left out"""
    l2: float
    """weight of the L2 penalty, mean over members"""
    diverged: bool
    """True when a loss or weight was not finite: the epoch was undone and the fit ended"""


@dataclass
class FitProgress:
    """Progress of a fit, saved with the trainer's state so that an interrupted fit can be finished."""

    epochs: int = 0
    queries: int = 0
    """queries trained on so far, repetitions included"""
    stale_epochs: int = 0
    """epochs since the out-of-bag loss last fell"""
    best: float = math.inf
    """lowest out-of-bag loss"""

    def add(self, losses: EpochLosses) -> None:
        """Count an epoch."""
        self.epochs += 1
        self.queries += losses.queries
        validation = finite_mean(losses.validation)
        self.stale_epochs = self.stale_epochs + 1 if validation is not None and validation >= self.best else 0
        self.best = self.best if validation is None else min(self.best, validation)


@dataclass
class EpochLosses:
    """Each member's summed losses and weights (E,) over an epoch: on its bootstrap sample, and out of bag."""

    training_sum: Tensor
    training_weight: Tensor
    validation_sum: Tensor
    validation_weight: Tensor
    queries: int = 0
    """queries trained on"""

    @classmethod
    def zeros(cls, members: int, device: torch.device | None = None) -> EpochLosses:
        """No losses yet; ``device`` is the CPU by default."""
        training, validation = torch.zeros(2, members, device=device), torch.zeros(2, members, device=device)
        return cls(*training, *validation)

    def add(self, loss: Tensor, weights: Tensor) -> None:
        """Add a minibatch's loss (E, B) and bootstrap weights (E, B); weight 0 is out of bag."""
        is_left_out = weights == 0
        self.training_sum += (weights * loss).sum(dim=1)
        self.training_weight += weights.sum(dim=1)
        self.validation_sum += (is_left_out * loss).sum(dim=1)
        self.validation_weight += is_left_out.sum(dim=1)

    @property
    def training(self) -> Tensor:
        """Mean loss (E,) on the bootstrap samples; 0 for a member that drew nothing."""
        return self.training_sum / self.training_weight.clamp(min=1.0)

    @property
    def validation(self) -> Tensor:
        """Mean loss (E,) on the comparisons left out; NaN if there are none."""
        return self.validation_sum / self.validation_weight


def rate_share(before: float, after: float) -> float:
    """Learning rate of a minibatch as a share of the highest, which rises linearly in the first tenth, then falls to 0.

    Args:
        before: share of the fit's queries before the minibatch.
        after: the same with the minibatch; once either passes 1, the rate is 0.
    """
    return max(0.0, min(1.0, after / RISE, (1.0 - before) / (1.0 - RISE)))


def finite_mean(values: Tensor) -> float | None:
    """Mean of the finite ones among ``values`` (E,); None if there is none."""
    finite = values[values.isfinite()]
    return float(finite.mean()) if len(finite) else None
