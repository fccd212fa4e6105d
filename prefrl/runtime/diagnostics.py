"""Problems of a run as sentences for people: failed processes, who waits for whom, reward hacking, bad annotators."""

from __future__ import annotations

import math
from pathlib import Path

from prefrl.annotators.error_model import DOUBTFUL_ERROR
from prefrl.config import ROLES, RunConfig
from prefrl.runtime.history import FreshCheck, History, Point
from prefrl.runtime.liveness import WorkerView
from prefrl.runtime.snapshot import RunSnapshot

__all__ = [
    "format_duration",
    "how_to_continue",
    "reward_hacking_warning",
    "run_diagnostics",
    "worker_diagnostics",
]

HACKING_PAIRS = 30
"""number of newest fresh pairs that are checked"""
HACKING_RISE = 0.1
"""smallest rise of the mean predicted reward, in standard deviations of the learned reward"""
ONE_SIDED_95 = 1.645
"""95% quantile of the standard normal distribution"""
MANY_CANT_TELL = 10


def run_diagnostics(snapshot: RunSnapshot) -> list[str]:
    """All problems of a run, one sentence each, the most serious first; empty if there are none."""
    if snapshot.state == "finished":
        return []
    warning = reward_hacking_warning(snapshot.history, snapshot.config.reward.std)
    return worker_diagnostics(snapshot) + ([warning] if warning else []) + _doubtful_annotators(snapshot)


def worker_diagnostics(snapshot: RunSnapshot) -> list[str]:
    """Which processes of an unfinished run failed, are missing, or wait for others, one sentence each."""
    state = snapshot.state
    if state in ("starting", "finished"):
        return []
    if state == "not started":
        return [f"this run has not been started; to start it, {_continue(snapshot)}"]
    workers = [worker for worker in snapshot.workers if worker.name in ROLES]
    found = [text for worker in workers if (text := _failure(worker, snapshot))]
    if state == "stopped":
        return [*found, f"this run is not running; to continue it, {_continue(snapshot)}"]
    checks = (
        _oracle_waits_for_segments,
        _run_waits_for_people,
        _reward_waits_for_labels,
        _policy_waits,
        _oracle_rarely_tells,
    )
    return found + [text for check in checks if (text := check(snapshot))]


def how_to_continue(path: Path, config: RunConfig) -> str:
    """What to do to continue a run: "run `prefrl resume ...`", or the script that trains it."""
    if config.runtime.launcher == "script":
        return "run the training script that made it again"
    return f"run `prefrl resume {path}`"


def reward_hacking_warning(history: History, reward_std: float = 1.0) -> str | None:
    """A warning if the predicted reward rises while fresh comparisons disagree with it; None otherwise.

    Considers the newest reward updates that together have at least 30 fresh pairs: compared segments that the reward in
    use had not been trained on. Warns if that reward got significantly fewer of them right than chance (one-sided 5%,
    normal approximation), and over the same steps the mean predicted reward rose, from the first half to the second, by
    more than 0.1 standard deviations of the learned reward. Either alone is harmless: agents are meant to raise the
    predicted reward, and queries selected for disagreement are hard.

    Args:
        history: of the run.
        reward_std: the learned reward's standard deviation, `RewardConfig.std`.
    """
    fresh = _newest(history.fresh, HACKING_PAIRS)
    pairs, right = sum(check.pairs for check in fresh), sum(check.right for check in fresh)
    if pairs < HACKING_PAIRS or right >= pairs / 2 - ONE_SIDED_95 * math.sqrt(pairs) / 2:
        return None
    since = fresh[0].policy_step
    before, after = _half_means([point for point in history.predicted_rewards if point[0] >= since])
    if not after - before > HACKING_RISE * reward_std:
        return None
    return (
        f"the agent may be hacking its reward: since step {since:,} predicted reward rose from {before:.2f} "
        f"to {after:.2f}, but it got only {right:.0f} of {pairs} fresh comparisons right; "
        "look at what the agent does (`prefrl watch`), and ask for more labels"
    )


def format_duration(seconds: float) -> str:
    """A duration for people: "40 s", "3 min", "1 h 20 min", "2 d 5 h"."""
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds < 59.5 else "1 min"
    minutes = round(seconds / 60)
    hours, minutes_left = divmod(minutes, 60)
    if hours == 0:
        return f"{minutes} min"
    if hours < 24:
        return f"{hours} h {minutes_left} min"
    return f"{hours // 24} d {hours % 24} h"


def _continue(snapshot: RunSnapshot) -> str:
    return how_to_continue(snapshot.path, snapshot.config)


