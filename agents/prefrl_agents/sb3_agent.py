"""Stable-Baselines3's PPO, A2C, DQN and SAC as agents of the preference loop."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.preprocessing import is_image_space, is_image_space_channels_first
from stable_baselines3.common.vec_env import VecEnv

from prefrl.config import AgentConfig
from prefrl.data.types import Evaluation
from prefrl.loop.agent import AgentServices, Rollout
from prefrl.reward.source import NoReward, RewardSource
from prefrl.sb3 import PreferenceVecEnv, RolloutLength, label_rollout, make_labeller
from prefrl.sb3.attach import OFF_POLICY_EXCHANGE_STEPS as EXCHANGE_STEPS
from prefrl.sb3.attach import is_on_policy
from prefrl_agents.algorithms import find_algorithm
from prefrl_agents.fast_cnn import FastCnnPolicy
from prefrl_agents.fast_rollout import FastRolloutBuffer
from prefrl_agents.hyperparameters import algorithm_arguments
from prefrl_agents.overlap import Overlap
from prefrl_agents.replay_file import load_replay
from prefrl_agents.saved_agent import SavedAgent, find_saved, save_agent

__all__ = ["SB3Agent", "build_model", "evaluate", "start_model"]

FAST_CNN = "FastCnnPolicy"
"""the policy that is not SB3's own"""
_EVALUATION_SEED = 10_000
_SEEDS_APART = 1_000
"""between two runs' evaluations: environments are seeded one after the other, and must not share their luck"""
_MOST_EVALUATION_ENVS = 10
_LEAST_PIXELS = 36
"""height and width below which the convolutions of SB3's ``CnnPolicy`` leave nothing"""


