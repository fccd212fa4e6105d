"""Process 3: the learned reward is fitted to the comparisons."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence

import numpy as np

from prefrl.annotators import Answer, estimate_errors
from prefrl.config import RunConfig
from prefrl.data.types import LabelledQuery
from prefrl.loop.heap import trim_heap
from prefrl.loop.heartbeat import Heartbeat, StopFlag
from prefrl.loop.oracle_worker import labels_frozen
from prefrl.queries import LabelSchedule
from prefrl.reward import FitReport, RewardTrainer
from prefrl.reward.metrics import accuracy, pearson
from prefrl.reward.recovery import recover_reward, recover_trainer
from prefrl.storage import Store
from prefrl.storage.run_dir import RunDir
from prefrl.storage.versions import publish_version

__all__ = ["RewardWorker"]

logger = logging.getLogger(__name__)

_CORRELATION_SEGMENTS = 20
_PAGE_COMPARISONS = 64
"""loaded at once: image segments are large until the trainer has packed them"""


_SAVE_EVERY_S = 60.0
"""in a fit: what a killed worker has to do again, at most"""


class _StopAskedError(Exception):
    """Leaves a half-trained trainer behind, which must not be used: the next worker starts from the saved state."""


class RewardWorker:
    """Trains when new comparisons have come in and publishes a new version of the reward each time.

    Args:
        run: the run's directory, where versions are published.
        store: its open store.
        config: its settings.
        trainer: fits the ensemble; freshly made, it is brought up to date from the run directory.
        stop: ends a fit between two epochs. The worker that goes on ends that fit first.
    """

    def __init__(
        self,
        run: RunDir,
        store: Store,
        config: RunConfig,
        trainer: RewardTrainer,
        stop: StopFlag | None = None,
    ) -> None:
        self._run, self._store, self._config, self._trainer = run, store, config, trainer
        self._stop = stop or StopFlag()
        self._schedule = LabelSchedule(config.labels, config.steps, config.schedule)
        self._heartbeat = Heartbeat(store, "reward")
        self._seen_comparison = 0
        self._answers: dict[tuple[int, str], Answer] = {}
        """the answer that counts by query and annotator, oldest first"""
        self._has_repeats = False
        self._recover()

    def _recover(self) -> None:
        """Continue from what an earlier worker left, or fit anew from the comparisons what is damaged or lost."""
        counters = self._store.counters()
        found = recover_reward(self._run.reward, announced=int(counters.get("reward_version", 0)))
        self._reward, self._last_version = found.reward, found.last_version
        is_first = found.last_version == 0
        self._starts_over = is_first or found.problem is not None or counters.get("reward_refit", 0) > 0
        """whether the next fit is from untrained weights"""
        problem = found.problem or recover_trainer(
            self._trainer, self._run.trainer_state, self._starts_over, is_first
        )
        if problem is not None:
            logger.warning("%s; the reward is fitted again from the comparisons", problem)
            self._heartbeat.beat("recovering", f"{problem}; fitting again from the comparisons")
            self._starts_over = True
            self._store.set_counters({"reward_refit": 1.0})

    @property
    def finished(self) -> bool:
        """True when no comparison will come and all that came were learned from."""
        return labels_frozen(self._store, self._config) and self._is_up_to_date()

    def step(self) -> bool:
        """`fit`, as launchers call it."""
        return self.fit()

    def fit(self) -> bool:
        """Learn from the new comparisons, if any; returns whether it did, and False when stopped in between."""
        # Before the counts: labels counted too early are learned next, those never counted stall the run.
        last_comparison = self._store.last_comparison_id()
        counts = self._store.counts()
        waits_for_first = self._reward is None and counts.labels + counts.cant_tell < self._schedule.initial
        if waits_for_first or counts.labels == 0 or self._is_up_to_date():
            self._heartbeat.beat("waiting", f"version {self._version}, {counts.labels} labels")
            return False
        try:
            self._learn(counts.labels, last_comparison)
        except _StopAskedError:
            return False
        return True

    def _learn(self, labels: int, last_comparison: int) -> None:
        self._check_stop()
        record = self._take_in(last_comparison)
        errors = self._estimate_errors()
        report = self._fit(errors, labels)
        self._publish(report)
        record |= {f"annotator_error/{name}": error for name, error in errors.items()}
        self._announce(report, record, labels, last_comparison)
        trim_heap()

    def _check_stop(self) -> None:
        if self._stop.is_set:
            raise _StopAskedError

    def _take_in(self, last_comparison: int) -> dict[str, float | None]:
        """Give the trainer the comparisons up to this one; returns how the reward in force foretold them."""
        learned = int(self._store.counters().get("reward_comparison", 0))
        right, pairs = 0.0, 0
        while self._seen_comparison < last_comparison:
            self._check_stop()
            page = self._store.labelled(after=self._seen_comparison, limit=_PAGE_COMPARISONS)
            page = [label for label in page if (label.comparison.id or 0) <= last_comparison]
            self._seen_comparison = (page[-1].comparison.id or 0) if page else last_comparison
            self._trainer.update(page)
            self._note(page)
            # A restarted worker is given all again, what its reward was trained on included.
            fresh = [label for label in page if (label.comparison.id or 0) > learned]
            share, count = self._check_fresh(fresh)
            right, pairs = right + share * count, pairs + count
        return {"accuracy_fresh": right / pairs, "pairs_fresh": pairs} if pairs else {}

    def _note(self, page: Sequence[LabelledQuery]) -> None:
        for label in page:
            key = (label.comparison.query_id, label.comparison.annotator)
            # To the end, where a restarted worker, which is not given what was superseded, has it too.
            self._answers.pop(key, None)
            self._answers[key] = Answer.of(label)
            self._has_repeats |= label.query.repeat_of is not None

    def _estimate_errors(self) -> dict[str, float]:
        # Where no query was repeated on purpose the configured noise holds: the few pairs that chance asks twice
        # must not set it aside. Beyond that it is what an annotator is assumed to err before there is evidence.
        if not self._has_repeats:
            return {}
        return estimate_errors(list(self._answers.values()), self._config.reward.label_noise / 2)

    @property
    def _version(self) -> int:
        return 0 if self._reward is None else self._reward.version

    def _is_up_to_date(self) -> bool:
        if self._starts_over and self._store.counts().labels:
            return False
        return self._store.counters().get("reward_comparison", 0) >= self._store.last_comparison_id()

    def _fit(self, errors: Mapping[str, float], labels: int) -> FitReport:
        settings = self._config.reward
        epochs, most_queries = settings.epochs_per_update, math.inf
        if self._starts_over:
            epochs = settings.initial_epochs
        elif settings.queries_per_label is not None:
            # A change of mind is no label more, but has to be learned.
            new = max(1.0, labels - self._store.counters().get("reward_labels", 0.0))
            most_queries = settings.queries_per_label * new

        saved_s = time.monotonic()

        def on_epoch(done: int) -> None:
            nonlocal saved_s
            self._heartbeat.beat("fitting", f"epoch {done} of {epochs}")
            if done == epochs:
                return
            if self._stop.is_set or time.monotonic() - saved_s >= _SAVE_EVERY_S:
                self._trainer.save_state(self._run.trainer_state)
                saved_s = time.monotonic()
            self._check_stop()

        return self._trainer.fit(epochs, errors, on_epoch, most_queries)

    def _publish(self, report: FitReport) -> None:
        reward = self._trainer.snapshot(self._last_version + 1)
        # The state goes first: a worker killed in between must not find a version whose training is lost.
        self._trainer.save_state(self._run.trainer_state)
        publish_version(self._run.reward, reward.version, reward.save)
        self._reward, self._last_version, self._starts_over = reward, reward.version, False

    def _announce(
        self, report: FitReport, record: dict[str, float | None], labels: int, last_comparison: int
    ) -> None:
        counters = {
            "reward_version": float(self._version),
            "reward_labels": float(labels),
            "reward_comparison": float(last_comparison),
            "reward_step": self._store.counters().get("policy_step", 0.0),
            "reward_refit": 0.0,
        }
        if report.validation_accuracy is not None:
            counters["reward_accuracy_validation"] = report.validation_accuracy
        self._store.set_counters(counters)
        record |= {
            "labels": labels,
            "reward_version": self._version,
            "policy_step": counters["reward_step"],
            "epochs": report.epochs,
            "loss_train": report.train_loss,
            "loss_out_of_bag": report.out_of_bag_loss,
            "accuracy_train": report.train_accuracy,
            "accuracy_validation": report.validation_accuracy,
            "l2": report.l2,
            "correlation_true": self._correlation(),
        }
        known = {name: value for name, value in record.items() if value is not None}
        self._run.append_metrics({"source": "reward", **known})

    def _check_fresh(self, new: Sequence[LabelledQuery]) -> tuple[float, int]:
        """Share right and number of pairs in comparisons that are new to the version in force."""
        answered = [label for label in new if label.comparison.ranks is not None]
        if self._reward is None or not answered:
            return 0.0, 0
        predicted = self._reward.preference_probabilities([label.query for label in answered]).mean(axis=0)
        shares = [
            accuracy(scores[None, : len(label.query.segments)], np.array([label.comparison.ranks]))
            for scores, label in zip(predicted, answered, strict=True)
        ]
        pairs = sum(count for _, count in shares)
        right = sum(share * count for share, count in shares if count)
        return (right / pairs, pairs) if pairs else (0.0, 0)

    def _correlation(self) -> float | None:
        """Correlation of predicted and true reward a step, on the newest segments; for people to look at."""
        entries = self._store.pool(_CORRELATION_SEGMENTS)
        if self._reward is None or not entries:
            return None
        segments = self._store.segments([entry.id for entry in entries])
        predicted = [self._reward.predict(segment.observations, segment.actions) for segment in segments]
        value = pearson(
            np.concatenate(predicted), np.concatenate([segment.true_rewards for segment in segments])
        )
        return value if np.isfinite(value) else None
