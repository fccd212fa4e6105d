"""Agents for the preference loop."""

from prefrl_agents.fast_cnn import FastCnnPolicy
from prefrl_agents.fast_rollout import FastRolloutBuffer
from prefrl_agents.sb3_agent import SB3Agent, build_model, evaluate, load_model, start_model

__all__ = [
    "FastCnnPolicy",
    "FastRolloutBuffer",
    "SB3Agent",
    "build_model",
    "evaluate",
    "load_model",
    "start_model",
]
