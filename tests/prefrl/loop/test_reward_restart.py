"""A reward worker that was killed, or whose files are damaged: how the next worker continues."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
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


def finish(run: RunDir, store: Store) -> None:
    """What a worker process does with the labels so far: learn, then find nothing left to do."""
    again = worker(run, store)
    while again.step():
        pass
    assert not again.step()


def learned_once(path: Path) -> tuple[RunDir, Store]:
    """A run with versions 1 and 2 of its reward, each with the state of its trainer."""
    run, store = make_run(path, 12)
    worker(run, store).step()
    label(store, 3)
    worker(run, store).step()
    assert published(run)[0] == 2
    return run, store


def cut_at(share: float) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        whole = path.read_bytes()
        path.write_bytes(whole[: int(share * len(whole))])

    return damage


def flip_at(share: float) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[int(share * len(content))] ^= 4
        path.write_bytes(content)

    return damage


def remove(path: Path) -> None:
    path.unlink()


DAMAGES = [
    cut_at(0.0),
    cut_at(0.001),
    cut_at(0.3),
    cut_at(0.97),
    flip_at(0.0),
    flip_at(0.2),
    flip_at(0.99),
    remove,
]


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of `learned_once`; tests damage copies of it."""
    run, store = learned_once(tmp_path_factory.mktemp("untouched") / "run")
    store.close()
    return run.path


@pytest.fixture
def learned(untouched: Path, tmp_path: Path) -> Iterator[tuple[RunDir, Store]]:
    run = RunDir.open(shutil.copytree(untouched, tmp_path / "run"))
    with Store.open(run.store) as store:
        yield run, store


def refitted(run: RunDir, version: int) -> dict[str, bytes]:
    """The tensors of a trainer that never trained before and learns all 15 labels as its first."""
    with Store.open(run.store) as store:
        trainer = RewardTrainer(*SPECS, CONFIG.reward, CONFIG.seed)
        trainer.update(store.labelled())
    trainer.fit(CONFIG.reward.initial_epochs)
    path = run.path / "expected.safetensors"
    trainer.snapshot(version).save(path)
    return {name: array.tobytes() for name, array in load_file(path).items()}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_trainer_state_is_refitted_from_the_comparisons(
    learned: tuple[RunDir, Store], damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    run, store = learned
    damage(run.trainer_state)
    finish(run, store)
    assert published(run) == (3, refitted(run, 3))
    assert f"{run.trainer_state}" in caplog.text
    assert "the reward is fitted again from the comparisons" in caplog.text
    # The state on disk is whole again, and later labels are learned from it as usual.
    caplog.clear()
    label(store, 2)
    finish(run, store)
    assert published(run)[0] == 4
    assert store.counters()["reward_labels"] == 17
    assert not caplog.records


def test_the_dashboard_is_told_what_is_recovered(learned: tuple[RunDir, Store]) -> None:
    run, store = learned
    cut_at(0.5)(run.trainer_state)
    worker(run, store)
    (heartbeat,) = [each for each in store.workers() if each.name == "reward"]
    assert heartbeat.state == "recovering"
    assert "trainer.safetensors is damaged" in heartbeat.detail


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["000002.safetensors", "latest.json"])
def test_a_damaged_newest_version_falls_back_to_an_intact_one_until_it_is_refitted(
    learned: tuple[RunDir, Store], name: str, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    run, store = learned
    fallback = run.reward / ("000001.safetensors" if name == "000002.safetensors" else "000002.safetensors")
    expected = {key: array.tobytes() for key, array in load_file(fallback).items()}
    damage(run.reward / name)
    again = worker(run, store)
    # Followers that know version 2 take nothing that is not newer.
    assert published(run) == (3, expected)
    assert not again.finished
    finish(run, store)
    assert published(run) == (4, refitted(run, 4))
    assert store.counters()["reward_version"] == 4
    assert "the reward is fitted again from the comparisons" in caplog.text


def test_without_an_intact_version_the_reward_is_refitted_under_a_higher_number(
    learned: tuple[RunDir, Store],
) -> None:
    run, store = learned
    for path in run.reward.glob("0*.safetensors"):
        cut_at(0.5)(path)
    worker(run, store)
    assert latest_version(run.reward) is None, "followers find none instead of a damaged one"
    finish(run, store)
    assert published(run) == (3, refitted(run, 3))


def test_a_version_that_is_a_link_is_no_fallback(learned: tuple[RunDir, Store], tmp_path: Path) -> None:
    run, store = learned
    outside = tmp_path / "outside.safetensors"
    (run.reward / "000001.safetensors").rename(outside)
    (run.reward / "000001.safetensors").symlink_to(outside)
    cut_at(0.5)(run.reward / "000002.safetensors")
    worker(run, store)
    assert latest_version(run.reward) is None


def test_a_refit_that_was_stopped_is_finished_by_the_next_worker(
    learned: tuple[RunDir, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, store = learned
    cut_at(0.5)(run.trainer_state)
    stop = StopFlag()
    with monkeypatch.context() as patched:
        stopping(1, stop, patched)
        assert not worker(run, store, stop).step()
    assert published(run)[0] == 2
    with monkeypatch.context() as patched:
        epochs = stopping(99, StopFlag(), patched)
        finish(run, store)
    assert len(epochs) == CONFIG.reward.initial_epochs - 1
    assert published(run) == (3, refitted(run, 3))


def test_a_refit_killed_before_its_version_is_done_again(
    learned: tuple[RunDir, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, store = learned
    flip_at(0.5)(run.trainer_state)
    with monkeypatch.context() as patched:
        patched.setattr(reward_module, "publish_version", killed)
        with pytest.raises(KilledError):
            worker(run, store).step()
    finish(run, store)
    assert published(run) == (3, refitted(run, 3))


def test_a_version_of_a_newer_pointer_that_a_power_cut_undid_is_refitted(
    learned: tuple[RunDir, Store],
) -> None:
    run, store = learned
    store.set_counters({"reward_version": 7.0})
    finish(run, store)
    assert published(run) == (8, refitted(run, 8))


def test_damage_without_any_label_left_does_not_keep_the_worker_busy(learned: tuple[RunDir, Store]) -> None:
    run, store = learned
    store.add_comparisons([replace(each, ranks=None, id=None) for each in store.comparisons(False)])
    store.set_counters({"reward_comparison": float(store.last_comparison_id())})
    cut_at(0.5)(run.trainer_state)
    again = worker(run, store)
    assert not again.step()
    assert again._is_up_to_date()
