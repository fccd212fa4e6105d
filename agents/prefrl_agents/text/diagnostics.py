"""Diagnostics of language models that learn from rewards: pure functions of numbers.

Each returns None where nothing is wrong, otherwise a sentence with the figure, its likely causes and the way out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from prefrl.reward.metrics import pearson
from prefrl_agents.text.overoptimisation import distinct_n

__all__ = [
    "alike",
    "dropout_on",
    "groups_without_variance",
    "length_hacking",
    "negative_kl",
    "other_tokens",
    "pad_is_eos",
    "ratio_off",
    "reward_scale",
    "temperature_off",
]

MOST_RATIO_OFF = 0.02
MOST_TEMPERATURE_OFF = 0.02
MOST_UNEXPLAINED = 0.05
"""share of the log-odds in learning that another temperature may leave unexplained; more has another cause"""
MOST_APART = 1e-3
"""nats between a log-probability and the same computed again; less is rounding"""
RECENT_ROLLOUTS = 10
LEAST_KL = -0.1
"""nats per response; lower values are more than the noise of an estimate that can be negative"""
REWARD_SPREAD = (0.2, 5.0)
"""range of a learned reward's standard deviation in which the usual KL coefficients work"""
MOST_ZERO_GROUPS = 0.5
SAME_REWARD = 1e-4
"""rewards this close are equal: rounding of the same text's reward depends on the other texts of its batch"""
LEAST_VARIETY_KEPT = 0.5
"""share of the early distinct pairs of tokens"""
MOST_LENGTH_BIAS = 0.6
LENGTH_GROWTH = 1.3


def ratio_off(ratios: np.ndarray) -> str | None:
    """Check the ratios (M,) of new to old probabilities of the same tokens under the same weights, which must be 1."""
    off = float(np.abs(ratios - 1).mean())
    if off <= MOST_RATIO_OFF:
        return None
    return (
        f"with the same weights, probabilities of the same tokens differ by {off:.1%} between acting and learning; "
        "look for dropout, a temperature or a mask that only one of them applies, or lower precision in one of them"
    )


def temperature_off(acting: np.ndarray, learning: np.ndarray) -> str | None:
    """Compare the log-odds (M,) of two tokens at each position in acting and in learning.

    At another temperature they differ by one common factor; other differences are found by `ratio_off`.
    """
    size = float(acting @ acting)
    if size == 0:
        return None
    factor = float(acting @ learning) / size
    left = float(np.linalg.norm(learning - factor * acting))
    is_factor = factor > 0 and left <= MOST_UNEXPLAINED * float(np.linalg.norm(learning))
    if not is_factor or abs(factor - 1) <= MOST_TEMPERATURE_OFF:
        return None
    return (
        f"learning divides logits by {1 / factor:.2f} times the temperature that tokens are sampled at; both must use "
        "the temperature in policy_kwargs"
    )


def pad_is_eos(pad_id: int | None, eos_id: int | None) -> str | None:
    """Check that the end token differs from padding."""
    if pad_id is not None and pad_id == eos_id:
        return (
            f"padding and the end token are the same, {pad_id}: the model never learns to end a text; give the "
            "tokenizer a separate pad_token and resize the model's embeddings"
        )
    return None


def other_tokens(
    pad_id: int | None, eos_id: int | None, tokenizer_pad_id: int, tokenizer_eos_id: int
) -> str | None:
    """Check that the language model and the environment's tokenizer use the same padding and end tokens."""
    if (pad_id, eos_id) == (tokenizer_pad_id, tokenizer_eos_id):
        return None
    return (
        f"the model takes {pad_id} for padding and {eos_id} for the end of a text, the environment's tokenizer "
        f"{tokenizer_pad_id} and {tokenizer_eos_id}; continue with the tokenizer that the run started with, or start "
        "a new run"
    )


def dropout_on(first: np.ndarray, second: np.ndarray) -> str | None:
    """Compare two computations of the log-probabilities (M,) of the same tokens in learning."""
    apart = float(np.abs(first - second).max())
    if apart <= MOST_APART:
        return None
    return (
        f"log-probabilities of the same tokens, computed twice, are up to {apart:.2g} nats apart: dropout is active; "
        "set it to 0 in the checkpoint's config.json (attn_pdrop, resid_pdrop and embd_pdrop, or their names there)"
    )


def reward_scale(rewards: np.ndarray) -> str | None:
    """Check the spread of learned rewards (M,) of recent texts."""
    spread = float(np.std(rewards))
    low, high = REWARD_SPREAD
    if low <= spread <= high:
        return None
    which = "hardly differ" if spread < low else "differ widely"
    return (
        f"rewards of recent texts {which}: their deviation is {spread:.2f}, and KL coefficients are meant for a "
        f"deviation of 1; {'ask for more labels on recent texts' if spread < low else 'lower reward.std'}"
    )


def negative_kl(kl: Sequence[float]) -> str | None:
    """Check the mean KL per response of each rollout, newest last."""
    recent = float(np.mean(kl[-RECENT_ROLLOUTS:])) if len(kl) else 0.0
    if recent >= LEAST_KL:
        return None
    if np.isnan(recent):
        return (
            "the KL to the reference is not finite in the last rollouts; look for logits that are not finite, and "
            "lower the learning rate"
        )
    return (
        f"the KL to the reference is {recent:.2f} nats per response in the last rollouts, but a KL is never negative: "
        "tokens are not sampled from the distribution that is evaluated (another temperature, top-k, forced tokens, "
        "or padding counted as text); sample from the policy's own distribution"
    )


def groups_without_variance(rewards: Sequence[np.ndarray]) -> str | None:
    """Check that responses to a prompt differ in reward."""
    groups = [group for group in rewards if len(group) > 1]
    if not groups:
        return None
    share = float(np.mean([np.ptp(group) <= SAME_REWARD for group in groups]))
    if share <= MOST_ZERO_GROUPS:
        return None
    return (
        f"all responses have the same reward for {share:.0%} of the prompts, which gives no advantage; take harder "
        "prompts, a finer reward, more responses to each, or a higher temperature"
    )


def alike(
    early: Sequence[Sequence[int]], late: Sequence[Sequence[int]], rewards: Sequence[float]
) -> str | None:
    """Check whether the mean reward rises while late responses become less diverse than early ones."""
    before, after = distinct_n(early, 2), distinct_n(late, 2)
    if np.isnan(before) or np.isnan(after) or len(rewards) < 2 or rewards[-1] <= rewards[0]:
        return None
    if after >= LEAST_VARIETY_KEPT * before:
        return None
    return (
        f"reward rises while texts get alike: of all pairs of neighbouring tokens {after:.0%} are different ones, "
        f"{before:.0%} at first; raise kl_coefficient, or ask for more labels on recent texts"
    )


def length_hacking(early_tokens: np.ndarray, late_tokens: np.ndarray, late_rewards: np.ndarray) -> str | None:
    """Check whether responses grow and their reward correlates with length."""
    bias = pearson(late_rewards, late_tokens)
    grown = float(np.mean(late_tokens)) > LENGTH_GROWTH * float(np.mean(early_tokens))
    if np.isnan(bias) or bias <= MOST_LENGTH_BIAS or not grown:
        return None
    return (
        f"responses have grown from {np.mean(early_tokens):.0f} to {np.mean(late_tokens):.0f} tokens, and reward goes "
        f"with length (correlation {bias:.2f}); compare responses of about one length, or let the task cost length"
    )
