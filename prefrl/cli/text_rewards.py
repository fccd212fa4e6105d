"""What texts are worth, by a task's own reward or by a learned one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from prefrl.cli.text_models import TextModel
from prefrl_envs.text import TextTask

if TYPE_CHECKING:
    from prefrl.language import Generation

__all__ = ["Scorer", "make_scorer"]

Scorer = Callable[["Generation"], np.ndarray]
"""B sampled texts -> B numbers"""


def make_scorer(texts: TextModel, task: TextTask | None, reward: Path | None) -> Scorer:
    """The learned reward in ``reward``, or the task's own where that is None.

    Raises:
        ValueError: when there is neither, or the reward was not learned of texts of these tokens.
    """
    if reward is None:
        if task is None:
            raise ValueError(
                "nothing says what a text is worth; give a folder with a learned reward by --reward"
            )
        return _true_scorer(texts, task)
    from prefrl.reward import LearnedReward
    from prefrl.tokens import last_steps

    learned = LearnedReward.load(reward)
    spec, action_spec = learned.observation_spec, learned.action_spec
    if not spec.is_tokens or action_spec.categories != (texts.tokenizer.vocab_size,):
        raise ValueError(
            f"{reward} was learned of {spec.kind} with {action_spec.categories} actions, the model's texts are of "
            f"{texts.tokenizer.vocab_size} tokens; give a reward and a model of the same tokenizer"
        )

    def score(generation: Generation) -> np.ndarray:
        tensors = (generation.ids, generation.prompt_lengths, generation.lengths)
        ids, prompt_lengths, lengths = (tensor.cpu().numpy() for tensor in tensors)
        return learned.text_rewards(*last_steps(ids, prompt_lengths, lengths, spec))

    return score


def _true_scorer(texts: TextModel, task: TextTask) -> Scorer:
    def score(generation: Generation) -> np.ndarray:
        ids = generation.ids.tolist()
        prompts = [
            texts.tokenizer.decode(row[:length])
            for row, length in zip(ids, generation.prompt_lengths.tolist(), strict=True)
        ]
        return task.reward(prompts, [texts.tokenizer.decode(ids) for ids in generation.responses()])

    return score
