"""Prompts from a file of yours for a language model of yours, without a reward: people judge the responses."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from prefrl_envs.text.hub_tokenizer import HubTokenizer

__all__ = ["Prompts"]


class Prompts:
    """Draws prompts from a file, uniformly.

    Args:
        prompts: a file with one prompt per line: plain text (.txt), or JSON objects with a "prompt" (any other suffix).
            A "response" or "chosen" beside it is a demonstration.
        tokenizer: folder or hub name of the checkpoint that responds.
        max_new_tokens: longest response, its end token included.

    Raises:
        ValueError: when a line of the file has no prompt, or the tokenizer cannot be loaded.
    """

    has_reward = False
    """only people can judge responses, unless the environment is given a reward function"""

    def __init__(
        self, prompts: str | None = None, tokenizer: str | None = None, max_new_tokens: int = 48
    ) -> None:
        if prompts is None or tokenizer is None:
            raise ValueError(
                "a file of prompts and a tokenizer are needed: --env.kwargs (of `prefrl train`) or --env-kwargs "
                '\'{"prompts": "prompts.jsonl", "tokenizer": "folder or name of the checkpoint"}\''
            )
        self.tokenizer = HubTokenizer.load(tokenizer)
        self._prompts, self._demonstrations = _read(Path(prompts))
        lengths = [len(self.tokenizer.encode(prompt)) for prompt in self._prompts]
        if 0 in lengths:
            raise ValueError(
                f"{prompts}: prompt {self._prompts[lengths.index(0)]!r} has no token; leave it out"
            )
        self.max_prompt_tokens, self.max_new_tokens = max(lengths), max_new_tokens

    def prompt(self, rng: np.random.Generator) -> str:
        """A prompt of the file, uniformly."""
        return self._prompts[rng.integers(len(self._prompts))]

    def reward(self, prompts: Sequence[str], responses: Sequence[str]) -> np.ndarray:
        """Zeros, shape (B,)."""
        return np.zeros(len(responses))

    def demonstration(self, rng: np.random.Generator) -> tuple[str, str]:
        """A demonstration of the file, uniformly.

        Raises:
            ValueError: when the file has none.
        """
        if not self._demonstrations:
            raise ValueError(
                'the file of prompts has no demonstrations; add a "response" to its lines, or for `prefrl train` set '
                "--agent.fine-tuning.demonstrations to 0"
            )
        return self._demonstrations[rng.integers(len(self._demonstrations))]


def _read(path: Path) -> tuple[list[str], list[tuple[str, str]]]:
    """All prompts, and the (prompt, response) pairs among them."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read as prompts ({error}); give a text file in UTF-8") from error
    prompts, demonstrations = [], []
    # Not splitlines, which also splits at U+2028 and similar characters within a prompt.
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.removesuffix("\r")
        if not line.strip():
            continue
        row = {"prompt": line} if path.suffix == ".txt" else _row(line, f"{path}, line {number}")
        prompts.append(row["prompt"])
        response = row.get("response", row.get("chosen"))
        if isinstance(response, str):
            demonstrations.append((row["prompt"], response))
    if not prompts:
        raise ValueError(f"{path} has no prompt; write one a line")
    return prompts, demonstrations


def _row(line: str, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{where} is no JSON ({error}); write an object a line, or call the file .txt"
        ) from error
    if not isinstance(row, dict) or not isinstance(row.get("prompt"), str) or not row["prompt"]:
        raise ValueError(f'{where} has no text as its "prompt"; write {{"prompt": "..."}}')
    return row
