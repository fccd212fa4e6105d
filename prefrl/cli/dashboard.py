"""Renders a snapshot of a run as a dashboard or as one plain line."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, OverflowMethod, RenderableType
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from prefrl.runtime.diagnostics import format_duration, run_diagnostics
from prefrl.runtime.history import Point
from prefrl.runtime.liveness import Life, WorkerView
from prefrl.runtime.snapshot import RunSnapshot

__all__ = ["dashboard", "plain_line", "sparkline"]

_SPARK_COLUMNS = 24
_BARS = "▁▂▃▄▅▆▇█"
_UNKNOWN = "-"
_COLOURS: dict[Life, str] = {
    "alive": "green",
    "finished": "green",
    "silent": "yellow",
    "gone": "red",
    "failed": "red",
}


def dashboard(snapshot: RunSnapshot, is_unicode: bool = True) -> RenderableType:
    """Progress, metrics, one row per process, and problems; fits 80 columns."""
    # Rich marks shortened text with an ellipsis, which plain terminals lack.
    overflow: OverflowMethod = "ellipsis" if is_unicode else "crop"
    parts: list[RenderableType] = [_headline(snapshot, overflow), _progress(snapshot), Text()]
    parts += [_metrics(snapshot, is_unicode), Text(), _workers(snapshot.workers, overflow)]
    warnings = run_diagnostics(snapshot)
    if warnings:
        parts.append(Text())
    for warning in warnings:
        line = Table.grid(padding=(0, 1))
        line.add_row(Text("!", "bold yellow"), Text(warning, "yellow"))
        parts.append(line)
    return Padding(Group(*parts), (0, 1))


def plain_line(snapshot: RunSnapshot) -> str:
    """The state of a run in one line, for logs."""
    share = snapshot.policy_step / snapshot.config.steps
    accuracy = _number(snapshot.accuracy_validation, ".0%")
    if snapshot.accuracy_validation is None and snapshot.accuracy_fresh is not None:
        accuracy = f"{snapshot.accuracy_fresh:.0%} on fresh answers"
    parts = [
        f"step {snapshot.policy_step:,} of {snapshot.config.steps:,} ({share:.0%})",
        f"{_number(snapshot.steps_per_s, ',.0f')} steps/s",
        f"true return {_number(snapshot.true_return)}",
        f"labels {snapshot.counts.labels} of {snapshot.due_labels} due",
        f"reward version {snapshot.reward_version}, accuracy {accuracy}",
        *([f"{format_duration(snapshot.time_left_s)} left"] if snapshot.time_left_s is not None else []),
    ]
    return "; ".join([*parts, *(f"! {warning}" for warning in run_diagnostics(snapshot))])


def sparkline(points: Sequence[Point], columns: int) -> str:
    """A chart of a value over the steps, one bar per column; columns without a point repeat the last value."""
    if len(points) < 2:
        return ""
    # Points may be out of order: a restarted policy continues from its last checkpoint.
    first, last = min(points)[0], max(points)[0]
    binned: list[list[float]] = [[] for _ in range(columns)]
    for step, value in points:
        binned[min(columns - 1, (step - first) * columns // max(1, last - first))].append(value)
    means: list[float] = []
    for values in binned:
        means.append(sum(values) / len(values) if values else means[-1])
    low, high = min(means), max(means)
    scale = (len(_BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(_BARS[round((mean - low) * scale)] for mean in means)


def _headline(snapshot: RunSnapshot, overflow: OverflowMethod) -> Text:
    line = Text(overflow=overflow, no_wrap=True)
    line.append(snapshot.config.env.id, "bold")
    line.append(f"  {snapshot.state}", "yellow" if snapshot.state in ("not started", "stopped") else "green")
    line.append(f"  {format_duration(snapshot.wall_s)}", "dim")
    line.append(f"  {snapshot.path}", "dim")
    return line


def _progress(snapshot: RunSnapshot) -> Table:
    total, step = snapshot.config.steps, snapshot.policy_step
    left = "" if snapshot.time_left_s is None else f"  {format_duration(snapshot.time_left_s)} left"
    row = Table.grid(padding=(0, 1), expand=True)
    row.add_column(ratio=1)
    row.add_column(justify="right", no_wrap=True)
    text = f"{step:,} of {total:,} steps  {step / total:.0%}{left}"
    row.add_row(ProgressBar(total=total, completed=step), text)
    return row


def _metrics(snapshot: RunSnapshot, is_unicode: bool) -> Table:
    """The policy's metrics on the left, labels and reward on the right."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(justify="right", no_wrap=True, min_width=8)
    grid.add_column(width=2)
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column()
    returns = snapshot.history.true_returns
    curve = sparkline(returns, min(_SPARK_COLUMNS, len(returns))) if is_unicode else ""
    rows = zip(_policy_metrics(snapshot), _reward_metrics(snapshot), strict=True)
    for (left_name, left_value), (right_name, right_value) in rows:
        grid.add_row(left_name, left_value, "", right_name, right_value)
    if curve:
        grid.add_row("", "", "", "true return", Text(curve, "cyan"))
    return grid


def _policy_metrics(snapshot: RunSnapshot) -> list[tuple[str, str]]:
    return [
        ("steps/s", _number(snapshot.steps_per_s, ",.0f")),
        ("true return", _number(snapshot.true_return)),
        ("predicted reward", _number(snapshot.predicted_reward)),
        ("segments kept", f"{snapshot.counts.segments:,}"),
        ("segments dropped", f"{snapshot.counts.dropped_segments:,}"),
    ]


def _reward_metrics(snapshot: RunSnapshot) -> list[tuple[str, str]]:
    counts = snapshot.counts
    labels = f"{counts.labels} given, {snapshot.due_labels} due, {snapshot.config.labels} in all"
    shares = {
        "train": snapshot.accuracy_train,
        "validation": snapshot.accuracy_validation,
        "fresh": snapshot.accuracy_fresh,
    }
    cant_tell = f', {counts.cant_tell} "can\'t tell"' if counts.cant_tell else ""
    version = "none yet"
    if snapshot.staleness_steps is not None:
        version = f"version {snapshot.reward_version}, {snapshot.staleness_steps:,} steps old"
    return [
        ("labels", labels),
        ("queries", f"{counts.queries} asked, {counts.open_queries} open{cant_tell}"),
        ("reward", version),
        ("accuracy", " ".join(f"{name} {_number(share, '.0%')}" for name, share in shares.items())),
        ("correlation", f"{_number(snapshot.correlation_true, '.2f')} with the true reward"),
    ]


def _workers(workers: Sequence[WorkerView], overflow: OverflowMethod) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim", expand=True)
    table.add_column("process", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("doing", ratio=1, no_wrap=True, overflow=overflow)
    table.add_column("last seen", justify="right", no_wrap=True)
    table.add_column("pid", justify="right", no_wrap=True, style="dim")
    for worker in workers:
        has_heartbeat = worker.life != "not started"
        table.add_row(
            worker.name,
            Text(worker.life, _COLOURS.get(worker.life, "dim")),
            "" if worker.life in ("finished", "stopped") else Text(f"{worker.state} {worker.detail}".strip()),
            _ago(worker.silence_s) if has_heartbeat else "",
            str(worker.pid) if has_heartbeat else "",
        )
    return table


def _ago(seconds: float) -> str:
    return "now" if seconds < 1.5 else f"{format_duration(seconds)} ago"


def _number(value: float | None, form: str | None = None) -> str:
    if value is None:
        return _UNKNOWN
    return format(value, form or (",.0f" if abs(value) >= 1000 else ".3g"))
