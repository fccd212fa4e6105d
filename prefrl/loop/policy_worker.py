"""Process 1: the policy acts and is trained on the learned reward."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

from prefrl.config import RunConfig
from prefrl.data.types import Evaluation
from prefrl.loop.heartbeat import Heartbeat
from prefrl.storage import Store
from prefrl.storage.durable import write_json_atomic
from prefrl.storage.run_dir import RunDir

__all__ = ["Agent", "PolicyWorker"]


class Agent(Protocol):
    """All the loop asks of an agent."""

    @property
    def policy_step(self) -> int:
        """Environment steps taken, over all environments."""

    def step(self) -> None:
        """Act for one rollout and learn from it, syncing with the loop in between."""

    def save(self, folder: Path) -> None:
        """Write everything needed to go on into ``folder``, whole or not at all."""

    def evaluate(self, episodes: int, seed: int) -> Evaluation:
        """Act deterministically in the ordinary environment."""

    def close(self) -> None:
        """Let go of the environments."""


class PolicyWorker:
    """Steps the agent until the run's steps are done, saves it on the way, evaluates it at the end."""

    def __init__(self, run: RunDir, store: Store, config: RunConfig, agent: Agent) -> None:
        self._run, self._store, self._config, self._agent = run, store, config, agent
        self._pulse = Heartbeat(store, "policy")
        self._saved_step = agent.policy_step
        # A restarted worker goes on counting; the time until it was there again is not the agent's.
        self._start_s = time.monotonic() - store.counters().get("training_s", 0.0)

    @property
    def finished(self) -> bool:
        """True when the result of the evaluation is in the run directory."""
        return self._store.counters().get("policy_finished", 0) == 1

    def step(self) -> bool:
        """One rollout, or the final evaluation; always does something, so always True."""
        if self._agent.policy_step >= self._config.steps:
            self._finish()
            return True
        self._agent.step()
        self._store.set_counters({"training_s": time.monotonic() - self._start_s})
        if self._agent.policy_step - self._saved_step >= self._config.runtime.checkpoint_steps:
            self.save()
        return True

    def save(self) -> None:
        """Save the agent, so that a restarted worker goes on from here."""
        self._pulse.beat("saving")
        self._agent.save(self._run.agent)
        self._saved_step = self._agent.policy_step

    def close(self) -> None:
        """Let go of the environments."""
        self._agent.close()

    def _finish(self) -> None:
        self.save()
        self._store.set_counters({"policy_step": self._agent.policy_step, "trained": 1})
        self._pulse.beat("evaluating", f"{self._config.eval_episodes} episodes")
        evaluation = self._agent.evaluate(self._config.eval_episodes, self._config.seed)
        write_json_atomic(self._run.evaluation, asdict(evaluation))
        self._store.set_counters({"policy_finished": 1})
