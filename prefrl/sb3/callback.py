"""The whole loop inside one SB3 callback, for the user's own training script."""

from __future__ import annotations

import dataclasses
import sys
import time
import warnings
from pathlib import Path
from typing import Literal

from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv

from prefrl.config import OracleConfig, RunConfig
from prefrl.loop import PolicyLink, helpers_in_process
from prefrl.loop.validation import check_config
from prefrl.oracles import Oracle, SyntheticOracle
from prefrl.reward import LearnedReward
from prefrl.sb3.cameras import make_clip_recorder
from prefrl.sb3.install import install_buffer, preference_venv
from prefrl.sb3.vec_env import PreferenceVecEnv
from prefrl.storage import Store
from prefrl.storage.run_dir import RunDir

__all__ = ["PreferenceCallback"]

_UNREGISTERED = "unregistered"


class PreferenceCallback(BaseCallback):
    """Makes any SB3 algorithm learn from preferences instead of its environment's reward.

    Build the agent on ``loop.wrap(venv)`` and pass the callback to ``learn``, alone or in a list with
    others::

        loop = prefrl.PreferenceCallback(oracle="synthetic", labels=500)
        PPO("MlpPolicy", loop.wrap(make_vec_env("Pendulum-v1", 8))).learn(50_000, callback=loop)

    The label budget is spread over the steps of the first ``learn``; later ones go on with the reward learned
    so far. So does a new process that names the same run directory. Episode ends are the environment's own:
    where they depend on what the agent does they leak the task, and `prefrl_envs.EndlessEpisodes` hides them.
    Off-policy agents should not learn before the first labels: set ``learning_starts`` to a few thousand
    steps.

    Args:
        oracle: "synthetic" (judges by the true reward, which the agent never sees), "human" (people answer
            by ``prefrl label RUN``; make the environments with ``render_mode="rgb_array"``), or an `Oracle` of your
            own; by default as ``config`` says.
        labels: comparisons to ask for; by default as ``config`` says.
        run: the run directory, made where there is none; by default a new ``runs/callback-DATE``.
        config: everything else: reward, queries, schedule, teacher, seed.

    Raises:
        ValueError: when the oracle is none of these; from ``learn``, when a setting is out of its range, the
            agent's environment was not wrapped, or the run directory holds a run with other settings.
    """

    def __init__(
        self,
        oracle: Literal["synthetic", "human"] | Oracle | None = None,
        labels: int | None = None,
        run: str | Path | None = None,
        config: RunConfig | None = None,
    ) -> None:
        super().__init__()
        if isinstance(oracle, str) and oracle not in ("synthetic", "human"):
            raise ValueError(
                f'oracle is {oracle!r}; it must be "synthetic", "human" or an object that answers queries'
            )
        config = config or RunConfig()
        kind = oracle if isinstance(oracle, str) else config.oracle.kind if oracle is None else "synthetic"
        self._config = dataclasses.replace(
            config,
            labels=config.labels if labels is None else labels,
            oracle=OracleConfig(kind, config.oracle.teacher),
        )
        self._own_oracle = None if isinstance(oracle, str) else oracle
        self._run_path = run
        self._link: PolicyLink | None = None
        self._is_live = False
        self._watches_ends = True
        self.run: RunDir | None = None
        """the run directory, once training has started"""

    @property
    def reward(self) -> LearnedReward | None:
        """The newest learned reward; None before the first."""
        return None if self._link is None else self._link.reward

    def wrap(self, venv: VecEnv) -> PreferenceVecEnv:
        """Put the recorder around ``venv``.

        What changes observations (VecFrameStack) or counts returns (VecMonitor) goes inside; VecNormalize
        goes around the result, with ``norm_reward=False``.

        Raises:
            ValueError: when ``venv`` is no VecEnv, is wrapped already, or holds a VecNormalize.
        """
        queries, seed = self._config.queries, self._config.seed
        film = make_clip_recorder(venv, self._config)
        return PreferenceVecEnv(
            venv, queries.segment_steps, _env_id(venv), seed, queries.within_episodes, film
        )

    def _on_training_start(self) -> None:
        venv = preference_venv(self.model)
        if self._link is None:
            steps = int(self.locals["total_timesteps"]) - self.model.num_timesteps
            self._link = self._start(venv, steps)
        elif self._link.recorder is not venv.recorder:
            _hand_over(self._link, venv)
        self._is_live = not install_buffer(self.model, self._link, self._config.agent.relabel)

    def _start(self, venv: PreferenceVecEnv, steps: int) -> PolicyLink:
        env = dataclasses.replace(
            self._config.env, id=venv.recorder.env_id, kwargs={}, num_envs=venv.num_envs, endless=False
        )
        path = self._run_path or Path("runs") / time.strftime("callback-%Y%m%d-%H%M%S")
        self.run, config = _create_or_continue(path, dataclasses.replace(self._config, env=env, steps=steps))
        specs = venv.observation_spec, venv.action_spec
        if self.run.spaces.exists() and self.run.specs() != specs:
            raise ValueError(
                f"{self.run.path} was recorded in {self.run.specs()}, this environment has {specs}"
            )
        self.run.write_specs(*specs)
        store = Store.open(self.run.store, create=True)
        venv.recorder.policy_step = int(store.counters().get("policy_step", 0))
        oracle = self._own_oracle
        if oracle is None and config.oracle.kind == "synthetic":
            oracle = SyntheticOracle(config.oracle.teacher, config.seed)
        if oracle is None:
            print(f"waiting for answers; give them with: prefrl label {self.run.path}", file=sys.stderr)
        others = helpers_in_process(self.run, store, config, *specs, oracle)
        return PolicyLink(self.run, store, config, venv.recorder, others)

    def _on_rollout_start(self) -> None:
        if self._is_live and self._link is not None:
            self._link.sync_if_due()

    def _on_step(self) -> bool:
        if self._watches_ends:
            infos = self.locals["infos"]
            ends = [
                not infos[env].get("TimeLimit.truncated", False) for env in self.locals["dones"].nonzero()[0]
            ]
            if any(ends):
                self._watches_ends = False
                warnings.warn(
                    "an episode ended by termination, which the agent can see: episode ends leak the task. "
                    "Wrap the environment in prefrl_envs.EndlessEpisodes, unless its episodes all end alike",
                    stacklevel=2,
                )
        return True

    def _on_training_end(self) -> None:
        # The last labels fall due with the last steps; ask for them before the run counts as done.
        if self._link is not None:
            self._link.sync()
        preference_venv(self.model).end_training()


def _env_id(venv: VecEnv) -> str:
    try:
        spec = venv.get_attr("spec")[0]
    except (AttributeError, NotImplementedError):
        return _UNREGISTERED
    return _UNREGISTERED if spec is None else str(spec.id)


def _hand_over(link: PolicyLink, venv: PreferenceVecEnv) -> None:
    """Let the loop go on in another environment, where the last one left off."""
    venv.recorder.policy_step, venv.recorder.reward_version = link.policy_step, link.version
    link.recorder = venv.recorder


def _create_or_continue(path: str | Path, config: RunConfig) -> tuple[RunDir, RunConfig]:
    """A new run directory, or the one that a callback of the same settings made, whose steps then count."""
    if RunDir(path).config_file.exists():
        run = RunDir.open(path)
        settled = dataclasses.replace(config, steps=run.config().steps)
        if run.config() == settled:
            return run, settled
        config = settled
    check_config(config)
    # Where another run is, this names what differs.
    return RunDir.create(path, config), config
