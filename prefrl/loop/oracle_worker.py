"""Process 2: queries are chosen and answered."""

from __future__ import annotations

import numpy as np

from prefrl.config import RunConfig
from prefrl.config.modality import modality_of
from prefrl.data.types import Comparison
from prefrl.loop.heartbeat import Heartbeat, is_anybody_labelling
from prefrl.oracles import Oracle, SyntheticOracle
from prefrl.queries import LabelSchedule, initial_segments
from prefrl.queries.query_selection import ask_queries, choose_queries, num_askable_segments
from prefrl.reward import LearnedReward
from prefrl.storage import Counts, Store
from prefrl.storage.run_dir import RunDir
from prefrl.storage.versions import latest_version

__all__ = ["OracleWorker", "labelling_done", "labels_frozen"]


_MOST_CANT_TELL_A_LABEL = 10


def labelling_done(store: Store, config: RunConfig) -> bool:
    """True when the label budget is used up, or no further answer is to be waited for."""
    counts = store.counts()
    # People's answers still missing when the policy is through are not waited for.
    is_late = config.oracle.kind == "human" and store.counters().get("trained", 0) == 1
    return counts.labels >= config.labels or _gives_up(counts, config) or is_late


def labels_frozen(store: Store, config: RunConfig) -> bool:
    """True when none will come, be taken back or be given otherwise; people may do so until the policy is through."""
    is_open = config.oracle.asks_people and store.counters().get("trained", 0) != 1
    return not is_open and labelling_done(store, config)


class OracleWorker:
    """Keeps as many queries asked as labels are due, and answers them when the oracle is a program.

    Args:
        run: the run's directory, where the learned reward appears.
        store: its open store.
        config: its settings.
        oracle: who answers here; None when people answer from elsewhere.
    """

    def __init__(self, run: RunDir, store: Store, config: RunConfig, oracle: Oracle | None) -> None:
        self._run, self._store, self._config, self._oracle = run, store, config, oracle
        self._schedule = LabelSchedule(config.labels, config.steps, config.schedule)
        self._heartbeat = Heartbeat(store, "oracle")
        self._reward: LearnedReward | None = None

    @property
    def finished(self) -> bool:
        """True when no label is left to ask for, or nobody is left to give or use it."""
        return labels_frozen(self._store, self._config)

    def step(self) -> bool:
        """Ask what is due and answer what is open; returns whether anything was done."""
        asked = self.ask()
        return self.answer() or asked

    def ask(self) -> bool:
        """Choose the queries that are due and ask them; returns whether there were any."""
        counts = self._store.counts()
        policy_step = int(self._store.counters().get("policy_step", 0))
        count = self._queries_missing(counts, policy_step)
        if count == 0:
            self._heartbeat.beat(
                "waiting", f"{counts.labels} labels given, {self._schedule.due(policy_step)} due"
            )
            return False
        # Only the first queries come from the untrained policy alone, so only they wait for enough of its segments.
        needed = initial_segments(self._config)
        recorded = num_askable_segments(self._store, self._config)
        if recorded < needed:
            self._heartbeat.beat("waiting", f"{recorded} of the first {needed} segments recorded")
            return False
        self._heartbeat.beat("choosing", f"{count} queries")
        self._refresh()
        # Seeded by how many were asked before, a restarted worker chooses as the lost one would have.
        rng = np.random.default_rng([self._config.seed, counts.queries])
        modality = modality_of(self._run.specs()[0])
        queries = choose_queries(self._store, self._reward, self._config, count, policy_step, rng, modality)
        ask_queries(self._store, queries, is_shown=self._config.oracle.asks_people)
        return True

    def _queries_missing(self, counts: Counts, policy_step: int) -> int:
        """How many queries to ask now: whole batches, so that updates of the reward stay few."""
        if _gives_up(counts, self._config):
            return 0
        asked = counts.labels + counts.open_queries
        missing = self._schedule.due(policy_step) - asked
        if asked < self._schedule.initial:
            return self._schedule.initial - asked
        batch = min(self._config.queries.batch, self._config.labels - asked)
        return batch if 0 < batch <= missing else 0

    def answer(self) -> bool:
        """Answer what is open, where the oracle is a program; returns whether there was anything."""
        if self._oracle is None or self._is_relieved():
            return False
        if isinstance(self._oracle, SyntheticOracle):
            episodes = self._store.recent_episodes(10)
            self._oracle.observe_episodes(
                [(episode.true_return, episode.length_steps) for episode in episodes]
            )
        answered = 0
        while (count := self._answer_batch(self._oracle)) > 0:
            answered += count
        return answered > 0

    def _is_relieved(self) -> bool:
        """Whether a person answers in this oracle's place."""
        return self._config.oracle.kind == "mixed" and is_anybody_labelling(self._store)

    def _answer_batch(self, oracle: Oracle) -> int:
        """Answer a batch of open queries and save the answers together: the reward is fitted to them once."""
        runtime = self._config.runtime
        ids = self._store.lease_batch(oracle.name, runtime.lease_s, self._config.queries.batch)
        answers: list[Comparison] = []
        try:
            for query_id in ids:
                self._heartbeat.beat("answering", f"query {query_id}")
                answers.append(oracle.answer(self._store.query(query_id)))
        finally:
            # What an oracle answered before it failed may have been dear.
            if answers:
                self._store.add_comparisons(answers)
        return len(answers)

    def _refresh(self) -> None:
        latest = latest_version(self._run.reward, newer_than=self._reward.version if self._reward else 0)
        if latest is not None:
            self._reward = LearnedReward.load(latest[1])


def _gives_up(counts: Counts, config: RunConfig) -> bool:
    """An oracle that can hardly ever tell would be asked without end, as such answers cost no label."""
    return counts.cant_tell >= _MOST_CANT_TELL_A_LABEL * config.labels
