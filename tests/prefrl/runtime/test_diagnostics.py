from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from prefrl.config import OracleConfig, RunConfig, RuntimeConfig
from prefrl.runtime.diagnostics import (
    format_duration,
    how_to_continue,
    reward_hacking_warning,
    run_diagnostics,
    worker_diagnostics,
)
from prefrl.runtime.history import FreshCheck, History
from prefrl.runtime.liveness import WorkerView
from prefrl.runtime.snapshot import RunSnapshot
from prefrl.storage import Counts

COUNTS = Counts(
    segments=300,
    unqueried=100,
    dropped_segments=0,
    queries=60,
    open_queries=0,
    comparisons=60,
    labels=60,
    cant_tell=0,
)
PEOPLE = RunConfig(oracle=OracleConfig("human"))


def worker(name: str, **changes: Any) -> WorkerView:
    return dataclasses.replace(WorkerView(name, "alive", "waiting", "", pid=7, silence_s=0.2), **changes)


def snapshot(*workers: WorkerView, counts: Counts = COUNTS, **changes: Any) -> RunSnapshot:
    """A run without problems, with changes."""
    given = {one.name: one for one in workers}
    usual = {name: worker(name) for name in ("oracle", "reward")}
    healthy = RunSnapshot(
        Path("runs/x"),
        RunConfig(),
        tuple(({"policy": worker("policy", state="acting")} | usual | given).values()),
        counts,
        policy_step=1000,
        due_labels=60,
        initial_labels=50,
        initial_segments=100,
        reward_version=3,
    )
    return dataclasses.replace(healthy, **changes)


def test_a_healthy_run_has_no_diagnostics() -> None:
    assert run_diagnostics(snapshot()) == []


def test_the_oracle_waits_for_segments() -> None:
    counts = dataclasses.replace(COUNTS, segments=40, queries=0, labels=0, comparisons=0)
    found = worker_diagnostics(snapshot(counts=counts, reward_version=0))
    assert found == ["the oracle waits for the first 100 segments: 40 recorded"]


def test_open_queries_and_those_who_wait_for_people_are_named() -> None:
    counts = dataclasses.replace(COUNTS, queries=72, open_queries=12, labels=38)
    waiting = worker("policy", state="waiting", detail="22 due labels that its reward has not seen")
    found = worker_diagnostics(
        snapshot(waiting, counts=counts, config=PEOPLE, oldest_open_s=185.0, reward_version=0, label_lag=22)
    )
    assert found == [
        "12 open queries not answered by people yet; the oldest waits 3 min; answer with `prefrl label runs/x`",
        "the reward waits for the first 50 labels: 38 given",
        "the policy waits for 22 due labels that its reward was not trained on (12 queries wait for people)",
    ]


def test_open_queries_of_a_synthetic_oracle_are_not_reported() -> None:
    counts = dataclasses.replace(COUNTS, open_queries=12)
    assert worker_diagnostics(snapshot(counts=counts, oldest_open_s=1.0)) == []


@pytest.mark.parametrize(
    ("labels", "behind"),
    [
        (83, "reward process: fitting, epoch 3 of 200"),  # all answered, not trained on
        (60, "oracle process: choosing, 23 queries"),  # all trained on, not asked
    ],
)
def test_the_process_the_policy_waits_for_is_named(labels: int, behind: str) -> None:
    counts = dataclasses.replace(COUNTS, labels=labels, comparisons=labels)
    found = worker_diagnostics(
        snapshot(
            worker("policy", state="waiting", detail="..."),
            worker("reward", state="fitting", detail="epoch 3 of 200"),
            worker("oracle", state="choosing", detail="23 queries"),
            counts=counts,
            due_labels=83,
            label_lag=23,
        )
    )
    assert found == [f"the policy waits for 23 due labels that its reward was not trained on ({behind})"]


def test_a_policy_that_waits_for_something_else_names_it() -> None:
    waiting = worker("policy", state="waiting", detail="another process is this run's policy")
    assert worker_diagnostics(snapshot(waiting)) == ["the policy waits: another process is this run's policy"]


@pytest.mark.parametrize(("lag", "is_reported"), [(20, False), (21, True)])
def test_a_reward_more_than_two_batches_behind_is_reported(lag: int, is_reported: bool) -> None:
    found = worker_diagnostics(snapshot(label_lag=lag, due_labels=60 + lag))
    assert [text.startswith(f"the reward was not trained on {lag} due labels (oracle") for text in found] == (
        [True] if is_reported else []
    )


def test_silent_gone_and_failed_processes_are_named() -> None:
    found = worker_diagnostics(
        snapshot(
            worker("policy", life="failed", state="failed", detail="ValueError: no"),
            worker("oracle", life="gone", pid=12, silence_s=5.0, state="choosing", detail="10 queries"),
            worker("reward", life="silent", pid=123, silence_s=40.0, state="waiting", detail="version 3"),
        )
    )
    assert found == [
        "policy process failed: ValueError: no; see runs/x/logs/policy.log",
        "oracle process gone (pid 12): 5 s ago it reported: choosing 10 queries",
        "reward process silent (pid 123): 40 s ago it reported: waiting version 3",
    ]


