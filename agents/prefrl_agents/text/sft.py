"""Supervised fine-tuning on demonstrations."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from stable_baselines3.common.vec_env import VecEnv

from prefrl.config import FineTuningConfig
from prefrl.text.models import LanguageModel
from prefrl_agents.text.optimising import Optimiser
from prefrl_agents.text.policy import LanguageModelPolicy
from prefrl_agents.text.preference_losses import sft_loss
from prefrl_agents.text.sequences import Sequences, response_log_probs

__all__ = ["fine_tune", "fine_tune_policy", "mean_loss"]

_CHUNK_TOKENS = 8192

OnEpoch = Callable[[int, float], None]
"""called with the number of the finished epoch, from 1, and its mean loss"""


def fine_tune(
    model: LanguageModel,
    demonstrations: Sequences,
    config: FineTuningConfig,
    seed: int = 0,
    on_epoch: OnEpoch | None = None,
) -> list[float]:
    """Raise the probability of the responses to their prompts; prompt tokens have no loss.

    Args:
        model: trained in place.
        demonstrations: prompts with responses.
        config: settings; its number of demonstrations is not used here.
        seed: of the order of minibatches.
        on_epoch: called after each epoch with its number, from 1, and its mean loss.

    Returns:
        Mean loss of each epoch, in nats per token.

    Raises:
        ValueError: when there is no demonstration.
    """
    if not len(demonstrations):
        raise ValueError("there are no demonstrations to learn from; give one at least")
    generator = torch.Generator().manual_seed(seed)
    steps_an_epoch = math.ceil(len(demonstrations) / config.batch_size)
    optimiser = Optimiser(model, config.learning_rate, config.epochs * steps_an_epoch)
    losses = []
    for epoch in range(1, config.epochs + 1):
        total = 0.0
        for rows in torch.randperm(len(demonstrations), generator=generator).split(config.batch_size):
            batch = demonstrations[rows].to(model.device)
            loss = sft_loss(response_log_probs(model, batch), batch.mask)
            optimiser.step(loss)
            total += float(loss.detach()) * batch.num_response_tokens
        losses.append(total / demonstrations.num_response_tokens)
        if on_epoch is not None:
            on_epoch(epoch, losses[-1])
    return losses


def fine_tune_policy(
    policy: LanguageModelPolicy,
    venv: VecEnv,
    config: FineTuningConfig,
    seed: int,
    on_epoch: OnEpoch | None = None,
) -> list[float]:
    """Fine-tune a new policy on demonstrations of the environment's task, and take the result as its reference.

    ``on_epoch`` is called as by `fine_tune`.

    Returns:
        Mean loss of each epoch, in nats per token.
    """
    prompts, responses = venv.env_method("demonstrations", config.demonstrations, seed)[0]
    pad_id = policy.language_model.pad_id or 0
    drawn = Sequences.of(prompts, responses, pad_id)
    losses = fine_tune(policy.language_model, drawn, config, seed, on_epoch)
    policy.keep_reference()
    return losses


@torch.no_grad()
def mean_loss(model: LanguageModel, demonstrations: Sequences) -> float:
    """Mean loss in nats per token of any responses."""
    total = 0.0
    for rows in demonstrations.chunks(_CHUNK_TOKENS):
        total -= float(response_log_probs(model, demonstrations[rows].to(model.device)).sum())
    return total / demonstrations.num_response_tokens
