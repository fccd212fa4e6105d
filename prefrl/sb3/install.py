"""Puts the learned reward into an SB3 algorithm."""

from __future__ import annotations

from typing import Any

import numpy as np
from stable_baselines3 import HerReplayBuffer
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecNormalize

from prefrl.data.spaces import SpaceSpec
from prefrl.sb3.buffers import PREFERENCE_BUFFERS, PreferenceReplay, RewardLink
from prefrl.sb3.hidden_reward import layers
from prefrl.sb3.vec_env import PreferenceVecEnv

__all__ = ["install_buffer", "preference_venv"]


def install_buffer(model: BaseAlgorithm, link: RewardLink, relabel: bool = True) -> bool:
    """Let ``model``'s own buffer add the learned reward, settings and experience kept.

    Rewards that a replay buffer got from elsewhere, true ones maybe, are zeroed and labelled anew; with
    ``relabel`` False, labels that another loop gave stay. Buffers of other classes (recurrent, n-step, your
    own) are left alone, contents included: the environment then predicts the reward at every step, which is
    slower and cannot relabel, and somebody has to call ``link.sync_if_due()`` between rollouts.

    Args:
        model: an SB3 algorithm whose environment contains a `PreferenceVecEnv`.
        link: where rewards come from.
        relabel: off-policy, relabel stored steps when a new version arrives.

    Returns:
        True when the buffer adds the reward, False when the environment does.

    Raises:
        ValueError: when the environment was not wrapped, or something in it would distort the reward or the
            buffer would ask for the true one.
    """
    venv = preference_venv(model)
    name = "rollout_buffer" if hasattr(model, "rollout_buffer") else "replay_buffer"
    buffer: Any = getattr(model, name)
    if isinstance(buffer, HerReplayBuffer):
        raise ValueError(
            "HerReplayBuffer asks the environment for true rewards; use a replay buffer without hindsight"
        )
    counterpart = PREFERENCE_BUFFERS.get(type(buffer))
    is_ours = type(buffer) in PREFERENCE_BUFFERS.values()
    venv.begin_training(None if is_ours or counterpart else link)
    if counterpart is not None:
        buffer = _converted(buffer, counterpart)
        setattr(model, name, buffer)
    elif not is_ours:
        return False
    if isinstance(buffer, PreferenceReplay):
        _check_replay(model, venv, buffer)
        if relabel and getattr(buffer, "link", None) is not link:
            # The versions of another loop's rewards say nothing about this one's.
            buffer.label_versions[:] = 0
        buffer.relabel, buffer.swept_version = relabel, 0
    buffer.link, buffer.preference_venv = link, venv
    buffer.finish = getattr(model, "finish_rollout", None)
    return True


def preference_venv(model: BaseAlgorithm) -> PreferenceVecEnv:
    """The wrapper in ``model``'s environment; ValueError when there is none, or rewards are normalised."""
    for layer in layers(model.get_env()):
        if isinstance(layer, VecNormalize) and layer.norm_reward:
            raise ValueError("VecNormalize would rescale the learned reward; give it norm_reward=False")
        if isinstance(layer, PreferenceVecEnv):
            return layer
    raise ValueError("the agent's environment is not wrapped; build the agent on loop.wrap(venv)")


def _converted(buffer: Any, counterpart: type[Any]) -> Any:
    converted: Any = object.__new__(counterpart)
    converted.__dict__.update(buffer.__dict__)
    if isinstance(converted, PreferenceReplay):
        converted.rewards[:] = 0.0
        converted.label_versions = np.zeros(converted.buffer_size, np.int32)
    return converted


def _check_replay(model: BaseAlgorithm, venv: PreferenceVecEnv, buffer: Any) -> None:
    """Stored observations must be those of `PreferenceVecEnv`, so that they can be relabelled."""
    if not _is_same_layout(venv.observation_spec, SpaceSpec.of(buffer.observation_space)):
        raise ValueError(
            f"the replay buffer stores {buffer.observation_space}, the learned reward sees "
            f"{venv.observation_space}; put what changes the observations (VecFrameStack and the like) "
            "inside: loop.wrap(VecFrameStack(venv, 4))"
        )
    normalize = model.get_vec_normalize_env()
    if normalize is not None and normalize.norm_obs and venv.observation_spec.is_image:
        raise ValueError("VecNormalize would hide pixels from the learned reward; give it norm_obs=False")


def _is_same_layout(seen: SpaceSpec, stored: SpaceSpec) -> bool:
    if seen.parts:
        keys_agree = [key for key, _ in seen.parts] == [key for key, _ in stored.parts]
        return keys_agree and all(
            _is_same_layout(ours, theirs)
            for (_, ours), (_, theirs) in zip(seen.parts, stored.parts, strict=True)
        )
    return stored.shape == seen.shape or (seen.is_image and stored.shape == (seen.shape[2], *seen.shape[:2]))
