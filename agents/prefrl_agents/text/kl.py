"""KL(policy || reference): estimators per token, and controllers of the penalty's coefficient.

All divergences are in nats, estimated from tokens that the policy sampled.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from jaxtyping import Float
from torch import Tensor

from prefrl_agents.text.log_probs import ratio_excess

__all__ = [
    "KL_ESTIMATORS",
    "AdaptiveKL",
    "FixedKL",
    "KLController",
    "KLEstimator",
    "kl_k1",
    "kl_k2",
    "kl_k3",
]

KLEstimator = Literal["k1", "k2", "k3"]

MAX_ERROR = 0.2
"""largest relative error of a KL that `AdaptiveKL` reacts to"""


def kl_k1(
    log_prob: Float[Tensor, "*batch"], reference_log_prob: Float[Tensor, "*batch"]
) -> Float[Tensor, "*batch"]:
    """x = log pi - log pi_ref: unbiased, of either sign, of high variance (Schulman 2020)."""
    return log_prob - reference_log_prob


def kl_k2(
    log_prob: Float[Tensor, "*batch"], reference_log_prob: Float[Tensor, "*batch"]
) -> Float[Tensor, "*batch"]:
    """x^2 / 2: never negative, of low variance, off by about E[x^3] / 6 (Schulman 2020).

    As a loss, its gradient is that of the KL, without bias.
    """
    return (log_prob - reference_log_prob).square() / 2


def kl_k3(
    log_prob: Float[Tensor, "*batch"], reference_log_prob: Float[Tensor, "*batch"]
) -> Float[Tensor, "*batch"]:
    """exp(-x) - 1 + x: unbiased and never negative (Schulman 2020).

    Where a token is more than e^20 times as probable under the reference, exp is continued by its tangent.
    """
    log_ratio = log_prob - reference_log_prob
    return ratio_excess(-log_ratio) + log_ratio


KL_ESTIMATORS: dict[KLEstimator, Callable[[Tensor, Tensor], Tensor]] = {
    "k1": kl_k1,
    "k2": kl_k2,
    "k3": kl_k3,
}


class KLController(Protocol):
    """The penalty per nat of KL. Its whole state is ``coefficient``, which may be set to resume."""

    coefficient: float

    def update(self, kl: float, num_episodes: int) -> None:
        """Update the coefficient from the mean KL of this many responses, each summed over its tokens."""


@dataclass
class FixedKL:
    """A constant coefficient.

    Raises:
        ValueError: when it is negative.
    """

    coefficient: float

    def __post_init__(self) -> None:
        if not self.coefficient >= 0:
            raise ValueError(f"the KL coefficient is {self.coefficient}; it must be 0 or more")

    def update(self, kl: float, num_episodes: int) -> None:
        """Nothing to do."""


@dataclass
class AdaptiveKL:
    """A coefficient that grows while the KL is above its target and shrinks while it is below.

    beta <- beta (1 + clip(KL / target - 1, -.2, .2) n / horizon) for n <= horizon episodes. Source: Ziegler et al.
    2019, section 2.2, with a gain that counts episodes instead of updates.

    Raises:
        ValueError: when a setting is not positive.
    """

    coefficient: float
    """of the next batch"""
    target: float
    """nats per response"""
    horizon: int = 10_000
    """episodes over which the coefficient changes by at most 20%"""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise ValueError(f"{name} of an adaptive KL coefficient is {value}; it must be positive")

    def update(self, kl: float, num_episodes: int) -> None:
        """Update the coefficient from the mean KL of this many responses, each summed over its tokens.

        Raises:
            ValueError: when the KL is NaN, from which the coefficient would never recover.
        """
        if math.isnan(kl):
            raise ValueError("the KL to the reference is NaN; look for NaN in the log-probs of this batch")
        error = min(max(kl / self.target - 1, -MAX_ERROR), MAX_ERROR)
        # A batch larger than the horizon could otherwise flip the coefficient's sign.
        self.coefficient *= 1 + error * min(num_episodes / self.horizon, 1.0)
