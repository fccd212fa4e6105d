"""The reward worker killed between its steps: what the next one finds, and makes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from safetensors.numpy import load_file

import prefrl.loop.reward_worker as reward_module
from prefrl.config import RewardConfig, RunConfig, ScheduleConfig
from prefrl.data.spaces import SpaceSpec
from prefrl.data.types import Comparison, Provenance, Query, Segment
from prefrl.loop import RewardWorker, StopFlag
from prefrl.reward import RewardTrainer
from prefrl.storage import Store
from prefrl.storage.metrics_file import read_metrics
from prefrl.storage.run_dir import RunDir
from prefrl.storage.versions import latest_version

SPECS = SpaceSpec.of(gym.spaces.Box(-1, 1, (2,), np.float32)), SpaceSpec.of(gym.spaces.Discrete(2))
CONFIG = RunConfig(
    labels=200,
    steps=1000,
    schedule=ScheduleConfig(initial_share=0.05),
    reward=RewardConfig(hidden=(4,), members=2, initial_epochs=3, epochs_per_update=1),
)


class KilledError(Exception):
    """Stands for SIGKILL."""


def killed(*_: object) -> None:
    raise KilledError


def make_run(path: Path, labels: int) -> tuple[RunDir, Store]:
    run = RunDir.create(path, CONFIG)
    store = Store.open(run.store, create=True)
    label(store, labels)
    return run, store


def label(store: Store, count: int) -> None:
    start = store.counts().segments
    for number in range(start, start + 2 * count, 2):
        pair = tuple(segment(number + side) for side in range(2))
        store.add_segments(pair, keep_unqueried=10)
        (query,) = store.add_queries([Query(pair)])
        ranks = (1, 2) if pair[0].true_return > pair[1].true_return else (2, 1)
        store.add_comparisons([Comparison(query, ranks)])


def segment(seed: int) -> Segment:
    rng = np.random.default_rng(seed)
    observations = rng.uniform(-1, 1, (5, 2)).astype(np.float32)
    flags = np.zeros(5, bool)
    provenance = Provenance("Test-v0", seed, 0, 0)
    return Segment(observations, rng.integers(0, 2, 5), observations[:, 0], flags, flags, provenance)


def worker(run: RunDir, store: Store, stop: StopFlag | None = None) -> RewardWorker:
    return RewardWorker(run, store, CONFIG, RewardTrainer(*SPECS, CONFIG.reward, CONFIG.seed), stop)


def published(run: RunDir) -> tuple[int, dict[str, bytes]]:
    """The latest version and its tensors."""
    latest = latest_version(run.reward)
    assert latest is not None
    return latest[0], {name: array.tobytes() for name, array in load_file(latest[1]).items()}


def test_killed_before_its_first_version_it_trains_as_if_nothing_had_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed, store = make_run(tmp_path / "a", 12)
    with store:
        worker(undisturbed, store).step()
    run, store = make_run(tmp_path / "b", 12)
    with store:
        with monkeypatch.context() as patched:
            patched.setattr(reward_module, "publish_version", killed)
            with pytest.raises(KilledError):
                worker(run, store).step()
        assert latest_version(run.reward) is None
        worker(run, store).step()
    assert published(run) == published(undisturbed)


def test_a_published_version_always_has_its_training_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, store = make_run(tmp_path / "run", 12)
    with store:
        with monkeypatch.context() as patched:
            patched.setattr(Store, "set_counters", killed)
            with pytest.raises(KilledError):
                worker(run, store).step()
        assert published(run)[0] == 1
        RewardTrainer(*SPECS, CONFIG.reward, CONFIG.seed).load_state(run.trainer_state)
        # Nobody was told of version 1, so the labels count as not learned: they are learned once more.
        again = worker(run, store)
        assert again.step()
        assert not again.step()
        counters = store.counters()
    assert (counters["reward_version"], counters["reward_labels"], counters["reward_comparison"]) == (
        2,
        12,
        12,
    )


def test_after_a_restart_only_new_comparisons_count_as_fresh_however_many_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reward_module, "_PAGE_COMPARISONS", 5)
    run, store = make_run(tmp_path / "run", 12)
    with store:
        worker(run, store).step()
        label(store, 8)
        restarted = worker(run, store)
        assert restarted.step()
        assert not restarted.step()
        assert store.counters()["reward_labels"] == 20
    records, _ = read_metrics(run.metrics)
    assert [record.get("pairs_fresh") for record in records] == [None, 8]


def stopping(after_epochs: int, stop: StopFlag, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Asks for a stop after so many epochs; returns the epochs trained."""
    train = RewardTrainer._train_epoch
    done: list[int] = []

    def spy(self: RewardTrainer, *arguments: Any) -> Any:
        done.append(len(done) + 1)
        if len(done) == after_epochs:
            stop.set()
        return train(self, *arguments)

    monkeypatch.setattr(RewardTrainer, "_train_epoch", spy)
    return done


def test_stopped_between_epochs_it_publishes_nothing_and_the_next_ends_that_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed, store = make_run(tmp_path / "a", 12)
    with store:
        worker(undisturbed, store).step()
        label(store, 3)
        worker(undisturbed, store).step()
    run, store = make_run(tmp_path / "b", 12)
    with store:
        for version in (0, 1):
            stop = StopFlag()
            with monkeypatch.context() as patched:
                # The second fit has a single epoch: a stop during it comes too late to save any time.
                epochs = stopping(1, stop, patched)
                stopped = worker(run, store, stop)
                assert stopped.step() == (version == 1)
                assert epochs == [1]
                assert not stopped.step()
            if version == 0:
                assert latest_version(run.reward) is None
                assert not stopped.finished
                assert "reward_comparison" not in store.counters()
                with monkeypatch.context() as patched:
                    epochs = stopping(99, StopFlag(), patched)
                    worker(run, store).step()
                assert len(epochs) == CONFIG.reward.initial_epochs - 1
                label(store, 3)
    assert published(run) == published(undisturbed)


def test_killed_amid_a_fit_it_goes_on_from_the_epoch_last_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed, store = make_run(tmp_path / "a", 12)
    with store:
        worker(undisturbed, store).step()
    run, store = make_run(tmp_path / "b", 12)
    monkeypatch.setattr(reward_module, "_SAVE_EVERY_S", 0.0)
    with store:
        with monkeypatch.context() as patched:
            patched.setattr(RewardTrainer, "_is_finite", kills_at_call(3))
            with pytest.raises(KilledError):
                worker(run, store).step()
        assert latest_version(run.reward) is None
        with monkeypatch.context() as patched:
            epochs = stopping(99, StopFlag(), patched)
            worker(run, store).step()
    assert len(epochs) == 1
    assert published(run) == published(undisturbed)


def kills_at_call(number: int) -> Any:
    calls: list[int] = []

    def is_finite(*_: object) -> bool:
        calls.append(1)
        if len(calls) == number:
            raise KilledError
        return True

    return is_finite
