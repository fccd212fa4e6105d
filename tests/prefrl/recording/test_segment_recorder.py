from __future__ import annotations

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st

from prefrl.data.spaces import SpaceSpec
from prefrl.recording.segment_recorder import SegmentRecorder, check_finite

BOX = SpaceSpec.of(spaces.Box(-np.inf, np.inf, (2,), np.float32))
DISCRETE = SpaceSpec.of(spaces.Discrete(100))


def recorder(
    num_envs: int = 1, segment_steps: int = 3, seed: int = 0, within_episodes: bool = False
) -> SegmentRecorder:
    return SegmentRecorder(BOX, DISCRETE, num_envs, segment_steps, "Test-v0", seed, within_episodes)


def record(target: SegmentRecorder, step: int, num_envs: int = 1, terminated: bool = False) -> None:
    """Step t of environment n has observation (t, n), action 10 t + n and true reward t + n / 10."""
    envs = np.arange(num_envs)
    observations = np.stack([np.full(num_envs, step), envs], axis=1).astype(np.float32)
    ends = np.full(num_envs, terminated)
    target.record(
        observations, 10 * step + envs, (step + envs / 10).astype(np.float32), ends, np.zeros_like(ends)
    )


def test_segments_are_consecutive() -> None:
    target = recorder()
    target.reward_version = 4
    for step in range(7):
        record(target, step, terminated=step == 1)
    first, second = target.take()
    assert first.observations.tolist() == [[0, 0], [1, 0], [2, 0]]
    assert first.actions.tolist() == [0, 10, 20]
    assert first.true_rewards.tolist() == [0.0, 1.0, 2.0]
    assert first.terminated.tolist() == [False, True, False], "episode ends do not cut"
    assert second.observations[:, 0].tolist() == [3, 4, 5]
    provenance = second.provenance
    assert (provenance.env_id, provenance.seed, provenance.policy_step) == ("Test-v0", 0, 6)
    assert provenance.reward_version == 4
    assert target.take() == []


@given(
    num_envs=st.integers(1, 7),
    segment_steps=st.integers(1, 9),
    steps=st.integers(0, 40),
    seed=st.integers(0, 99),
)
def test_every_environment_is_cut_without_gaps(
    num_envs: int, segment_steps: int, steps: int, seed: int
) -> None:
    target = recorder(num_envs, segment_steps, seed)
    taken = []
    for step in range(steps):
        record(target, step, num_envs)
        taken += target.take()
    assert target.policy_step == steps * num_envs
    starts_of = []
    for env in range(num_envs):
        own = [segment.observations for segment in taken if segment.observations[0, 1] == env]
        assert all(len(observations) == segment_steps for observations in own)
        times = np.concatenate([np.zeros(0), *(observations[:, 0] for observations in own)])
        if len(times):
            starts_of.append(times[0])
            assert times[0] < segment_steps
            assert (np.diff(times) == 1).all()
        assert steps - len(times) < 2 * segment_steps
    if steps >= 2 * segment_steps:
        assert len(set(starts_of)) == min(num_envs, segment_steps), "offsets differ between environments"


def test_segments_do_not_change_afterwards() -> None:
    target = recorder(segment_steps=1)
    record(target, 1)
    (segment,) = target.take()
    record(target, 2)
    assert segment.observations[0, 0] == 1


def test_an_interruption_truncates_the_current_episodes() -> None:
    target = recorder()
    target.interrupt()
    record(target, 0)
    record(target, 1, terminated=True)
    target.interrupt()
    record(target, 2)
    target.interrupt()
    (segment,) = target.take()
    assert segment.terminated.tolist() == [False, True, False]
    assert not segment.truncated.any(), "ended episodes are not truncated again"
    record(target, 3)
    target.interrupt()
    record(target, 4)
    record(target, 5)
    assert target.take()[0].truncated.tolist() == [True, False, False]


def test_episodes_are_recorded_with_their_step() -> None:
    target = recorder(num_envs=2)
    record(target, 0, num_envs=2)
    target.episode(-1.5, 12)
    assert target.take_episodes() == [(2, -1.5, 12)]
    assert target.take_episodes() == []


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused(bad: float) -> None:
    target = recorder(num_envs=3)
    record(target, 0, num_envs=3)
    observations, rewards, ends = np.zeros((3, 2), np.float32), np.zeros(3, np.float32), np.zeros(3, bool)
    observations[2, 1] = bad
    with pytest.raises(ValueError, match="the observation of environment 2 is not finite at step 3"):
        target.record(observations, np.zeros(3, int), rewards, ends, ends)
    rewards[1] = bad
    with pytest.raises(ValueError, match="the true reward of environment 1 is not finite at step 3"):
        target.record(np.zeros((3, 2)), np.zeros(3, int), rewards, ends, ends)
    assert target.policy_step == 3


def test_integers_and_bytes_are_always_finite() -> None:
    check_finite("observation", np.array([[255]], np.uint8), 0)
    check_finite("action", np.array([2**40]), 0)


def test_a_segment_without_steps_is_refused() -> None:
    with pytest.raises(ValueError, match="segment_steps is 0"):
        recorder(segment_steps=0)


def test_within_episodes_the_last_segment_ends_with_the_episode() -> None:
    target = recorder(within_episodes=True)
    for step in range(12):
        # Episodes of 5, 2 and 4 steps, and an unfinished one.
        record(target, step, terminated=step in (4, 6, 10))
    times = [segment.observations[:, 0].tolist() for segment in target.take()]
    assert times == [[0, 1, 2], [2, 3, 4], [7, 8, 9], [8, 9, 10]]


@given(
    segment_steps=st.integers(1, 6),
    ends=st.lists(st.booleans(), max_size=60),
    interrupts=st.sets(st.integers(0, 59)),
)
def test_within_episodes_no_segment_crosses_an_end(
    segment_steps: int, ends: list[bool], interrupts: set[int]
) -> None:
    target = recorder(segment_steps=segment_steps, within_episodes=True)
    lengths = [0]
    for step, has_ended in enumerate(ends):
        record(target, step, terminated=has_ended)
        lengths[-1] += 1
        if step in interrupts:
            target.interrupt()
        if has_ended or step in interrupts:
            lengths.append(0)
    taken = target.take()
    last_steps = {int(step) for step in np.cumsum(lengths[:-1]) - 1}
    for segment in taken:
        times = segment.observations[:, 0].astype(int)
        assert (np.diff(times) == 1).all()
        assert not set(times[:-1].tolist()) & last_steps
    ended = {int(segment.observations[-1, 0]) for segment in taken if segment.terminated[-1]}
    long_enough = {
        int(last)
        for last, length in zip(np.cumsum(lengths[:-1]) - 1, lengths, strict=False)
        if length >= segment_steps
    }
    assert ended == {last for last in long_enough if ends[last]}, (
        "the end of every long enough episode is in a segment"
    )
