"""The optimiser of all language-model trainers here: Adam with warm-up, linear decay and clipped gradients."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Optimiser", "clipped_step"]


class Optimiser:
    """Adam with warm-up, linear decay of the learning rate to 0, and clipped gradients.

    Args:
        model: its weights that require gradients are trained.
        learning_rate: its peak.
        total_steps: steps after which the learning rate is 0.
        warmup_share: share of these steps in which it rises from 0.
        max_grad_norm: longer gradients are scaled down to this norm.
    """

    def __init__(
        self,
        model: nn.Module,
        learning_rate: float,
        total_steps: int,
        warmup_share: float = 0.1,
        max_grad_norm: float = 1.0,
    ) -> None:
        if not 0 < learning_rate < float("inf"):
            raise ValueError(f"learning_rate is {learning_rate}; a finite number above 0 is needed")
        weights = [weight for weight in model.parameters() if weight.requires_grad]
        # With torch's default eps of 1e-8, the first steps are too large where gradients are small.
        self._adam = torch.optim.Adam(weights, lr=learning_rate, eps=1e-5, fused=True)
        warmup_steps = max(1, round(warmup_share * total_steps))
        self._max_grad_norm = max_grad_norm

        def share(step: int) -> float:
            rising = (step + 1) / warmup_steps
            falling = (total_steps - step) / max(1, total_steps - warmup_steps)
            return max(0.0, min(1.0, rising, falling))

        self._schedule = torch.optim.lr_scheduler.LambdaLR(self._adam, share)

    def step(self, loss: Tensor) -> float:
        """One step down the gradient of ``loss``; returns the gradient's norm.

        Raises:
            RuntimeError: when the gradient is not finite; no weight is changed then.
        """
        norm = clipped_step(self._adam, loss, self._max_grad_norm)
        self._schedule.step()
        return norm


def clipped_step(optimizer: torch.optim.Optimizer, loss: Tensor, max_grad_norm: float) -> float:
    """One step down the gradient of ``loss``, clipped to ``max_grad_norm``; returns the norm before clipping.

    Raises:
        RuntimeError: when the gradient is not finite; no weight is changed then.
    """
    optimizer.zero_grad()
    loss.backward()
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    norm = float(torch.nn.utils.clip_grad_norm_(weights, max_grad_norm))
    if not norm < float("inf"):
        raise RuntimeError(
            f"the gradient's norm is {norm} at a loss of {float(loss.detach()):.4g}; look for log-probabilities or "
            "rewards that are not finite, or lower the learning rate"
        )
    optimizer.step()
    return norm
