"""``prefrl generate``: responses of a language model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tyro

from prefrl.cli.options import parse
from prefrl.cli.text_models import open_text_model, text_task
from prefrl.config import EnvConfig

__all__ = ["main"]


@dataclass(frozen=True)
class Options:
    """Which model, and what to respond to."""

    model: tyro.conf.Positional[str]
    """folder of a run or of a checkpoint, or a checkpoint's name"""
    prompt: tuple[str, ...] = ()
    """what to respond to; several may be given"""
    env: str | None = None
    """without --prompt: environment of texts that draws the prompts; its reward is printed, too"""
    count: int = 5
    """prompts to draw; of those given, responses to each"""
    max_new_tokens: int = 64
    """longest response; with --env, that of its task"""
    temperature: float = 1.0
    """0 takes the likeliest token always"""
    seed: int = 0
    """of the prompts drawn and of the responses"""


def main(words: Sequence[str]) -> int:
    """Print one line of JSON for each response."""
    options = parse(Options, words, "prefrl generate", "Let a language model respond to prompts.")
    if options.count < 1:
        raise ValueError(f"--count is {options.count}; at least 1 is needed")
    if not options.prompt and options.env is None:
        raise ValueError("there is nothing to respond to; give a --prompt, or an --env that draws some")
    task = None if options.env is None else text_task(EnvConfig(options.env))
    texts = open_text_model(options.model, task)
    max_new_tokens = options.max_new_tokens if task is None else task.max_new_tokens
    rng = np.random.default_rng(options.seed)
    if options.prompt:
        prompts = [prompt for prompt in options.prompt for _ in range(options.count)]
    else:
        assert task is not None
        prompts = [task.prompt(rng) for _ in range(options.count)]
    # Loaded late, so that wrong words are answered at once.
    import torch

    from prefrl.language import generate

    found = generate(
        texts.model,
        texts.encode_prompts(prompts, max_new_tokens),
        max_new_tokens,
        temperature=options.temperature,
        generator=torch.Generator(texts.model.device).manual_seed(options.seed),
    )
    responses = [texts.tokenizer.decode(ids) for ids in found.responses()]
    rewards = [None] * len(prompts) if task is None else task.reward(prompts, responses).tolist()
    for prompt, response, reward in zip(prompts, responses, rewards, strict=True):
        line = {"prompt": prompt, "response": response}
        print(json.dumps(line if reward is None else line | {"true_reward": reward}, ensure_ascii=False))
    return 0
