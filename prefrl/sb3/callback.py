"""The whole loop inside one SB3 callback, for the user's own training script."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import gymnasium as gym
import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv

from prefrl.config import EnvConfig, OracleConfig, RunConfig
from prefrl.config.modality import modality_of
from prefrl.config.registry import import_named
from prefrl.data.spaces import SpaceSpec
from prefrl.loop.agent import Rollout
from prefrl.loop.assemble import (
    continue_run,
    create_run,
    make_channels,
    make_others,
    settle,
)
from prefrl.loop.channels import Channels
from prefrl.loop.heartbeat import StopFlag
from prefrl.loop.serial import Others
from prefrl.oracles import Oracle
from prefrl.reward import LearnedReward
from prefrl.sb3.attach import (
    OFF_POLICY_EXCHANGE_STEPS,
    Labeller,
    RolloutLength,
    is_on_policy,
    make_labeller,
    preference_venv,
)
from prefrl.sb3.vec_env import PreferenceVecEnv
from prefrl.sb3.wrap import record
from prefrl.storage import Store
from prefrl.storage.run_dir import RunDir
from prefrl.storage.run_lock import RunLock

__all__ = ["PreferenceCallback"]

_UNREGISTERED = "unregistered"
_KINDS = ("synthetic", "human", "mixed")
_NOT_THE_ENVIRONMENTS = ("num_envs", "render_mode", "vectorization_mode")
"""arguments of ``gymnasium.make`` and ``make_vec`` that are about how it is used"""
_SAVE_AGENT = "prefrl_agents.saved_agent:save_agent"
"""by name, as in child processes: agents are built on this package"""


class PreferenceCallback(BaseCallback):
    """Makes any SB3 algorithm learn from preferences instead of its environment's reward.

    Build the agent on ``loop.wrap(venv)`` and pass the callback to ``learn``, alone or in a list with others::

        loop = prefrl.PreferenceCallback(oracle="synthetic", labels=500)
        PPO("MlpPolicy", loop.wrap(make_vec_env("Pendulum-v1", 8))).learn(50_000, callback=loop)

    The label budget is spread over the steps of the first ``learn``; later ones continue with the reward learned so
    far. So does a new process that names the same run directory. Episode ends are the environment's own: where they
    depend on what the agent does they leak the task, and `prefrl_envs.EndlessEpisodes` hides them. Off-policy agents
    should not learn before the first labels: set ``learning_starts`` to a few thousand steps.

    The agent is saved in the run directory every ``runtime.checkpoint_steps`` steps and at the end of ``learn``, for
    ``prefrl eval`` and ``prefrl watch``. Nobody but the script continues its run: run it again.

    Args:
        oracle: "synthetic" (judges by the true reward, which the agent never sees), "human" (people answer
            by ``prefrl label RUN``; make the environments with ``render_mode="rgb_array"``), "mixed" (people while
            there are some, else the synthetic oracle), or an `Oracle` of your own; by default as ``config`` says.
        labels: comparisons to ask for; by default as ``config`` says.
        run: the run directory, made where there is none; by default a new ``runs/callback-DATE``.
        config: everything else: reward, queries, schedule, teacher, seed.

    Raises:
        ValueError: when the oracle is none of these; from ``learn``, when a setting is out of its range, the
            agent's environment was not wrapped, or the run directory holds a run with other settings.
        RunDirError: from ``learn``, when another script or launcher is at work in the run directory.
    """

    def __init__(
        self,
        oracle: Literal["synthetic", "human", "mixed"] | Oracle | None = None,
        labels: int | None = None,
        run: str | Path | None = None,
        config: RunConfig | None = None,
    ) -> None:
        super().__init__()
        if isinstance(oracle, str) and oracle not in _KINDS:
            raise ValueError(
                f"oracle is {oracle!r}; it must be one of {list(_KINDS)}, or an object that answers queries"
            )
        config = config or RunConfig()
        kind = oracle if isinstance(oracle, str) else config.oracle.kind if oracle is None else "synthetic"
        self._config = dataclasses.replace(
            config,
            labels=config.labels if labels is None else labels,
            oracle=OracleConfig(kind, config.oracle.teacher),
            runtime=dataclasses.replace(config.runtime, launcher="script"),
        )
        self._own_oracle = None if isinstance(oracle, str) else oracle
        self._run_path = run
        self._watches_ends = False
        """whether to warn of episode ends that the agent sees"""
        self._parts: _Parts | None = None
        self._venv: PreferenceVecEnv | None = None
        self._labelled: BaseAlgorithm | None = None
        """the algorithm that `_labeller` and `_length` are for"""
        self._labeller: Labeller
        self._length: RolloutLength
        self.run: RunDir | None = None
        """the run directory, once training has started"""

    @property
    def reward(self) -> LearnedReward | None:
        """The newest learned reward; None before the first."""
        newest = None if self._parts is None else self._parts.channels.reward
        return newest if isinstance(newest, LearnedReward) else None

    def wrap(self, venv: VecEnv) -> PreferenceVecEnv:
        """Put the recorder around ``venv``.

        What changes observations (VecFrameStack) or counts returns (VecMonitor) goes inside; VecNormalize
        goes around the result, with ``norm_reward=False``.

        Raises:
            ValueError: when ``venv`` is no VecEnv, is wrapped already, holds a VecNormalize, or people are asked and
                could not be shown anything.
        """
        return record(venv, self._config, _env_of(venv).id)

    def _on_training_start(self) -> None:
        venv = preference_venv(self.model)
        if self._parts is None:
            self._parts = self._start(venv, self._total_steps() - self.model.num_timesteps)
        self._parts.lock.acquire()
        channels = self._parts.channels
        # Another environment, or a model loaded anew, continues the count where the last one left off.
        venv.recorder.policy_step, venv.recorder.reward_version = (
            channels.policy_step,
            channels.reward.version,
        )
        if self._venv is not venv or self._labelled is not self.model:
            self._labeller = make_labeller(self.model, self._config.agent.relabel)
            self._length = RolloutLength(self.model)
        self._venv, self._labelled = venv, self.model
        channels.exchange_every_steps = 0 if is_on_policy(self.model) else OFF_POLICY_EXCHANGE_STEPS
        self._labeller.attach(channels.reward)
        self._length.fit(self._total_steps())

    def _start(self, venv: PreferenceVecEnv, steps: int) -> _Parts:
        specs = venv.observation_spec, venv.action_spec
        env = dataclasses.replace(_env_of(venv), num_envs=venv.num_envs, endless=False)
        path = self._run_path or Path("runs") / time.strftime("callback-%Y%m%d-%H%M%S")
        config = dataclasses.replace(self._config, env=env, steps=steps)
        self.run, config = _create_or_continue(path, config, specs)
        lock = RunLock(self.run, takes_over=True)
        lock.acquire()
        store, stop = Store.open(self.run.store), StopFlag()
        others = make_others(self.run, store, config, stop, self._own_oracle)
        channels = make_channels(self.run, store, config, stop)
        channels.resume_at(int(store.counters().get("policy_step", 0)))
        self._watches_ends = not modality_of(specs[0]).segments_are_episodes
        if config.oracle.asks_people:
            print(f"people answer with: prefrl label {self.run.path}", file=sys.stderr)
        return _Parts(channels, others, lock, config.runtime.checkpoint_steps, channels.policy_step)

    def _on_rollout_start(self) -> None:
        self._length.begin()
        self._labeller.begin()

    def _on_step(self) -> bool:
        if self._watches_ends and _has_termination(self.locals["dones"], self.locals["infos"]):
            self._watches_ends = False
            warnings.warn(
                "an episode ended by termination, which the agent can see: episode ends leak the task. "
                "Wrap the environment in prefrl_envs.EndlessEpisodes, unless its episodes all end alike",
                stacklevel=2,
            )
        return True

    def _on_rollout_end(self) -> None:
        assert self._parts is not None
        assert self._venv is not None
        channels = self._parts.channels
        steps = self._labeller.take()
        channels.upload(Rollout(self._venv.recorder.take_recording(), steps))
        self._parts.others.ask_answer_fit(channels)
        predicted = self._labeller.label(steps, channels.newest_reward())
        if predicted is not None:
            channels.log_metrics({"predicted_reward": predicted})
        self._length.fit(self._total_steps())
        if channels.policy_step - self._parts.saved_step >= self._parts.checkpoint_steps:
            self._save()

    def _on_training_end(self) -> None:
        if self._parts is None or self._venv is None:
            return
        channels = self._parts.channels
        # Of a rollout that another callback broke off, too.
        channels.upload(Rollout(self._venv.recorder.take_recording()))
        # The last labels fall due with the last steps; they are asked for before the run counts as done.
        channels.flush()
        self._parts.others.ask_answer_fit(channels)
        channels.newest_reward()
        self._labeller.detach()
        self._length.restore()
        self._save()
        self._parts.lock.release()

    def _total_steps(self) -> int:
        return int(self.model._total_timesteps)

    def _save(self) -> None:
        assert self.run is not None
        assert self._parts is not None
        save_agent: Callable[[Path, BaseAlgorithm], None] = import_named(_SAVE_AGENT, "function")
        save_agent(self.run.agent, self.model)
        self._parts.saved_step = self._parts.channels.policy_step


@dataclass
class _Parts:
    """The loop around the script's own agent."""

    channels: Channels
    others: Others
    lock: RunLock
    checkpoint_steps: int
    saved_step: int


