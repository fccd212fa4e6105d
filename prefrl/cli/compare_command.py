"""``prefrl compare``: measure which of two language models responds better."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tyro

from prefrl.cli.options import parse
from prefrl.cli.text_models import open_text_model, text_environment
from prefrl.cli.text_rewards import open_reward
from prefrl.config import EnvConfig, JsonDict

__all__ = ["main", "win_rate"]

_NORMAL_95 = 1.959964
"""97.5% quantile of the normal distribution"""


@dataclass(frozen=True)
class Options:
    """Options of ``prefrl compare``."""

    first: tyro.conf.Positional[str]
    """first model: run directory, checkpoint folder, or name of a checkpoint on the hub"""
    second: tyro.conf.Positional[str]
    """second model, named in the same way"""
    env: str
    """text environment that draws the prompts, such as prefrl/Reviews-v0"""
    env_kwargs: JsonDict = field(default_factory=dict)
    """keyword arguments of the environment"""
    reward: Path | None = None
    """judge by the learned reward in this folder or run directory instead of the environment's own reward"""
    count: int = 500
    """number of prompts; each model responds once to each"""
    temperature: float = 1.0
    """sampling temperature of the responses"""
    seed: int = 0
    """random seed of prompts and responses"""
    device: str = "auto"
    """device to compute on: auto (a GPU if CUDA can use one, else the CPU), cpu, cuda or cuda:N"""
    trust: bool = False
    """allow a run directory to execute code: import modules that its settings name, and load an agent pickled by an
    earlier release"""


def main(arguments: Sequence[str]) -> int:
    """Print how often the first model's response is better, with its interval, as one line of JSON."""
    options = parse(
        Options,
        arguments,
        "prefrl compare",
        "Let two language models respond to the same prompts, and print how often the first one's response is better.",
    )
    if options.count < 2:
        raise ValueError(f"--count is {options.count}; at least 2 prompts are needed for an interval")
    environment = text_environment(EnvConfig(options.env, options.env_kwargs))
    make_scorer, task = open_reward(environment, options.reward), environment.task
    rng = np.random.default_rng(options.seed)
    prompts = [task.prompt(rng) for _ in range(options.count)]
    opened = []
    for source in (options.first, options.second):
        texts = open_text_model(source, task, options.seed, options.device, options.trust)
        encoded = texts.encode_prompts(prompts, task.max_new_tokens)
        score = make_scorer(texts, max(map(len, encoded)) + task.max_new_tokens)
        opened.append((texts.model, encoded, score))
    # Imported late, so that wrong options are reported immediately.
    import torch

    from prefrl.text.models import generate

    rewards, lengths = [], []
    for number, (model, encoded, score) in enumerate(opened):
        found = generate(
            model,
            encoded,
            task.max_new_tokens,
            temperature=options.temperature,
            generator=torch.Generator(model.device).manual_seed(2 * options.seed + number),
        )
        rewards.append(score(found))
        lengths.append(float((found.lengths - found.prompt_lengths).float().mean()))
    share, interval = win_rate(*rewards)
    result = {
        "first": options.first,
        "second": options.second,
        "win_rate": share,
        "interval_95": interval,
        "reward_first": float(np.mean(rewards[0])),
        "reward_second": float(np.mean(rewards[1])),
        "tokens_first": lengths[0],
        "tokens_second": lengths[1],
        "prompts": options.count,
    }
    print(json.dumps(result))
    return 0


def win_rate(first: np.ndarray, second: np.ndarray) -> tuple[float, tuple[float, float]]:
    """Share of prompts on which the first model's response is better, with its 95% interval; ties count half.

    Args:
        first: rewards (N,) of the first model's responses, N at least 2.
        second: rewards (N,) of the second model's responses to the same prompts.
    """
    wins = (np.sign(first - second) + 1) / 2
    share = float(wins.mean())
    half = _NORMAL_95 * float(wins.std(ddof=1)) / len(wins) ** 0.5
    return share, (max(0.0, share - half), min(1.0, share + half))
