"""``prefrl generate``: sample responses from a language model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tyro

from prefrl.cli.options import parse
from prefrl.cli.text_models import named_environment, open_text_model
from prefrl.cli.text_rewards import open_reward
from prefrl.config import JsonDict
from prefrl_envs.text import TextGenEnv
from prefrl_envs.text.scoring import score_texts

__all__ = ["main"]


@dataclass(frozen=True)
class Options:
    """Options of ``prefrl generate``."""

    model: tyro.conf.Positional[str]
    """run directory, checkpoint folder, or name of a checkpoint on the hub"""
    prompt: tuple[str, ...] = ()
    """prompts to respond to, one or more"""
    env: str | None = None
    """without --prompt: text environment that draws the prompts; its reward, if it has one, is printed as well"""
    env_kwargs: JsonDict = field(default_factory=dict)
    """keyword arguments of the environment"""
    count: int = 5
    """number of prompts to draw; with --prompt, number of responses to each"""
    max_new_tokens: int = 64
    """maximum length of a response; with --env, its task sets this limit"""
    temperature: float = 1.0
    """sampling temperature; 0 always takes the most likely token"""
    best_of: int = 1
    """sample this many responses for each one printed, and keep the one with the highest --reward"""
    reward: Path | None = None
    """learned reward: folder written by `prefrl fit`, or run directory; the reward of each response is printed"""
    seed: int = 0
    """random seed of the prompts drawn and of the responses"""
    device: str = "auto"
    """device to compute on: auto (a GPU if CUDA can use one, else the CPU), cpu, cuda or cuda:N"""
    trust: bool = False
    """allow a run directory to execute code: import modules that its settings name, and load an agent pickled by an
    earlier release"""


def main(arguments: Sequence[str]) -> int:
    """Print one line of JSON for each response."""
    options = parse(Options, arguments, "prefrl generate", "Let a language model respond to prompts.")
    _check(options)
    environment = named_environment(options.env, options.env_kwargs)
    make_scorer = None if options.reward is None else open_reward(environment, options.reward)
    task = None if environment is None else environment.task
    texts = open_text_model(options.model, task, device=options.device, trust=options.trust)
    max_new_tokens = options.max_new_tokens if task is None else task.max_new_tokens
    prompts = _prompts(options, environment)
    encoded = texts.encode_prompts(prompts, max_new_tokens)
    longest = max(map(len, encoded)) + max_new_tokens
    score = None if make_scorer is None else make_scorer(texts, longest)
    # Imported late, so that wrong options are reported immediately.
    import torch

    from prefrl.text.models import generate
    from prefrl_agents.text.best_of_n import best_of_n

    found = generate(
        texts.model,
        [ids for ids in encoded for _ in range(options.best_of)],
        max_new_tokens,
        temperature=options.temperature,
        generator=torch.Generator(texts.model.device).manual_seed(options.seed),
    )
    scores = torch.zeros(len(found.ids)) if score is None else torch.from_numpy(score(found))
    best = best_of_n(scores.view(len(prompts), options.best_of)).tolist()
    kept = [number * options.best_of + index for number, index in enumerate(best)]
    sampled = found.responses()
    responses = [texts.tokenizer.decode(sampled[row]) for row in kept]
    figures = {} if score is None else {"reward": [float(scores[row]) for row in kept]}
    if environment is not None and environment.reward_function is not None:
        figures["true_reward"] = score_texts(environment.reward_function, prompts, responses).tolist()
    for number, (prompt, response) in enumerate(zip(prompts, responses, strict=True)):
        line = {name: values[number] for name, values in figures.items()}
        print(json.dumps({"prompt": prompt, "response": response, **line}, ensure_ascii=False))
    return 0


def _prompts(options: Options, environment: TextGenEnv | None) -> list[str]:
    """The prompts: those given, ``options.count`` times each, or as many drawn from the environment."""
    if options.prompt:
        return [prompt for prompt in options.prompt for _ in range(options.count)]
    assert environment is not None
    rng = np.random.default_rng(options.seed)
    return [environment.task.prompt(rng) for _ in range(options.count)]


def _check(options: Options) -> None:
    for name, count in (("--count", options.count), ("--best-of", options.best_of)):
        if count < 1:
            raise ValueError(f"{name} is {count}; at least 1 is needed")
    if not options.prompt and options.env is None:
        raise ValueError("there is nothing to respond to; give a --prompt, or an --env that draws prompts")
    if options.best_of > 1 and options.reward is None:
        raise ValueError(f"--best-of is {options.best_of} and needs a reward to choose by; give a --reward")