class SB3Agent:
    """An SB3 algorithm, stepped one rollout at a time.

    Args:
        config: algorithm, policy and hyperparameters.
        venv: the training environments; their reward is hidden.
        services: what the loop offers.
        total_steps: steps of the whole run; schedules go by it.
        seed: of the agent.
        make_evaluation_venv: builds the ordinary environments, with true rewards, for evaluation.
        folder: where an earlier process may have saved the agent, which then continues.

    Raises:
        ValueError: when a hyperparameter is unknown, or the spaces or ``overlap`` do not suit the algorithm.
        RunDirError: when the saved agent is damaged, or needs ``services.trust``.
    """

    def __init__(
        self,
        config: AgentConfig,
        venv: PreferenceVecEnv,
        services: AgentServices,
        total_steps: int,
        seed: int,
        make_evaluation_venv: Callable[[int], VecEnv],
        folder: Path,
    ) -> None:
        self._venv, self._total_steps = venv, total_steps
        self._make_evaluation_venv, self._deterministic = make_evaluation_venv, config.deterministic
        saved = find_saved(folder)
        self.model: Any = (
            start_model(config, venv, seed, services.heartbeat)
            if saved is None
            else _continue(config, venv, seed, saved, services.trust)
        )
        # Starting the algorithm's own loop: SB3 has no public way to take its rollouts one at a time.
        self.model.set_logger(Logger(folder=None, output_formats=[]))
        _, self._callback = self.model._setup_learn(total_steps, _Silent(), reset_num_timesteps=saved is None)
        self.model._total_timesteps = total_steps
        self._callback.on_training_start({}, {})
        if hasattr(self.model, "take_answers"):
            self.model.take_answers = services.answers
        self._has_reward = False
        self._predicted_mean: float | None = None
        self._length = RolloutLength(self.model)
        self._overlap: Overlap | None = None
        if config.overlap:
            self._overlap = Overlap(self.model, self._inner_venv(), venv)
        else:
            self._labeller = make_labeller(self.model, config.relabel)
        learns_often = config.overlap or not is_on_policy(self.model)
        self.exchange_every_steps = EXCHANGE_STEPS if learns_often else 0
        if saved is not None:
            venv.recorder.policy_step = self.policy_step
            load_replay(saved.path, self.model)
        if self._overlap is None:
            self._labeller.attach(NoReward(venv.observation_spec, venv.action_spec))

    @property
    def policy_step(self) -> int:
        """Environment steps taken, over all environments."""
        return int(self.model.num_timesteps)

    def collect(self) -> Rollout:
        """Act for one rollout, and for no more steps than are left of the run."""
        steps: Any = None
        if self._overlap is not None:
            steps = self._overlap.collect(self._total_steps)
        else:
            self._length.fit(self._total_steps)
            self._length.begin()
            self._labeller.begin()
            self._collect()
            steps = self._labeller.take()
        return Rollout(self._venv.recorder.take_recording(), steps)

    def label(self, rollout: Rollout, reward: RewardSource) -> None:
        """Put the learned reward into SB3's buffer."""
        self._has_reward = reward.version > 0
        if self._overlap is None:
            self._predicted_mean = self._labeller.label(rollout.steps, reward)
            return
        self._venv.recorder.reward_version = reward.version
        # From here on the next rollout is acted, one update behind, while this one is labelled and learned from.
        self._overlap.start(self._total_steps)
        self._predicted_mean = label_rollout(self.model, rollout.steps, reward)

    def learn(self, rollout: Rollout) -> None:
        """SB3's own update; nothing is learned before the first reward."""
        if not is_on_policy(self.model):
            self._learn_off_policy(self.model)
            return
        self.model.rollout_buffer = rollout.steps.buffer
        self.model._update_current_progress_remaining(self.policy_step, self._total_steps)
        if self._has_reward:
            self.model.train()

    def metrics(self) -> dict[str, float]:
        """What the algorithm has logged of itself, and the mean predicted reward of what was labelled last."""
        logged = {name: float(value) for name, value in self.model.logger.name_to_value.items()}
        predicted = {} if self._predicted_mean is None else {"predicted_reward": self._predicted_mean}
        return logged | predicted

    def save(self, folder: Path) -> None:
        """Write the agent, and its replay buffer where there is one, whole or not at all; see `save_agent`."""
        save_agent(folder, self.model)

    def evaluate(self, episodes: int, seed: int) -> Evaluation:
        """Act for whole episodes of the ordinary environment."""
        return evaluate(self.model, self._make_evaluation_venv, episodes, seed, self._deterministic)

    def close(self) -> None:
        """Close the training environments."""
        if self._overlap is not None:
            self._overlap.close()
        self._venv.close()

    def _collect(self) -> None:
        model = self.model
        if is_on_policy(model):
            model.collect_rollouts(self._inner_venv(), self._callback, model.rollout_buffer, model.n_steps)
            return
        collected = model.collect_rollouts(
            self._inner_venv(),
            self._callback,
            model.train_freq,
            model.replay_buffer,
            model.action_noise,
            model.learning_starts,
        )
        self._collected_steps = collected.episode_timesteps

    def _learn_off_policy(self, model: OffPolicyAlgorithm) -> None:
        steps = model.gradient_steps if model.gradient_steps >= 0 else self._collected_steps
        if self._has_reward and _has_enough_experience(model) and steps > 0:
            model.train(gradient_steps=steps, batch_size=model.batch_size)

    def _inner_venv(self) -> VecEnv:
        # SB3 may have put wrappers of its own (channels first) around ours.
        venv = self.model.get_env()
        assert venv is not None
        return venv


def evaluate(
    model: Any, make_venv: Callable[[int], VecEnv], episodes: int, seed: int, deterministic: bool = True
) -> Evaluation:
    """True returns of an SB3 model acting in environments of its own.

    Args:
        model: the SB3 algorithm.
        make_venv: builds so many ordinary environments side by side.
        episodes: whole episodes to act.
        seed: of the environments, and of the actions where they are drawn; the same seed gives the same episodes.
        deterministic: act by the most likely action instead of drawing one.
    """
    venv = make_venv(min(episodes, _MOST_EVALUATION_ENVS))
    try:
        venv.seed(_EVALUATION_SEED + _SEEDS_APART * seed)
        with torch.random.fork_rng(devices=[model.device] if model.device.type == "cuda" else []):
            torch.manual_seed(_EVALUATION_SEED + seed)
            returns, _ = evaluate_policy(
                model, venv, episodes, deterministic=deterministic, return_episode_rewards=True
            )
        optimum = venv.env_method("optimal_return")[0] if venv.has_attr("optimal_return") else None
    finally:
        venv.close()
    assert isinstance(returns, list)
    return Evaluation(tuple(map(float, returns)), None if optimum is None else float(optimum))


