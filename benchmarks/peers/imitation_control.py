"""Preference comparisons with `imitation` 1.0.1 on a control task; the result is the last line, as JSON.

Runs in a separate virtual environment and imports nothing of prefrl. The settings are those of imitation's fifth
tutorial, "Learning a Reward Function using Preference Comparisons", except for the arguments. ``steps`` counts the
steps that PPO learned from, which are more than requested: imitation trains the agent once more than its
``num_iterations`` and rounds each time up to whole rollouts. ``environment_steps`` adds the steps that only sample
fragments.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from importlib import metadata
from typing import Any

import numpy as np
import seals  # noqa: F401  registers its environments
import torch
from imitation.algorithms import preference_comparisons as preferences
from imitation.policies.base import FeedForward32Policy, NormalizeFeaturesExtractor
from imitation.rewards.reward_nets import BasicRewardNet
from imitation.util import logger as imitation_logger
from imitation.util.networks import RunningNorm
from imitation.util.util import make_vec_env
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env as make_evaluation_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper

NUM_ITERATIONS = 5
ROLLOUT_STEPS = 2048
PACKAGES = ("torch", "gymnasium", "stable_baselines3", "numpy", "imitation", "seals")


class CountingVecEnv(VecEnvWrapper):
    """Counts the steps of all environments."""

    def __init__(self, venv: VecEnv) -> None:
        super().__init__(venv)
        self.steps = 0

    def reset(self) -> Any:
        return self.venv.reset()

    def step_wait(self) -> Any:
        self.steps += self.num_envs
        return self.venv.step_wait()


def build_agent(venv: VecEnv, seed: int) -> PPO:
    """PPO with the settings of the tutorial."""
    return PPO(
        policy=FeedForward32Policy,
        policy_kwargs={
            "features_extractor_class": NormalizeFeaturesExtractor,
            "features_extractor_kwargs": {"normalize_class": RunningNorm},
        },
        env=venv,
        seed=seed,
        n_steps=ROLLOUT_STEPS // venv.num_envs,
        batch_size=64,
        ent_coef=0.01,
        learning_rate=2e-3,
        clip_range=0.1,
        gae_lambda=0.95,
        gamma=0.97,
        n_epochs=10,
    )


def build_trainer(
    agent: PPO, venv: VecEnv, rng: np.random.Generator, fragment_steps: int, variable_horizon: bool
) -> preferences.PreferenceComparisons:
    """The tutorial's loop around an agent, with logging off."""
    reward_net = BasicRewardNet(venv.observation_space, venv.action_space, normalize_input_layer=RunningNorm)
    return preferences.PreferenceComparisons(
        preferences.AgentTrainer(
            algorithm=agent, reward_fn=reward_net, venv=venv, exploration_frac=0.05, rng=rng
        ),
        reward_net,
        num_iterations=NUM_ITERATIONS,
        fragmenter=preferences.RandomFragmenter(warning_threshold=0, rng=rng),
        preference_gatherer=preferences.SyntheticGatherer(rng=rng),
        reward_trainer=preferences.BasicRewardTrainer(
            preference_model=preferences.PreferenceModel(reward_net),
            loss=preferences.CrossEntropyRewardLoss(),
            epochs=3,
            rng=rng,
        ),
        fragment_length=fragment_steps,
        transition_oversampling=1,
        initial_comparison_frac=0.1,
        allow_variable_horizon=variable_horizon,
        initial_epoch_multiplier=4,
        query_schedule="hyperbolic",
        custom_logger=imitation_logger.configure(format_strs=[]),
    )


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Train and evaluate; the keys are those of prefrl's result where it has them."""
    torch.manual_seed(args.seed)  # the reward network is built before PPO sets its seed
    rng = np.random.default_rng(args.seed)
    venv = CountingVecEnv(make_vec_env(args.env, rng=rng))
    agent = build_agent(venv, args.seed)
    trainer = build_trainer(agent, venv, rng, args.fragment_steps, args.variable_horizon)
    started = time.perf_counter()
    outcome = trainer.train(total_timesteps=args.steps, total_comparisons=args.labels)
    wall_s = time.perf_counter() - started
    evaluation = make_evaluation_env(args.evaluate_on or args.env, seed=10_000 + args.seed)
    episode_returns, _ = evaluate_policy(
        agent, evaluation, n_eval_episodes=args.episodes, deterministic=True, return_episode_rewards=True
    )
    returns = np.atleast_1d(episode_returns)
    return {
        "env_id": args.env,
        "seed": args.seed,
        "steps": agent.num_timesteps,
        "environment_steps": venv.steps,
        "labels": len(trainer.dataset),
        "true_return_mean": float(np.mean(returns)),
        "true_return_std": float(np.std(returns)),
        "episodes": len(returns),
        "wall_s": wall_s,
        "steps_per_s": agent.num_timesteps / wall_s,
        "environment_steps_per_s": venv.steps / wall_s,
        "reward_accuracy_training": float(outcome["reward_accuracy"]),
        "versions": {name: metadata.version(name) for name in PACKAGES}
        | {"python": platform.python_version()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--env", required=True, help="Gymnasium id to train on")
    parser.add_argument(
        "--evaluate-on", help="Gymnasium id for the true return; the training one if left out"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=50_000, help="total_timesteps")
    parser.add_argument("--labels", type=int, default=200, help="total_comparisons")
    parser.add_argument("--episodes", type=int, default=20, help="evaluation episodes")
    parser.add_argument("--fragment-steps", type=int, default=100, help="fragment_length")
    parser.add_argument("--variable-horizon", action="store_true", help="allow episodes of unequal length")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        tempfile.tempdir = scratch  # every part of imitation opens log files in the temporary folder
        result = run(args)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
