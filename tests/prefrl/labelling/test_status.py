"""The status of a run as its annotators see it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from prefrl.config import OracleConfig, RunConfig
from prefrl.data.types import Comparison, Provenance, Query, Segment
from prefrl.labelling.status import LabellingStatus, StatusReader
from prefrl.storage import Store
from prefrl.storage.run_dir import RunDir

CONFIG = RunConfig(labels=4, steps=1000, oracle=OracleConfig("human"))


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir.create(tmp_path / "run", CONFIG)


@pytest.fixture
def store(run: RunDir) -> Iterator[Store]:
    """The store of a run whose policy is acting."""
    with Store.open(run.store, create=True) as store:
        store.beat("policy", os.getpid(), "acting", "step 500")
        store.set_counters({"policy_step": 500, "due_labels": 3, "reward_version": 0})
        yield store


def segment(number: int) -> Segment:
    flags, rewards = np.zeros(3, bool), np.full(3, number, np.float32)
    return Segment(rewards[:, None], rewards, rewards, flags, flags, Provenance("Test-v0", 0, number, 0))


def ask(store: Store, count: int) -> list[int]:
    pairs = [(segment(2 * number), segment(2 * number + 1)) for number in range(count)]
    for pair in pairs:
        store.add_segments(pair, keep_unqueried=100)
    return store.add_queries([Query(pair) for pair in pairs])


def status(run: RunDir) -> LabellingStatus:
    with closing(StatusReader(run, "ann")) as reader:
        return reader.newest()


def test_stats_have_the_run_s_numbers(run: RunDir, store: Store) -> None:
    ids = ask(store, 3)
    store.add_comparisons([Comparison(ids[0], (1, 2), "ann"), Comparison(ids[1], (1, 2), "bob")])
    run.append_metrics({"source": "reward", "policy_step": 400, "accuracy_validation": 0.75})
    stats = status(run).stats
    assert (stats.given, stats.due, stats.budget) == (2, 3, 4)
    assert (stats.step, stats.total_steps, stats.policy) == (500, 1000, "acting")
    assert stats.accuracies == (0.75,)
    assert (stats.labels_per_minute, stats.reward_age_s) == (None, None)


def test_only_labels_of_this_session_and_annotator_count_as_own(run: RunDir, store: Store) -> None:
    ids = ask(store, 4)
    store.add_comparisons([Comparison(ids[0], (1, 2), "ann")])
    with closing(StatusReader(run, "ann")) as reader:
        assert reader.newest().stats.mine == 0
        store.add_comparisons([Comparison(ids[1], (1, 2), "ann"), Comparison(ids[2], (1, 2), "bob")])
        assert reader.labels_given() == 1
        store.add_comparisons([Comparison(ids[0], None, "ann"), Comparison(ids[1], None, "ann")])
        assert reader.labels_given() == 0


@pytest.mark.parametrize(("labels", "is_done"), [(3, False), (4, True)])
def test_labelling_is_done_when_the_budget_is_used(
    run: RunDir, store: Store, labels: int, is_done: bool
) -> None:
    store.add_comparisons([Comparison(number, (1, 2), "bob") for number in ask(store, 5)[:labels]])
    assert status(run).is_done == is_done


def test_labelling_is_done_when_the_run_is_finished(run: RunDir, store: Store) -> None:
    run.result.write_text("{}")
    assert status(run).is_done


def test_a_run_that_is_not_running_says_how_to_continue(run: RunDir, store: Store) -> None:
    store.beat("policy", os.getpid(), "stopped")
    assert status(run).waiting_reason.endswith(f"To continue it, run `prefrl resume {run.path}`.")


def test_without_queries_the_number_of_segments_is_shown(run: RunDir, store: Store) -> None:
    store.add_segments([segment(1), segment(2)], keep_unqueried=100)
    reason = status(run).waiting_reason
    assert reason.startswith("Collecting the first clips: 2 of ")


@pytest.mark.parametrize(
    ("leased", "answered", "reason"),
    [
        ({}, 0, "Your next clips are being prepared."),
        ({"ann": 1, "bob": 2}, 0, "Your next clips are being prepared."),
        ({"bob": 3}, 0, "Other people are answering all open queries."),
        ({}, 3, "All labels due so far are given. The agent keeps training, and new clips will follow."),
    ],
)
def test_the_reason_to_wait(
    run: RunDir, store: Store, leased: dict[str, int], answered: int, reason: str
) -> None:
    ids = ask(store, 3)
    for annotator, count in leased.items():
        assert len(store.lease_batch(annotator, 60.0, count)) == count
    store.add_comparisons([Comparison(number, (1, 2), "bob") for number in ids[:answered]])
    assert status(run).waiting_reason == reason


def test_with_labels_due_and_no_open_query_the_next_are_being_selected(run: RunDir, store: Store) -> None:
    store.add_comparisons([Comparison(number, (1, 2), "bob") for number in ask(store, 2)])
    assert status(run).waiting_reason == "The next queries are being selected."


def test_the_heartbeat_ends_with_away(run: RunDir, store: Store) -> None:
    reader = StatusReader(run, "ann")
    reader.is_at_work = True
    reader.close()
    (seen,) = [worker for worker in store.workers() if worker.name == "annotator ann"]
    assert seen.state == "away"
