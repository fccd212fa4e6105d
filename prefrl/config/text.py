"""The settings of the trainers of language models, as frozen dataclasses."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

__all__ = ["Aggregation", "DPOConfig", "FineTuningConfig", "GRPOConfig", "PreferenceKind"]

PreferenceKind = Literal["sigmoid", "ipo", "cdpo", "robust"]
Aggregation = Literal["grpo", "dapo", "dr_grpo"]


@dataclass(frozen=True)
class FineTuningConfig:
    """Supervised fine-tuning of a language model on responses; prompts are not learned.

    Raises:
        ValueError: when a setting is out of its range.
    """

    demonstrations: int = 2000
    """number of demonstrations drawn from the task; 0 skips fine-tuning"""
    epochs: int = 3
    """passes over the demonstrations"""
    batch_size: int = 32
    """demonstrations per minibatch"""
    learning_rate: float = 1e-3
    """the default suits small models trained from scratch; use 1e-5 to 5e-5 for pretrained ones"""

    def __post_init__(self) -> None:
        if self.demonstrations < 0:
            raise ValueError(
                f"demonstrations is {self.demonstrations}; at least 0 is needed (0 skips fine-tuning)"
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
    """strength of the KL penalty: the larger, the closer the model stays to the reference"""
    kind: PreferenceKind = "sigmoid"
    """"sigmoid" is the original DPO loss, "ipo" regresses on a margin, "cdpo" and "robust" allow for wrong answers"""
    label_smoothing: float = 0.0
    """share of answers assumed to be wrong, for "cdpo" and "robust" """
    epochs: int = 1
    """passes over the rankings"""
    batch_size: int = 16
    """rankings per minibatch"""
    learning_rate: float = 1e-4
    """the default suits small models; use 1e-6 to 1e-5 for pretrained ones of 100 million weights or more"""
    temperature: float = 1.0
    """sampling temperature of the responses, those in the data and those sampled later"""
    seed: int = 0
    """random seed of the order of the rankings"""

    def __post_init__(self) -> None:
        _check_counts(self, "epochs", "batch_size")
        _check_positive(self, "beta", "learning_rate", "temperature")
        if not 0 <= self.label_smoothing < 0.5:
            raise ValueError(
                f"label_smoothing is {self.label_smoothing}; it is the share of wrong labels, 0 to just below .5"
            )
        if (self.label_smoothing > 0) != (self.kind in ("cdpo", "robust")):
            raise ValueError(
                f"label_smoothing is {self.label_smoothing} and kind is {self.kind!r}; cdpo and robust need "
                "label_smoothing above 0, and the other kinds ignore it"
            )


@dataclass(frozen=True)
class GRPOConfig:
    """Group relative policy optimisation.

    Raises:
        ValueError: when a setting is out of its range.
    """

    steps: int = 100
    """number of rollouts"""
    prompts: int = 8
    """prompts per rollout"""
    group_size: int = 8
    """responses to each prompt"""
    aggregation: Aggregation = "dapo"
    """how token losses are averaged: "grpo" over each response and then over responses, "dapo" over all tokens,
    "dr_grpo" divides by the maximum response length"""
    scale_by_std: bool = True
    """divide advantages by the standard deviation of their group; Dr. GRPO does not"""
    clip_low: float = 0.2
    """probability ratios are clipped below at 1 - clip_low"""
    clip_high: float = 0.28
    """probability ratios are clipped above at 1 + clip_high"""
    kl_coefficient: float = 0.0
    """weight of the KL to the initial model; 0 keeps no reference model"""
    kl_in_reward: bool = False
    """subtract the KL (estimator k1) from the rewards instead of adding k3 to the loss as the paper does; the gradient
    of a sampled k3 is that of the KL in the other direction"""
    epochs: int = 1
    """passes over each rollout"""
    batch_size: int | None = None
    """responses per minibatch; None uses the whole rollout"""
    learning_rate: float = 1e-4
    """the default suits small models; use 1e-6 to 1e-5 for pretrained ones of 100 million weights or more"""
    temperature: float = 1.0
    """sampling temperature of the responses"""
    seed: int = 0
    """random seed of prompts, responses and their order"""

    def __post_init__(self) -> None:
        _check_counts(
            self, "steps", "prompts", "epochs", *(["batch_size"] if self.batch_size is not None else [])
        )
        _check_positive(self, "learning_rate", "temperature")
        if self.group_size < 2:
            raise ValueError(
                f"group_size is {self.group_size}; a response is compared with the others of its group, so at least 2 "
                "are needed"
            )
        if not 0 <= self.clip_low < 1 or not 0 <= self.clip_high < math.inf:
            raise ValueError(
                f"clip_low is {self.clip_low} and clip_high is {self.clip_high}; ratios are clipped to 1 - clip_low "
                "and 1 + clip_high, so clip_low must be from 0 to just below 1, and clip_high at least 0"
            )
        if self.kl_in_reward and not self.kl_coefficient:
            raise ValueError(
                "kl_in_reward subtracts kl_coefficient times the KL from the rewards, and kl_coefficient is 0; "
                "set it above 0"
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
