"""Builds the agent of a run: environments, recorder and SB3 algorithm put together."""

from __future__ import annotations

from collections.abc import Callable

from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from prefrl.config import RunConfig
from prefrl.environments import make_environment, make_ordinary_environment
from prefrl.recorder import SegmentRecorder
from prefrl.run_dir import RunDir
from prefrl.sb3 import PreferenceVecEnv
from prefrl.workers import PolicyLink
from prefrl_agents import SB3Agent

__all__ = ["build_agent"]


def build_agent(run: RunDir, config: RunConfig, make_link: Callable[[SegmentRecorder], PolicyLink]) -> SB3Agent:
    """Make the agent, or continue the one saved in the run directory."""
    inner = DummyVecEnv([lambda: make_environment(config.env, Monitor)] * config.env.num_envs)
    inner.seed(config.seed)
    venv = PreferenceVecEnv(inner, config.queries.segment_steps, config.env.id, config.seed)

    def make_evaluation_venv(num_envs: int) -> VecEnv:
        return DummyVecEnv([lambda: Monitor(make_ordinary_environment(config.env))] * num_envs)

    return SB3Agent(
        config.agent, venv, make_link(venv.recorder), config.steps, config.seed, make_evaluation_venv, run.agent
    )
