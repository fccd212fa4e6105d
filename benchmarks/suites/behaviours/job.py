"""Train a preset, and evaluate every 100,000 steps what its agent has learned to do.

Prints the run's result, with a curve of the judge's score and the behaviour's own count for the saved agents.
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.harness import job_parser, print_result
from benchmarks.harness.processes import printed_result, training
from benchmarks.harness.runs import config_of, is_created, newest_agent, ordinary_environment, progress
from prefrl.config import RunConfig

EVALUATE_EVERY_STEPS = 100_000
EVALUATION_STEPS = 1500
"""minimum; an evaluation consists of whole episodes"""


def evaluate(run: Path, config: RunConfig, seed: int) -> dict[str, float]:
    """The judge's score of the newest saved agent, and its flips per minute where the behaviour counts them."""
    model = newest_agent(run)
    env: Any = ordinary_environment(config)
    returns, flips, steps = list[float](), 0, 0
    while steps < EVALUATION_STEPS:
        observation, info = env.reset(seed=1000 * seed + len(returns))
        score, is_over = 0.0, False
        while not is_over:
            action, _ = model.predict(observation, deterministic=config.agent.deterministic)
            observation, reward, terminated, truncated, info = env.step(action)
            score, is_over, steps = score + float(reward), terminated or truncated, steps + 1
        returns.append(score)
        flips += info.get("flips", 0)
    minutes = steps / env.metadata["render_fps"] / 60
    env.close()
    return {"true_return": float(np.mean(returns)), "flips_a_minute": flips / minutes}


def follow(run: Path, config: RunConfig, process: subprocess.Popen[str], seed: int) -> list[dict[str, float]]:
    """Evaluate every `EVALUATE_EVERY_STEPS`, and once more when the training has ended."""
    curve: list[dict[str, float]] = []
    while process.poll() is None:
        time.sleep(0.5)
        if progress(run).steps >= EVALUATE_EVERY_STEPS * (len(curve) + 1):
            # The first agent may not be saved yet.
            with contextlib.suppress(FileNotFoundError):
                curve.append(_point(run, config, seed))
    return [*curve, _point(run, config, seed)]


def _point(run: Path, config: RunConfig, seed: int) -> dict[str, float]:
    now = progress(run)
    return {"steps": now.steps, "labels": now.fitted_labels, **evaluate(run, config, seed)}


def main() -> None:
    """Train, evaluate, and print the result."""
    parser = job_parser(__doc__)
    parser.add_argument("preset")
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--steps", type=int)
    options = parser.parse_args()
    torch.set_num_threads(1)  # leaves the cores to the training
    size = [] if options.steps is None else ["--steps", str(options.steps)]
    words = [options.preset, "--seed", str(options.seed), "--run", str(options.run), *size]
    with training(*words) as process:
        while not is_created(options.run) and process.poll() is None:
            time.sleep(0.2)
        curve = follow(options.run, config_of(options.run), process, options.seed)
        result = printed_result(process)
    print_result(result | {"flips_a_minute": curve[-1]["flips_a_minute"], "curve": curve})


if __name__ == "__main__":
    main()
