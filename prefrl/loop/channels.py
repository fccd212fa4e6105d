"""The policy's ends of the channels: segments go out, learned rewards and answers come in."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np

from prefrl.config import RunConfig
from prefrl.data.types import LabelledQuery
from prefrl.loop.agent import Rollout
from prefrl.loop.heartbeat import Heartbeat, StopFlag
from prefrl.loop.oracle_worker import labelling_done
from prefrl.queries import LabelSchedule, initial_segments
from prefrl.queries.query_selection import num_askable_segments
from prefrl.recording.segment_recorder import Recording
from prefrl.reward import LearnedReward
from prefrl.reward.source import NoReward, RewardSource
from prefrl.storage import Episode, Store
from prefrl.storage.run_dir import RunDir
from prefrl.storage.versions import latest_version

__all__ = ["POLL_S", "Channels"]

POLL_S = 0.02
_METRICS_EVERY_S = 1.0


class Channels:
    """Hands segments to the store and learned rewards to the agent.

    `upload`, `wait` and `newest_reward` are called in turn for each rollout. Rollouts of a few steps are gathered, and
    exchanged with the store at intervals; in between all three do nothing.

    Args:
        run: the run's directory.
        store: its open store.
        config: its settings.
        stop: ends a wait.
    """

    def __init__(self, run: RunDir, store: Store, config: RunConfig, stop: StopFlag | None = None) -> None:
        self.exchange_every_steps = 0
        """steps between two exchanges with the store, at least; 0 exchanges every rollout"""
        self.has_exchanged = False
        """whether the last `upload` reached the store"""
        self._run, self._store, self._config = run, store, config
        self._schedule = LabelSchedule(config.labels, config.steps, config.schedule)
        self._stop = stop or StopFlag()
        self._heartbeat = Heartbeat(store, "policy")
        self._reward: RewardSource = NoReward(*run.specs())
        self._waiting: list[Recording] = []
        """what was recorded since the last exchange"""
        self._metrics: dict[str, float] = {}
        self._seen_comparison = 0
        self.resume_at(0)
        self._refresh()

    @property
    def reward(self) -> RewardSource:
        """The reward in force, without a look for a newer one."""
        return self._reward

    def resume_at(self, policy_step: int) -> None:
        """Count steps from here: what a saved agent did before is not this process's speed."""
        self.policy_step = self._exchanged_step = self._metrics_step = policy_step
        self._metrics_s = time.monotonic()

    def upload(self, rollout: Rollout) -> None:
        """Hand over what was recorded.

        Raises:
            ValueError: when the steps are used up and too few segments were recorded to ask about any.
        """
        self.policy_step = rollout.recording.policy_step
        self._waiting.append(rollout.recording)
        self.has_exchanged = self.policy_step - self._exchanged_step >= self.exchange_every_steps
        if self.has_exchanged:
            self.flush()

    def flush(self) -> None:
        """Hand over what is left, after the last step. Raises as `upload`."""
        self.has_exchanged = True
        segments = [segment for each in self._waiting for segment in each.segments]
        clips = {name: clip for each in self._waiting for name, clip in each.clips.items()}
        episodes = [Episode(*episode) for each in self._waiting for episode in each.episodes]
        self._waiting.clear()
        if segments:
            self._store.add_segments(segments, self._config.runtime.pool_segments, clips)
        if episodes:
            self._store.add_episodes(episodes)
        due = self._schedule.due(self.policy_step)
        self._store.set_counters({"policy_step": self.policy_step, "due_labels": due})
        self._exchanged_step = self.policy_step
        self._check_segments()

    def wait(self) -> None:
        """Wait until the policy may continue."""
        while self.must_wait():
            self._stop.sleep(POLL_S)

    def must_wait(self) -> bool:
        """Whether the policy has to wait for labels or their reward; says so in its heartbeat."""
        if not self.has_exchanged or self._stop.is_set:
            return False
        self._refresh()
        waits_for = self._waits_for()
        if waits_for is not None:
            self._heartbeat.beat("waiting", waits_for)
        return waits_for is not None

    def newest_reward(self) -> RewardSource:
        """The newest learned reward; `NoReward` before the first."""
        if self.has_exchanged:
            self._refresh()
            self._heartbeat.beat("acting", f"step {self.policy_step}")
            self._log()
        return self._reward

    def answers(self) -> list[LabelledQuery]:
        """The answers that came in since the last call, oldest first; all of them at the first."""
        new = self._store.labelled(after=self._seen_comparison)
        if new:
            self._seen_comparison = new[-1].comparison.id or 0
        return new

    def log_metrics(self, metrics: Mapping[str, float]) -> None:
        """Keep the agent's own figures, by name, for the next record in ``metrics.jsonl``."""
        self._metrics |= metrics

    def heartbeat(self, state: str, detail: str) -> None:
        """Say what the agent does before it acts ("fine-tuning"), and how far it is."""
        self._heartbeat.beat(state, detail)

    def _check_segments(self) -> None:
        """Without the first segments nothing is ever asked, and a run without labels would wait without end."""
        if self._reward.version or self.policy_step < self._config.steps:
            return
        recorded, needed = num_askable_segments(self._store, self._config), initial_segments(self._config)
        if recorded < needed:
            raise ValueError(
                f"{recorded} segments of {self._config.queries.segment_steps} steps were recorded in "
                f"{self.policy_step:,} steps, the first queries need {needed}; take shorter segments with "
                "queries.segment_steps, or let them cross the ends of episodes with queries.within_episodes false"
            )

    def _refresh(self) -> None:
        latest = latest_version(self._run.reward, newer_than=self._reward.version)
        if latest is not None:
            self._reward = LearnedReward.load(latest[1])

    def _waits_for(self) -> str | None:
        """What the policy has to wait for, in words; None when it may continue."""
        has_reward = self._reward.version > 0
        limit = self._config.runtime.max_label_lag
        if not has_reward:
            if num_askable_segments(self._store, self._config) < initial_segments(self._config):
                return None
            limit = 0
        elif limit is None:
            return None
        else:
            # Queries are asked in batches: a policy that waits for less than one would wait without end.
            limit = max(limit, self._config.queries.batch)
        counters = self._store.counters()
        lag = int(counters["due_labels"] - counters.get("reward_labels", 0))
        if self._waits_for_people(counters):
            return f"the last {lag} labels"
        # "Can't tell" answers are no labels, but they are answers: a teacher that skips must not stall the policy.
        lag -= self._store.counts().cant_tell
        return f"{lag} due labels that its reward has not seen" if lag > limit else None

    def _waits_for_people(self, counters: Mapping[str, float]) -> bool:
        """Whether all is asked and people still answer: they take longer than the steps that are left would."""
        is_all_asked = counters["due_labels"] == self._config.labels and self._reward.version > 0
        asks_people_alone = self._config.oracle.kind == "human"
        return asks_people_alone and is_all_asked and not labelling_done(self._store, self._config)

    def _log(self) -> None:
        now_s = time.monotonic()
        # The last step is exchanged more than once; the first time is recorded, however soon it comes.
        is_last = self._metrics_step < self._config.steps <= self.policy_step
        is_due = now_s - self._metrics_s >= _METRICS_EVERY_S and self.policy_step != self._metrics_step
        if not (is_due or is_last):
            return
        # A policy that went back to its saved agent may be behind the step its reward was made at.
        reward_step = int(self._store.counters().get("reward_step", 0))
        record: dict[str, float | int | str] = {
            "source": "policy",
            "policy_step": self.policy_step,
            "steps_per_s": (self.policy_step - self._metrics_step) / max(now_s - self._metrics_s, 1e-9),
            "reward_version": self._reward.version,
            "reward_staleness_steps": max(0, self.policy_step - reward_step),
        }
        episodes = self._store.recent_episodes(20)
        if episodes:
            record["true_return"] = float(np.mean([episode.true_return for episode in episodes]))
        self._run.append_metrics({**record, **self._metrics})
        self._metrics_s, self._metrics_step = now_s, self.policy_step
