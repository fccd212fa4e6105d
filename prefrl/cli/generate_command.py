"""``prefrl generate``: responses of a language model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from prefrl.cli.options import parse
from prefrl.cli.text_models import open_text_model, text_task
from prefrl.cli.text_rewards import make_scorer
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
    best_of: int = 1
    """draw so many responses for each one printed, and keep the one that --reward likes most"""
    reward: Path | None = None
    """learned reward: what `prefrl fit` wrote, or a run directory; its figure is printed, too"""
    seed: int = 0
    """of the prompts drawn and of the responses"""


def main(words: Sequence[str]) -> int:
    """Print one line of JSON for each response."""
    options = parse(Options, words, "prefrl generate", "Let a language model respond to prompts.")
    _check(options)
    task = None if options.env is None else text_task(EnvConfig(options.env))
    texts = open_text_model(options.model, task)
    score = None if options.reward is None else make_scorer(texts, task, options.reward)
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
    from prefrl_agents.text.best_of_n import best_of_n

    encoded = texts.encode_prompts(prompts, max_new_tokens)
    found = generate(
        texts.model,
        [ids for ids in encoded for _ in range(options.best_of)],
        max_new_tokens,
        temperature=options.temperature,
        generator=torch.Generator(texts.model.device).manual_seed(options.seed),
    )
    responses = [texts.tokenizer.decode(ids) for ids in found.responses()]
    scores = torch.zeros(len(responses)) if score is None else torch.from_numpy(score(found))
    kept = best_of_n(scores.view(len(prompts), options.best_of)).tolist()
    for number, (prompt, best) in enumerate(zip(prompts, kept, strict=True)):
        row = number * options.best_of + best
        line: dict[str, object] = {"prompt": prompt, "response": responses[row]}
        if score is not None:
            line["reward"] = float(scores[row])
        if task is not None:
            line["true_reward"] = float(task.reward([prompt], [responses[row]])[0])
        print(json.dumps(line, ensure_ascii=False))
    return 0


def _check(options: Options) -> None:
    for name, count in (("--count", options.count), ("--best-of", options.best_of)):
        if count < 1:
            raise ValueError(f"{name} is {count}; at least 1 is needed")
    if not options.prompt and options.env is None:
        raise ValueError("there is nothing to respond to; give a --prompt, or an --env that draws some")
    if options.best_of > 1 and options.reward is None:
        raise ValueError(f"--best-of is {options.best_of}, and nothing says which is best; give a --reward")