def _create_or_continue(
    path: str | Path, config: RunConfig, specs: tuple[SpaceSpec, SpaceSpec]
) -> tuple[RunDir, RunConfig]:
    """A new run directory, or the one that a callback of the same settings made, whose steps then count."""
    if RunDir(path).config_file.exists():
        run = RunDir.open(path)
        began = run.config()
        config = settle(dataclasses.replace(config, steps=began.steps), specs)
        if began == config:
            return continue_run(run, config, specs), config
    config = settle(config, specs)
    # Where another run is, this names what differs.
    return create_run(path, config, specs), config


def _has_termination(dones: np.ndarray, infos: Sequence[dict[str, Any]]) -> bool:
    return any(not infos[env].get("TimeLimit.truncated", False) for env in map(int, dones.nonzero()[0]))


def _env_of(venv: VecEnv) -> EnvConfig:
    """The id that the environments are registered by and the arguments they were made with, as far as is known."""
    try:
        spec = venv.get_attr("spec")[0]
    except (AttributeError, NotImplementedError):
        spec = None
    if spec is None:
        return EnvConfig(_UNREGISTERED)
    known = gym.registry.get(spec.id)
    defaults = {} if known is None else known.kwargs
    kwargs = {
        name: value
        for name, value in spec.kwargs.items()
        if name not in _NOT_THE_ENVIRONMENTS and not (name in defaults and defaults[name] == value)
    }
    responses = int(kwargs.pop("responses_per_prompt", 1))
    try:
        json.dumps(kwargs, allow_nan=False)
    except (TypeError, ValueError):
        # Objects that the script made: nobody else could make this environment again.
        kwargs = {}
    return EnvConfig(str(spec.id), kwargs, responses_per_prompt=responses)
