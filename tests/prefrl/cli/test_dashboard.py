from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from prefrl.cli.dashboard import dashboard, plain_line, sparkline
from prefrl.config import OracleConfig, RunConfig
from prefrl.runtime.history import History
from prefrl.runtime.liveness import WorkerView
from prefrl.runtime.snapshot import RunSnapshot
from prefrl.storage import Counts

BUSY = RunSnapshot(
    Path("runs/pendulum-0-20260101-000000"),
    RunConfig(labels=5500, steps=50_000_000, oracle=OracleConfig("human")),
    (
        WorkerView("policy", "alive", "waiting", "112 due labels that its reward has not seen", 123456, 0.2),
        WorkerView("oracle", "silent", "choosing", "10 [queries]", 123457, 95.0),
        WorkerView("reward", "failed", "failed", "ValueError: no", 123458, 3.0),
    ),
    Counts(12_000, 2_000, 31_415, 4_000, 12, 3_988, 3_900, 88),
    policy_step=12_345_678,
    wall_s=7_500.0,
    steps_per_s=1234.5,
    true_return=-1308.2,
    predicted_reward=0.456,
    due_labels=4_000,
    label_lag=112,
    initial_segments=100,
    oldest_open_s=190.0,
    reward_version=390,
    staleness_steps=250_000,
    accuracy_train=1.0,
    accuracy_validation=1.0,
    accuracy_fresh=1.0,
    correlation_true=0.85,
    history=History(true_returns=((0, -1600.0), (10_000_000, -1308.2))),
)
EMPTY = RunSnapshot(Path("runs/x"), RunConfig(), tuple(WorkerView(n) for n in ("policy", "oracle", "reward")))


def render(snapshot: RunSnapshot, width: int, is_unicode: bool = True) -> list[str]:
    console = Console(file=io.StringIO(), record=True, width=width)
    console.print(dashboard(snapshot, is_unicode))
    return [line.rstrip() for line in console.export_text().splitlines()]


@pytest.mark.parametrize("width", [80, 120])
def test_all_metrics_fit_on_one_line_each(width: int) -> None:
    lines = render(BUSY, width)
    assert max(len(line) for line in lines) <= width
    for expected in (
        "12,345,678 of 50,000,000 steps  25%  8 h 28 min left",
        "3900 given, 4000 due, 5500 in all",
        '4000 asked, 12 open, 88 "can\'t tell"',
        "version 390, 250,000 steps old",
        "train 100% validation 100% fresh 100%",
        "0.85 with the true reward",
    ):
        assert any(expected in line for line in lines), expected


def test_each_process_has_a_row_and_each_warning_a_mark() -> None:
    lines = render(BUSY, 120)
    rows = {line.split()[0]: line for line in lines if line.split()[:1] and "123" in line}
    assert "alive" in rows["policy"]
    assert "now" in rows["policy"]
    # What a worker reports is not read as markup.
    assert "choosing 10 [queries]" in rows["oracle"]
    assert "2 min ago" in rows["oracle"]
    assert sum(line.startswith(" ! ") for line in lines) == 4


def test_a_run_without_metrics_can_be_shown() -> None:
    lines = render(EMPTY, 80)
    assert any("none yet" in line for line in lines)
    assert "resume runs/x" in " ".join(lines)


def test_ascii_terminals_get_ascii_characters() -> None:
    console = Console(file=io.TextIOWrapper(io.BytesIO(), encoding="ascii"), width=80)
    console.print(dashboard(BUSY, is_unicode=False))  # raises if a character cannot be encoded


def test_the_plain_line_has_progress_and_warnings() -> None:
    line = plain_line(dataclasses.replace(BUSY, workers=EMPTY.workers, is_launched=True))
    assert line == (
        "step 12,345,678 of 50,000,000 (25%); 1,234 steps/s; true return -1,308; "
        "labels 3900 of 4000 due; reward version 390, accuracy 100%"
    )
    assert "! reward process failed: ValueError: no" in plain_line(BUSY)
    assert "\n" not in plain_line(BUSY)


def test_without_held_out_comparisons_the_plain_line_has_the_fresh_accuracy() -> None:
    none_held_out = dataclasses.replace(BUSY, accuracy_validation=None, accuracy_fresh=0.625)
    assert "reward version 390, accuracy 62% on fresh answers" in plain_line(none_held_out)
    unanswered = dataclasses.replace(none_held_out, accuracy_fresh=None)
    assert "reward version 390, accuracy -" in plain_line(unanswered)


def test_a_sparkline_has_one_bar_per_column() -> None:
    points = [(0, 0.0), (25, 1.0), (50, 2.0), (99, 7.0)]
    assert sparkline(points, 4) == "▁▂▃█"
    assert sparkline(points, 8) == "▁▁▂▂▃▃▃█"
    assert sparkline(points[:1], 4) == ""


def test_a_sparkline_of_a_constant_is_flat() -> None:
    assert sparkline([(0, 3.0), (10, 3.0)], 3) == "▁▁▁"


@given(
    st.lists(st.tuples(st.integers(0, 10**8), st.floats(-1e9, 1e9)), min_size=2, max_size=50),
    st.integers(1, 40),
)
def test_a_sparkline_accepts_points_in_any_order(points: list[tuple[int, float]], columns: int) -> None:
    assert len(sparkline(points, columns)) == columns
