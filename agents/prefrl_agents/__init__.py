"""Agents for the preference loop."""

from prefrl_agents.sb3_agent import SB3Agent, build_model, evaluate, load_model

__all__ = ["SB3Agent", "build_model", "evaluate", "load_model"]
