"""What an agent needs of a reward, and the reward of a run before its first version.

Implementations: `NoReward`, `LearnedReward` (frozen) and `FollowedReward` (the newest of a run). A reward that needs
no labels, such as the state entropy of PEBBLE (Lee et al. 2021), belongs here as another class.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np

from prefrl.data.spaces import SpaceSpec

__all__ = ["NoReward", "RewardSource", "leading_shape"]


@runtime_checkable
class RewardSource(Protocol):
    """Predicts the reward of any steps of one environment."""

    @property
    def version(self) -> int:
        """0 while there is no learned reward, then the number of the version in use, which only rises."""

    @property
    def observation_spec(self) -> SpaceSpec:
        """Layout of the observations."""

    @property
    def action_spec(self) -> SpaceSpec:
        """Layout of the actions."""

    def predict(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Reward of each step, float32 of shape (*lead,).

        Args:
            observations: shape (*lead, *obs), as `SpaceSpec.encode` lays them out.
            actions: shape (*lead, *act), as `SpaceSpec.encode` lays them out.

        Raises:
            ValueError: when the arrays do not fit the specs, or each other.
        """


class NoReward:
    """The `RewardSource` before the first learned reward: version 0, and every step has reward 0."""

    version = 0

    def __init__(self, observation_spec: SpaceSpec, action_spec: SpaceSpec) -> None:
        """Predict for steps of these layouts."""
        self.observation_spec, self.action_spec = observation_spec, action_spec

    def predict(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Zeros, float32 of shape (*lead,); see `RewardSource.predict`."""
        return np.zeros(leading_shape(self, observations, actions), np.float32)


def leading_shape(source: RewardSource, observations: np.ndarray, actions: np.ndarray) -> tuple[int, ...]:
    """The dimensions (*lead,) that observations (*lead, *obs) and actions (*lead, *act) have in common.

    Raises:
        ValueError: when either does not end in the shape of its spec, or the dimensions before it differ.
    """
    leads = []
    for spec, array, what in (
        (source.observation_spec, observations, "observations"),
        (source.action_spec, actions, "actions"),
    ):
        lead = array.ndim - len(spec.shape)
        if lead < 0 or array.shape[lead:] != spec.shape:
            raise ValueError(f"{what} of shape {array.shape} do not end in the space's shape {spec.shape}")
        leads.append(array.shape[:lead])
    if leads[0] != leads[1]:
        raise ValueError(
            f"observations of shape {observations.shape} and actions of {actions.shape} do not pair up"
        )
    return leads[0]