def _failure(worker: WorkerView, snapshot: RunSnapshot) -> str | None:
    words = f"{worker.state} {worker.detail}".strip()
    last = f"{format_duration(worker.silence_s)} ago it reported: {words}"
    if worker.life == "failed":
        return f"{worker.name} process failed: {worker.detail}; see {snapshot.path}/logs/{worker.name}.log"
    if worker.life == "silent":
        return f"{worker.name} process silent (pid {worker.pid}): {last}"
    if worker.life == "gone" and snapshot.state == "running":
        return f"{worker.name} process gone (pid {worker.pid}): {last}"
    return None


def _oracle_waits_for_segments(snapshot: RunSnapshot) -> str | None:
    recorded, needed = snapshot.counts.segments, snapshot.initial_segments
    if snapshot.counts.queries or recorded >= needed:
        return None
    return f"the oracle waits for the first {needed} segments: {recorded} recorded"


def _run_waits_for_people(snapshot: RunSnapshot) -> str | None:
    count = snapshot.counts.open_queries
    if snapshot.config.oracle.kind != "human" or count == 0:
        return None
    waits = (
        ""
        if snapshot.oldest_open_s is None
        else f"; the oldest waits {format_duration(snapshot.oldest_open_s)}"
    )
    noun = "query" if count == 1 else "queries"
    return (
        f"{count} open {noun} not answered by people yet{waits}; answer with `prefrl label {snapshot.path}`"
    )


def _reward_waits_for_labels(snapshot: RunSnapshot) -> str | None:
    counts = snapshot.counts
    answered, needed = counts.labels + counts.cant_tell, snapshot.initial_labels
    if snapshot.reward_version or counts.queries == 0 or answered >= needed:
        return None
    return f"the reward waits for the first {needed} labels: {answered} given"


def _policy_waits(snapshot: RunSnapshot) -> str | None:
    policy, lag = snapshot.worker("policy"), snapshot.label_lag
    if policy.life != "alive":
        return None
    if policy.state == "waiting" and lag:
        return f"the policy waits for {lag} due labels that its reward was not trained on ({_who_is_behind(snapshot)})"
    if policy.state == "waiting":
        return f"the policy waits: {policy.detail}"
    # Queries are asked in batches; a lag of up to two batches is normal.
    if snapshot.reward_version and lag > 2 * snapshot.config.queries.batch:
        return f"the reward was not trained on {lag} due labels ({_who_is_behind(snapshot)})"
    return None


def _who_is_behind(snapshot: RunSnapshot) -> str:
    """Which of asking, answering and learning is not done, in this order."""
    counts, oracle, reward = snapshot.counts, snapshot.worker("oracle"), snapshot.worker("reward")
    if counts.open_queries and snapshot.config.oracle.kind == "human":
        return f"{counts.open_queries} queries wait for people"
    answered = counts.labels + counts.cant_tell
    is_answered = answered > snapshot.due_labels - snapshot.label_lag
    worker = reward if is_answered else oracle
    return (
        f"{worker.name} process: {worker.state or worker.life}{f', {worker.detail}' if worker.detail else ''}"
    )


def _oracle_rarely_tells(snapshot: RunSnapshot) -> str | None:
    cant_tell, labels = snapshot.counts.cant_tell, snapshot.counts.labels
    if cant_tell < MANY_CANT_TELL or cant_tell <= labels:
        return None
    return (
        f'{cant_tell} of {cant_tell + labels} answers are "can\'t tell", which teach nothing; '
        "longer segments are easier to tell apart (--queries.segment-steps)"
    )


def _doubtful_annotators(snapshot: RunSnapshot) -> list[str]:
    return [
        f"the answers of {name} look random ({error:.0%} wrong, judged by repeated queries and other people); "
        f"see `prefrl annotators {snapshot.path}`"
        for name, error in snapshot.history.annotator_errors
        if error > DOUBTFUL_ERROR
    ]


def _newest(fresh: tuple[FreshCheck, ...], pairs: int) -> list[FreshCheck]:
    """The fewest newest checks that together have ``pairs`` pairs, oldest first; all if there are too few."""
    taken: list[FreshCheck] = []
    for check in reversed(fresh):
        if sum(other.pairs for other in taken) >= pairs:
            break
        taken.append(check)
    return taken[::-1]


def _half_means(points: list[Point]) -> tuple[float, float]:
    """Mean value over the first and second half of the steps; NaN for a half without points."""
    if len(points) < 2:
        return math.nan, math.nan
    middle = (points[0][0] + points[-1][0]) / 2
    halves = (
        [value for step, value in points if step <= middle],
        [value for step, value in points if step > middle],
    )
    before, after = (sum(half) / len(half) if half else math.nan for half in halves)
    return before, after
