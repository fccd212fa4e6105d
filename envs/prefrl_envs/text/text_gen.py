"""Responding to a prompt token by token, as a Gymnasium environment."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium as gym
import numpy as np

from prefrl_envs.text.scoring import score_texts
from prefrl_envs.text.task import RewardFunction, TextTask
from prefrl_envs.text.validation import check_tokens, draw_prompt, encode_prompt, response_text, spaces_of

__all__ = ["TextGenEnv"]

Observation = dict[str, np.ndarray]
Info = dict[str, Any]


class TextGenEnv(gym.Env[Any, np.int64]):
    """An episode is one response: each action appends a token, and the reward comes with the last one.

    Observations are in a `TextSpace`, actions are token ids, Discrete(V). An episode terminates when ``eos_id`` is
    chosen, and truncates after ``task.max_new_tokens`` tokens without it. The reward is 0 until then. Each info has
    ``action_mask``, shape (V,) bool, which excludes padding. The info of the last step also has ``text``, with
    ``prompt`` and ``response``.

    The response is decoded from the chosen tokens, which are never encoded again.

    Args:
        task: prompts and reward.
        reward: replaces the task's reward.
        render_mode: None, or "ansi", the text so far.

    Raises:
        ValueError: when the task's tokenizer or limits are invalid, or the render mode is unknown.
    """

    metadata: ClassVar[Info] = {"render_modes": ["ansi"], "render_fps": 8}  # type: ignore[misc]

    def __init__(
        self, task: TextTask, reward: RewardFunction | None = None, render_mode: str | None = None
    ) -> None:
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ValueError(
                f"render_mode is {render_mode!r}; it must be one of {self.metadata['render_modes']} or None"
            )
        self._text_space, self._token_space = spaces_of(task)
        self.observation_space, self.action_space = self._text_space, self._token_space
        self.task, self.render_mode = task, render_mode
        self._reward = task.reward if reward is None else reward
        self._has_reward = reward is not None or bool(getattr(task, "has_reward", True))
        self._seed: int | None = None
        self._episode = 0
        self._prompt = ""
        self._ids = np.full(self._text_space.max_tokens, self._text_space.pad_id, np.int32)
        self._length = self._prompt_length = 0
        self._is_under_way = False

    @property
    def reward_function(self) -> RewardFunction | None:
        """The function given, or the task's reward; None where the task has none (`Prompts`)."""
        return self._reward if self._has_reward else None

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[Observation, Info]:
        """Start with a prompt of the task, or with ``options["prompt"]``.

        The seed alone determines the sequence of prompts; one given in ``options`` takes the place of one of them.

        Raises:
            ValueError: when the prompt is empty, too long, or contains text without a token.
        """
        super().reset(seed=seed)
        if seed is not None or self._seed is None:
            self._seed, self._episode = self.np_random_seed, 0
        else:
            self._episode += 1
        given = (options or {}).get("prompt")
        self._prompt = draw_prompt(self.task, self._seed, 0, self._episode) if given is None else given
        self._is_under_way = False
        ids = encode_prompt(self.task, self._prompt)
        self._length = self._prompt_length = len(ids)
        self._ids[: self._length] = ids
        self._ids[self._length :] = self._text_space.pad_id
        self._is_under_way = True
        return self._observe(), self._info()

    def step(self, action: int | np.int64) -> tuple[Observation, float, bool, bool, Info]:
        """Append a token.

        Raises:
            ValueError: when it is padding or not a token, or the reward function fails or returns no finite number.
            gymnasium.error.ResetNeeded: when the episode has ended or not begun.
        """
        if not self._is_under_way:
            raise gym.error.ResetNeeded("no text is under way; call reset before this step")
        token = int(check_tokens(action, (), self._token_space))
        self._ids[self._length] = token
        length = self._length + 1
        terminated = token == self._text_space.eos_id
        truncated = not terminated and length - self._prompt_length == self._text_space.max_new_tokens
        reward, info = 0.0, self._info()
        if terminated or truncated:
            response = response_text(self.task.tokenizer, self._ids[self._prompt_length : length])
            reward = float(score_texts(self._reward, [self._prompt], [response])[0])
            info["text"] = {"prompt": self._prompt, "response": response}
        # Not before: where the reward function fails, the token is not appended.
        self._length = length
        self._is_under_way = not (terminated or truncated)
        return self._observe(), reward, terminated, truncated, info

    def action_masks(self) -> np.ndarray:
        """The tokens that may be chosen, shape (V,) bool, read-only; named as sb3-contrib expects."""
        return self._token_space.allowed

    def render(self) -> str | None:
        """The text so far, in mode "ansi"."""
        if self.render_mode is None:
            return None
        return self.task.tokenizer.decode(self._ids[: self._length].tolist())

    def segment_text(self, observations: np.ndarray, actions: np.ndarray) -> tuple[str, str]:
        """Prompt and response after the last step of a segment, as text.

        Args:
            observations: before each step, shape (T, L + 2) int32, see `encode_observation`.
            actions: the chosen tokens, T of them.

        Raises:
            ValueError: when the observations have another shape.
        """
        width = self._text_space.max_tokens + 2
        if observations.ndim != 2 or observations.shape[1] != width:
            raise ValueError(
                f"observations have shape {observations.shape}; texts of this task have (T, {width}): length, prompt "
                f"length and {width - 2} token ids"
            )
        length, prompt_length = observations[-1, :2].tolist()
        ids = observations[-1, 2 : 2 + length]
        response = np.append(ids[prompt_length:], np.ravel(actions)[-1])
        tokenizer = self.task.tokenizer
        return tokenizer.decode(ids[:prompt_length].tolist()), response_text(tokenizer, response)

    def _observe(self) -> Observation:
        return {
            "input_ids": self._ids.copy(),
            "length": np.array([self._length], np.int32),
            "prompt_length": np.array([self._prompt_length], np.int32),
        }

    def _info(self) -> Info:
        # A copy in each step: Gymnasium lets users keep and change infos.
        return {"action_mask": self._token_space.allowed.copy()}
