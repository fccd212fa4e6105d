"""What differs by kind of data: vectors, images and texts.

A modality is found once, by the observation space (`modality_of`). Whoever has to treat texts differently from images
asks the modality, so that no other module tests what kind of data it was given.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from prefrl.config.settings import RunConfig
from prefrl.data.spaces import SpaceSpec
from prefrl.data.tokens import ends_text, prompt_key, response_tokens
from prefrl.data.types import Segment

__all__ = ["IMAGES", "TEXTS", "VECTORS", "Modality", "modality_of"]


class Modality:
    """Vectors, and what holds for every kind of data unless a subclass says otherwise."""

    name = "vectors"
    plural = "vectors"
    """what the observations are, in messages"""
    network = "mlp"
    """what `RewardConfig.network` "auto" means"""
    networks: tuple[str, ...] = ("mlp",)
    """reward networks that take these observations"""
    algorithm = "ppo"
    """what `AgentConfig.algorithm` "auto" means"""
    steps_per_chunk = 8192
    """steps the reward evaluates at once"""
    segments_are_episodes = False
    """whether a segment is the last step of an episode, which holds all of it"""
    compares_within_groups = False
    """whether segments are compared only with those that answer the same prompt"""
    is_filmed = True
    """whether people are shown clips, which have to be recorded while the agent acts"""
    module: str | None = None
    """module that agents and rewards need, which not every installation has"""
    is_native_only = False
    """whether all copies of an environment have to be stepped at once"""
    is_labelled_when_sampled = False
    """whether a replay buffer is too large to be relabelled whole"""

    def settle(self, config: RunConfig) -> RunConfig:
        """The settings with those filled in that have one legal value here, or are left to be chosen."""
        if config.agent.algorithm != "auto":
            return config
        return dataclasses.replace(config, agent=dataclasses.replace(config.agent, algorithm=self.algorithm))

    def check(self, config: RunConfig, env_id: str) -> None:
        """Raise ValueError when a setting does not suit these observations."""
        network = config.reward.network
        if network not in ("auto", *self.networks):
            raise ValueError(
                f"reward.network is {network!r}, and the observations of {env_id} are {self.plural}; "
                f"use {' or '.join(('auto', *self.networks))}"
            )

    def validation_key(self, segment: Segment) -> str:
        """What decides on which side of the validation split a segment is."""
        return segment.id

    def comparison_group(self, segment: Segment) -> str:
        """Segments of one group alone are compared with each other, where `compares_within_groups`."""
        return ""

    def is_scored(self, spec: SpaceSpec, observations: np.ndarray, actions: np.ndarray) -> np.ndarray | None:
        """Which steps (M,) have a reward of their own; the others have 0. None where all have."""
        return None

    def length(self, segment: Segment) -> float | None:
        """Length of what people read, in tokens; None where all segments are of one length."""
        return None


class _Images(Modality):
    name = "images"
    plural = "uint8 images"
    network = "cnn"
    networks = ("cnn", "mlp")
    steps_per_chunk = (
        256  # 800 take a gigabyte of temporary tensors; up to 256, sums of squared bytes are exact
    )
    is_labelled_when_sampled = True


class _Texts(Modality):
    name = "texts"
    plural = "texts"
    network = "lm"
    networks = ("lm",)
    algorithm = "token_ppo"
    steps_per_chunk = 64
    segments_are_episodes = True
    compares_within_groups = True
    is_filmed = False
    module = "transformers"
    is_native_only = True

    def settle(self, config: RunConfig) -> RunConfig:
        config = super().settle(config)
        responses = max(config.env.responses_per_prompt, config.queries.items)
        return dataclasses.replace(
            config,
            # A text's end is the task, and the reward of a text that is not over would mean nothing.
            env=dataclasses.replace(config.env, endless=False, responses_per_prompt=responses),
            # The last step of a text holds all of it.
            queries=dataclasses.replace(config.queries, segment_steps=1, within_episodes=False),
        )

    def check(self, config: RunConfig, env_id: str) -> None:
        super().check(config, env_id)
        env = config.env
        if env.num_envs % env.responses_per_prompt:
            raise ValueError(
                f"env.num_envs is {env.num_envs}; texts are written in groups of {env.responses_per_prompt} that "
                f"answer the same prompt (env.responses_per_prompt, at least queries.items), so a multiple of "
                f"{env.responses_per_prompt} is needed"
            )

    def validation_key(self, segment: Segment) -> str:
        # A prompt with all its responses is on one side.
        return prompt_key(segment.observations[-1])

    def comparison_group(self, segment: Segment) -> str:
        return prompt_key(segment.observations[-1])

    def is_scored(self, spec: SpaceSpec, observations: np.ndarray, actions: np.ndarray) -> np.ndarray | None:
        return ends_text(spec, observations, actions)

    def length(self, segment: Segment) -> float | None:
        return float(response_tokens(segment.observations[-1]))


VECTORS, IMAGES, TEXTS = Modality(), _Images(), _Texts()


def modality_of(observation_spec: SpaceSpec) -> Modality:
    """The modality of these observations."""
    if observation_spec.kind == "tokens":
        return TEXTS
    return IMAGES if observation_spec.is_image else VECTORS
