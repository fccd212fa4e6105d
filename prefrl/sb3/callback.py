"""The whole loop inside one SB3 callback, for the user's own training script."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Literal

from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv

from prefrl.config import EnvConfig, OracleConfig, RunConfig
from prefrl.oracles import Oracle, SyntheticOracle
from prefrl.reward import LearnedReward
from prefrl.run_dir import RunDir
from prefrl.sb3.buffers import install_buffer
from prefrl.sb3.vec_env import PreferenceVecEnv
from prefrl.store import Store
from prefrl.workers import PolicyLink, helpers_in_process

__all__ = ["PreferenceCallback"]


class PreferenceCallback(BaseCallback):
    """Makes any SB3 algorithm learn from preferences instead of its environment's reward.

    Build the agent on ``loop.wrap(venv)`` and pass the callback to ``learn``::

        loop = prefrl.PreferenceCallback(oracle="synthetic", labels=500)
        PPO("MlpPolicy", loop.wrap(make_vec_env("Pendulum-v1", 8))).learn(50_000, callback=loop)

    The label budget is spread over the steps of the first ``learn``. Episode ends are the environment's own: where
    they depend on what the agent does they leak the task, and `prefrl_envs.EndlessEpisodes` hides them.

    Args:
        oracle: "synthetic" (judges by the true reward, which the agent never sees), "human" (people answer from
            another terminal, with ``prefrl label RUN``), or an `Oracle` of your own.
        labels: comparisons to ask for.
        run: the run directory to make; by default a new one under ``runs/``.
        config: everything else: reward, queries, schedule, teacher.
    """

    def __init__(
        self,
        oracle: Literal["synthetic", "human"] | Oracle = "synthetic",
        labels: int = 200,
        run: str | Path | None = None,
        config: RunConfig | None = None,
    ) -> None:
        super().__init__()
        if isinstance(oracle, str) and oracle not in ("synthetic", "human"):
            raise ValueError(f'oracle is {oracle!r}; it must be "synthetic", "human" or an object that answers queries')
        self._oracle, self._labels, self._run_path = oracle, labels, run
        self._config = config or RunConfig()
        self._venv: PreferenceVecEnv | None = None
        self._link: PolicyLink | None = None
        self._store: Store | None = None
        self.run: RunDir | None = None
        """the run directory, once training has started"""

    @property
    def reward(self) -> LearnedReward | None:
        """The newest learned reward; None before the first."""
        return None if self._link is None else self._link.reward

    def wrap(self, venv: VecEnv) -> PreferenceVecEnv:
        """Put the recorder around ``venv``; VecNormalize and the like go around the result."""
        spec = venv.get_attr("spec")[0]
        env_id = spec.id if spec is not None else self._config.env.id
        self._venv = PreferenceVecEnv(venv, self._config.queries.segment_steps, env_id, self._config.seed)
        self._config = dataclasses.replace(self._config, env=EnvConfig(id=env_id, num_envs=venv.num_envs))
        return self._venv

    def _on_training_start(self) -> None:
        if self._venv is None:
            raise ValueError("build the agent on loop.wrap(venv), so that the loop sees its steps")
        if self._link is None:
            self._start(self._venv, int(self.locals["total_timesteps"]))
        assert self._link is not None
        self._is_live = not install_buffer(self.model, self._link, self._config.agent.relabel)

    def _start(self, venv: PreferenceVecEnv, steps: int) -> None:
        kind: Literal["synthetic", "human"] = "human" if self._oracle == "human" else "synthetic"
        config = dataclasses.replace(
            self._config,
            labels=self._labels,
            steps=steps,
            oracle=OracleConfig(kind, self._config.oracle.teacher),
        )
        path = self._run_path or Path("runs") / time.strftime("callback-%Y%m%d-%H%M%S")
        self.run = RunDir.create(path, config)
        self._store = Store.open(self.run.store, create=True)
        oracle = None if self._oracle == "human" else self._oracle
        if oracle == "synthetic":
            oracle = SyntheticOracle(config.oracle.teacher, config.seed)
        assert not isinstance(oracle, str)
        others = helpers_in_process(self.run, self._store, config, venv.observation_spec, venv.action_spec, oracle)
        self._link = PolicyLink(self.run, self._store, config, venv.recorder, others)

    def _on_rollout_start(self) -> None:
        if self._is_live and self._link is not None:
            self._link.sync_if_due()

    def _on_step(self) -> bool:
        return True

    def _on_training_end(self) -> None:
        # The last labels fall due with the last steps; ask for them before the run counts as done.
        if self._link is not None:
            self._link.sync()
