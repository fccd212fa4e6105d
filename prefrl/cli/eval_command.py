"""``prefrl eval``: the true return of a run's agent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from prefrl.cli.options import parse
from prefrl.storage.run_dir import RunDir

__all__ = ["main"]


@dataclass(frozen=True)
class Options:
    """Which run, and how long."""

    run: tyro.conf.Positional[Path]
    """run directory"""
    episodes: int = 20
    """whole episodes to act"""
    seed: int = 0
    """of the environments, and of the actions where they are drawn"""


def main(words: Sequence[str]) -> int:
    """Act in the ordinary environment and print the true return as one line of JSON."""
    options = parse(Options, words, "prefrl eval", "Act in the ordinary environment; prints the true return.")
    if options.episodes < 1:
        raise ValueError(f"--episodes is {options.episodes}; at least 1 is needed")
    if options.seed < 0:
        raise ValueError(f"--seed is {options.seed}; 0 or more is needed")
    run = RunDir.open(options.run)
    # Loaded late, so that wrong words are answered at once.
    from prefrl_agents import evaluate, load_model
    from prefrl_agents.factory import evaluation_environments

    config = run.config()
    model = load_model(config.agent.algorithm, run.agent)
    evaluation = evaluate(
        model, evaluation_environments(config), options.episodes, options.seed, config.agent.deterministic
    )
    print(
        json.dumps(
            {
                "env_id": config.env.id,
                "true_return_mean": evaluation.mean,
                "true_return_std": evaluation.std,
                "episodes": options.episodes,
                "optimal_return": evaluation.optimal_return,
            }
        )
    )
    return 0
