"""One measurement of `behaviours`: trains a preset, and looks now and then at what its agent has learned to do.

Prints the run's result with a curve of what the judge and the behaviour's own count say of the saved agent.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from prefrl.config import RunConfig
from prefrl.loop.environments import make_ordinary_environment
from prefrl.storage import Store, StoreError
from prefrl.storage.run_dir import RunDir
from prefrl_agents import load_model

LOOK_EVERY_STEPS = 100_000
LOOK_STEPS = 1500
"""fewest steps of a look; it is made of whole episodes"""


def look(run: RunDir, config: RunConfig, seed: int) -> dict[str, float]:
    """A few episodes of the newest saved agent: the judge's score, and flips a minute where it counts any."""
    model = load_model(config.agent.algorithm, run.agent)
    env: Any = make_ordinary_environment(config.env)
    returns, flips, steps = list[float](), 0, 0
    while steps < LOOK_STEPS:
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


def follow(
    run: RunDir, config: RunConfig, training: subprocess.Popen[str], seed: int
) -> list[dict[str, float]]:
    """Look again whenever the agent has come some way, until the training ends."""
    curve: list[dict[str, float]] = []
    while training.poll() is None:
        time.sleep(0.5)
        steps, labels = _progress(run)
        is_due = steps >= LOOK_EVERY_STEPS * (len(curve) + 1)
        if is_due:
            # The first agent may be in the saving.
            with contextlib.suppress(FileNotFoundError):
                curve.append({"steps": steps, "labels": labels, **look(run, config, seed)})
    steps, labels = _progress(run)
    return [*curve, {"steps": steps, "labels": labels, **look(run, config, seed)}]


def _progress(run: RunDir) -> tuple[int, int]:
    try:
        with Store.open(run.store) as store:
            counters = store.counters()
    except StoreError:
        return 0, 0
    return int(counters.get("policy_step", 0)), int(counters.get("reward_labels", 0))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("preset")
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int)
    options = parser.parse_args()
    torch.set_num_threads(1)  # the training has the cores
    command = [sys.executable, "-m", "prefrl.cli", "train", options.preset, "--seed", str(options.seed)]
    command += ["--run", str(options.run)]
    command += [] if options.steps is None else ["--steps", str(options.steps)]
    training = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=sys.stderr, text=True)
    try:
        while not (options.run / "config.json").exists() and training.poll() is None:
            time.sleep(0.2)
        run = RunDir.open(options.run)
        curve = follow(run, run.config(), training, options.seed)
    finally:
        if training.poll() is None:
            training.send_signal(signal.SIGINT)
    printed, _ = training.communicate()
    result = json.loads(printed.splitlines()[-1])
    print(json.dumps(result | {"flips_a_minute": curve[-1]["flips_a_minute"], "curve": curve}))


if __name__ == "__main__":
    main()
