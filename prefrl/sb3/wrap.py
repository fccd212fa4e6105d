"""Puts the recorder around a run's environments."""

from __future__ import annotations

from stable_baselines3.common.vec_env import VecEnv

from prefrl.config import RunConfig
from prefrl.config.modality import modality_of
from prefrl.data.spaces import SpaceSpec
from prefrl.loop.assemble import records_clips
from prefrl.sb3.cameras import make_clip_recorder
from prefrl.sb3.hidden_reward import check_wrappable
from prefrl.sb3.vec_env import PreferenceVecEnv

__all__ = ["record"]


def record(venv: VecEnv, config: RunConfig, env_id: str) -> PreferenceVecEnv:
    """``venv`` with its steps recorded and its true reward hidden.

    Args:
        venv: the environments of a run.
        config: its settings.
        env_id: for the segments' provenance.

    Raises:
        ValueError: when ``venv`` is no VecEnv or is wrapped already, or when people are asked and could not be shown
            anything.
    """
    check_wrappable(venv)
    specs = SpaceSpec.pair(venv.observation_space, venv.action_space)
    config = modality_of(specs[0]).settle(config)
    queries = config.queries
    shows_text = venv.has_attr("segment_text")
    clip_recorder = make_clip_recorder(venv, config) if records_clips(config, specs, shows_text) else None
    return PreferenceVecEnv(
        venv, queries.segment_steps, env_id, config.seed, queries.within_episodes, clip_recorder
    )
