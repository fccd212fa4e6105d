"""The policy's side of the loop: what happens between the agent's rollouts."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np

from prefrl.config import RunConfig
from prefrl.data.types import LabelledQuery
from prefrl.loop.heartbeat import Heartbeat, StopFlag
from prefrl.loop.oracle_worker import labelling_done
from prefrl.queries import LabelSchedule, initial_segments
from prefrl.queries.query_selection import num_askable_segments
from prefrl.recording.segment_recorder import SegmentRecorder
from prefrl.reward import LearnedReward
from prefrl.storage import Episode, Store
from prefrl.storage.run_dir import RunDir
from prefrl.storage.versions import latest_version

__all__ = ["PolicyLink"]

_METRICS_EVERY_S = 1.0
_POLL_S = 0.02
_SYNC_STEPS = 250


class PolicyLink:
    """Hands segments to the store and learned rewards to the agent.

    Whoever trains an agent calls `sync` between rollouts; a worker process and an SB3 callback do alike.

    Args:
        run: the run's directory.
        store: its open store.
        config: its settings.
        recorder: where the environments' steps go.
        others: called at each sync, to run the other workers within this process; None when they have their own.
        stop: asked while waiting.
    """

    def __init__(
        self,
        run: RunDir,
        store: Store,
        config: RunConfig,
        recorder: SegmentRecorder,
        others: Callable[[], None] | None = None,
        stop: StopFlag | None = None,
    ) -> None:
        self.reward: LearnedReward | None = None
        """the newest learned reward; None before the first"""
        self.recorder = recorder
        self._run, self._store, self._config = run, store, config
        self._schedule = LabelSchedule(config.labels, config.steps, config.schedule)
        self._others, self._stop = others, stop or StopFlag()
        self._pulse = Heartbeat(store, "policy")
        self._predicted_mean: float | None = None
        self._figures: dict[str, float] = {}
        self._seen_comparison = 0
        self._metrics_s, self._metrics_step = time.monotonic(), recorder.policy_step
        self._synced_step = recorder.policy_step
        self._refresh()

    @property
    def policy_step(self) -> int:
        """Environment steps so far, over all environments."""
        return self.recorder.policy_step

    @property
    def version(self) -> int:
        """Version of the learned reward in force; 0 before the first."""
        return 0 if self.reward is None else self.reward.version

    def resume_at(self, policy_step: int) -> None:
        """Count steps from here: a saved agent goes on, and what it did before is not this process's speed."""
        self.recorder.policy_step = self._metrics_step = self._synced_step = policy_step

    def predict(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray | None:
        """Learned reward of steps (..., *obs), (..., *act), both encoded; None before the first version."""
        if self.reward is None:
            return None
        predicted = self.reward.predict(observations, actions)
        self._predicted_mean = float(predicted.mean())
        return predicted

    def sync(self) -> None:
        """Upload what was recorded, let the others work, take the newest reward, wait where the run demands it.

        Raises:
            ValueError: when the steps are used up and too few segments were recorded to ask about any.
        """
        self._upload()
        self._check_segments()
        while True:
            if self._others is not None:
                self._others()
            self._refresh()
            waits_for = self._waits_for()
            if waits_for is None or self._stop.is_set:
                break
            self._pulse.beat("waiting", waits_for)
            self._stop.sleep(_POLL_S)
        self._synced_step = self.policy_step
        self._pulse.beat("acting", f"step {self.policy_step}")
        self._log()

    def sync_if_due(self) -> None:
        """`sync`, unless it was done a few hundred steps ago: for agents that learn at every step."""
        if self.policy_step - self._synced_step >= _SYNC_STEPS:
            self.sync()

    def take_answers(self) -> list[LabelledQuery]:
        """The answers that count and came in since the last call, oldest first; all of them at the first."""
        new = self._store.labelled(after=self._seen_comparison)
        if new:
            self._seen_comparison = new[-1].comparison.id or 0
        return new

    def log_metrics(self, figures: Mapping[str, float]) -> None:
        """Keep the agent's own figures, by name, for the next metrics."""
        self._figures |= figures

    def beat(self, state: str, detail: str) -> None:
        """Say what the agent does before it acts, "fine-tuning" say, and how far it is."""
        self._pulse.beat(state, detail)

    def _upload(self) -> None:
        segments, clips = self.recorder.take(), self.recorder.take_clips()
        if self.recorder.is_filmed:
            # People could not be asked about the others.
            segments = [segment for segment in segments if segment.id in clips]
        if segments:
            self._store.add_segments(segments, self._config.runtime.pool_segments, clips)
        episodes = [Episode(*episode) for episode in self.recorder.take_episodes()]
        if episodes:
            self._store.add_episodes(episodes)
        due = self._schedule.due(self.policy_step)
        self._store.set_counters({"policy_step": self.policy_step, "due_labels": due})

    def _check_segments(self) -> None:
        """Without the first segments nothing is ever asked, and a run without labels would wait for ever."""
        if self.reward is not None or self.policy_step < self._config.steps:
            return
        recorded, needed = num_askable_segments(self._store, self._config), initial_segments(self._config)
        if recorded < needed:
            raise ValueError(
                f"{recorded} segments of {self._config.queries.segment_steps} steps were recorded in "
                f"{self.policy_step:,} steps, the first queries need {needed}; take shorter segments with "
                "queries.segment_steps, or let them cross the ends of episodes with queries.within_episodes false"
            )

    def _refresh(self) -> None:
        latest = latest_version(self._run.reward, newer_than=self.version)
        if latest is not None:
            self.reward = LearnedReward.load(latest[1])
            self.recorder.reward_version = self.reward.version

    def _waits_for(self) -> str | None:
        """What the policy has to wait for, in words; None when it may go on."""
        limit = self._config.runtime.max_label_lag
        if self.reward is None:
            limit = 0
        elif limit is None:
            return None
        else:
            # Queries are asked in batches: a policy that waits for less than one would wait for ever.
            limit = max(limit, self._config.queries.batch)
        counters = self._store.counters()
        if self.reward is None and num_askable_segments(self._store, self._config) < initial_segments(
            self._config
        ):
            return None
        lag = int(counters["due_labels"] - counters.get("reward_labels", 0))
        if self._waits_for_people(counters):
            return f"the last {lag} labels"
        # "Can't tell" answers are no labels, but they are answers: a teacher that skips must not stall the policy.
        lag -= self._store.counts().cant_tell
        return f"{lag} due labels that its reward has not seen" if lag > limit else None

    def _waits_for_people(self, counters: Mapping[str, float]) -> bool:
        """Whether all is asked and people still answer: they take longer than the steps that are left would."""
        is_all_asked = counters["due_labels"] == self._config.labels and self.reward is not None
        asks_people_alone = self._config.oracle.kind == "human"
        return asks_people_alone and is_all_asked and not labelling_done(self._store, self._config)

    def _log(self) -> None:
        now_s = time.monotonic()
        # The agent syncs several times at its last step; the first of them is recorded, however soon it comes.
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
            "reward_version": self.recorder.reward_version,
            "reward_staleness_steps": max(0, self.policy_step - reward_step),
        }
        episodes = self._store.recent_episodes(20)
        if episodes:
            record["true_return"] = float(np.mean([episode.true_return for episode in episodes]))
        if self._predicted_mean is not None:
            record["predicted_reward"] = self._predicted_mean
        self._run.append_metrics({**record, **self._figures})
        self._metrics_s, self._metrics_step = now_s, self.policy_step
