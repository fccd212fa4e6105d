"""Process 1: the policy acts and is trained on the learned reward."""

from __future__ import annotations

import time
from dataclasses import asdict

from prefrl.config import RunConfig
from prefrl.loop.agent import Agent, Rollout
from prefrl.loop.channels import Channels
from prefrl.loop.heartbeat import Heartbeat
from prefrl.storage import Store
from prefrl.storage.durable import write_json_atomic
from prefrl.storage.run_dir import RunDir

__all__ = ["PolicyWorker"]


class PolicyWorker:
    """Steps the agent until the run's steps are done, saves it on the way, evaluates it at the end.

    Args:
        run: the run's directory.
        store: its open store.
        config: its settings.
        agent: acts and learns.
        channels: to and from the other two workers.
    """

    def __init__(
        self, run: RunDir, store: Store, config: RunConfig, agent: Agent, channels: Channels
    ) -> None:
        self._run, self._store, self._config = run, store, config
        self.agent, self.channels = agent, channels
        self._heartbeat = Heartbeat(store, "policy")
        self._saved_step = agent.policy_step
        # A restarted worker continues the count; the time until it was there again is not the agent's.
        self._start_s = time.monotonic() - store.counters().get("training_s", 0.0)

    @property
    def finished(self) -> bool:
        """True when the result of the evaluation is in the run directory."""
        return self._store.counters().get("policy_finished", 0) == 1

    def step(self) -> bool:
        """One rollout and its update, or the final evaluation; always True, as there is always something to do."""
        rollout = self.collect()
        self.channels.wait()  # only where the settings say so
        self.learn(rollout)
        return True

    def collect(self) -> Rollout | None:
        """Act for one rollout and hand over what was recorded; None once all steps are taken."""
        if self.agent.policy_step >= self._config.steps:
            self.channels.flush()
            return None
        rollout = self.agent.collect()
        self.channels.upload(rollout)
        return rollout

    def learn(self, rollout: Rollout | None) -> None:
        """Put the newest learned reward into the rollout and learn from it; without a rollout, end the run."""
        reward = self.channels.newest_reward()
        if rollout is None:
            self._finish()
            return
        self.agent.label(rollout, reward)
        self.agent.learn(rollout)
        self.channels.log_metrics(self.agent.metrics())
        if self.channels.has_exchanged:
            self._store.set_counters({"training_s": time.monotonic() - self._start_s})
            if self.agent.policy_step - self._saved_step >= self._config.runtime.checkpoint_steps:
                self.save()

    def save(self) -> None:
        """Save the agent, so that a restarted worker continues from here."""
        self._heartbeat.beat("saving")
        self.agent.save(self._run.agent)
        self._saved_step = self.agent.policy_step

    def close(self) -> None:
        """Close the environments."""
        self.agent.close()

    def _finish(self) -> None:
        self.save()
        self._store.set_counters({"policy_step": self.agent.policy_step, "trained": 1})
        self._heartbeat.beat("evaluating", f"{self._config.eval_episodes} episodes")
        evaluation = self.agent.evaluate(self._config.eval_episodes, self._config.seed)
        write_json_atomic(self._run.evaluation, asdict(evaluation))
        self._store.set_counters({"policy_finished": 1})
