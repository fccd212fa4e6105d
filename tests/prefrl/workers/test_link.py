"""What the policy records of itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import prefrl.workers.link as link_module
from prefrl.config import QueryConfig, RunConfig
from prefrl.recorder import SegmentRecorder
from prefrl.run_dir import RunDir, read_metrics
from prefrl.spaces import SpaceSpec
from prefrl.store import Store
from prefrl.workers import PolicyLink
from prefrl.workers.pulse import StopFlag

CONFIG = RunConfig(labels=4, steps=100, queries=QueryConfig(segment_steps=5))


def steps_recorded(run: RunDir) -> list[int]:
    return [record["policy_step"] for record in read_metrics(run.metrics)[0]]


@pytest.mark.parametrize("every_s", [0.0, 1e9])
def test_the_last_step_is_recorded_once_however_often_the_agent_syncs(
    tmp_path: Path, specs: tuple[SpaceSpec, SpaceSpec], monkeypatch: pytest.MonkeyPatch, every_s: float
) -> None:
    monkeypatch.setattr(link_module, "_METRICS_EVERY_S", every_s)
    run = RunDir.create(tmp_path / "run", CONFIG)
    recorder = SegmentRecorder(*specs, 10, 5, "Test-v0", seed=0)
    zeros, never = np.zeros((10, 2), np.float32), np.zeros(10, bool)
    stopped = StopFlag()
    stopped.set()  # nobody answers here, and the policy shall not wait
    with Store.open(run.store, create=True) as store:
        link = PolicyLink(run, store, CONFIG, recorder, stop=stopped)
        for _ in range(10):
            recorder.record(zeros, never.astype(int), zeros[:, 0], never, never)
            link.sync()
            link.sync()
    assert steps_recorded(run) == ([100] if every_s else list(range(10, 110, 10)))


def test_a_run_whose_episodes_are_shorter_than_a_segment_ends_with_an_error(
    tmp_path: Path, specs: tuple[SpaceSpec, SpaceSpec]
) -> None:
    run = RunDir.create(tmp_path / "run", CONFIG)
    recorder = SegmentRecorder(*specs, 10, 5, "Test-v0", seed=0, within_episodes=True)
    zeros, never = np.zeros((10, 2), np.float32), np.zeros(10, bool)
    with Store.open(run.store, create=True) as store:
        link = PolicyLink(run, store, CONFIG, recorder)
        for step in range(10):
            recorder.record(zeros, never.astype(int), zeros[:, 0], never | (step % 4 == 3), never)
        with pytest.raises(ValueError, match=r"0 segments of 5 steps.*within_episodes"):
            link.sync()
