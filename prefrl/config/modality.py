"""Modalities: what differs between vectors, images and texts.

The modality is chosen once, by the observation space (`modality_of`). Code that treats texts differently from images
asks the modality, so that no other module tests the kind of data.
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
    """The modality of vectors, and the defaults of the others."""

    name = "vectors"
    plural = "vectors"
    """name of the observations in messages"""
    network = "mlp"
    """the reward network that "auto" in `RewardConfig.network` means"""
    networks: tuple[str, ...] = ("mlp",)
    """reward networks that accept these observations"""
    algorithm = "ppo"
    """the algorithm that "auto" in `AgentConfig.algorithm` means"""
    steps_per_chunk = 8192
    """number of steps the reward evaluates at a time"""
    segments_are_episodes = False
    """whether a segment is the last step of an episode, which holds the whole episode"""
    compares_within_groups = False
    """whether segments are compared only with segments that answer the same prompt"""
    is_filmed = True
    """whether people see clips, which have to be recorded while the agent acts"""
    module: str | None = None
    """optional module that agents and rewards need"""
    varies_in_length = False
    """whether segments differ in length, which people's answers may go by"""
    is_native_only = False
    """whether the environment's copies can only be stepped all at once"""
    is_labelled_when_sampled = False
    """whether a replay buffer is labelled when it is sampled, because it is too large to be relabelled whole"""

    def settle(self, config: RunConfig) -> RunConfig:
        """Fill in the settings that are "auto", and those with only one legal value for this modality."""
        if config.agent.algorithm != "auto":
            return config
        return dataclasses.replace(config, agent=dataclasses.replace(config.agent, algorithm=self.algorithm))

    def check(self, config: RunConfig, env_id: str) -> None:
        """Raise ValueError if a setting does not suit these observations."""
        network = config.reward.network
        if network not in ("auto", *self.networks):
            raise ValueError(
                f"reward.network is {network!r}, and the observations of {env_id} are {self.plural}; "
                f"use {' or '.join(('auto', *self.networks))}"
            )

    def validation_key(self, segment: Segment) -> str:
        """The key whose hash puts a segment into the training or the validation set."""
        return segment.id

    def comparison_group(self, segment: Segment) -> str:
        """The group of a segment; with `compares_within_groups`, only segments of the same group are compared."""
        return ""

    def is_scored(self, spec: SpaceSpec, observations: np.ndarray, actions: np.ndarray) -> np.ndarray | None:
        """Mask (M,) of the steps that the reward network scores; the others get 0. None if all are scored."""
        return None

    def length(self, segment: Segment) -> float:
        """Length of what people see: in steps, or in tokens of the response."""
        return float(len(segment))


class _Images(Modality):
    name = "images"
    plural = "uint8 images"
    network = "cnn"
    networks = ("cnn", "mlp")
    # 800 need a gigabyte of temporary tensors; up to 256, sums of squared bytes are exact in float32.
    steps_per_chunk = 256
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
    varies_in_length = True
    is_native_only = True

    def settle(self, config: RunConfig) -> RunConfig:
        config = super().settle(config)
        responses = max(config.env.responses_per_prompt, config.queries.items)
        return dataclasses.replace(
            config,
            # Ending the text is part of the task, and the reward of an unfinished text would mean nothing.
            env=dataclasses.replace(config.env, endless=False, responses_per_prompt=responses),
            # The last step of a text holds the whole text.
            queries=dataclasses.replace(config.queries, segment_steps=1, within_episodes=False),
        )

    def check(self, config: RunConfig, env_id: str) -> None:
        super().check(config, env_id)
        env = config.env
        if env.num_envs % env.responses_per_prompt:
            raise ValueError(
                f"env.num_envs is {env.num_envs}; texts are generated in groups of {env.responses_per_prompt} that "
                f"answer the same prompt (env.responses_per_prompt, at least queries.items), so a multiple of "
                f"{env.responses_per_prompt} is needed"
            )

    def validation_key(self, segment: Segment) -> str:
        # All responses to a prompt are on the same side of the split.
        return prompt_key(segment.observations[-1])

    def comparison_group(self, segment: Segment) -> str:
        return prompt_key(segment.observations[-1])

    def is_scored(self, spec: SpaceSpec, observations: np.ndarray, actions: np.ndarray) -> np.ndarray | None:
        return ends_text(spec, observations, actions)

    def length(self, segment: Segment) -> float:
        return float(response_tokens(segment.observations[-1]))


VECTORS, IMAGES, TEXTS = Modality(), _Images(), _Texts()


def modality_of(observation_spec: SpaceSpec) -> Modality:
    """The modality of these observations."""
    if observation_spec.kind == "tokens":
        return TEXTS
    return IMAGES if observation_spec.is_image else VECTORS
