"""Builds the agent of a run: environments, recorder and SB3 algorithm put together."""

from __future__ import annotations

import torch

from prefrl.config import RunConfig
from prefrl.config.device import torch_device
from prefrl.config.modality import TEXTS, modality_of
from prefrl.data.spaces import SpaceSpec
from prefrl.loop.agent import AgentServices
from prefrl.reward.networks import build_network
from prefrl.sb3.environments import evaluation_environments, training_environments
from prefrl.sb3.wrap import record
from prefrl.storage.run_dir import RunDir
from prefrl_agents.algorithms import find_algorithm
from prefrl_agents.sb3_agent import SB3Agent, build_model

__all__ = ["build_agent", "check_models"]


def build_agent(run: RunDir, config: RunConfig, services: AgentServices) -> SB3Agent:
    """Make the agent, or continue the one saved in the run directory."""
    inner = training_environments(config)
    inner.seed(config.seed)
    return SB3Agent(
        config.agent,
        record(inner, config, config.env.id),
        services,
        config.steps,
        config.seed,
        evaluation_environments(config),
        run.agent,
    )


def check_models(config: RunConfig, specs: tuple[SpaceSpec, SpaceSpec]) -> None:
    """Build agent and reward once and throw them away.

    Raises:
        ValueError: when a hyperparameter is unknown or out of its range, the agent cannot act there, or the reward
            network does not suit these observations and actions.
    """
    torch_device(config.reward.device, "reward.device")
    spec = find_algorithm(config.agent.algorithm)
    if spec.for_texts != (modality_of(specs[0]) is TEXTS):
        raise ValueError(
            f"agent.algorithm is {spec.name}, which is {'' if spec.for_texts else 'not '}for texts, and the "
            f"observations of {config.env.id} are {modality_of(specs[0]).plural}; set it to auto"
        )
    if config.agent.overlap and (not spec.can_overlap or config.agent.hyperparameters.get("use_sde")):
        raise ValueError(
            f"agent.overlap is true; it is for ppo and a2c without use_sde, not for {spec.name} with "
            f"{dict(config.agent.hyperparameters)}; set it to false"
        )
    build_network(*specs, config.reward, torch.Generator())
    # Some limits are on the product of steps and environments; two tell as well as many.
    venv = evaluation_environments(config)(min(2, config.env.num_envs))
    try:
        if not spec.takes_actions(venv.action_space):
            raise ValueError(
                f"{spec.name} needs {' or '.join(spec.action_spaces)} actions, {config.env.id} has "
                f"{venv.action_space}; use ppo or a2c"
            )
        build_model(config.agent, venv, config.seed)
    finally:
        venv.close()
