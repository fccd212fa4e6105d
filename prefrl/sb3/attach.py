"""How the learned reward gets into an SB3 algorithm, whichever it is."""

from __future__ import annotations

from typing import Any, Protocol

from stable_baselines3 import HerReplayBuffer
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.type_aliases import TrainFreq
from stable_baselines3.common.vec_env import VecNormalize

from prefrl.reward.source import RewardSource
from prefrl.sb3.hidden_reward import layers
from prefrl.sb3.relabelling import RELABELLED, Relabeller, StepLabeller
from prefrl.sb3.rollout_labelling import RolloutLabeller, RolloutSteps
from prefrl.sb3.vec_env import PreferenceVecEnv

__all__ = [
    "OFF_POLICY_EXCHANGE_STEPS",
    "Labeller",
    "RolloutLength",
    "is_on_policy",
    "make_labeller",
    "preference_venv",
]

OFF_POLICY_EXCHANGE_STEPS = 250
"""environment steps between two exchanges with the store, for algorithms that learn after every few"""


class Labeller(Protocol):
    """Puts the learned reward into what an algorithm learns from."""

    def attach(self, reward: RewardSource) -> None:
        """Begin: from here on the environment's steps are the agent's experience; ``reward`` is the one in force."""

    def detach(self) -> None:
        """End, and leave the algorithm as SB3 made it."""

    def begin(self) -> None:
        """A rollout begins."""

    def take(self) -> RolloutSteps | None:
        """The steps of the rollout that was just collected, where they are labelled as a whole."""

    def label(self, steps: Any, reward: RewardSource) -> float | None:
        """Label what was collected; returns its mean predicted reward, None where there is none."""


def make_labeller(model: BaseAlgorithm, relabel: bool = True) -> Labeller:
    """The labeller that suits an algorithm.

    Args:
        model: an SB3 algorithm whose environment contains a `PreferenceVecEnv`.
        relabel: off-policy, relabel stored steps when a new version arrives.

    Raises:
        ValueError: when the environment was not wrapped, something in it would distort the reward, the buffer would
            ask for the true one, or the algorithm has none.
    """
    venv = preference_venv(model)
    if is_on_policy(model):
        return RolloutLabeller(model, venv)
    buffer = getattr(model, "replay_buffer", None)
    if buffer is None:
        raise ValueError(
            f"{type(model).__name__} keeps neither a rollout nor a replay buffer, so there is nothing to put the "
            "learned reward into; take an algorithm that does, such as PPO or SAC"
        )
    if isinstance(buffer, HerReplayBuffer):
        raise ValueError(
            "HerReplayBuffer asks the environment for true rewards; use a replay buffer without hindsight"
        )
    if type(buffer) in RELABELLED:
        return Relabeller(model, venv, relabel)
    return StepLabeller(venv)


def is_on_policy(model: BaseAlgorithm) -> bool:
    """Whether it learns from whole rollouts."""
    return getattr(model, "rollout_buffer", None) is not None


def preference_venv(model: BaseAlgorithm) -> PreferenceVecEnv:
    """The wrapper in ``model``'s environment; ValueError when there is none, or rewards are normalised."""
    for layer in layers(model.get_env()):
        if isinstance(layer, VecNormalize) and layer.norm_reward:
            raise ValueError("VecNormalize would rescale the learned reward; give it norm_reward=False")
        if isinstance(layer, PreferenceVecEnv):
            return layer
    raise ValueError("the agent's environment is not wrapped; build the agent on loop.wrap(venv)")


class RolloutLength:
    """Shortens the last rollout of an algorithm, so that the steps asked for are the steps taken.

    `fit` before each rollout, `begin` when it begins, `restore` at the end.

    Args:
        model: an SB3 algorithm.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._n_steps: int | None = model.n_steps if is_on_policy(model) else None
        self._train_freq: TrainFreq | None = getattr(model, "train_freq", None)

    def fit(self, total_steps: int) -> None:
        """Let the next rollout end at ``total_steps``, over all environments, where its full length would not."""
        steps_left = max(1, -(-(total_steps - self._model.num_timesteps) // self._model.n_envs))
        if self._n_steps is not None:
            self._model.n_steps = min(self._n_steps, steps_left)
        elif isinstance(self._train_freq, TrainFreq) and self._train_freq.unit.value == "step":
            frequency = min(self._train_freq.frequency, steps_left)
            self._model.train_freq = TrainFreq(frequency, self._train_freq.unit)

    def begin(self) -> None:
        """Give the rollout buffer its length; not sooner, while what it holds is learned from."""
        buffer = getattr(self._model, "rollout_buffer", None)
        if buffer is not None and buffer.buffer_size != self._model.n_steps:
            buffer.buffer_size = self._model.n_steps
            buffer.reset()

    def restore(self) -> None:
        """The full length again, for those who use the algorithm afterwards."""
        if self._n_steps is not None:
            self._model.n_steps = self._model.rollout_buffer.buffer_size = self._n_steps
        elif self._train_freq is not None:
            self._model.train_freq = self._train_freq
