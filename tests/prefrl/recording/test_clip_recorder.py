"""Clips cut while agents act: the right pictures, and no more time than they may take."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium import spaces

import prefrl.recording.clip_recorder as filming
from prefrl.data.clips import decode_clip
from prefrl.data.spaces import SpaceSpec
from prefrl.recording.clip_recorder import ClipRecorder
from prefrl.recording.segment_recorder import SegmentRecorder

SPECS = SpaceSpec.of(spaces.Box(0, 255, (1,), np.float32)), SpaceSpec.of(spaces.Discrete(2))
SEGMENT_STEPS = 3


class Clock:
    """Stands in for the time module; stands still unless told."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def perf_counter(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(filming, "time", clock)
    return clock


class Dial:
    """Environments that all show the step they are at, and their own number."""

    def __init__(self, num_envs: int, clock: Clock | None = None, shot_s: float = 0.0) -> None:
        self.num_envs, self.step = num_envs, 0
        self._clock, self._shot_s = clock, shot_s

    def capture(self, env: int) -> np.ndarray:
        if self._clock is not None:
            self._clock.now_s += self._shot_s
        return np.full((2, 2, 3), 10 * self.step + env, np.uint8)


def play(
    dial: Dial, steps: int, first_clips: int = 0, num_envs: int = 2, ends: tuple[int, ...] = ()
) -> tuple[list[int], dict[int, list[int]]]:
    """Steps that segments begin at, env by env, and what their clips show, as far as they have one."""
    film = ClipRecorder(dial, SEGMENT_STEPS, first_clips)
    recorder = SegmentRecorder(*SPECS, num_envs, SEGMENT_STEPS, "Dial-v0", 0, bool(ends), film)
    for step in range(steps):
        dial.step = step
        recorder.capture()
        shown = 10 * step + np.arange(num_envs)
        ended = np.full(num_envs, step in ends)
        zeros = np.zeros(num_envs)
        recorder.record(
            shown[:, None].astype(np.float32), zeros.astype(int), zeros, ended, np.zeros_like(ended)
        )
    segments, clips = recorder.take(), recorder.take_clips()
    shown_by = {}
    for segment in segments:
        if segment.id in clips:
            frames = decode_clip(clips[segment.id]).frames
            assert frames is not None
            shown_by[int(segment.observations[0, 0])] = frames[:, 0, 0, 0].tolist()
            assert frames[:, 0, 0, 0].tolist() == segment.observations[:, 0].tolist()
    return [int(segment.observations[0, 0]) for segment in segments], shown_by


def test_a_clip_shows_the_observations_of_its_segment(clock: Clock) -> None:
    begun, shown = play(Dial(2), steps=9)
    assert len(begun) == 5
    assert sorted(shown) == sorted(begun)


def test_within_episodes_too(clock: Clock) -> None:
    # Episodes of 5 and 7 steps: the last segment of each overlaps the one before.
    begun, shown = play(Dial(2), steps=12, ends=(4, 11))
    assert sorted(shown) == sorted(begun)
    assert {20, 21, 90, 91} <= set(begun)


def test_environments_beyond_the_camera_s_have_none(clock: Clock) -> None:
    begun, shown = play(Dial(1), steps=9)
    assert sorted(shown) == [start for start in sorted(begun) if start % 10 == 0]


def test_the_first_clips_are_filmed_whatever_it_takes_and_the_rest_within_its_share(clock: Clock) -> None:
    # Each picture takes a second, and nothing else takes any time.
    begun, shown = play(Dial(1, clock, 1.0), steps=30, first_clips=4, num_envs=1)
    assert len(begun) == 10
    # After the first the count begins anew, so that one more is due at once.
    assert sorted(shown) == begun[:5]


def test_filming_goes_on_once_the_time_it_took_is_made_up_for(clock: Clock) -> None:
    class Slow(Dial):
        def capture(self, env: int) -> np.ndarray:
            clock.now_s += 0.001
            return super().capture(env)

    dial = Slow(1)
    film = ClipRecorder(dial, SEGMENT_STEPS, first_clips=0)
    begins, filmed = np.array([True]), []
    for _ in range(200):
        before_s = clock.now_s
        film.capture(0, begins)
        filmed.append(clock.now_s > before_s)
        clock.now_s += 0.01  # the agent's own time
    # A picture takes a tenth of the agent's step, so that three in ten are three hundredths of the time.
    assert np.mean(filmed) == pytest.approx(0.3, abs=0.02)


def test_large_pictures_are_reduced_by_a_whole_number(clock: Clock) -> None:
    class Wide(Dial):
        def capture(self, env: int) -> np.ndarray:
            return np.zeros((500, 900, 3), np.uint8)

    film = ClipRecorder(Wide(1), 1, first_clips=1)
    film.capture(0, np.array([True]))
    encoded = film.cut(0, np.array([0]))
    assert encoded is not None
    frames = decode_clip(encoded).frames
    assert frames is not None
    assert frames.shape == (1, 167, 300, 3)


def test_an_environment_may_draw_into_the_same_array_again() -> None:
    class Canvas(Dial):
        picture = np.zeros((2, 2, 3), np.uint8)

        def capture(self, env: int) -> np.ndarray:
            self.picture[:] = super().capture(env)
            return self.picture

    _, shown = play(Canvas(1), 6, first_clips=10, num_envs=1)
    assert all(len(set(steps)) == SEGMENT_STEPS for steps in shown.values())
    assert shown
