"""What goes wrong with language models that learn from rewards, told from numbers: pure functions, a sentence each.

Each gives None where nothing is wrong, or what is wrong, with the figure, its likely causes and the way out.
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
"""of the log-odds of learning, by their being those of acting at another temperature: more has another cause"""
MOST_APART = 1e-3
"""nats between a log-probability and the same computed again: less is rounding"""
RECENT_ROLLOUTS = 10
LEAST_KL = -0.1
"""nats a response: less is no longer the noise of an estimate that may be negative"""
REWARD_SPREAD = (0.2, 5.0)
"""standard deviations of a learned reward between which a KL coefficient keeps its meaning"""
MOST_ZERO_GROUPS = 0.5
SAME_REWARD = 1e-4
"""rewards no further apart are one: that of the same text is rounded otherwise beside other texts"""
LEAST_VARIETY_KEPT = 0.5
"""of distinct pairs of tokens"""
MOST_LENGTH_BIAS = 0.6
LENGTH_GROWTH = 1.3


def ratio_off(ratios: np.ndarray) -> str | None:
    """Of new to old probabilities (M,) of the same tokens under the same weights, which has to be 1."""
    off = float(np.abs(ratios - 1).mean())
    if off <= MOST_RATIO_OFF:
        return None
    return (
        f"the same weights give the same tokens probabilities that differ by {off:.1%} between acting and learning; "
        "look for dropout, a temperature or a mask that only one of them applies, or lower precision in one of them"
    )


def temperature_off(acting: np.ndarray, learning: np.ndarray) -> str | None:
    """Of the log-odds (M,) of two tokens at each place, as acting has them and as learning does.

    At another temperature they are the same but for one factor; where they are not, `ratio_off` is for it.
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
        f"learning divides logits by {1 / factor:.2f} times the temperature that tokens are sampled at; both have to "
        "take policy_kwargs' temperature"
    )


def pad_is_eos(pad_id: int | None, eos_id: int | None) -> str | None:
    """Whether the end of a text can be told from what comes after it."""
    if pad_id is not None and pad_id == eos_id:
        return (
            f"padding and the token that ends a text are the same, {pad_id}: the model never learns to end; give the "
            "tokenizer a pad_token of its own and resize the model's embeddings"
        )
    return None


def other_tokens(
    pad_id: int | None, eos_id: int | None, tokenizer_pad_id: int, tokenizer_eos_id: int
) -> str | None:
    """Whether padding and the end are to the language model what they are to the environment's tokenizer."""
    if (pad_id, eos_id) == (tokenizer_pad_id, tokenizer_eos_id):
        return None
    return (
        f"the model takes {pad_id} for padding and {eos_id} for the end of a text, the environment's tokenizer "
        f"{tokenizer_pad_id} and {tokenizer_eos_id}: what is text to the one is none to the other; go on with "
        "the tokenizer that the run began with, or begin anew"
    )


def dropout_on(first: np.ndarray, second: np.ndarray) -> str | None:
    """Of the log-probabilities (M,) of the same tokens, computed twice as learning computes them."""
    apart = float(np.abs(first - second).max())
    if apart <= MOST_APART:
        return None
    return (
        f"log-probabilities of the same tokens, computed twice, are up to {apart:.2g} nats apart: dropout is active; "
        "set it to 0 in the checkpoint's config.json (attn_pdrop, resid_pdrop and embd_pdrop, or as it is called "
        "there)"
    )


def reward_scale(rewards: np.ndarray) -> str | None:
    """Of learned rewards (M,) of recent texts, as the policy is given them."""
    spread = float(np.std(rewards))
    low, high = REWARD_SPREAD
    if low <= spread <= high:
        return None
    which = "hardly differ" if spread < low else "differ widely"
    return (
        f"rewards of recent texts {which}: their deviation is {spread:.2f}, so a KL coefficient means something else "
        f"than it does at 1; {'ask for more labels on recent texts' if spread < low else 'lower reward.std'}"
    )


def negative_kl(kl: Sequence[float]) -> str | None:
    """Of the mean KL of a response by rollout, newest last."""
    recent = float(np.mean(kl[-RECENT_ROLLOUTS:])) if len(kl) else 0.0
    if recent >= LEAST_KL:
        return None
    if np.isnan(recent):
        return (
            "the KL to the reference is not finite in the last rollouts; look for logits that are not, and lower the "
            "learning rate"
        )
    return (
        f"the KL to the reference is {recent:.2f} nats a response in the last rollouts, and no KL is negative: the "
        "tokens are not sampled from the distribution that is evaluated (another temperature, top-k, forced tokens, "
        "or padding counted as text); sample from the policy's own distribution, or take kl_estimator k3 to see it"
    )


def groups_without_variance(rewards: Sequence[np.ndarray]) -> str | None:
    """Of the rewards of the responses to each prompt."""
    groups = [group for group in rewards if len(group) > 1]
    if not groups:
        return None
    share = float(np.mean([np.ptp(group) <= SAME_REWARD for group in groups]))
    if share <= MOST_ZERO_GROUPS:
        return None
    return (
        f"all responses have the same reward for {share:.0%} of the prompts, which then teach nothing; take harder "
        "prompts, a finer reward, more responses to each, or a higher temperature"
    )


def alike(
    early: Sequence[Sequence[int]], late: Sequence[Sequence[int]], rewards: Sequence[float]
) -> str | None:
    """Of early and late responses, and the mean reward by time: does it rise while texts get alike?"""
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
    """Of lengths of early and late responses, and the latter's rewards."""
    bias = pearson(late_rewards, late_tokens)
    grown = float(np.mean(late_tokens)) > LENGTH_GROWTH * float(np.mean(early_tokens))
    if np.isnan(bias) or bias <= MOST_LENGTH_BIAS or not grown:
        return None
    return (
        f"responses have grown from {np.mean(early_tokens):.0f} to {np.mean(late_tokens):.0f} tokens, and reward goes "
        f"with length (correlation {bias:.2f}); compare responses of about one length, or let the task cost length"
    )
