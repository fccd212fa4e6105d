"""Agents for the preference loop."""

from prefrl_agents.algorithms import ALGORITHMS, find_algorithm
from prefrl_agents.fast_cnn import FastCnnPolicy
from prefrl_agents.fast_rollout import FastRolloutBuffer
from prefrl_agents.run_agent import load_run_agent, make_evaluation_venv
from prefrl_agents.saved_agent import load_agent, save_agent
from prefrl_agents.sb3_agent import SB3Agent, build_model, evaluate, start_model

__all__ = [
    "ALGORITHMS",
    "FastCnnPolicy",
    "FastRolloutBuffer",
    "SB3Agent",
    "build_model",
    "evaluate",
    "find_algorithm",
    "load_agent",
    "load_run_agent",
    "make_evaluation_venv",
    "save_agent",
    "start_model",
]
