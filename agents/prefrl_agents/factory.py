"""Builds the agent of a run: environments, recorder and SB3 algorithm put together."""

from __future__ import annotations

import torch

from prefrl.config import RunConfig
from prefrl.config.device import torch_device
from prefrl.data.spaces import SpaceSpec
from prefrl.loop.agent import AgentServices
from prefrl.reward.networks import build_network
from prefrl.sb3.environments import evaluation_environments, training_environments
from prefrl.sb3.wrap import record
from prefrl.storage.run_dir import RunDir
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
    build_network(*specs, config.reward, torch.Generator())
    # Some limits are on the product of steps and environments; two tell as well as many.
    venv = evaluation_environments(config)(min(2, config.env.num_envs))
    try:
        build_model(config.agent, venv, config.seed)
    finally:
        venv.close()
