"""The settings of what trains language models, as frozen dataclasses."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

__all__ = ["Aggregation", "DPOConfig", "FineTuningConfig", "GRPOConfig", "PreferenceKind"]

PreferenceKind = Literal["sigmoid", "ipo", "cdpo", "robust"]
Aggregation = Literal["grpo", "dapo", "dr_grpo"]


@dataclass(frozen=True)
class FineTuningConfig:
    """Supervised fine-tuning of a language model, on responses alone.

    Raises:
        ValueError: when a setting is out of its range.
    """

    demonstrations: int = 2000
    """how many of the task's are drawn; 0 fine-tunes nothing"""
    epochs: int = 3
    batch_size: int = 32
    """demonstrations a minibatch"""
    learning_rate: float = 1e-3
    """suits small models made from scratch; pretrained ones take 1e-5 to 5e-5"""

    def __post_init__(self) -> None:
        if self.demonstrations < 0:
            raise ValueError(
                f"demonstrations is {self.demonstrations}; at least 0 is needed, which fine-tunes nothing"
            )
        _check_counts(self, "epochs", "batch_size")
        _check_positive(self, "learning_rate")


@dataclass(frozen=True)
class DPOConfig:
    """Direct preference optimisation.

    Raises:
        ValueError: when a setting is out of its range.
    """

    beta: float = 0.1
    """the larger, the closer to the reference"""
    kind: PreferenceKind = "sigmoid"
    """"sigmoid" is DPO's own loss, "ipo" regresses on a margin, the others allow for wrong answers"""
    label_smoothing: float = 0.0
    """share of answers taken to be wrong, for "cdpo" and "robust" """
    epochs: int = 1
    batch_size: int = 16
    """rankings a minibatch"""
    learning_rate: float = 1e-4
    """suits small models; pretrained ones of 100 million weights and more take 1e-6 to 1e-5"""
    temperature: float = 1.0
    """that responses were sampled at, and are to be"""
    seed: int = 0
    """of the order of rankings"""

    def __post_init__(self) -> None:
        _check_counts(self, "epochs", "batch_size")
        _check_positive(self, "beta", "learning_rate", "temperature")
        if not 0 <= self.label_smoothing < 0.5:
            raise ValueError(
                f"label_smoothing is {self.label_smoothing}; it is the share of wrong labels, 0 to just below .5"
            )
        if (self.label_smoothing > 0) != (self.kind in ("cdpo", "robust")):
            raise ValueError(
                f"label_smoothing is {self.label_smoothing} and kind {self.kind!r}; cdpo and robust need one above 0, "
                "and the others ignore it"
            )


@dataclass(frozen=True)
class GRPOConfig:
    """Group relative policy optimisation.

    Raises:
        ValueError: when a setting is out of its range.
    """

    steps: int = 100
    """rollouts"""
    prompts: int = 8
    """a rollout"""
    group_size: int = 8
    """responses to each prompt"""
    aggregation: Aggregation = "dapo"
    """"grpo" means over responses, "dapo" over tokens, "dr_grpo" divides by the longest response there may be"""
    scale_by_std: bool = True
    """divide advantages by their group's deviation; Dr.GRPO does not"""
    clip_low: float = 0.2
    clip_high: float = 0.28
    kl_coefficient: float = 0.0
    """of the KL to the model that training began with; 0 keeps no reference"""
    kl_in_reward: bool = False
    """take the KL from the rewards, by k1, in place of adding k3 to the loss as the paper does: the gradient of a
    sampled k3 is that of the KL the other way round"""
    epochs: int = 1
    """passes over each rollout"""
    batch_size: int | None = None
    """responses a minibatch; None takes the whole rollout"""
    learning_rate: float = 1e-4
    """suits small models; pretrained ones of 100 million weights and more take 1e-6 to 1e-5"""
    temperature: float = 1.0
    seed: int = 0
    """of prompts, responses and their order"""

    def __post_init__(self) -> None:
        _check_counts(
            self, "steps", "prompts", "epochs", *(["batch_size"] if self.batch_size is not None else [])
        )
        _check_positive(self, "learning_rate", "temperature")
        if self.group_size < 2:
            raise ValueError(
                f"group_size is {self.group_size}; a response is judged by the others of its group, so at least 2 "
                "are needed"
            )
        if not 0 <= self.clip_low < 1 or not 0 <= self.clip_high < math.inf:
            raise ValueError(
                f"clip_low is {self.clip_low} and clip_high {self.clip_high}; ratios are clipped to 1 - clip_low and "
                "1 + clip_high, so the one is needed in 0 to just below 1 and the other at 0 or above"
            )
        if self.kl_in_reward and not self.kl_coefficient:
            raise ValueError(
                "kl_in_reward takes kl_coefficient times the KL from the rewards, and that is 0; give one"
            )
        if not 0 <= self.kl_coefficient < math.inf:
            raise ValueError(
                f"kl_coefficient is {self.kl_coefficient}; a finite number of at least 0 is needed"
            )


def _check_counts(settings: object, *names: str) -> None:
    for name in names:
        if getattr(settings, name) < 1:
            raise ValueError(f"{name} is {getattr(settings, name)}; at least 1 is needed")


def _check_positive(settings: object, *names: str) -> None:
    for name in names:
        if not 0 < getattr(settings, name) < math.inf:
            raise ValueError(f"{name} is {getattr(settings, name)}; a finite number above 0 is needed")
