"""PPO far past the point where a small reward model can be trusted: the job of text_overoptimisation.py.

``python -m benchmarks.text_overoptimisation_run single --seed 0`` follows one reward model learned from few rankings,
``ensemble`` the mean less half the variance of eight learned from the same; there is hardly a penalty on the KL. The
last line has gold and proxy reward by rollout, as JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, replace

import numpy as np
import torch

from benchmarks.harness.environment import WORK
from benchmarks.text_frontier_run import REWARD, Stage
from prefrl.data.spaces import SpaceSpec
from prefrl.reward import LearnedReward, RewardTrainer
from prefrl.reward.ranking_queries import TokenRankings
from prefrl.sb3 import NativeVecEnv, RewardVecEnv
from prefrl_agents.text import LanguageModelPolicy, OveroptimisationCallback, TokenPPO
from prefrl_envs.text import TextGenVectorEnv

METHODS = {
    "single": replace(REWARD, members=1, bootstrap=False),
    "ensemble": replace(
        REWARD, members=8, bootstrap=False, aggregate="mean_minus_variance", variance_penalty=0.5
    ),
}
RANKINGS = 120
STEPS = 50_000
KL_COEFFICIENT = 0.005
LEARNING_RATE = 2e-4
SMOOTH = 10
"""rollouts that a figure is the mean over"""


def learn_reward(stage: Stage, method: str) -> LearnedReward:
    """From the first few rankings of the seed."""
    tokenizer, env = stage.task.tokenizer, TextGenVectorEnv(stage.task)
    spec, action_spec = SpaceSpec.pair(env.single_observation_space, env.single_action_space)
    tokens = TokenRankings.of(
        stage.rankings[:RANKINGS], tokenizer.encode, tokenizer.vocab_size, tokenizer.eos_id
    )
    trainer = RewardTrainer(spec, action_spec, METHODS[method], stage.seed)
    trainer.update(tokens.labelled(spec))
    trainer.fit(METHODS[method].initial_epochs)
    return trainer.snapshot(version=1)


def run(method: str, seed: int, steps: int) -> dict[str, object]:
    """Train, and say where gold was best and where it ended."""
    stage = Stage(seed, WORK / "text" / f"frontier-{seed}")
    stage.model()
    venv = NativeVecEnv(TextGenVectorEnv(stage.task, num_envs=64))
    venv.seed(seed)
    agent = TokenPPO(
        LanguageModelPolicy,
        RewardVecEnv(venv, learn_reward(stage, method)),
        learning_rate=LEARNING_RATE,
        kl_coefficient=KL_COEFFICIENT,
        batch_size=256,
        policy_kwargs={"model": str(stage.folder / "sft")},
        seed=seed,
    )
    watching, start_s = OveroptimisationCallback(), time.monotonic()
    agent.learn(steps, callback=watching)
    gold = _smooth([each.gold for each in watching.history])
    proxy = _smooth([each.proxy for each in watching.history])
    best = int(np.argmax(gold))
    return {
        "gold_best": float(gold[best]),
        "gold_last": float(gold[-1]),
        "gold_lost": float(gold[best] - gold[-1]),
        "proxy_at_best": float(proxy[best]),
        "proxy_last": float(proxy[-1]),
        "kl_at_best": watching.history[min(best + SMOOTH // 2, len(watching.history) - 1)].kl,
        "kl_last": watching.history[-1].kl,
        "distinct_2_last": watching.history[-1].distinct_2,
        "curve": [asdict(each) for each in watching.history],
        "training_s": round(time.monotonic() - start_s, 3),
    }


def _smooth(values: list[float]) -> np.ndarray:
    """Means over so many rollouts in a row."""
    return np.convolve(values, np.full(SMOOTH, 1 / SMOOTH), mode="valid")


def main() -> None:
    """Run one method and print its figures as one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("method", choices=METHODS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=STEPS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(json.dumps(run(options.method, options.seed, options.steps)))


if __name__ == "__main__":
    main()
