"""From repeated queries to the noise that the reward is fitted with."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prefrl.config import QueryConfig, RewardConfig, RunConfig, ScheduleConfig, TeacherConfig
from prefrl.data.spaces import SpaceSpec
from prefrl.data.types import Comparison, Query
from prefrl.loop import OracleWorker, RewardWorker
from prefrl.oracles import SyntheticOracle
from prefrl.reward import RewardTrainer
from prefrl.runtime.tensorboard import scalars
from prefrl.storage import Store
from prefrl.storage.metrics_file import read_metrics
from prefrl.storage.run_dir import RunDir

Specs = tuple[SpaceSpec, SpaceSpec]
Errors = dict[str, float]

CONFIG = RunConfig(
    labels=600,
    steps=1000,
    schedule=ScheduleConfig(initial_share=0.5),
    queries=QueryConfig(sampler="uniform", batch=100, repeat_share=1.0, window_segments=2000),
    reward=RewardConfig(hidden=(4,), members=1, initial_epochs=1, epochs_per_update=1),
)


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[Errors]:
    """What every fit was told of the annotators' errors."""
    told: list[Errors] = []
    fit = RewardTrainer.fit

    def spy(self: RewardTrainer, epochs: int, annotator_error: Errors, *rest: Any) -> Any:
        told.append(dict(annotator_error))
        return fit(self, epochs, annotator_error, *rest)

    monkeypatch.setattr(RewardTrainer, "fit", spy)
    return told


def worker(run: RunDir, store: Store, config: RunConfig, specs: Specs) -> RewardWorker:
    return RewardWorker(run, store, config, RewardTrainer(*specs, config.reward, config.seed))


def ask_and_answer(run: RunDir, store: Store, config: RunConfig, mistake: float) -> None:
    """Label as the schedule wants it, in the name of two annotators who take turns."""
    teacher = TeacherConfig(mistake=mistake)
    good, bad = SyntheticOracle(TeacherConfig(), 0, "good"), SyntheticOracle(teacher, 0, "bad")
    asker = OracleWorker(run, store, config, None)
    while asker.step():
        for turn in range(config.labels):
            oracle = (good, bad)[turn % 2]
            query = store.lease(oracle.name, 60.0)
            if query is None:
                break
            store.add_comparisons([oracle.answer(query)])


@pytest.mark.slow
def test_the_error_of_a_mistaken_annotator_reaches_the_fit_and_a_restarted_worker(
    tmp_path: Path, specs: Specs, make_segments: Callable[..., Any], given: list[Errors]
) -> None:
    run = RunDir.create(tmp_path / "run", CONFIG)
    with Store.open(run.store, create=True) as store:
        store.add_segments(make_segments(1200), 2000)
        store.set_counters({"policy_step": 0})
        ask_and_answer(run, store, CONFIG, mistake=0.25)
        first = worker(run, store, CONFIG, specs)
        assert first.step()
        assert given == [{}]  # every query of the first batch is new
        store.set_counters({"policy_step": CONFIG.steps})
        ask_and_answer(run, store, CONFIG, mistake=0.25)
        assert first.step()
        assert given[1] == pytest.approx({"good": 0.0, "bad": 0.25}, abs=0.06)
        # A change of mind counts once, for the lost worker and for the one that takes its place.
        changed = next(label.comparison for label in store.labelled() if label.query.repeat_of is not None)
        assert changed.ranks is not None
        store.add_comparisons([Comparison(changed.query_id, changed.ranks[::-1], changed.annotator)])
        assert first.step()
        restarted = worker(run, store, CONFIG, specs)
        store.set_counters({"reward_comparison": 0})
        assert restarted.step()
        assert given[2] == given[3] != given[1]
    records, _ = read_metrics(run.metrics)
    assert "annotator_error/good" not in records[0]
    assert records[1]["annotator_error/bad"] == given[1]["bad"]
    assert scalars(records[1])["reward/annotator_error/bad"] == given[1]["bad"]


def test_without_repeats_the_configured_noise_holds_whatever_chance_asks_twice(
    tmp_path: Path, specs: Specs, make_segments: Callable[..., Any], given: list[Errors]
) -> None:
    run = RunDir.create(tmp_path / "run", CONFIG)
    with Store.open(run.store, create=True) as store:
        segments = make_segments(4)
        store.add_segments(segments, 10)
        pairs = [segments[:2], segments[2:]] * 150
        for query in store.add_queries([Query(tuple(pair)) for pair in pairs]):
            store.add_comparisons([Comparison(query, (1, 2))])
        assert worker(run, store, CONFIG, specs).step()
    assert given == [{}]


def test_repeats_are_labels_like_any_other(
    tmp_path: Path, specs: Specs, make_segments: Callable[..., Any]
) -> None:
    config = dataclasses.replace(
        CONFIG, labels=60, queries=dataclasses.replace(CONFIG.queries, batch=10, repeat_share=0.4)
    )
    run = RunDir.create(tmp_path / "run", config)
    trainer = RewardTrainer(*specs, config.reward, config.seed)
    with Store.open(run.store, create=True) as store:
        store.add_segments(make_segments(150), 2000)
        store.set_counters({"policy_step": config.steps})
        oracle = OracleWorker(run, store, config, SyntheticOracle(TeacherConfig(), 0))
        learner = RewardWorker(run, store, config, trainer)
        while any([oracle.step(), learner.step()]):
            pass
        assert oracle.finished
        assert learner.finished
        queries = [store.query_record(number) for number in range(1, store.counts().queries + 1)]
        assert sum(query.repeat_of is not None for query in queries) == pytest.approx(0.4 * 45, abs=9)
        assert (len(queries), store.counts().labels, trainer.num_labels) == (60, 60, 60)
        assert store.counters()["reward_labels"] == 60
