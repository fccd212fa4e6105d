"""Which process starves and why, in plain words: pure functions of a snapshot."""

from __future__ import annotations

import math

from prefrl.annotators.error_model import DOUBTFUL_ERROR
from prefrl.config import ROLES
from prefrl.runtime.history import Fresh, History, Point
from prefrl.runtime.liveness import WorkerView
from prefrl.runtime.snapshot import RunSnapshot

__all__ = ["diagnostics", "in_words", "reward_hacking", "starves"]

HACKING_PAIRS = 30
"""fresh comparisons looked at"""
HACKING_RISE = 0.1
"""rise of the mean predicted reward that counts, in standard deviations of the learned reward"""
ONE_SIDED_95 = 1.645
"""standard normal quantile"""
MANY_CANT_TELL = 10


def diagnostics(snapshot: RunSnapshot) -> list[str]:
    """Everything about a run that a person should know of, the gravest first; empty when all is well."""
    if snapshot.state == "finished":
        return []
    alarm = reward_hacking(snapshot.history, snapshot.config.reward.std)
    return starves(snapshot) + ([alarm] if alarm else []) + _doubtful_annotators(snapshot)


def starves(snapshot: RunSnapshot) -> list[str]:
    """Who waits for whom in an unfinished run, one sentence each."""
    state = snapshot.state
    if state in ("starting", "finished"):
        return []
    if state == "not started":
        return [f"no process has begun to work on this run; `prefrl resume {snapshot.path}` starts it"]
    workers = [worker for worker in snapshot.workers if worker.name in ROLES]
    found = [text for worker in workers if (text := _trouble(worker, snapshot))]
    if state == "stopped":
        return [*found, f"nobody works on this run; `prefrl resume {snapshot.path}` goes on with it"]
    waits = (_waits_for_segments, _waits_for_people, _waits_for_labels, _policy_waits, _hardly_tells)
    return found + [text for wait in waits if (text := wait(snapshot))]


def reward_hacking(history: History, reward_std: float = 1.0) -> str | None:
    """The alarm "predicted return rising while fresh comparisons disagree"; None without ground for it.

    The rule looks at the newest updates of the reward that together bring 30 fresh pairs: compared segments
    that the reward in force had not been trained on. It holds when that reward got significantly fewer right
    than a coin would (one-sided 5%, normal approximation), and when over the same steps the mean predicted
    reward rose, from first half to second, by 0.1 standard deviations of the learned reward. Either alone is
    harmless: agents are meant to raise the predicted reward, and queries chosen for disagreement are hard.

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
        f"to {after:.2f}, yet of {pairs} fresh comparisons the reward foretold {right:.0f}; "
        "look at what the agent does, and ask for more labels"
    )


def in_words(seconds: float) -> str:
    """A duration as people say it: "40 s", "3 min", "1 h 20 min", "2 d 5 h"."""
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds < 59.5 else "1 min"
    minutes = round(seconds / 60)
    hours, minutes_over = divmod(minutes, 60)
    if hours == 0:
        return f"{minutes} min"
    if hours < 24:
        return f"{hours} h {minutes_over} min"
    return f"{hours // 24} d {hours % 24} h"


def _trouble(worker: WorkerView, snapshot: RunSnapshot) -> str | None:
    words = f"{worker.state} {worker.detail}".strip()
    last = f"{in_words(worker.silence_s)} ago it said: {words}"
    if worker.life == "failed":
        return f"{worker.name} process failed: {worker.detail}; see {snapshot.path}/logs/{worker.name}.log"
    if worker.life == "silent":
        return f"{worker.name} process silent (pid {worker.pid}): {last}"
    if worker.life == "gone" and snapshot.state == "running":
        return f"{worker.name} process gone (pid {worker.pid}): {last}"
    return None


def _waits_for_segments(snapshot: RunSnapshot) -> str | None:
    recorded, needed = snapshot.counts.segments, snapshot.initial_segments
    if snapshot.counts.queries or recorded >= needed:
        return None
    return f"the oracle waits for the first {needed} segments: {recorded} recorded"


def _waits_for_people(snapshot: RunSnapshot) -> str | None:
    count = snapshot.counts.open_queries
    if snapshot.config.oracle.kind != "human" or count == 0:
        return None
    waits = "" if snapshot.oldest_open_s is None else f"; the oldest waits {in_words(snapshot.oldest_open_s)}"
    noun = "query" if count == 1 else "queries"
    return f"people have not answered {count} open {noun}{waits}; `prefrl label {snapshot.path}` shows them"


def _waits_for_labels(snapshot: RunSnapshot) -> str | None:
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
        return (
            f"the policy waits for {lag} due labels that its reward has not seen ({_who_is_behind(snapshot)})"
        )
    if policy.state == "waiting":
        return f"the policy waits: {policy.detail}"
    # Queries are asked in batches, so that a lag below two of them is the ordinary one.
    if snapshot.reward_version and lag > 2 * snapshot.config.queries.batch:
        return f"the reward has not seen {lag} due labels ({_who_is_behind(snapshot)})"
    return None


def _who_is_behind(snapshot: RunSnapshot) -> str:
    """The first of asking, answering and learning that is not done."""
    counts, oracle, reward = snapshot.counts, snapshot.worker("oracle"), snapshot.worker("reward")
    if counts.open_queries and snapshot.config.oracle.kind == "human":
        return f"{counts.open_queries} queries wait for people"
    answered = counts.labels + counts.cant_tell
    is_unlearned = answered > snapshot.due_labels - snapshot.label_lag
    worker = reward if is_unlearned else oracle
    return (
        f"{worker.name} process: {worker.state or worker.life}{f', {worker.detail}' if worker.detail else ''}"
    )


def _hardly_tells(snapshot: RunSnapshot) -> str | None:
    cant_tell, labels = snapshot.counts.cant_tell, snapshot.counts.labels
    if cant_tell < MANY_CANT_TELL or cant_tell <= labels:
        return None
    return (
        f"the oracle could not tell in {cant_tell} of {cant_tell + labels} answers, which teach nothing; "
        "longer segments differ more (--queries.segment-steps)"
    )


def _doubtful_annotators(snapshot: RunSnapshot) -> list[str]:
    return [
        f"the answers of {name} look random ({error:.0%} of them wrong, by their own repeats or others'); "
        f"`prefrl annotators {snapshot.path}` says more"
        for name, error in snapshot.history.annotator_errors
        if error > DOUBTFUL_ERROR
    ]


def _newest(fresh: tuple[Fresh, ...], pairs: int) -> list[Fresh]:
    """The fewest newest checks that together have so many pairs, oldest first; all, if too few."""
    taken: list[Fresh] = []
    for check in reversed(fresh):
        if sum(other.pairs for other in taken) >= pairs:
            break
        taken.append(check)
    return taken[::-1]


def _half_means(points: list[Point]) -> tuple[float, float]:
    """Mean value of the first and second half of the steps; NaN where one has no point."""
    if len(points) < 2:
        return math.nan, math.nan
    middle = (points[0][0] + points[-1][0]) / 2
    halves = (
        [value for step, value in points if step <= middle],
        [value for step, value in points if step > middle],
    )
    before, after = (sum(half) / len(half) if half else math.nan for half in halves)
    return before, after