class _Silent(BaseCallback):
    def _on_step(self) -> bool:
        return True


def build_model(config: AgentConfig, venv: VecEnv, seed: int) -> BaseAlgorithm:
    """The untrained SB3 model.

    Raises:
        ValueError: when a hyperparameter is unknown or unfit, or the spaces do not suit the algorithm.
    """
    spec = find_algorithm(config.algorithm)
    arguments = algorithm_arguments(config.algorithm, config.hyperparameters)
    policy: Any = config.policy
    if policy == "auto" or spec.for_texts:
        policy = spec.policy or _policy_for(venv.observation_space)
    if spec.for_texts:
        model = {"model": config.language_model, "seed": seed}
        arguments["policy_kwargs"] = {**model, **arguments.get("policy_kwargs", {})}
    try:
        if policy == FAST_CNN:
            policy = FastCnnPolicy
            arguments = {"rollout_buffer_class": FastRolloutBuffer} | arguments
        return spec.load_class()(policy, venv, seed=seed, **arguments)
    except Exception as error:
        # SB3 asserts what its users get wrong, and torch and NumPy complain in ways of their own.
        raise ValueError(
            f"{config.algorithm} cannot be built with {policy} and {dict(config.hyperparameters)}: "
            f"{type(error).__name__}: {error}"
        ) from error


def start_model(
    config: AgentConfig, venv: VecEnv, seed: int, beat: Callable[[str, str], None] | None = None
) -> BaseAlgorithm:
    """`build_model`, and for texts its fine-tuning: what a run's training begins with.

    ``beat`` is told what is done, and how far it is.
    """
    model = build_model(config, venv, seed)
    if config.fine_tuning.demonstrations:
        from prefrl_agents.text import fine_tune_policy

        def tell(epoch: int, loss: float = 0.0) -> None:
            if beat is not None:
                beat("fine-tuning", f"epoch {epoch} of {config.fine_tuning.epochs}")

        tell(0)
        fine_tune_policy(model.policy, venv, config.fine_tuning, seed, tell)  # type: ignore[arg-type]  # of token_ppo
    return model


def _continue(config: AgentConfig, venv: VecEnv, seed: int, saved: SavedAgent, trust: bool) -> BaseAlgorithm:
    if saved.is_pickled:
        device = config.hyperparameters.get("device", "auto")
        model = saved.unpickle(config.algorithm, trust, env=venv, device=device)
    else:
        model = build_model(_with_saved_architecture(config, saved), venv, seed)
        saved.restore(model)
    # A continued agent must not draw its first random numbers again, or it would repeat its first episodes.
    model.set_random_seed(seed + model.num_timesteps)
    return model


def _with_saved_architecture(config: AgentConfig, saved: SavedAgent) -> AgentConfig:
    """The same settings, but a language model is built as it was saved, without the checkpoint it began with."""
    architecture = saved.policy_arguments()
    if not architecture:
        return config
    policy_kwargs = {**config.hyperparameters.get("policy_kwargs", {}), **architecture}
    return dataclasses.replace(
        config, hyperparameters={**config.hyperparameters, "policy_kwargs": policy_kwargs}
    )


def _has_enough_experience(model: OffPolicyAlgorithm) -> bool:
    """Whether learning may start: without saved experience, a continued agent gathers it anew."""
    buffer = model.replay_buffer
    assert buffer is not None
    stored_steps = model.num_timesteps if buffer.full else buffer.pos * buffer.n_envs
    return min(model.num_timesteps, stored_steps) > model.learning_starts


def _policy_for(space: spaces.Space[Any]) -> str:
    if isinstance(space, spaces.Dict):
        return "MultiInputPolicy"
    if not (isinstance(space, spaces.Box) and is_image_space(space)):
        return "MlpPolicy"
    height, width = space.shape[1:] if is_image_space_channels_first(space) else space.shape[:2]
    return "CnnPolicy" if min(height, width) >= _LEAST_PIXELS else "MlpPolicy"
