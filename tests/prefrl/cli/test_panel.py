from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from prefrl.cli import panel
from prefrl.cli.panel import Progress
from prefrl.config import RunConfig
from prefrl.runtime.tensorboard import TensorboardMirror
from prefrl.storage import Store
from prefrl.storage.run_dir import RunDir


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    run = RunDir.create(tmp_path / "run", RunConfig(steps=1000))
    with Store.open(run.store, create=True) as store:
        store.set_counters({"policy_step": 250})
    run.append_metrics({"source": "policy", "policy_step": 250, "steps_per_s": 10.0})
    return run


class Clock:
    """Replaces the clocks of the time module."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s

    def time(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(panel, "time", clock)
    return clock


def test_a_terminal_gets_a_dashboard_refreshed_four_times_per_second(run: RunDir, clock: Clock) -> None:
    out = io.StringIO()
    with Progress(run, Console(file=out, force_terminal=True, width=80)) as progress:
        sizes = []
        for _ in range(20):  # one second of ticks
            progress.tick()
            sizes.append(len(out.getvalue()))
            clock.now_s += 0.05
    assert len(set(sizes)) == 4
    assert "250 of 1,000 steps" in out.getvalue()


def test_the_last_dashboard_says_how_to_continue(run: RunDir, clock: Clock) -> None:
    out = io.StringIO()
    with Progress(run, Console(file=out, force_terminal=True, width=80)) as progress:
        progress.tick()
        assert "starting" in out.getvalue()
    assert "prefrl resume" in out.getvalue()


def test_a_log_gets_a_line_every_ten_seconds(run: RunDir, clock: Clock) -> None:
    out = io.StringIO()
    with Progress(run, Console(file=out, width=80)) as progress:
        for _ in range(250):  # 25 seconds
            progress.tick()
            clock.now_s += 0.1
    lines = out.getvalue().splitlines()
    assert len(lines) == 2
    assert all(line.startswith("step 250 of 1,000 (25%)") for line in lines)


def test_all_metrics_are_copied_to_tensorboard_even_without_a_tick(run: RunDir) -> None:
    with Progress(run, Console(file=io.StringIO())):
        run.append_metrics({"source": "reward", "policy_step": 260, "labels": 3})
    mirror = TensorboardMirror(run)
    mirror.update()
    mirror.close()
    assert len(list(run.tensorboard.iterdir())) == 1  # the second mirror found nothing to write


def test_training_continues_if_plots_cannot_be_written(
    run: RunDir, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(self: TensorboardMirror) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(TensorboardMirror, "update", fail)
    out = io.StringIO()
    with Progress(run, Console(file=out, force_terminal=True)) as progress:
        progress.tick()
    assert (capsys.readouterr().err + out.getvalue()).count("no longer written: disk full") == 1


def test_a_refused_launch_shows_and_writes_nothing(run: RunDir) -> None:
    out = io.StringIO()
    with pytest.raises(ValueError, match="refused"), Progress(run, Console(file=out, force_terminal=True)):
        raise ValueError("refused")
    assert out.getvalue() == ""
    assert list(run.tensorboard.iterdir()) == []
