"""A vector environment of text tasks: N responses in one array of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from prefrl_envs.text.scoring import score_texts
from prefrl_envs.text.task import RewardFunction, TextTask
from prefrl_envs.text.validation import check_tokens, draw_prompt, encode_prompt, response_text, spaces_of

__all__ = ["TextGenVectorEnv"]

Observation = dict[str, np.ndarray]
Info = dict[str, Any]


class TextGenVectorEnv(VectorEnv[Observation, np.ndarray, np.ndarray]):
    """N rows, each a `TextGenEnv`; one call gives the rewards of all texts that end in a step.

    Observations have ``input_ids`` (N, L), ``length`` and ``prompt_length`` (N, 1), all int32; actions are (N,)
    integers; rewards (N,) float64. When a text ends, the next one begins within the same step; infos then have
    ``final_obs`` and ``final_info`` with masks ``_final_obs`` and ``_final_info``, as in Gymnasium's own vector
    environments. ``action_mask``, (N, V) bool, is read-only: all rows and infos share one mask.

    The rows of a block of ``responses_per_prompt`` get the same sequence of prompts: episode k of each answers the
    same one. The first block has the prompts of a `TextGenEnv` with the same seed.

    Args:
        task: prompts and reward.
        num_envs: N.
        responses_per_prompt: rows in a block.
        reward: replaces the task's reward.

    Raises:
        ValueError: when the task's tokenizer or limits are invalid, or N is not a positive multiple of
            ``responses_per_prompt``.
    """

    metadata: ClassVar[Info] = {  # type: ignore[misc]
        "autoreset_mode": AutoresetMode.SAME_STEP,
        # A text that reaches the length limit has been scored; no reward follows.
        "limit_is_end": True,
    }

    def __init__(
        self,
        task: TextTask,
        num_envs: int = 1,
        responses_per_prompt: int = 1,
        reward: RewardFunction | None = None,
    ) -> None:
        if min(num_envs, responses_per_prompt) < 1 or num_envs % responses_per_prompt:
            raise ValueError(
                f"num_envs is {num_envs} and responses_per_prompt {responses_per_prompt}; a positive multiple of the "
                "latter is needed"
            )
        self.num_envs, self.task, self.responses_per_prompt = num_envs, task, responses_per_prompt
        self._text_space, self._token_space = spaces_of(task)
        self.single_observation_space, self.single_action_space = self._text_space, self._token_space
        self.observation_space = batch_space(self._text_space, num_envs)
        self.action_space = batch_space(self._token_space, num_envs)
        self._reward = task.reward if reward is None else reward
        if hasattr(task, "optimal_return"):
            # An attribute of this environment only where the task has it.
            self.optimal_return = task.optimal_return
        self._seed: int | None = None
        self._episodes = np.zeros(num_envs, int)
        self._prompts: list[str] = []
        self._ids = np.full((num_envs, self._text_space.max_tokens), self._text_space.pad_id, np.int32)
        self._lengths = np.zeros((num_envs, 1), np.int32)
        self._prompt_lengths = np.zeros((num_envs, 1), np.int32)

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[Observation, Info]:
        """Start every row with a prompt of the task, with ``options["prompt"]``, or with the N ``options["prompts"]``.

        Raises:
            ValueError: when there are not N prompts, or one is empty, too long, or contains text without a token.
        """
        super().reset(seed=seed)
        if seed is not None or self._seed is None:
            self._seed, episodes = self.np_random_seed, np.zeros_like(self._episodes)
        else:
            episodes = self._episodes + 1
        prompts = self._given(options or {}) or [
            self._draw(row, episodes[row]) for row in range(self.num_envs)
        ]
        ids = [encode_prompt(self.task, prompt) for prompt in prompts]
        self._episodes, self._prompts = episodes, list(prompts)
        self._begin(range(self.num_envs), prompts, ids)
        return self._observe(), self._info()

    def step(self, actions: np.ndarray) -> tuple[Observation, np.ndarray, np.ndarray, np.ndarray, Info]:
        """Put a token in each row; where its text ends, begin the next.

        Raises:
            ValueError: when a token is padding or none at all, the reward function fails or gives other than finite
                numbers, or the task's next prompt cannot be put. No row has gone on then.
            gymnasium.error.ResetNeeded: before the first reset.
        """
        if not self._prompts:
            raise gym.error.ResetNeeded("no text is under way; call reset before the first step")
        tokens = check_tokens(actions, (self.num_envs,), self._token_space)
        np.put_along_axis(self._ids, self._lengths, tokens[:, None], axis=1)
        lengths = self._lengths + 1
        terminated = tokens == self._text_space.eos_id
        is_full = (lengths - self._prompt_lengths)[:, 0] == self._text_space.max_new_tokens
        truncated = is_full & ~terminated
        ended = np.flatnonzero(terminated | truncated).tolist()
        rewards, info = np.zeros(self.num_envs), self._info()
        if ended:
            rewards[ended] = self._end(ended, lengths, info)
        else:
            self._lengths = lengths
        return self._observe(), rewards, terminated, truncated, info

    def action_masks(self) -> np.ndarray:
        """The tokens that may be chosen in any row, shape (V,) bool, read-only."""
        return self._token_space.allowed

    def demonstrations(self, count: int, seed: int) -> tuple[list[list[int]], list[list[int]]]:
        """Prompts and ordinary responses as token ids, for fine-tuning; responses include the end token.

        Responses longer than the limit are cut off.

        Raises:
            ValueError: when the task has none.
        """
        if not hasattr(self.task, "demonstration"):
            raise ValueError(
                f"{self.task} has no demonstrations; begin with a model that was fine-tuned elsewhere"
            )
        rng, tokenizer = np.random.default_rng(seed), self.task.tokenizer
        drawn = [self.task.demonstration(rng) for _ in range(count)]
        prompts = [encode_prompt(self.task, prompt).tolist() for prompt, _ in drawn]
        responses = [[*tokenizer.encode(response), tokenizer.eos_id] for _, response in drawn]
        return prompts, [response[: self.task.max_new_tokens] for response in responses]

    def _end(self, ended: list[int], lengths: np.ndarray, info: Info) -> np.ndarray:
        """Rewards of the rows that ended; starts their next episodes and fills in ``info``."""
        starts, stops = self._prompt_lengths[:, 0], lengths[:, 0]
        responses = [
            response_text(self.task.tokenizer, self._ids[row, starts[row] : stops[row]]) for row in ended
        ]
        prompts = [self._prompts[row] for row in ended]
        rewards = score_texts(self._reward, prompts, responses)
        next_prompts = [self._draw(row, self._episodes[row] + 1) for row in ended]
        next_ids = [encode_prompt(self.task, prompt) for prompt in next_prompts]
        # Not before: where something above fails, no token is appended.
        self._lengths = lengths
        info.update(self._final_info(ended, prompts, responses))
        self._episodes[ended] += 1
        self._begin(ended, next_prompts, next_ids)
        return rewards

    def _final_info(self, ended: list[int], prompts: list[str], responses: list[str]) -> Info:
        has_ended = np.zeros(self.num_envs, bool)
        has_ended[ended] = True
        seen = self._observe()
        final_obs = [{key: part[row] for key, part in seen.items()} for row in ended]
        final_info = {
            "action_mask": self._info()["action_mask"],
            "_action_mask": has_ended,
            "text": _spread(has_ended, prompt=prompts, response=responses),
            "_text": has_ended,
        }
        return {
            **_spread(has_ended, final_obs=final_obs),
            "final_info": final_info,
            "_final_info": has_ended,
        }

    def _given(self, options: Info) -> list[str] | None:
        if options.get("prompts") is not None:
            prompts = list(options["prompts"])
            if len(prompts) != self.num_envs:
                raise ValueError(f"prompts holds {len(prompts)}; one a row is needed, {self.num_envs}")
            return prompts
        return None if options.get("prompt") is None else [options["prompt"]] * self.num_envs

    def _draw(self, row: int, episode: int) -> str:
        assert self._seed is not None
        return draw_prompt(self.task, self._seed, row // self.responses_per_prompt, int(episode))

    def _begin(self, rows: Sequence[int], prompts: list[str], ids: list[np.ndarray]) -> None:
        for row, prompt, prompt_ids in zip(rows, prompts, ids, strict=True):
            self._prompts[row] = prompt
            self._ids[row, : len(prompt_ids)] = prompt_ids
            self._ids[row, len(prompt_ids) :] = self._text_space.pad_id
            self._lengths[row] = self._prompt_lengths[row] = len(prompt_ids)

    def _observe(self) -> Observation:
        return {
            "input_ids": self._ids.copy(),
            "length": self._lengths.copy(),
            "prompt_length": self._prompt_lengths.copy(),
        }

    def _info(self) -> Info:
        mask = self._token_space.allowed
        return {
            "action_mask": np.broadcast_to(mask, (self.num_envs, *mask.shape)),
            "_action_mask": np.ones(self.num_envs, bool),
        }


def _spread(present: np.ndarray, **values: list[Any]) -> Info:
    """For each key, an (N,) object array with the values of the rows in ``present`` (N,), and ``present`` as _KEY."""
    info: Info = {}
    for key, entries in values.items():
        info[key] = np.full(present.shape, None, object)
        for row, entry in zip(np.flatnonzero(present), entries, strict=True):
            info[key][row] = entry
        info[f"_{key}"] = present
    return info
