"""How far a fit of the reward has come, and what it came to."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["EpochLosses", "FitProgress", "FitReport", "finite_mean", "rate_share"]

RISE = 0.1
"""share of a fit in which a learning rate that decays rises first"""


@dataclass(frozen=True)
class FitReport:
    """What one call of `RewardTrainer.fit` came to; a figure there was no data for is None."""

    epochs: int
    """epochs run"""
    train_loss: float | None
    """mean over members of the last epoch's loss, without the L2 penalty"""
    out_of_bag_loss: float | None
    """the same on what a member's bootstrap leaves out (on the comparisons held out, without bootstrap)"""
    train_accuracy: float | None
    """share of the training pairs that the ensemble's mean preference gets right, ties left out"""
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
    """How far a fit has come."""

    epochs: int = 0
    queries: int = 0
    """trained on, those drawn again included"""
    stale_epochs: int = 0
    """since the out-of-bag loss last fell"""
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
    """Each member's losses over an epoch: on its bootstrap sample, and on what it leaves out."""

    training_sum: Tensor
    training_weight: Tensor
    validation_sum: Tensor
    validation_weight: Tensor
    queries: int = 0
    """trained on"""

    @classmethod
    def zeros(cls, members: int) -> EpochLosses:
        """No losses yet."""
        training, validation = torch.zeros(2, members), torch.zeros(2, members)
        return cls(*training, *validation)

    def add(self, loss: Tensor, weights: Tensor) -> None:
        """Take in a minibatch's loss (E, B) and bootstrap weights (E, B); weight 0 is validation."""
        is_left_out = weights == 0
        self.training_sum += (weights * loss).sum(dim=1)
        self.training_weight += weights.sum(dim=1)
        self.validation_sum += (is_left_out * loss).sum(dim=1)
        self.validation_weight += is_left_out.sum(dim=1)

    @property
    def training(self) -> Tensor:
        """Mean loss (E,) of the bootstrap samples; 0 where a member drew nothing."""
        return self.training_sum / self.training_weight.clamp(min=1.0)

    @property
    def validation(self) -> Tensor:
        """Mean loss (E,) of the comparisons left out; NaN where there are none."""
        return self.validation_sum / self.validation_weight


def rate_share(before: float, after: float) -> float:
    """Share of the highest learning rate for a minibatch, given the shares of the fit that end before and after it.

    Rises linearly to 1 in the first tenth and falls linearly to 0 at the end, where it stays.
    """
    return max(0.0, min(1.0, after / RISE, (1.0 - before) / (1.0 - RISE)))


def finite_mean(values: Tensor) -> float | None:
    """Mean of those that are finite, shape () of (E,); None where none is."""
    finite = values[values.isfinite()]
    return float(finite.mean()) if len(finite) else None
