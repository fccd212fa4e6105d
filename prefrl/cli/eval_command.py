"""``prefrl eval``: measure the true return of a run's agent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from prefrl.cli.options import parse

__all__ = ["main"]


@dataclass(frozen=True)
class Options:
    """Options of ``prefrl eval``."""

    run: tyro.conf.Positional[Path]
    """run directory"""
    episodes: int = 20
    """number of whole episodes"""
    seed: int = 0
    """random seed of the environments, and of the actions if they are sampled"""
    trust: bool = False
    """allow the run directory to execute code: import modules that its settings name, and load an agent pickled by an
    earlier release"""


def main(arguments: Sequence[str]) -> int:
    """Run the agent in the ordinary environment and print its true return as one line of JSON."""
    options = parse(
        Options,
        arguments,
        "prefrl eval",
        "Run a run's agent in the ordinary environment, with episode ends and true reward, and print its true return.",
    )
    if options.episodes < 1:
        raise ValueError(f"--episodes is {options.episodes}; at least 1 is needed")
    if options.seed < 0:
        raise ValueError(f"--seed is {options.seed}; 0 or more is needed")
    # Imported late, so that wrong options are reported immediately.
    from prefrl.loop.trust import open_run
    from prefrl_agents import evaluate, load_run_agent, make_evaluation_venv

    run = open_run(options.run, options.trust)

    config = run.config()
    model = load_run_agent(run, config, options.trust)
    evaluation = evaluate(
        model,
        make_evaluation_venv(run, config),
        options.episodes,
        options.seed,
        config.agent.deterministic,
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
