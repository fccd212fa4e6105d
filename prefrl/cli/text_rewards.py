"""Scores texts by an environment's own reward or by a learned reward."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from prefrl.cli.text_models import TextModel
from prefrl.config.modality import TEXTS, modality_of
from prefrl_envs.text import TextGenEnv
from prefrl_envs.text.scoring import score_texts
from prefrl_envs.text.task import RewardFunction

if TYPE_CHECKING:
    from prefrl.reward import LearnedReward
    from prefrl.text.models import Generation

__all__ = ["MakeScorer", "Scorer", "open_reward"]

Scorer = Callable[["Generation"], np.ndarray]
"""maps B sampled texts to their rewards (B,)"""

MakeScorer = Callable[[TextModel, int], Scorer]
"""maps a model, and the maximum tokens of a text (prompt and response together), to a scorer of the model's texts;
raises ValueError when some texts could not be scored"""


def open_reward(environment: TextGenEnv | None, reward: Path | None) -> MakeScorer:
    """The learned reward in the folder ``reward``, or the environment's own reward if that is None.

    Raises:
        ValueError: when there is neither, or the learned reward cannot be read.
    """
    if reward is not None:
        from prefrl.reward import LearnedReward

        return partial(_learned_scorer, LearnedReward.load(reward), reward)
    if environment is None or environment.reward_function is None:
        raise ValueError(
            "there is no reward to score texts with; give a learned reward by --reward, or name a function of your own "
            'by --env-kwargs \'{"reward": "package.module:function"}\''
        )
    return partial(_true_scorer, environment.reward_function)


def _learned_scorer(learned: LearnedReward, path: Path, texts: TextModel, longest_tokens: int) -> Scorer:
    from prefrl.data.tokens import last_steps

    spec, action_spec = learned.observation_spec, learned.action_spec
    if modality_of(spec) is not TEXTS or action_spec.categories != (texts.tokenizer.vocab_size,):
        raise ValueError(
            f"{path} was learned from {spec.kind} observations with {action_spec.categories} actions, the model's "
            f"tokenizer has {texts.tokenizer.vocab_size} tokens; give a reward and a model with the same tokenizer"
        )
    room = spec.shape[0] - 2
    if longest_tokens > room:
        raise ValueError(
            f"{path} takes texts of at most {room} tokens, prompt and response together, and texts may have up to "
            f"{longest_tokens}; fit it with a checkpoint as --reward.language-model, whose limit it then has, or ask "
            "for shorter texts"
        )

    def score(generation: Generation) -> np.ndarray:
        tensors = (generation.ids, generation.prompt_lengths, generation.lengths)
        ids, prompt_lengths, lengths = (tensor.cpu().numpy() for tensor in tensors)
        return learned.text_rewards(*last_steps(ids, prompt_lengths, lengths, spec))

    return score


def _true_scorer(function: RewardFunction, texts: TextModel, longest_tokens: int) -> Scorer:
    def score(generation: Generation) -> np.ndarray:
        prompts = [
            texts.tokenizer.decode(row[:length])
            for row, length in zip(generation.ids.tolist(), generation.prompt_lengths.tolist(), strict=True)
        ]
        return score_texts(function, prompts, [texts.tokenizer.decode(ids) for ids in generation.responses()])

    return score