def test_killed_new_and_finished_runs_are_distinguished() -> None:
    gone = [worker(name, life="gone") for name in ("policy", "oracle", "reward")]
    fresh = [WorkerView(name) for name in ("policy", "oracle", "reward")]
    assert worker_diagnostics(snapshot(*gone)) == [
        "this run is not running; to continue it, run `prefrl resume runs/x`"
    ]
    assert worker_diagnostics(snapshot(*fresh)) == [
        "this run has not been started; to start it, run `prefrl resume runs/x`"
    ]
    assert run_diagnostics(snapshot(*gone, is_finished=True)) == []


def test_a_launcher_gets_no_advice_to_start_the_run() -> None:
    gone = [worker(name, life="gone") for name in ("policy", "oracle", "reward")]
    fresh = [WorkerView(name) for name in ("policy", "oracle", "reward")]
    assert worker_diagnostics(snapshot(*fresh, is_launched=True)) == []
    found = worker_diagnostics(snapshot(*gone, is_launched=True))
    assert [text.split(" (")[0] for text in found] == [f"{one.name} process gone" for one in gone]


def test_many_cant_tell_answers_are_reported() -> None:
    counts = dataclasses.replace(COUNTS, labels=9, cant_tell=10)
    (found,) = worker_diagnostics(snapshot(counts=counts, initial_labels=10))
    assert found.startswith('10 of 19 answers are "can\'t tell"')
    assert worker_diagnostics(snapshot(counts=dataclasses.replace(counts, labels=10))) == []


RISING = tuple((step, step / 1000) for step in range(0, 1001, 100))


def history(right: float, predicted: tuple[tuple[int, float], ...] = RISING) -> History:
    """30 fresh pairs over steps 0 to 900, ``right`` of them predicted right."""
    return History((), predicted, tuple(FreshCheck(step, 10, right / 3) for step in (0, 500, 900)))


# A coin gets 15 of 30 right, and 10.49 or fewer one time in twenty: 15 - 1.645 * sqrt(30) / 2 = 10.495.
@pytest.mark.parametrize(("right", "is_warning"), [(9.0, True), (10.4, True), (10.6, False), (15.0, False)])
def test_reward_hacking_needs_accuracy_below_chance(right: float, is_warning: bool) -> None:
    assert (reward_hacking_warning(history(right)) is not None) == is_warning


def test_reward_hacking_needs_rising_predicted_reward() -> None:
    level = tuple((step, 0.5) for step, _ in RISING)
    falling = tuple((step, -value) for step, value in RISING)
    assert reward_hacking_warning(history(6.0, level)) is None
    assert reward_hacking_warning(history(6.0, falling)) is None
    assert reward_hacking_warning(history(6.0, ())) is None
    # The rise between the halves is .55 here: large for a reward of unit deviation, small for one of 10.
    assert reward_hacking_warning(history(6.0), reward_std=1.0) is not None
    assert reward_hacking_warning(history(6.0), reward_std=10.0) is None


def test_reward_hacking_considers_only_the_newest_pairs() -> None:
    good_before = tuple(FreshCheck(0, 10, 10.0) for _ in range(20))
    hacked = History((), RISING, good_before + history(6.0).fresh)
    recovered = History((), RISING, history(6.0).fresh + tuple(FreshCheck(950, 10, 8.0) for _ in range(3)))
    assert reward_hacking_warning(hacked) is not None
    assert reward_hacking_warning(recovered) is None
    assert reward_hacking_warning(History((), RISING, history(0.0).fresh[:2])) is None


def test_reward_hacking_is_reported_with_its_numbers() -> None:
    (found,) = run_diagnostics(snapshot(history=history(6.0)))
    assert "since step 0 predicted reward rose from 0.25 to 0.80" in found
    assert "it got only 6 of 30 fresh comparisons right" in found


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (89.0, "1 min"),
        (185.0, "3 min"),
        (3599.0, "1 h 0 min"),
        (4800.0, "1 h 20 min"),
        (86400.0, "1 d 0 h"),
        (190800.0, "2 d 5 h"),
    ],
)
def test_durations_for_people(seconds: float, words: str) -> None:
    assert format_duration(seconds) == words


@pytest.mark.parametrize(
    ("launcher", "said"),
    [
        ("processes", "run `prefrl resume runs/x`"),
        ("serial", "run `prefrl resume runs/x`"),
        ("script", "run the training script that made it again"),
    ],
)
def test_what_continues_a_run(launcher: Any, said: str) -> None:
    config = RunConfig(runtime=RuntimeConfig(launcher=launcher))
    assert how_to_continue(Path("runs/x"), config) == said
