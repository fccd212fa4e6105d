"""Clips recorded while agents act: the right frames, within the time limit."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium import spaces

import prefrl.recording.clip_recorder as clip_recorder
from prefrl.data.clips import decode_clip
from prefrl.data.spaces import SpaceSpec
from prefrl.recording.clip_recorder import ClipRecorder
from prefrl.recording.segment_recorder import SegmentRecorder

SPECS = SpaceSpec.of(spaces.Box(0, 255, (1,), np.float32)), SpaceSpec.of(spaces.Discrete(2))
SEGMENT_STEPS = 3


class Clock:
    """Stands in for the time module; only tests move it."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def perf_counter(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(clip_recorder, "time", clock)
    return clock


class FakeCamera:
    """Frames whose value is the step and the number of the environment."""

    def __init__(self, num_envs: int, clock: Clock | None = None, capture_s: float = 0.0) -> None:
        self.num_envs, self.step = num_envs, 0
        self._clock, self._capture_s = clock, capture_s

    def capture(self, env: int) -> np.ndarray:
        if self._clock is not None:
            self._clock.now_s += self._capture_s
        return np.full((2, 2, 3), 10 * self.step + env, np.uint8)


def record(
    camera: FakeCamera, steps: int, first_clips: int = 0, num_envs: int = 2, ends: tuple[int, ...] = ()
) -> tuple[list[int], dict[int, list[int]]]:
    """First values of all segments, and the values in the frames of those that have a clip, by first value."""
    clips_of = ClipRecorder(camera, SEGMENT_STEPS, first_clips)
    recorder = SegmentRecorder(*SPECS, num_envs, SEGMENT_STEPS, "Test-v0", 0, bool(ends), clips_of)
    for step in range(steps):
        camera.step = step
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


def test_a_clip_has_the_frames_of_its_segment(clock: Clock) -> None:
    first_values, shown = record(FakeCamera(2), steps=9)
    assert len(first_values) == 5
    assert sorted(shown) == sorted(first_values)


def test_within_episodes_a_clip_has_the_frames_of_its_segment(clock: Clock) -> None:
    # Episodes of 5 and 7 steps: the last segment of each overlaps the one before.
    first_values, shown = record(FakeCamera(2), steps=12, ends=(4, 11))
    assert sorted(shown) == sorted(first_values)
    assert {20, 21, 90, 91} <= set(first_values)


def test_environments_that_the_camera_does_not_see_have_no_clips(clock: Clock) -> None:
    first_values, shown = record(FakeCamera(1), steps=9)
    assert sorted(shown) == [start for start in sorted(first_values) if start % 10 == 0]


def test_the_first_clips_are_always_recorded_and_the_rest_within_the_time_limit(clock: Clock) -> None:
    # Each capture takes a second, and nothing else takes time.
    first_values, shown = record(FakeCamera(1, clock, 1.0), steps=30, first_clips=4, num_envs=1)
    assert len(first_values) == 10
    # After the first clips the time restarts at 0, so that one more is allowed.
    assert sorted(shown) == first_values[:5]


def test_recording_resumes_once_its_share_of_time_is_low_enough(clock: Clock) -> None:
    class SlowCamera(FakeCamera):
        def capture(self, env: int) -> np.ndarray:
            clock.now_s += 0.001
            return super().capture(env)

    camera = SlowCamera(1)
    recorder = ClipRecorder(camera, SEGMENT_STEPS, first_clips=0)
    begins, captured = np.array([True]), []
    for _ in range(200):
        before_s = clock.now_s
        recorder.capture(0, begins)
        captured.append(clock.now_s > before_s)
        clock.now_s += 0.01  # the agent's own time
    # A capture takes a tenth of a step's time, so three in ten steps are 3% of the time.
    assert np.mean(captured) == pytest.approx(0.3, abs=0.02)


def test_large_frames_are_reduced_by_a_whole_factor(clock: Clock) -> None:
    class WideCamera(FakeCamera):
        def capture(self, env: int) -> np.ndarray:
            return np.zeros((500, 900, 3), np.uint8)

    recorder = ClipRecorder(WideCamera(1), 1, first_clips=1)
    recorder.capture(0, np.array([True]))
    encoded = recorder.cut(0, np.array([0]))
    assert encoded is not None
    frames = decode_clip(encoded).frames
    assert frames is not None
    assert frames.shape == (1, 167, 300, 3)


def test_an_environment_may_render_into_the_same_array_again() -> None:
    class ReusedArray(FakeCamera):
        picture = np.zeros((2, 2, 3), np.uint8)

        def capture(self, env: int) -> np.ndarray:
            self.picture[:] = super().capture(env)
            return self.picture

    _, shown = record(ReusedArray(1), 6, first_clips=10, num_envs=1)
    assert all(len(set(steps)) == SEGMENT_STEPS for steps in shown.values())
    assert shown
